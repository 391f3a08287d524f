/* SPDX-License-Identifier: MIT */
/*
 * Cancellation reaches forks: those that wait, those that look, and those that are forked later. It
 * reaches them at once, wherever the cancelled task itself is. It reaches no other task.
 */
#include "moments.h"

#include <weft/blocking.h>
#include <weft/sync.h>

#define DEPTH 100 /* more levels than weft_cancelled() looks up */

/* A fork that sleeps until it is cancelled, and so do the forks below it. */
struct sleeper {
	flag *asleep;
	unsigned depth;
	bool looks; /* it polls instead */
};

static void *sleep_below(void *arg)
{
	const struct sleeper *s = arg;
	struct sleeper below = {s->asleep, s->depth - 1, s->looks};
	weft_forked fork;

	if (s->depth > 0)
		weft_fork(&fork, sleep_below, &below);
	raise_flag(s->asleep);
	if (s->looks) {
		while (!weft_cancelled())
			weft_yield();
	} else {
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	}
	CHECK(weft_cancelled());
	if (s->depth > 0)
		weft_fork_join(&fork);
	/* It stays cancelled, and so is every later fork. */
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	weft_fork(&fork, sleep_for_ever, NULL);
	weft_fork_join(&fork);
	return arg;
}

static void *fork_sleepers(void *arg)
{
	weft_forked forks[3];

	for (unsigned i = 0; i < 3; i++)
		weft_fork(&forks[i], sleep_below, arg);
	for (unsigned i = 3; i-- > 0;)
		weft_fork_join(&forks[i]);
	return arg;
}

/* The task waits for its forks. On one worker only the youngest of them has started. */
static void *cancel_sleepers(void *arg)
{
	flag asleep = 0;
	struct sleeper s = *(struct sleeper *)arg;
	weft_task *task;

	s.asleep = &asleep;
	CHECK(weft_spawn(fork_sleepers, &s, &task) == 0);
	CHECK(yield_for(&asleep, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(is_raised(&asleep, 3 * (s.depth + 1)));
	return arg;
}

static void test_forks_of_a_cancelled_task_are_cancelled(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (unsigned depth = 0; depth <= 3; depth++) {
			struct sleeper s = {.depth = depth};
			assert_run(workers, cancel_sleepers, &s);
			s.looks = true;
			assert_run(workers, cancel_sleepers, &s);
		}
		struct sleeper deep = {.depth = DEPTH};
		assert_run(workers, cancel_sleepers, &deep);
		deep.looks = true;
		assert_run(workers, cancel_sleepers, &deep);
	}
}

/* The task itself does not notice the cancellation where it is. Its fork does. */
static weft_mutex mutex = WEFT_MUTEX_INIT;
static flag asleep, forks_ended, let_go;

static void *sleep_and_say(void *arg)
{
	raise_flag(&asleep);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	raise_flag(&forks_ended);
	return arg;
}

static void *await_flag(void *arg)
{
	CHECK(spin_for(&let_go, 1));
	return arg;
}

enum place { IN_MUTEX, IN_BLOCKING_CALL, IN_MASKED_REGION };

static void *be_somewhere(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, sleep_and_say, NULL);
	CHECK(yield_for(&asleep, 1));
	switch (*(enum place *)arg) {
	case IN_MUTEX:
		weft_mutex_lock(&mutex);
		weft_mutex_unlock(&mutex);
		break;
	case IN_BLOCKING_CALL:
		CHECK(weft_blocking(await_flag, NULL, NULL) == 0);
		break;
	case IN_MASKED_REGION:
		weft_cancel_mask();
		while (!is_raised(&let_go, 1))
			CHECK(weft_sleep(10000) == 0);
		weft_cancel_unmask();
		break;
	}
	weft_fork_join(&fork);
	CHECK(weft_cancelled());
	return NULL;
}

