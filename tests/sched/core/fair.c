/* SPDX-License-Identifier: MIT */
/*
 * Fairness with one worker. A runnable task is picked after at most WEFT__FAIR_BOUND times p + 1
 * picks, whatever else arrives. p is the number of tasks before it in its queue.
 *
 * In each test a victim waits in one kind of queue with nothing before it. Other tasks keep the
 * worker busy through another kind. They stop when the victim has run, or at ten times the bound.
 * So a starved victim is a wrong number and not a hang.
 */
#include "harness.h"
#include "parker.h"
#include "sched/core/runtime.h"

#include <pthread.h>

static uint32_t picks(void)
{
	/* relaxed: the worker's own count */
	return atomic_load_explicit(&weft__worker()->picks, memory_order_relaxed);
}

/* Atomic although there is one worker: tasks that share a variable without an order between them
 * are a race. All relaxed: the test looks at the order of picks. */
static _Atomic bool waiting;    /* the victim is runnable and has not run */
static _Atomic bool busy;       /* the tasks that keep the worker busy go on */
static _Atomic uint32_t since;  /* the count of picks when it became runnable */
static _Atomic uint32_t waited; /* picks until it ran */

#define GET(variable)        atomic_load_explicit(&(variable), memory_order_relaxed)
#define SET(variable, value) atomic_store_explicit(&(variable), value, memory_order_relaxed)

static void become_runnable(void)
{
	SET(waiting, true);
	SET(busy, true);
	SET(since, picks());
}

static void note_run(void)
{
	SET(waited, picks() - GET(since));
	SET(waiting, false);
	SET(busy, false);
}

static bool go_on(void)
{
	if (GET(waiting) && picks() - GET(since) > 10 * WEFT__FAIR_BOUND)
		SET(busy, false);
	return GET(busy);
}

static void *note_run_task(void *arg)
{
	note_run();
	return arg;
}

static void assert_fair(weft_fn *fn)
{
	for (unsigned i = 0; i < 20 + weft_test_scale(80);
	     i++) { /* from different counts of picks */
		SET(waited, UINT32_MAX);
		assert_run(1, fn, (void *)(uintptr_t)i);
		assert_in_range(GET(waited), 0, WEFT__FAIR_BOUND);
	}
}

/* Changes the number of the next pick in each run. */
static void shift(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		weft_yield();
}

static void *yield_on(void *arg)
{
	while (go_on())
		weft_yield();
	return arg;
}

static struct pair pair;

static void *yield_beside_a_pair(void *arg)
{
	shift(arg);
	SET(busy, true);
	CHECK(pair_spawn(&pair, go_on));
	weft_yield();
	weft_yield();
	become_runnable();
	weft_yield();
	note_run();
	return arg;
}

static void test_a_pair_that_talks_leaves_turns_to_the_ring(void **state)
{
	(void)state;
	assert_fair(yield_beside_a_pair);
}

static void *spawn_beside_a_pair(void *arg)
{
	shift(arg);
	SET(busy, true);
	CHECK(pair_spawn(&pair, go_on));
	weft_yield();
	weft_yield();
	become_runnable();
	CHECK(weft_spawn(note_run_task, NULL, NULL) == 0);
	return arg;
}

static void test_a_pair_that_talks_leaves_turns_to_the_deque(void **state)
{
	(void)state;
	assert_fair(spawn_beside_a_pair);
}

static void *spawn_beside_yielders(void *arg)
{
	shift(arg);
	SET(busy, true);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	for (unsigned i = 0; i < 200; i++)
		weft_yield();
	become_runnable();
	CHECK(weft_spawn(note_run_task, NULL, NULL) == 0);
	return arg;
}

static void test_yielders_leave_turns_to_the_deque(void **state)
{
	(void)state;
	assert_fair(spawn_beside_yielders);
}

static void *spawn_a_successor(void *arg)
{
	if (go_on())
		CHECK(weft_spawn(spawn_a_successor, arg, NULL) == 0);
	return arg;
}

