/* SPDX-License-Identifier: MIT */
/*
 * The runtime: what its workers share.
 */
#ifndef WEFT_CORE_RUNTIME_H
#define WEFT_CORE_RUNTIME_H

#include "config.h"
#include "early.h"
#include "hooks.h"
#include "reserve.h"
#include "sched/os/cacheline.h"
#include "sched/os/membarrier.h"
#include "sched/os/thread.h"
#include "src/depot.h"
#include "timekeeper.h"
#include "worker.h"

#include <weft/runtime.h>

#define WORKERS_MAX WEFT__WORKERS_MAX

/* A runnable task with p others before it in its queue is picked after at most this many times p +
 * 1 picks of the worker that holds it (pick.c). */
#define WEFT__FAIR_BOUND 256

/* The workers that have a thread, in no particular order. RCU: replaced as a whole, under
 * runtime.admin. */
struct worker_table {
	struct worker_table *retired_next;
	unsigned count;
	struct worker *workers[];
};

/* What a higher layer keeps with a runtime and wants to end with it. */
struct attachment {
	void (*end)(struct attachment *a); /* nothing is live any more; the records still are */
};

enum { ATTACHED_BLOCKING, ATTACHED_COUNT };

/* What runtime.idle holds: how many workers search, in the low half; in the high half how many
 * sleep, or DUE. */
#define SEARCHER     UINT64_C(1)
#define SLEEPER      (UINT64_C(1) << 32)
#define CHANCE       (UINT64_C(1) << 62) /* WEFT_CHAOS is on; never changes */
#define DUE          (UINT64_C(1) << 63) /* the next pick of any worker is to serve: due.c */
#define SEARCHERS(i) ((uint32_t)(i))
#define SLEEPERS(i)  ((uint32_t)((i) >> 32) & 0x3fffffff)

/*
 * Grouped by who writes. A group that is written begins a cache line of its own, so that nobody's
 * reads miss because of writes to another group (tests/sched/core/layout.c). The first group is
 * what hot paths read: every pick, fork, spawn and suspension.
 */
struct weft_runtime {
	/* Immutable, or written as rarely as workers are added. */
	struct weft__config config;
	bool borrowed; /* worker 0 is the thread that called weft_run() */
	/* the first task of weft_run(), whose handle nobody need have; NULL: not of weft_run() */
	struct task *first;
	unsigned searchers_max;       /* immutable */
	_Atomic uint32_t starving;    /* stacks are short: spawning asks first (starve.c); set under
				    * starved_lock or by anyone, cleared under it */
	_Atomic uint32_t early_count; /* not 0: whoever parks a task looks closer (early.c) */
	_Atomic(void *) table;        /* struct worker_table (RCU) */
	_Atomic unsigned target;      /* how many workers it has been told to have */
	_Atomic unsigned record_count; /* release when a record is added; anyone reads */
	/* set once (release); NULL: none */
	_Atomic(struct attachment *) attached[ATTACHED_COUNT];
	_Atomic bool closing;     /* stop when nothing is live any more */
	_Atomic uint32_t stopped; /* nothing is live any more and nothing will be (futex) */
	/* Every worker there ever was, by id: the first record_count (under admin). */
	struct worker *records[WORKERS_MAX];
	struct weft__thread_traits traits; /* immutable: of its threads, and its creator's */
	struct hooks hooks;                /* immutable */

	/* Written by workers that begin or cease to search or to sleep: see park.c. Read by every
	 * fork and wake. */
	_Alignas(WEFT__CACHE_LINE) _Atomic uint64_t idle; /* searchers and sleepers, in one */
	_Atomic uint32_t watching;                        /* a worker watches the next slots */
	_Atomic bool post_left; /* a post of who keeps time was left; the last searcher looks */
	_Atomic int64_t keeper_deadline; /* until when the keeper sleeps; WEFT_FOREVER: there is
					  * none */

	/* Written by the same workers, but read by them alone: under idle_lock. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock idle_lock;
	unsigned awake_count;    /* workers with a thread that are not on the list */
	struct worker *sleepers; /* last in first out */
	struct worker *keeper;   /* the sleeper that waits for the earliest deadline */

