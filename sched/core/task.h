/* SPDX-License-Identifier: MIT */
/*
 * The task: a function that was given to the scheduler, with its state, its result and its joiner.
 * It has no stack until it starts.
 *
 * The states of a task, and the one that may move it on:
 *
 *   unstarted   coro is NULL. It is in a deque, ring, injection queue or inbox, in a sleeper's hand
 *               (worker.sleep.handed), or in the queue for stacks (starve.c). The worker that
 *               takes it out runs it.
 *   running     It is worker->task of one worker, or a frame below an inline fork on that worker's
 *               stack.
 *   suspending  park is SUSPENDING. It is still on its stack, and its wait node is visible. Only
 *               its own thread moves it on: the code that runs next there sets PARKED. If its wait
 *               has been claimed it may be in the list of early wakes (early.c).
 *   parked      park is PARKED, and its context is saved. The thread that claimed its wait owns it.
 *   runnable    coro is set. It is in a next slot, ready ring, injection queue or inbox, or in a
 *               sleeper's hand. The worker that takes it resumes it.
 *   ended       join is DONE. The memory belongs to the joiner, or to the forker of a fork. It is
 *               freed if the task was detached.
 */
#ifndef WEFT_CORE_TASK_H
#define WEFT_CORE_TASK_H

#include "sched/queue/urcu.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/coro.h"

#include <weft/fork.h>
#include <weft/task.h>

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct reserve;
struct waiter;
struct worker;

/*
 * Where a task's wait is:
 *
 *              wait_begin_by()              park_outgoing()
 *   RUNNING ───────────────────► SUSPENDING ───────────────► PARKED
 *    ▲   ▲                            │                        │
 *    │   └────────────────────────────┘                        │
 *    │     weft__wait_abandon(),                               │
 *    │     end_unsuspended()                                   │
 *    └─────────────────────────────────────────────────────────┘
 *          the task itself, after it was resumed (wait.c)
 */
enum park {
	PARK_RUNNING,    /* no wait is under way */
	PARK_SUSPENDING, /* a wait node is visible, and the context is not saved yet */
	PARK_PARKED,     /* the context is saved; also while it is runnable again, until it runs */
};

/* Values of struct task.join, which otherwise is a waiter's address. */
#define JOIN_NOBODY   ((uintptr_t)0) /* the task has not ended, and nobody waits for it */
#define JOIN_DONE     ((uintptr_t)1) /* the task has ended, and the result is published */
#define JOIN_DETACHED ((uintptr_t)2) /* nobody will wait for the task */
/* The block is in its pool's free list: a handle to it is a bug. */
#define JOIN_FREED ((uintptr_t)3)

/* Flags of struct task.cancel. */
#define CANCEL_REQUESTED 1u /* never cleared */
#define CANCEL_BUSY      2u /* a lock: its holder, a canceller, may look at .waiting */
#define CANCEL_REACHED   4u /* a request for a task above it is set here too (family.h) */
#define CANCEL_TIMED     8u /* a scope with a deadline that nobody keeps yet (scope.h) */

/* Flags of struct task.flags. */
#define TASK_FORK     1u   /* the memory is the forker's, which joins it and cannot give up */
#define TASK_MEMBER   2u   /* a task of a group, which is .value until the task ends */
#define TASK_BRANCHES 4u   /* may own branches (family.h) */
#define TASK_ENDS     8u   /* keeps something to do at its end: task_end() */
#define TASK_ORPHAN   16u  /* has forked the process, and this is the child (process.c) */
#define TASK_SCOPE    32u  /* a scope of its parent; it is a fork, too (scope.h) */
#define TASK_PINNED   128u /* was spawned for one worker, and is counted in its .pinned */
#define TASK_IN_SCOPE 64u  /* has an open scope, which holds what the task keeps meanwhile */

/* The tag of struct task.family in a task that is not a fork. */
#define FAMILY_ROOT ((uintptr_t)1)

#define TASK_UNPINNED ((int16_t)-1)
#define TASK_NO_HOME  UINT16_MAX

/* The parts that few tasks have. */
struct task_cold {
	/* The reserve of its stack size; NULL: the common size. Immutable. */
	struct reserve *reserve;
	struct task_end *end; /* what the task keeps for its end: task_end() */
	char name[32];        /* immutable once the task is published */
};

struct task;

/*
 * What a member of a group is spawned with, besides its argument. An unstarted task's control block
 * has room for it, so a member needs no other memory. The member's function, struct task.fn, is the
 * group's. It calls member_begin() first.
 */
struct membership {
	void *group;
	weft_fn *fn; /* the user's function */
};

/* Something that a higher layer keeps with a task, and that ends with the task. */
struct task_end {
	/* Runs in t, on its stack, after its function. It may hop, and calls task_set_end(t,
	 * NULL). */
	void (*run)(struct task *t);
};

/* The letters of the access rules are those of worker.h. The owner is whoever owns the task in its
 * present state: see the top of this file. */
struct task {
	union {
		/* O: the link of the one queue that holds the task. */
		struct weft__wfcq_node link;
		/* O: the next result, if the task is a group's member that has ended and its result
		 * is kept. */
		struct task *next_result;
	};

