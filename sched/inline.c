/* SPDX-License-Identifier: MIT */
/*
 * Symbols for the functions that the public headers define inline. They are for programs that find
 * functions by name (dlsym(), a foreign function interface) and never see a header.
 *
 * Such a program was written when the structs had a certain size, and does not pass that size to
 * weft_select() and similar functions. So each symbol assumes the size that its struct had in the
 * first version with that symbol, whatever the size is now. Members that were added later need the
 * _sized functions.
 */
#include <stddef.h>

#define WEFT_INLINE extern inline __attribute__((visibility("default")))

/* The sizes in the first version, if pointers have 64 bits. */
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
