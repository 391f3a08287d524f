/* SPDX-License-Identifier: MIT */
/* Scopes: what ends their waits, what they report about it, and that the task is afterwards as
 * before. */
#include "harness.h"

#include <pthread.h>
#include <weft/chan.h>
#include <weft/local.h>
#include <weft/scope.h>
#include <weft/sync.h>

#define SOON ((int64_t)200000)

/* Nothing has cancelled the task. */
static void check_free(void)
{
	CHECK(!weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
}

static void *begin_and_end(void *arg)
{
	weft_scope s;
	int64_t deadlines[] = {WEFT_FOREVER, weft_after(LOST_NS), 1, 0, -1};

	for (unsigned i = 0; i < 5; i++) {
		/* Nothing notices that some of them have passed. */
		weft_scope_begin(&s, deadlines[i]);
		CHECK(weft_scope_end(&s) == 0);
		check_free();
		weft_scope_begin(&s, deadlines[i]);
		CHECK(weft_cancelled() == (i >= 2));
		CHECK(weft_scope_end(&s) == (i >= 2 ? -ETIMEDOUT : 0));
		check_free();
		weft_scope_begin(&s, deadlines[i]);
		CHECK(weft_sleep(i >= 2 ? LOST_NS : 1000) == (i >= 2 ? -ECANCELED : 0));
		CHECK(weft_sleep(i >= 2 ? LOST_NS : 1000) == (i >= 2 ? -ECANCELED : 0));
		CHECK(weft_scope_end(&s) == (i >= 2 ? -ETIMEDOUT : 0));
		check_free();
	}
	return arg;
}

static void test_a_scope_that_nothing_cuts_short(void **state)
{
	(void)state;
	assert_run(1, begin_and_end, NULL);
	assert_run(3, begin_and_end, NULL);
}

/* Each kind of wait, which nothing else ends. */
static int wait_somehow(unsigned how)
{
	weft_chan *chan = NULL;
	weft_sem sem = WEFT_SEM_INIT(0);
	weft_mutex mutex = WEFT_MUTEX_INIT;
	weft_cond cond = WEFT_COND_INIT;
	weft_event event = WEFT_EVENT_INIT;
	weft_task *task = NULL;
	int rc = 0;

	switch (how) {
	case 0:
		return weft_sleep_until(WEFT_FOREVER);
	case 1:
		return weft_sleep(LOST_NS);
	case 2:
		return weft_sem_acquire(&sem);
	case 3:
		return weft_event_wait(&event);
	case 4:
		weft_mutex_lock(&mutex);
		rc = weft_cond_wait(&cond, &mutex);
		weft_mutex_unlock(&mutex);
		return rc;
	case 5:
		CHECK(weft_chan_create(sizeof(int), 0, &chan) == 0);
		rc = weft_chan_recv(chan, &(int){0});
		weft_chan_destroy(chan);
		return rc;
	case 6:
		CHECK(weft_spawn(sleep_for_ever, NULL, &task) == 0);
		rc = weft_join(task, NULL);
		CHECK(!rc || weft_cancel(task) == 0);
		weft_cancel_mask();
		CHECK(!rc || weft_join(task, NULL) == 0);
		weft_cancel_unmask();
		return rc;
	default:
		return 1;
	}
}

static void *wait_until_the_deadline(void *arg)
{
	weft_scope s;

	for (unsigned how = 0; how < 7; how++) {
		weft_scope_begin(&s, weft_after(SOON));
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_cancelled());
		CHECK(wait_somehow(how) == -ECANCELED);
		CHECK(weft_scope_end(&s) == -ETIMEDOUT);
		check_free();
	}
	return arg;
}

static void test_a_deadline_ends_each_kind_of_wait(void **state)
{
	(void)state;
	assert_run(1, wait_until_the_deadline, NULL);
	assert_run(3, wait_until_the_deadline, NULL);
	setenv("WEFT_CHAOS", "1,virtual", 1);
	assert_run(1, wait_until_the_deadline, NULL);
	for (unsigned seed = 1; seed <= weft_test_scale(20); seed++) {
		set_number("WEFT_CHAOS", seed);
		assert_run(3, wait_until_the_deadline, NULL);
	}
	unsetenv("WEFT_CHAOS");
}

/* No worker serves a deadline while the only one computes. */
static void *compute_until_the_deadline(void *arg)
{
	weft_scope outer, inner;

	weft_scope_begin(&outer, weft_after(SOON));
	weft_scope_begin(&inner, WEFT_FOREVER);
	while (!weft_cancelled())
		;
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(weft_cancelled());
	CHECK(weft_scope_end(&outer) == -ETIMEDOUT);
	check_free();

	/* The same once the deadline is armed. */
	weft_scope_begin(&outer, weft_after(SOON));
	CHECK(weft_sleep(1000) == 0 || weft_cancelled());
	while (!weft_cancelled())
		;
	CHECK(weft_scope_end(&outer) == -ETIMEDOUT);
	check_free();
	return arg;
}