	/* O */
	weft_fn *fn;
	void *value;             /* the argument; after the end the result, published by join */
	struct weft_runtime *rt; /* I, but NULL in a fork that is joined */
	int16_t pin;             /* the worker that it must run on, or TASK_UNPINNED */
	uint16_t mask;           /* depth of weft_cancel_mask() */
	/* The worker where it last suspended or got an uncommon stack, or TASK_NO_HOME. */
	uint16_t home;
	uint16_t flags;

	/* All of the following is 0 in a new task, except .family, and .cancel of a root, which is
	 * CANCEL_REACHED. The fields of a short life come first. */
	struct coro *coro; /* O: where to resume it; NULL: it has not started */
	/* S: its struct task_cold, immutable once the task is published. A task without one has
	 * here what it keeps, tagged, or 0. The task writes that; every holder of a handle reads
	 * it. */
	_Atomic(uintptr_t) extra;
	/* A: JOIN_, or the joiner's waiter (the joiner; the task's end): join.c. */
	_Atomic(uintptr_t) join;

	/* S: an enum park. The task and the code that runs next on its thread write it, its waker
	 * reads it: wait.h. */
	_Atomic uint8_t park;
	_Atomic bool ending;       /* S: its end may look at the joiner's waiter (join.c) */
	_Atomic uint32_t cancel;   /* A: CANCEL_ (cancel.c) */
	_Atomic uint64_t identity; /* A: 0: nobody has asked for it (identity.h) */
	/* Its parent (I), or the forks that a canceller wakes (A: family.h). A member that has not
	 * started has its group here. */
	_Atomic(uintptr_t) family;
	union {
		/* S: its cancellable wait; a canceller reads it (cancel.c). No canceller knows an
		 * unstarted member. */
		_Atomic(struct waiter *) waiting;
		weft_fn *member_fn; /* the user's function of a member that has not started */
	};
} __attribute__((may_alias)); /* a fork's memory is the caller's weft_forked */

static inline struct task *task_of_link(struct weft__wfcq_node *link)
{
	return container_of(link, struct task, link);
}

static inline struct task *task_of_handle(weft_task *handle)
{
	return (struct task *)handle;
}

static inline struct task *task_of_fork(weft_forked *storage)
{
	return (struct task *)storage;
}

static inline weft_task *task_handle(struct task *t)
{
	return (weft_task *)t;
}

/* What task_prefetch() needs to know of a task, besides its address. The caller owns the task.
 * Touches nothing but the task. */
static inline uintptr_t task_hint(const struct task *t)
{
	return coro_hint_cold(t->coro);
}

/* Prefetches the lines that resuming t touches. Another worker may have taken t, and t may have
 * ended: see coro_prefetch(). */
static inline __attribute__((always_inline)) void task_prefetch(const void *t, uintptr_t hint)
{
	__builtin_prefetch((const char *)t + offsetof(struct task, coro), 1);
	__builtin_prefetch((const char *)t + offsetof(struct task, pin), 1);
	coro_prefetch(hint);
}

/* Stores the membership in a new task. By its maker, after task_init(). */
static inline void member_put(struct task *t, const struct membership *member)
{
	/* relaxed, here and below: no canceller knows the task yet. */
	store_relaxed(&t->family, (uintptr_t)member->group | FAMILY_ROOT);
	t->member_fn = member->fn;
}

/* Takes the membership out. By the member as it starts. From then on messages name the user's
 * function. */
static inline struct membership member_begin(struct task *t)
{
	uintptr_t group = load_relaxed(&t->family) & ~FAMILY_ROOT;
	struct membership member = {(void *)group, t->member_fn};

	t->fn = member.fn;
	store_relaxed(&t->family, FAMILY_ROOT);
	store_relaxed(&t->waiting, NULL);
	return member;
}

/* The tag of struct task.extra in a task without a cold part that keeps something for its end. */
#define EXTRA_END ((uintptr_t)1)

/* The cold part, or NULL. By anyone who may touch the task. */
static inline struct task_cold *task_cold(const struct task *t)
{
	/* relaxed: a cold part was there when the task was published. */
	uintptr_t extra = load_relaxed(&t->extra);

	return extra & EXTRA_END ? NULL : (struct task_cold *)extra;
}

/* Sets the cold part of a task that nobody else sees. */
static inline void task_set_cold(struct task *t, struct task_cold *cold)
{
	/* relaxed: published with the task. */
	store_relaxed(&t->extra, (uintptr_t)cold);
}

/* What t keeps for its end, or NULL. By t. */
static inline struct task_end *task_end(const struct task *t)
{
	if (!(t->flags & TASK_ENDS))
		return NULL;
	/* relaxed: our own. */
	uintptr_t extra = load_relaxed(&t->extra);
	return extra & EXTRA_END ? (struct task_end *)(extra - EXTRA_END)
				 : ((struct task_cold *)extra)->end;
}

