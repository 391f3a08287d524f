/* SPDX-License-Identifier: MIT */
/* The results of a group's members, in the order in which the members ended: see group.h. */
#include "group.h"
#include "sched/core/join.h"
#include "sched/core/runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <errno.h>

/* A caller that waits for a result. Lies in its frame. */
struct receiver {
	struct sync_node node;
	void *result; /* stored by the member that ends, before the wake */
	bool got;     /* false: there is no result */
};

struct sync_node *weft__group_keep_locked(struct group *g, struct task *t, void *result)
{
	struct sync_node *node = sync_take_locked(&g->receivers);

	if (node) {
		struct receiver *r = (struct receiver *)node;
		san_release(&r->result);
		r->result = result;
		r->got = true;
		node->next = NULL;
		return node;
	}
	/* The task is the caller's own, and nobody has a handle of it. relaxed: the group's lock
	 * publishes this. */
	store_relaxed(&t->join, JOIN_NOBODY);
	/* The link is free: this task waits for nothing any longer, so no queue holds it. */
	t->next_result = NULL;
	*g->result_tail = t;
	g->result_tail = &t->next_result;
	return NULL;
}

void weft__group_no_more_locked(struct group *g, struct sync_node **list)
{
	struct sync_node *node;

	while ((node = sync_take_locked(&g->receivers))) {
		node->next = *list;
		*list = node;
	}
}

/* Takes the oldest result out. Returns NULL if none is left. */
static struct task *take_result_locked(struct group *g)
{
	struct task *t = g->results;

	if (t) {
		g->results = t->next_result;
		if (!g->results)
			g->result_tail = &g->results;
	}
	return t;
}

void weft__group_drop_results(struct group *g)
{
	struct task *t;

	while ((t = take_result_locked(g)))
		weft__join_ending(t, NULL);
}

void weft_group_keep_results(weft_group *group)
{
	struct group *g = (struct group *)group;

	group_lock(g);
	g->keeps = true;
	group_unlock(g);
}

WEFT__MAY_HOP int weft_group_next(weft_group *g, void **ret_result)
{
	return weft_group_next_until(g, ret_result, WEFT_FOREVER);
}

/* Waits for a result. Releases the lock. */
static WEFT__MAY_HOP int await_result_unlock(struct group *g, void **ret_result, int64_t deadline)
{
	struct receiver r = {.got = false};
	enum wait_outcome outcome = group_wait_unlock(g, &g->receivers, &r.node, deadline);

	if (outcome != WAIT_WOKEN)
		return wait_errno(outcome);
	if (!r.got)
		return -ECHILD;
	san_acquire(&r.result);
	san_forget(&r.result, sizeof(r.result));
	if (ret_result)
		*ret_result = r.result;
	return 0;
}

WEFT__MAY_HOP int weft_group_next_until(weft_group *group, void **ret_result, int64_t deadline)
{
	struct group *g = (struct group *)group;
	int rc = 0;

	if (!g)
		return -EINVAL;
	if (group_is_member(g))
		return -EDEADLK;
	group_lock(g);
	struct task *t = take_result_locked(g);
	if (!t && g->keeps && g->running > 0 && deadline > 0)
		return await_result_unlock(g, ret_result, deadline);
	if (!t)
		rc = !g->keeps ? -EINVAL : g->running == 0 ? -ECHILD : -ETIMEDOUT;
	group_unlock(g);
	if (t)
		weft__join_ending(t, ret_result);
	return rc;
}
