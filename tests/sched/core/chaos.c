/* SPDX-License-Identifier: MIT */
/*
 * The effects of WEFT_CHAOS at its points. With virtual time and one worker each run of a seed is
 * the same. So the results do not depend on the machine.
 */
#include "harness.h"
#include "sched/core/tls.h"

#include "sched/core/runtime.h"

#define SEEDS 16

/* Runs fn(arg) with this much chaos. */
static void assert_run_chaos(unsigned workers, unsigned seed, const char *how, weft_fn *fn,
			     void *arg)
{
	char chaos[32];

	snprintf(chaos, sizeof chaos, "%u%s", seed, how);
	setenv("WEFT_CHAOS", chaos, 1);
	assert_run(workers, fn, arg);
	unsetenv("WEFT_CHAOS");
}

static int tear_down(void **state)
{
	(void)state;
	checks_failed();
	return unsetenv("WEFT_CHAOS");
}

static uint64_t struck(enum chaos_point point)
{
	struct weft_runtime *rt = weft__worker()->rt;
	uint64_t sum = 0;

	for (unsigned i = 0; i < weft_runtime_workers(NULL); i++)
		sum += atomic_load_explicit(&rt->records[i]->chaos.struck[point],
					    memory_order_relaxed);
	return sum;
}

/* --- every point is passed, and its dice fall --- */

static weft_mutex mutex = WEFT_MUTEX_INIT;

