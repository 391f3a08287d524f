/* SPDX-License-Identifier: MIT */
/* The wait group, and the event that resets itself. */
#include "crew.h"

#include "tests/sched/core/task_peek.h"

/* --- wait group --- */

#define ROUNDS  300
#define STARTED 8 /* in each round */

struct work {
	weft_waitgroup wg;
	unsigned done[STARTED]; /* written by each task before its done */
};

struct part {
	struct work *work;
	unsigned nth;
};

static void *do_part(void *arg)
{
	struct part *part = arg;

	if (part->nth % 3 == 0)
		weft_yield();
	part->work->done[part->nth]++;
	weft_waitgroup_done(&part->work->wg);
	return arg;
}

/* The same object again and again. The waiter sees everything that it has waited for. */
static void *start_and_wait(void *arg)
{
	struct work w = {.wg = WEFT_WAITGROUP_INIT};
	struct part parts[STARTED];

	CHECK(weft_waitgroup_wait(&w.wg) == 0);
	for (unsigned round = 1; round <= weft_test_scale(ROUNDS); round++) {
		for (unsigned i = 0; i < STARTED; i++) {
			parts[i] = (struct part){&w, i};
			weft_waitgroup_add(&w.wg, 1);
			CHECK(weft_spawn(do_part, &parts[i], NULL) == 0);
		}
		CHECK((round % 2 ? weft_waitgroup_wait(&w.wg)
				 : weft_waitgroup_wait_until(&w.wg, lost())) == 0);
		for (unsigned i = 0; i < STARTED; i++)
			CHECK(w.done[i] == round);
	}
	weft_waitgroup_fini(&w.wg);
	return arg;
}

static void test_waits_see_what_was_done(void **state)
{
	(void)state;
	assert_run(1, start_and_wait, NULL);
	assert_run(3, start_and_wait, NULL);
}

/* From tasks and threads. The count falls to 0 at some moments, and each wait ends at one of
 * them. */
static void rise_and_fall(void *arg, unsigned who)
{
	weft_waitgroup *wg = arg;

	for (unsigned i = 0; i < weft_test_scale(500); i++) {
		weft_waitgroup_add(wg, 2);
		if (i % 4 == who % 4)
			weft_yield();
		weft_waitgroup_done(wg);
		weft_waitgroup_done(wg);
		if (i % 3 == 0)
			CHECK(weft_waitgroup_wait_until(wg, lost()) == 0);
	}
}

static void reset_waitgroup(void *arg)
{
	weft_waitgroup_init(arg);
}

static void test_it_rises_and_falls(void **state)
{
	static weft_waitgroup wg;

	(void)state;
	assert_crews(rise_and_fall, reset_waitgroup, &wg);
	assert_int_equal(weft_waitgroup_wait_until(&wg, 0), 0);
	weft_waitgroup_fini(&wg);
}

static void *give_up(void *arg)
{
	weft_waitgroup wg = WEFT_WAITGROUP_INIT;

	weft_waitgroup_add(&wg, 2);
	weft_waitgroup_add(&wg, 0);
	weft_waitgroup_done(&wg);
	CHECK(weft_waitgroup_wait_until(&wg, 0) == -ETIMEDOUT);
	CHECK(weft_waitgroup_wait_until(&wg, weft_after(100000)) == -ETIMEDOUT);
	if (weft_self()) {
		CHECK(weft_cancel(weft_self()) == 0);
		CHECK(weft_waitgroup_wait(&wg) == -ECANCELED);
	}
	weft_waitgroup_done(&wg);
	CHECK(weft_waitgroup_wait(&wg) == 0);
	weft_waitgroup_fini(&wg);
	return arg;
}

static void test_waits_give_up(void **state)
{
	(void)state;
	assert_run(1, give_up, NULL);
	give_up(NULL);
	assert_int_equal(checks_failed(), 0);
}

/* --- the event that resets itself --- */

struct turnstile {
	weft_event event;
	_Atomic unsigned passed, gave_up; /* relaxed */
};

#define PASSES 200

