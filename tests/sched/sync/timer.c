/* SPDX-License-Identifier: MIT */
/* Timers: when they expire, how often, and what a select does with them. Expiries are in the past
 * or hours away, so no test depends on its speed. */
#include "timer_peek.h"

static void test_timer_is_stopped_at_first(void **state)
{
	weft_timer timer;

	(void)state;
	weft_timer_init(&timer);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, weft_after(1000)), -ETIMEDOUT);
	assert_false(weft_timer_stop(&timer));
	assert_false(weft_timer_reset(&timer, WEFT_FOREVER, 0));
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
	weft_timer_fini(&timer);
}

static void test_timer_refuses_bad_arguments(void **state)
{
	struct weft_case none = {.op = WEFT_TIMER, .ret_status = 77};
	struct weft_case no_op = {.op = (enum weft_op)3};

	(void)state;
	assert_int_equal(weft_timer_wait(NULL, NULL), -EINVAL);
	assert_int_equal(weft_timer_wait_until(NULL, NULL, 0), -EINVAL);
	assert_int_equal(weft_select(&none, 1, 0), -ETIMEDOUT);
	assert_int_equal(weft_select(&none, 1, weft_after(1000)), -ETIMEDOUT);
	assert_int_equal(none.ret_status, 77);
	assert_int_equal(weft_select(&no_op, 1, 0), -EINVAL);
}

static void test_timer_expires_once_and_not_early(void **state)
{
	weft_timer timer;
	uint64_t ticks = 0;

	(void)state;
	weft_timer_init(&timer);
	int64_t expiry = weft_after(SOON);
	assert_false(weft_timer_reset(&timer, expiry, 0));
	assert_int_equal(weft_timer_wait(&timer, &ticks), 0);
	assert_true(weft_now() >= expiry);
	assert_int_equal(ticks, 1);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
	assert_false(weft_timer_stop(&timer));
	/* An expiry that needs no wait: 0, which means now, and a time that has passed. */
	assert_false(weft_timer_reset(&timer, 0, -5));
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), 0);
	assert_false(weft_timer_reset(&timer, 1, 0));
	ticks = 0;
	assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0), 0);
	assert_int_equal(ticks, 1);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
	weft_timer_fini(&timer);
}

static void test_ticker_says_how_many_it_dropped(void **state)
{
	weft_timer timer;
	uint64_t ticks = 0;

	(void)state;
	weft_timer_init(&timer);
	/* The timer expired two and a half hours ago, one and a half hours ago, and half an hour
	 * ago. */
	weft_timer_reset(&timer, weft_now() - 2 * HOUR - HOUR / 2, HOUR);
	assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0), 0);
	assert_int_equal(ticks, 3);
	assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0), -ETIMEDOUT);
	assert_int_equal(ticks, 3);
	assert_true(weft_timer_stop(&timer));

	/* The ticks keep their distance, however late they are taken. */
	int64_t first = weft_after(SOON);
	weft_timer_reset(&timer, first, SOON);
	uint64_t all = 0;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(weft_timer_wait(&timer, &ticks), 0);
		assert_true(ticks > 0);
		all += ticks;
		assert_true(weft_now() >= first + (int64_t)(all - 1) * SOON);
	}
	weft_timer_fini(&timer);
}

static void test_ticker_survives_any_expiry_and_period(void **state)
{
	static const int64_t values[] = {INT64_MIN, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
	weft_timer timer;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		for (unsigned k = 0; k < 6; k++) {
			uint64_t ticks = 0;
			weft_timer_init(&timer);
			weft_timer_reset(&timer, values[i], values[k]);
			bool due = values[i] < INT64_MAX - 1;
			assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0),
					 due ? 0 : -ETIMEDOUT);
			assert_true(!due || ticks > 0);
			weft_timer_fini(&timer);
		}
	}
}

/* An expiry that was not taken is gone after a stop or a reset. */
static void test_no_stale_expiry_after_stop_or_reset(void **state)
{
	weft_chan *ch = new_chan(0, 1);
	weft_timer timer;

	(void)state;
	weft_timer_init(&timer);
	for (unsigned way = 0; way < 4; way++) {
		weft_timer_reset(&timer, 1, way & 1 ? HOUR : 0);
		/* A caller looks, so the expiry is noticed, and takes another case. */
		struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = ch},
					     {.op = WEFT_TIMER, .timer = &timer}};
		assert_int_equal(weft_select_ordered(cases, 2, 0), 0);
		assert_int_equal(weft_chan_recv(ch, NULL), 0);
		assert_true(way & 2 ? weft_timer_stop(&timer)
				    : weft_timer_reset(&timer, weft_after(HOUR), 0));
		assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
		/* The same for an expiry that nobody has noticed. */
		weft_timer_reset(&timer, 1, 0);
		assert_true(weft_timer_stop(&timer));
		assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
		assert_false(weft_timer_stop(&timer));
	}
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
}

