/* SPDX-License-Identifier: MIT */
/* Tasks as their users see them: spawning, yielding, and what a task can ask about itself. */
#include "identity.h"
#include "runtime.h"
#include "src/alloc.h"
#include "src/sized.h"
#include "src/stack_env.h"

#include <weft/task.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static struct task_cold *cold_new(const struct weft_task_options *opt)
{
	struct task_cold *cold = weft__calloc(1, sizeof *cold);

	if (cold) {
		if (opt->name)
			strncpy(cold->name, opt->name, sizeof cold->name - 1);
	}
	return cold;
}

/* The common part, compiled once for each kind of spawn. member: NULL: it is in no group. */
static inline __attribute__((always_inline)) int spawn(const struct weft_task_options *opt,
						       weft_fn *fn, void *arg,
						       const struct membership *member,
						       weft_task **ret_task)
{
	struct worker *w = weft__worker();
	struct task_cold *cold = NULL;

	if (!fn)
		return -EINVAL;
	if (!w)
		return -EPERM;
	if (out_of_stacks(w->rt, w))
		return -ENOMEM;
	if (opt && opt->stack_size != 0 &&
	    (opt->stack_size < WEFT__STACK_MIN || opt->stack_size > WEFT__STACK_MAX))
		return -EINVAL;
	if (opt && (opt->stack_size != 0 || opt->name)) {
		cold = cold_new(opt);
		if (!cold)
			return weft__note_shortage(w->rt);
	}
	struct task *t = weft__task_pool_alloc(&w->tasks);
	if (__builtin_expect(!t, 0))
		goto err_task;
	if (opt && opt->stack_size != 0 &&
	    weft__reserve_enter(w->rt, w, opt->stack_size, &cold->reserve) < 0)
		goto err_stack;
	task_init(t, w->rt, fn, arg, ret_task ? JOIN_NOBODY : JOIN_DETACHED, 0);
	t->cold = cold;
	if (member) {
		t->group = member->group;
		t->member_fn = member->fn;
	}
	if (opt && opt->pinned) {
		t->pin = (int16_t)w->id;
		w->pinned++;
	}
	san_release(t);
	counter_add(&w->counters.spawned, 1);
	if (ret_task)
		*ret_task = task_handle(t);
	if (__builtin_expect(w->rt->config.chaos.on, 0) && t->pin == TASK_UNPINNED &&
	    weft__chaos_send_away(w, t, CHAOS_SPAWN))
		return 0;
	weft__start_later(w, t);
	return 0;

err_stack:
	weft__task_pool_free(&w->tasks, t);
err_task:
	free(cold);
	return weft__note_shortage(w->rt);
}

int weft_spawn(weft_fn *fn, void *arg, weft_task **ret_task)
{
	return spawn(NULL, fn, arg, NULL, ret_task);
}

int weft__spawn_member(weft_fn *main, void *arg, const struct membership *member)
{
	return spawn(NULL, main, arg, member, NULL);
}

int weft_spawn_with_sized(const struct weft_task_options *opt, size_t opt_size, weft_fn *fn,
			  void *arg, weft_task **ret_task)
{
	struct weft_task_options known = {0};
	int rc = opt ? take_sized(&known, sizeof known, opt, opt_size) : 0;

	return rc < 0 ? rc : spawn(&known, fn, arg, NULL, ret_task);
}

void weft_yield(void)
{
	struct worker *w = weft__worker();

	if (!w) {
		sched_yield();
		return;
	}
	counter_add(&w->counters.yields, 1);
	give_way(w);
}

weft_task *weft_self(void)
{
	struct worker *w = weft__worker();

	return w ? task_handle(w->task) : NULL;
}

const char *weft_task_name(const weft_task *task)
{
	const struct task *t = (const struct task *)(task ? task : weft_self());

	return t ? task_name(t) : "";
}

uint64_t weft_task_number(const weft_task *task)
{
	const struct worker *w = task ? NULL : weft__worker();
	/* Not const: a task gets its number when it is asked for. */
	struct task *t = task ? (struct task *)(uintptr_t)task : w ? w->task : NULL;

	return t ? identity_number(task_identity(t)) : 0;
}
