/* SPDX-License-Identifier: MIT */
/* Workers that come and go while tasks run. */
#include "harness.h"
#include "sched/core/runtime.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

static void test_arguments(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	assert_int_equal(weft_runtime_set_workers(rt, 0), -EINVAL);
	assert_int_equal(weft_runtime_set_workers(rt, 1025), -EINVAL);
	assert_int_equal(weft_runtime_set_workers(NULL, 0), -EINVAL);
	assert_int_equal(weft_runtime_set_workers(NULL, 1025), -EINVAL);
	assert_int_equal(weft_runtime_set_workers(NULL, 2), -EPERM);
	assert_int_equal(weft_runtime_workers(rt), 2);
	assert_int_equal(weft_runtime_set_workers(rt, 2), 0);
	assert_int_equal(weft_runtime_set_workers(rt, 5), 0);
	assert_int_equal(weft_runtime_workers(rt), 5);
	assert_int_equal(weft_runtime_set_workers(rt, 1), 0);
	assert_int_equal(weft_runtime_workers(rt), 1);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

/* Computes until that many of its kind run at the same time, so on that many workers. */
struct crowd {
	flag present;
	unsigned expected;
	_Atomic unsigned ids; /* a bit for each worker seen */
	cpu_set_t cpus[8];    /* the affinity of each */
};

/* A bit for each of n workers. A retiring worker may still run what it took before. */
#define ALL(n) ((1u << (n)) - 1)

static void *meet(void *arg)
{
	struct crowd *crowd = arg;

	/* relaxed: read after the joins */
	atomic_fetch_or_explicit(&crowd->ids, 1u << weft_worker_id(), memory_order_relaxed);
	if (weft_worker_id() < 8)
		sched_getaffinity(0, sizeof(cpu_set_t), &crowd->cpus[weft_worker_id()]);
	raise_flag(&crowd->present);
	CHECK(spin_for(&crowd->present, crowd->expected));
	return NULL;
}

static void gather(struct crowd *crowd, weft_runtime *rt, unsigned n)
{
	weft_task *tasks[32];

	crowd->expected = n;
	for (unsigned i = 0; i < n; i++)
		CHECK(weft_submit(rt, meet, crowd, &tasks[i]) == 0);
	for (unsigned i = 0; i < n; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
}

/* Returns the ids of the workers that took part. */
static unsigned meet_on(weft_runtime *rt, unsigned n)
{
	struct crowd crowd = {.expected = 0};

	gather(&crowd, rt, n);
	return atomic_load_explicit(&crowd.ids, memory_order_relaxed);
}

static void test_new_workers_work(void **state)
{
	static const unsigned counts[] = {1, 4, 2, 8, 3, 16, 1, 2, 5};
	weft_runtime *rt = assert_create(1);

	(void)state;
	for (unsigned round = 0; round < weft_test_scale(20); round++) {
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			unsigned before = weft_runtime_workers(rt);

			assert_int_equal(weft_runtime_set_workers(rt, counts[i]), 0);
			assert_int_equal(weft_runtime_workers(rt), counts[i]);
			if (counts[i] >= before)
				meet_on(rt, counts[i]);
		}
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static flag ended;

static void *yield_and_nap(void *arg)
{
	for (unsigned i = 0; i < 50; i++) {
		CHECK(weft_worker_id() >= 0 && weft_worker_id() < 16);
		if (i % 10 == 9)
			CHECK(weft_sleep(5000) == 0);
		else
			weft_yield();
	}
	raise_flag(&ended);
	return arg;
}

static void *spawn_and_resize(void *arg)
{
	unsigned count = weft_test_scale(2000);

	for (unsigned i = 0; i < count; i++) {
		CHECK(weft_spawn(yield_and_nap, NULL, NULL) == 0);
		if (i % 20 == 0) {
			CHECK(weft_runtime_set_workers(NULL, 1 + i / 20 % 16) == 0);
			CHECK(weft_runtime_workers(NULL) == 1 + i / 20 % 16);
			weft_yield();
		}
	}
	return arg;
}

static void test_no_task_is_lost(void **state)
{
	(void)state;
	for (unsigned chaos = 0; chaos < 3; chaos++) {
		if (chaos > 0)
			setenv("WEFT_CHAOS", chaos == 1 ? "11" : "12,hop", 1);
		atomic_store_explicit(&ended, 0, memory_order_relaxed);
		assert_run(4, spawn_and_resize, NULL);
		assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed),
				 weft_test_scale(2000));
	}
	unsetenv("WEFT_CHAOS");
}

static void *resize(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(300); i++)
		CHECK(weft_runtime_set_workers(arg, 1 + (i * 7) % 16) == 0);
	return NULL;
}

