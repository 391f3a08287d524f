/* SPDX-License-Identifier: MIT */
/*
 * ThreadSanitizer's reports in the user build about tasks that share one thread and one stack. Each
 * case is a child process. A report makes its exit code 66.
 */
#include "src/coro.h"

#include "child.h"
#include "src/task_fiber.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#ifdef WEFT_TSAN_USER

static long shared;
static char edge;

/* A plain access that the compiler keeps. It appears on a line of its own in the report. */
__attribute__((noinline)) static void write_shared(void)
{
	shared++;
	__asm__ volatile("" : : : "memory");
}

/* Not inlined: a local that does not escape is not instrumented. */
__attribute__((noinline)) static void fill(char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bytes[i] = (char)i;
		__asm__ volatile("" : : : "memory");
	}
}

/* Leaves written bytes in the part of the stack that the next task will use. */
__attribute__((noinline)) static void write_stack(void)
{
	char local[512];

	fill(local, sizeof(local));
}

static struct coro *leader;

/* Two tasks, one after the other, as the scheduler runs them on one stack. A `value` other than
 * NULL makes an edge. */
static void run_two_tasks(void *value)
{
	for (int i = 0; i < 2; i++) {
		void *previous = san_task_begin();

		if (value)
			san_acquire(&edge);
		write_stack();
		write_shared();
		if (value)
			san_release(&edge);
		san_task_end(previous);
	}
	weft__coro_switch(leader, NULL);
}

static void run_tasks(void *value)
{
	struct coro *co;

	weft__coro_thread_init();
	leader = weft__thread()->leader;
	co = weft__coro_new(64 << 10, true, run_two_tasks);
	weft__coro_switch(co, value);
	weft__coro_free(co);
}

/* Not inlined, so a report names it and it uses this thread's address of errno. */
__attribute__((noinline)) static void set_errno(int value)
{
	errno = value;
	__asm__ volatile("" : : : "memory");
}

/* A task that runs another one inline, and then both once more. All are strangers. `value` is the
 * resumer. */
static void run_errno_tasks(void *value)
{
	for (int i = 0; i < 2; i++) {
		void *outer = san_task_begin();
		void *inner;

		set_errno(1);
		inner = san_task_begin();
		set_errno(2);
		san_task_end(inner);
		set_errno(3);
		value = weft__coro_switch(value, NULL);
		set_errno(4);
		san_task_end(outer);
	}
	set_errno(5);
	weft__coro_switch(value, NULL);
}

/* Resumes one of two coroutines. The tool knows of nothing that orders the threads, or the
 * coroutines on one thread. */
static void *resume_errno_tasks(void *arg)
{
	struct coro **pair = arg;
	struct coro *own;

	weft__coro_thread_init();
	own = weft__thread()->leader;
	for (int i = 0; i < 2; i++) {
		set_errno(6);
		weft__coro_switch(pair[i], own);
	}
	set_errno(7);
	return NULL;
}

static void run_errno(void *value)
{
	struct coro *pair[2];
	pthread_t thread;

	(void)value;
	weft__coro_thread_init();
	for (int i = 0; i < 2; i++)
		pair[i] = weft__coro_new(64 << 10, true, run_errno_tasks);
	resume_errno_tasks(pair);
	/* Joined before its memory, which holds the coroutines' new errno, can become another
	 * thread's. */
	pthread_create(&thread, NULL, resume_errno_tasks, pair);
	pthread_join(thread, NULL);
	resume_errno_tasks(pair);
	for (int i = 0; i < 2; i++)
		weft__coro_free(pair[i]);
}

static void *write_twice(void *in)
{
	write_shared();
	weft_coro_yield(NULL);
	write_stack();
	write_shared();
	return in;
}

/* The thread that happens to run a task chooses the task's stack. Nothing orders that thread's past
 * with the task. */
static void run_task_after_starter(void *value)
{
	void *previous;

	write_shared();
	previous = san_task_begin();
	write_shared();
	san_task_end(previous);
	weft__coro_switch(leader, value);
}

static void run_starter(void *value)
{
	struct coro *co;

	weft__coro_thread_init();
	leader = weft__thread()->leader;
	co = weft__coro_new(64 << 10, true, run_task_after_starter);
	weft__coro_switch(co, value);
	weft__coro_free(co);
}

/* Enter and yield are edges in both directions, and used stacks carry nothing over. */
static void run_generators(void *value)
{
	(void)value;
	for (int i = 0; i < 20; i++) {
		weft_coro *co;

		if (weft_coro_create(write_twice, 0, &co) < 0)
			_exit(1);
		weft_coro_enter(co, NULL, NULL);
		write_shared();
		weft_coro_enter(co, NULL, NULL);
		weft_coro_destroy(co);
	}
}

static void *write_own_stack(void *in)
{
	write_stack();
	weft_coro_yield(NULL);
	return in;
}

static void *stack_user(void *value)
{
	weft_coro *co;

	(void)value;
	/* Nothing is shared except stacks, headers and pools. These pass between threads without
	 * any other order. */
	for (int i = 0; i < 300; i++) {
		if (weft_coro_create(write_own_stack, 0, &co) == 0) {
			weft_coro_enter(co, NULL, NULL);
			weft_coro_destroy(co);
		}
	}
	return NULL;
}

