/* SPDX-License-Identifier: MIT */
/*
 * The timekeeper.
 *
 * The problem. A sleeping worker keeps the time for all (idle.c). If none sleeps, each worker looks
 * at the deadlines now and then while it picks. But a pick can be far away, and a task that forks
 * and joins makes none. So some other thread must notice that a deadline has passed.
 *
 * The design. Each runtime has a thread that sleeps until the earliest deadline. Then it wakes a
 * worker, if one sleeps by now, or sets DUE (due.c). The thread is started when it is first needed.
 * Without a deadline it sleeps until it is engaged, so an idle runtime uses no CPU.
 *
 * Rejected designs.
 *  - A tick.
 *  - A timer signal to the workers. It would interrupt their system calls.
 *  - The timekeeper alone, without a keeper among the workers. Each wake-up of an idle runtime
 *    would pass through two threads.
 *
 * `until` says when the timekeeper looks next. It is at its post if that is not WEFT_FOREVER.
 *
 *   arming (announce_timer)               the timekeeper, at that time
 *     store earliest of a tree              until = WEFT_FOREVER
 *     light fence                           heavy fence
 *     load idle, keeper_deadline, until     load earliest of every tree, keeper_deadline
 *     nobody sleeps, all later: engage      passed: wake a worker, or set DUE
 *                                           to come, keeper later: lower until again
 *
 * Store-load race: at least one side sees the other's store. So the timekeeper sees the deadline,
 * or the worker that arms it finds the post empty and engages the timekeeper.
 *
 * After it has set DUE the timekeeper leaves its post. The worker that serves DUE engages it for
 * the remaining deadlines. That worker sees those that were armed before the heavy fence. The
 * armers of the others have engaged the timekeeper themselves. So it does not look while DUE waits
 * to be served.
 *
 * After it has woken a worker instead, that worker is a searcher. The last searcher checks whether
 * the time is kept, if `post_left` says that a post was left. This happens in three cases: (a) the
 * timekeeper leaves here, (b) a keeper is taken off the list of sleepers, (c) a worker clears DUE
 * as it goes to sleep (idle.c).
 *
 * It looks at most once per REST_NS. If deadlines follow each other closely, they are late by that
 * much.
 *
 * Only a leader starts the thread. Other code may run on a short stack, or in the middle of a
 * switch. A task that finds the thread missing sets DUE, which sends a worker to its leader. While
 * the thread cannot be started, the leaders' picks (find.c) serve the deadlines. They also do so in
 * virtual time, which has one worker and no other threads.
 *
 * If the start is refused, it is tried again when the thread is next needed, at most once per
 * WEFT__TIMEKEEPER_RETRY_NS. Meanwhile `until` is INT64_MIN, so nobody engages it. It stays so
 * until the thread has begun: its first look comes at once, and finds what was armed before.
 */
#include "timekeeper.h"

#include "due.h"
#include "events.h"
#include "idle.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "src/base/sanitizer.h"
#include "src/base/thread.h"

#include <signal.h>
#include <sys/prctl.h>

#define REST_NS ((int64_t)100000)

/* How late the kernel may wake the thread to save power. The default is 50 µs. */
#define SLACK_NS 1000ul

void weft__timekeeper_init(struct weft_runtime *rt)
{
	bool none = rt->config.chaos.virtual_time;

	atomic_init(&rt->timekeeper.until, none ? INT64_MIN : WEFT_FOREVER);
	atomic_init(&rt->timekeeper.state, none ? TIMEKEEPER_ENDS : TIMEKEEPER_NONE);
}

/* Lowers `until`. Returns whether it was later. */
static bool lower_until(struct timekeeper *tk, int64_t deadline)
{
	/* relaxed, all: this is a plan. The fences of both sides order it. */
	int64_t until = load_relaxed(&tk->until);

	do {
		if (deadline >= until)
			return false;
	} while (!cas_weak_relaxed(&tk->until, &until, deadline));
	return true;
}

static void tell(struct timekeeper *tk)
{
	/* release: `until` or `state`, for the acquire in timekeeper_main(). */
	fetch_add_release(&tk->told, 1);
	weft__futex_wake(&tk->told, 1);
}

/* Makes a worker look at the deadlines: the next one that picks, or one that sleeps. */
static void call_worker(struct weft_runtime *rt)
{
	weft__fence_full();
	while (!weft__set_due(rt)) {
		/* The sleeper may be about to get up for something else that it has found. */
		store_relaxed(&rt->post_left, true);
		/* store-load race with pass_on_duties(): post_left, then the searchers */
		weft__fence_full();
		if (weft__wake_searcher(rt))
			break;
	}
}

