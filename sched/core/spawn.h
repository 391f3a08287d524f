/* SPDX-License-Identifier: MIT */
/* Making tasks: what weft_spawn(), weft_submit() and groups have in common. */
#ifndef WEFT_CORE_SPAWN_H
#define WEFT_CORE_SPAWN_H

#include "runtime.h"
#include "src/sized.h"

#include <weft/task.h>

/* The options that a caller has passed, of whatever version. opt: NULL: none. 0 or -E2BIG. */
static inline int task_options(struct weft_task_options *known, const struct weft_task_options *opt,
			       size_t opt_size)
{
	*known = (struct weft_task_options){0};
	return opt ? take_sized(known, sizeof *known, opt, opt_size) : 0;
}

/*
 * Makes what the options ask for. weft__cold_free() takes it back.
 *
 * @w         the caller's worker of rt; or NULL.
 * @ret_cold  receives NULL if they ask for nothing of it.
 *
 * 0; -EINVAL: the stack size is out of range, or the task is to be pinned to no worker; -ENOMEM.
 */
int weft__cold_new(struct weft_runtime *rt, struct worker *w, const struct weft_task_options *opt,
		   struct task_cold **ret_cold);

/* By who has made no task with it. cold: may be NULL. */
void weft__cold_free(struct weft_runtime *rt, struct task_cold *cold);

/* As weft_spawn(), by w's task, of a detached task that is a member of a group. main calls
 * member_begin(). */
int weft__spawn_member(struct worker *w, weft_fn *main, void *arg, const struct membership *member);

/* The same with options. */
int weft__spawn_member_with(struct worker *w, const struct weft_task_options *opt, weft_fn *main,
			    void *arg, const struct membership *member);

/* As weft_submit(), with options (NULL: none), by a thread that is no worker of rt. member: NULL: it is in no group. */
int weft__submit_from_outside(struct weft_runtime *rt, const struct weft_task_options *opt,
			      weft_fn *fn, void *arg, const struct membership *member,
			      weft_task **ret_task);

/* A control block for a task from a thread that is no worker of rt. */
struct task *weft__task_alloc_outside(struct weft_runtime *rt);

#endif
