/* SPDX-License-Identifier: MIT */
/* Memory that stays mapped, but whose content may be dropped. */
#ifndef WEFT_SRC_BASE_PAGES_H
#define WEFT_SRC_BASE_PAGES_H

#include <stddef.h>

/* Gives the whole pages of [from, from + bytes) back to the system. They read as zeros afterwards.
 * If the system refuses, they keep their content. errno is kept. */
void weft__pages_discard(void *from, size_t bytes);

#endif
