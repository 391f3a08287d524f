/* SPDX-License-Identifier: MIT */
/* Making tasks: what weft_spawn(), weft_submit() and groups share. */
#ifndef WEFT_CORE_SPAWN_H
#define WEFT_CORE_SPAWN_H

#include "runtime.h"
#include "src/base/sized.h"

#include <weft/task.h>

/* Reads the options that a caller has passed, of any version. opt may be NULL. Returns 0 or
 * -E2BIG. */
static inline int task_options(struct weft_task_options *known, const struct weft_task_options *opt,
			       size_t opt_size)
{
	*known = (struct weft_task_options){0};
	return opt ? take_sized(known, sizeof *known, opt, opt_size) : 0;
}

/*
 * Makes the cold part that the options ask for. weft__cold_free() takes it back.
 *
 * @w         the caller's worker of rt, or NULL.
 * @ret_cold  receives NULL if the options need no cold part.
 *
 * Returns 0, -ENOMEM, or -EINVAL if the stack size is out of range or there is no worker to pin the
 * task to.
 */
int weft__cold_new(struct weft_runtime *rt, struct worker *w, const struct weft_task_options *opt,
		   struct task_cold **ret_cold);

/* Frees a cold part with which no task was made. cold may be NULL. */
void weft__cold_free(struct weft_runtime *rt, struct task_cold *cold);

/* As weft_spawn(), by w's task, for a detached task that is a member of a group. main calls
 * member_begin(). */
int weft__spawn_member(struct worker *w, weft_fn *main, void *arg, const struct membership *member);

/* The same with options. */
int weft__spawn_member_with(struct worker *w, const struct weft_task_options *opt, weft_fn *main,
			    void *arg, const struct membership *member);

#endif
