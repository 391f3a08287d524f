/* SPDX-License-Identifier: MIT */
/*
 * Timers: when they expire, who takes that, and what a reset or stop does to those who wait. Expiries
 * are in the past or hours away, so that no test depends on how fast it runs.
 */
#include "chan_peek.h"

#include "sched/sync/timer_chan.h"

#define HOUR ((int64_t)3600 * 1000 * 1000 * 1000)
#define SOON ((int64_t)1000 * 1000)

static weft_chan *chan_of(weft_timer *timer)
{
	return (weft_chan *)timer;
}

static unsigned timer_waiters(weft_timer *timer)
{
	return chan_waiters(chan_of(timer), WEFT_RECV);
}

static bool await_timer_waiters(weft_timer *timer, unsigned n)
{
	return await_waiters(chan_of(timer), WEFT_RECV, n);
}

/* As if the time had come, and nobody had noticed so far. */
UNSEEN void let_expire(weft_timer *timer)
{
	sync_lock(&chan_of(timer)->lock);
	clock_slot(chan_of(timer))->deadline = 1;
	sync_unlock(&chan_of(timer)->lock);
}

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
	/* At once, without waiting: 0, and what has passed. */
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
	/* Two and a half hours ago, then one and a half, and half an hour ago. */
	weft_timer_reset(&timer, weft_now() - 2 * HOUR - HOUR / 2, HOUR);
	assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0), 0);
	assert_int_equal(ticks, 3);
	assert_int_equal(weft_timer_wait_until(&timer, &ticks, 0), -ETIMEDOUT);
	assert_int_equal(ticks, 3);
	assert_true(weft_timer_stop(&timer));

	/* Its ticks are at the same distance, however late they are taken. */
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

/* What has expired and was not taken is gone after a stop or a reset. */
static void test_no_stale_expiry_after_stop_or_reset(void **state)
{
	weft_chan *ch = new_chan(0, 1);
	weft_timer timer;

	(void)state;
	weft_timer_init(&timer);
	for (unsigned way = 0; way < 4; way++) {
		weft_timer_reset(&timer, 1, way & 1 ? HOUR : 0);
		/* Somebody looks, so the expiry is noticed, and takes something else. */
		struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = ch},
					     {.op = WEFT_TIMER, .timer = &timer}};
		assert_int_equal(weft_select_ordered(cases, 2, 0), 0);
		assert_int_equal(weft_chan_recv(ch, NULL), 0);
		assert_true(way & 2 ? weft_timer_stop(&timer)
				    : weft_timer_reset(&timer, weft_after(HOUR), 0));
		assert_int_equal(weft_timer_wait_until(&timer, NULL, 0), -ETIMEDOUT);
		/* The same for one that nobody has looked at. */
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
	/* Each is as likely: 400 throws of a coin. */
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
	/* At the same time: the timer is taken. */
	deadline = weft_after(SOON);
	weft_timer_reset(&timer, deadline, 0);
	assert_int_equal(weft_timer_wait_until(&timer, NULL, deadline), 0);
	weft_timer_fini(&timer);
}

struct wait {
	weft_timer *timer;
	weft_chan *ch; /* NULL: waits for the timer alone */
	int64_t deadline;
	uint64_t ticks;
	int rc; /* 0: the timer; 1: the channel */
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

/* way: bit 0: on a thread (always, if nobody is a task); bit 1: in a select; bit 2: the waiter has a deadline of its own. */
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
		/* Stopped, then armed for an hour's time, put off, stopped, and then due. */
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

		/* Put off just before it expires: it comes again, and waits on. */
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

/* One worker, and nobody but this task runs: the newcomer finds the expiry, and hands it to the one
 * that waits. */
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
	CHECK(weft_timer_wait_until(&timer, NULL, 0) == -ETIMEDOUT);
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

static void test_expiry_goes_to_the_one_that_waits_longest(void **state)
{
	(void)state;
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
	/* One takes the expiry. The others wait on, and each takes one element. */
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
	/* What is there already is taken by a cancelled task as well. */
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
 * Two that wait for nothing but a timer, and two that set it: one to an hour's time and back, one
 * to now. A lost wake is a hang, since after the last reset nobody comes.
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
	weft_timer_reset(&s->timer, 1, 0); /* for the next one to end */
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
		take_expiries(&storm); /* and a thread */
		for (unsigned k = 0; k < 4; k++)
			assert_int_equal(weft_join(tasks[k], NULL), 0);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(checks_failed(), 0);
		assert_true(storm.taken > 0);
		weft_timer_fini(&storm.timer);
	}
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
	assert_aborts(misuse_fini, "weft_timer_fini", "is waited for");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ending_a_timer_that_is_waited_for_aborts),
		cmocka_unit_test(test_timer_is_stopped_at_first),
		cmocka_unit_test(test_timer_refuses_bad_arguments),
		cmocka_unit_test(test_timer_expires_once_and_not_early),
		cmocka_unit_test(test_ticker_says_how_many_it_dropped),
		cmocka_unit_test(test_ticker_survives_any_expiry_and_period),
		cmocka_unit_test(test_no_stale_expiry_after_stop_or_reset),
		cmocka_unit_test(test_select_prefers_or_chooses_among_timers_and_channels),
		cmocka_unit_test(test_select_has_room_for_many_timers),
		cmocka_unit_test(test_deadline_of_the_wait),
		cmocka_unit_test(test_reset_while_others_wait),
		cmocka_unit_test(test_expiry_goes_to_the_one_that_waits_longest),
		cmocka_unit_test(test_one_of_many_takes_the_expiry),
		cmocka_unit_test(test_cancelled_waits_take_nothing),
		cmocka_unit_test(test_no_wake_is_lost_in_a_storm_of_resets),
		cmocka_unit_test(test_ticker_has_virtual_time),
		cmocka_unit_test(test_timers_under_chaos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
