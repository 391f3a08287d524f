/* SPDX-License-Identifier: MIT */
/* What tests of the blocking pool look at. */
#ifndef WEFT_EDGE_BLOCKING_H
#define WEFT_EDGE_BLOCKING_H

#include <weft/runtime.h>

/* How long a thread stays without work, in nanoseconds. Set before the first call in the
 * process, or by nobody. */
extern int64_t weft__blocking_linger;

/* The number of threads that the runtime has for blocking calls just now. Any thread, while the
 * runtime lives. */
unsigned weft__blocking_threads(struct weft_runtime *rt);

#endif