static void *bury_an_old_one(void *arg)
{
	shift(arg);
	become_runnable();
	CHECK(weft_spawn(note_run_task, NULL, NULL) == 0);
	CHECK(weft_spawn(spawn_a_successor, NULL, NULL) == 0);
	return arg;
}

static void test_new_tasks_do_not_bury_old_ones(void **state)
{
	(void)state;
	assert_fair(bury_an_old_one);
}

static void *yield_beside_a_chain(void *arg)
{
	shift(arg);
	become_runnable();
	CHECK(weft_spawn(spawn_a_successor, NULL, NULL) == 0);
	weft_yield();
	note_run();
	return arg;
}

static void test_new_tasks_do_not_bury_the_ring(void **state)
{
	(void)state;
	assert_fair(yield_beside_a_chain);
}

static void *submit_victim(void *arg)
{
	CHECK(weft_submit(arg, note_run_task, NULL, NULL) == 0);
	return NULL;
}

/* The worker makes no pick until the other thread has submitted. */
static void inject(void)
{
	pthread_t thread;

	become_runnable();
	if (CHECK(pthread_create(&thread, NULL, submit_victim, weft__worker()->rt) == 0))
		pthread_join(thread, NULL);
}

static void *inject_beside_yielders(void *arg)
{
	shift(arg);
	inject();
	CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	return yield_on(arg);
}

static void test_yielders_leave_turns_to_injected_tasks(void **state)
{
	(void)state;
	assert_fair(inject_beside_yielders);
}

static void *inject_beside_a_chain(void *arg)
{
	shift(arg);
	inject();
	CHECK(weft_spawn(spawn_a_successor, NULL, NULL) == 0);
	return yield_on(arg);
}

static void test_new_tasks_leave_turns_to_injected_tasks(void **state)
{
	(void)state;
	assert_fair(inject_beside_a_chain);
}

static void *pin_beside_yielders(void *arg)
{
	shift(arg);
	become_runnable();
	CHECK(weft_spawn_with(&(struct weft_task_options){.pinned = true}, note_run_task, NULL,
			      NULL) == 0);
	CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	return yield_on(arg);
}

static void test_yielders_leave_turns_to_pinned_tasks(void **state)
{
	(void)state;
	assert_fair(pin_beside_yielders);
}

static int64_t deadline;
static _Atomic bool early; /* the victim woke before the others could begin */

static void *sleep_and_note(void *arg)
{
	CHECK(weft_sleep_until(deadline) == 0);
	SET(early, !GET(waiting));
	note_run();
	return arg;
}

/* The worker makes no pick until the deadline has passed. */
static void *sleep_beside_yielders(void *arg)
{
	shift(arg);
	SET(early, false);
	deadline = weft_after(100000);
	CHECK(weft_spawn(sleep_and_note, NULL, NULL) == 0);
	weft_yield();
	while (weft_now() <= deadline)
		;
	if (GET(early)) {
		SET(waited, 0);
		return arg;
	}
	become_runnable();
	CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	return yield_on(arg);
}

static void test_yielders_leave_turns_to_timers(void **state)
{
	(void)state;
	assert_fair(sleep_beside_yielders);
}

/* Far more than the ring holds. When the first task has had all its turns, each other one has had
 * most of its own. */
#define TURNS 20
#define MANY  (CHILD_TSAN ? 600 : 500 + weft_test_scale(2000))
static unsigned yielders;
static _Atomic unsigned begun, least;
static _Atomic unsigned *turns;

static void *take_turns(void *arg)
{
	SET(begun, GET(begun) + 1);
	while (GET(begun) < yielders)
		weft_yield();
	for (unsigned i = 0; i < TURNS; i++) {
		weft_yield();
		SET(turns[(uintptr_t)arg], GET(turns[(uintptr_t)arg]) + 1);
	}
	if (GET(least) == UINT32_MAX) {
		for (unsigned i = 0; i < yielders; i++) {
			if (GET(turns[i]) < GET(least))
				SET(least, GET(turns[i]));
		}
	}
	return NULL;
}

