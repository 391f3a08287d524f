/* SPDX-License-Identifier: MIT */
/* Select, one step at a time: which case it takes, what it reports, and when it gives up. */
#include "chan_peek.h"

#include <stdlib.h>

#define MANY 40 /* more than fit into the frame */

struct selection {
	struct weft_case *cases;
	size_t n;
	int64_t deadline;
	int rc;
};

static void *select_it(void *arg)
{
	struct selection *s = arg;

	s->rc = weft_select(s->cases, s->n, s->deadline);
	return s;
}

static void test_bad_arguments(void **state)
{
	weft_chan *ch = new_chan(4, 1);
	int value = 1;
	struct weft_case bad_op = {.op = (enum weft_op)7, .chan = ch, .elem = &value};
	struct weft_case no_elem[2] = {{.op = WEFT_RECV, .chan = ch, .elem = &value},
				       {.op = WEFT_SEND, .chan = ch}};

	(void)state;
	assert_int_equal(weft_select(NULL, 1, 0), -EINVAL);
	assert_int_equal(weft_select(&bad_op, 1, 0), -EINVAL);
	assert_int_equal(weft_select(no_elem, 2, 0), -EINVAL);
	assert_int_equal(weft_select(&bad_op, (size_t)INT32_MAX + 1, 0), -EINVAL);
	assert_int_equal(weft_chan_try_recv(ch, &value), -EAGAIN);
	weft_chan_destroy(ch);
}

static void test_nothing_is_ready(void **state)
{
	weft_chan *empty = new_chan(4, 1), *full = new_chan(4, 1), *meet = new_chan(4, 0);
	int value = 5;
	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = empty, .elem = &value, .ret_status = 77},
		{.op = WEFT_SEND, .chan = full, .elem = &value, .ret_status = 77},
		{.op = WEFT_SEND, .chan = meet, .elem = &value, .ret_status = 77},
		{.op = WEFT_RECV, .chan = meet, .elem = &value, .ret_status = 77},
		{.op = WEFT_RECV, .elem = &value, .ret_status = 77},
		{.op = WEFT_SEND, .ret_status = 77}};
	const size_t n = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	assert_int_equal(weft_chan_send(full, &value), 0);
	value = 6;
	assert_int_equal(weft_select(cases, n, 0), -ETIMEDOUT);
	assert_int_equal(weft_select(cases, n, 1), -ETIMEDOUT);
	int64_t deadline = weft_after(1000 * 1000);
	assert_int_equal(weft_select(cases, n, deadline), -ETIMEDOUT);
	assert_true(weft_now() >= deadline);
	assert_int_equal(weft_select(NULL, 0, 0), -ETIMEDOUT);
	assert_int_equal(weft_select(NULL, 0, weft_after(1000)), -ETIMEDOUT);
	assert_int_equal(weft_select(cases + 4, 2, weft_after(1000)), -ETIMEDOUT);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(cases[i].ret_status, 77);
	weft_chan *chans[] = {empty, full, meet};
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(chan_waiters(chans[i], WEFT_SEND), 0);
		assert_int_equal(chan_waiters(chans[i], WEFT_RECV), 0);
		weft_chan_destroy(chans[i]);
	}
}

static void test_takes_the_ready_one(void **state)
{
	(void)state;
	for (size_t n = 1; n <= MANY; n += n < 5 ? 1 : 7) {
		for (size_t ready = 0; ready < n; ready++) {
			weft_chan *chans[MANY];
			struct weft_case cases[MANY];
			size_t values[MANY], expected = 100 + ready;
			for (size_t i = 0; i < n; i++) {
				chans[i] = new_chan(sizeof(size_t), 1);
				values[i] = i;
				cases[i] = (struct weft_case){
					.op = WEFT_RECV, .chan = chans[i], .elem = &values[i]};
				cases[i].ret_status = 77;
			}
			assert_int_equal(weft_chan_send(chans[ready], &expected), 0);
			assert_int_equal(weft_select(cases, n, ready % 2 ? 0 : WEFT_FOREVER),
					 ready);
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(values[i], i == ready ? expected : i);
				assert_int_equal(cases[i].ret_status, i == ready ? 0 : 77);
			}
			assert_int_equal(weft_select(cases, n, 0), -ETIMEDOUT);
			/* The same, sending. */
			for (size_t i = 0; i < n; i++) {
				cases[i].op = WEFT_SEND;
				if (i != ready)
					assert_int_equal(weft_chan_send(chans[i], &i), 0);
			}
			assert_int_equal(weft_select(cases, n, WEFT_FOREVER), ready);
			assert_int_equal(weft_select(cases, n, 0), -ETIMEDOUT);
			assert_int_equal(weft_chan_recv(chans[ready], &values[0]), 0);
			assert_int_equal(values[0], expected);
			for (size_t i = 0; i < n; i++)
				weft_chan_destroy(chans[i]);
		}
	}
}

