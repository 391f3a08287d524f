/* SPDX-License-Identifier: MIT */
/* Callers that wait for a timer: which one takes an expiry, and what resets, stops and
 * cancellations do to them. */
#include "timer_peek.h"

struct wait {
	weft_timer *timer;
	weft_chan *ch; /* NULL: waits only for the timer */
	int64_t deadline;
	uint64_t ticks;
	int rc; /* 0: it was the timer; 1: it was the channel */
	flag done;
};

static void *wait_for_timer(void *arg)
{
	struct wait *wait = arg;

	wait->ticks = 0;
	if (wait->ch) {
		struct weft_case cases[2] = {
			{.op = WEFT_TIMER, .timer = wait->timer, .elem = &wait->ticks},
			{.op = WEFT_RECV, .chan = wait->ch}};
		wait->rc = weft_select(cases, 2, wait->deadline);
	} else {
		wait->rc = weft_timer_wait_until(wait->timer, &wait->ticks, wait->deadline);
	}
	raise_flag(&wait->done);
	return arg;
}

/* The bits of way: bit 0: on a thread (always, if nobody is a task); bit 1: in a select; bit 2: the
 * waiter has a deadline of its own. */
static void begin_wait(struct wait *wait, struct hand *hand, weft_timer *timer, weft_chan *ch,
		       unsigned way)
{
	if (!weft_self())
		way |= 1;
	*wait = (struct wait){.timer = timer,
			      .ch = way & 2 ? ch : NULL,
			      .deadline = way & 4 ? weft_after(HOUR) : WEFT_FOREVER};
	start(hand, way & 1, wait_for_timer, wait);
}
#define WAYS 8

static void *reset_while_others_wait(void *arg)
{
	weft_chan *ch = new_chan(0, 0);
	weft_timer timer;
	struct wait wait;
	struct hand hand;

	weft_timer_init(&timer);
	for (unsigned way = 0; way < WAYS; way++) {
		/* The timer is stopped, then armed for an hour from now, put off, stopped, and then
		 * due. */
		begin_wait(&wait, &hand, &timer, ch, way);
		CHECK(await_timer_waiters(&timer, 1));
		CHECK(!weft_timer_reset(&timer, weft_after(HOUR), 0));
		CHECK(await_timer_waiters(&timer, 1));
		CHECK(weft_timer_reset(&timer, weft_after(2 * HOUR), HOUR));
		CHECK(weft_timer_reset(&timer, weft_after(HOUR), 0));
		CHECK(await_timer_waiters(&timer, 1));
		CHECK(weft_timer_stop(&timer));
		CHECK(timer_waiters(&timer) == 1);
		CHECK(!is_raised(&wait.done, 1));
		int64_t expiry = weft_after(SOON);
		CHECK(!weft_timer_reset(&timer, expiry, 0));
		finish(&hand);
		CHECK(weft_now() >= expiry);
		CHECK(wait.rc == 0 && wait.ticks == 1);
		CHECK(timer_waiters(&timer) == 0 && chan_waiters(ch, WEFT_RECV) == 0);

		/* The timer is put off just before it expires. The waiter looks, and waits on. */
		if (way & 2) {
			weft_timer_reset(&timer, weft_after(SOON), 0);
			begin_wait(&wait, &hand, &timer, ch, way);
			while (timer_waiters(&timer) == 0 && !is_raised(&wait.done, 1))
				weft_yield();
			weft_timer_reset(&timer, weft_after(HOUR), 0);
			weft_sleep(2 * SOON);
			int rc = -ETIMEDOUT;
			while (rc < 0 && !is_raised(&wait.done, 1))
				rc = weft_chan_send_until(ch, NULL, weft_after(SOON));
			finish(&hand);
			CHECK(rc == 0 ? wait.rc == 1 : wait.rc == 0);
			weft_timer_stop(&timer);
		}
	}
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
	return arg;
}

static void test_reset_while_others_wait(void **state)
{
	(void)state;
	assert_run(1, reset_while_others_wait, NULL);
	assert_run(2, reset_while_others_wait, NULL);
	reset_while_others_wait(NULL);
	assert_int_equal(checks_failed(), 0);
}

/* There is one worker, and only this task runs. The newcomer finds the expiry and hands it to the
 * waiter. */