static void test_select_prefers_or_chooses_among_timers_and_channels(void **state)
{
	weft_chan *ch = new_chan(sizeof(int), 1);
	unsigned taken[2] = {0, 0}, rounds = 400;
	weft_timer timer;
	int value = 5;

	(void)state;
	weft_timer_init(&timer);
	for (unsigned i = 0; i < 3 * rounds; i++) {
		uint64_t ticks = 0;
		struct weft_case cases[2] = {
			{.op = WEFT_TIMER, .timer = &timer, .elem = &ticks, .ret_status = 77},
			{.op = WEFT_RECV, .chan = ch, .elem = &value, .ret_status = 77}};
		bool timer_last = i >= 2 * rounds;
		if (timer_last) {
			struct weft_case first = cases[0];
			cases[0] = cases[1];
			cases[1] = first;
		}
		weft_timer_reset(&timer, 1, 0);
		assert_int_equal(weft_chan_try_send(ch, &value), 0);
		int rc = i < rounds ? weft_select(cases, 2, WEFT_FOREVER)
				    : weft_select_ordered(cases, 2, WEFT_FOREVER);
		assert_true(rc == 0 || rc == 1);
		assert_int_equal(cases[rc].ret_status, 0);
		assert_int_equal(cases[1 - rc].ret_status, 77);
		assert_int_equal(ticks, (rc == 0) != timer_last ? 1 : 0);
		if (i < rounds)
			taken[rc]++;
		else
			assert_int_equal(rc, 0);
		if (weft_chan_len(ch) == 1)
			assert_int_equal(weft_chan_recv(ch, NULL), 0);
	}
	/* Each is equally likely: 400 throws of a coin. */
	assert_true(taken[0] > rounds / 4 && taken[1] > rounds / 4);
	weft_timer_fini(&timer);
	weft_chan_destroy(ch);
}

#define MANY 40 /* more than fit into the frame */

static void test_select_has_room_for_many_timers(void **state)
{
	weft_timer timers[MANY];
	struct weft_case cases[2 * MANY];
	uint64_t ticks[2 * MANY];

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		weft_timer_init(&timers[i]);
	for (unsigned i = 0; i < 2 * MANY; i++)
		cases[i] = (struct weft_case){.op = WEFT_TIMER,
					      .timer = &timers[(i * 7) % MANY],
					      .elem = &ticks[i],
					      .ret_status = 77};
	for (unsigned n = 1; n <= 2 * MANY; n += 13) {
		memset(ticks, 0, sizeof ticks);
		assert_int_equal(weft_select(cases, n, 0), -ETIMEDOUT);
		assert_int_equal(weft_select(cases, n, weft_after(1000)), -ETIMEDOUT);
		for (unsigned i = 0; i < MANY; i++)
			weft_timer_reset(&timers[i], weft_after(HOUR + (int64_t)i), 0);
		assert_int_equal(weft_select(cases, n, 0), -ETIMEDOUT);
		weft_timer *due = cases[n - 1].timer;
		int64_t expiry = weft_after(SOON);
		weft_timer_reset(due, expiry, 0);
		int i = weft_select(cases, n, WEFT_FOREVER);
		assert_true(weft_now() >= expiry);
		assert_true(i >= 0 && i < (int)n && cases[i].timer == due);
		for (unsigned k = 0; k < n; k++) {
			assert_int_equal(ticks[k], (int)k == i);
			assert_int_equal(cases[k].ret_status, (int)k == i ? 0 : 77);
			cases[k].ret_status = 77;
		}
		for (unsigned k = 0; k < MANY; k++) {
			assert_int_equal(timer_waiters(&timers[k]), 0);
			weft_timer_stop(&timers[k]);
		}
	}
	for (unsigned i = 0; i < MANY; i++)
		weft_timer_fini(&timers[i]);
}

static void test_deadline_of_the_wait(void **state)
{
	weft_timer timer;

	(void)state;
	weft_timer_init(&timer);
	weft_timer_reset(&timer, weft_after(HOUR), HOUR);
	int64_t deadline = weft_after(SOON);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, deadline), -ETIMEDOUT);
	assert_true(weft_now() >= deadline);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, 1), -ETIMEDOUT);
	/* Timer and deadline at the same time: the timer is taken. */
	deadline = weft_after(SOON);
	weft_timer_reset(&timer, deadline, 0);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, deadline), 0);
	weft_timer_fini(&timer);
}

static void *tick_for_days(void *arg)
{
	weft_timer timer;
	uint64_t ticks;

	weft_timer_init(&timer);
	int64_t first = weft_after(HOUR);
	weft_timer_reset(&timer, first, HOUR);
	for (int64_t i = 0; i < 50; i++) {
		CHECK(weft_timer_wait(&timer, &ticks) == 0 && ticks == 1);
		CHECK(weft_now() >= first + i * HOUR && weft_now() < first + (i + 1) * HOUR);
	}
	weft_timer_fini(&timer);
	return arg;
}

static void test_ticker_has_virtual_time(void **state)
{
	(void)state;
	setenv("WEFT_CHAOS", "5,virtual", 1);
	int rc = weft_run(tick_for_days, NULL, NULL);
	unsetenv("WEFT_CHAOS");
	assert_int_equal(rc, 0);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_is_stopped_at_first),
		cmocka_unit_test(test_timer_refuses_bad_arguments),
		cmocka_unit_test(test_timer_expires_once_and_not_early),
		cmocka_unit_test(test_ticker_says_how_many_it_dropped),
		cmocka_unit_test(test_ticker_survives_any_expiry_and_period),
		cmocka_unit_test(test_no_stale_expiry_after_stop_or_reset),
		cmocka_unit_test(test_select_prefers_or_chooses_among_timers_and_channels),
		cmocka_unit_test(test_select_has_room_for_many_timers),
		cmocka_unit_test(test_deadline_of_the_wait),
		cmocka_unit_test(test_ticker_has_virtual_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