/* A plain partner serves a caller that waits in a select. All other nodes of the select are gone
 * afterwards. */
static void *wait_for_each(void *arg)
{
	size_t n = *(const size_t *)arg;

	for (size_t variant = 0; variant < 2 * n; variant++) {
		size_t served = variant / 2;
		bool on_a_thread = variant % 2;
		weft_chan *chans[MANY];
		struct weft_case cases[MANY];
		uint64_t values[MANY], value = 1000;
		struct hand hand;
		for (size_t i = 0; i < n; i++) {
			chans[i] = new_chan(sizeof(uint64_t), i % 3 ? 0 : 1);
			values[i] = i;
			cases[i] = (struct weft_case){.op = i % 4 == 3 ? WEFT_SEND : WEFT_RECV,
						      .chan = chans[i],
						      .elem = &values[i],
						      .ret_status = 77};
			if (i % 12 == 3)
				CHECK(weft_chan_send(chans[i], &value) == 0);
		}
		struct selection s = {cases, n, WEFT_FOREVER, -1};
		start(&hand, on_a_thread, select_it, &s);
		for (size_t i = 0; i < n; i++)
			CHECK(await_waiters(chans[i], cases[i].op, 1));
		if (cases[served].op == WEFT_RECV) {
			CHECK(weft_chan_try_send(chans[served], &value) == 0);
		} else {
			CHECK(weft_chan_try_recv(chans[served], &value) == 0);
			CHECK(value == (served % 12 == 3 ? 1000 : served));
		}
		finish(&hand);
		CHECK(s.rc == (int)served && cases[served].ret_status == 0);
		for (size_t i = 0; i < n; i++) {
			CHECK(values[i] == (i == served && cases[i].op == WEFT_RECV ? 1000 : i));
			CHECK(i == served || cases[i].ret_status == 77);
			CHECK(chan_waiters(chans[i], WEFT_SEND) == 0);
			CHECK(chan_waiters(chans[i], WEFT_RECV) == 0);
			weft_chan_destroy(chans[i]);
		}
	}
	return NULL;
}

/* The same, for every order of the channels' addresses in the array. */
#define SOME 6

static int by_address(const void *a, const void *b)
{
	uintptr_t one = *(const uintptr_t *)a, other = *(const uintptr_t *)b;

	return one < other ? -1 : one > other;
}

static weft_chan *chan_in_order(weft_chan *const *rising, unsigned order, size_t i)
{
	switch (order) {
	case 0:
		return rising[i];
	case 1:
		return rising[SOME - 1 - i];
	case 2:
		return i % 3 == 1 ? NULL : rising[i];
	case 3:
		return i % 3 == 1 ? NULL : rising[SOME - 1 - i];
	default:
		return rising[i / 2]; /* each channel twice */
	}
}