static void *act(void *arg)
{
	weft_task *task;

	for (unsigned i = 0; i < 20; i++) {
		weft_mutex_lock(&mutex);
		weft_yield();
		weft_mutex_unlock(&mutex);
		CHECK(weft_sleep(1000) == 0);
		CHECK(weft_spawn(sleep_for_ever, NULL, &task) == 0);
		weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void *act_until_all_struck(void *arg)
{
	for (unsigned rounds = 0;; rounds++) {
		weft_task *tasks[8];
		unsigned missing = 0;

		for (unsigned i = 0; i < 8; i++)
			CHECK(weft_spawn(act, NULL, &tasks[i]) == 0);
		for (unsigned i = 0; i < 8; i++)
			CHECK(weft_join(tasks[i], NULL) == 0);
		for (unsigned point = 0; point < CHAOS_POINTS; point++) {
			bool none = point != CHAOS_CANCEL && struck(point) == 0;
			missing += none;
			if (none && rounds > 1000)
				fprintf(stderr, "point %u never struck\n", point);
		}
		if (missing == 0 || !CHECK(rounds <= 1000))
			return arg;
	}
}

static void test_every_point_strikes(void **state)
{
	(void)state;
	assert_run_chaos(3, 1, "", act_until_all_struck, NULL);
}

static void *expect_nothing_struck(void *arg)
{
	act(arg);
	for (unsigned point = 0; point < CHAOS_POINTS; point++)
		CHECK(struck(point) == 0);
	CHECK(weft__worker()->ring.mask + 1 == 1024);
	return arg;
}

static void test_nothing_strikes_without_it(void **state)
{
	(void)state;
	assert_run(1, expect_nothing_struck, NULL);
}

/* --- and the named effect happens --- */

#define STARTS 8

struct starts {
	_Atomic unsigned count; /* relaxed: one worker */
	char order[STARTS + 1];
	uint64_t injected;
};

struct start {
	struct starts *starts;
	weft_task *task;
	unsigned nth;
};

static void *note_start(void *arg)
{
	struct start *start = arg;
	unsigned at = atomic_fetch_add_explicit(&start->starts->count, 1, memory_order_relaxed);

	start->starts->order[at] = (char)('a' + start->nth);
	return NULL;
}

static void *start_some(void *arg)
{
	struct start all[STARTS];
	struct weft_stats before, after;

	CHECK(weft_runtime_stats(NULL, &before) == 0);
	for (unsigned i = 0; i < STARTS; i++) {
		all[i] = (struct start){.starts = arg, .nth = i};
		CHECK(weft_spawn(note_start, &all[i], &all[i].task) == 0);
	}
	for (unsigned i = 0; i < STARTS; i++)
		CHECK(weft_join(all[i].task, NULL) == 0);
	CHECK(weft_runtime_stats(NULL, &after) == 0);
	((struct starts *)arg)->injected = after.injected - before.injected;
	return NULL;
}

/* Most seeds have an order of their own. */
static void assert_many_orders(const struct starts *starts)
{
	unsigned distinct = 0;

	for (unsigned seed = 0; seed < SEEDS; seed++) {
		unsigned other = 0;
		while (other < seed && strcmp(starts[other].order, starts[seed].order) != 0)
			other++;
		distinct += other == seed;
	}
	assert_true(distinct > SEEDS / 2);
}

static void test_new_tasks_start_in_many_orders(void **state)
{
	struct starts starts[SEEDS] = {{0}}, plain = {0};
	unsigned injecting = 0;

	(void)state;
	assert_run(1, start_some, &plain);
	assert_string_equal(plain.order, "hgfedcba");
	assert_int_equal(plain.injected, 0);
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		assert_run_chaos(1, seed, ",virtual", start_some, &starts[seed]);
		injecting += starts[seed].injected > 0;
	}
	assert_true(injecting > SEEDS / 2);
	assert_many_orders(starts);
}

static void *wake_up(void *arg)
{
	struct start *start = arg;

	CHECK(weft_sleep_until(1) == 0); /* this time has passed: no wait */
	weft_latch *go = (weft_latch *)(void *)start->task;
	CHECK(weft_latch_wait(go) == 0);
	return note_start(arg);
}

static void *wake_some(void *arg)
{
	struct start all[STARTS];
	weft_task *tasks[STARTS];
	weft_latch go;

	weft_latch_init(&go, 1);
	for (unsigned i = 0; i < STARTS; i++) {
		all[i] = (struct start){.starts = arg, .nth = i, .task = (void *)&go};
		CHECK(weft_spawn(wake_up, &all[i], &tasks[i]) == 0);
		CHECK(weft_sleep(1000000) == 0); /* it waits by now */
	}
	weft_latch_count_down(&go, 1);
	for (unsigned i = 0; i < STARTS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	weft_latch_fini(&go);
	return NULL;
}

static void test_woken_tasks_run_in_many_orders(void **state)
{
	struct starts starts[SEEDS] = {{0}};

	(void)state;
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		assert_run_chaos(1, seed, ",virtual", wake_some, &starts[seed]);
	}
	assert_many_orders(starts);
}

struct woken {
	weft_sem sem;
	char name;
	_Atomic char *first; /* relaxed: one worker */
};

static void *say_first(void *arg)
{
	struct woken *woken = arg;
	char nobody = 0;

	CHECK(weft_sem_acquire(&woken->sem) == 0);
	atomic_compare_exchange_strong_explicit(woken->first, &nobody, woken->name,
						memory_order_relaxed, memory_order_relaxed);
	return NULL;
}

/* The task that is woken last is in the slot, which comes first. The other one is in the ring. Or
 * chaos sent them away. */
static void *wake_two(void *ret_inverted)
{
	for (unsigned i = 0; i < 100; i++) {
		_Atomic char first = 0;
		struct woken ring = {WEFT_SEM_INIT(0), 'r', &first};
		struct woken slot = {WEFT_SEM_INIT(0), 's', &first};
		weft_task *tasks[2];

		CHECK(weft_spawn(say_first, &ring, &tasks[0]) == 0);
		CHECK(weft_spawn(say_first, &slot, &tasks[1]) == 0);
		CHECK(weft_sleep(1000000) == 0); /* they wait by now */
		uint64_t sent = struck(CHAOS_READY);
		weft_sem_release(&ring.sem, 1);
		weft_sem_release(&slot.sem, 1);
		bool in_place = struck(CHAOS_READY) == sent;
		CHECK(weft_join(tasks[0], NULL) == 0);
		CHECK(weft_join(tasks[1], NULL) == 0);
		*(unsigned *)ret_inverted +=
			in_place && atomic_load_explicit(&first, memory_order_relaxed) == 'r';
	}
	return NULL;
}

static void test_queues_are_looked_at_in_many_orders(void **state)
{
	unsigned inverted = 0;

	(void)state;
	assert_run_chaos(1, 1, ",virtual", wake_two, &inverted);
	assert_in_range(inverted, 1, 99);
}

static _Atomic unsigned turns; /* relaxed */

static void *take_turns(void *arg)
{
	for (unsigned i = 0; i < 1000; i++) {
		atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
		weft_yield();
	}
	return arg;
}

/* Being cancelled, it waits for nothing. Counts how often the other task has had a turn
 * meanwhile. */
static void *hardly_wait(void *arg)
{
	unsigned *gave_way = arg;

	for (unsigned i = 0; i < 50; i++) {
		unsigned before = atomic_load_explicit(&turns, memory_order_relaxed);
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
		*gave_way += atomic_load_explicit(&turns, memory_order_relaxed) != before;
	}
	return arg;
}

static void *wait_for_nothing(void *arg)
{
	weft_task *other, *task;

	CHECK(weft_spawn(take_turns, NULL, &other) == 0);
	CHECK(weft_spawn(hardly_wait, arg, &task) == 0);
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_join(other, NULL) == 0);
	return arg;
}

