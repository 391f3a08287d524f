/* SPDX-License-Identifier: MIT */
/* Spawning: arguments, options, pinned tasks, and very many tasks. */
#include "harness.h"

static int token;

static void *refuse_arguments(void *arg)
{
	weft_task *task = arg;
	struct weft_task_options options = {.stack_size = 16383};

	CHECK(weft_spawn(NULL, NULL, &task) == -EINVAL);
	CHECK(weft_spawn_with(NULL, NULL, NULL, &task) == -EINVAL);
	CHECK(weft_spawn_with(&options, give_back, NULL, &task) == -EINVAL);
	options.stack_size = ((size_t)1 << 30) + 1;
	CHECK(weft_spawn_with(&options, give_back, NULL, &task) == -EINVAL);
	CHECK(task == arg);
	CHECK(weft_spawn_with(NULL, give_back, NULL, NULL) == 0);
	CHECK(weft_spawn_with(&(struct weft_task_options){0}, give_back, NULL, NULL) == 0);
	return NULL;
}

static void test_arguments(void **state)
{
	weft_task *task = (weft_task *)&token;

	(void)state;
	assert_run(2, refuse_arguments, &token);
	assert_int_equal(weft_spawn(give_back, NULL, &task), -EPERM);
	assert_int_equal(weft_spawn(NULL, NULL, &task), -EINVAL);
	assert_int_equal(
		weft_spawn_with(&(struct weft_task_options){.name = "a"}, give_back, NULL, &task),
		-EPERM);
	assert_ptr_equal(task, &token);
}

static void *say_name(void *arg)
{
	CHECK(strcmp(weft_task_name(NULL), arg) == 0);
	CHECK(weft_task_name(NULL) == weft_task_name(weft_self()));
	weft_yield();
	CHECK(strcmp(weft_task_name(NULL), arg) == 0);
	return NULL;
}

static void *spawn_named(void *arg)
{
	static char longest[] = "0123456789012345678901234567890";
	char name[] = "a name";
	weft_task *task;

	CHECK(weft_task_name(NULL)[0] == '\0');
	CHECK(weft_spawn_with(&(struct weft_task_options){.name = name}, say_name, "a name",
			      &task) == 0);
	memset(name, 'x', sizeof(name) - 1); /* it was copied */
	CHECK(strcmp(weft_task_name(task), "a name") == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_spawn_with(
		      &(struct weft_task_options){.name = "01234567890123456789012345678901"},
		      say_name, longest, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_spawn(say_name, "", &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_names(void **state)
{
	(void)state;
	assert_run(1, spawn_named, NULL);
	assert_run(3, spawn_named, NULL);
	assert_string_equal(weft_task_name(NULL), "");
}

static __attribute__((noinline)) unsigned use_stack(unsigned kibibytes)
{
	volatile char room[1024];

	room[0] = room[1023] = 1;
	return kibibytes > 1 ? use_stack(kibibytes - 1) + (unsigned)room[0] : 1;
}

static void *use_much_stack(void *arg)
{
	unsigned kibibytes = (unsigned)(uintptr_t)arg;

	CHECK(use_stack(kibibytes) == kibibytes);
	weft_yield();
	CHECK(use_stack(kibibytes) == kibibytes);
	return NULL;
}

static void *spawn_with_stacks(void *arg)
{
	static const size_t sizes[] = {16 << 10, 20000, 64 << 10, 1 << 20, 8 << 20};

	for (unsigned round = 0; round < weft_test_scale(40); round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			/* Instrumented frames are larger. */
			uintptr_t used = sizes[i] / 1024 / (CHILD_TSAN || CHILD_ASAN ? 8 : 2);
			weft_task *task;

			CHECK(weft_spawn_with(&(struct weft_task_options){.stack_size = sizes[i]},
					      use_much_stack, (void *)used, &task) == 0);
			CHECK(weft_join(task, NULL) == 0);
		}
	}
	return arg;
}

static void test_stack_sizes(void **state)
{
	(void)state;
	assert_run(1, spawn_with_stacks, NULL);
	assert_run(4, spawn_with_stacks, NULL);
}

static void *note_self(void *arg)
{
	*(weft_task **)arg = weft_self();
	return NULL;
}

static void *compare_selves(void *arg)
{
	weft_task *self = weft_self(), *task, *seen = NULL;

	CHECK(self != NULL);
	CHECK(weft_spawn(note_self, &seen, &task) == 0);
	weft_yield();
	CHECK(weft_self() == self);
	weft_task *handle = task;
	CHECK(weft_join(task, NULL) == 0);
	CHECK(seen == handle);
	CHECK(weft_self() == self);
	return arg;
}

static void test_self(void **state)
{
	(void)state;
	assert_run(1, compare_selves, NULL);
	assert_run(4, compare_selves, NULL);
}

static void *stay(void *arg)
{
	int home = (int)(intptr_t)arg;

	for (unsigned i = 0; i < 20; i++) {
		CHECK(weft_worker_id() == home);
		if (i % 4 == 3)
			CHECK(weft_sleep(1000) == 0);
		else
			weft_yield();
	}
	CHECK(weft_worker_id() == home);
	return NULL;
}

/* No call between the two lines suspends, so the number is that of the spawner's worker. */
static void *spawn_pinned(void *arg)
{
	const struct weft_task_options pinned = {.pinned = true};
	weft_task *tasks[4];

	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 4; i++) {
			intptr_t home = weft_worker_id();
			CHECK(weft_spawn_with(&pinned, stay, (void *)home, &tasks[i]) == 0);
		}
		for (unsigned i = 0; i < 4; i++)
			CHECK(weft_join(tasks[i], NULL) == 0);
	}
	return arg;
}

static void *spawn_spawners(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(40); i++)
		CHECK(weft_spawn(spawn_pinned, NULL, NULL) == 0);
	return arg;
}

