/* SPDX-License-Identifier: MIT */
/*
 * Little memory from the start. However much is left, a call either reports that there is too
 * little, or what it accepted runs. Nothing hangs. The tests run in child processes under a limit
 * of address space. A child that takes too long dies.
 *
 * If guards are memory mappings, there may be more tasks than mappings for guards.
 *
 * By default a sample of the sizes is tried. With the argument "all" it is every 64 KiB up to 64
 * MiB.
 */
#include "harness.h"
#include "limited.h"
#include "src/stack/guard.h"
#include "src/stack/stack.h"

#include <pthread.h>

#define STEP        ((size_t)64 << 10)
#define STEPS       1024
#define SHORT_STEPS 40 /* all sizes in which something is refused are below this */
#define SAMPLE      24 /* the number of other sizes to try */

static bool all_sizes;

struct attempt {
	size_t left; /* bytes of address space */
	unsigned workers;
	void (*use)(void);
};

/* The size of the process's mappings. It allocates nothing. */
static size_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (!file || fscanf(file, "%lu", &pages) != 1)
		exit(99);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void *end_at_once(void *arg)
{
	raise_flag(arg);
	return arg;
}

static void *fork_deep(void *arg)
{
	size_t depth = (size_t)arg;
	weft_forked fork;

	if (depth == 0)
		return NULL;
	weft_fork(&fork, fork_deep, (void *)(depth - 1));
	return weft_fork_join(&fork);
}

static bool accepted_or_refused(int rc)
{
	return CHECK(rc == 0 || rc == -ENOMEM) && rc == 0;
}

/* Makes tasks in every possible way, and waits for each that was accepted. */
static void *make_tasks(void *arg)
{
	const struct weft_task_options options[] = {
		{.name = "named"},
		{.stack_size = 16 << 10},
		{.stack_size = 1 << 20},
		{.stack_size = 40 << 20},
		{.stack_size = 40 << 20, .pinned = true},
	};
	unsigned accepted = 0;
	weft_group group;
	weft_task *task;
	flag ended = 0;

	for (unsigned i = 0; i < 5; i++) {
		if (!accepted_or_refused(weft_spawn_with(&options[i], end_at_once, &ended, &task)))
			continue;
		accepted++;
		CHECK(weft_join(task, NULL) == 0);
	}
	for (unsigned i = 0; i < 8; i++)
		accepted += accepted_or_refused(weft_spawn(end_at_once, &ended, NULL));
	CHECK(yield_for(&ended, accepted));
	if (accepted_or_refused(weft_spawn(give_back, arg, &task)))
		CHECK(weft_join(task, NULL) == 0);
	if (accepted_or_refused(weft_submit(NULL, give_back, arg, &task)))
		CHECK(weft_join(task, NULL) == 0);
	weft_group_init(&group);
	for (unsigned i = 0; i < 8; i++)
		accepted_or_refused(weft_group_spawn(&group, give_back, NULL));
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	fork_deep((void *)20);
	return arg;
}

static void end_child(int rc)
{
	if (checks_failed() > 0)
		_exit(3);
	_exit(rc == 0 || rc == -ENOMEM || rc == -EAGAIN ? 0 : 4);
}

static void use_run(void)
{
	end_child(weft_run(make_tasks, NULL, NULL));
}

static void use_create(void)
{
	weft_runtime *rt = NULL;
	weft_task *task;
	int rc = weft_runtime_create(NULL, &rt);

	if (rc < 0) {
		CHECK(rt == NULL);
		end_child(rc);
	}
	/* The runtime is idle. */
	for (unsigned i = 0; i < 3; i++) {
		if (accepted_or_refused(weft_submit(rt, make_tasks, NULL, &task)))
			CHECK(weft_join(task, NULL) == 0);
	}
	end_child(weft_runtime_destroy(rt));
}

static void try(void *arg)
{
	const struct attempt *attempt = arg;
	size_t limit = address_space() + attempt->left;
	struct rlimit rlimit = {limit, limit};

	set_number("WEFT_WORKERS", attempt->workers);
	if (setrlimit(RLIMIT_AS, &rlimit) != 0)
		_exit(99);
	attempt->use();
}

/* The content of its output does not matter, but it must be whole lines of ours. */
static void assert_no_hang(const struct attempt *attempt)
{
	struct attempt copy = *attempt;
	struct child child;

	child_run(&child, try, &copy);
	if (!child_exited_with(&child, 0))
		fprintf(stderr, "%zu KiB, %u workers\n", copy.left >> 10, copy.workers);
	assert_int_equal(child.status, 0);
}

