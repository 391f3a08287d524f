/* SPDX-License-Identifier: MIT */
/* weft_trim(): see trim.c. */
#ifndef WEFT_CORE_TRIM_H
#define WEFT_CORE_TRIM_H

#include <stdatomic.h>

struct worker;

/* How often weft_trim() was called (relaxed). */
extern _Atomic unsigned weft__trims __attribute__((visibility("hidden")));

/* Drops what w keeps if weft_trim() was called since w last did so. w calls it before it sleeps. */
void weft__trim_worker(struct worker *w);

#endif
