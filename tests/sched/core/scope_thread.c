/* SPDX-License-Identifier: MIT */
/* Scopes on plain threads: they cut short a thread's waits, as they do a task's. */
#include "harness.h"
#include "src/base/fence.h"

#include <pthread.h>
#include <weft/blocking.h>
#include <weft/scope.h>
#include <weft/sync.h>

#define SOON ((int64_t)300000)

/* Nothing cancels the thread. */
static void check_free(void)
{
	CHECK(!weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
}

static int wait_somehow(unsigned how)
{
	weft_sem sem = WEFT_SEM_INIT(0);
	weft_mutex mutex = WEFT_MUTEX_INIT;
	weft_cond cond = WEFT_COND_INIT;
	weft_chan *chan = NULL;
	int rc;

	switch (how) {
	case 0:
		return weft_sleep_until(WEFT_FOREVER);
	case 1:
		return weft_sem_acquire(&sem);
	case 2:
		return weft_sem_acquire_until(&sem, weft_after(LOST_NS));
	case 3:
		weft_mutex_lock(&mutex);
		rc = weft_cond_wait(&cond, &mutex);
		weft_mutex_unlock(&mutex);
		return rc;
	default:
		CHECK(weft_chan_create(sizeof(int), 0, &chan) == 0);
		rc = weft_chan_recv(chan, &(int){0});
		weft_chan_destroy(chan);
		return rc;
	}
}

static void wait_until_the_deadline(void)
{
	weft_scope s, inner;

	for (unsigned how = 0; how < 5; how++) {
		weft_scope_begin(&s, weft_after(SOON));
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_cancelled());
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_scope_end(&s) == -ETIMEDOUT);
		check_free();

		/* The inner scope's, then the outer scope's. */
		weft_scope_begin(&s, weft_after(LOST_NS));
		weft_scope_begin(&inner, weft_after(SOON));
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_scope_end(&inner) == -ETIMEDOUT);
		check_free();
		CHECK(weft_scope_end(&s) == 0);
		weft_scope_begin(&s, weft_after(SOON));
		weft_scope_begin(&inner, weft_after(LOST_NS));
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_scope_end(&inner) == -ECANCELED);
		CHECK(weft_cancelled());
		CHECK(weft_scope_end(&s) == -ETIMEDOUT);
		check_free();
	}
	/* A wait with a deadline of its own, which comes first. */
	weft_sem sem = WEFT_SEM_INIT(0);
	weft_scope_begin(&s, weft_after(LOST_NS));
	CHECK(weft_sem_acquire_until(&sem, weft_after(SOON)) == -ETIMEDOUT);
	CHECK(weft_scope_end(&s) == 0);
	/* A thread that computes. */
	weft_scope_begin(&s, weft_after(SOON));
	weft_scope_begin(&inner, WEFT_FOREVER);
	while (!weft_cancelled())
		;
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	/* A deadline that has already passed. */
	weft_scope_begin(&s, 1);
	CHECK(weft_scope_end(&s) == 0);
	check_free();
}

static void mask(void)
{
	weft_scope s;

	weft_cancel_unmask(); /* outside of a task this does nothing, if there is no scope */
	weft_cancel_mask();
	weft_scope_begin(&s, 1);
	CHECK(weft_sleep(1000) == 0);
	CHECK(weft_cancelled());
	weft_cancel_unmask();
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
}

