/* SPDX-License-Identifier: MIT */
/*
 * Per-thread state of the CPU and of the C++ runtime that belongs to the coroutine: floating-point
 * control words and __cxa_get_globals(). This program brings its own __cxa_get_globals().
 */
#include "src/coro.h"

#include "child.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define N(value) ((void *)(intptr_t)(value))

/* Checks the words themselves, because fegetround() looks only at one of them. */
static int rounds_up(void)
{
	volatile double one = 1, three = 3, sum;

	/* To nearest, 1/3 is rounded down. */
	sum = one / three;
	return sum * 3 > 1 || sum > 0.33333333333333331;
}

static int rounds_up_x87(void)
{
#if defined(__x86_64__)
	volatile long double one = 1, tiny = 0x1p-70L;

	return one + tiny > one;
#else
	return rounds_up();
#endif
}

/* Not inlined. To the compiler the arithmetic does not depend on fesetround(), so it may move one
 * across a call of the other. */
__attribute__((noinline)) static intptr_t rounding(void)
{
	return rounds_up() + 2 * rounds_up_x87();
}

/* Valgrind rounds to nearest, whatever the words say. */
static bool rounding_works(void)
{
	intptr_t seen;

	fesetround(FE_UPWARD);
	seen = rounding();
	fesetround(FE_TONEAREST);
	return seen == 3;
}

#define SKIP_WITHOUT_ROUNDING()                                                                \
	do {                                                                                   \
		if (!rounding_works()) {                                                       \
			print_message("skipped: this machine does not round as it is told\n"); \
			skip();                                                                \
		}                                                                              \
	} while (0)

static void *round_up(void *in)
{
	(void)in;
	for (;;) {
		intptr_t before = rounding();

		fesetround(FE_UPWARD);
		weft_coro_yield(N(before));
	}
	return NULL;
}

static intptr_t enter(weft_coro *co)
{
	void *out = N(-1);

	assert_int_equal(weft_coro_enter(co, NULL, &out), 0);
	return (intptr_t)out;
}

static void test_rounding_belongs_to_the_coroutine(void **state)
{
	weft_coro *co;

	(void)state;
	SKIP_WITHOUT_ROUNDING();
	assert_int_equal(rounding(), 0);
	assert_int_equal(weft_coro_create(round_up, 0, &co), 0);
	assert_int_equal(enter(co), 0);
	assert_int_equal(rounding(), 0);
	assert_int_equal(enter(co), 3);
	assert_int_equal(rounding(), 0);
	weft_coro_destroy(co);
}

static void test_new_coroutine_has_the_default_rounding(void **state)
{
	weft_coro *co;
	intptr_t inside, outside;

	(void)state;
	SKIP_WITHOUT_ROUNDING();
	fesetround(FE_UPWARD);
	assert_int_equal(weft_coro_create(round_up, 0, &co), 0);
	inside = enter(co);
	outside = rounding();
	fesetround(FE_TONEAREST);
	assert_int_equal(inside, 0);
	assert_int_equal(outside, 3);
	weft_coro_destroy(co);
}

static void *enter_on_thread(void *arg)
{
	void *out = NULL;

	fesetround(FE_DOWNWARD);
	weft_coro_enter(arg, NULL, &out);
	return fegetround() == FE_DOWNWARD ? out : N(-2);
}

static void test_rounding_moves_between_threads(void **state)
{
	pthread_t thread;
	weft_coro *co;
	void *seen;

	(void)state;
	SKIP_WITHOUT_ROUNDING();
	assert_int_equal(weft_coro_create(round_up, 0, &co), 0);
	assert_int_equal(enter(co), 0);
	assert_int_equal(pthread_create(&thread, NULL, enter_on_thread, co), 0);
	pthread_join(thread, &seen);
	assert_int_equal((intptr_t)seen, 3);
	assert_int_equal(rounding(), 0);
	weft_coro_destroy(co);
}

static void test_reset_gives_defaults(void **state)
{
	(void)state;
	weft__coro_thread_init();
	fesetround(FE_UPWARD);
	errno = 9;
	weft__coro_reset_environment(weft__thread());
	assert_int_equal(errno, 0);
	assert_int_equal(rounding(), 0);
}

void *__cxa_get_globals(void);

/* The library refers to it weakly. */
__attribute__((visibility("default"))) void *__cxa_get_globals(void)
{
	static __thread struct eh_globals globals;

	return &globals;
}

__attribute__((noinline)) static struct eh_globals *globals(void)
{
	__asm__ volatile("");
	return __cxa_get_globals();
}

static void *throw_something(void *in)
{
	bool clean = !globals()->caught && !globals()->uncaught;

	globals()->caught = in;
	globals()->uncaught = 3;
	in = weft_coro_yield(N(clean));
	clean = globals()->caught == in && globals()->uncaught == 3;
	globals()->caught = NULL;
	globals()->uncaught = 0;
	return N(clean);
}

static void *finish_on_thread(void *arg)
{
	void **args = arg;
	void *out = NULL;

	weft_coro_enter(args[0], args[1], &out);
	return N(out == N(1) && !globals()->caught && !globals()->uncaught);
}

static void test_exception_state_belongs_to_the_coroutine(void **state)
{
	int exception, other;
	void *out = NULL;
	void *args[2];
	pthread_t thread;
	weft_coro *co;

	(void)state;
	globals()->caught = &other;
	globals()->uncaught = 1;
	assert_int_equal(weft_coro_create(throw_something, 0, &co), 0);
	assert_int_equal(weft_coro_enter(co, &exception, &out), 0);
	assert_int_equal((intptr_t)out, 1);
	assert_ptr_equal(globals()->caught, &other);
	assert_int_equal(globals()->uncaught, 1);
	args[0] = co;
	args[1] = &exception;
	assert_int_equal(pthread_create(&thread, NULL, finish_on_thread, args), 0);
	pthread_join(thread, &out);
	assert_int_equal((intptr_t)out, 1);
	assert_ptr_equal(globals()->caught, &other);
	globals()->caught = NULL;
	globals()->uncaught = 0;
	weft_coro_destroy(co);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounding_belongs_to_the_coroutine),
		cmocka_unit_test(test_new_coroutine_has_the_default_rounding),
		cmocka_unit_test(test_rounding_moves_between_threads),
		cmocka_unit_test(test_reset_gives_defaults),
		cmocka_unit_test(test_exception_state_belongs_to_the_coroutine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
