/* SPDX-License-Identifier: MIT */
/*
 * If the system refuses a timekeeper's thread, the runtime tries again. There is one worker, the
 * thread that calls weft_run(). So the only thread that the library starts is the timekeeper's. The
 * linker wraps the function that starts it (meson.build).
 */
#define LOST_NS ((int64_t)20 * 1000 * 1000 * 1000)
#include "harness.h"
#include "sched/core/runtime.h"
#include "src/base/clock.h"

/* All relaxed: there is one worker. */
static _Atomic bool refuse;
static _Atomic unsigned attempts, started;
static _Atomic int64_t first_attempt, last_attempt;

#define GET(variable)        atomic_load_explicit(&(variable), memory_order_relaxed)
#define SET(variable, value) atomic_store_explicit(&(variable), value, memory_order_relaxed)

int __real_weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);
int __wrap_weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);
int __wrap_weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
	if (GET(attempts) == 0)
		SET(first_attempt, weft__clock_now());
	SET(attempts, GET(attempts) + 1);
	SET(last_attempt, weft__clock_now());
	if (GET(refuse))
		return -EAGAIN;
	SET(started, GET(started) + 1);
	return __real_weft__thread_start(ret, fn, arg);
}

static flag over;

static void *yield_on(void *arg)
{
	while (!is_raised(&over, 1))
		weft_yield();
	return arg;
}

/* Long enough that it has not passed before the task waits. If it has, there is no harm, because
 * all sleeps are repeated. */
#define NAP_NS ((int64_t)200000)

/* Arms the earliest deadline again and again, beside a task that keeps the worker busy. */
static bool sleep_until_so(_Atomic unsigned *count, unsigned enough)
{
	int64_t lost = weft_after(LOST_NS);

	while (GET(*count) < enough && weft_now() < lost)
		CHECK(weft_sleep(NAP_NS) == 0);
	return GET(*count) >= enough;
}

static flag slept;

static void *sleep_once(void *arg)
{
	CHECK(weft_sleep(2000000) == 0);
	raise_flag(&slept);
	return arg;
}

/* Makes no pick itself, so only the timekeeper can send the worker to its deadlines. */
static void fork_until_it_has_slept(void)
{
	int64_t lost = weft_after(LOST_NS);
	weft_forked fork;

	while (!is_raised(&slept, 1) && weft_now() < lost) {
		weft_fork(&fork, give_back, NULL);
		weft_fork_join(&fork);
	}
	CHECK(is_raised(&slept, 1));
}

static void *refuse_for_a_while(void *arg)
{
	weft_task *task;

	CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	CHECK(sleep_until_so(&attempts, 3)); /* deadlines are served meanwhile */
	/* The second attempt and later ones each come after a pause. */
	CHECK(GET(attempts) - 1 <=
	      (GET(last_attempt) - GET(first_attempt)) / WEFT__TIMEKEEPER_RETRY_NS);
	CHECK(GET(started) == 0);
	SET(refuse, false);
	CHECK(sleep_until_so(&started, 1));
	raise_flag(&over);
	CHECK(weft_spawn(sleep_once, NULL, &task) == 0);
	weft_yield();
	fork_until_it_has_slept();
	CHECK(weft_join(task, NULL) == 0);
	for (unsigned i = 0; i < 20; i++)
		CHECK(weft_sleep(NAP_NS) == 0);
	CHECK(GET(started) == 1);
	return arg;
}

static void test_a_refused_thread_is_tried_again(void **state)
{
	(void)state;
	SET(refuse, true);
	assert_run(1, refuse_for_a_while, NULL);
}

/* A runtime that ends after such a refusal has nothing to join. */
static void *refuse_for_good(void *arg)
{
	CHECK(weft_spawn(yield_on, NULL, NULL) == 0);
	CHECK(sleep_until_so(&attempts, 1));
	raise_flag(&over);
	return arg;
}

static void test_a_runtime_ends_without_it(void **state)
{
	(void)state;
	SET(attempts, 0);
	SET(refuse, true);
	atomic_store_explicit(&over, 0, memory_order_relaxed);
	assert_run(1, refuse_for_good, NULL);
	SET(refuse, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_thread_is_tried_again),
		cmocka_unit_test(test_a_runtime_ends_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
