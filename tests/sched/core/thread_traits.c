/* SPDX-License-Identifier: MIT */
/*
 * The threads of a runtime are like the thread that created the runtime. A task may have changed
 * the thread that happens to start them. That changes neither their CPU mask, signal mask,
 * scheduling class, name nor rounding.
 */
#include "harness.h"
#include "sched/core/runtime.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <weft/blocking.h>

#define WORKERS 4

struct traits {
	cpu_set_t cpus;
	sigset_t signals;
	int policy, rounding;
	char name[16];
};

struct scene {
	weft_runtime *rt;
	flag present, started;
	struct traits before, blocking, worker[WORKERS];
	unsigned nested_workers;
};

static void *look(void *arg)
{
	struct traits *traits = arg;

	CHECK(sched_getaffinity(0, sizeof traits->cpus, &traits->cpus) == 0);
	CHECK(pthread_sigmask(SIG_BLOCK, NULL, &traits->signals) == 0);
	traits->policy = sched_getscheduler(0);
	traits->rounding = fegetround();
	CHECK(pthread_getname_np(pthread_self(), traits->name, sizeof traits->name) == 0);
	return NULL;
}

static void *look_at_own_worker(void *arg)
{
	struct scene *scene = arg;

	raise_flag(&scene->present);
	CHECK(spin_for(&scene->present, WORKERS)); /* one on each */
	look(&scene->worker[weft_worker_id()]);
	return NULL;
}

static void count_workers_of_another_runtime(struct scene *scene)
{
	weft_runtime *rt = NULL;

	CHECK(weft_runtime_create(NULL, &rt) == 0);
	scene->nested_workers = weft_runtime_workers(rt);
	CHECK(weft_runtime_destroy(rt) == 0);
}

/* Changes its thread in every way that it can, has other threads started, and restores everything.
 * The task is pinned, so it restores that same thread. */
static void *change_own_thread(void *arg)
{
	const struct sched_param param = {0};
	struct scene *scene = arg;
	sigset_t usr1, signals;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK(pthread_sigmask(SIG_BLOCK, &usr1, &signals) == 0);
	CHECK(sched_setscheduler(0, SCHED_BATCH, &param) == 0);
	CHECK(fesetround(FE_UPWARD) == 0);

	CHECK(weft_runtime_set_workers(NULL, WORKERS) == 0);
	CHECK(weft_blocking(look, &scene->blocking, NULL) == 0);
	count_workers_of_another_runtime(scene);

	CHECK(fesetround(FE_TONEAREST) == 0);
	CHECK(sched_setscheduler(0, scene->before.policy, &param) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &signals, NULL) == 0);
	return NULL;
}

/* Two at once, so one is on worker 1, which may be bound. */
static void *change_worker_1(void *arg)
{
	const struct weft_task_options options = {.pinned = true};
	struct scene *scene = arg;
	weft_task *task;

	raise_flag(&scene->started);
	CHECK(spin_for(&scene->started, 2));
	if (weft_worker_id() != 1)
		return NULL;
	CHECK(weft_spawn_with(&options, change_own_thread, scene, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	return NULL;
}

static void play(struct scene *scene)
{
	weft_task *tasks[WORKERS];

	*scene = (struct scene){.rt = assert_create(2)};
	look(&scene->before);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(weft_submit(scene->rt, change_worker_1, scene, &tasks[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(weft_join(tasks[i], NULL), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(weft_submit(scene->rt, look_at_own_worker, scene, &tasks[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(weft_join(tasks[i], NULL), 0);
	assert_int_equal(weft_runtime_destroy(scene->rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void assert_like(const struct traits *traits, const struct traits *before, const char *name)
{
	assert_int_equal(sigismember(&traits->signals, SIGUSR1), 0);
	assert_int_equal(traits->policy, before->policy);
	assert_int_equal(traits->rounding, FE_TONEAREST);
	assert_string_equal(traits->name, name);
}

static void assert_all_like_the_creator(const struct scene *scene)
{
	assert_like(&scene->blocking, &scene->before, "weft-blocking");
	assert_true(CPU_EQUAL(&scene->blocking.cpus, &scene->before.cpus));
	for (unsigned id = 0; id < WORKERS; id++) {
		char name[16];

		snprintf(name, sizeof name, "weft-%u", id);
		assert_like(&scene->worker[id], &scene->before, name);
	}
}

static void test_later_threads_are_like_their_runtimes_creator(void **state)
{
	struct scene scene;

	(void)state;
	play(&scene);
	assert_all_like_the_creator(&scene);
	for (unsigned id = 0; id < WORKERS; id++)
		assert_true(CPU_EQUAL(&scene.worker[id].cpus, &scene.before.cpus));
}

static void test_later_threads_of_bound_workers_have_all_processors(void **state)
{
	struct config config;
	cpu_set_t cpus, seen;
	struct scene scene;

	(void)state;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0)
		skip(); /* there are more CPUs than the set holds */
	setenv("WEFT_PIN", "cores", 1);
	play(&scene);
	unsetenv("WEFT_PIN");
	assert_all_like_the_creator(&scene);
	assert_int_equal(weft__config_load(&config, NULL), 0);
	assert_int_equal(scene.nested_workers, config.workers);
	CPU_ZERO(&seen);
	for (unsigned id = 0; id < WORKERS; id++) {
		assert_int_equal(CPU_COUNT(&scene.worker[id].cpus), 1);
		CPU_OR(&seen, &seen, &scene.worker[id].cpus);
	}
	assert_int_equal(CPU_COUNT(&seen), CPU_COUNT(&cpus) < WORKERS ? CPU_COUNT(&cpus) : WORKERS);
}

static void *read_config(void *arg)
{
	struct config *configs = arg;
	cpu_set_t all, one;

	CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	CHECK(weft__config_load(&configs[0], NULL) == 0);
	CPU_ZERO(&one);
	for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &one);
	CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
	CHECK(weft__config_load(&configs[1], NULL) == 0);
	return NULL;
}

/* The number of workers that search at once follows from the CPUs that are available to them. */
static void test_processors_are_counted_within_the_affinity_mask(void **state)
{
	struct config configs[2];
	pthread_t thread;
	cpu_set_t all;

	(void)state;
	if (sched_getaffinity(0, sizeof all, &all) != 0)
		skip();
	set_number("WEFT_WORKERS", 8);
	assert_int_equal(pthread_create(&thread, NULL, read_config, configs), 0);
	pthread_join(thread, NULL);
	unsetenv("WEFT_WORKERS");
	assert_int_equal(checks_failed(), 0);
	assert_in_range(configs[0].cpus, 1, CPU_COUNT(&all));
	assert_int_equal(configs[1].cpus, 1);
	assert_int_equal(configs[1].workers, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_threads_are_like_their_runtimes_creator),
		cmocka_unit_test(test_later_threads_of_bound_workers_have_all_processors),
		cmocka_unit_test(test_processors_are_counted_within_the_affinity_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