static void *come_after_another(void *arg)
{
	weft_timer timer;
	struct wait first, second;
	struct hand hands[2];
	bool in_select = arg;
	weft_chan *ch = new_chan(0, 0);

	weft_timer_init(&timer);
	weft_timer_reset(&timer, weft_after(HOUR), 0);
	begin_wait(&first, &hands[0], &timer, ch, in_select ? 2 : 0);
	CHECK(await_timer_waiters(&timer, 1));
	begin_wait(&second, &hands[1], &timer, ch, in_select ? 2 : 0);
	CHECK(await_timer_waiters(&timer, 2));
	let_expire(&timer);
	if (!CHECK(weft_timer_wait_until(&timer, NULL, 0) == -ETIMEDOUT))
		weft_timer_reset(&timer, 1, 0); /* so that the wait ends */
	finish(&hands[0]);
	CHECK(first.rc == 0 && first.ticks == 1);
	CHECK(!is_raised(&second.done, 1) && timer_waiters(&timer) == 1);
	CHECK(weft_timer_wait_until(&timer, NULL, 0) == -ETIMEDOUT);
	weft_timer_reset(&timer, 1, 0);
	finish(&hands[1]);
	CHECK(second.rc == 0 && second.ticks == 1);
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
	return arg;
}

/* A reset hands an expiry that is due to the first waiter, and wakes no other waiter for
 * nothing. */
static void *reset_to_now(void *arg)
{
	weft_timer timer;
	struct wait waits[3];
	struct hand hands[3];

	weft_timer_init(&timer);
	for (unsigned i = 0; i < 3; i++) {
		begin_wait(&waits[i], &hands[i], &timer, NULL, 0);
		CHECK(await_timer_waiters(&timer, i + 1));
	}
	weft_timer_reset(&timer, 0, 0);
	CHECK(timer_waiters(&timer) == 2);
	finish(&hands[0]);
	CHECK(waits[0].rc == 0 && waits[0].ticks == 1);
	CHECK(!is_raised(&waits[1].done, 1) && !is_raised(&waits[2].done, 1));

	/* The other waiter must learn of the next tick of a periodic timer. */
	weft_timer_reset(&timer, 1, INT64_MAX / 2);
	CHECK(timer_waiters(&timer) == 0);
	finish(&hands[1]);
	CHECK(waits[1].rc == 0 && waits[1].ticks == 1);
	CHECK(await_timer_waiters(&timer, 1) && !is_raised(&waits[2].done, 1));
	weft_timer_reset(&timer, 1, 0);
	finish(&hands[2]);
	CHECK(waits[2].rc == 0 && waits[2].ticks == 1);
	weft_timer_fini(&timer);
	return arg;
}

static void test_expiry_goes_to_the_one_that_waits_longest(void **state)
{
	(void)state;
	assert_run(1, reset_to_now, NULL);
	assert_run(1, come_after_another, NULL);
	assert_run(1, come_after_another, &state);
}

#define CROWD 8

static void *wait_in_a_crowd(void *arg)
{
	weft_chan *ch = new_chan(0, 0);
	weft_timer timer;
	struct wait waits[CROWD];
	struct hand hands[CROWD];

	weft_timer_init(&timer);
	weft_timer_reset(&timer, weft_after(SOON), 0);
	for (unsigned i = 0; i < CROWD; i++)
		begin_wait(&waits[i], &hands[i], &timer, ch, 2 + (i & 5));
	/* One waiter takes the expiry. The others wait on, and each takes one element. */
	unsigned done = 0;
	for (unsigned sent = 0; sent < CROWD - 1; sent++)
		CHECK(weft_chan_send(ch, NULL) == 0 || !CHECK(false));
	while (done < 1) {
		done = 0;
		for (unsigned i = 0; i < CROWD; i++)
			done += is_raised(&waits[i].done, 1) && waits[i].rc == 0;
		weft_yield();
	}
	for (unsigned i = 0; i < CROWD; i++)
		finish(&hands[i]);
	unsigned by_timer = 0;
	for (unsigned i = 0; i < CROWD; i++) {
		by_timer += waits[i].rc == 0;
		CHECK(waits[i].rc == 0 || waits[i].rc == 1);
		CHECK(waits[i].ticks == (waits[i].rc == 0));
	}
	CHECK(by_timer == 1);
	CHECK(timer_waiters(&timer) == 0);
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
	return arg;
}

static void test_one_of_many_takes_the_expiry(void **state)
{
	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		assert_run(1, wait_in_a_crowd, NULL);
		assert_run(3, wait_in_a_crowd, NULL);
	}
}

