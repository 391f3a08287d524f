/* SPDX-License-Identifier: MIT */
/*
 * The runtime: the state that all of its workers share, and the functions of the core that work on
 * it.
 */
#ifndef WEFT_CORE_RUNTIME_H
#define WEFT_CORE_RUNTIME_H

#include "config.h"
#include "early.h"
#include "hooks.h"
#include "reserve.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"
#include "src/base/thread.h"
#include "src/stack/depot.h"
#include "timekeeper.h"
#include "worker.h"

#include <weft/runtime.h>

#define WORKERS_MAX WEFT__WORKERS_MAX

/* The fairness bound of pick.c. Take a runnable task with p others before it in its queue. Its
 * worker picks it after at most WEFT__FAIR_BOUND * (p + 1) picks. */
#define WEFT__FAIR_BOUND 256

/* The workers that have a thread, in no particular order. RCU: the table is never changed in place.
 * A new one replaces it, under runtime.admin. */
struct worker_table {
	struct worker_table *retired_next;
	unsigned count;
	struct worker *workers[];
};

/* Something that a higher layer keeps with a runtime, and that ends with the runtime. */
struct attachment {
	/* Called when no task is live; the worker records still exist. */
	void (*end)(struct attachment *a);
};

enum { ATTACHED_BLOCKING, ATTACHED_COUNT };

/* Layout of runtime.idle. The low half counts the searchers. The high half counts the sleepers, and
 * has two flags (due.c). */
#define SEARCHER UINT64_C(1)
#define SLEEPER  (UINT64_C(1) << 32)
#define CHANCE   (UINT64_C(1) << 62) /* a flag: WEFT_CHAOS is on; never changes */
/* A flag: the next pick of any worker serves what is due. */
#define DUE          (UINT64_C(1) << 63)
#define SEARCHERS(i) ((uint32_t)(i))
#define SLEEPERS(i)  ((uint32_t)((i) >> 32) & 0x3fffffff)

/*
 * The fields are grouped by their writers. Each group that is written starts its own cache line, so
 * its writes do not evict the lines that other groups' readers need. tests/sched/core/layout.c
 * checks this. The first group holds what the hot paths read: every pick, fork, spawn and
 * suspension.
 */
struct weft_runtime {
	/* Immutable, or written only when workers are added and on similarly rare occasions. */
	struct weft__config config;
	bool borrowed; /* worker 0 is the thread that called weft_run() */
	/* The first task of weft_run(). The program has no handle to it, unless that task made one.
	 * NULL: weft_run() did not make this runtime. */
	struct task *first;
	unsigned searchers_max; /* immutable */
	/* Not 0: stacks are short, and a spawn must ask first (starve.c). Anyone sets it; it is
	 * cleared under starved_lock only. */
	_Atomic uint32_t starving;
	/* Not 0: a thread that parks a task must look at the list of early wakes (early.c). */
	_Atomic uint32_t early_count;
	_Atomic(void *) table;         /* struct worker_table (RCU) */
	_Atomic unsigned target;       /* how many workers the runtime was told to have */
	_Atomic unsigned record_count; /* raised (release) when a record is added; anyone reads */
	/* Each is set once (release). NULL: not set. */
	_Atomic(struct attachment *) attached[ATTACHED_COUNT];
	_Atomic bool closing;     /* workers stop once no task is live */
	_Atomic uint32_t stopped; /* futex; not 0: no task is live, and none will be */
	/* Every worker that ever existed, by id. The first record_count are valid. Written under
	 * admin. */
	struct worker *records[WORKERS_MAX];
	struct weft__thread_traits traits; /* immutable: of its threads and their creator */
	struct hooks hooks;                /* immutable */

	/* Written by workers that start or stop searching or sleeping (park.c). Read by every fork
	 * and wake. */
	_Alignas(WEFT__CACHE_LINE) _Atomic uint64_t idle; /* searchers and sleepers */
	_Atomic uint32_t watching;                        /* 1: one worker watches the next slots */
	/* The keeper or the timekeeper has left its post, so the last searcher must look for
	 * deadlines. */
	_Atomic bool post_left;
	/* When the keeper's sleep ends. WEFT_FOREVER: there is no keeper. */
	_Atomic int64_t keeper_deadline;

	/* Written by the same workers, and read by nobody else. Under idle_lock. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock idle_lock;
	unsigned awake_count;    /* workers with a thread that are not on the list */
	struct worker *sleepers; /* the list; last in, first out */
	struct worker *keeper;   /* the sleeper that waits for the earliest deadline */