static void try_sizes(void (*use)(void))
{
	static const unsigned workers[] = {1, 2, 4};
	unsigned sample = weft_test_scale(SAMPLE);

	if (!can_limit_address_space())
		skip();
	for (unsigned w = 0; w < 3; w++) {
		for (size_t i = 0; i <= STEPS; i++) {
			bool few = i % 8 == w && i < SHORT_STEPS * 8;

			if (all_sizes || i < 12 || few || i % (STEPS / sample) == w)
				assert_no_hang(&(struct attempt){i * STEP, workers[w], use});
		}
	}
}

static void test_run_says_so_or_ends(void **state)
{
	(void)state;
	try_sizes(use_run);
}

static void test_create_and_submit_say_so_or_end(void **state)
{
	(void)state;
	try_sizes(use_create);
}

static weft_coro *taken[4096];
static unsigned taken_count;

/* Takes all available stacks of that size, in a process that gets no more memory. */
static void take_stacks(size_t stack_size)
{
	while (taken_count < 4096 &&
	       weft_coro_create(give_back, stack_size, &taken[taken_count]) == 0)
		taken_count++;
	CHECK(taken_count < 4096);
}

static void give_stacks_back(void)
{
	while (taken_count > 0)
		weft_coro_destroy(taken[--taken_count]);
}

static void refuse_memory(void)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_AS, &none) != 0)
		_exit(99);
}

/*
 *   runtime                        the rest of the program
 *   is idle                        takes all memory, and every stack that becomes free
 *   runs a task; sleeps
 *                                  takes what the worker gave back
 *   must run the next one
 */
static void submit_to_the_idle(void *arg)
{
	weft_runtime *rt = assert_create(*(unsigned *)arg);
	weft_task *task;

	/* A first task, for the control blocks. */
	assert_int_equal(weft_submit(rt, give_back, NULL, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	refuse_memory();
	for (unsigned i = 0; i < 50; i++) {
		take_stacks(0);
		/* Another worker may have the last stack, and look for work. */
		int rc;
		while ((rc = weft_submit(rt, give_back, NULL, &task)) == -ENOMEM)
			sched_yield();
		assert_int_equal(rc, 0);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	_exit(weft_runtime_destroy(rt) == 0 ? 0 : 1);
}

static void test_an_idle_runtime_keeps_a_stack(void **state)
{
	(void)state;
	if (!can_limit_address_space())
		skip();
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		for (unsigned i = 0; i < weft_test_scale(10); i++) {
			struct child child;

			child_run(&child, submit_to_the_idle, &workers);
			assert_true(child_exited_with(&child, 0));
		}
	}
}

#define LARGE ((size_t)1 << 20)

/* Stacks of its own size are taken after a task was accepted, before it starts. */
static void *spawn_large(void *arg)
{
	const struct weft_task_options options = {.stack_size = LARGE};
	weft_task *first, *second;
	weft_coro *other;
	int rc;

	/* Keeps their addresses, which it could not get again. */
	if (!CHECK(weft_coro_create(give_back, LARGE, &other) == 0))
		return NULL;
	for (unsigned i = 0; i < 20; i++) {
		/* The last task's worker may not have given its stack back yet. */
		while ((rc = weft_spawn_with(&options, give_back, arg, &first)) == -ENOMEM)
			weft_yield();
		if (!CHECK(rc == 0))
			break;
		while ((rc = weft_spawn_with(&options, give_back, arg, &second)) == -ENOMEM)
			weft_yield();
		if (!CHECK(rc == 0))
			break;
		if (i == 0)
			refuse_memory();
		take_stacks(LARGE);
		CHECK(weft_join(first, NULL) == 0);
		take_stacks(LARGE);
		CHECK(weft_join(second, NULL) == 0);
		give_stacks_back();
	}
	weft_coro_destroy(other);
	return NULL;
}

static void spawn_large_alone(void *arg)
{
	set_number("WEFT_WORKERS", *(unsigned *)arg);
	end_child(weft_run(spawn_large, NULL, NULL));
}

static void test_a_task_of_another_size_keeps_a_stack(void **state)
{
	(void)state;
	if (!can_limit_address_space())
		skip();
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		struct child child;

		child_run(&child, spawn_large_alone, &workers);
		assert_true(child_exited_with(&child, 0));
	}
}

static void *wait_for_event(void *arg)
{
	CHECK(weft_event_wait(arg) == 0);
	return NULL;
}

/* The first two of them get the stacks that the worker and the runtime keep. The third one waits.
 * That is counted, and reported once. */
static void *wait_for_stacks(void *arg)
{
	struct weft_stats stats;
	weft_group group;
	weft_event gate;

	weft_event_init(&gate);
	weft_group_init(&group);
	CHECK(weft_runtime_stats(NULL, &stats) == 0 && stats.stack_waits == 0);
	/* A first one, for the control blocks. */
	CHECK(weft_group_spawn(&group, give_back, NULL) == 0 && weft_group_wait(&group) == 0);
	refuse_memory();
	take_stacks(0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&group, wait_for_event, &gate) == 0);
	int64_t lost = weft_after(LOST_NS);
	do {
		CHECK(weft_sleep(1000000) == 0);
		CHECK(weft_runtime_stats(NULL, &stats) == 0);
	} while (stats.stack_waits == 0 && weft_now() < lost);
	CHECK(stats.stack_waits > 0);
	CHECK(weft_group_spawn(&group, wait_for_event, &gate) == -ENOMEM);
	weft_event_set(&gate);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	return arg;
}

