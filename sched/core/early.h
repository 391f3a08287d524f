/* SPDX-License-Identifier: MIT */
/*
 * Early wakes: wakes that come before their task is parked. See early.c.
 */
#ifndef WEFT_CORE_EARLY_H
#define WEFT_CORE_EARLY_H

#include "src/base/lock.h"

#include <stdint.h>

struct task;
struct weft_runtime;

/* The tasks whose wake came before they were parked. runtime.early_count counts them, and begins at
 * .none. */
struct early {
	uint32_t none; /* immutable */
	struct weft__lock lock;
	struct task *first; /* under lock; the tasks are linked by .link.opaque */
};

/* Leaves the wake of t to the worker that parks t. The caller has claimed that wake. Any thread may
 * call it. */
void weft__early_put(struct task *t);

/* Makes the parked tasks of the list runnable. A worker of rt calls it after it has parked a task,
 * if early_count is not 0 then. */
void weft__early_parked(struct weft_runtime *rt);

/* Call it after weft__fence_init(). */
void weft__early_init(struct weft_runtime *rt);

#endif
