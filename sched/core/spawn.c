/* SPDX-License-Identifier: MIT */
/* Spawning: a task from another task of the same runtime. */
#include "spawn.h"

#include "chaos.h"
#include "ready.h"
#include "reserve.h"
#include "src/base/alloc.h"
#include "src/base/compiler.h"
#include "src/stack/stack_env.h"
#include "starve.h"
#include "tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int weft__cold_new(struct weft_runtime *rt, struct worker *w, const struct weft_task_options *opt,
		   struct task_cold **ret_cold)
{
	size_t stack_size = opt->stack_size;
	struct task_cold *cold = NULL;

	if (stack_size != 0 && (stack_size < WEFT__STACK_MIN || stack_size > WEFT__STACK_MAX))
		return -EINVAL;
	if (opt->pinned && !w)
		return -EINVAL;
	if (stack_size != 0 || opt->name) {
		cold = weft__calloc(1, sizeof *cold);
		if (!cold)
			return weft__note_shortage(rt);
		if (opt->name)
			strncpy(cold->name, opt->name, sizeof cold->name - 1);
	}
	if (stack_size != 0 && weft__reserve_enter(rt, w, stack_size, &cold->reserve) < 0) {
		free(cold);
		return weft__note_shortage(rt);
	}
	*ret_cold = cold;
	return 0;
}

void weft__cold_free(struct weft_runtime *rt, struct task_cold *cold)
{
	if (cold && cold->reserve)
		weft__reserve_leave(rt, cold->reserve, NULL);
	free(cold);
}

/* The common part, compiled once for each kind of spawn. w: the caller's worker. member may be
 * NULL: the task is in no group. */
static inline __attribute__((always_inline)) int
spawn(struct worker *w, const struct weft_task_options *opt, weft_fn *fn, void *arg,
      const struct membership *member, weft_task **ret_task)
{
	struct task_cold *cold = NULL;

	if (!fn)
		return -EINVAL;
	if (!w)
		return -EPERM;
	if (out_of_stacks(w->rt, w))
		return -ENOMEM;
	if (opt) {
		int rc = weft__cold_new(w->rt, w, opt, &cold);
		if (rc < 0)
			return rc;
	}
	struct task *t = weft__task_pool_alloc(&w->tasks);
	if (unlikely(!t)) {
		weft__cold_free(w->rt, cold);
		return weft__note_shortage(w->rt);
	}
	task_init(t, w->rt, fn, arg, ret_task ? JOIN_NOBODY : JOIN_DETACHED, 0);
	if (cold)
		task_set_cold(t, cold);
	if (member)
		member_put(t, member);
	if (opt && opt->pinned) {
		t->pin = (int16_t)w->id;
		t->flags |= TASK_PINNED;
		w->pinned++;
	}
	san_release(t);
	counter_add(&w->counters.spawned, 1);
	if (ret_task)
		*ret_task = task_handle(t);
	if (unlikely(w->rt->config.chaos.on) && t->pin == TASK_UNPINNED &&
	    weft__chaos_send_away(w, t, CHAOS_SPAWN))
		return 0;
	if (opt)
		weft__start_later(w, t);
	else
		weft__start_later_unpinned(w, t, false);
	return 0;
}

int weft_spawn(weft_fn *fn, void *arg, weft_task **ret_task)
{
	return spawn(weft__worker(), NULL, fn, arg, NULL, ret_task);
}

int weft_spawn_with_sized(const struct weft_task_options *opt, size_t opt_size, weft_fn *fn,
			  void *arg, weft_task **ret_task)
{
	struct weft_task_options known;
	int rc = task_options(&known, opt, opt_size);

	return rc < 0 ? rc : spawn(weft__worker(), &known, fn, arg, NULL, ret_task);
}

int weft__spawn_member(struct worker *w, weft_fn *main, void *arg, const struct membership *member)
{
	return spawn(w, NULL, main, arg, member, NULL);
}

int weft__spawn_member_with(struct worker *w, const struct weft_task_options *opt, weft_fn *main,
			    void *arg, const struct membership *member)
{
	return spawn(w, opt, main, arg, member, NULL);
}