static void test_resizing_from_many_threads(void **state)
{
	weft_runtime *rt = assert_create(4);
	pthread_t threads[3];

	(void)state;
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, resize, rt), 0);
	for (unsigned i = 0; i < weft_test_scale(500); i++)
		assert_int_equal(weft_submit(rt, yield_and_nap, NULL, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(weft_runtime_set_workers(rt, 3), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed), weft_test_scale(500));
	assert_int_equal(checks_failed(), 0);
}

/*
 *   main                              pinned to the last worker
 *                                     starts
 *   leaves one worker
 *   (the last one retires)            yields, sleeps, spawns, joins: always there
 *   lets it end
 *   (the last one ends)
 *   wants four again, which all work
 */
struct pinned {
	int home;
	weft_task *task;
	flag present, started, stop;
};

static void *stay_pinned(void *arg)
{
	struct pinned *p = arg;
	unsigned turns = 0;

	raise_flag(&p->started);
	while (!is_raised(&p->stop, 1) || turns < 50) {
		weft_task *task;

		CHECK(weft_worker_id() == p->home);
		weft_yield();
		CHECK(weft_worker_id() == p->home);
		CHECK(weft_sleep(10000) == 0);
		CHECK(weft_worker_id() == p->home);
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		turns++;
	}
	CHECK(weft_worker_id() == p->home);
	return NULL;
}

/* Four of these run at once, so one is on the last of four workers, and pins a task there. */
static void *pin_on_the_last(void *arg)
{
	struct pinned *p = arg;

	raise_flag(&p->present);
	CHECK(spin_for(&p->present, 4));
	if (weft_worker_id() == p->home)
		CHECK(weft_spawn_with(&(struct weft_task_options){.pinned = true}, stay_pinned, p,
				      &p->task) == 0);
	return NULL;
}