static void *wait_in_each_order(void *arg)
{
	for (unsigned variant = 0; variant < 5 * SOME; variant++) {
		unsigned order = variant / SOME, served = variant % SOME;
		weft_chan *rising[SOME];
		struct weft_case cases[SOME];
		uint64_t values[SOME] = {0}, value = 1000;
		struct hand hand;
		for (size_t i = 0; i < SOME; i++)
			rising[i] = new_chan(sizeof(uint64_t), 0);
		qsort(rising, SOME, sizeof(rising[0]), by_address);
		for (size_t i = 0; i < SOME; i++)
			cases[i] = (struct weft_case){.op = WEFT_RECV,
						      .chan = chan_in_order(rising, order, i),
						      .elem = &values[i],
						      .ret_status = 77};
		weft_chan *ch = cases[served].chan;
		struct selection s = {cases, SOME, WEFT_FOREVER, -1};
		if (ch) {
			start(&hand, variant % 2, select_it, &s);
			for (size_t i = 0; i < SOME; i++)
				CHECK(!cases[i].chan ||
				      await_waiters(cases[i].chan, WEFT_RECV, order == 4 ? 2 : 1));
			CHECK(weft_chan_try_send(ch, &value) == 0);
			finish(&hand);
			CHECK(s.rc >= 0 && cases[s.rc].chan == ch && cases[s.rc].ret_status == 0);
			CHECK(s.rc == (int)served || order == 4);
			for (size_t i = 0; i < SOME; i++)
				CHECK(values[i] == ((int)i == s.rc ? 1000 : 0));
		}
		for (size_t i = 0; i < SOME; i++) {
			CHECK(chan_waiters(rising[i], WEFT_RECV) == 0);
			weft_chan_destroy(rising[i]);
		}
	}
	return arg;
}

static void test_waits_in_each_order_of_channels(void **state)
{
	(void)state;
	assert_run(2, wait_in_each_order, NULL);
}

static void test_waits_for_the_first(void **state)
{
	static const size_t counts[] = {1, 2, 5, 16, 17, MANY};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		size_t n = counts[i];
		assert_run(1, wait_for_each, &n);
		assert_run(3, wait_for_each, &n);
	}
}

/* A closed channel is ready, before and during the wait for it. */
static void *close_under_select(void *arg)
{
	for (unsigned op = WEFT_SEND; op <= WEFT_RECV; op++) {
		weft_chan *first = new_chan(4, 0), *second = new_chan(4, 0);
		int values[2] = {1, 2};
		struct weft_case cases[2] = {
			{.op = op, .chan = first, .elem = &values[0], .ret_status = 77},
			{.op = op, .chan = second, .elem = &values[1], .ret_status = 77}};
		struct selection s = {cases, 2, WEFT_FOREVER, -1};
		weft_task *task;
		CHECK(weft_spawn(select_it, &s, &task) == 0);
		CHECK(await_waiters(first, op, 1) && await_waiters(second, op, 1));
		weft_chan_close(second);
		CHECK(weft_join(task, NULL) == 0);
		CHECK(s.rc == 1 && cases[1].ret_status == -EPIPE && cases[0].ret_status == 77);
		CHECK(values[0] == 1 && values[1] == 2);
		CHECK(chan_waiters(first, op) == 0);

		cases[1].ret_status = 77;
		CHECK(weft_select(cases, 2, WEFT_FOREVER) == 1 && cases[1].ret_status == -EPIPE);
		CHECK(weft_select(cases, 2, 0) == 1);
		cases[1].chan = NULL; /* from now on only for the other channel */
		CHECK(weft_select(cases, 2, 0) == -ETIMEDOUT);
		weft_chan_destroy(first);
		weft_chan_destroy(second);
	}
	return arg;
}

static void test_close(void **state)
{
	(void)state;
	assert_run(1, close_under_select, NULL);
	assert_run(4, close_under_select, NULL);
}