	/* Written by who arms the earliest deadline while nobody sleeps. */
	_Alignas(WEFT__CACHE_LINE) struct timekeeper timekeeper;

	/* Written by threads that are no worker of it, at each call. */
	_Alignas(WEFT__CACHE_LINE) _Atomic unsigned visitors; /* such threads, at work in it */
	_Atomic uint64_t injected_spawned;                    /* tasks accepted from them */
	struct weft__lock outside_lock;
	struct task_pool outside_tasks; /* under outside_lock: control blocks for their tasks */

	/* Written by any thread that hands over a task, and by workers that take some. */
	struct weft__wfcq injection;

	/* Written by any worker, where stacks are short (starve.c) or wakes come early (early.c),
	 * and by workers that come and go. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock starved_lock;
	_Atomic unsigned starved_count; /* written under the lock; anyone reads */
	struct task *starved_head;      /* under starved_lock; linked by .link.opaque: unstarted
					 * tasks for which no stack could be had */
	struct task **starved_tail;     /* under starved_lock */
	struct reserve common;          /* coroutines kept back: see reserve.h */
	struct reserve *uncommon;       /* under starved_lock */
	_Atomic bool stack_wait_told;   /* that tasks wait for stacks was said on stderr */
	struct early early;             /* wakes that came before their task was parked */
	struct weft__lock admin;
	bool over; /* under admin: its threads are being joined; none is added any more */
	struct worker_table *retired_tables; /* under admin */

	/* Written by workers that need many stacks, or need none any more. */
	struct depot depot; /* coroutines without a task */
};

/* The table, inside of an RCU read-side section. */
static inline struct worker_table *worker_table(struct weft_runtime *rt)
{
	return weft__rcu_load(&rt->table);
}

/* Whether what the point of WEFT_CHAOS names is to be done. w: NULL, or the caller's. */
static inline bool chaos_at(struct worker *w, enum chaos_point point)
{
	return w && __builtin_expect(w->rt->config.chaos.on, 0) && weft__chaos_strikes(w, point);
}

/* execute.c: how tasks are run. */

/*
 * Suspends the task that runs on w, with what is to become of it, and runs next (NULL: the leader).
 * Returns the worker that resumed it.
 */
struct worker *weft__suspend(struct worker *w, enum leave leave, struct task *next);

/* The same for a next that has not started, and a w that keeps a coroutine for it. */
struct worker *weft__suspend_to_start(struct worker *w, enum leave leave, struct task *next);

/* Runs t on w, from its leader, until the leader is switched to again. */
void weft__execute(struct worker *w, struct task *t);

/* Where a pick takes the stack from on which an unstarted task is to run. */
enum stack_for {
	STACK_GET,     /* one that w keeps, or a new one */
	STACK_AT_HAND, /* one that w keeps; else the pick is put off: the caller's wait has begun */
	STACK_OWN,     /* of the common size: the caller's own */
};

/* Whether w keeps a coroutine for a task of the common stack size. */
bool weft__coro_at_hand_in_chain(struct worker *w);

static inline bool weft__coro_at_hand(struct worker *w)
{
	return w->idle_coros || (w->idle_chain && weft__coro_at_hand_in_chain(w));
}

/* Between the begin of a wait and the switch nothing slow may be done: its waker is held up, if
 * only for a moment, and the task until it is parked. */
static inline void weft__assert_may_be_slow(const struct worker *w)
{
	assert(w->leave != LEAVE_PARK);
	/* The memory of a task that has ended may be another one's by now. */
	assert(!w->task || w->task == w->over ||
	       atomic_load_explicit(&w->task->park, memory_order_relaxed) != PARK_SUSPENDING);
	(void)w;
}

/* Whether w can start a task of the common stack size: has a stack ready, or gets one now. */
bool weft__can_start(struct worker *w);

/* Whether w can run t now: it has started, or a stack for it is there. */
bool weft__can_start_task(struct worker *w, struct task *t);

/* Frees the coroutines that w keeps ready. */
void weft__drop_idle_coros(struct worker *w);

/* trim.c: how often weft_trim() was called (relaxed). */
extern _Atomic unsigned weft__trims __attribute__((visibility("hidden")));

/* Before w sleeps, drops what it keeps if weft_trim() was called since it last did. */
void weft__trim_worker(struct worker *w);

