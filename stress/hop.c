/* SPDX-License-Identifier: MIT */
/*
 * Hopping: coroutines suspend in every possible way. After each switch they check that everything
 * they find is their own: `current`, the task, the worker, the thread, errno, the stack and the
 * floating-point mode.
 *
 * This program breaks if a thread-local address is computed before a switch and used after it. See
 * src/tls.c; stress/mutants builds such a library. With WEFT_CHAOS=SEED,hop every resume must be on
 * another thread than the suspension. The exception is a resume that the library counts as kept,
 * because no other worker came by.
 */
#include "inside.h"
#include "stress.h"

#include <errno.h>
#include <fenv.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOPPERS_MAX  64
#define STEPS        200
#define WORKERS_SEEN 1024
#define CANARY_WORDS 16
#define SLEEP_MAX_NS 50000
#define RESUMES_MIN  200 /* with fewer resumes it accepts that none hopped */

/* One running coroutine. Its frames, errno and modes must not change during a switch. */
struct self {
	const weft_task *task;
	const void *coro;
	struct weft__random random;
	int fp_mode;
	bool pinned;
	pid_t pinned_to;
	unsigned depth;
};

enum way { YIELD, SLEEP, JOIN, FORK, GENERATOR, WAYS };

static const int fp_modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

static _Atomic uint64_t streams;            /* relaxed: the values only need to differ */
static _Atomic uint64_t resumes, hops;      /* relaxed: statistics */
static _Atomic int thread_of[WORKERS_SEEN]; /* relaxed: the first thread seen as this worker */

/* glibc declares errno's address const, so a caller that hops may keep the old thread's address. */
#if defined(__clang__)
#define READ_ANEW __attribute__((noinline))
#else
#define READ_ANEW __attribute__((noipa))
#endif

READ_ANEW static int get_errno(void)
{
	__asm__ volatile("");
	return errno;
}

READ_ANEW static void set_errno(int value)
{
	__asm__ volatile("");
	errno = value;
}

READ_ANEW static const int *errno_here(void)
{
	__asm__ volatile("");
	return &errno;
}

/* Checks that everything of this coroutine is here, on whichever thread. */
static void check_place(const struct self *self, const char *when)
{
	pid_t thread = gettid();
	const char *frame = __builtin_frame_address(0);
	struct inside here;
	int first = 0;

	inside_look(&here);
	stress_check(here.coro == self->coro, "%s: current is %p, not %p", when, here.coro,
		     self->coro);
	stress_check(here.task == self->task && weft_self() == self->task,
		     "%s: the worker's task is %p, not %p", when, (const void *)here.task,
		     (const void *)self->task);
	stress_check(here.leader == here.worker_leader,
		     "%s: thread %d runs another thread's worker %d", when, (int)thread,
		     here.worker);
	/* NULL: a program outside of the library cannot tell (outside.c). */
	stress_check(!here.errno_location || here.errno_location == errno_here(),
		     "%s: worker %d has the errno of another thread than %d", when, here.worker,
		     (int)thread);
	stress_check(!here.low || (frame > here.low && frame < here.top),
		     "%s: on a stack that is not current's", when);
	stress_check(weft_worker_id() == here.worker,
		     "%s: weft_worker_id() says %d, the worker is %d", when, weft_worker_id(),
		     here.worker);
	if (!atomic_compare_exchange_strong_explicit(&thread_of[here.worker], &first, thread,
						     memory_order_relaxed, memory_order_relaxed))
		stress_check(first == thread, "%s: worker %d is thread %d, but was %d", when,
			     here.worker, (int)thread, first);
	stress_check(fegetround() == self->fp_mode, "%s: rounding mode %#x, not %#x", when,
		     fegetround(), self->fp_mode);
	stress_check(!self->pinned || thread == self->pinned_to,
		     "%s: a task pinned to thread %d is on %d", when, (int)self->pinned_to,
		     (int)thread);
}

