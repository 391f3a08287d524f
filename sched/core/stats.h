/* SPDX-License-Identifier: MIT */
/* Statistics: see stats.c. */
#ifndef WEFT_CORE_STATS_H
#define WEFT_CORE_STATS_H

struct weft_runtime;

/* Prints the counters of a runtime, as WEFT_STATS asks for. */
void weft__stats_print(struct weft_runtime *rt);

#endif
