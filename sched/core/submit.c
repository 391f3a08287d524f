/* SPDX-License-Identifier: MIT */
/* Submitting: a task from a thread that is not a worker of the runtime. Such a thread is a visitor
 * (visit.h). */
#include "submit.h"

#include "ready.h"
#include "spawn.h"
#include "src/base/atomic.h"
#include "src/base/orphan.h"
#include "starve.h"
#include "task_pool.h"
#include "tls.h"
#include "visit.h"

#include <weft/runtime.h>

#include <errno.h>

struct task *weft__task_alloc_outside(struct weft_runtime *rt)
{
	weft__lock(&rt->outside_lock);
	struct task *t = weft__task_pool_alloc(&rt->outside_tasks);
	weft__unlock(&rt->outside_lock);
	return t;
}

/* The caller is a visitor. */
static int submit(struct weft_runtime *rt, const struct weft_task_options *opt, weft_fn *fn,
		  void *arg, const struct membership *member, weft_task **ret_task)
{
	struct task_cold *cold = NULL;

	if (out_of_stacks(rt, NULL))
		return -ENOMEM;
	if (opt) {
		int rc = weft__cold_new(rt, NULL, opt, &cold);
		if (rc < 0)
			return rc;
	}
	struct task *t = weft__task_alloc_outside(rt);
	if (!t) {
		weft__cold_free(rt, cold);
		return weft__note_shortage(rt);
	}
	task_init(t, rt, fn, arg, ret_task ? JOIN_NOBODY : JOIN_DETACHED, 0);
	task_set_cold(t, cold);
	if (member)
		member_put(t, member);
	san_release(t);
	/* relaxed: the queue publishes it before the task can end. */
	fetch_add_relaxed(&rt->injected_spawned, 1);
	if (ret_task)
		*ret_task = task_handle(t);
	weft__inject_from_outside(rt, t);
	return 0;
}

int weft__submit_from_outside(struct weft_runtime *rt, const struct weft_task_options *opt,
			      weft_fn *fn, void *arg, const struct membership *member,
			      weft_task **ret_task)
{
	visit_begin(rt);
	int rc = submit(rt, opt, fn, arg, member, ret_task);
	visit_end(rt);
	return rc;
}

/* opt: NULL for none. Otherwise its members are all known (task_options()). */
static int submit_anywhere(weft_runtime *rt, const struct weft_task_options *opt, weft_fn *fn,
			   void *arg, weft_task **ret_task)
{
	struct worker *w = weft__worker();

	if (!fn)
		return -EINVAL;
	if (!rt)
		rt = weft_runtime_self();
	if (!rt || weft__is_orphan())
		return -EPERM;
	if (!w || rt != w->rt)
		return weft__submit_from_outside(rt, opt, fn, arg, NULL, ret_task);
	return opt ? weft_spawn_with(opt, fn, arg, ret_task) : weft_spawn(fn, arg, ret_task);
}

int weft_submit(weft_runtime *rt, weft_fn *fn, void *arg, weft_task **ret_task)
{
	return submit_anywhere(rt, NULL, fn, arg, ret_task);
}

int weft_submit_with_sized(weft_runtime *rt, const struct weft_task_options *opt, size_t opt_size,
			   weft_fn *fn, void *arg, weft_task **ret_task)
{
	struct weft_task_options known;
	int rc = task_options(&known, opt, opt_size);

	return rc < 0 ? rc : submit_anywhere(rt, &known, fn, arg, ret_task);
}