static void *cancel_waits(void *arg)
{
	weft_chan *ch = new_chan(0, 0);
	weft_timer timer;
	struct wait wait;
	struct hand hand;

	weft_timer_init(&timer);
	for (unsigned way = 0; way < WAYS; way += 2) {
		weft_timer_reset(&timer, weft_after(HOUR), 0);
		begin_wait(&wait, &hand, &timer, ch, way);
		CHECK(await_timer_waiters(&timer, 1));
		CHECK(weft_cancel(hand.task) == 0);
		finish(&hand);
		CHECK(wait.rc == -ECANCELED && wait.ticks == 0);
		CHECK(timer_waiters(&timer) == 0 && chan_waiters(ch, WEFT_RECV) == 0);
		CHECK(weft_timer_stop(&timer)); /* nothing was taken */
	}
	/* A cancelled task still takes an expiry that is already there. */
	CHECK(weft_cancel(weft_self()) == 0);
	CHECK(weft_timer_wait(&timer, NULL) == -ECANCELED);
	weft_timer_reset(&timer, 1, 0);
	CHECK(weft_timer_wait(&timer, NULL) == 0);
	CHECK(weft_timer_wait_until(&timer, NULL, weft_after(HOUR)) == -ECANCELED);
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
	return arg;
}

static void test_cancelled_waits_take_nothing(void **state)
{
	(void)state;
	assert_run(1, cancel_waits, NULL);
	assert_run(2, cancel_waits, NULL);
}

/*
 * Two tasks and a thread wait for nothing but a timer, and two tasks set it, to now or to an hour
 * from now. If a wake is lost, the test hangs, since nobody comes after the last reset.
 */
struct storm {
	weft_timer timer;
	flag over;
	_Atomic uint64_t taken;
};

static void *take_expiries(void *arg)
{
	struct storm *s = arg;

	while (!is_raised(&s->over, 2)) {
		uint64_t ticks = 0;
		CHECK(weft_timer_wait(&s->timer, &ticks) == 0 && ticks > 0);
		atomic_fetch_add_explicit(&s->taken, 1, memory_order_relaxed);
	}
	weft_timer_reset(&s->timer, 1, 0); /* lets the next waiter end */
	return arg;
}

static void *reset_again_and_again(void *arg)
{
	struct storm *s = arg;

	for (unsigned i = 0; i < weft_test_scale(20000); i++) {
		weft_timer_reset(&s->timer, i % 3 ? 1 : weft_after(HOUR), i % 5 ? 0 : HOUR);
		if (i % 7 == 0)
			weft_timer_stop(&s->timer);
		if (i % 16 == 0)
			weft_yield();
	}
	raise_flag(&s->over);
	weft_timer_reset(&s->timer, 1, 0);
	return arg;
}

static void test_no_wake_is_lost_in_a_storm_of_resets(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct storm storm = {.over = 0};
		weft_task *tasks[4];
		weft_runtime *rt = assert_create(2);

		weft_timer_init(&storm.timer);
		for (unsigned k = 0; k < 4; k++) {
			assert_int_equal(weft_submit(rt,
						     k < 2 ? take_expiries : reset_again_and_again,
						     &storm, &tasks[k]),
					 0);
		}
		take_expiries(&storm); /* this thread waits as well */
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(weft_join(tasks[k], NULL), 0);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(checks_failed(), 0);
		assert_true(storm.taken > 0);
		weft_timer_fini(&storm.timer);
	}
}

static void test_timers_under_chaos(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 3; seed++) {
		set_number("WEFT_CHAOS", seed);
		assert_run(3, reset_while_others_wait, NULL);
		assert_run(2, wait_in_a_crowd, NULL);
		assert_run(2, cancel_waits, NULL);
		unsetenv("WEFT_CHAOS");
	}
}

static void *wait_for_ever(void *timer)
{
	CHECK(weft_timer_wait(timer, NULL) == 0);
	return NULL;
}

static void *end_what_is_waited_for(void *arg)
{
	static weft_timer timer;
	weft_task *task;

	weft_timer_init(&timer);
	CHECK(weft_spawn(wait_for_ever, &timer, &task) == 0);
	CHECK(await_timer_waiters(&timer, 1));
	weft_timer_fini(&timer);
	return arg;
}

static void misuse_fini(void *unused)
{
	(void)unused;
	CHECK(weft_run(end_what_is_waited_for, NULL, NULL) == 0);
}

static void test_ending_a_timer_that_is_waited_for_aborts(void **state)
{
	(void)state;
	assert_aborts(misuse_fini, "weft_timer_fini", "still has waiters");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ending_a_timer_that_is_waited_for_aborts),
		cmocka_unit_test(test_reset_while_others_wait),
		cmocka_unit_test(test_expiry_goes_to_the_one_that_waits_longest),
		cmocka_unit_test(test_one_of_many_takes_the_expiry),
		cmocka_unit_test(test_cancelled_waits_take_nothing),
		cmocka_unit_test(test_no_wake_is_lost_in_a_storm_of_resets),
		cmocka_unit_test(test_timers_under_chaos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