/* Before w sleeps: it keeps a chain of coroutines at most; another one goes to the depot, which may
 * then be due earlier. */
void weft__shed_coros(struct worker *w);

/* The stacks that w keeps ready have no memory but for the pages that most tasks use. */
void weft__cool_coros(struct worker *w);

/* The bottom frame of every task's stack. */
void weft__task_main(void *value);

/* join.c: as weft_join(), for a task that nobody else can join, and that is on the way to its end and
 * waits for nothing any more. Does not suspend. Any thread; the runtime is there until the return. */
void weft__join_ending(struct task *t, void **ret_result);

/* ready.c: making tasks runnable. */

/* Puts a task that was suspended where it will be resumed. The caller owns it. Any thread. */
void weft__ready(struct task *t);

/* As weft__ready(), by a worker of its runtime, without precedence over what is there already. */
void weft__ready_tail(struct worker *w, struct task *t);

/* Puts a new task of w's runtime where it will be started. */
void weft__start_later(struct worker *w, struct task *t);

/* weft__start_later_unpinned() where the deque's array is full. */
void weft__start_later_full(struct worker *w, struct task *t);

/* After an unstarted task was put into w's deque (rouse.c): wakes for it whom it needs. */
void weft__announce_start(struct worker *w);

/* weft__announce_start() where idle says that it is needed. */
void weft__announce_start_if_unsearched(struct worker *w);

/*
 * weft__start_later() for a task that is not pinned: without a call as long as nobody sleeps and
 * nothing is due. The look at idle here is the one of weft__announce() and weft__announce_slot(), which agree that
 * nobody is to be woken for anything; only where it says otherwise it matters which of them it is,
 * and that one looks again.
 *
 * @fence_is_free  weft__fence_light_is_free(), for a caller that knows it to be.
 */
static inline __attribute__((always_inline)) void
weft__start_later_unpinned(struct worker *w, struct task *t, bool fence_is_free)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = atomic_load_explicit(&w->deque.bottom, memory_order_relaxed);

	if (__builtin_expect(bottom == w->deque.full, 0)) {
		weft__start_later_full(w, t);
		return;
	}
	weft__deque_put(&w->deque, bottom, t);
	weft__fence_light_if(fence_is_free); /* store-load race with weft__sleep(): see park.c */
	/* relaxed: the fence orders it. */
	if (__builtin_expect(atomic_load_explicit(&w->rt->idle, memory_order_relaxed) >> 32 != 0,
			     0))
		weft__announce_start_if_unsearched(w);
}

/* Hands a task to the pool as a whole. Any thread. */
void weft__inject(struct weft_runtime *rt, struct task *t);

/* As weft__ready(), by a worker of its runtime that looks for what is due: into the injection
 * queue, ahead of what this worker has queued. The caller tells the others. */
void weft__ready_due(struct worker *w, struct task *t);

/* As weft__inject(), by a thread that is no worker of rt: to one that sleeps, if nobody searches.
 * See visit_begin(). */
void weft__inject_from_outside(struct weft_runtime *rt, struct task *t);

/* starve.c: tasks for which there is no stack. */

/* Other memory than a stack has been refused: what is free in pools is given back, and so is what
 * workers that sleep have kept. Returns -ENOMEM. Any thread. */
int weft__note_shortage(struct weft_runtime *rt);

/* w has asked for a stack: whether it got one. */
void weft__note_stack(struct worker *w, bool got);

/* w has found tasks to start, and no stack for them: counts that, and says so once. */
void weft__note_stack_wait(struct worker *w);

/* Keeps an unstarted task until there is a stack for it. */
void weft__starved_put(struct worker *w, struct task *t);

/* One that has waited and that w can start now, or NULL. */
struct task *weft__starved_take(struct worker *w);

/* While runtime.starving is set: whether a new task is to be refused. w: NULL on a thread that is
 * none of its workers. */
bool weft__refuses_tasks(struct weft_runtime *rt, struct worker *w);

/* Whether stacks are so short that a new task is to be refused. */
static inline bool out_of_stacks(struct weft_runtime *rt, struct worker *w)
{
	/* relaxed: a hint that costs nothing while there are stacks. */
	return __builtin_expect(atomic_load_explicit(&rt->starving, memory_order_relaxed) != 0,
				0) &&
	       weft__refuses_tasks(rt, w);
}

