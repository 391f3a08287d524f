/* SPDX-License-Identifier: MIT */
/* A once whose function fails, or whose first caller is cancelled. gates.c tests the cases that
 * always succeed. */
#include "crew.h"

/* --- cancelled inside --- */

struct started {
	weft_once once;
	flag inside, cancelled;
	int slept;
};

static void start_up(void *arg)
{
	struct started *s = arg;

	raise_flag(&s->inside);
	CHECK(yield_for(&s->cancelled, 1));
	CHECK(weft_cancelled());
	s->slept = weft_sleep(1000);
}

static void *call_first(void *arg)
{
	struct started *s = arg;

	weft_once_call(&s->once, start_up, s);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED); /* no longer masked */
	return arg;
}

static void *cancel_the_first(void *arg)
{
	struct started s = {.slept = 77};
	weft_task *task;

	CHECK(weft_spawn(call_first, &s, &task) == 0);
	CHECK(yield_for(&s.inside, 1));
	CHECK(weft_cancel(task) == 0);
	raise_flag(&s.cancelled);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(s.slept == 0);
	return arg;
}

static void test_the_function_of_a_call_is_not_cut_short(void **state)
{
	(void)state;
	assert_run(1, cancel_the_first, NULL);
	assert_run(2, cancel_the_first, NULL);
}

/* --- tries --- */

#define FAILURES 5

struct tries {
	weft_once once;
	unsigned calls;           /* written by the function that runs once */
	_Atomic unsigned refused; /* relaxed: anybody counts */
	_Atomic unsigned running; /* relaxed: must be 1 inside the function */
};

/* Fails a few times. It suspends, so that others come meanwhile. */
static int fail_at_first(void *arg)
{
	struct tries *t = arg;

	CHECK(atomic_fetch_add_explicit(&t->running, 1, memory_order_relaxed) == 0);
	unsigned nth = t->calls++;
	for (unsigned i = 0; i < 3; i++)
		weft_yield();
	CHECK(t->calls == nth + 1);
	atomic_fetch_sub_explicit(&t->running, 1, memory_order_relaxed);
	return nth < FAILURES ? -(int)(nth + 1) : 0;
}

static void try_until_done(void *arg, unsigned who)
{
	struct tries *t = arg;
	int rc;

	(void)who;
	while ((rc = weft_once_try(&t->once, fail_at_first, t)) != 0) {
		CHECK(rc < 0 && rc >= -FAILURES);
		atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
	}
	CHECK(t->calls == FAILURES + 1);
}

static void reset_tries(void *arg)
{
	struct tries *t = arg;

	*t = (struct tries){.calls = 0};
	weft_once_init(&t->once);
}

static void test_a_function_that_fails_is_tried_again(void **state)
{
	static struct tries t;

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		assert_crews(try_until_done, reset_tries, &t);
		assert_int_equal(t.calls, FAILURES + 1);
		assert_int_equal(t.refused, FAILURES);
		weft_once_fini(&t.once);
	}
}

static int refuse(void *arg)
{
	++*(unsigned *)arg;
	return -EIO;
}

static int succeed(void *arg)
{
	++*(unsigned *)arg;
	return 0;
}

static void count_call(void *arg)
{
	++*(unsigned *)arg;
}

static void test_tries_and_calls_share_the_object(void **state)
{
	weft_once once = WEFT_ONCE_INIT, other = WEFT_ONCE_INIT;
	unsigned calls = 0;

	(void)state;
	assert_int_equal(weft_once_try(&once, refuse, &calls), -EIO);
	assert_int_equal(weft_once_try(&once, refuse, &calls), -EIO);
	assert_int_equal(calls, 2);
	assert_int_equal(weft_once_try(&once, succeed, &calls), 0);
	assert_int_equal(weft_once_try(&once, refuse, &calls), 0);
	weft_once_call(&once, count_call, &calls);
	assert_int_equal(calls, 3);
	weft_once_fini(&once);

	assert_int_equal(weft_once_try(&other, refuse, &calls), -EIO);
	weft_once_call(&other, count_call, &calls);
	assert_int_equal(weft_once_try(&other, refuse, &calls), 0);
	assert_int_equal(calls, 5);
	weft_once_fini(&other);
}

/* weft_once_try() is a cancellation point if its function is one. */
static int sleep_on(void *arg)
{
	(void)arg;
	return weft_sleep_until(WEFT_FOREVER);
}

struct patient {
	weft_once once;
	flag waits;
	unsigned calls;
};

static int sleep_first(void *arg)
{
	struct patient *p = arg;

	raise_flag(&p->waits);
	p->calls++;
	return sleep_on(arg);
}

static void *try_it(void *arg)
{
	struct patient *p = arg;

	return (void *)(intptr_t)weft_once_try(&p->once, sleep_first, p);
}

static void call_at_last(void *arg)
{
	((struct patient *)arg)->calls++;
}

static void *call_it(void *arg)
{
	struct patient *p = arg;

	raise_flag(&p->waits);
	weft_once_call(&p->once, call_at_last, p);
	CHECK(p->calls == 2);
	return arg;
}

/* The first caller is cancelled inside its function. Then one of the waiters runs the function, for
 * all. */
static void *cancel_a_try(void *arg)
{
	struct patient p = {.calls = 0};
	weft_task *first, *others[3];
	void *result;

	CHECK(weft_spawn(try_it, &p, &first) == 0);
	CHECK(yield_for(&p.waits, 1));
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(call_it, &p, &others[i]) == 0);
	CHECK(yield_for(&p.waits, 4));
	weft_yield();
	CHECK(weft_cancel(first) == 0);
	CHECK(weft_join(first, &result) == 0);
	CHECK((int)(intptr_t)result == -ECANCELED);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(others[i], NULL) == 0);
	CHECK(p.calls == 2);
	return arg;
}

static void test_a_try_that_is_cancelled_leaves_it_to_another(void **state)
{
	(void)state;
	for (unsigned i = 0; i < weft_test_scale(50); i++) {
		assert_run(1, cancel_a_try, NULL);
		assert_run(3, cancel_a_try, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_function_of_a_call_is_not_cut_short),
		cmocka_unit_test(test_a_function_that_fails_is_tried_again),
		cmocka_unit_test(test_tries_and_calls_share_the_object),
		cmocka_unit_test(test_a_try_that_is_cancelled_leaves_it_to_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