static void test_pinned_tasks_stay(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_spawners, NULL);
	setenv("WEFT_CHAOS", "5,hop", 1);
	assert_run(4, spawn_spawners, NULL);
	unsetenv("WEFT_CHAOS");
}

static flag ran;

static void *count_up(void *arg)
{
	raise_flag(&ran);
	return arg;
}

static void *spawn_a_million(void *arg)
{
	unsigned count = weft_test_scale(1000000);
	weft_task **tasks = calloc(count, sizeof(weft_task *));

	if (!CHECK(tasks != NULL))
		return NULL;
	for (uintptr_t i = 0; i < count; i++)
		CHECK(weft_spawn(count_up, (void *)i, &tasks[i]) == 0);
	for (uintptr_t i = 0; i < count; i++) {
		void *result = NULL;
		CHECK(weft_join(tasks[i], &result) == 0);
		CHECK(result == (void *)i);
	}
	free(tasks);
	for (uintptr_t i = 0; i < count; i++)
		CHECK(weft_spawn(count_up, NULL, NULL) == 0);
	return arg;
}

static void test_a_million_tasks(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		atomic_store_explicit(&ran, 0, memory_order_relaxed);
		assert_run(workers, spawn_a_million, NULL);
		assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed),
				 2 * weft_test_scale(1000000));
	}
}

/* Each task waits for the next one, so all their stacks are in use at once. */
static void *go_deeper(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	void *result = NULL;
	weft_task *task;

	if (depth == 0)
		return NULL;
	if (!CHECK(weft_spawn(go_deeper, (void *)(depth - 1), &task) == 0))
		return NULL;
	CHECK(weft_join(task, &result) == 0);
	return (void *)((uintptr_t)result + 1);
}

static void *descend(void *arg)
{
	/* gcc's ThreadSanitizer has 8128 fibers. */
	uintptr_t depth = CHILD_TSAN ? 1000 : weft_test_scale(100000);

	CHECK(go_deeper((void *)depth) == (void *)depth);
	return arg;
}

static void test_joins_a_hundred_thousand_deep(void **state)
{
	(void)state;
	/* Guards can take two mappings each, and older systems allow 65530. */
	setenv("WEFT_GUARD", "off", 1);
	assert_run(1, descend, NULL);
	assert_run(4, descend, NULL);
	unsetenv("WEFT_GUARD");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_stack_sizes),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_pinned_tasks_stay),
		cmocka_unit_test(test_a_million_tasks),
		cmocka_unit_test(test_joins_a_hundred_thousand_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
