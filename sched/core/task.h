/* SPDX-License-Identifier: MIT */
/*
 * The task: a function given to the scheduler, with its state, its result and whoever waits for it.
 * It has no stack until it starts.
 *
 * Where a task is, and who may move it on:
 *
 *   unstarted   coro NULL; in a deque, ring, injection queue or inbox, in a sleeper's hand
 *               (worker.handed), or waiting for a stack (starve.c). Whoever takes it out of there
 *               runs it.
 *   running     worker->task of one worker, or a frame below an inline fork on that worker's stack.
 *   suspending  park SUSPENDING: still on its stack, its wait node visible. Only its own thread
 *               moves it on: the next one to run there sets PARKED. If its wait has been claimed it
 *               may be in the list of early wakes (early.c).
 *   parked      park PARKED: context saved. Whoever has claimed its wait owns it.
 *   runnable    coro set; in a next slot, ready ring, injection queue or inbox, or in a sleeper's
 *               hand. Whoever takes it resumes it.
 *   ended       join DONE: the memory is the joiner's (fork: the forker's), or freed if it was
 *               detached.
 */
#ifndef WEFT_CORE_TASK_H
#define WEFT_CORE_TASK_H

#include "sched/queue/urcu.h"
#include "src/coro.h"

#include <weft/fork.h>
#include <weft/task.h>

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

struct reserve;
struct waiter;
struct worker;

enum park {
	PARK_RUNNING,    /* no wait under way */
	PARK_SUSPENDING, /* a wait node is out, the context not saved yet */
	PARK_PARKED,     /* the context is saved; also once it is runnable again, until it runs */
};

/* What struct task.join holds besides a waiter's address. */
#define JOIN_NOBODY   ((uintptr_t)0) /* runs, nobody waits */
#define JOIN_DONE     ((uintptr_t)1) /* has ended; the result is published */
#define JOIN_DETACHED ((uintptr_t)2) /* nobody will wait */
#define JOIN_FREED    ((uintptr_t)3) /* in its pool's free list: a handle to it is a bug */

/* struct task.cancel */
#define CANCEL_REQUESTED 1u /* sticky */
#define CANCEL_BUSY      2u /* the lock under which a canceller may look at .waiting */
#define CANCEL_REACHED   4u /* a request for a task above it is set here too: family.h */
#define CANCEL_TIMED     8u /* a scope's: it has a deadline that nobody keeps yet (scope.h) */

/* struct task.flags */
#define TASK_FORK     1u   /* the memory is the forker's, who joins it and cannot give up */
#define TASK_MEMBER   2u   /* runs as a task of a group, which is .value until it ends */
#define TASK_BRANCHES 4u   /* may own branches: family.h */
#define TASK_ENDS     8u   /* keeps something to be done at its end: task_end() */
#define TASK_ORPHAN   16u  /* has forked the process, and this is the child: process.c */
#define TASK_SCOPE    32u  /* a scope of its parent, which is a fork's as well: scope.h */
#define TASK_PINNED   128u /* was spawned to run on one worker: counted in its .pinned */
#define TASK_IN_SCOPE 64u  /* a scope of its is open, which keeps meanwhile what it kept */

/* struct task.family of a task that is no fork has this besides. */
#define FAMILY_ROOT ((uintptr_t)1)

#define TASK_UNPINNED ((int16_t)-1)
#define TASK_NO_HOME  UINT16_MAX

/* What few tasks have. */
struct task_cold {
	struct reserve *reserve; /* of its stack size; NULL: the runtime's common size. Immutable */
	struct task_end *end;    /* what the task keeps: task_end() */
	char name[32];           /* immutable once the task is published */
};

struct task;

/*
 * What a member of a group is spawned with, besides its argument. The control block has room for
 * it while the task has not started, so a member needs no other memory. Its function, struct
 * task.fn, is the group's; it calls member_begin() first of all.
 */
struct membership {
	void *group;
	weft_fn *fn; /* the user's */
};

/* What a higher layer keeps with a task and wants to end with it. */
struct task_end {
	/* In t, on its stack, after its function; may hop. Calls task_set_end(t, NULL). */
	void (*run)(struct task *t);
};

struct task {
	union {
		/* The link of the one queue that holds it. */
		struct weft__wfcq_node link;
		/* Of a member of a group that ends, and whose result is kept. */
		struct task *next_result;
	};

