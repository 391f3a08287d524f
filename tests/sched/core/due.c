/* SPDX-License-Identifier: MIT */
/*
 * A due task runs before the tasks that a busy worker has queued (sched/core/due.c).
 *
 * There is one worker, so the order of picks is certain. The worker makes no pick while a victim
 * becomes due. Then it is kept busy in one of several ways, until all victims have run, or for so
 * many picks that they never will. Each of its picks is counted except those that serve. So is each
 * turn of the busy tasks.
 */
#include "sched/core/due.h"
#include "harness.h"
#include "parker.h"
#include "sched/core/pick.h"
#include "sched/core/runtime.h"

#include <dirent.h>
#include <pthread.h>

#define VICTIMS 10
#define NEVER   (4 * WEFT__FAIR_BOUND)

/* All relaxed: there is one worker, so the tasks' order is that of their picks. Atomic for
 * ThreadSanitizer's user build, which sees no order between them. */
#define GET(variable)        atomic_load_explicit(&(variable), memory_order_relaxed)
#define SET(variable, value) atomic_store_explicit(&(variable), value, memory_order_relaxed)

static _Atomic unsigned victims;         /* how many are due */
static _Atomic unsigned run;             /* how many of them have run */
static _Atomic uint32_t since;           /* the count of picks when the first became due */
static _Atomic uint32_t waited[VICTIMS]; /* the picks until each one ran, in their order */

static uint32_t picks(void)
{
	return atomic_load_explicit(&weft__worker()->picks, memory_order_relaxed);
}

static void *note_run(void *arg)
{
	unsigned nth = GET(run);

	SET(waited[nth], picks() - GET(since));
	SET(run, nth + 1);
	return arg;
}

static bool go_on(void)
{
	return GET(run) < GET(victims) && picks() - GET(since) < NEVER;
}

/* --- how the worker is kept busy --- */

static void *yield_on(void *arg)
{
	while (go_on())
		weft_yield();
	return arg;
}

static void yielders(void)
{
	for (unsigned i = 0; i < 20; i++)
		CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	weft_yield();
}

static void *spawn_a_successor(void *arg)
{
	if (go_on())
		CHECK(weft_spawn(spawn_a_successor, arg, NULL) == 0);
	return arg;
}

static void chain(void)
{
	CHECK(weft_spawn(spawn_a_successor, NULL, NULL) == 0);
}

static void pair(void)
{
	static struct pair pair;

	CHECK(pair_spawn(&pair, go_on));
}

