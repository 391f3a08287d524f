/* SPDX-License-Identifier: MIT */
/*
 * enum sleep_state of sched/core/worker.h. The picture of these states is in sched/core/idle.c. The
 * including model has the array `state`, with an entry for each worker.
 */
#define RUNNING          0
#define SEARCHING        1
#define LOOKING_LAST     2
#define ASLEEP           3
#define TAKEN            4
#define ROUSED_TO_SEARCH 5
#define ROUSED_TO_WATCH  6
#define ROUSED_WITH_TASK 7

/* is_listed() of sched/core/sleepers.h. */
#define LISTED(w) (state[w] == LOOKING_LAST || state[w] == ASLEEP)
#define ROUSED(w) (state[w] >= ROUSED_TO_SEARCH)
