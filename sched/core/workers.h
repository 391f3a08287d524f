/* SPDX-License-Identifier: MIT */
/* Adding and removing workers: see workers.c. */
#ifndef WEFT_CORE_WORKERS_H
#define WEFT_CORE_WORKERS_H

#include <stdbool.h>

struct weft_runtime;
struct worker;

/* Initializes the runtime's state of workers, without any worker. Returns 0 or -ENOMEM. */
int weft__workers_init(struct weft_runtime *rt);

/* Sets the number of workers to n. Undone on failure. Returns 0, -EAGAIN or -ENOMEM. */
int weft__workers_set(struct weft_runtime *rt, unsigned n);

/* Makes w the calling thread's worker. The thread is w's leader. */
void weft__worker_appear(struct worker *w);

/* The leader's loop: runs tasks until the runtime stops or the worker must end. */
void weft__worker_loop(struct worker *w);

/* Takes a retiring worker, whose queues are empty, out of the runtime. Returns false if it must
 * stay. */
bool weft__worker_leave(struct worker *w);

/* Waits until all threads have ended and all visitors have left. Then frees the records. */
void weft__workers_join(struct weft_runtime *rt);

#endif