	/* Immutable while it is unstarted; then of whoever runs it. */
	weft_fn *fn;
	void *value; /* the argument; the result once it has ended, published by join */

	/* Of whoever owns the task in its present state. */
	struct weft_runtime *rt;
	int16_t pin;   /* the worker that it must run on, or TASK_UNPINNED */
	uint16_t mask; /* depth of weft_cancel_mask() */
	uint16_t home; /* where it was suspended last, or got an uncommon stack; or TASK_NO_HOME */
	uint16_t flags;

	/* From here on all is 0 in a new task, except .family, and that a root is CANCEL_REACHED.
	 * What a short life needs comes first. */
	struct coro *coro; /* where to resume it; NULL: not started */
	/* Its struct task_cold, immutable once the task is published. Of a task without one: what it
	 * keeps, tagged, or 0 (the task; anyone who has a handle reads). */
	_Atomic(uintptr_t) extra;
	_Atomic(uintptr_t) join; /* JOIN_ or its waiter (the joiner; the task's end) */

	_Atomic uint8_t park;      /* enum park (the task, its thread's next, one waker) */
	_Atomic bool ending;       /* its end may look at its waiter (the end; a joiner) */
	_Atomic uint32_t cancel;   /* CANCEL_ (any; the task reads) */
	_Atomic uint64_t identity; /* 0: nobody has asked yet (any; identity.h) */
	/* its parent, or the forks that a canceller wakes (family.h). Of a member that has not
	 * started: its group */
	_Atomic(uintptr_t) family;
	union {
		/* its cancellable wait (the task; a canceller, which knows no unstarted member, reads) */
		_Atomic(struct waiter *) waiting;
		weft_fn *member_fn; /* of a member that has not started */
	};
} __attribute__((may_alias)); /* a fork's is the caller's weft_forked */

