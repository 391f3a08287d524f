/* SPDX-License-Identifier: MIT */
/* Stealing: see steal.c. */
#ifndef WEFT_CORE_STEAL_H
#define WEFT_CORE_STEAL_H

struct task;
struct worker;

/* Steals a task that w can run, and perhaps more tasks for w's own queues. Returns NULL if no
 * worker has any, or if only rings have some and w leaves rings alone (.avoids_rings). */
struct task *weft__steal(struct worker *w);

#endif