	/* Written by a worker that arms the earliest deadline while no worker sleeps. */
	_Alignas(WEFT__CACHE_LINE) struct timekeeper timekeeper;

	/* Written by threads that are not its workers, at each of their calls. */
	_Alignas(WEFT__CACHE_LINE) _Atomic unsigned visitors; /* threads inside a call */
	_Atomic uint64_t injected_spawned;                    /* tasks accepted from them */
	struct weft__lock outside_lock;
	struct task_pool outside_tasks; /* under outside_lock: control blocks for their tasks */

	/* Written by any thread that hands over a task, and by workers that take tasks. */
	struct weft__wfcq injection;

	/* Written by any worker while stacks are short (starve.c) or wakes come early (early.c),
	 * and by workers that are added or removed. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock starved_lock;
	_Atomic unsigned starved_count; /* written under the lock; anyone reads */
	/* Under starved_lock: the queue of unstarted tasks that got no stack. Linked by
	 * .link.opaque. */
	struct task *starved_head;
	struct task **starved_tail;   /* under starved_lock: the end of that queue */
	struct reserve common;        /* the coroutine kept in reserve (reserve.h) */
	struct reserve *uncommon;     /* under starved_lock: the reserves of other stack sizes */
	_Atomic bool stack_wait_told; /* stderr was told that tasks wait for stacks */
	struct early early;           /* wakes that came before their task was parked */
	struct weft__lock admin;
	bool over; /* under admin: its threads are being joined, and no worker is added */
	struct worker_table *retired_tables; /* under admin */

	/* Written by workers that need many stacks, or no longer need them. */
	struct depot depot; /* coroutines without a task */
};

/* The table of workers. Call it inside an RCU read-side section. */
static inline struct worker_table *worker_table(struct weft_runtime *rt)
{
	return weft__rcu_load(&rt->table);
}

/* Whether WEFT_CHAOS strikes at this point. w: the caller's worker, or NULL. */
static inline bool chaos_at(struct worker *w, enum chaos_point point)
{
	return w && __builtin_expect(w->rt->config.chaos.on, 0) && weft__chaos_strikes(w, point);
}

/* execute.c: running tasks. */

/*
 * Suspends the task that runs on w, and runs `next`, or the leader if `next` is NULL. `leave` says
 * what becomes of the suspended task. Returns the worker that resumed it.
 */
struct worker *weft__suspend(struct worker *w, enum leave leave, struct task *next);

/* The same for a `next` that has not started. w must keep a coroutine for it. */
struct worker *weft__suspend_to_start(struct worker *w, enum leave leave, struct task *next);

/* Runs t on w. By w's leader; returns when something switches to the leader again. */
void weft__execute(struct worker *w, struct task *t);

/* Where a pick gets the stack for an unstarted task. */
enum stack_for {
	STACK_GET, /* one that w keeps, or a new one */
	/* One that w keeps; otherwise the pick is put off, as the caller's wait has begun. */
	STACK_AT_HAND,
	STACK_OWN, /* the caller's own stack; for tasks of the common size */
};

/* Whether w keeps a coroutine for a task of the common stack size. The first function starts on w's
 * second chain, and returns true. */
bool weft__coro_at_hand_in_chain(struct worker *w);

static inline bool weft__coro_at_hand(struct worker *w)
{
	return w->idle_coros || (w->idle_chain && weft__coro_at_hand_in_chain(w));
}

/* Asserts that slow work is allowed here. It is not allowed between the beginning of a wait and the
 * switch. There it would delay the waker for a moment, and the task until it is parked. */
static inline void weft__assert_may_be_slow(const struct worker *w)
{
	assert(w->leave != LEAVE_PARK);
	/* A task that has ended is skipped: its memory may belong to another task already. */
	assert(!w->task || w->task == w->over || load_relaxed(&w->task->park) != PARK_SUSPENDING);
	(void)w;
}

/* Whether w can start a task of the common stack size. It has a stack ready, or gets one now. */
bool weft__can_start(struct worker *w);

/* Whether w can run t now. t has started, or gets a stack now. */
bool weft__can_start_task(struct worker *w, struct task *t);

/* Frees the coroutines that w keeps ready. */
void weft__drop_idle_coros(struct worker *w);

