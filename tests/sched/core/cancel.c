/* SPDX-License-Identifier: MIT */
/* Cancelling: at every moment of a task's life, sticky, and held off by masks. */
#include "harness.h"

#include <pthread.h>

#define ROUNDS 1000

static int token;

static void *find_itself_cancelled(void *arg)
{
	CHECK(weft_cancelled());
	for (unsigned i = 0; i < 3; i++) { /* sticky */
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
		CHECK(weft_sleep(LOST_NS) == -ECANCELED);
		CHECK(weft_cancelled());
		weft_yield(); /* no cancellation point */
	}
	CHECK(weft_sleep(0) == 0); /* this call does not wait */
	return arg;
}

static void *spin_until_cancelled(void *arg)
{
	raise_flag(arg);
	while (!weft_cancelled())
		weft_yield();
	return find_itself_cancelled(&token);
}

static void *sleep_until_cancelled(void *arg)
{
	raise_flag(arg);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return find_itself_cancelled(&token);
}

static void *cancel_before_the_start(void *arg)
{
	weft_task *task;
	void *result = NULL;

	CHECK(weft_spawn_with(&(struct weft_task_options){.pinned = true}, find_itself_cancelled,
			      &token, &task) == 0);
	CHECK(weft_cancel(task) == 0); /* pinned here, so it cannot have started */
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == &token); /* it has run anyway */
	return arg;
}

static void *cancel_while_it_lives(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		weft_task *task;
		void *result = NULL;
		flag started = 0;

		CHECK(weft_spawn(i % 2 ? spin_until_cancelled : sleep_until_cancelled, &started,
				 &task) == 0);
		CHECK(yield_for(&started, 1));
		if (i % 4 >= 2)
			weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, &result) == 0);
		CHECK(result == &token);
	}
	return arg;
}

static void *cancel_after_the_end(void *arg)
{
	weft_task *task;
	void *result = NULL;
	flag started = 0;

	CHECK(weft_spawn(sleep_until_cancelled, &started, &task) == 0);
	CHECK(yield_for(&started, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_cancel(task) == 0);
	for (unsigned i = 0; i < 100; i++)
		weft_yield();
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == &token);

	CHECK(weft_spawn(give_back, &token, &task) == 0);
	while (weft_join_until(task, NULL, 0) == -ETIMEDOUT) {
		CHECK(weft_cancel(task) == 0); /* perhaps it has ended */
		weft_yield();
	}
	return arg;
}

static void *cancel_oneself(void *arg)
{
	CHECK(!weft_cancelled());
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_cancel(weft_self()) == 0);
	find_itself_cancelled(arg);
	CHECK(weft_cancel(NULL) == -EINVAL);
	return arg;
}

static void test_at_every_moment(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		assert_run(workers, cancel_before_the_start, NULL);
		assert_run(workers, cancel_while_it_lives, NULL);
		assert_run(workers, cancel_after_the_end, NULL);
		assert_run(workers, cancel_oneself, NULL);
	}
}

/* A cancelled joiner keeps its handle. */
struct joiner {
	weft_task *sleeper;
	flag joining;
};

static void *join_until_cancelled(void *arg)
{
	struct joiner *joiner = arg;
	void *result = &token;

	raise_flag(&joiner->joining);
	CHECK(weft_join(joiner->sleeper, &result) == -ECANCELED);
	CHECK(result == &token);
	CHECK(weft_join_until(joiner->sleeper, NULL, weft_after(LOST_NS)) == -ECANCELED);
	CHECK(weft_join_until(joiner->sleeper, NULL, 0) == -ETIMEDOUT);
	CHECK(weft_cancel(joiner->sleeper) == 0);
	weft_cancel_mask();
	CHECK(weft_join(joiner->sleeper, &result) == 0);
	weft_cancel_unmask();
	CHECK(result == joiner);

	/* Joining an ended task succeeds, because there is nothing to wait for. */
	weft_task *task;
	CHECK(weft_spawn(give_back, joiner, &task) == 0);
	while (weft_join_until(task, NULL, 0) == -ETIMEDOUT)
		weft_yield();
	return arg;
}

