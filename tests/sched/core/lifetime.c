/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping: a thousand times without a leak, with any number of workers, and with a
 * system that refuses memory or threads. Child processes try the limits of address space.
 */
#include "harness.h"
#include "limited.h"

#include <dirent.h>
#include <malloc.h>

static unsigned entries(const char *folder)
{
	DIR *dir = opendir(folder);
	unsigned count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A joined thread may be visible there a moment longer. */
static bool threads_become(unsigned expected)
{
	int64_t lost = weft_after(LOST_NS);

	while (entries("/proc/self/task") != expected) {
		if (weft_now() > lost)
			return false;
		sched_yield();
	}
	return true;
}

static size_t resident_pages(void)
{
	unsigned long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident;
}

static void *spawn_some(void *arg)
{
	weft_task *task;

	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_spawn(give_back, NULL, NULL) == 0);
	CHECK(weft_spawn_with(&(struct weft_task_options){.name = "some"}, give_back, NULL, NULL) ==
	      0);
	/* Its handle and its cold part are freed with the runtime. */
	CHECK(weft_spawn_with(&(struct weft_task_options){.name = "one"}, give_back, NULL, &task) ==
	      0);
	CHECK(weft_sleep(1000) == 0);
	return arg;
}

static void start_and_stop(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		weft_runtime *rt = assert_create(1 + i % 4);

		assert_int_equal(weft_submit(rt, spawn_some, NULL, NULL), 0);
		assert_int_equal(weft_runtime_set_workers(rt, 1 + i % 3), 0);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_run(1 + i % 3, spawn_some, NULL);
	}
}

static void test_start_and_stop_leaves_nothing_behind(void **state)
{
	(void)state;
	start_and_stop(20); /* memory that is kept on purpose exists after this */
	unsigned threads = entries("/proc/self/task");
	unsigned descriptors = entries("/proc/self/fd");
	size_t allocated = mallinfo2().uordblks;
	size_t resident = resident_pages();

	start_and_stop(weft_test_scale(1000));
	assert_true(threads_become(threads));
	assert_int_equal(entries("/proc/self/fd"), descriptors);
	assert_int_equal(checks_failed(), 0);
	/* otherwise a tool or an emulator keeps memory of its own */
	if (can_limit_address_space()) {
		assert_in_range(mallinfo2().uordblks, 0, allocated + (16 << 10));
		assert_in_range(resident_pages(), 0, resident + (4 << 20) / 4096);
	}
}

static flag ran;

static void *count_up(void *arg)
{
	raise_flag(&ran);
	return arg;
}

static void test_any_number_of_workers(void **state)
{
	unsigned step = weft_test_scale(64) == 64 ? 1 : 9;
	unsigned threads = entries("/proc/self/task");

	(void)state;
	for (unsigned n = 1; n <= 64; n += step) {
		weft_runtime *rt = assert_create(n);

		assert_int_equal(weft_runtime_workers(rt), n);
		assert_true(threads_become(threads + n));
		atomic_store_explicit(&ran, 0, memory_order_relaxed);
		for (unsigned i = 0; i < 2 * n; i++)
			assert_int_equal(weft_submit(rt, count_up, NULL, NULL), 0);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed), 2 * n);
	}
}

static void run_in_256_mebibytes(void *arg)
{
	void *result = NULL;

	limit_address_space(256);
	set_number("WEFT_WORKERS", 4);
	if (weft_run(spawn_some, arg, &result) != 0 || result != arg || checks_failed() > 0)
		exit(1);
}

static void test_a_runtime_starts_under_an_address_space_limit(void **state)
{
	struct child child;

	(void)state;
	if (!can_limit_address_space())
		skip();
	child_run(&child, run_in_256_mebibytes, &child);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

/* A thread's stack takes 8 MiB of address space, so some workers start, but not all. */
static void create_too_many_workers(void *arg)
{
	struct weft_runtime_options options = {.workers = 200};
	struct rlimit stack = {8 << 20, 8 << 20};
	weft_runtime *rt = arg;
	int rc;

	if (setrlimit(RLIMIT_STACK, &stack) != 0)
		exit(99);
	limit_address_space(512);
	for (unsigned i = 0; i < 20; i++) {
		rc = weft_runtime_create(&options, &rt);
		if ((rc != -EAGAIN && rc != -ENOMEM) || rt != arg)
			exit(1);
		set_number("WEFT_WORKERS", 200);
		rc = weft_run(give_back, NULL, NULL);
		if (rc != -EAGAIN && rc != -ENOMEM)
			exit(2);
		unsetenv("WEFT_WORKERS");
	}
	/* Everything that was taken has been given back. */
	options.workers = 4;
	if (weft_runtime_create(&options, &rt) != 0 || weft_runtime_destroy(rt) != 0)
		exit(3);
}

static void test_a_start_that_lacks_threads_is_undone(void **state)
{
	struct child child;

	(void)state;
	if (!can_limit_address_space())
		skip();
	child_run(&child, create_too_many_workers, &child);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

/* The same while tasks run: the count stays the same, and the runtime works on. */
static void grow_too_far(void *arg)
{
	struct weft_runtime_options options = {.workers = 3};
	struct rlimit stack = {8 << 20, 8 << 20};
	weft_runtime *rt = arg;

	if (setrlimit(RLIMIT_STACK, &stack) != 0 || weft_runtime_create(&options, &rt) != 0)
		exit(99);
	limit_address_space(512);
	for (unsigned i = 0; i < 20; i++) {
		if (weft_submit(rt, spawn_some, NULL, NULL) != 0)
			exit(1);
		int rc = weft_runtime_set_workers(rt, 200);
		if ((rc != -EAGAIN && rc != -ENOMEM) || weft_runtime_workers(rt) != 3)
			exit(2);
	}
	if (weft_runtime_destroy(rt) != 0 || checks_failed() > 0)
		exit(3);
}

static void test_growing_without_threads_is_undone(void **state)
{
	struct child child;

	(void)state;
	if (!can_limit_address_space())
		skip();
	child_run(&child, grow_too_far, NULL);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_and_stop_leaves_nothing_behind),
		cmocka_unit_test(test_any_number_of_workers),
		cmocka_unit_test(test_a_runtime_starts_under_an_address_space_limit),
		cmocka_unit_test(test_a_start_that_lacks_threads_is_undone),
		cmocka_unit_test(test_growing_without_threads_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
