/* SPDX-License-Identifier: MIT */
/*
 * Structs that travel with their size. A program passes the size that the struct had when the
 * program was compiled. Later versions add members at the end. There are two cases:
 *
 *  1. An older program passes a smaller struct. Its missing members count as 0.
 *  2. A newer program passes a larger struct. The bytes that the library does not know must be 0,
 *     which asks for nothing.
 */
#ifndef WEFT_SRC_BASE_SIZED_H
#define WEFT_SRC_BASE_SIZED_H

#include <errno.h>
#include <string.h>

/* Copies a struct of given_size bytes to one of known_size bytes. Returns 0, or -E2BIG if the given
 * struct is larger and has a byte other than 0 beyond known_size. */
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