static void test_a_wait_that_is_over_may_not_give_way(void **state)
{
	unsigned always = 0, sometimes = 0;

	(void)state;
	assert_run(1, wait_for_nothing, &always);
	assert_run_chaos(1, 1, ",virtual", wait_for_nothing, &sometimes);
	print_message("gave way %u and, by chance, %u times of 50\n", always, sometimes);
	assert_in_range(always, 45, 50);
	assert_in_range(sometimes, 1, 44);
}

/*
 * For each sleep of the task the worker sleeps once. It sleeps once more if it is woken for
 * nothing, and once more if it does not find the deadline that has passed.
 */
static void *sleep_often(void *arg)
{
	struct weft_stats s;
	uint64_t nothings;

	for (unsigned i = 0; i < 200; i++) {
		int64_t deadline = weft_after(1000000);
		CHECK(weft_sleep_until(deadline) == 0);
		CHECK(weft_now() >= deadline);
	}
	nothings = struck(CHAOS_SLEEP);
	CHECK(weft_runtime_stats(NULL, &s) == 0);
	CHECK(nothings > 0);
	CHECK(struck(CHAOS_TIMERS) > 0);
	CHECK(s.sleeps > 200 + nothings);
	return arg;
}

static void test_workers_wake_for_nothing_and_deadlines_are_late(void **state)
{
	(void)state;
	assert_run_chaos(1, 3, ",virtual", sleep_often, NULL);
}

/* A canceller loses time between its request and its look at the wait. */
static void *cancel_slowly(void *arg)
{
	unsigned slow = 0;

	for (unsigned i = 0; i < 50; i++) {
		weft_task *task;
		CHECK(weft_spawn(sleep_for_ever, NULL, &task) == 0);
		int64_t looked = weft_now(), begin = weft_now();
		CHECK(weft_cancel(task) == 0);
		slow += weft_now() - begin > begin - looked;
		CHECK(weft_join(task, NULL) == 0);
	}
	CHECK(slow > 0 && slow < 50);
	return arg;
}

static void test_cancellers_lose_time(void **state)
{
	(void)state;
	assert_run_chaos(1, 1, ",virtual", cancel_slowly, NULL);
}

static void *look_at_capacity(void *arg)
{
	*(unsigned *)arg = (unsigned)weft__worker()->ring.mask + 1;
	return NULL;
}

static void test_queues_are_tiny(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned seed = 0; seed < SEEDS; seed++) {
		unsigned capacity = 0;
		assert_run_chaos(1, seed, "", look_at_capacity, &capacity);
		assert_true(capacity >= 2 && capacity <= 16);
		seen |= capacity;
	}
	assert_int_equal(seen, 2 + 4 + 8 + 16);
}

static flag slept;

static void *compute_until_slept(void *arg)
{
	while (!is_raised(&slept, 1))
		;
	return arg;
}

/* Every sleep ends with a hop. Meanwhile one of the workers never comes back to its queues. */
static void *sleep_beside_one_that_computes(void *arg)
{
	weft_task *task;

	atomic_store_explicit(&slept, 0, memory_order_relaxed);
	CHECK(weft_spawn(compute_until_slept, NULL, &task) == 0);
	for (unsigned i = 0; i < 2 + weft_test_scale(8); i++)
		CHECK(weft_sleep(1000) == 0);
	raise_flag(&slept);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_a_hop_strands_nobody_behind_one_that_computes(void **state)
{
	static const unsigned workers[] = {2, 3, 4};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned seed = 1; seed <= weft_test_scale(4); seed++)
			assert_run_chaos(workers[i], seed, ",hop", sleep_beside_one_that_computes,
					 NULL);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_point_strikes),
		TEST(test_nothing_strikes_without_it),
		TEST(test_new_tasks_start_in_many_orders),
		TEST(test_woken_tasks_run_in_many_orders),
		TEST(test_queues_are_looked_at_in_many_orders),
		TEST(test_a_wait_that_is_over_may_not_give_way),
		TEST(test_workers_wake_for_nothing_and_deadlines_are_late),
		TEST(test_cancellers_lose_time),
		TEST(test_queues_are_tiny),
		TEST(test_a_hop_strands_nobody_behind_one_that_computes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
