/* SPDX-License-Identifier: MIT */
/* Finding work: see find.c. */
#ifndef WEFT_CORE_FIND_H
#define WEFT_CORE_FIND_H

struct task;
struct worker;

/* Returns the next task from anywhere, which can run at once. Sleeps while there is none. NULL: the
 * worker must end. By the leader. */
struct task *weft__find(struct worker *w);

/* Hands everything in w's queues over to the pool. By the leader. */
void weft__hand_over(struct worker *w);

#endif
