/* SPDX-License-Identifier: MIT */
/* Members from other threads and for other runtimes, and members with options. */
#include "tests/sched/core/harness.h"

#include <pthread.h>
#include <string.h>

static flag ran;

static void *count_up(void *arg)
{
	CHECK(!arg || weft_runtime_self() == arg);
	CHECK(weft_self() != NULL);
	raise_flag(&ran);
	return arg;
}

#define THREADS 3

struct crowd {
	weft_group group;
	weft_runtime *rt;
};

static void *submit_many(void *arg)
{
	struct crowd *c = arg;

	for (unsigned i = 0; i < weft_test_scale(3000) + 3; i++)
		CHECK(weft_group_submit(&c->group, c->rt, count_up, c->rt) == 0);
	return NULL;
}

static void test_from_many_threads(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct crowd c = {.rt = assert_create(workers)};
		pthread_t threads[THREADS];
		atomic_store_explicit(&ran, 0, memory_order_relaxed);
		weft_group_init(&c.group);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &c), 0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(weft_group_wait(&c.group), 0);
		assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed),
				 THREADS * (weft_test_scale(3000) + 3));
		weft_group_fini(&c.group);
		assert_int_equal(weft_runtime_destroy(c.rt), 0);
		assert_int_equal(checks_failed(), 0);
	}
}

/* A thread that waits for a place goes on when a member has ended. */
static void *wait_for_go(void *arg)
{
	CHECK(yield_for(arg, 1));
	return NULL;
}

static void *raise_it(void *arg)
{
	raise_flag(arg);
	return NULL;
}

static void test_a_thread_waits_for_a_place(void **state)
{
	weft_runtime *rt = assert_create(1);
	flag go = 0, done = 0;
	weft_group g;

	(void)state;
	weft_group_init(&g);
	weft_group_set_limit(&g, 1);
	assert_int_equal(weft_group_submit(&g, rt, wait_for_go, &go), 0);
	assert_int_equal(weft_group_submit_until(&g, rt, raise_it, &done, 0), -ETIMEDOUT);
	assert_int_equal(weft_group_submit_until(&g, rt, raise_it, &done, weft_after(100000)),
			 -ETIMEDOUT);
	assert_int_equal(weft_submit(rt, raise_it, &go, NULL), 0);
	assert_int_equal(weft_group_submit(&g, rt, raise_it, &done), 0);
	assert_int_equal(weft_group_wait(&g), 0);
	assert_true(is_raised(&done, 1) && !is_raised(&done, 2));
	weft_group_fini(&g);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* From a blocking call. Its runtime is the task's. */
static void *submit_in_blocking_call(void *arg)
{
	CHECK(weft_group_spawn(arg, count_up, NULL) == -EPERM);
	CHECK(weft_group_submit(arg, NULL, count_up, weft_runtime_self()) == 0);
	return NULL;
}

static void *block(void *arg)
{
	weft_group g;

	atomic_store_explicit(&ran, 0, memory_order_relaxed);
	weft_group_init(&g);
	CHECK(weft_blocking(submit_in_blocking_call, &g, NULL) == 0);
	CHECK(weft_group_submit(&g, NULL, count_up, weft_runtime_self()) == 0);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(is_raised(&ran, 2));
	weft_group_fini(&g);
	return arg;
}

static void test_from_a_blocking_call(void **state)
{
	(void)state;
	assert_run(2, block, NULL);
}

/* A task submits to another runtime. Cancelling the task still cancels its group. */
static flag asleep, over;

static void *sleep_there(void *arg)
{
	CHECK(weft_runtime_self() == arg);
	raise_flag(&asleep);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	raise_flag(&over);
	return NULL;
}

static void *own_group(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_submit(&g, arg, sleep_there, arg) == 0);
	weft_cancel_mask();
	CHECK(weft_group_wait(&g) == 0);
	weft_cancel_unmask();
	weft_group_fini(&g);
	return NULL;
}

static void *cancel_owner(void *arg)
{
	weft_task *task;

	atomic_store_explicit(&asleep, 0, memory_order_relaxed);
	atomic_store_explicit(&over, 0, memory_order_relaxed);
	CHECK(weft_spawn(own_group, arg, &task) == 0);
	CHECK(yield_for(&asleep, 3));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(is_raised(&over, 3));
	return NULL;
}