static void test_a_task_that_computes_learns_of_the_deadline(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_run(1, compute_until_the_deadline, NULL);
		assert_run(2, compute_until_the_deadline, NULL);
	}
}

static void *cancel_scope(void *s)
{
	weft_scope_cancel(s);
	return NULL;
}

static void *cancel_by_hand(void *arg)
{
	weft_scope s;
	weft_task *task;
	pthread_t thread;

	weft_scope_cancel(NULL);
	for (unsigned by = 0; by < 3; by++) {
		weft_scope_begin(&s, by % 2 ? WEFT_FOREVER : weft_after(LOST_NS));
		if (by == 0) {
			weft_scope_cancel(&s);
			weft_scope_cancel(&s);
		} else if (by == 1) {
			CHECK(weft_spawn(cancel_scope, &s, &task) == 0);
		} else {
			CHECK(pthread_create(&thread, NULL, cancel_scope, &s) == 0);
		}
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
		CHECK(weft_cancelled());
		CHECK(weft_scope_end(&s) == -ECANCELED);
		check_free();
		if (by == 1)
			CHECK(weft_join(task, NULL) == 0);
		if (by == 2)
			CHECK(pthread_join(thread, NULL) == 0);
	}
	return arg;
}

static void test_cancelled_by_hand(void **state)
{
	(void)state;
	assert_run(1, cancel_by_hand, NULL);
	assert_run(3, cancel_by_hand, NULL);
}

/* With an inner and an outer scope. wait: waits; otherwise it only looks. */
static void nest(bool wait)
{
	weft_scope outer, inner;
	int64_t soon;

#define CUT() (wait ? weft_sleep_until(WEFT_FOREVER) == -ECANCELED : weft_cancelled())
	/* The inner scope's deadline: there is time left outside. */
	weft_scope_begin(&outer, weft_after(LOST_NS));
	weft_scope_begin(&inner, 1);
	CHECK(CUT());
	CHECK(weft_scope_end(&inner) == -ETIMEDOUT);
	check_free();
	weft_scope_begin(&inner, WEFT_FOREVER);
	check_free();
	CHECK(weft_scope_end(&inner) == 0);
	CHECK(weft_scope_end(&outer) == 0);

	/* The outer scope's deadline, which comes before the inner one's, or at the same time. */
	for (unsigned later = 0; later < 2; later++) {
		soon = weft_after(SOON);
		weft_scope_begin(&outer, soon);
		weft_scope_begin(&inner, soon + later);
		while (weft_now() <= soon + later)
			;
		CHECK(CUT());
		CHECK(weft_scope_end(&inner) == -ECANCELED);
		CHECK(CUT());
		CHECK(weft_scope_end(&outer) == -ETIMEDOUT);
		check_free();
	}

	/* Of three scopes the outermost one's, if the others come at the same time or later. */
	weft_scope middle;
	soon = weft_after(SOON);
	weft_scope_begin(&outer, soon);
	weft_scope_begin(&middle, soon + 2);
	weft_scope_begin(&inner, soon + 1);
	while (weft_now() <= soon + 2)
		;
	CHECK(CUT());
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(weft_scope_end(&middle) == -ECANCELED);
	CHECK(weft_scope_end(&outer) == -ETIMEDOUT);
	check_free();

	/* The outer scope is cancelled by hand. The inner one's deadline is then not noticed
	 * first. */
	weft_scope_begin(&outer, weft_after(LOST_NS));
	weft_scope_begin(&inner, 1);
	weft_scope_cancel(&outer);
	CHECK(CUT());
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(CUT());
	CHECK(weft_scope_end(&outer) == -ECANCELED);
	check_free();

	/* The inner scope is cancelled by hand. */
	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_scope_begin(&inner, WEFT_FOREVER);
	weft_scope_cancel(&inner);
	CHECK(CUT());
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	check_free();
	CHECK(weft_scope_end(&outer) == 0);
}

static void *nest_both(void *arg)
{
	nest(false);
	nest(true);
	return arg;
}

static void *be_cancelled_in_scopes(void *arg)
{
	weft_scope outer, inner;

	weft_scope_begin(&outer, weft_after(LOST_NS));
	weft_scope_begin(&inner, WEFT_FOREVER);
	raise_flag(arg);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(weft_scope_end(&outer) == -ECANCELED);
	/* It stays cancelled. */
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	weft_scope_begin(&outer, weft_after(LOST_NS));
	CHECK(weft_cancelled());
	CHECK(weft_scope_end(&outer) == -ECANCELED);
	return arg;
}