/* Each set lets one caller pass, and none is lost: the caller that sets waits for the pass. */
static void set_or_pass(void *arg, unsigned who)
{
	struct turnstile *t = arg;
	unsigned passes = weft_test_scale(PASSES);

	if (who == 0) {
		for (unsigned i = 0; i < passes * (CREWS_SIZE - 1); i++) {
			weft_event_set(&t->event);
			int64_t lost_at = lost();
			while (atomic_load_explicit(&t->passed, memory_order_relaxed) <= i &&
			       CHECK(weft_now() < lost_at))
				weft_yield();
			CHECK(atomic_load_explicit(&t->passed, memory_order_relaxed) == i + 1);
		}
		return;
	}
	for (unsigned i = 0; i < passes;) {
		int rc = weft_event_wait_until(&t->event,
					       i % 3 ? lost() : weft_after(10000 * (who % 3)));
		if (rc == 0) {
			atomic_fetch_add_explicit(&t->passed, 1, memory_order_relaxed);
			i++;
		} else {
			CHECK(rc == -ETIMEDOUT);
			atomic_fetch_add_explicit(&t->gave_up, 1, memory_order_relaxed);
		}
	}
}

static void reset_turnstile(void *arg)
{
	struct turnstile *t = arg;

	*t = (struct turnstile){.passed = 0};
	weft_event_init_auto(&t->event);
}

static void test_each_set_lets_one_pass(void **state)
{
	static struct turnstile t;

	(void)state;
	assert_crews(set_or_pass, reset_turnstile, &t);
	assert_int_equal(t.passed, weft_test_scale(PASSES) * (CREWS_SIZE - 1));
	assert_int_equal(weft_event_wait_until(&t.event, 0), -ETIMEDOUT);
	weft_event_fini(&t.event);
}

static void *pass_in_turn(void *arg)
{
	struct turnstile *t = arg;

	CHECK(weft_event_wait(&t->event) == 0);
	return (void *)(uintptr_t)atomic_fetch_add_explicit(&t->passed, 1, memory_order_relaxed);
}

static void *set_one_by_one(void *arg)
{
	struct turnstile t = {.event = WEFT_EVENT_INIT_AUTO};
	weft_task *tasks[3];
	void *nth;

	/* Several sets count as one if nobody waits. A reset takes it back. */
	weft_event_set(&t.event);
	weft_event_set(&t.event);
	CHECK(weft_event_wait_until(&t.event, 0) == 0);
	CHECK(weft_event_wait_until(&t.event, 0) == -ETIMEDOUT);
	weft_event_set(&t.event);
	weft_event_reset(&t.event);
	CHECK(weft_event_wait_until(&t.event, weft_after(1000)) == -ETIMEDOUT);

	for (unsigned i = 0; i < 3; i++) {
		CHECK(weft_spawn(pass_in_turn, &t, &tasks[i]) == 0);
		CHECK(await_waiting(tasks[i]));
	}
	for (unsigned i = 0; i < 3; i++) {
		weft_event_set(&t.event);
		CHECK(yield_for(&t.passed, i + 1));
		weft_yield(); /* a second one would pass now */
		CHECK(atomic_load_explicit(&t.passed, memory_order_relaxed) == i + 1);
	}
	for (uintptr_t i = 0; i < 3; i++) {
		CHECK(weft_join(tasks[i], &nth) == 0);
		CHECK((uintptr_t)nth == i); /* first come, first served */
	}
	/* A waiter that is cancelled takes no set with it. */
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_event_wait(&t.event) == -ECANCELED);
	weft_event_set(&t.event);
	CHECK(weft_event_wait(&t.event) == 0);
	weft_event_fini(&t.event);
	return arg;
}

static void test_sets_are_taken_in_turn(void **state)
{
	(void)state;
	assert_run(1, set_one_by_one, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_see_what_was_done),
		cmocka_unit_test(test_it_rises_and_falls),
		cmocka_unit_test(test_waits_give_up),
		cmocka_unit_test(test_each_set_lets_one_pass),
		cmocka_unit_test(test_sets_are_taken_in_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