static void run_short_of_stacks(void *arg)
{
	(void)arg;
	set_number("WEFT_WORKERS", 1);
	end_child(weft_run(wait_for_stacks, NULL, NULL));
}

static void test_tasks_that_wait_for_stacks_say_so_once(void **state)
{
	struct child child;

	(void)state;
	if (!can_limit_address_space())
		skip();
	child_run(&child, run_short_of_stacks, NULL);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "tasks wait for stacks: 4 tasks are live"));
	assert_non_null(strstr(child.said, "ulimit -v"));
	assert_non_null(strstr(child.said, "WEFT_STACK_SIZE"));
}

/* More than there are mappings for guards, with vm.max_map_count's default. */
#define MANY 40000

static weft_latch all_are_there;

static void *meet(void *arg)
{
	weft_latch_count_down(&all_are_there, 1);
	CHECK(weft_latch_wait(&all_are_there) == 0);
	return arg;
}

static void *raise_from_thread(void *arg)
{
	raise_flag(arg);
	return arg;
}

static void *let_many_meet(void *arg)
{
	pthread_t thread;
	weft_group group;
	flag ran = 0;

	weft_latch_init(&all_are_there, MANY);
	weft_group_init(&group);
	for (unsigned i = 0; i < MANY; i++) {
		if (!accepted_or_refused(weft_group_spawn(&group, meet, NULL)))
			weft_latch_count_down(&all_are_there, 1);
	}
	CHECK(weft_latch_wait(&all_are_there) == 0);
	/* The program's own calls still get mappings while all these stacks are in use. */
	if (CHECK(pthread_create(&thread, NULL, raise_from_thread, &ran) == 0))
		CHECK(pthread_join(thread, NULL) == 0 && is_raised(&ran, 1));
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	return arg;
}

static void run_many(void *arg)
{
	weft__stack_guard_force(STACK_GUARD_MPROTECT);
	set_number("WEFT_WORKERS", *(unsigned *)arg);
	end_child(weft_run(let_many_meet, NULL, NULL));
}

static void test_more_tasks_than_guards_meet(void **state)
{
	(void)state;
	if (CHILD_TSAN || CHILD_ASAN || san_under_valgrind() || weft_test_scale(20) < 20) {
		print_message("skipped: so many tasks take too much memory or time here\n");
		skip();
	}
	for (unsigned workers = 1; workers <= 2; workers++) {
		struct child child;

		child_run(&child, run_many, &workers);
		assert_true(child_exited_with(&child, 0));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_says_so_or_ends),
		cmocka_unit_test(test_create_and_submit_say_so_or_end),
		cmocka_unit_test(test_an_idle_runtime_keeps_a_stack),
		cmocka_unit_test(test_a_task_of_another_size_keeps_a_stack),
		cmocka_unit_test(test_tasks_that_wait_for_stacks_say_so_once),
		cmocka_unit_test(test_more_tasks_than_guards_meet),
	};

	all_sizes = argc > 1 && strcmp(argv[1], "all") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