static void *cancel_the_task(void *arg)
{
	flag there = 0;
	weft_task *task;

	CHECK(weft_spawn(be_cancelled_in_scopes, &there, &task) == 0);
	CHECK(yield_for(&there, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	/* The task itself is cancelled, in a scope. */
	weft_scope s;
	weft_scope_begin(&s, WEFT_FOREVER);
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_cancelled());
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	CHECK(weft_scope_end(&s) == -ECANCELED);
	CHECK(weft_cancelled());
	return arg;
}

static void test_of_two_scopes_and_the_task(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		assert_run(workers, nest_both, NULL);
		assert_run(workers, cancel_the_task, NULL);
	}
}

/* Waits in a masked region are not cut short, whichever of it and the scope begins first. */
static void *mask(void *arg)
{
	weft_scope s;

	weft_cancel_mask();
	weft_scope_begin(&s, 1);
	CHECK(weft_sleep(1000) == 0);
	CHECK(weft_cancelled());
	weft_cancel_unmask();
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	weft_cancel_mask();
	CHECK(weft_sleep(1000) == 0);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_sleep(1000) == 0); /* as masked as before the end */
	weft_cancel_unmask();
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	return arg;
}

static void test_masked(void **state)
{
	(void)state;
	assert_run(1, mask, NULL);
}

static weft_local key;
static unsigned destroyed;

static void count_destroyed(void *value)
{
	destroyed += value != NULL;
}

/* A scope changes nothing else of its task. */
static void *stay_the_same(void *arg)
{
	weft_mutex outside = WEFT_MUTEX_INIT, inside = WEFT_MUTEX_INIT;
	weft_task *self = weft_self();
	uint64_t number = arg ? weft_task_number(NULL) : 0;
	weft_scope s, inner;
	int x, y;

	CHECK(weft_local_set(key, &x) == 0);
	weft_mutex_lock(&outside);
	weft_scope_begin(&s, WEFT_FOREVER);
	weft_scope_begin(&inner, WEFT_FOREVER);
	CHECK(weft_self() == self);
	CHECK(strcmp(weft_task_name(NULL), "same") == 0);
	CHECK(weft_join(self, NULL) == -EDEADLK);
	if (arg)
		CHECK(weft_task_number(NULL) == number);
	CHECK(weft_task_number(NULL) == weft_task_number(self));
	CHECK(weft_local_get(key) == &x);
	CHECK(weft_local_set(key, &y) == 0);
	CHECK(weft_mutex_try_lock(&outside) != 0);
	weft_mutex_unlock(&outside);
	weft_mutex_lock(&inside);
	weft_yield();
	CHECK(weft_scope_end(&inner) == 0);
	CHECK(weft_scope_end(&s) == 0);
	weft_mutex_unlock(&inside);
	CHECK(weft_self() == self);
	CHECK(weft_local_get(key) == &y);
	CHECK(weft_task_number(NULL) == weft_task_number(self));
	return arg;
}

static void *spawn_the_same(void *arg)
{
	const struct weft_task_options options = {.name = "same", .pinned = true};
	weft_task *task;

	CHECK(weft_local_create(count_destroyed, &key) == 0);
	for (uintptr_t i = 0; i < 2; i++) {
		destroyed = 0;
		CHECK(weft_spawn_with(&options, stay_the_same, (void *)i, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		CHECK(destroyed == 1);
	}
	CHECK(weft_local_delete(key) == 0);
	return arg;
}

static void test_the_task_is_the_same_one_inside(void **state)
{
	(void)state;
	assert_run(1, spawn_the_same, NULL);
	assert_run(3, spawn_the_same, NULL);
}

/* Scopes around forks that hop, and in forks that run inline. Each frame continues with the worker
 * that it is on at that time. */
static void *hop_in_scopes(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_forked fork;
	weft_scope s, t;

	if (depth == 0) {
		weft_yield();
		return NULL;
	}
	weft_scope_begin(&s, depth % 2 ? WEFT_FOREVER : weft_after(LOST_NS));
	weft_fork(&fork, hop_in_scopes, (void *)(depth - 1));
	if (depth % 3 == 0)
		CHECK(weft_sleep(depth * 100) == 0);
	weft_scope_begin(&t, WEFT_FOREVER);
	hop_in_scopes((void *)(depth - 1));
	CHECK(weft_scope_end(&t) == 0);
	weft_fork_join(&fork);
	CHECK(weft_scope_end(&s) == 0);
	return NULL;
}

static void test_scopes_and_forks_that_hop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		assert_run(1, hop_in_scopes, (void *)6);
		assert_run(3, hop_in_scopes, (void *)7);
		set_number("WEFT_CHAOS", i + 1);
		assert_run(3, hop_in_scopes, (void *)5);
		unsetenv("WEFT_CHAOS");
	}
}