static void *cancel_somewhere(void *arg)
{
	weft_task *task;

	atomic_store_explicit(&asleep, 0, memory_order_relaxed);
	atomic_store_explicit(&forks_ended, 0, memory_order_relaxed);
	atomic_store_explicit(&let_go, 0, memory_order_relaxed);
	weft_mutex_lock(&mutex);
	CHECK(weft_spawn(be_somewhere, arg, &task) == 0);
	CHECK(yield_for(&asleep, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(yield_for(&forks_ended, 1)); /* although the task is still there */
	raise_flag(&let_go);
	weft_mutex_unlock(&mutex);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_it_reaches_them_wherever_the_task_is(void **state)
{
	(void)state;
	for (enum place place = IN_MUTEX; place <= IN_MASKED_REGION; place++) {
		/* On one worker nothing takes the fork while its parent yields. The ring comes
		 * before the deque, except for the picks in the other order. */
		assert_run(1, cancel_somewhere, &place);
		assert_run(3, cancel_somewhere, &place);
	}
}

/* A fork that cancels itself. This reaches the forks below it, but neither its parent nor its
 * siblings. */
static void *cancel_own(void *arg)
{
	flag below_asleep = 0;
	struct sleeper below = {.asleep = &below_asleep, .depth = 2};
	weft_forked fork;

	CHECK(!weft_cancelled());
	weft_fork(&fork, sleep_below, &below);
	CHECK(yield_for(&below_asleep, 3));
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_cancelled());
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	weft_fork_join(&fork);
	return arg;
}

static void *nap_all_along(void *arg)
{
	while (!is_raised(arg, 1)) {
		CHECK(weft_sleep(10000) == 0);
		CHECK(!weft_cancelled());
	}
	return arg;
}

static void *cancel_a_fork(void *arg)
{
	flag over = 0;
	weft_forked fork, siblings[2];

	weft_fork(&siblings[0], nap_all_along, &over);
	weft_fork(&fork, cancel_own, NULL);
	weft_fork(&siblings[1], nap_all_along, &over);
	CHECK(weft_sleep(10000) == 0);
	weft_yield();
	/* In any order: the first sibling would wait for `over`. */
	weft_fork_join(&fork);
	CHECK(!weft_cancelled());
	CHECK(weft_sleep(10000) == 0);
	raise_flag(&over);
	weft_fork_join(&siblings[1]);
	weft_fork_join(&siblings[0]);
	return arg;
}

static void test_a_cancelled_fork_reaches_those_below_it(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (unsigned i = 0; i < 20; i++)
			assert_run(workers, cancel_a_fork, NULL);
	}
}

/* In a masked region the waits of a fork are not cancellation points. */
static void *wait_masked(void *arg)
{
	weft_cancel_mask();
	raise_flag(&asleep);
	while (!weft_cancelled())
		CHECK(weft_sleep(10000) == 0);
	CHECK(weft_sleep(10000) == 0);
	weft_cancel_unmask();
	CHECK(weft_sleep(10000) == -ECANCELED);
	return arg;
}

static void *fork_masked(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, wait_masked, NULL);
	weft_fork_join(&fork);
	return arg;
}

static void *cancel_masked(void *arg)
{
	weft_task *task;

	atomic_store_explicit(&asleep, 0, memory_order_relaxed);
	CHECK(weft_spawn(fork_masked, NULL, &task) == 0);
	CHECK(yield_for(&asleep, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_masked_forks(void **state)
{
	(void)state;
	assert_run(1, cancel_masked, NULL);
	assert_run(2, cancel_masked, NULL);
}

/*
 * At every moment: a thread cancels tasks whose forks begin to wait, end their waits, enter and
 * leave just then. All of them end.
 */
static void *wait_now_and_then(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_forked forks[2];

	for (unsigned i = 0; depth > 0 && i < 2; i++)
		weft_fork(&forks[i], wait_now_and_then, (void *)(depth - 1));
	for (unsigned i = 0; i < 3 && weft_sleep((int64_t)(i * depth) * 3000) == 0; i++)
		weft_cancelled();
	if (depth == 0 && weft_sleep_until(WEFT_FOREVER) != -ECANCELED)
		CHECK(false);
	for (unsigned i = 2; depth > 0 && i-- > 0;)
		weft_fork_join(&forks[i]);
	CHECK(depth > 0 || weft_cancelled());
	return NULL;
}

static void test_at_every_moment(void **state)
{
	(void)state;
	assert_they_end_at_every_moment(wait_now_and_then, weft_test_scale(400), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forks_of_a_cancelled_task_are_cancelled),
		cmocka_unit_test(test_it_reaches_them_wherever_the_task_is),
		cmocka_unit_test(test_a_cancelled_fork_reaches_those_below_it),
		cmocka_unit_test(test_masked_forks),
		cmocka_unit_test(test_at_every_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
