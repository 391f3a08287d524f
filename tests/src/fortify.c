/* SPDX-License-Identifier: MIT */
/*
 * The switch works if the library is built with _FORTIFY_SOURCE, whose checking longjmp refuses to
 * jump between stacks. The test matters for the ucontext backend with such a build. It holds for
 * all builds.
 */
#include <weft/coro.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void *count_up(void *in)
{
	for (intptr_t n = (intptr_t)in;; n++)
		weft_coro_yield((void *)n);
	return NULL;
}

static void *enter_often(void *arg)
{
	void *out = NULL;

	for (int i = 0; i < 1000; i++)
		weft_coro_enter(arg, NULL, &out);
	return out;
}

static void test_switches_go_up_and_down(void **state)
{
	pthread_t thread;
	weft_coro *co;
	void *out;

	(void)state;
	assert_int_equal(weft_coro_create(count_up, 0, &co), 0);
	assert_int_equal((size_t)enter_often(co), 999);
	assert_int_equal(pthread_create(&thread, NULL, enter_often, co), 0);
	pthread_join(thread, &out);
	assert_int_equal((size_t)out, 1999);
	weft_coro_destroy(co);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switches_go_up_and_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
