/* SPDX-License-Identifier: MIT */
/* Looking into a group: how many callers wait in it. So a test knows it without sleeping. */
#ifndef WEFT_TESTS_SCHED_SYNC_GROUP_PEEK_H
#define WEFT_TESTS_SCHED_SYNC_GROUP_PEEK_H

#include "tests/sched/core/harness.h"

#include "sched/sync/group.h"

/* queue: one of the group's own. */
UNSEEN unsigned waiting_in(struct group *g, struct sync_queue *queue)
{
	unsigned n = 0;

	group_lock(g);
	for (struct sync_node *node = sync_first(queue); node; node = node->next)
		n++;
	group_unlock(g);
	return n;
}

/* How many wait for a place, and how many for a result. */
static inline unsigned spawners_waiting(weft_group *group)
{
	struct group *g = (struct group *)group;

	return waiting_in(g, &g->spawners);
}

static inline unsigned receivers_waiting(weft_group *group)
{
	struct group *g = (struct group *)group;

	return waiting_in(g, &g->receivers);
}

/* Lets others run until n wait. false: it never came to that. */
static inline bool yield_until_waiting(unsigned (*waiting)(weft_group *), weft_group *group,
				       unsigned n)
{
	int64_t lost = weft_after(LOST_NS);

	while (waiting(group) != n && weft_now() < lost)
		weft_yield();
	return waiting(group) == n;
}

#endif