/* trim.c: how often weft_trim() was called (relaxed). */
extern _Atomic unsigned weft__trims __attribute__((visibility("hidden")));

/* Drops what w keeps if weft_trim() was called since w last did so. w calls it before it sleeps. */
void weft__trim_worker(struct worker *w);

/* Moves w's second chain of coroutines, if any, to the depot, which may then have an earlier
 * deadline. w calls it before it sleeps, so that it keeps one chain at most. */
void weft__shed_coros(struct worker *w);

/* Frees the memory of the stacks that w keeps ready, except the pages that most tasks use. */
void weft__cool_coros(struct worker *w);

/* The bottom frame of every task's stack. */
void weft__task_main(void *value);

/* join.c: as weft_join(), for a task that nobody else can join, that is about to end and waits for
 * nothing more. Does not suspend. Any thread may call it. The runtime must exist until the
 * return. */
void weft__join_ending(struct task *t, void **ret_result);

/* ready.c: making tasks runnable. */

/* Queues a suspended task where it will be resumed. The caller owns the task. Any thread. */
void weft__ready(struct task *t);

/* As weft__ready(), but at the tail: the task gets no precedence over tasks that are there already.
 * By a worker of its runtime. */
void weft__ready_tail(struct worker *w, struct task *t);

/* Queues a new task of w's runtime where it will be started. */
void weft__start_later(struct worker *w, struct task *t);

/* The path of weft__start_later_unpinned() for a deque whose array is full. */
void weft__start_later_full(struct worker *w, struct task *t);

/* Wakes a worker if one is needed for an unstarted task that was put into w's deque (rouse.c). */
void weft__announce_start(struct worker *w);

/* Calls weft__announce_start() if runtime.idle says that nobody searches. */
void weft__announce_start_if_unsearched(struct worker *w);

/*
 * weft__start_later() for a task that is not pinned. It makes no call as long as no worker sleeps
 * and nothing is due.
 *
 * weft__announce() and weft__announce_slot() both begin with the same look at runtime.idle. If no
 * worker sleeps and nothing is due, both do nothing. Otherwise it matters which of them is called,
 * and that one looks again.
 *
 * @fence_is_free  weft__fence_light_is_free(), if the caller knows it already.
 */
static inline __attribute__((always_inline)) void
weft__start_later_unpinned(struct worker *w, struct task *t, bool fence_is_free)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = load_relaxed(&w->deque.bottom);

	if (__builtin_expect(bottom == w->deque.full, 0)) {
		weft__start_later_full(w, t);
		return;
	}
	weft__deque_put(&w->deque, bottom, t);
	weft__fence_light_if(fence_is_free); /* store-load race with weft__sleep(): see park.c */
	/* relaxed: the fence orders it. */
	if (__builtin_expect(load_relaxed(&w->rt->idle) >> 32 != 0, 0))
		weft__announce_start_if_unsearched(w);
}

/* Puts a task into the injection queue, for any worker of the pool. Any thread. */
void weft__inject(struct weft_runtime *rt, struct task *t);

/* As weft__ready(), for a worker that looks for what is due. Puts the task into the injection
 * queue, ahead of what this worker has queued. The caller tells the other workers. */
void weft__ready_due(struct worker *w, struct task *t);

/* As weft__inject(), by a thread that is not a worker of rt. Hands the task to a sleeper if nobody
 * searches. See visit_begin(). */
void weft__inject_from_outside(struct weft_runtime *rt, struct task *t);

/* starve.c: tasks that wait for a stack. */

/* Reacts to a refusal of memory other than a stack. It gives back the free parts of pools, and what
 * sleeping workers have kept. Returns -ENOMEM. Any thread. */
int weft__note_shortage(struct weft_runtime *rt);

/* Notes whether w got the stack that it asked for. */
void weft__note_stack(struct worker *w, bool got);

/* Counts that w found tasks to start and no stack for them. The first call of a runtime prints a
 * line. */
void weft__note_stack_wait(struct worker *w);

/* Keeps an unstarted task until there is a stack for it. */
void weft__starved_put(struct worker *w, struct task *t);

/* Returns a task that has waited and that w can start now, or NULL. */
struct task *weft__starved_take(struct worker *w);

/* Whether a new task must be refused. Called while runtime.starving is set. w: the caller's worker
 * of rt, or NULL. */
bool weft__refuses_tasks(struct weft_runtime *rt, struct worker *w);