/* Replaces what t keeps for its end. By t. */
static inline void task_set_end(struct task *t, struct task_end *end)
{
	struct task_cold *cold = task_cold(t);

	/* relaxed: only we read it. */
	if (cold)
		cold->end = end;
	else
		store_relaxed(&t->extra, end ? (uintptr_t)end | EXTRA_END : 0);
	t->flags = (uint16_t)((t->flags & ~TASK_ENDS) | (end ? TASK_ENDS : 0));
}

/* Gives what `from` has to `to`, which stands for it from now on. By `from`. */
static inline void task_pass_extra(struct task *from, struct task *to)
{
	/* relaxed, both: our own. */
	store_relaxed(&to->extra, load_relaxed(&from->extra));
	to->flags = (uint16_t)((to->flags & ~TASK_ENDS) | (from->flags & TASK_ENDS));
}

static_assert(offsetof(struct task, flags) == offsetof(struct task, home) + 2 &&
		      offsetof(struct task, home) % 4 == 0,
	      "the two are one word");
static_assert(sizeof(void *) != 8 || sizeof(struct task) == 96, "one line and a half");

/* Whether a fork that ran as a call never left its worker, and has no flag set but TASK_FORK. One
 * comparison tests both. */
static inline bool task_is_plain_fork(const struct task *t)
{
	const uint16_t plain[2] = {TASK_NO_HOME, TASK_FORK};
	uint32_t word, plain_word;

	memcpy(&word, &t->home, sizeof word);
	memcpy(&plain_word, plain, sizeof plain_word);
	return word == plain_word;
}

/* The reserve of the stack size that the task asked for; NULL: the common size. For a task that has
 * not begun its function. */
static inline struct reserve *task_reserve(const struct task *t)
{
	/* relaxed: it came with the task, through a queue. */
	uintptr_t extra = load_relaxed(&t->extra);

	return extra ? ((struct task_cold *)extra)->reserve : NULL;
}

/* The same for a task that may have begun: .extra may then be something that the task keeps. By a
 * holder of its handle. */
static inline struct reserve *task_reserve_at_any_time(const struct task *t)
{
	const struct task_cold *cold = task_cold(t);

	return cold ? cold->reserve : NULL;
}

static inline const char *task_name(const struct task *t)
{
	const struct task_cold *cold = task_cold(t);

	return cold ? cold->name : "";
}

/* Fills in a task that nobody else sees. The caller also sets .family of a fork. */
static inline void task_init(struct task *t, struct weft_runtime *rt, weft_fn *fn, void *arg,
			     uintptr_t join, uint16_t flags)
{
	t->fn = fn;
	t->value = arg;
	t->rt = rt;
	t->pin = TASK_UNPINNED;
	t->home = TASK_NO_HOME;
	t->mask = 0;
	t->flags = flags;
	/* A few wide stores. Plain ones suffice: the task reaches others through a queue, which
	 * publishes it. */
	memset(&t->coro, 0, sizeof *t - offsetof(struct task, coro));
	/* relaxed, all: as above. */
	if (join != JOIN_NOBODY)
		store_relaxed(&t->join, join);
	if (!(flags & TASK_FORK)) {
		store_relaxed(&t->cancel, CANCEL_REACHED);
		store_relaxed(&t->family, FAMILY_ROOT);
	}
}

/* Two words of a task, to be stored at once. */
typedef uint64_t task_words __attribute__((vector_size(16), aligned(8), may_alias));

#define TASK_WORDS(t, field) ((task_words *)((char *)(t) + offsetof(struct task, field)))

static_assert(sizeof(void *) != 8 ||
		      (offsetof(struct task, coro) == offsetof(struct task, pin) + 8 &&
		       offsetof(struct task, park) == offsetof(struct task, extra) + 16 &&
		       offsetof(struct task, family) == offsetof(struct task, park) + 16 &&
		       offsetof(struct task, waiting) == offsetof(struct task, family) + 8),
	      "task_init_fork() stores all of them");

/*
 * task_init() of a fork, with .family. Most of a fork's cost is stores, so this uses as few as
 * possible, which compilers do not achieve by themselves. weft_forked is aligned to 16 bytes, so no
 * wide store crosses a cache line.
 */
static inline __attribute__((always_inline)) void
task_init_fork(struct task *t, struct weft_runtime *rt, weft_fn *fn, void *arg, struct task *parent)
{
	if (sizeof(void *) != 8) {
		task_init(t, rt, fn, arg, JOIN_NOBODY, TASK_FORK);
		store_relaxed(&t->family, (uintptr_t)parent);
		return;
	}
	const union {
		struct {
			int16_t pin;
			uint16_t mask, home, flags;
		};
		uint64_t word;
	} fresh = {{TASK_UNPINNED, 0, TASK_NO_HOME, TASK_FORK}};

	t->fn = fn;
	t->value = arg;
	t->rt = rt;
	/* Plain stores, as in task_init(). */
	*TASK_WORDS(t, pin) = (task_words){fresh.word, 0};
	*TASK_WORDS(t, extra) = (task_words){0, 0};
	*TASK_WORDS(t, park) = (task_words){0, 0};
	*TASK_WORDS(t, family) = (task_words){(uintptr_t)parent, 0};
}

#endif