static void *cancel_a_select(void *arg)
{
	size_t n = *(const size_t *)arg;
	weft_chan *chans[MANY];
	struct weft_case cases[MANY];
	int value = 5;

	for (size_t i = 0; i < n; i++) {
		chans[i] = new_chan(4, 0);
		cases[i] = (struct weft_case){.op = i % 2 ? WEFT_SEND : WEFT_RECV,
					      .chan = chans[i],
					      .elem = &value,
					      .ret_status = 77};
	}
	struct selection s = {cases, n, weft_after(LOST_NS), 0};
	weft_task *task;
	CHECK(weft_spawn(select_it, &s, &task) == 0);
	for (size_t i = 0; i < n; i++)
		CHECK(await_waiters(chans[i], cases[i].op, 1));
	if (n == 0)
		weft_yield();
	CHECK(weft_cancel(task) == 0 && weft_join(task, NULL) == 0);
	CHECK(s.rc == -ECANCELED && value == 5);
	for (size_t i = 0; i < n; i++) {
		CHECK(cases[i].ret_status == 77 && chan_waiters(chans[i], cases[i].op) == 0);
		weft_chan_close(chans[i]);
	}
	/* A select that need not wait is not a cancellation point. */
	CHECK(weft_cancel(weft_self()) == 0);
	if (n > 0)
		CHECK(weft_select(cases, n, WEFT_FOREVER) >= 0);
	CHECK(weft_select(NULL, 0, WEFT_FOREVER) == -ECANCELED);
	CHECK(weft_select(NULL, 0, 0) == -ETIMEDOUT);
	for (size_t i = 0; i < n; i++)
		weft_chan_destroy(chans[i]);
	return NULL;
}

static void test_cancel(void **state)
{
	static const size_t counts[] = {0, 1, 2, 16, MANY};

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		size_t n = counts[i];
		assert_run(1, cancel_a_select, &n);
		assert_run(3, cancel_a_select, &n);
	}
}

/*
 * Each of the ready cases is equally likely, even if most cases are not ready. 4000 draws of 4 give
 * 1000 each on average, with a deviation of 27. The test fails at 9 deviations.
 */
static void test_ready_cases_are_as_likely(void **state)
{
	weft_chan *chans[MANY];
	struct weft_case cases[MANY];
	unsigned taken[MANY] = {0};
	int value = 1;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		chans[i] = new_chan(4, 1);
		cases[i] = (struct weft_case){.op = WEFT_RECV, .chan = chans[i], .elem = &value};
		if (i < 2 || i == 20 || i == MANY - 1)
			assert_int_equal(weft_chan_send(chans[i], &value), 0);
	}
	for (unsigned round = 0; round < 4000; round++) {
		int i = weft_select(cases, MANY, WEFT_FOREVER);
		assert_true(i >= 0);
		taken[i]++;
		assert_int_equal(weft_chan_send(chans[i], &value), 0);
	}
	for (size_t i = 0; i < MANY; i++) {
		if (i < 2 || i == 20 || i == MANY - 1)
			assert_in_range(taken[i], 750, 1250);
		else
			assert_int_equal(taken[i], 0);
		weft_chan_destroy(chans[i]);
	}
}

/*
 * A select that has to wait with several cases on one channel: a partner takes each of them equally
 * often. 1500 draws of 3 cases give 500 each on average, with a deviation of 18. The test fails at
 * 9 deviations. The other cases lie between the three, by their address and by their number.
 */
struct draws {
	enum weft_op op;
	unsigned rounds;
	weft_chan *before, *ch, *after;
	unsigned taken[6];
};

static void *wait_and_count(void *arg)
{
	struct draws *d = arg;
	enum weft_op op = d->op, other_op = op == WEFT_SEND ? WEFT_RECV : WEFT_SEND;
	uint64_t values[6] = {0};
	struct weft_case cases[6] = {{.op = op, .chan = d->after, .elem = &values[0]},
				     {.op = op, .chan = d->ch, .elem = &values[1]},
				     {.op = op, .chan = d->ch, .elem = &values[2]},
				     {.op = other_op, .chan = d->ch, .elem = &values[3]},
				     {.op = op, .chan = d->before, .elem = &values[4]},
				     {.op = op, .chan = d->ch, .elem = &values[5]}};

	for (unsigned round = 0; round < d->rounds; round++) {
		int i = weft_select(cases, 6, WEFT_FOREVER);
		if (CHECK(i >= 0))
			d->taken[i]++;
	}
	return arg;
}