static void time_has_come(struct weft_runtime *rt)
{
	struct timekeeper *tk = &rt->timekeeper;

	store_relaxed(&tk->until, WEFT_FOREVER);
	/* store-load race with weft__announce_timer(): until, then the deadlines */
	weft__fence_heavy();
	bool absent;
	int64_t events = weft__events_due(rt, &absent), earliest = weft__earliest_timer(rt);
	if (earliest >= load_relaxed(&rt->keeper_deadline))
		earliest = WEFT_FOREVER;
	if (absent || earliest <= weft__clock_now()) {
		call_worker(rt);
		earliest = WEFT_FOREVER;
	}
	if (events < earliest)
		earliest = events;
	if (earliest != WEFT_FOREVER)
		lower_until(tk, earliest);
}

static void *timekeeper_main(void *arg)
{
	struct weft_runtime *rt = arg;
	struct timekeeper *tk = &rt->timekeeper;
	int64_t rests = 0;
	sigset_t all;

	weft__thread_traits_apply(&rt->traits);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	pthread_setname_np(pthread_self(), "weft-time");
	prctl(PR_SET_TIMERSLACK, SLACK_NS);
	for (;;) {
		/* acquire: pairs with tell(). Nothing is missed: the kernel sleeps only while
		 * `told` is unchanged. */
		uint32_t told = load_acquire(&tk->told);

		if (load_relaxed(&tk->state) == TIMEKEEPER_ENDS)
			return NULL;
		int64_t until = load_relaxed(&tk->until);
		if (until < rests)
			until = rests;
		if (until > weft__clock_now()) {
			weft__futex_wait(&tk->told, told, until);
			continue;
		}
		time_has_come(rt);
		rests = weft__clock_now() + REST_NS;
	}
}

/* Starts the thread, if its state is `before`. By a leader. */
static void start(struct weft_runtime *rt, uint32_t before)
{
	struct timekeeper *tk = &rt->timekeeper;

	/* relaxed, both: the first one starts it. The thread's start publishes the rest. */
	if (!cas_relaxed(&tk->state, &before, TIMEKEEPER_RUNS) ||
	    weft__thread_start(&tk->thread, timekeeper_main, rt) == 0)
		return;
	store_relaxed(&tk->until, INT64_MIN);
	store_relaxed(&tk->retry_at, weft__clock_now() + WEFT__TIMEKEEPER_RETRY_NS);
	/* relaxed: a reader that sees an old .retry_at tries once too often. */
	store_relaxed(&tk->state, TIMEKEEPER_REFUSED);
}

/* Makes a leader start the thread, if its state is `before`. */
static void have_it_started(struct worker *w, uint32_t before)
{
	if (w->task)
		/* store-load race with weft__clear_due(): earliest, then DUE; a full fence, as the
		 * server's is */
		call_worker(w->rt);
	else
		start(w->rt, before);
}

/* Tries again to start a thread that was refused, unless it has just tried. */
static __attribute__((noinline)) void try_again(struct worker *w)
{
	struct timekeeper *tk = &w->rt->timekeeper;

	/* relaxed, both: see start(). */
	if (load_relaxed(&tk->state) == TIMEKEEPER_REFUSED &&
	    weft__clock_now() >= load_relaxed(&tk->retry_at))
		have_it_started(w, TIMEKEEPER_REFUSED);
}

void weft__timekeeper_engage(struct worker *w, int64_t deadline)
{
	struct timekeeper *tk = &w->rt->timekeeper;

	/* relaxed, both: see lower_until(). */
	int64_t until = load_relaxed(&tk->until);
	if (until == INT64_MIN)
		try_again(w);
	if (deadline >= until)
		return;
	if (load_relaxed(&tk->state) == TIMEKEEPER_NONE) {
		have_it_started(w, TIMEKEEPER_NONE);
		if (w->task)
			return;
	}
	if (lower_until(tk, deadline))
		tell(tk);
}

void weft__timekeeper_end(struct weft_runtime *rt)
{
	struct timekeeper *tk = &rt->timekeeper;

	/* relaxed, both: the workers have ended before. */
	if (load_relaxed(&tk->state) != TIMEKEEPER_RUNS)
		return;
	store_relaxed(&tk->state, TIMEKEEPER_ENDS);
	tell(tk);
	pthread_join(tk->thread, NULL);
}
