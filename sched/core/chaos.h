/* SPDX-License-Identifier: MIT */
/*
 * WEFT_CHAOS: schedules that rarely happen by themselves, from a seed. At the scheduling points a worker rolls dice:
 * tasks are sent to other workers, picks take an unusual order, threads give their processor away. With "hop" every
 * resume is on another worker than the one the task was suspended on, whenever there are two.
 */
#ifndef WEFT_CORE_CHAOS_H
#define WEFT_CORE_CHAOS_H

#include "worker.h"

/* Sends a task that w makes runnable to another worker's inbox, perhaps: true. */
bool weft__chaos_send_away(struct worker *w, struct task *t);

/* At a pick: loses time, perhaps. true: the pick is to be a fair one. */
bool weft__chaos_pick(struct worker *w);

#endif