static void test_in_another_runtime(void **state)
{
	weft_runtime *rt = assert_create(1);

	(void)state;
	assert_run(1, cancel_owner, rt);
	assert_run(2, cancel_owner, rt);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

/* Options. */
static void *check_options(void *arg)
{
	const struct weft_task_options *opt = arg;

	CHECK(strcmp(weft_task_name(NULL), opt->name ? opt->name : "") == 0);
	if (opt->stack_size > 0)
		use_large_stack();
	if (opt->pinned) {
		int id = weft_worker_id();
		for (unsigned i = 0; i < 20; i++) {
			weft_yield();
			CHECK(weft_worker_id() == id);
		}
	}
	raise_flag(&ran);
	return NULL;
}

static void *spawn_with(void *arg)
{
	struct weft_task_options named = {.name = "a member"}, large = {.stack_size = 1 << 20},
				 pinned = {.name = "pinned", .pinned = true}, none = {0},
				 bad = {.stack_size = 1};
	weft_runtime *rt = weft_runtime_self();
	weft_group g;

	atomic_store_explicit(&ran, 0, memory_order_relaxed);
	weft_group_init(&g);
	CHECK(weft_group_spawn_with(&g, &named, check_options, &named) == 0);
	CHECK(weft_group_spawn_with(&g, &large, check_options, &large) == 0);
	CHECK(weft_group_spawn_with(&g, &pinned, check_options, &pinned) == 0);
	CHECK(weft_group_spawn_with(&g, NULL, check_options, &none) == 0);
	CHECK(weft_group_submit_with(&g, rt, &named, check_options, &named) == 0);
	CHECK(weft_group_submit_with(&g, NULL, &pinned, check_options, &pinned) == 0);
	CHECK(weft_group_spawn_with(&g, &bad, check_options, &bad) == -EINVAL);
	CHECK(weft_group_spawn_with(NULL, &named, check_options, &named) == -EINVAL);
	CHECK(weft_group_spawn_with(&g, &named, NULL, &named) == -EINVAL);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(is_raised(&ran, 6) && !is_raised(&ran, 7));
	weft_group_fini(&g);
	return arg;
}

static void test_options(void **state)
{
	(void)state;
	assert_run(1, spawn_with, NULL);
	assert_run(3, spawn_with, NULL);
}

/* Options from outside a task, where no member can be pinned. */
static void test_options_from_outside(void **state)
{
	struct weft_task_options named = {.name = "from outside"}, large = {.stack_size = 1 << 20},
				 pinned = {.pinned = true}, none = {0}, bad = {.stack_size = 1};
	weft_runtime *rt = assert_create(2);
	weft_group g;

	(void)state;
	atomic_store_explicit(&ran, 0, memory_order_relaxed);
	weft_group_init(&g);
	assert_int_equal(weft_group_submit_with(&g, rt, &named, check_options, &named), 0);
	assert_int_equal(weft_group_submit_with(&g, rt, &large, check_options, &large), 0);
	assert_int_equal(weft_group_submit_with(&g, rt, NULL, check_options, &none), 0);
	assert_int_equal(weft_group_submit_with(&g, rt, &pinned, check_options, &pinned), -EINVAL);
	assert_int_equal(weft_group_submit_with(&g, rt, &bad, check_options, &bad), -EINVAL);
	assert_int_equal(weft_group_submit_with(&g, NULL, &named, check_options, &named), -EPERM);
	assert_int_equal(weft_group_wait(&g), 0);
	weft_group_fini(&g);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
	assert_true(is_raised(&ran, 3) && !is_raised(&ran, 4));
}

/* Options of a later version. */
static void test_what_it_does_not_know_is_refused(void **state)
{
	struct {
		struct weft_task_options known;
		uint64_t more;
	} later = {.known = {.name = "later"}, .more = 1};
	struct weft_task_options *opt = &later.known;
	weft_runtime *rt = assert_create(1);
	weft_task *task = NULL;
	weft_group g;

	(void)state;
	weft_group_init(&g);
	assert_int_equal(weft_group_spawn_with_sized(&g, opt, sizeof(later), check_options, opt),
			 -E2BIG);
	assert_int_equal(
		weft_group_submit_with_sized(&g, rt, opt, sizeof(later), check_options, opt),
		-E2BIG);
	assert_int_equal(weft_submit_with_sized(rt, opt, sizeof(later), check_options, opt, &task),
			 -E2BIG);
	assert_null(task);
	later.more = 0;
	assert_int_equal(
		weft_group_submit_with_sized(&g, rt, opt, sizeof(later), check_options, opt), 0);
	assert_int_equal(weft_submit_with_sized(rt, opt, sizeof(later), check_options, opt, NULL),
			 0);
	assert_int_equal(weft_group_wait(&g), 0);
	weft_group_fini(&g);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_bad_arguments(void **state)
{
	weft_group g;

	(void)state;
	weft_group_init(&g);
	assert_int_equal(weft_group_submit(NULL, NULL, give_back, NULL), -EINVAL);
	assert_int_equal(weft_group_submit(&g, NULL, NULL, NULL), -EINVAL);
	assert_int_equal(weft_group_submit(&g, NULL, give_back, NULL), -EPERM);
	assert_int_equal(weft_group_submit_until(NULL, NULL, give_back, NULL, 0), -EINVAL);
	assert_int_equal(weft_group_submit_until(&g, NULL, give_back, NULL, 0), -EPERM);
	assert_int_equal(weft_group_try_spawn(NULL, give_back, NULL), -EINVAL);
	assert_int_equal(weft_group_try_spawn(&g, NULL, NULL), -EINVAL);
	assert_int_equal(weft_group_try_spawn(&g, give_back, NULL), -EPERM);
	assert_int_equal(weft_group_spawn_until(&g, give_back, NULL, 0), -EPERM);
	assert_int_equal(weft_group_spawn_with(&g, NULL, give_back, NULL), -EPERM);
	assert_int_equal(weft_group_wait(&g), 0);
	weft_group_fini(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_many_threads),
		cmocka_unit_test(test_a_thread_waits_for_a_place),
		cmocka_unit_test(test_from_a_blocking_call),
		cmocka_unit_test(test_in_another_runtime),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_options_from_outside),
		cmocka_unit_test(test_what_it_does_not_know_is_refused),
		cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
