/* SPDX-License-Identifier: MIT */
/* Memory that is to stay mapped but need not keep what it holds. */
#ifndef WEFT_SCHED_OS_PAGES_H
#define WEFT_SCHED_OS_PAGES_H

#include <stddef.h>

/* Gives the whole pages of [from, from + bytes) back to the system. They read as zeros afterwards, or
 * as before where the system refuses. errno is kept. */
void weft__pages_discard(void *from, size_t bytes);

#endif
