/* SPDX-License-Identifier: MIT */
/*
 * What a compiled program has taken from the headers: sizes, places of members, values. None of it
 * changes any more, except that a struct which travels with its size grows at its end. If this file
 * does not compile, compiled programs break.
 *
 * The figures are those of LP64, which all supported processors have.
 */
#include <weft/weft.h>

#include <assert.h>
#include <limits.h>

#define SIZE(type, size, alignment)                                \
	static_assert(sizeof(type) == (size), #type ": its size"); \
	static_assert(_Alignof(type) == (alignment), #type ": its alignment")
#define PLACE(type, member, offset) \
	static_assert(offsetof(type, member) == (offset), #type ": where " #member " is")
#define VALUE(name, value) static_assert((name) == (value), #name)

int weft_sizes(void);

int weft_sizes(void)
{
	return 0;
}

#ifdef __LP64__

/* The content is Weft's. */
SIZE(weft_mutex, 48, 8);
SIZE(weft_cond, 48, 8);
SIZE(weft_rwlock, 48, 8);
SIZE(weft_sem, 48, 8);
SIZE(weft_barrier, 64, 8);
SIZE(weft_once, 48, 8);
SIZE(weft_latch, 48, 8);
SIZE(weft_event, 48, 8);
SIZE(weft_waitgroup, 48, 8);
SIZE(weft_timer, 192, 8);
SIZE(weft_group, 256, 8);
SIZE(weft_scope, 256, 16);
SIZE(weft_forked, 160, 16);
SIZE(weft_local, 8, 8);

/* These travel with their size, and may grow. (sched/inline.c keeps their first sizes.) */
SIZE(struct weft_runtime_options, 56, 8);
PLACE(struct weft_runtime_options, workers, 0);
PLACE(struct weft_runtime_options, stack_size, 8);
PLACE(struct weft_runtime_options, worker_start, 16);
PLACE(struct weft_runtime_options, worker_arg, 48);

SIZE(struct weft_task_options, 24, 8);
PLACE(struct weft_task_options, name, 0);
PLACE(struct weft_task_options, stack_size, 8);
PLACE(struct weft_task_options, pinned, 16);

SIZE(struct weft_stats, 144, 8);
PLACE(struct weft_stats, spawned, 0);
PLACE(struct weft_stats, live, 16);
PLACE(struct weft_stats, steals, 40);
PLACE(struct weft_stats, wakes, 80);
PLACE(struct weft_stats, timers, 120);
PLACE(struct weft_stats, blocking_waits, 136);

SIZE(struct weft_case, 32, 8);
PLACE(struct weft_case, op, 0);
PLACE(struct weft_case, chan, 8);
PLACE(struct weft_case, timer, 8);
PLACE(struct weft_case, elem, 16);
PLACE(struct weft_case, ret_status, 24);

#endif

SIZE(enum weft_op, sizeof(int), _Alignof(int));
VALUE(WEFT_SEND, 0);
VALUE(WEFT_RECV, 1);
VALUE(WEFT_TIMER, 2);
VALUE(WEFT_FOREVER, LLONG_MAX);
VALUE(WEFT_LOCAL_MAX, 1024);
