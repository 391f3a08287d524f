/* SPDX-License-Identifier: MIT */
/*
 * Wakes that come before their task is parked: see early.c.
 */
#ifndef WEFT_CORE_EARLY_H
#define WEFT_CORE_EARLY_H

#include "src/lock.h"

#include <stdint.h>

struct task;
struct weft_runtime;

/* Tasks whose wake was claimed and that were not parked yet. runtime.early_count counts them, from
 * .none on. */
struct early {
	uint32_t none; /* immutable */
	struct weft__lock lock;
	struct task *first; /* under lock; linked by .link.opaque */
};

/* Leaves the wake of t, which the caller has claimed, to whoever parks it. Any thread. */
void weft__early_leave(struct task *t);

/* After a task of rt was parked, where early_count is not 0 then: makes those runnable whose wake
 * has come. By a worker of rt. */
void weft__early_parked(struct weft_runtime *rt);

/* After weft__fence_init(). */
void weft__early_init(struct weft_runtime *rt);

#endif