static inline struct task *task_of_link(struct weft__wfcq_node *link)
{
	return (struct task *)((char *)link - offsetof(struct task, link));
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

/* What task_prefetch() needs to know of a task, besides its address. By who owns it; touches
 * nothing but the task. */
static inline uintptr_t task_hint(const struct task *t)
{
	return coro_hint_cold(t->coro);
}

/* Has the lines loaded that resuming t touches. t may have been taken by another worker, and have
 * ended: as coro_prefetch(). */
static inline __attribute__((always_inline)) void task_prefetch(const void *t, uintptr_t hint)
{
	__builtin_prefetch((const char *)t + offsetof(struct task, coro), 1);
	__builtin_prefetch((const char *)t + offsetof(struct task, pin), 1);
	coro_prefetch(hint);
}

/* Puts the membership in. By who makes the task, after task_init(). */
static inline void member_put(struct task *t, const struct membership *member)
{
	/* relaxed, here and below: no canceller knows the task yet. */
	atomic_store_explicit(&t->family, (uintptr_t)member->group | FAMILY_ROOT,
			      memory_order_relaxed);
	t->member_fn = member->fn;
}

/* Takes the membership out, by the member that starts. From then on messages name the user's
 * function. */
static inline struct membership member_begin(struct task *t)
{
	uintptr_t group = atomic_load_explicit(&t->family, memory_order_relaxed) & ~FAMILY_ROOT;
	struct membership member = {(void *)group, t->member_fn};

	t->fn = member.fn;
	atomic_store_explicit(&t->family, FAMILY_ROOT, memory_order_relaxed);
	atomic_store_explicit(&t->waiting, NULL, memory_order_relaxed);
	return member;
}

/* struct task.extra of a task that has no cold part, but something to be done at its end. */
#define EXTRA_END ((uintptr_t)1)

/* NULL: it has none. Anyone who may touch the task. */
static inline struct task_cold *task_cold(const struct task *t)
{
	/* relaxed: a cold part was there when the task was published. */
	uintptr_t extra = atomic_load_explicit(&t->extra, memory_order_relaxed);

	return extra & EXTRA_END ? NULL : (struct task_cold *)extra;
}

/* Of a task that nobody else sees. */
static inline void task_set_cold(struct task *t, struct task_cold *cold)
{
	/* relaxed: published with the task. */
	atomic_store_explicit(&t->extra, (uintptr_t)cold, memory_order_relaxed);
}

/* What t keeps, or NULL. By t. */
static inline struct task_end *task_end(const struct task *t)
{
	if (!(t->flags & TASK_ENDS))
		return NULL;
	/* relaxed: our own. */
	uintptr_t extra = atomic_load_explicit(&t->extra, memory_order_relaxed);
	return extra & EXTRA_END ? (struct task_end *)(extra - EXTRA_END)
				 : ((struct task_cold *)extra)->end;
}

/* Keeps that in its place. By t. */
static inline void task_set_end(struct task *t, struct task_end *end)
{
	struct task_cold *cold = task_cold(t);

	/* relaxed: only we look into it. */
	if (cold)
		cold->end = end;
	else
		atomic_store_explicit(&t->extra, end ? (uintptr_t)end | EXTRA_END : 0,
				      memory_order_relaxed);
	t->flags = (uint16_t)((t->flags & ~TASK_ENDS) | (end ? TASK_ENDS : 0));
}

/* Hands what a task has on to one that stands for it from now on. By `from`. */
static inline void task_pass_extra(struct task *from, struct task *to)
{
	/* relaxed, both: our own. */
	atomic_store_explicit(&to->extra, atomic_load_explicit(&from->extra, memory_order_relaxed),
			      memory_order_relaxed);
	to->flags = (uint16_t)((to->flags & ~TASK_ENDS) | (from->flags & TASK_ENDS));
}

/* scope.c: t's function has returned in an open scope. */
_Noreturn void weft__end_in_scope(struct task *t);

static_assert(offsetof(struct task, flags) == offsetof(struct task, home) + 2 &&
		      offsetof(struct task, home) % 4 == 0,
	      "the two are one word");
static_assert(sizeof(void *) != 8 || sizeof(struct task) == 96, "one line and a half");

/* Whether a fork that has run as a call has never left its worker, and has no end, branches or the
 * like: one comparison for all. */
static inline bool task_is_plain_fork(const struct task *t)
{
	const uint16_t plain[2] = {TASK_NO_HOME, TASK_FORK};
	uint32_t word, plain_word;

	memcpy(&word, &t->home, sizeof word);
	memcpy(&plain_word, plain, sizeof plain_word);
	return word == plain_word;
}

/* After the task's function, in the task. The caller may be on another worker afterwards. */
static inline void task_run_end(struct task *t)
{
	if (__builtin_expect(t->flags & TASK_IN_SCOPE, 0))
		weft__end_in_scope(t);
	if (__builtin_expect(t->flags & TASK_ENDS, 0))
		task_end(t)->run(t);
}

/* The reserve of the stack size that it asked for; NULL: the common size. Of a task that has not
 * begun its function. */
static inline struct reserve *task_reserve(const struct task *t)
{
	/* relaxed: it came with the task, through a queue. */
	uintptr_t extra = atomic_load_explicit(&t->extra, memory_order_relaxed);

	return extra ? ((struct task_cold *)extra)->reserve : NULL;
}

/* The same of a task that may have begun, and then keeps something where others have the cold part. By
 * who has its handle. */
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

/* Fills in a task that is visible to nobody yet. Who forks sets .family, too. */
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
	/* A few wide stores. Plain ones: whoever sees the task got it through a queue, which
	 * publishes it. */
	memset(&t->coro, 0, sizeof *t - offsetof(struct task, coro));
	/* relaxed, all: as above. */
	if (join != JOIN_NOBODY)
		atomic_store_explicit(&t->join, join, memory_order_relaxed);
	if (!(flags & TASK_FORK)) {
		atomic_store_explicit(&t->cancel, CANCEL_REACHED, memory_order_relaxed);
		atomic_store_explicit(&t->family, FAMILY_ROOT, memory_order_relaxed);
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
 * task_init() of a fork, with .family. A fork is mostly stores, so there are as few of them as can be.
 * Compilers do not see to that by themselves. None of the wide ones crosses a line, as weft_forked
 * is aligned to 16 bytes.
 */
static inline __attribute__((always_inline)) void
task_init_fork(struct task *t, struct weft_runtime *rt, weft_fn *fn, void *arg, struct task *parent)
{
	if (sizeof(void *) != 8) {
		task_init(t, rt, fn, arg, JOIN_NOBODY, TASK_FORK);
		atomic_store_explicit(&t->family, (uintptr_t)parent, memory_order_relaxed);
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