/* Whether stacks are so short that a new task must be refused. */
static inline bool out_of_stacks(struct weft_runtime *rt, struct worker *w)
{
	/* relaxed: a hint. It costs nothing while there are stacks. */
	return __builtin_expect(load_relaxed(&rt->starving) != 0, 0) && weft__refuses_tasks(rt, w);
}

/*
 * Visitors: threads that work in rt and are not its workers. The runtime's end waits until all
 * visitors have left. Otherwise it could free what they still look at:
 *
 *   - A thread that submits, wakes or joins makes a task runnable, or lets a task go on. That task
 *     may be the last one.
 *   - The last task may end while another thread is still detaching, counting or resizing.
 *
 * A count protects only if it is raised while the runtime is certainly alive. The public rule
 * (runtime.h) is that something keeps the runtime alive until a call from outside takes effect. So
 * a call raises the count before it does anything that others can see. The consequences of its
 * effect come after the count, and so does the end of the runtime.
 *
 * weft_cancel() is not a visitor. The task that it cancels waits for it (cancel.c), and the
 * runtime's end waits for that task. A call that reads only one word of the runtime needs no visit
 * either: the visit would be a second access of the same kind.
 */
static inline void visit_begin(struct weft_runtime *rt)
{
	/* relaxed: the queue or the registered joiner publishes the count, before the task can
	 * end. */
	fetch_add_relaxed(&rt->visitors, 1);
}

static inline void visit_end(struct weft_runtime *rt)
{
	/* release: our last look at the runtime. Pairs with the acquire in weft__workers_join(). */
	fetch_sub_release(&rt->visitors, 1);
}

/* pick.c: a worker's own picks. A task that these functions return can run at once: it has started,
 * or w has a stack for it. */

/*
 * Returns the next task from w's own queues. It is cheap, and does not steal. NULL: the queues are
 * empty, or the leader must make a fair pick, or the leader must make this pick.
 */
struct task *weft__pick_local(struct worker *w, enum stack_for stack);

/* Puts this pick off: the leader must make it. t is what the pick has already taken out of its
 * queue, or NULL. */
void weft__put_off(struct worker *w, struct task *t);

/* Lets other tasks run: the task that runs on w goes to the tail of w's queue. Returns the worker
 * on which it goes on. */
static inline struct worker *give_way(struct worker *w)
{
	struct task *next = weft__pick_local(w, STACK_GET);

	if (next || w->fair || w->rt->config.chaos.on)
		w = weft__suspend(w, LEAVE_YIELD, next);
	return w;
}

/* Every WEFT__ORDERED_PICK picks the ring or the deque comes before the next slot. Every
 * WEFT__LEADER_EVERY picks the leader makes the pick. */
#define WEFT__ORDERED_PICK 8
#define WEFT__LEADER_EVERY 64

/* The number of w's next pick. A caller that already has the task that would come first does not
 * look at the queues, and calls weft__count_pick() instead. */
static inline uint32_t weft__next_pick(const struct worker *w)
{
	/* relaxed: our own. */
	return load_relaxed(&w->picks) + 1;
}

/* Whether the next pick of any worker leaves the usual order, because something is due or chaos is
 * on. */
static inline bool weft__picks_are_special(struct weft_runtime *rt)
{
	/* relaxed: it is enough if the pick after this one sees the flag. */
	return __builtin_expect(load_relaxed(&rt->idle) >> 62 != 0, 0);
}

/* Whether the leader, or chance, makes the pick of that number. */
static inline bool weft__pick_is_special(const struct worker *w, uint32_t pick)
{
	return __builtin_expect(pick % WEFT__LEADER_EVERY == 0, 0) ||
	       weft__picks_are_special(w->rt);
}

/* Whether w's next slot and ring are empty, and the ring has no tail in the injection queue. By
 * w. */
static inline bool weft__nothing_ready(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	return !load_relaxed(&w->slot) && weft__ring_empty(&w->ring) && !w->overflowed;
}

/* Counts a pick. The watcher sees by the count that this worker still picks. */
static inline uint32_t weft__count_pick(struct worker *w)
{
	/* relaxed: one writer; the reader only compares two readings. */
	uint32_t picks = load_relaxed(&w->picks) + 1;

	store_relaxed(&w->picks, picks);
	return picks;
}

/* find.c: finding work. */

/* Returns the next task from anywhere, which can run at once. Sleeps while there is none. NULL: the
 * worker must end. By the leader. */