static void run_stack_users(void *value)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, stack_user, value);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

/*
 * Two threads use the same slot one after the other, and nothing that the tool sees orders them:
 *
 *   first                                        second
 *   creates, enters: writes stack and shared
 *   destroys, or leaves that to the second
 *   turn = 1 (relaxed)
 *                                                sees 1; destroys what was left
 *                                                creates on that slot, enters: writes both
 */
struct baton {
	_Atomic int turn;
	bool leave;
	size_t stack_size;
	_Atomic(weft_coro *) left;
};

static void *write_stack_and_shared(void *in)
{
	write_stack();
	write_shared();
	return in;
}

static void use_slot(struct baton *baton)
{
	weft_coro *co;

	if (weft_coro_create(write_stack_and_shared, baton->stack_size, &co) != 0)
		_exit(1);
	weft_coro_enter(co, NULL, NULL);
	if (baton->leave)
		atomic_store_explicit(&baton->left, co, memory_order_relaxed);
	else
		weft_coro_destroy(co);
}

static void *go_first(void *arg)
{
	struct baton *baton = arg;

	use_slot(baton);
	/* relaxed: the tool must not see an edge */
	atomic_store_explicit(&baton->turn, 1, memory_order_relaxed);
	return NULL;
}

static void *go_second(void *arg)
{
	struct baton *baton = arg;

	while (atomic_load_explicit(&baton->turn, memory_order_relaxed) == 0)
		sched_yield();
	if (baton->leave)
		weft_coro_destroy(atomic_load_explicit(&baton->left, memory_order_relaxed));
	use_slot(baton);
	return NULL;
}

static void run_relay(void *value)
{
	struct baton *baton = value;
	pthread_t first, second;

	pthread_create(&second, NULL, go_second, baton);
	pthread_create(&first, NULL, go_first, baton);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
}

static void run_too_many(void *value)
{
	(void)value;
	for (int i = 0; i < 10000000; i++) {
		weft_coro *co;

		if (weft_coro_create(write_twice, 16 << 10, &co) < 0)
			_exit(1);
	}
}

static void test_tasks_on_one_stack_race_without_an_edge(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_tasks, NULL);
	assert_true(child_exited_with(&child, 66));
	assert_non_null(strstr(child.said, "WARNING: ThreadSanitizer: data race"));
	assert_non_null(strstr(child.said, "write_shared"));
	/* The one race, and none about the stack that both used. */
	assert_null(strstr(child.said, "write_stack"));
}

static void test_a_task_is_not_ordered_after_its_starter(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_starter, NULL);
	assert_true(child_exited_with(&child, 66));
	assert_non_null(strstr(child.said, "write_shared"));
}

static void test_errno_passes_from_task_to_task(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_errno, NULL);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

static void test_an_edge_orders_tasks(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_tasks, &child);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

static void test_enter_and_yield_are_edges(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_generators, NULL);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

static void test_stacks_pass_between_threads_unseen(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_stack_users, NULL);
	assert_string_equal(child.said, "");
	assert_true(child_exited_with(&child, 0));
}

static void assert_only_shared_races(struct baton *baton)
{
	struct child child;

	child_run(&child, run_relay, baton);
	assert_true(child_exited_with(&child, 66));
	assert_non_null(strstr(child.said, "write_shared"));
	assert_null(strstr(child.said, "write_stack "));
	assert_null(strstr(child.said, "src/stack/stack"));
	assert_null(strstr(child.said, "src/stack/arena.c"));
}

static void test_reusing_a_stack_is_no_edge(void **state)
{
	struct baton baton = {.stack_size = 0};

	(void)state;
	assert_only_shared_races(&baton);
}

/* So large that the thread that frees it unmaps its arena: malloc() on one thread, free() on
 * another. */
static void test_unmapping_an_arena_is_no_race(void **state)
{
	struct baton baton = {.stack_size = (size_t)512 << 20, .leave = true};

	(void)state;
	assert_only_shared_races(&baton);
}

static void test_too_many_fibers_are_explained(void **state)
{
	struct child child;

	(void)state;
#if !defined(__clang__)
	print_message(
		"skipped: this compiler's runtime takes gigabytes before it reaches the limit\n");
	skip();
#endif
	child_run(&child, run_too_many, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks_on_one_stack_race_without_an_edge),
		cmocka_unit_test(test_a_task_is_not_ordered_after_its_starter),
		cmocka_unit_test(test_errno_passes_from_task_to_task),
		cmocka_unit_test(test_an_edge_orders_tasks),
		cmocka_unit_test(test_enter_and_yield_are_edges),
		cmocka_unit_test(test_stacks_pass_between_threads_unseen),
		cmocka_unit_test(test_reusing_a_stack_is_no_edge),
		cmocka_unit_test(test_unmapping_an_arena_is_no_race),
		cmocka_unit_test(test_too_many_fibers_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_needs_the_user_build(void **state)
{
	(void)state;
	print_message("skipped: only with -Db_sanitize=thread -Dtsan=user\n");
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_needs_the_user_build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