/* A fork runs at once, in the scope. */
static void *sleep_cancelled(void *arg)
{
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

static void fork_serially(void)
{
	weft_forked fork;
	weft_scope s;

	weft_scope_begin(&s, weft_after(SOON));
	weft_fork(&fork, sleep_cancelled, NULL);
	weft_fork_join(&fork);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
}

static void *never_called(void *arg)
{
	CHECK(false);
	return arg;
}

/* Calls that would wait for a short time, or not at all. A cancellation wins, as in a task. */
static void call_cancelled(weft_task *running)
{
	weft_scope s;

	weft_scope_begin(&s, 1);
	CHECK(weft_blocking_until(never_called, NULL, NULL, weft_after(LOST_NS)) == -ECANCELED);
	CHECK(weft_blocking_until(never_called, NULL, NULL, 1) == -ECANCELED);
	CHECK(weft_join_until(running, NULL, 1) == -ECANCELED);
	weft_cancel_mask();
	CHECK(weft_blocking_until(never_called, NULL, NULL, 1) == -ETIMEDOUT);
	CHECK(weft_join_until(running, NULL, 1) == -ETIMEDOUT);
	weft_cancel_unmask();
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	check_free();
}

static void *call_on_a_thread(void *running)
{
	call_cancelled(running);
	return NULL;
}

static void *await_event(void *event)
{
	CHECK(weft_event_wait(event) == 0);
	return NULL;
}

/* Cancelled by a task, and by a thread on its behalf. */
static void *call_everywhere(void *arg)
{
	weft_event end = WEFT_EVENT_INIT;
	weft_task *running;
	pthread_t thread;

	CHECK(weft_spawn(await_event, &end, &running) == 0);
	call_cancelled(running);
	if (CHECK(pthread_create(&thread, NULL, call_on_a_thread, running) == 0))
		pthread_join(thread, NULL);
	weft_event_set(&end);
	CHECK(weft_join(running, NULL) == 0);
	return arg;
}

static void test_calls_that_would_not_wait(void **state)
{
	(void)state;
	assert_run(1, call_everywhere, NULL);
}

static void *everything(void *arg)
{
	wait_until_the_deadline();
	mask();
	fork_serially();
	return arg;
}

/* The first test: no runtime has chosen the fences by which a wait and a canceller see each other.
 * If one did it while the thread waits, the two could use different ones. */
static void test_the_first_scope_chooses_the_fences(void **state)
{
	weft_scope s;

	(void)state;
	assert_int_equal(atomic_load(&weft__fence_mode), WEFT__FENCE_UNKNOWN);
	weft_scope_begin(&s, WEFT_FOREVER);
	assert_int_not_equal(atomic_load(&weft__fence_mode), WEFT__FENCE_UNKNOWN);
	assert_int_equal(weft_scope_end(&s), 0);
}

static void test_on_a_thread(void **state)
{
	pthread_t threads[3];

	(void)state;
	everything(NULL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, everything, NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(checks_failed(), 0);
}

/* In a blocking call. Also in the thread that becomes worker 0, whose tasks are in no scope of that
 * thread. */
static void *block(void *arg)
{
	CHECK(weft_blocking(everything, NULL, NULL) == 0);
	CHECK(!weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
	return arg;
}

static void test_in_a_blocking_call_and_around_a_runtime(void **state)
{
	weft_scope s;

	(void)state;
	assert_run(2, block, NULL);
	weft_scope_begin(&s, 1);
	assert_true(weft_cancelled());
	assert_run(1, block, NULL);
	assert_run(2, block, NULL);
	assert_true(weft_cancelled());
	assert_int_equal(weft_scope_end(&s), -ETIMEDOUT);
}

/* A thread that waits for a group cancels it. */
static weft_group group;

static void *wait_for_the_group(void *arg)
{
	weft_scope s;

	weft_scope_begin(&s, weft_after(SOON));
	CHECK(weft_group_wait(&group) == -ECANCELED);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	return arg;
}

static void test_a_wait_for_a_group(void **state)
{
	(void)state;
	weft_runtime *rt = assert_create(2);
	weft_group_init(&group);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(weft_group_submit(&group, rt, sleep_cancelled, NULL), 0);
	wait_for_the_group(NULL);
	weft_group_fini(&group);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/*
 * At every moment: a thread in scopes waits for a semaphore, with deadlines of its own and of the
 * scopes. Others release the semaphore and cancel the outer scope.
 */
struct moment {
	weft_scope outer;
	weft_sem sem;
	flag open, done;
};

static void *release_or_cancel(void *arg)
{
	struct moment *m = arg;

	CHECK(spin_for(&m->open, 1));
	weft_sem_release(&m->sem, 1);
	weft_scope_cancel(&m->outer);
	raise_flag(&m->done);
	return NULL;
}

static void test_at_every_moment(void **state)
{
	(void)state;
	for (unsigned round = 0; round < weft_test_scale(600); round++) {
		struct moment m = {.open = 0};
		weft_scope inner;
		pthread_t thread;
		unsigned got = 0;

		weft_sem_init(&m.sem, 0);
		assert_int_equal(pthread_create(&thread, NULL, release_or_cancel, &m), 0);
		weft_scope_begin(&m.outer, round % 2 ? WEFT_FOREVER : weft_after(round % 9 * 7000));
		weft_scope_begin(&inner, weft_after(round % 5 * 9000));
		raise_flag(&m.open);
		for (int rc = 0; rc != -ECANCELED;) {
			rc = round % 3 ? weft_sem_acquire(&m.sem)
				       : weft_sem_acquire_until(&m.sem, weft_after(1000));
			got += rc == 0;
		}
		assert_int_not_equal(weft_scope_end(&inner), 0);
		assert_true(spin_for(&m.done, 1));
		int why = weft_scope_end(&m.outer);
		assert_true(why == -ECANCELED || (round % 2 == 0 && why == -ETIMEDOUT));
		assert_in_range(got, 0, 1);
		assert_int_equal(weft_sem_value(&m.sem) + got, 1);
		assert_false(weft_cancelled());
		pthread_join(thread, NULL);
	}
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_scope_chooses_the_fences),
		cmocka_unit_test(test_on_a_thread),
		cmocka_unit_test(test_calls_that_would_not_wait),
		cmocka_unit_test(test_in_a_blocking_call_and_around_a_runtime),
		cmocka_unit_test(test_a_wait_for_a_group),
		cmocka_unit_test(test_at_every_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