/*
 * Visitors: threads at work in rt that are no workers of it. The runtime's end waits until all of
 * them have left. Without this it could free what they still look at:
 *
 *   - A thread that submits, wakes or joins makes a task runnable, or lets one go on. That task may
 *     be the last one.
 *   - A thread that detaches, counts or resizes may be overtaken by the last task's end.
 *
 * A count protects only if it is raised while the runtime is certainly alive. The public rule
 * (runtime.h) is that something keeps the runtime alive until a call from outside takes effect. So
 * a call raises the count before it does anything that others can see. What follows from its effect
 * comes after the count, and so does the end of the runtime.
 *
 * weft_cancel() is no visitor. The task that it cancels waits for it (cancel.c), and the runtime's
 * end for the task. A call that reads one word of the runtime needs no visit either: the visit would be a
 * second such access.
 */
static inline void visit_begin(struct weft_runtime *rt)
{
	/* relaxed: the queue or the registered joiner publishes it, before the task can end. */
	atomic_fetch_add_explicit(&rt->visitors, 1, memory_order_relaxed);
}

static inline void visit_end(struct weft_runtime *rt)
{
	/* release: our last look at the runtime, for the acquire in weft__workers_join(). */
	atomic_fetch_sub_explicit(&rt->visitors, 1, memory_order_release);
}

/* pick.c: a worker's own picks. What these return can run at once: it has started, or w has a stack
 * for it. */

/*
 * The next task from w's own queues: cheap, no stealing. NULL also when the leader is to make a
 * fair pick, or this one.
 */
struct task *weft__pick_local(struct worker *w, enum stack_for stack);

/* The leader is to make this pick, which has taken t, if not NULL, out of its queue. */
void weft__put_off(struct worker *w, struct task *t);

/* Lets the others have their turn: the task that runs on w goes to the tail of w's queue. Returns
 * the worker on which it goes on. */
static inline struct worker *give_way(struct worker *w)
{
	struct task *next = weft__pick_local(w, STACK_GET);

	if (next || w->fair || w->rt->config.chaos.on)
		w = weft__suspend(w, LEAVE_YIELD, next);
	return w;
}

/* Every so many picks the ring or the deque comes before the slot; every so many are the
 * leader's. */
#define WEFT__ORDERED_PICK 8
#define WEFT__LEADER_EVERY 64

/* The number of w's next pick. Who makes it without a look at the queues, because what would come
 * first is at hand, calls weft__count_pick(). */
static inline uint32_t weft__next_pick(const struct worker *w)
{
	/* relaxed: our own. */
	return atomic_load_explicit(&w->picks, memory_order_relaxed) + 1;
}

/* Whether the next pick of any worker is not to be one of the usual order: something is due, or
 * chance decides. */
static inline bool weft__picks_are_special(struct weft_runtime *rt)
{
	/* relaxed: who set it may be seen by the pick after this one. */
	return __builtin_expect(atomic_load_explicit(&rt->idle, memory_order_relaxed) >> 62 != 0,
				0);
}

/* Whether the pick of that number is the leader's, or chance's. */
static inline bool weft__pick_is_special(const struct worker *w, uint32_t pick)
{
	return __builtin_expect(pick % WEFT__LEADER_EVERY == 0, 0) ||
	       weft__picks_are_special(w->rt);
}

/* Whether w has nothing in slot or ring, nor in the ring's tail while that overflows. By w. */
static inline bool weft__nothing_ready(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	return !atomic_load_explicit(&w->slot, memory_order_relaxed) &&
	       weft__ring_empty(&w->ring) && !w->overflowed;
}

/* Counts a pick; the watcher sees by the count that this worker still picks. */
static inline uint32_t weft__count_pick(struct worker *w)
{
	/* relaxed: one writer; the reader only compares two readings. */
	uint32_t picks = atomic_load_explicit(&w->picks, memory_order_relaxed) + 1;

	atomic_store_explicit(&w->picks, picks, memory_order_relaxed);
	return picks;
}

/* find.c: finding work. */