static void *cancel_joiners(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct joiner joiner = {0};
		weft_task *task;

		CHECK(weft_spawn(sleep_for_ever, &joiner, &joiner.sleeper) == 0);
		CHECK(weft_spawn(join_until_cancelled, &joiner, &task) == 0);
		CHECK(yield_for(&joiner.joining, 1));
		if (i % 2)
			weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void test_a_cancelled_joiner_keeps_its_handle(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, cancel_joiners, NULL);
}

static void *mask_and_nest(void *arg)
{
	CHECK(weft_cancel(weft_self()) == 0);
	weft_cancel_mask();
	CHECK(weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
	weft_cancel_mask();
	CHECK(weft_sleep(1000) == 0);
	weft_cancel_unmask();
	CHECK(weft_sleep(1000) == 0); /* still in the outer masked region */

	weft_task *task;
	void *result = NULL;
	CHECK(weft_spawn(give_back, &token, &task) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == &token);

	weft_cancel_unmask();
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

static void *sleep_masked(void *arg)
{
	int64_t deadline = weft_after(500000);

	weft_cancel_mask();
	raise_flag(arg);
	CHECK(weft_sleep_until(deadline) == 0);
	CHECK(weft_now() >= deadline);
	weft_cancel_unmask();
	while (!weft_cancelled())
		weft_yield();
	return arg;
}

static void *cancel_masked(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(100); i++) {
		flag started = 0;
		weft_task *task;

		CHECK(weft_spawn(sleep_masked, &started, &task) == 0);
		CHECK(yield_for(&started, 1));
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return mask_and_nest(arg);
}

static void test_masks(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, cancel_masked, NULL);
}

/* Plain threads cancel at about the deadline of a sleep. The sleeper is woken once, for one
 * reason. */
static void *sleep_shortly(void *arg)
{
	int64_t deadline = (int64_t)(intptr_t)arg;
	int rc = weft_sleep_until(deadline);

	CHECK(rc == 0 || rc == -ECANCELED);
	if (rc == 0)
		CHECK(weft_now() >= deadline);
	return arg;
}

static void *sleep_and_be_cancelled(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		int64_t deadline = weft_after(20000);
		weft_task *task;

		CHECK(weft_submit(arg, sleep_shortly, (void *)(intptr_t)deadline, &task) == 0);
		while (i % 2 && weft_now() < deadline - 2000)
			sched_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return NULL;
}

static void test_cancel_races_with_the_deadline(void **state)
{
	weft_runtime *rt = assert_create(2);
	pthread_t threads[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sleep_and_be_cancelled, rt), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/*
 * A wake-up and a cancellation at the same time, of a wait without a deadline. One of them wins. If
 * it is the wake-up, its count is taken. Otherwise the count is left.
 *
 *   the task              the waker, a thread     the canceller, a thread
 *   acquire               release                 cancel
 *                              (at about the same time: before, in or after the acquire)
 *   0: the count is gone. -ECANCELED: it is there.
 */
struct duel {
	weft_sem sem;
	flag round; /* the canceller raises it, */
	flag done;  /* and so does the waker */
	unsigned rounds;
};

static void *acquire_one(void *arg)
{
	struct duel *duel = arg;

	return (void *)(intptr_t)weft_sem_acquire(&duel->sem);
}

static void *release_in_each_round(void *arg)
{
	struct duel *duel = arg;

	for (unsigned i = 1; i <= duel->rounds; i++) {
		for (unsigned n = 1; !is_raised(&duel->round, i); n++) {
			if (n % 1024 == 0)
				sched_yield();
		}
		weft_sem_release(&duel->sem, 1);
		raise_flag(&duel->done);
	}
	return NULL;
}

static void test_cancel_races_with_the_wake(void **state)
{
	struct duel duel = {.sem = WEFT_SEM_INIT(0), .rounds = weft_test_scale(20 * ROUNDS)};
	weft_runtime *rt = assert_create(2);
	unsigned
		woken = 0,
		head_start =
			0; /* the waker's; chosen so that each of the two is first about as often */
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, release_in_each_round, &duel), 0);
	for (unsigned i = 1; i <= duel.rounds; i++) {
		weft_task *task;
		void *result;

		CHECK(weft_submit(rt, acquire_one, &duel, &task) == 0);
		/* Mostly until the task waits. */
		for (unsigned n = 0; n < 40 + i % 16 * 40; n++)
			weft_now();
		raise_flag(&duel.round);
		for (unsigned n = 0; n < head_start; n++)
			is_raised(&duel.done, i);
		CHECK(weft_cancel(task) == 0);
		while (!is_raised(&duel.done, i))
			sched_yield();
		CHECK(weft_join(task, &result) == 0);
		int rc = (int)(intptr_t)result;
		CHECK(rc == 0 || rc == -ECANCELED);
		CHECK(weft_sem_try_acquire(&duel.sem) == (rc == 0 ? -EAGAIN : 0));
		woken += rc == 0;
		if (rc == 0 && head_start > 0)
			head_start -= head_start > 100 ? head_start / 50 : 1;
		else if (rc != 0 && head_start < 100000)
			head_start += 1 + head_start / 50;
	}
	pthread_join(thread, NULL);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
	print_message("woken in %u of %u rounds\n", woken, duel.rounds);
}