static void *serve_waiting_selects(void *arg)
{
	struct draws *d = arg;
	weft_task *task;

	CHECK(weft_spawn(wait_and_count, d, &task) == 0);
	for (unsigned round = 0; round < d->rounds; round++) {
		uint64_t value = round;
		CHECK(await_waiters(d->ch, d->op, 3));
		CHECK((d->op == WEFT_RECV ? weft_chan_try_send(d->ch, &value)
					  : weft_chan_try_recv(d->ch, &value)) == 0);
	}
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_waiting_cases_of_one_channel_are_as_likely(void **state)
{
	(void)state;
	for (unsigned op = WEFT_SEND; op <= WEFT_RECV; op++) {
		struct draws d = {.op = op, .rounds = 1500};
		d.before = new_chan(8, 0);
		d.ch = new_chan(8, 0);
		d.after = new_chan(8, 0);
		assert_run(1, serve_waiting_selects, &d);
		assert_int_equal(d.taken[0] + d.taken[3] + d.taken[4], 0);
		assert_in_range(d.taken[1], 335, 665);
		assert_in_range(d.taken[2], 335, 665);
		assert_in_range(d.taken[5], 335, 665);
		weft_chan_destroy(d.before);
		weft_chan_destroy(d.ch);
		weft_chan_destroy(d.after);
	}
}

/* An ordered select takes the first case that is ready. If several cases wait on one channel, the
 * first of them is taken. */
static void *wait_in_order(void *arg)
{
	weft_chan **chans = arg;
	int value = 0;
	struct weft_case cases[4] = {{.op = WEFT_RECV, .chan = chans[1], .elem = &value},
				     {.op = WEFT_RECV, .chan = chans[0], .elem = &value},
				     {.op = WEFT_RECV, .chan = chans[1], .elem = &value},
				     {.op = WEFT_RECV, .chan = chans[0], .elem = &value}};

	return (void *)(intptr_t)weft_select_ordered(cases, 4, WEFT_FOREVER);
}

static void *serve_in_order(void *arg)
{
	weft_chan *chans[2] = {new_chan(4, 0), new_chan(4, 0)};
	weft_task *task;
	void *taken;
	int value = 1;

	for (unsigned i = 0; i < 200; i++) {
		CHECK(weft_spawn(wait_in_order, chans, &task) == 0);
		CHECK(await_waiters(chans[0], WEFT_RECV, 2) &&
		      await_waiters(chans[1], WEFT_RECV, 2));
		CHECK(weft_chan_try_send(chans[i % 2], &value) == 0);
		CHECK(weft_join(task, &taken) == 0);
		CHECK((intptr_t)taken == (i % 2 ? 0 : 1));
	}
	weft_chan_destroy(chans[0]);
	weft_chan_destroy(chans[1]);
	return arg;
}

static void test_an_ordered_select_prefers_earlier_cases(void **state)
{
	weft_chan *chans[MANY];
	struct weft_case cases[MANY];
	int value = 1;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		chans[i] = new_chan(4, 1);
		cases[i] = (struct weft_case){.op = WEFT_RECV, .chan = chans[i], .elem = &value};
	}
	for (unsigned round = 0; round < 500; round++) {
		size_t first = round % MANY;
		for (size_t i = first; i < MANY; i += 1 + round % 3)
			assert_int_equal(weft_chan_send(chans[i], &value), 0);
		for (size_t i = first; i < MANY; i += 1 + round % 3)
			assert_int_equal(
				weft_select_ordered(cases, MANY, round % 2 ? 0 : WEFT_FOREVER), i);
		assert_int_equal(weft_select_ordered(cases, MANY, 0), -ETIMEDOUT);
	}
	for (size_t i = 0; i < MANY; i++)
		weft_chan_destroy(chans[i]);
	assert_int_equal(weft_select_ordered(NULL, 1, 0), -EINVAL);
	assert_run(1, serve_in_order, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_nothing_is_ready),
		cmocka_unit_test(test_takes_the_ready_one),
		cmocka_unit_test(test_waits_for_the_first),
		cmocka_unit_test(test_waits_in_each_order_of_channels),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_ready_cases_are_as_likely),
		cmocka_unit_test(test_waiting_cases_of_one_channel_are_as_likely),
		cmocka_unit_test(test_an_ordered_select_prefers_earlier_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
