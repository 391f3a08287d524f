/* SPDX-License-Identifier: MIT */
/*
 * Neither too little sleep nor too much. An idle runtime uses no processor. No runnable task waits
 * for a task that keeps computing while another worker sleeps. In the latter tests the long task
 * goes on until the other has run, so lost work shows as a wait for LOST_NS.
 */
#include "harness.h"
#include "parker.h"
#include "sched/core/runtime.h"

#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#define ROUNDS 200

static int64_t processor_time(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
	       ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static unsigned sleepers(weft_runtime *rt)
{
	/* relaxed: only looked at */
	return SLEEPERS(atomic_load_explicit(&rt->idle, memory_order_relaxed));
}

static bool await_sleepers(weft_runtime *rt, unsigned n)
{
	int64_t lost = weft_after(LOST_NS);

	while (sleepers(rt) != n) {
		if (weft_now() > lost)
			return false;
		sched_yield();
	}
	return true;
}

static void *spawn_a_few(void *arg)
{
	for (unsigned i = 0; i < 100; i++)
		CHECK(weft_spawn(give_back, NULL, NULL) == 0);
	return arg;
}

static void test_an_idle_runtime_uses_no_processor(void **state)
{
	bool at_length = getenv("WEFT_TEST_LONG") != NULL;
	int64_t allowed = at_length ? 10000000 : 2000000;
	struct timespec nap = {.tv_sec = at_length ? 10 : 1};
	weft_runtime *rt = assert_create(4);
	weft_task *sleeper;

	(void)state;
	/* It has worked. One task waits without a deadline, and one for a far deadline. */
	assert_int_equal(weft_submit(rt, spawn_a_few, NULL, NULL), 0);
	assert_int_equal(weft_submit(rt, sleep_for_ever, NULL, &sleeper), 0);
	struct weft_stats stats;
	do {
		sched_yield();
		assert_int_equal(weft_runtime_stats(rt, &stats), 0);
	} while (stats.live > 1 || stats.parks < 1);
	assert_true(await_sleepers(rt, 4));

	int64_t before = processor_time();
	nanosleep(&nap, NULL);
	int64_t used = processor_time() - before;
	if (used >= allowed)
		fprintf(stderr, "idle, it used %lld us\n", (long long)used / 1000);
	if (!CHILD_TSAN && !CHILD_ASAN)
		assert_true(used < allowed);

	assert_int_equal(weft_cancel(sleeper), 0);
	assert_int_equal(weft_join(sleeper, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static bool await_awake(weft_runtime *rt, unsigned n)
{
	int64_t lost = weft_after(LOST_NS);
	unsigned awake;

	do {
		sched_yield();
		weft__lock(&rt->idle_lock);
		awake = rt->awake_count;
		weft__unlock(&rt->idle_lock);
	} while (awake != n && weft_now() < lost);
	return awake == n;
}

static void *wait_for_go(void *arg)
{
	raise_flag(&((flag *)arg)[0]);
	CHECK(spin_for(&((flag *)arg)[1], 1));
	return NULL;
}

/* The last worker to go to sleep uses only its own fence. It must not count as the last one by
 * mistake. */
static void test_who_is_awake_is_counted(void **state)
{
	weft_runtime *rt = assert_create(3);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		flag flags[2] = {0};
		weft_task *task;

		assert_true(await_awake(rt, 0));
		assert_int_equal(weft_submit(rt, wait_for_go, flags, &task), 0);
		assert_true(spin_for(&flags[0], 1));
		assert_true(await_awake(rt, 1));
		/* Workers come, go, are told to go and then to stay, and sleep in between. */
		assert_int_equal(weft_runtime_set_workers(rt, 5), 0);
		assert_true(await_awake(rt, 1));
		assert_int_equal(weft_runtime_set_workers(rt, 2), 0);
		assert_int_equal(weft_runtime_set_workers(rt, i % 2 ? 4 : 1), 0);
		assert_int_equal(weft_runtime_set_workers(rt, 3), 0);
		assert_true(await_awake(rt, 1));
		raise_flag(&flags[1]);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	assert_true(await_awake(rt, 0));
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* A long task and the tasks that it makes runnable. Each of those waits in `parker` and raises
 * `done`. */
struct scene {
	weft_runtime *rt;
	struct parker parker[2];
	flag parked, done, go;
	unsigned others; /* the workers but one: all asleep when the long task begins */
};

static void scene_init(struct scene *scene)
{
	*scene = (struct scene){.parker = {PARKER_INIT, PARKER_INIT}};
}

static void *raise_done(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->done);
	return NULL;
}

static void *wait_first(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->parked);
	park(&scene->parker[0]);
	return raise_done(arg);
}

static void *wait_second(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->parked);
	park(&scene->parker[1]);
	return raise_done(arg);
}

/* Runs long() in a main task with two workers, again and again. */
static void play_rounds(weft_fn *act, unsigned rounds)
{
	for (unsigned i = 0; i < weft_test_scale(rounds); i++) {
		struct scene scene;

		scene_init(&scene);
		assert_run(2, act, &scene);
	}
}

static void play(weft_fn *act)
{
	play_rounds(act, ROUNDS);
}

static weft_runtime *own_runtime(void)
{
	return weft__worker()->rt;
}

static void *compute_after_a_wake(void *arg)
{
	struct scene *scene = arg;

	CHECK(weft_spawn(wait_first, scene, NULL) == 0);
	CHECK(yield_for(&scene->parked, 1));
	unpark(&scene->parker[0]);
	CHECK(spin_for(&scene->done, 1));
	return NULL;
}

static void test_a_long_task_does_not_strand_the_next_slot(void **state)
{
	(void)state;
	play(compute_after_a_wake);
}

/* The owner has taken from its slot before. A watcher must find that it no longer does. */
static void *compute_after_a_second_wake(void *arg)
{
	struct scene *scene = arg;

	CHECK(weft_spawn(wait_first, scene, NULL) == 0);
	CHECK(weft_spawn(wait_second, scene, NULL) == 0);
	CHECK(yield_for(&scene->parked, 2));
	unpark(&scene->parker[0]);
	CHECK(yield_for(&scene->done, 1));
	unpark(&scene->parker[1]);
	CHECK(spin_for(&scene->done, 2));
	return NULL;
}

static void test_a_long_task_does_not_strand_a_slot_that_was_in_use(void **state)
{
	(void)state;
	play(compute_after_a_second_wake);
}

/* Some twenty are enough. If the slots are not looked at meanwhile, it goes on for seconds. */
#define FEEDINGS_MAX 2000

/* A plain thread that submits something short, some time after the last one has ended. */
struct feeder {
	struct scene *scene;
	weft_runtime *rt;
	int64_t pause_ns;
	flag fed, stop;
	unsigned fed_when_run; /* the task that was in the slot */
};

static void compute_for(int64_t ns)
{
	int64_t end = weft_after(ns);

	while (weft_now() < end)
		;
}

static void *be_short(void *arg)
{
	struct feeder *feeder = arg;

	compute_for(5000);
	raise_flag(&feeder->fed);
	return NULL;
}

static void *wait_beside_feeder(void *arg)
{
	struct feeder *feeder = arg;

	raise_flag(&feeder->scene->parked);
	park(&feeder->scene->parker[0]);
	feeder->fed_when_run = atomic_load_explicit(&feeder->fed, memory_order_relaxed);
	return raise_done(feeder->scene);
}

static void *feed(void *arg)
{
	struct feeder *feeder = arg;

	for (unsigned i = 1; !is_raised(&feeder->stop, 1); i++) {
		CHECK(weft_submit(feeder->rt, be_short, feeder, NULL) == 0);
		CHECK(spin_for(&feeder->fed, i));
		compute_for(feeder->pause_ns);
	}
	return NULL;
}

/*
 *   worker 0            worker 1
 *   wakes a task        runs something short
 *   computes            searches, or sleeps and watches, for less time than it needs to call the
 *                       task in worker 0's slot stranded; something short comes; and so on
 */
static void *compute_beside_one_who_is_fed(void *arg, int64_t pause_ns)
{
	struct scene *scene = arg;
	struct feeder feeder = {.scene = scene, .rt = own_runtime(), .pause_ns = pause_ns};
	pthread_t thread;

	CHECK(weft_spawn(wait_beside_feeder, &feeder, NULL) == 0);
	CHECK(yield_for(&scene->parked, 1));
	CHECK(pthread_create(&thread, NULL, feed, &feeder) == 0);
	CHECK(spin_for(&feeder.fed, 3));
	unpark(&scene->parker[0]);
	/* Counted after that, because this thread may be preempted in between, and the task may
	 * have run already. relaxed: during each feeding worker 1 has nothing to do. */
	unsigned fed = atomic_load_explicit(&feeder.fed, memory_order_relaxed);
	CHECK(spin_for(&scene->done, 1));
	CHECK((int)(feeder.fed_when_run - fed) < FEEDINGS_MAX);
	raise_flag(&feeder.stop);
	pthread_join(thread, NULL);
	return NULL;
}

static void *compute_beside_one_who_searches(void *arg)
{
	return compute_beside_one_who_is_fed(arg, 10000);
}

static void *compute_beside_one_who_dozes(void *arg)
{
	return compute_beside_one_who_is_fed(arg, 85000);
}

static void test_a_long_task_beside_one_who_is_fed_does_not_strand_the_next_slot(void **state)
{
	(void)state;
	/* Under valgrind one thread runs at a time, so worker 1 finds something whenever it
	 * runs. */
	if (getenv("WEFT_TEST_SCALE"))
		skip();
	play_rounds(compute_beside_one_who_searches, ROUNDS / 10);
	play_rounds(compute_beside_one_who_dozes, ROUNDS / 10);
}

static void *compute_after_a_late_wake(void *arg)
{
	struct scene *scene = arg;

	CHECK(weft_spawn(wait_first, scene, NULL) == 0);
	CHECK(yield_for(&scene->parked, 1));
	CHECK(await_sleepers(own_runtime(), 1));
	unpark(&scene->parker[0]);
	CHECK(spin_for(&scene->done, 1));
	return NULL;
}

static void test_a_long_task_wakes_a_watcher_for_the_next_slot(void **state)
{
	(void)state;
	play(compute_after_a_late_wake);
}

static void *compute_after_two_wakes(void *arg)
{
	struct scene *scene = arg;

	CHECK(weft_spawn(wait_first, scene, NULL) == 0);
	CHECK(weft_spawn(wait_second, scene, NULL) == 0);
	CHECK(yield_for(&scene->parked, 2));
	CHECK(await_sleepers(own_runtime(), 1));
	unpark(&scene->parker[0]);
	unpark(&scene->parker[1]); /* the first one goes to the ring */
	CHECK(spin_for(&scene->done, 2));
	return NULL;
}

static void test_a_long_task_does_not_strand_its_ring(void **state)
{
	(void)state;
	play(compute_after_two_wakes);
}

static void *compute_after_spawns(void *arg)
{
	struct scene *scene = arg;

	CHECK(await_sleepers(own_runtime(), 1));
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(raise_done, scene, NULL) == 0);
	CHECK(spin_for(&scene->done, 3));
	return NULL;
}

static void test_a_long_task_does_not_strand_its_deque(void **state)
{
	(void)state;
	play(compute_after_spawns);
}

/* The other worker has come to watch. It is not woken again for a task that is alone in the
 * deque. */
static void *compute_after_many_spawns(void *arg)
{
	struct scene *scene = arg;

	for (unsigned i = 0; i < 1000; i++) {
		weft_task *task;
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	CHECK(weft_spawn(raise_done, scene, NULL) == 0);
	CHECK(spin_for(&scene->done, 1));
	return NULL;
}

static void test_a_long_task_does_not_strand_the_only_one_that_it_spawned(void **state)
{
	(void)state;
	play(compute_after_many_spawns);
}

static void *compute_until_go(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->parked);
	CHECK(spin_for(&scene->done, 3));
	return NULL;
}

static void test_a_long_task_does_not_strand_injections(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct scene scene;
		weft_task *task;

		scene_init(&scene);
		assert_int_equal(weft_submit(rt, compute_until_go, &scene, &task), 0);
		assert_true(spin_for(&scene.parked, 1));
		for (unsigned n = 0; n < 3; n++)
			assert_int_equal(weft_submit(rt, raise_done, &scene, NULL), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(checks_failed(), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void *nap(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->parked);
	CHECK(weft_sleep(3000000) == 0);
	return raise_done(scene);
}

static void *compute_until_done(void *arg);

/*
 *   plain thread          worker 0                      worker 1
 *                         asleep                        asleep until the deadline
 *   submits a long task   must be woken for it          not this one
 */
static void test_who_keeps_a_deadline_is_handed_nothing(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		struct scene scene;
		weft_task *napper, *task;

		scene_init(&scene);
		assert_true(await_sleepers(rt, 2));
		assert_int_equal(weft_submit(rt, nap, &scene, &napper), 0);
		assert_true(spin_for(&scene.parked, 1));
		assert_true(await_sleepers(rt, 2));
		assert_int_equal(weft_submit(rt, compute_until_done, &scene, &task), 0);
		assert_int_equal(weft_join(napper, NULL), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(checks_failed(), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void *compute_until_done(void *arg)
{
	struct scene *scene = arg;

	CHECK(spin_for(&scene->done, 1));
	return NULL;
}

/*
 *   worker 0                                worker 1
 *                                           asleep
 *   spawns a task that is pinned here
 *   yields: goes to the ring
 *   runs the pinned task, which computes    must take the yielder from the ring
 */
static void *yield_to_a_pinned_one(void *arg)
{
	struct scene *scene = arg;

	CHECK(await_sleepers(own_runtime(), 1));
	CHECK(weft_spawn_with(&(struct weft_task_options){.pinned = true}, compute_until_done,
			      scene, NULL) == 0);
	weft_yield();
	return raise_done(scene);
}

static void test_a_long_pinned_task_does_not_strand_who_yields_to_it(void **state)
{
	(void)state;
	play(yield_to_a_pinned_one);
}

static void *park_then_compute(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->parked);
	park(&scene->parker[0]);
	CHECK(spin_for(&scene->done, 1));
	return NULL;
}

/*
 *   worker 0                                 worker 1
 *   wakes a task: into the slot              is woken to watch the slot
 *   (until it watches)                       sleeps for a moment, as the watcher
 *   yields: goes to the ring
 *   runs the woken task, which computes      the slot is empty: but the yielder is in the ring
 */
static void *yield_to_a_watched_one(void *arg)
{
	struct scene *scene = arg;
	int64_t lost = weft_after(LOST_NS);

	CHECK(weft_spawn(park_then_compute, scene, NULL) == 0);
	CHECK(yield_for(&scene->parked, 1));
	CHECK(await_sleepers(own_runtime(), 1));
	unpark(&scene->parker[0]);
	while (!atomic_load_explicit(&own_runtime()->watching, memory_order_relaxed) &&
	       atomic_load_explicit(&weft__worker()->slot.task, memory_order_relaxed) &&
	       weft_now() < lost)
		sched_yield();
	weft_yield();
	return raise_done(scene);
}

static void test_a_long_task_from_the_slot_does_not_strand_who_yields_to_it(void **state)
{
	(void)state;
	play(yield_to_a_watched_one);
}

/* Pinned to the sleeper's worker. It keeps that worker busy until the sleeper has woken
 * elsewhere. */
static void *sleep_beside_a_long_one(void *arg)
{
	struct scene *scene = arg;

	CHECK(weft_spawn_with(&(struct weft_task_options){.pinned = true}, compute_until_done,
			      scene, NULL) == 0);
	CHECK(weft_sleep(300000) == 0);
	return raise_done(scene);
}

static void test_a_sleeper_wakes_while_its_worker_is_busy(void **state)
{
	(void)state;
	play(sleep_beside_a_long_one);
}

#define CREW 3 /* beside the long task */

static void *be_one_of_a_crew(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->done);
	CHECK(spin_for(&scene->done, CREW));
	return NULL;
}

/*
 *   worker 0                    worker 1                       the others
 *                               asleep                         asleep
 *   spawns one: wakes worker 1
 *   spawns more: somebody is
 *   awake and searches
 *   computes                    finds one, which computes: must be woken by it, one by the other
 *                               the last searcher looks around
 */
static void *compute_beside_a_crew(void *arg)
{
	struct scene *scene = arg;

	CHECK(await_sleepers(own_runtime(), CREW));
	for (unsigned i = 0; i < CREW; i++)
		CHECK(weft_spawn(be_one_of_a_crew, scene, NULL) == 0);
	CHECK(spin_for(&scene->done, CREW));
	return NULL;
}

static void test_a_burst_wakes_as_many_as_it_needs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct scene scene;

		scene_init(&scene);
		assert_run(1 + CREW, compute_beside_a_crew, &scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_runtime_uses_no_processor),
		cmocka_unit_test(test_who_is_awake_is_counted),
		cmocka_unit_test(test_a_long_task_does_not_strand_the_next_slot),
		cmocka_unit_test(test_a_long_task_does_not_strand_a_slot_that_was_in_use),
		cmocka_unit_test(
			test_a_long_task_beside_one_who_is_fed_does_not_strand_the_next_slot),
		cmocka_unit_test(test_a_long_task_wakes_a_watcher_for_the_next_slot),
		cmocka_unit_test(test_a_long_task_does_not_strand_its_ring),
		cmocka_unit_test(test_a_long_task_does_not_strand_its_deque),
		cmocka_unit_test(test_a_long_task_does_not_strand_the_only_one_that_it_spawned),
		cmocka_unit_test(test_a_long_task_does_not_strand_injections),
		cmocka_unit_test(test_who_keeps_a_deadline_is_handed_nothing),
		cmocka_unit_test(test_a_sleeper_wakes_while_its_worker_is_busy),
		cmocka_unit_test(test_a_long_pinned_task_does_not_strand_who_yields_to_it),
		cmocka_unit_test(test_a_long_task_from_the_slot_does_not_strand_who_yields_to_it),
		cmocka_unit_test(test_a_burst_wakes_as_many_as_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