/* Several cancel the same task at once. */
struct victim {
	weft_task *task;
	flag go;
};

static void *cancel_it(void *arg)
{
	struct victim *victim = arg;

	yield_for(&victim->go, 1);
	CHECK(weft_cancel(victim->task) == 0);
	return NULL;
}

static void *cancel_together(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct victim victim = {0};
		weft_task *cancellers[4];
		flag started = 0;

		CHECK(weft_spawn(sleep_until_cancelled, &started, &victim.task) == 0);
		for (unsigned n = 0; n < 4; n++)
			CHECK(weft_spawn(cancel_it, &victim, &cancellers[n]) == 0);
		raise_flag(&victim.go);
		for (unsigned n = 0; n < 4; n++)
			CHECK(weft_join(cancellers[n], NULL) == 0);
		CHECK(weft_join(victim.task, NULL) == 0);
	}
	return arg;
}

static void test_several_cancel_one(void **state)
{
	(void)state;
	assert_run(1, cancel_together, NULL);
	assert_run(4, cancel_together, NULL);
}

static void test_outside_of_a_task(void **state)
{
	(void)state;
	assert_false(weft_cancelled());
	assert_int_equal(weft_cancel(NULL), -EINVAL);
	weft_cancel_unmask();
	weft_cancel_mask();
	weft_cancel_unmask();
}

/* The manual's call with a deadline, weft-task(3). When it has failed, nothing uses `q` any
 * more. */
struct query {
	flag begun;
	_Atomic bool ended; /* relaxed: the join orders it */
};

static void *query(void *arg)
{
	struct query *q = arg;

	raise_flag(&q->begun);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	for (unsigned i = 0; i < 20; i++)
		weft_yield();
	atomic_store_explicit(&q->ended, true, memory_order_relaxed);
	return NULL;
}

static void *call_with_a_deadline(void *arg)
{
	int64_t deadline = *(int64_t *)arg;
	struct query q = {0};
	void *result = NULL;
	weft_task *task;
	int err = weft_spawn(query, &q, &task);

	CHECK(err == 0);
	if (err == 0) {
		err = weft_join_until(task, &result, deadline);
		if (err < 0) {
			weft_cancel(task);
			weft_cancel_mask();
			CHECK(weft_join(task, NULL) == 0);
			weft_cancel_unmask();
		}
	}
	CHECK(err == (deadline == WEFT_FOREVER ? -ECANCELED : -ETIMEDOUT));
	CHECK(atomic_load_explicit(&q.ended, memory_order_relaxed));
	return arg;
}

static void *call_in_a_cancelled_task(void *arg)
{
	int64_t deadline = WEFT_FOREVER;
	weft_task *task;

	CHECK(weft_spawn(call_with_a_deadline, &deadline, &task) == 0);
	weft_yield();
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	deadline = weft_after(1000000);
	call_with_a_deadline(&deadline);
	return arg;
}

static void test_the_manuals_deadline_leaves_no_task_behind(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, call_in_a_cancelled_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_every_moment),
		cmocka_unit_test(test_a_cancelled_joiner_keeps_its_handle),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_cancel_races_with_the_deadline),
		cmocka_unit_test(test_cancel_races_with_the_wake),
		cmocka_unit_test(test_several_cancel_one),
		cmocka_unit_test(test_outside_of_a_task),
		cmocka_unit_test(test_the_manuals_deadline_leaves_no_task_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
