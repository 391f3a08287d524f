/* SPDX-License-Identifier: MIT */
/* Submitting: see submit.c. */
#ifndef WEFT_CORE_SUBMIT_H
#define WEFT_CORE_SUBMIT_H

#include <weft/task.h>

struct membership;
struct task;
struct weft_runtime;

/* As weft_submit(), by a thread that is not a worker of rt. opt and member may be NULL: no options,
 * no group. */
int weft__submit_from_outside(struct weft_runtime *rt, const struct weft_task_options *opt,
			      weft_fn *fn, void *arg, const struct membership *member,
			      weft_task **ret_task);

/* Returns a control block for a task from a thread that is not a worker of rt. */
struct task *weft__task_alloc_outside(struct weft_runtime *rt);

#endif
