/* SPDX-License-Identifier: MIT */
/*
 * The functions that the public headers define, once more: as symbols of the library, for programs
 * that find them by name (dlsym(), a foreign function interface) and never see a header.
 *
 * Such a program calls weft_select() with cases as large as they were when it was written, and does
 * not say so. So the symbols take structs to be as large as they were in the first version that had
 * the symbol, whatever they are now. Members that were added later are for the _sized functions.
 */
#include <stddef.h>

#define WEFT_INLINE extern inline __attribute__((visibility("default")))

/* In the first version, where pointers have 64 bits. */
enum {
	FIRST_SIZE_weft_case = 32,
	FIRST_SIZE_weft_runtime_options = 56,
	FIRST_SIZE_weft_stats = 144,
	FIRST_SIZE_weft_task_options = 24,
};

#ifdef __LP64__
#define WEFT_SIZE(name) FIRST_SIZE_##name
#else
#define WEFT_SIZE(name) sizeof(struct name)
#endif

#include <weft/weft.h>