static void *spawn_yielders(void *arg)
{
	/* Otherwise the ring would grow before it overflows. */
	weft__worker()->ring.most = 1024;
	for (uintptr_t i = 0; i < yielders; i++)
		CHECK(weft_spawn(take_turns, (void *)i, NULL) == 0);
	return arg;
}

static void assert_turns(unsigned count)
{
	yielders = count;
	SET(begun, 0);
	SET(least, UINT32_MAX);
	turns = calloc(count, sizeof(*turns));
	assert_non_null(turns);
	assert_run(1, spawn_yielders, NULL);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(GET(turns[i]), TURNS);
	assert_in_range(GET(least), TURNS / 2, TURNS);
	free((void *)turns);
}

static void test_every_yielder_gets_its_turn(void **state)
{
	(void)state;
	assert_turns(2);
	assert_turns(10);
	assert_turns(250);
	assert_turns(MANY);
}

/* With several workers there is no order, but all make progress. With one, none ends its round
 * before the others. */
static _Atomic unsigned arrived;

static void *yield_until_all_have(void *arg)
{
	int64_t lost = weft_after(LOST_NS);

	/* relaxed: a count */
	atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
	while (atomic_load_explicit(&arrived, memory_order_relaxed) < yielders && weft_now() < lost)
		weft_yield();
	CHECK(atomic_load_explicit(&arrived, memory_order_relaxed) == yielders);
	return arg;
}

static void *spawn_waiters(void *arg)
{
	for (unsigned i = 0; i < yielders; i++)
		CHECK(weft_spawn(yield_until_all_have, NULL, NULL) == 0);
	return arg;
}

static void test_thousands_wait_for_each_other_by_yielding(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		yielders = MANY;
		atomic_store_explicit(&arrived, 0, memory_order_relaxed);
		assert_run(workers, spawn_waiters, NULL);
	}
}

#define ROUNDS 50

static _Atomic unsigned passed[8]; /* relaxed: one worker */
static _Atomic bool stop;

static void *pass_on(void *arg)
{
	_Atomic unsigned *own = arg;

	while (!GET(stop)) {
		SET(*own, GET(*own) + 1);
		weft_yield();
	}
	return arg;
}

/* Each task that has run before has its turn before a yield returns. */
static void *yield_to_all(void *arg)
{
	weft_task *tasks[8];

	SET(stop, false);
	for (unsigned i = 0; i < 8; i++) {
		SET(passed[i], 0);
		CHECK(weft_spawn(pass_on, &passed[i], &tasks[i]) == 0);
	}
	for (unsigned i = 0; i < 8; i++)
		while (GET(passed[i]) == 0) /* a new one need not have, but will */
			weft_yield();
	for (unsigned n = 0; n < ROUNDS; n++) {
		unsigned before[8];

		for (unsigned i = 0; i < 8; i++)
			before[i] = GET(passed[i]);
		weft_yield();
		for (unsigned i = 0; i < 8; i++)
			CHECK(GET(passed[i]) > before[i]);
	}
	SET(stop, true);
	for (unsigned i = 0; i < 8; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void test_a_yield_lets_those_that_have_run_have_their_turn(void **state)
{
	(void)state;
	assert_run(1, yield_to_all, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pair_that_talks_leaves_turns_to_the_ring),
		cmocka_unit_test(test_a_pair_that_talks_leaves_turns_to_the_deque),
		cmocka_unit_test(test_yielders_leave_turns_to_the_deque),
		cmocka_unit_test(test_new_tasks_do_not_bury_old_ones),
		cmocka_unit_test(test_new_tasks_do_not_bury_the_ring),
		cmocka_unit_test(test_yielders_leave_turns_to_injected_tasks),
		cmocka_unit_test(test_new_tasks_leave_turns_to_injected_tasks),
		cmocka_unit_test(test_yielders_leave_turns_to_pinned_tasks),
		cmocka_unit_test(test_yielders_leave_turns_to_timers),
		cmocka_unit_test(test_every_yielder_gets_its_turn),
		cmocka_unit_test(test_thousands_wait_for_each_other_by_yielding),
		cmocka_unit_test(test_a_yield_lets_those_that_have_run_have_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
