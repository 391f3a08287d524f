/* SPDX-License-Identifier: MIT */
/*
 * The functions that the public headers define, once more: as symbols of the library, for programs
 * that find them by name (dlsym(), a foreign function interface) and never see a header.
 */
#define WEFT_INLINE extern inline __attribute__((visibility("default")))

#include <weft/weft.h>