struct task *weft__find(struct worker *w);

/* Hands everything in w's queues over to the pool. By the leader. */
void weft__hand_over(struct worker *w);

/* due.c: tasks that must not wait for their turn. */

/* Whether DUE is set. */
static inline bool is_due(struct weft_runtime *rt)
{
	/* relaxed: a hint. */
	return load_relaxed(&rt->idle) & DUE;
}

/* Sets DUE and returns true. Returns false if a worker sleeps: the caller must wake it instead. Any
 * thread. */
bool weft__set_due(struct weft_runtime *rt);

/* Clears DUE. The caller must then look at everything that DUE stands for. Fences fully if DUE was
 * set. */
void weft__clear_due(struct weft_runtime *rt);

/* Wakes a worker, or sets DUE, after something was put into the injection queue. Any thread. Fences
 * fully. */
void weft__announce_due(struct weft_runtime *rt);

/* Suspends w's task for what is due. Does nothing if the task went on after such a suspension only
 * just before. Returns the worker on which the task goes on. */
struct worker *weft__let_due_run(struct worker *w);

/* rouse.c: waking workers. */

/* Gives t to a sleeping worker and wakes it, if nobody searches. Returns false if t is still the
 * caller's. */
bool weft__hand_to_sleeper(struct weft_runtime *rt, struct task *t);

/* Wakes a worker if one is needed, after a worker made a task visible. Fences lightly. */
void weft__announce(struct weft_runtime *rt);

static inline void announce(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__sleep(): see park.c */
	/* relaxed: the fences order. */
	if (load_relaxed(&rt->idle) != 0)
		weft__announce(rt);
}

/* Wakes a worker to search, unless one searches already. Returns false if no worker sleeps or
 * searches. */
bool weft__wake_searcher(struct weft_runtime *rt);

/* Wakes a watcher if one is needed, after a next slot was filled or a task was put into an empty
 * deque. */
void weft__announce_slot(struct weft_runtime *rt);

/* Tells the sleepers of a deadline. After w armed or set one, before w runs something. */
void weft__announce_timer(struct worker *w);

/* Wakes w, after something was put into its inbox or its state was changed. Any thread. */
void weft__nudge(struct worker *w);

/* Wakes all workers. */
void weft__wake_all(struct weft_runtime *rt);

/* park.c: searching and sleeping. */

/* The earliest deadline of all waits and scopes. */
int64_t weft__earliest_timer(struct weft_runtime *rt);

/* Makes w a searcher. Returns false if there are enough searchers already. */
bool weft__search_start(struct worker *w);

/* Ends w's search after it has found work. */
void weft__search_stop(struct worker *w);

/*
 * Going to sleep, by a leader whose queues are empty:
 *
 *   1. weft__sleep_announce() announces that w goes to sleep.
 *   2. The leader looks one last time for what was sent to w or injected.
 *   3. weft__sleep() sleeps if there was nothing, and returns the task to run, or NULL. Otherwise
 *      weft__get_up() ends the announcement.
 *
 * w is a searcher afterwards, unless it was handed a task (rouse.c).
 */
void weft__sleep_announce(struct worker *w);
struct task *weft__sleep(struct worker *w);
void weft__get_up(struct worker *w);

/* Does for the others what a worker that goes to sleep would do. Called before its thread ends. */
void weft__sign_off(struct worker *w);

/* Lets all workers end. No task is live, and none will be. */
void weft__stop(struct weft_runtime *rt);

/* workers.c: adding and removing workers. */

/* Initializes the runtime's state of workers, without any worker. Returns 0 or -ENOMEM. */
int weft__workers_init(struct weft_runtime *rt);

/* Sets the number of workers to n. Undone on failure. Returns 0, -EAGAIN or -ENOMEM. */
int weft__workers_set(struct weft_runtime *rt, unsigned n);

/* Makes w the calling thread's worker. The thread is w's leader. */
void weft__worker_appear(struct worker *w);

/* The leader's loop: runs tasks until the runtime stops or the worker must end. */
void weft__worker_loop(struct worker *w);

/* Takes a retiring worker, whose queues are empty, out of the runtime. Returns false if it must
 * stay. */
bool weft__worker_leave(struct worker *w);

/* Waits until all threads have ended and all visitors have left. Then frees the records. */
void weft__workers_join(struct weft_runtime *rt);

/* Whether no task is live. */
bool weft__all_ended(struct weft_runtime *rt);

#endif
