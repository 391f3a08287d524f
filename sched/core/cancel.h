/* SPDX-License-Identifier: MIT */
/* Cancellation: see cancel.c. */
#ifndef WEFT_CORE_CANCEL_H
#define WEFT_CORE_CANCEL_H

#include <stdbool.h>

struct branch;
struct scope;
struct task;
struct waiter;

/*
 * Cancels n tasks that are not forks, at most WEFT__CANCEL_SOME, with one fence for all. Returns
 * the waiters that it has claimed, linked by .next. The caller must wake them, and they live until
 * then. Adds the branches that it holds to the list `held`, for weft__reach_branches(). Only one
 * thread at a time may cancel several of these tasks.
 */
#define WEFT__CANCEL_SOME 32
struct waiter *weft__cancel_some(struct task *const *tasks, unsigned n, struct branch **held);

/* Wakes the waiters of that list. */
void weft__wake_cancelled(struct waiter *claimed);

/* Whether a cancellation would end the caller's waits. The caller is a task or any thread. */
bool weft__caller_cancelled(void);

/* Cancels a scope whose deadline has passed, and that is `firing`. */
void weft__scope_time_out(struct scope *s);

#endif
