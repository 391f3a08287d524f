/* SPDX-License-Identifier: MIT */
/*
 * Frames that outlive a switch. With detect_stack_use_after_return AddressSanitizer puts them on a
 * fake stack. The fake stack must follow the coroutine from thread to thread, live as long as any
 * frame of the coroutine, and end with the coroutine. Without that tool the same must hold for the
 * stack itself.
 */
#include "src/coro.h"

#include "child.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define N(value) ((void *)(intptr_t)(value))

#if CHILD_ASAN
/* The program's choice, which ASAN_OPTIONS overrides. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
	return "detect_stack_use_after_return=1";
}
#endif

#define FRAME_SIZE 600

/* Both are not inlined: a local that does not escape needs no fake frame. */
__attribute__((noinline)) static void fill(char *bytes, char with)
{
	for (int i = 0; i < FRAME_SIZE; i++)
		bytes[i] = with;
	__asm__ volatile("" : : "r"(bytes) : "memory");
}

__attribute__((noinline)) static bool holds(const char *bytes, char with)
{
	__asm__ volatile("" : : "r"(bytes) : "memory");
	for (int i = 0; i < FRAME_SIZE; i++) {
		if (bytes[i] != with)
			return false;
	}
	return true;
}

static struct coro *leader;

/* The frame of a main function. It is still in use when the coroutine has become idle and starts
 * again. */
static void start_again(void *value)
{
	char kept[FRAME_SIZE];
	intptr_t good = 0;

	for (char round = 1;; round++) {
		fill(kept, round);
		value = weft__coro_switch(leader, N(good));
		good = holds(kept, round) && value == N(round);
	}
}

static void test_bottom_frame_outlives_idleness(void **state)
{
	struct coro *co;

	(void)state;
	weft__coro_thread_init();
	leader = weft__thread()->leader;
	co = weft__coro_new(256 << 10, true, start_again);
	assert_non_null(co);
	assert_ptr_equal(weft__coro_switch(co, NULL), N(0));
	for (int round = 1; round < 50; round++)
		assert_ptr_equal(weft__coro_switch(co, N(round)), N(1));
	weft__coro_free(co);
}

/* As above, with frames that come and go between the switches. Each is a fake frame. */
__attribute__((noinline)) static bool nest(int depth)
{
	char local[FRAME_SIZE];
	bool good;

	fill(local, (char)depth);
	weft_coro_yield(NULL);
	good = depth == 0 || nest(depth - 1);
	weft_coro_yield(NULL);
	return good && holds(local, (char)depth);
}

static void *run_nest(void *in)
{
	(void)in;
	return N(nest(5));
}

static void *enter_once(void *arg)
{
	char local[FRAME_SIZE];
	void *out = NULL;

	fill(local, 99);
	weft_coro_enter(arg, NULL, &out);
	return holds(local, 99) ? out : N(-1);
}

/* Each enter happens on a thread of its own, which ends afterwards, together with any fake stack
 * that it had. */
static void test_frames_hop(void **state)
{
	weft_coro *co;
	void *out = NULL;

	(void)state;
	assert_int_equal(weft_coro_create(run_nest, 0, &co), 0);
	while (!weft_coro_done(co)) {
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, enter_once, co), 0);
		pthread_join(thread, &out);
		assert_ptr_not_equal(out, N(-1));
	}
	assert_ptr_equal(out, N(1));
	weft_coro_destroy(co);
}

#if CHILD_ASAN
static void *destroy_it(void *arg)
{
	weft_coro_destroy(arg);
	return arg;
}

/* In kilobytes. */
static size_t address_space(void)
{
	char line[256];
	size_t size = 0;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmSize: %zu", &size) == 1)
			break;
	}
	if (file)
		fclose(file);
	return size;
}

/* Coroutines that end, and coroutines that are dropped in the middle, here and on another
 * thread. */
static void run_some(int count)
{
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		weft_coro *co;

		assert_int_equal(weft_coro_create(run_nest, 0, &co), 0);
		do
			weft_coro_enter(co, NULL, NULL);
		while (i % 3 == 0 && !weft_coro_done(co));
		if (i % 3 == 1) {
			assert_int_equal(pthread_create(&thread, NULL, destroy_it, co), 0);
			pthread_join(thread, NULL);
		} else {
			weft_coro_destroy(co);
		}
	}
}

/* A fake stack takes megabytes. If each one were lost, the second count would be a gigabyte above
 * the first. */
static void test_fake_stacks_are_freed(void **state)
{
	size_t before, after;

	(void)state;
	run_some(60);
	before = address_space();
	run_some(600);
	after = address_space();
	assert_true(before > 0);
	assert_true(after < before + ((size_t)100 << 10));
}

static char *escaped;

/* Hides the pointer's target from the compiler, which would otherwise make the pointer NULL. A
 * function of its own, because clang gives a function with inline assembly no fake frame. */
__attribute__((noinline)) static char *launder(char *pointer)
{
	__asm__ volatile("" : "+r"(pointer));
	return pointer;
}

__attribute__((noinline)) static void let_escape(void)
{
	char local[FRAME_SIZE];

	fill(local, 7);
	escaped = launder(local);
}

static void *use_dead_frame(void *in)
{
	(void)in;
	let_escape();
	weft_coro_yield(NULL);
	return N(*escaped);
}

static void run_use_dead_frame(void *arg)
{
	weft_coro *co;

	(void)arg;
	child_needs(weft_coro_create(use_dead_frame, 0, &co));
	weft_coro_enter(co, NULL, NULL);
	weft_coro_enter(co, NULL, NULL);
}

/* The tool works in coroutines: there are fake stacks at all. */
static void test_use_after_return_is_found(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_use_dead_frame, NULL);
	assert_true(child_exited_with(&child, 1));
	assert_non_null(strstr(child.said, "stack-use-after-return"));
	assert_non_null(strstr(child.said, "use_dead_frame"));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bottom_frame_outlives_idleness),
		cmocka_unit_test(test_frames_hop),
#if CHILD_ASAN
		cmocka_unit_test(test_fake_stacks_are_freed),
		cmocka_unit_test(test_use_after_return_is_found),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