/* Runs at the top of a coroutine. Checks for fresh errno and modes, then sets its own. */
static void begin(struct self *self, bool pinned, unsigned depth)
{
	int e = get_errno();
	struct inside here;

	inside_look(&here);
	self->task = weft_self();
	self->coro = here.coro;
	self->fp_mode = FE_TONEAREST;
	self->pinned = pinned;
	self->pinned_to = gettid();
	self->depth = depth;
	stress_random(&self->random, atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed));
	stress_check(e == 0, "a coroutine starts with errno %d", e);
	check_place(self, "start");
	self->fp_mode = fp_modes[weft__random_below(&self->random, 4)];
	fesetround(self->fp_mode);
}

/* Stands right after a suspension with nothing in between, so the threads before and after can be
 * compared. */
static void note_resume(const struct self *self, pid_t before)
{
	if (self->pinned)
		return;
	atomic_fetch_add_explicit(&resumes, 1, memory_order_relaxed);
	if (gettid() != before)
		atomic_fetch_add_explicit(&hops, 1, memory_order_relaxed);
}

static void step(struct self *self);

struct child {
	unsigned depth;
	unsigned steps;
	bool pinned;
};

static void *child_main(void *arg)
{
	const struct child *child = arg;
	struct self self;

	begin(&self, child->pinned, child->depth);
	for (unsigned i = 0; i < child->steps; i++)
		step(&self);
	return (void *)(uintptr_t)child->steps;
}

/* A generator's body. It yields to its user between steps of its own. */
static void *generator_body(void *in)
{
	const struct child *child = in;
	struct self self;

	begin(&self, child->pinned, child->depth);
	for (unsigned i = 0; i < child->steps; i++) {
		int mark = (int)weft__random_below(&self.random, 1000) + 1;
		set_errno(mark);
		in = weft_coro_yield((void *)(uintptr_t)i);
		int e = get_errno();
		/* The user is the same task, perhaps on another thread. */
		stress_check(e == mark, "after a generator's yield: errno %d, not %d", e, mark);
		check_place(&self, "after a generator's yield");
		stress_check(in == child, "a generator was entered with %p, not %p", in,
			     (const void *)child);
		step(&self);
	}
	return (void *)(uintptr_t)child->steps;
}

static void use_generator(struct self *self, struct child *child)
{
	weft_coro *co;
	void *out;
	int rc = weft_coro_create(generator_body, 0, &co);

	if (rc < 0) {
		stress_check(rc == -ENOMEM, "weft_coro_create: %s", strerror(-rc));
		return;
	}
	/* The generators of a pinned task are pinned with it. */
	child->pinned = self->pinned;
	for (uintptr_t i = 0; i <= child->steps; i++) {
		weft_coro_enter(co, child, &out);
		stress_check((uintptr_t)out == i, "a generator yielded %lu, not %lu",
			     (unsigned long)(uintptr_t)out, (unsigned long)i);
		check_place(self, "after entering a generator");
	}
	stress_check(weft_coro_done(co), "a generator has not ended");
	weft_coro_destroy(co);
}

static void join_child(struct child *child)
{
	weft_task *task;
	void *result = NULL;
	int rc = weft_spawn(child_main, child, &task);

	if (rc < 0) {
		stress_check(rc == -ENOMEM, "weft_spawn: %s", strerror(-rc));
		return;
	}
	rc = weft_join(task, &result);
	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	stress_check((uintptr_t)result == child->steps, "a child's result is %p", result);
}

static void suspend(struct self *self, enum way way)
{
	struct child child = {.depth = self->depth + 1,
			      .steps = weft__random_below(&self->random, 4)};
	pid_t before = gettid();

	switch (way) {
	case YIELD:
		weft_yield();
		note_resume(self, before);
		break;
	case SLEEP:
		weft_sleep(1 + weft__random_below(&self->random, SLEEP_MAX_NS));
		break;
	case JOIN:
		join_child(&child);
		break;
	case FORK: {
		weft_forked fork;
		child.pinned = self->pinned;
		weft_fork(&fork, child_main, &child);
		if (!self->pinned && stress_one_in(&self->random, 2))
			weft_yield();
		/* A fork that another worker took has no pin, so it does not claim one. */
		weft_fork_join(&fork);
		break;
	}
	default:
		use_generator(self, &child);
		break;
	}
}

