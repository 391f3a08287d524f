/* SPDX-License-Identifier: MIT */
/*
 * Structs that travel with their size. A program passes the size that a struct had when the program
 * was compiled, and later versions add members at the end. So a library meets smaller structs of
 * older programs, whose missing members count as 0, and larger ones of newer programs. What it does
 * not know of these must be 0: then it asks for nothing.
 */
#ifndef WEFT_SRC_SIZED_H
#define WEFT_SRC_SIZED_H

#include <errno.h>
#include <string.h>

/* Copies a struct of given_size bytes to one of known_size. 0; -E2BIG: it has more, and not 0. */
static inline int take_sized(void *known, size_t known_size, const void *given, size_t given_size)
{
	size_t common = given_size < known_size ? given_size : known_size;

	for (size_t i = common; i < given_size; i++) {
		if (((const unsigned char *)given)[i] != 0)
			return -E2BIG;
	}
	memcpy(known, given, common);
	memset((char *)known + common, 0, known_size - common);
	return 0;
}

#endif