static void test_a_retiring_worker_keeps_its_pinned_tasks(void **state)
{
	weft_runtime *rt = assert_create(4);

	(void)state;
	for (unsigned round = 0; round < weft_test_scale(30); round++) {
		struct pinned p = {.home = 3};
		weft_task *pinners[4];

		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(weft_submit(rt, pin_on_the_last, &p, &pinners[i]), 0);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(weft_join(pinners[i], NULL), 0);
		assert_non_null(p.task);
		if (round % 2)
			assert_true(spin_for(&p.started, 1));
		assert_int_equal(weft_runtime_set_workers(rt, 1), 0);
		assert_true(spin_for(&p.started, 1));
		if (round % 3 == 0) /* wanted again before it has left */
			assert_int_equal(weft_runtime_set_workers(rt, 4), 0);
		raise_flag(&p.stop);
		assert_int_equal(weft_join(p.task, NULL), 0);
		assert_int_equal(weft_runtime_set_workers(rt, 4), 0);
		meet_on(rt, 4);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/*
 * Workers that retire and keep a pinned task sleep like the others, but are of no use for new
 * tasks. Each wake-up that goes to one of them is unnecessary. The limit is far above the necessary
 * number. It is also far below the number that occurs when they wake each other in turn (tens of
 * thousands).
 */
#define RETIRING  7
#define WAKES_MAX 20

static flag kept, probed;
static weft_event let_go = WEFT_EVENT_INIT;

static void *wait_pinned(void *arg)
{
	raise_flag(&kept);
	CHECK(weft_event_wait(&let_go) == 0);
	return arg;
}

static void *leave_one_pinned(void *arg)
{
	static _Atomic unsigned there; /* a bit for each worker that has one */
	const struct weft_task_options pinned = {.pinned = true};
	unsigned own = 1u << weft_worker_id();

	/* relaxed: counted by kept */
	if (!(atomic_fetch_or_explicit(&there, own, memory_order_relaxed) & own))
		CHECK(weft_spawn_with(&pinned, wait_pinned, NULL, NULL) == 0);
	return arg;
}

static void *note_probe(void *arg)
{
	raise_flag(&probed);
	return arg;
}

static void test_retiring_workers_are_not_woken_for_new_tasks(void **state)
{
	const unsigned probes = 20;
	weft_runtime *rt = assert_create(RETIRING + 1);
	struct weft_stats before, after;

	(void)state;
	while (!is_raised(&kept, RETIRING + 1)) {
		meet_on(rt, RETIRING + 1);
		for (unsigned i = 0; i < 4 * RETIRING; i++)
			assert_int_equal(weft_submit(rt, leave_one_pinned, NULL, NULL), 0);
	}
	assert_int_equal(weft_runtime_set_workers(rt, 1), 0);
	assert_int_equal(weft_runtime_stats(rt, &before), 0);
	for (unsigned i = 0; i < probes; i++) {
		assert_int_equal(weft_submit(rt, note_probe, NULL, NULL), 0);
		assert_true(spin_for(&probed, i + 1));
	}
	assert_int_equal(weft_runtime_stats(rt, &after), 0);
	weft_event_set(&let_go);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_in_range(after.nudges - before.nudges, 0, probes * WAKES_MAX);
	assert_int_equal(checks_failed(), 0);
}

/*
 *   main              pinned to worker 1            a task on worker 0
 *                     computes                      computes
 *   leaves one worker
 *   submits a task
 *   (it is due)
 *                     lets others run: none that
 *                     a retiring worker would take
 *                                                   forks: its join gives way to
 *                                                   the submitted one
 *
 * Nobody sleeps, and a fork looks only at DUE. So the retiring worker must leave it.
 */
static struct {
	flag present, pinned, submitted, yielded, ran;
} leaving;

static void *yield_once(void *arg)
{
	raise_flag(&leaving.pinned);
	CHECK(spin_for(&leaving.submitted, 1));
	weft_yield();
	raise_flag(&leaving.yielded);
	CHECK(spin_for(&leaving.ran, 1));
	return arg;
}

/* Two of these run at once. */
static void *pin_or_fork(void *arg)
{
	const struct weft_task_options pinned = {.pinned = true};

	raise_flag(&leaving.present);
	CHECK(spin_for(&leaving.present, 2));
	if (weft_worker_id() == 1) {
		CHECK(weft_spawn_with(&pinned, yield_once, NULL, NULL) == 0);
		return arg;
	}
	CHECK(spin_for(&leaving.yielded, 1));
	weft_forked forked;
	weft_fork(&forked, give_back, NULL);
	weft_fork_join(&forked);
	CHECK(is_raised(&leaving.ran, 1));
	raise_flag(&leaving.ran); /* so the other one ends */
	return arg;
}

static void *note_run(void *arg)
{
	raise_flag(&leaving.ran);
	return arg;
}

static void test_a_retiring_worker_leaves_what_is_due(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(weft_submit(rt, pin_or_fork, NULL, NULL), 0);
	assert_true(spin_for(&leaving.pinned, 1));
	assert_int_equal(weft_runtime_set_workers(rt, 1), 0);
	assert_int_equal(weft_submit(rt, note_run, NULL, NULL), 0);
	raise_flag(&leaving.submitted);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *see_own_worker(void *arg)
{
	CHECK(weft_worker_id() >= 0);
	CHECK(weft_worker_id() < (int)weft_runtime_workers(NULL));
	CHECK(weft_runtime_workers(NULL) == (unsigned)(uintptr_t)arg);
	return arg;
}

static void test_worker_ids(void **state)
{
	(void)state;
	for (uintptr_t n = 1; n <= 8; n++) {
		weft_runtime *rt = assert_create((unsigned)n);

		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(weft_submit(rt, see_own_worker, (void *)n, NULL), 0);
		assert_int_equal(meet_on(rt, (unsigned)n), ALL(n));
		assert_int_equal(weft_worker_id(), -1);
		assert_int_equal(weft_runtime_destroy(rt), 0);
	}
	assert_int_equal(checks_failed(), 0);
}

/* The CPUs on which the threads of eight workers may run. */
static void look_at_affinities(struct crowd *ret)
{
	weft_runtime *rt = assert_create(8);

	gather(ret, rt, 8);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_workers_are_pinned_in_turn(void **state)
{
	struct crowd crowd = {.expected = 0};
	cpu_set_t all, seen;

	(void)state;
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		skip(); /* there are more CPUs than the set holds */
	setenv("WEFT_PIN", "cores", 1);
	look_at_affinities(&crowd);
	unsetenv("WEFT_PIN");
	CPU_ZERO(&seen);
	for (unsigned id = 0; id < 8; id++) {
		assert_int_equal(CPU_COUNT(&crowd.cpus[id]), 1);
		CPU_OR(&seen, &seen, &crowd.cpus[id]);
	}
	assert_int_equal(CPU_COUNT(&seen), CPU_COUNT(&all) < 8 ? CPU_COUNT(&all) : 8);
}

/* The sanitizers have a pthread_create() of their own. */
#if !CHILD_TSAN && !CHILD_ASAN
/* While it is set, each started thread belongs to one of its workers, which must be in the
 * table. */
static weft_runtime *grows;
static unsigned grows_from, grows_to, threads_started;

static bool in_table(weft_runtime *rt, unsigned id)
{
	const struct worker_table *table = worker_table(rt); /* only we replace it */

	for (unsigned i = 0; i < table->count; i++) {
		if (table->workers[i]->id == id)
			return true;
	}
	return false;
}

/* Replaces the C library's function, for the library that is linked into this test. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	create_fn *create;

	/* POSIX takes a function pointer from an object pointer like this. */
	*(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
	if (grows) {
		threads_started++;
		for (unsigned id = grows_from; id < grows_to; id++)
			CHECK(in_table(grows, id));
	}
	return create(thread, attr, fn, arg);
}

/* Other workers must see a worker's queues as soon as it runs, and they go by the table. This
 * covers new workers and existing ones. */
static void test_new_workers_are_visible_before_they_run(void **state)
{
	weft_runtime *rt = assert_create(1);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		grows_from = 1;
		grows_to = 4 + round;
		threads_started = 0;
		grows = rt;
		assert_int_equal(weft_runtime_set_workers(rt, grows_to), 0);
		grows = NULL;
		assert_int_equal(checks_failed(), 0);
		assert_in_range(threads_started, round == 0 ? 3 : 1, 3 + round);
		assert_int_equal(weft_runtime_set_workers(rt, 1), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

#else

static void test_new_workers_are_visible_before_they_run(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_new_workers_are_visible_before_they_run),
		cmocka_unit_test(test_new_workers_work),
		cmocka_unit_test(test_no_task_is_lost),
		cmocka_unit_test(test_resizing_from_many_threads),
		cmocka_unit_test(test_a_retiring_worker_keeps_its_pinned_tasks),
		cmocka_unit_test(test_retiring_workers_are_not_woken_for_new_tasks),
		cmocka_unit_test(test_a_retiring_worker_leaves_what_is_due),
		cmocka_unit_test(test_worker_ids),
		cmocka_unit_test(test_workers_are_pinned_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