/* The next task from anywhere, which can run at once; sleeps while there is none. NULL: the worker
 * is to end. By the leader. */
struct task *weft__find(struct worker *w);

/* Hands over what w's queues hold to the pool. By the leader. */
void weft__hand_over(struct worker *w);

/* due.c: what must not wait for its turn. */

/* Whether DUE is set. */
static inline bool is_due(struct weft_runtime *rt)
{
	/* relaxed: a hint. */
	return atomic_load_explicit(&rt->idle, memory_order_relaxed) & DUE;
}

/* Sets DUE unless a worker sleeps, which is to be woken instead: false. Any thread. */
bool weft__set_due(struct weft_runtime *rt);

/* Clears DUE. Whoever does so then looks at all that it stands for. Fences fully if it was set. */
void weft__clear_due(struct weft_runtime *rt);

/* After something was put into the injection queue: wakes a worker for it, or sets DUE. Any thread;
 * fences fully. */
void weft__announce_due(struct weft_runtime *rt);

/* Suspends w's task for what is due, unless it has gone on after that just before. The worker on
 * which it goes on. */
struct worker *weft__let_due_run(struct worker *w);

/* rouse.c: waking workers. */

/* Gives t to a worker that sleeps and wakes it, if nobody searches. false: t is still the
 * caller's. */
bool weft__hand_to_sleeper(struct weft_runtime *rt, struct task *t);

/* After a worker made a task visible: wakes another one for it if need be. Fences lightly. */
void weft__announce(struct weft_runtime *rt);

static inline void announce(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__sleep(): see park.c */
	/* relaxed: the fences order. */
	if (atomic_load_explicit(&rt->idle, memory_order_relaxed) != 0)
		weft__announce(rt);
}

/* Wakes a worker to search, unless one does. false: no worker sleeps any more, or searches. */
bool weft__wake_searcher(struct weft_runtime *rt);

/* After a next slot was filled, or a task put into an empty deque: wakes a watcher if need be. */
void weft__announce_slot(struct weft_runtime *rt);

/* After a deadline was armed or set by w, which goes on to run something. */
void weft__announce_timer(struct worker *w);

/* After something was put into w's inbox, or its state was changed: wakes w. Any thread. */
void weft__nudge(struct worker *w);

/* Wakes all workers. */
void weft__wake_all(struct weft_runtime *rt);

/* park.c: workers that search and sleep. */

/* The earliest of all deadlines that tasks wait for. */
int64_t weft__earliest_timer(struct weft_runtime *rt);

/* Becomes a searcher: false if there are enough already. */
bool weft__search_start(struct worker *w);

/* Ceases to be one, having found work. */
void weft__search_stop(struct worker *w);

/*
 * Going to sleep, by a leader whose queues are empty: it first announces that it will; then looks a
 * last time for what was sent to it or injected; then sleeps (returns what it is to run, or NULL),
 * or gets up at once. It is a searcher then, unless it was handed a task (rouse.c).
 */
void weft__sleep_announce(struct worker *w);
struct task *weft__sleep(struct worker *w);
void weft__get_up(struct worker *w);

/* What a worker owes the others before its thread ends: what one that goes to sleep would see
 * to. */
void weft__sign_off(struct worker *w);

/* Nothing is live and nothing will be: lets all workers end. */
void weft__stop(struct weft_runtime *rt);

/* workers.c: workers that come and go. */

/* Makes the runtime one without workers. 0 or -ENOMEM. */
int weft__workers_init(struct weft_runtime *rt);

/* Makes the runtime have n workers; undone on failure. 0, -EAGAIN or -ENOMEM. */
int weft__workers_set(struct weft_runtime *rt, unsigned n);

/* Makes w the calling thread's worker, whose leader that is. */
void weft__worker_appear(struct worker *w);

/* A leader's life: runs tasks until the runtime stops or the worker is to go. */
void weft__worker_loop(struct worker *w);

/* Takes a retiring worker, whose queues are empty, out of the runtime. false: it is to stay. */
bool weft__worker_leave(struct worker *w);

/* Waits for all threads to end and all visitors to leave, and frees the records. */
void weft__workers_join(struct weft_runtime *rt);

/* Whether no task is live. */
bool weft__all_ended(struct weft_runtime *rt);

#endif
