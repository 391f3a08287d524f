/* SPDX-License-Identifier: MIT */
/* What tests read of the blocking pool. */
#ifndef WEFT_SCHED_BLOCKING_BLOCKING_H
#define WEFT_SCHED_BLOCKING_BLOCKING_H

#include <weft/runtime.h>

/* How long a thread stays without work, in nanoseconds. May only be set before the first call in
 * the process. */
extern int64_t weft__blocking_linger;

/* The number of threads that the runtime has for blocking calls at the moment. Any thread may ask
 * while the runtime exists. */
unsigned weft__blocking_threads(struct weft_runtime *rt);

#endif
