/* SPDX-License-Identifier: MIT */
/* Pages: their size, and memory that stays mapped while its content is dropped. */
#ifndef WEFT_SRC_BASE_PAGES_H
#define WEFT_SRC_BASE_PAGES_H

#include <stddef.h>

/* The bytes of a page. */
size_t weft__page_size(void);

/* Gives the whole pages of [from, from + bytes) back to the system. They read as zeros afterwards.
 * If the system refuses, they keep their content. errno is kept. */
void weft__pages_discard(void *from, size_t bytes);

#endif