static void *spawn_and_join(void *arg)
{
	while (go_on()) {
		weft_task *task;

		if (CHECK(weft_spawn(give_back, NULL, &task) == 0))
			CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void joiner(void)
{
	CHECK(weft_spawn(spawn_and_join, NULL, NULL) == 0);
}

static void (*const busy[])(void) = {yielders, chain, pair, joiner};

/* --- how the victims become due --- */

static void *submit_victims(void *arg)
{
	for (unsigned i = 0; i < GET(victims); i++)
		CHECK(weft_submit(arg, note_run, NULL, NULL) == 0);
	return NULL;
}

static void inject(void)
{
	pthread_t thread;

	if (CHECK(pthread_create(&thread, NULL, submit_victims, weft__worker()->rt) == 0))
		pthread_join(thread, NULL);
}

static int64_t deadline;
static _Atomic unsigned asleep; /* how many victims are about to sleep */
/* The machine was too slow: the deadline has passed before all victims slept. Then a pick may have
 * woken some of them already. The scene is played again, with more time to fall asleep. */
static _Atomic bool too_slow;
static int64_t time_to_fall_asleep = 1000000;

static void *sleep_and_note(void *arg)
{
	SET(asleep, GET(asleep) + 1);
	CHECK(weft_sleep_until(deadline) == 0);
	return note_run(arg);
}

static void await_deadline(void)
{
	SET(asleep, 0);
	deadline = weft_after(time_to_fall_asleep);
	for (unsigned i = 0; i < GET(victims); i++)
		CHECK(weft_spawn(sleep_and_note, NULL, NULL) == 0);
	while (GET(asleep) < GET(victims))
		weft_yield();
	SET(too_slow, weft_now() >= deadline);
	while (weft_now() <= deadline)
		;
}

/* Reports itself that a deadline has passed, as the timekeeper would. */
static void expire(void)
{
	await_deadline();
	SET(since, picks());
	CHECK(weft__set_due(weft__worker()->rt));
}

static void expire_by_timekeeper(void)
{
	int64_t lost = weft_after(LOST_NS);

	await_deadline();
	/* We make no pick until the timekeeper has reported it. */
	while (!is_due(weft__worker()->rt) && !GET(too_slow) && weft_now() < lost)
		sched_yield();
	CHECK(is_due(weft__worker()->rt) || GET(too_slow));
	SET(since, picks());
}

struct scene {
	void (*busy)(void);
	void (*become_due)(void);
	unsigned shift; /* a different number of the first pick for each */
};

static void *play(void *arg)
{
	const struct scene *scene = arg;

	for (unsigned i = 0; i < scene->shift; i++)
		weft_yield();
	SET(since, picks());
	scene->busy();
	SET(since, picks());
	scene->become_due();
	yield_on(NULL);
	return NULL;
}

static void assert_played(const struct scene *scene, unsigned count)
{
	do {
		SET(victims, count);
		SET(run, 0);
		SET(too_slow, false);
		assert_run(1, play, (void *)scene);
		assert_int_equal(GET(run), count);
		if (GET(too_slow))
			time_to_fall_asleep *= 2;
	} while (GET(too_slow));
	/* The n-th has waited for the picks of the victims before it, and for as many of the
	 * others. */
	for (unsigned i = 0; i < count; i++)
		assert_in_range(GET(waited[i]), 0, 2 * i + 1);
}

static void assert_due(void (*become_due)(void))
{
	for (unsigned b = 0; b < sizeof(busy) / sizeof(*busy); b++) {
		for (unsigned shift = 0; shift < WEFT__LEADER_EVERY; shift += 3) {
			struct scene scene = {busy[b], become_due, shift};

			assert_played(&scene, 1);
			assert_played(&scene, VICTIMS);
		}
	}
}

static void test_what_was_injected_comes_next(void **state)
{
	(void)state;
	assert_due(inject);
}

static void test_what_has_slept_comes_next(void **state)
{
	(void)state;
	assert_due(expire);
}

static void test_the_timekeeper_says_that_a_deadline_has_passed(void **state)
{
	(void)state;
	assert_due(expire_by_timekeeper);
}

/* --- tasks that make no picks --- */

#define FORKS_MAX 30000000u

static _Atomic uint32_t forks, forks_waited;

static void *note_forks(void *arg)
{
	if (GET(run) == 0)
		SET(forks_waited, GET(forks));
	return note_run(arg);
}

static void *submit_to_forker(void *arg)
{
	for (unsigned i = 0; i < GET(victims); i++)
		CHECK(weft_submit(arg, note_forks, NULL, NULL) == 0);
	return NULL;
}

static void begin_to_fork(void)
{
	pthread_t thread;

	SET(victims, VICTIMS);
	SET(run, 0);
	SET(forks, 0);
	SET(since, picks());
	if (CHECK(pthread_create(&thread, NULL, submit_to_forker, weft__worker()->rt) == 0))
		pthread_join(thread, NULL);
}

static void *fork_and_join(void *arg)
{
	begin_to_fork();
	while (GET(run) < VICTIMS && GET(forks) < FORKS_MAX) {
		weft_forked forked;

		SET(forks, GET(forks) + 1);
		weft_fork(&forked, give_back, NULL);
		weft_fork_join(&forked);
	}
	return arg;
}

static void note_ranges(size_t lo, size_t hi, void *ctx)
{
	(void)lo;
	(void)hi;
	(void)ctx;
	SET(forks, GET(forks) + 1);
}

static void *fork_ranges(void *arg)
{
	begin_to_fork();
	while (GET(run) < VICTIMS && GET(forks) < FORKS_MAX)
		CHECK(weft_for(0, 64, 1, note_ranges, NULL) == 0);
	return arg;
}

/* The first join gives way. A loop runs as a whole in a fork, so that is before its first range. */
static void test_forks_let_what_is_due_run(void **state)
{
	(void)state;
	assert_run(1, fork_and_join, NULL);
	assert_int_equal(GET(run), VICTIMS);
	assert_in_range(GET(forks_waited), 1, 1);
	assert_run(1, fork_ranges, NULL);
	assert_int_equal(GET(run), VICTIMS);
	assert_in_range(GET(forks_waited), 0, 0);
}

static _Atomic bool sleeper_woke;

static void *fork_until_the_sleeper_wakes(void *arg)
{
	while (!GET(sleeper_woke)) {
		weft_forked forked;

		weft_fork(&forked, give_back, NULL);
		weft_fork_join(&forked);
	}
	return arg;
}

static void *sleep_a_moment(void *arg)
{
	CHECK(weft_sleep(1000000) == 0);
	SET(sleeper_woke, true);
	return arg;
}

static void *sleep_beside_forkers(void *arg)
{
	weft_task *tasks[4], *sleeper;

	SET(sleeper_woke, false);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_spawn(fork_until_the_sleeper_wakes, NULL, &tasks[i]) == 0);
	CHECK(weft_spawn(sleep_a_moment, NULL, &sleeper) == 0);
	CHECK(weft_join(sleeper, NULL) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

/* However the workers are woken, and whichever is the keeper before all are busy. */
static void test_a_sleeper_wakes_beside_tasks_that_fork(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10 + weft_test_scale(100); i++)
		assert_run(1 + i % 4, sleep_beside_forkers, NULL);
}

static unsigned count_threads(void)
{
	DIR *threads = opendir("/proc/self/task");
	unsigned count = 0;

	assert_non_null(threads);
	while (readdir(threads))
		count++;
	closedir(threads);
	return count;
}

static void *sleep_beside_a_yielder(void *arg)
{
	SET(sleeper_woke, false);
	CHECK(weft_spawn(sleep_a_moment, NULL, NULL) == 0);
	while (!GET(sleeper_woke))
		weft_yield();
	/* relaxed: only looked at */
	CHECK(atomic_load_explicit(&weft__worker()->rt->timekeeper.state, memory_order_relaxed) ==
	      TIMEKEEPER_RUNS);
	return arg;
}

static void test_the_timekeeper_ends_with_its_runtime(void **state)
{
	unsigned before = count_threads();

	(void)state;
	for (unsigned i = 0; i < 1 + weft_test_scale(50); i++)
		assert_run(1, sleep_beside_a_yielder, NULL);
	/* A joined thread disappears from /proc a moment later. */
	int64_t lost = weft_after(LOST_NS);
	while (count_threads() > before) {
		assert_true(weft_now() < lost);
		sched_yield();
	}
}

/* A flood from outside leaves the other picks to the tasks that are there already. */
static _Atomic unsigned turns, flood_left;

static void *take_turns(void *arg)
{
	while (GET(flood_left) > 0) {
		SET(turns, GET(turns) + 1);
		weft_yield();
	}
	return arg;
}

static void *count_down(void *arg)
{
	SET(flood_left, GET(flood_left) - 1);
	return arg;
}

static void *submit_flood(void *arg)
{
	for (unsigned i = GET(flood_left); i > 0; i--)
		CHECK(weft_submit(arg, count_down, NULL, NULL) == 0);
	return NULL;
}

static void *play_flood(void *arg)
{
	pthread_t thread;

	if (CHECK(pthread_create(&thread, NULL, submit_flood, weft__worker()->rt) == 0))
		pthread_join(thread, NULL);
	return take_turns(arg);
}

static void test_a_flood_from_outside_leaves_half_of_the_picks(void **state)
{
	unsigned flood = weft_test_scale(1000);

	(void)state;
	SET(turns, 0);
	SET(flood_left, flood);
	assert_run(1, play_flood, NULL);
	/* Now and then a fair pick takes one as well. */
	assert_in_range(GET(turns), flood * 3 / 4, 2 * flood);
}

static void test_an_idle_runtime_has_nothing_due(void **state)
{
	weft_runtime *rt = assert_create(2);
	int64_t lost = weft_after(LOST_NS);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(1000); i++) {
		weft_task *task;

		assert_int_equal(weft_submit(rt, give_back, NULL, &task), 0);
		assert_int_equal(weft_submit(rt, give_back, NULL, NULL), 0);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	/* relaxed: only looked at */
	while (atomic_load_explicit(&rt->idle, memory_order_relaxed) != 2 * SLEEPER &&
	       weft_now() < lost)
		sched_yield();
	assert_int_equal(atomic_load_explicit(&rt->idle, memory_order_relaxed), 2 * SLEEPER);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_injected_comes_next),
		cmocka_unit_test(test_what_has_slept_comes_next),
		cmocka_unit_test(test_the_timekeeper_says_that_a_deadline_has_passed),
		cmocka_unit_test(test_forks_let_what_is_due_run),
		cmocka_unit_test(test_a_sleeper_wakes_beside_tasks_that_fork),
		cmocka_unit_test(test_the_timekeeper_ends_with_its_runtime),
		cmocka_unit_test(test_a_flood_from_outside_leaves_half_of_the_picks),
		cmocka_unit_test(test_an_idle_runtime_has_nothing_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
