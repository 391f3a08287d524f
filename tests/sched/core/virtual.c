/* SPDX-License-Identifier: MIT */
/* Virtual time: tasks see it, and threads outside do not. */
#include "harness.h"

#include <pthread.h>
#include <time.h>
#include <weft/group.h>
#include <weft/scope.h>

#define HOUR ((int64_t)3600 * 1000 * 1000 * 1000)

static int64_t real_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int set_up(void **state)
{
	(void)state;
	return setenv("WEFT_CHAOS", "5,virtual", 1);
}

static int tear_down(void **state)
{
	(void)state;
	return unsetenv("WEFT_CHAOS");
}

static void *sleep_long(void *arg)
{
	int64_t deadline = weft_after((int64_t)(uintptr_t)arg * HOUR);

	CHECK(weft_sleep_until(deadline) == 0);
	CHECK(weft_now() >= deadline && weft_now() < deadline + HOUR);
	return arg;
}

static void *sleep_for_days(void *ret_times)
{
	int64_t *times = ret_times;
	weft_task *tasks[30];

	times[0] = weft_now();
	for (uintptr_t i = 0; i < 30; i++)
		CHECK(weft_spawn(sleep_long, (void *)(30 - i), &tasks[i]) == 0);
	times[1] = weft_now();
	for (uintptr_t i = 0; i < 30; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	times[2] = weft_now();
	/* Loops that suspend and loops that do not both come to their ends. */
	for (int64_t until = weft_after(1000000); weft_now() < until;)
		weft_yield();
	for (int64_t until = weft_after(1000000); weft_now() < until;)
		;
	times[3] = weft_now();
	return NULL;
}

/* A real hour would be noticed. */
static void test_hours_pass_at_once_and_the_same(void **state)
{
	int64_t times[2][4], before = weft_now();

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_run(1, sleep_for_days, times[i]);
	assert_memory_equal(times[0], times[1], sizeof times[0]);
	assert_true(times[0][2] - times[0][1] >= 30 * HOUR);
	/* Real time again. */
	assert_true(weft_now() >= before && weft_now() <= real_now());
}

static flag looping;

static void *loop_until_raised(void *f)
{
	while (!is_raised(f, 1))
		weft_yield();
	return NULL;
}

static void *raise_later(void *f)
{
	CHECK(weft_sleep(1000000) == 0);
	raise_flag(f);
	return NULL;
}

static void *loop_and_raise(void *arg)
{
	CHECK(weft_spawn(loop_until_raised, &looping, NULL) == 0);
	CHECK(weft_spawn(raise_later, &looping, NULL) == 0);
	return arg;
}

static void test_time_passes_while_tasks_yield(void **state)
{
	(void)state;
	assert_run(1, loop_and_raise, NULL);
}

static flag timed_out;

/* Runs on a plain thread. */
static void *have_real_time(void *sem)
{
	int64_t before = real_now(), now = weft_now();

	CHECK(before <= now && now <= real_now());
	CHECK(weft_sleep(1000000) == 0);
	CHECK(real_now() >= now + 1000000);
	int64_t deadline = real_now() + 1000000;
	CHECK(weft_sem_acquire_until(sem, deadline) == -ETIMEDOUT);
	CHECK(real_now() >= deadline);
	raise_flag(&timed_out);
	CHECK(weft_sem_acquire(sem) == 0);
	return NULL;
}

static void *be_virtual_beside_a_thread(void *thread_sem)
{
	CHECK(weft_sleep(HOUR) == 0);
	CHECK(weft_blocking(have_real_time, thread_sem, NULL) == 0);
	return NULL;
}

static void *release_later(void *sem)
{
	for (unsigned i = 0; i < 100; i++)
		CHECK(weft_sleep(HOUR) == 0);
	while (!is_raised(&timed_out, 1))
		weft_yield();
	weft_sem_release(sem, 1);
	return NULL;
}

static void *play_with_outside(void *sem)
{
	weft_task *a, *b;

	CHECK(weft_spawn(be_virtual_beside_a_thread, sem, &a) == 0);
	CHECK(weft_spawn(release_later, sem, &b) == 0);
	CHECK(weft_join(a, NULL) == 0);
	CHECK(weft_join(b, NULL) == 0);
	return NULL;
}

static void test_threads_outside_have_real_time(void **state)
{
	weft_sem sem = WEFT_SEM_INIT(0);

	(void)state;
	assert_run(1, play_with_outside, &sem);
}

static void test_submitted_tasks_have_virtual_time(void **state)
{
	weft_runtime *rt = assert_create(1);
	int64_t before = real_now(), times[4];
	weft_task *task;

	(void)state;
	assert_int_equal(weft_submit(rt, sleep_for_days, times, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_true(times[2] - times[1] >= 30 * HOUR);
	assert_true(weft_now() >= before && weft_now() <= real_now());
	/* The worker sleeps by now, or soon, without a deadline. It is woken for a second one. */
	assert_int_equal(weft_submit(rt, sleep_for_days, times, &task), 0);
	assert_int_equal(weft_join_until(task, NULL, real_now() + LOST_NS), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *create_second(void *arg)
{
	weft_runtime *second = NULL;

	CHECK(weft_runtime_create(NULL, &second) == -EINVAL && !second);
	CHECK(weft_runtime_set_workers(NULL, 2) == -EINVAL);
	CHECK(weft_runtime_set_workers(NULL, 1) == 0);
	CHECK(weft_runtime_workers(NULL) == 1);
	return arg;
}

static void run_and_create_second(void *arg)
{
	exit(weft_run(create_second, arg, NULL) == 0 && checks_failed() == 0 ? 0 : 1);
}

static void test_there_is_one_worker_with_virtual_time(void **state)
{
	struct weft_runtime_options two = {.workers = 2};
	weft_runtime *rt;
	struct child child;

	(void)state;
	child_run(&child, run_and_create_second, NULL);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "WEFT_CHAOS=5,virtual: another runtime has virtual"));
	assert_int_equal(weft_runtime_create(&two, &rt), -EINVAL);
}

static void *compute(void *arg)
{
	unsigned looks = 0;

	while (!weft_cancelled() && looks < 10000000)
		looks++;
	CHECK(weft_cancelled());
	return arg;
}

/* No thread keeps time, so a check for cancellation sees to the deadlines itself. */
static void *compute_in_scopes(void *arg)
{
	weft_group group;
	weft_scope s;

	weft_scope_begin(&s, weft_after(1000000));
	compute(NULL);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	/* From the wait on, the worker keeps the deadline. */
	weft_scope_begin(&s, weft_after(1000000));
	CHECK(weft_sleep(1000) == 0);
	compute(NULL);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	/* A member of a group is in no scope itself. */
	weft_scope_begin(&s, weft_after(1000000));
	weft_group_init(&group);
	CHECK(weft_group_spawn(&group, compute, NULL) == 0);
	CHECK(weft_group_wait(&group) == -ECANCELED);
	weft_group_fini(&group);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	return arg;
}

static void test_scopes_end_what_computes(void **state)
{
	(void)state;
	assert_run(1, compute_in_scopes, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hours_pass_at_once_and_the_same),
		TEST(test_time_passes_while_tasks_yield),
		TEST(test_scopes_end_what_computes),
		TEST(test_threads_outside_have_real_time),
		TEST(test_submitted_tasks_have_virtual_time),
		TEST(test_there_is_one_worker_with_virtual_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