/* At every moment: the deadline passes, two threads and a task cancel, and the scope ends. */
struct moment {
	weft_scope scope;
	flag open, seen;
};

static void *cancel_at_a_moment(void *arg)
{
	struct moment *m = arg;

	/* The scope's task waits for the cancellation, or for our signal. */
	CHECK(spin_for(&m->open, 1));
	weft_scope_cancel(&m->scope);
	raise_flag(&m->seen);
	return NULL;
}

static void *live_for_moments(void *arg)
{
	for (unsigned round = 0; round < weft_test_scale(300); round++) {
		struct moment m = {.open = 0};
		weft_task *cancellers[2];

		for (unsigned i = 0; i < 2; i++)
			CHECK(weft_spawn(cancel_at_a_moment, &m, &cancellers[i]) == 0);
		weft_scope_begin(&m.scope, weft_after(round % 7 * 5000));
		raise_flag(&m.open);
		while (!weft_cancelled() && weft_sleep(round % 3 * 1000) == 0)
			weft_yield();
		CHECK(weft_cancelled());
		/* It lives until both calls have begun. */
		weft_cancel_mask();
		CHECK(yield_for(&m.seen, 2));
		weft_cancel_unmask();
		int rc = weft_scope_end(&m.scope);
		CHECK(rc == -ETIMEDOUT || rc == -ECANCELED);
		CHECK(!weft_cancelled());
		for (unsigned i = 0; i < 2; i++)
			CHECK(weft_join(cancellers[i], NULL) == 0);
	}
	return arg;
}

static void test_at_every_moment(void **state)
{
	(void)state;
	for (unsigned workers = 2; workers <= 4; workers++)
		assert_run(workers, live_for_moments, NULL);
}

/* Only the deadline, which passes while the scope ends. */
static void *race_the_deadline(void *arg)
{
	for (unsigned round = 0; round < weft_test_scale(3000); round++) {
		weft_scope s;

		weft_scope_begin(&s, weft_after(2000 + round % 16 * 500));
		int waited = weft_sleep(1500 + round % 11 * 500);
		int why = weft_scope_end(&s);
		CHECK(waited == 0 ? why == 0 || why == -ETIMEDOUT : why == -ETIMEDOUT);
		CHECK(!weft_cancelled());
	}
	return arg;
}

static void *race_in_several_tasks(void *arg)
{
	weft_task *tasks[4];

	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_spawn(race_the_deadline, NULL, &tasks[i]) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void test_a_deadline_that_passes_at_the_end(void **state)
{
	(void)state;
	assert_run(1, race_in_several_tasks, NULL);
	assert_run(3, race_in_several_tasks, NULL);
}

/* When the deadline of an ended scope passes, nothing reads the scope's memory. */
static void *look_at_the_rest(void *arg)
{
	weft_scope scopes[8], rest;

	memset(&rest, 0xff, sizeof rest);
	for (unsigned round = 0; round < weft_test_scale(5); round++) {
		int64_t deadline = weft_after(20 * SOON);

		for (unsigned i = 0; i < 8; i++) {
			weft_scope_begin(&scopes[i], deadline - i);
			weft_sleep(1000);
		}
		for (unsigned i = 8; i-- > 0;) {
			int why = weft_scope_end(&scopes[i]);
			CHECK(why == 0 || weft_now() > deadline - i);
			memset(&scopes[i], 0xff, sizeof scopes[i]);
		}
		CHECK(weft_sleep_until(deadline + 1000) == 0);
		for (unsigned i = 0; i < 8; i++)
			CHECK(memcmp(&scopes[i], &rest, sizeof rest) == 0);
	}
	return arg;
}

static void test_nothing_is_left_of_a_scope(void **state)
{
	(void)state;
	assert_run(1, look_at_the_rest, NULL);
	assert_run(3, look_at_the_rest, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_scope_that_nothing_cuts_short),
		cmocka_unit_test(test_a_deadline_ends_each_kind_of_wait),
		cmocka_unit_test(test_a_task_that_computes_learns_of_the_deadline),
		cmocka_unit_test(test_cancelled_by_hand),
		cmocka_unit_test(test_of_two_scopes_and_the_task),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_the_task_is_the_same_one_inside),
		cmocka_unit_test(test_scopes_and_forks_that_hop),
		cmocka_unit_test(test_at_every_moment),
		cmocka_unit_test(test_a_deadline_that_passes_at_the_end),
		cmocka_unit_test(test_nothing_is_left_of_a_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
