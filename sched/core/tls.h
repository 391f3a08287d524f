/* SPDX-License-Identifier: MIT */
/* The worker that the calling thread is. */
#ifndef WEFT_CORE_TLS_H
#define WEFT_CORE_TLS_H

struct worker;

/* The calling thread's worker, or NULL. Read anew at each call; the result is stale after a
 * switch. */
struct worker *weft__worker(void);

void weft__worker_set(struct worker *w);

#endif
