/* SPDX-License-Identifier: MIT */
/* Reads small files, such as the kernel's settings. */
#ifndef WEFT_SRC_BASE_READ_FILE_H
#define WEFT_SRC_BASE_READ_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Reads at most size - 1 bytes of a file as a string. Never blocks, whatever kind of file it is.
 * Returns false if the file is empty or cannot be read; *ret_text is undefined then. errno may
 * change. */
bool weft__read_file(const char *path, char *ret_text, size_t size);

#endif
