/* SPDX-License-Identifier: MIT */
/* Spawning into a group, from tasks and from other threads, and the limit: see group.h. */
#include "group.h"
#include "sched/core/scope.h"
#include "sched/core/spawn.h"
#include "sched/core/submit.h"
#include "src/base/compiler.h"
#include "src/base/orphan.h"

#include <weft/runtime.h>

#include <errno.h>

/* Returns the task that owns the group, if it is the caller or above the caller. Otherwise returns
 * NULL: the owner may be gone. */
static struct task *owner_above(const struct group *g, struct task *caller)
{
	struct task *t = caller;

	if (g->owner == 0)
		return NULL;
	while (t && family_number(t) != g->owner)
		t = family_parent(t);
	return t;
}

struct sync_node *weft__group_leave_place_locked(struct group *g)
{
	struct sync_node *node = g->running <= g->limit ? sync_take_locked(&g->spawners) : NULL;

	if (node)
		node->next = NULL;
	return node;
}

/* Takes back the count of a task that could not be spawned. */
static __attribute__((noinline)) void forgo(struct group *g)
{
	group_lock(g);
	/* true: nothing runs, so the group leaves its owner's branches */
	bool only_member = g->running == 1;
	if (only_member)
		weft__group_leave_family_locked(g);
	group_unlock(g);
	if (only_member)
		weft__branch_await(&g->branch);
	group_lock(g);
	struct sync_node *woken = group_count_down_locked(g);
	group_unlock(g);
	sync_wake_all(woken);
}

/* Waits for a place, and releases the lock. Returns 0 if the caller has a place. */
static WEFT__MAY_HOP __attribute__((noinline)) int await_place_unlock(struct group *g,
								      int64_t deadline)
{
	struct sync_node node;

	if (deadline <= 0) {
		group_unlock(g);
		return -ETIMEDOUT;
	}
	return wait_errno(group_wait_unlock(g, &g->spawners, &node, deadline));
}

/* w: the caller's worker, or NULL. rt: the runtime of the caller's task, or another one. opt: may
 * be NULL. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
spawn(struct group *g, struct worker *w, struct weft_runtime *rt,
      const struct weft_task_options *opt, weft_fn *fn, void *arg, int64_t deadline)
{
	group_lock(g);
	if (unlikely(g->running >= g->limit)) {
		int rc = await_place_unlock(g, deadline);
		if (rc < 0)
			return rc;
		w = weft__worker(); /* again: the wait may have hopped */
		group_lock(g);
	} else {
		/* The task counts as running from here on, so that nobody takes the group out of
		 * the family. */
		g->running++;
	}
	/* The place may be one that another member left. */
	if (unlikely(g->limit != GROUP_UNLIMITED))
		san_acquire(g);
	struct task *owner = g->entered || !w ? NULL : owner_above(g, w->task);
	g->entered = g->entered || owner;
	group_unlock(g);
	if (owner && weft__branch_enter(&g->branch, owner))
		weft__group_cancel_all(g);
	struct membership member = {g, fn};
	int rc;
	if (!w || w->rt != rt)
		rc = weft__submit_from_outside(rt, opt, weft__group_member_main, arg, &member,
					       NULL);
	else if (opt)
		rc = weft__spawn_member_with(w, opt, weft__group_member_main, arg, &member);
	else
		rc = weft__spawn_member(w, weft__group_member_main, arg, &member);
	if (rc < 0)
		forgo(g);
	return rc;
}

static inline WEFT__MAY_HOP __attribute__((always_inline)) int
spawn_here(weft_group *group, const struct weft_task_options *opt, weft_fn *fn, void *arg,
	   int64_t deadline)
{
	struct worker *w = weft__worker();

	if (!group || !fn)
		return -EINVAL;
	if (!w)
		return -EPERM;
	return spawn((struct group *)group, w, w->rt, opt, fn, arg, deadline);
}

WEFT__MAY_HOP int weft_group_spawn(weft_group *g, weft_fn *fn, void *arg)
{
	return spawn_here(g, NULL, fn, arg, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_group_spawn_until(weft_group *g, weft_fn *fn, void *arg, int64_t deadline)
{
	return spawn_here(g, NULL, fn, arg, deadline);
}

WEFT__MAY_HOP int weft_group_try_spawn(weft_group *g, weft_fn *fn, void *arg)
{
	int rc = weft_group_spawn_until(g, fn, arg, 0);

	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

WEFT__MAY_HOP int weft_group_spawn_with_sized(weft_group *g, const struct weft_task_options *opt,
					      size_t opt_size, weft_fn *fn, void *arg)
{
	struct weft_task_options known;
	int rc = task_options(&known, opt, opt_size);

	return rc < 0 ? rc : spawn_here(g, &known, fn, arg, WEFT_FOREVER);
}

static WEFT__MAY_HOP int submit(weft_group *group, weft_runtime *rt,
				const struct weft_task_options *opt, weft_fn *fn, void *arg,
				int64_t deadline)
{
	if (!group || !fn)
		return -EINVAL;
	if (!rt)
		rt = weft_runtime_self();
	if (!rt || weft__is_orphan())
		return -EPERM;
	return spawn((struct group *)group, weft__worker(), rt, opt, fn, arg, deadline);
}

WEFT__MAY_HOP int weft_group_submit(weft_group *g, weft_runtime *rt, weft_fn *fn, void *arg)
{
	return submit(g, rt, NULL, fn, arg, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_group_submit_until(weft_group *g, weft_runtime *rt, weft_fn *fn, void *arg,
					  int64_t deadline)
{
	return submit(g, rt, NULL, fn, arg, deadline);
}

WEFT__MAY_HOP int weft_group_submit_with_sized(weft_group *g, weft_runtime *rt,
					       const struct weft_task_options *opt, size_t opt_size,
					       weft_fn *fn, void *arg)
{
	struct weft_task_options known;
	int rc = task_options(&known, opt, opt_size);

	return rc < 0 ? rc : submit(g, rt, &known, fn, arg, WEFT_FOREVER);
}

void weft_group_set_limit(weft_group *group, size_t n)
{
	struct group *g = (struct group *)group;
	struct sync_node *woken = NULL, **tail = &woken, *node;

	group_lock(g);
	g->limit = n > 0 ? n : GROUP_UNLIMITED;
	while (g->running < g->limit && (node = sync_take_locked(&g->spawners))) {
		g->running++;
		*tail = node;
		tail = &node->next;
	}
	*tail = NULL;
	group_unlock(g);
	sync_wake_all(woken);
}