static void step(struct self *self)
{
	uintptr_t canary[CANARY_WORDS];
	int mark = (int)weft__random_below(&self->random, 1000) + 1;
	uintptr_t pattern = weft__random_next(&self->random);
	enum way way = YIELD;

	if (stress_one_in(&self->random, 4))
		way = weft__random_below(&self->random, self->depth < 4 ? WAYS : JOIN);
	/* The forks of a pinned task may be stolen, and are not pinned then. */
	if (way == FORK && self->pinned)
		way = YIELD;
	for (unsigned i = 0; i < CANARY_WORDS; i++)
		canary[i] = pattern + i;
	__asm__ volatile("" : : "r"(canary) : "memory");

	set_errno(mark);
	suspend(self, way);
	int e = get_errno();
	stress_check(e == mark, "after way %d of suspending: errno %d, not %d", way, e, mark);
	check_place(self, "after a step");
	for (unsigned i = 0; i < CANARY_WORDS; i++)
		stress_check(canary[i] == pattern + i,
			     "a word of the stack has changed from %#lx to %#lx",
			     (unsigned long)(pattern + i), (unsigned long)canary[i]);
	stress_did(1);
}

static void *hopper(void *arg)
{
	struct child child = {.steps = STEPS, .pinned = arg != NULL};
	struct self self;

	begin(&self, child.pinned, 0);
	for (unsigned i = 0; i < child.steps && !stress_over(); i++)
		step(&self);
	return NULL;
}

static void *storm(void *unused)
{
	weft_task *tasks[HOPPERS_MAX];
	struct weft__random random;

	(void)unused;
	stress_random(&random, UINT64_MAX);
	while (!stress_over()) {
		unsigned n = 2 + weft__random_below(&random, HOPPERS_MAX - 1);
		unsigned started = 0;
		while (started < n) {
			/* Few tasks are pinned, because pinned tasks never hop. */
			struct weft_task_options opt = {.pinned = started == 0 &&
								  n >= HOPPERS_MAX / 2 &&
								  stress_one_in(&random, 2)};
			if (weft_spawn_with(&opt, hopper, opt.pinned ? &opt : NULL,
					    &tasks[started]) < 0)
				break;
			started++;
		}
		stress_check(started > 0, "no task could be spawned");
		for (unsigned i = 0; i < started; i++) {
			int rc = weft_join(tasks[i], NULL);
			stress_check(rc == 0, "weft_join: %s", strerror(-rc));
		}
	}
	return NULL;
}

static void print_ratio(const char *what, uint64_t part, uint64_t whole)
{
	printf("%s: %llu of %llu resumes on another thread (%u %%)\n", what,
	       (unsigned long long)part, (unsigned long long)whole,
	       whole ? (unsigned)(part * 100 / whole) : 0);
}

/* How many resumes hop depends on the machine: a busy machine runs the other workers' threads late.
 * But the library must account for every resume. */
static void check_hops(uint64_t hopped, uint64_t resumed)
{
	uint64_t kept;

	if (resumed >= RESUMES_MIN)
		stress_check(hopped > 0, "none of %llu resumes was on another thread",
			     (unsigned long long)resumed);
	if (inside_kept(&kept)) {
		printf("kept: %llu\n", (unsigned long long)kept);
		stress_check(hopped + kept >= resumed,
			     "%llu of %llu resumes were on another thread, but only %llu kept",
			     (unsigned long long)hopped, (unsigned long long)resumed,
			     (unsigned long long)kept);
	}
}

static void *storm_and_ratio(void *unused)
{
	struct weft_stats s;

	storm(unused);
	stress_check(weft_runtime_stats(NULL, &s) == 0, "weft_runtime_stats");
	uint64_t hopped = atomic_load_explicit(&hops, memory_order_relaxed);
	uint64_t resumed = atomic_load_explicit(&resumes, memory_order_relaxed);
	print_ratio("yields", hopped, resumed);
	/* A switch to a task either starts it or resumes it. */
	print_ratio("all", s.hops, s.switches - s.spawned - (s.forked - s.inlined));
	if (stress_chaos_hop() && weft_runtime_workers(NULL) >= 2)
		check_hops(hopped, resumed);
	return NULL;
}

int main(int argc, char **argv)
{
	stress_begin(
		argc, argv,
		"Coroutines that suspend in every way and check that what they find is their own.");
	stress_run(storm_and_ratio, NULL);
	return stress_end();
}
