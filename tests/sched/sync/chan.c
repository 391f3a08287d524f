/* SPDX-License-Identifier: MIT */
/* Channels, one step at a time: what each call returns, what it copies, and in which order. */
#include "chan_peek.h"

#define LARGE 1000

/* Fills and drains channels of many shapes, on a plain thread without a runtime. */
static void test_buffer_keeps_order_and_bytes(void **state)
{
	static const size_t sizes[] = {0, 1, 3, 4, 7, 8, 12, 16, 24, LARGE};
	static const size_t capacities[] = {1, 2, 3, 8, 100};

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		for (size_t c = 0; c < sizeof(capacities) / sizeof(capacities[0]); c++) {
			size_t size = sizes[s], capacity = capacities[c];
			weft_chan *ch = new_chan(size, capacity);
			unsigned char in[LARGE + 1], out[LARGE + 1], next = 0, oldest = 0;
			/* Several rounds, so that the ring wraps at every place. */
			for (size_t round = 0; round < 2 * capacity + 1; round++) {
				size_t fill = round == 0 ? capacity : 1;
				for (size_t i = 0; i < fill; i++) {
					memset(in, next++, sizeof(in));
					assert_int_equal(weft_chan_send(ch, in), 0);
				}
				assert_int_equal(weft_chan_try_send(ch, in), -EAGAIN);
				memset(out, 0xee, sizeof(out));
				assert_int_equal(weft_chan_recv(ch, out), 0);
				for (size_t i = 0; i < size; i++)
					assert_int_equal(out[i], oldest);
				assert_int_equal(out[size], 0xee); /* and no further byte */
				oldest++;
			}
			for (size_t i = 1; i < capacity; i++) {
				assert_int_equal(weft_chan_recv(ch, i % 2 ? out : NULL), 0);
				if (size > 0 && i % 2)
					assert_int_equal(out[0], oldest);
				oldest++;
			}
			assert_int_equal(weft_chan_try_recv(ch, out), -EAGAIN);
			weft_chan_destroy(ch);
		}
	}
}

static void test_nothing_to_do_is_said(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		weft_chan *ch = new_chan(sizeof(int), capacity);
		int value = 7;
		assert_int_equal(weft_chan_try_recv(ch, &value), -EAGAIN);
		assert_int_equal(weft_chan_recv_until(ch, &value, 0), -ETIMEDOUT);
		assert_int_equal(weft_chan_recv_until(ch, &value, 1), -ETIMEDOUT);
		assert_int_equal(weft_chan_recv_until(ch, &value, weft_after(1000)), -ETIMEDOUT);
		for (size_t i = 0; i < capacity; i++)
			assert_int_equal(weft_chan_try_send(ch, &value), 0);
		assert_int_equal(weft_chan_try_send(ch, &value), -EAGAIN);
		assert_int_equal(weft_chan_send_until(ch, &value, 0), -ETIMEDOUT);
		assert_int_equal(weft_chan_send_until(ch, &value, 1), -ETIMEDOUT);
		assert_int_equal(weft_chan_send_until(ch, &value, weft_after(1000)), -ETIMEDOUT);
		assert_int_equal(value, 7);
		/* The calls that gave up have left nothing behind. */
		assert_int_equal(chan_waiters(ch, WEFT_SEND), 0);
		assert_int_equal(chan_waiters(ch, WEFT_RECV), 0);
		for (size_t i = 0; i < capacity; i++)
			assert_int_equal(weft_chan_try_recv(ch, &value), 0);
		assert_int_equal(weft_chan_try_recv(ch, &value), -EAGAIN);
		weft_chan_destroy(ch);
	}
}

static void test_bad_arguments(void **state)
{
	weft_chan *ch = NULL;
	int value = 7;

	(void)state;
	assert_int_equal(weft_chan_create(4, 4, NULL), -EINVAL);
	assert_int_equal(weft_chan_create(SIZE_MAX / 2, 4, &ch), -ENOMEM);
	assert_int_equal(weft_chan_create(SIZE_MAX, 1, &ch), -ENOMEM);
	assert_int_equal(weft_chan_create(1, SIZE_MAX - 8, &ch), -ENOMEM);
	assert_null(ch);
	assert_int_equal(weft_chan_send(NULL, &value), -EINVAL);
	assert_int_equal(weft_chan_try_send(NULL, &value), -EINVAL);
	assert_int_equal(weft_chan_send_until(NULL, &value, 1), -EINVAL);
	assert_int_equal(weft_chan_recv(NULL, &value), -EINVAL);
	assert_int_equal(weft_chan_try_recv(NULL, &value), -EINVAL);
	assert_int_equal(weft_chan_recv_until(NULL, &value, 1), -EINVAL);
	weft_chan_close(NULL);
	weft_chan_destroy(NULL);

	ch = new_chan(sizeof(int), 1);
	assert_int_equal(weft_chan_send(ch, NULL), -EINVAL);
	assert_int_equal(weft_chan_try_send(ch, NULL), -EINVAL);
	assert_int_equal(weft_chan_send_until(ch, NULL, 1), -EINVAL);
	assert_int_equal(weft_chan_try_recv(ch, NULL), -EAGAIN); /* nothing was sent */
	weft_chan_destroy(ch);

	ch = new_chan(0, 1);
	assert_int_equal(weft_chan_send(ch, NULL), 0);
	assert_int_equal(weft_chan_recv(ch, NULL), 0);
	weft_chan_destroy(ch);
}

static void test_closed_channel_drains(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 4; capacity++) {
		weft_chan *ch = new_chan(sizeof(size_t), capacity);
		for (size_t i = 0; i < capacity; i++)
			assert_int_equal(weft_chan_send(ch, &i), 0);
		weft_chan_close(ch);
		weft_chan_close(ch); /* has no effect */
		size_t value = 99;
		assert_int_equal(weft_chan_send(ch, &value), -EPIPE);
		assert_int_equal(weft_chan_try_send(ch, &value), -EPIPE);
		assert_int_equal(weft_chan_send_until(ch, &value, WEFT_FOREVER), -EPIPE);
		for (size_t i = 0; i < capacity; i++) {
			assert_int_equal(weft_chan_recv(ch, &value), 0);
			assert_int_equal(value, i);
		}
		value = 99;
		assert_int_equal(weft_chan_recv(ch, &value), -EPIPE);
		assert_int_equal(weft_chan_try_recv(ch, &value), -EPIPE);
		assert_int_equal(weft_chan_recv_until(ch, &value, WEFT_FOREVER), -EPIPE);
		assert_int_equal(value, 99);
		weft_chan_destroy(ch);
	}
}

/*
 * One party waits, then its partner comes. Each of them is a task or a thread. The bits of the
 * number say which of them is a thread.
 */
struct meeting {
	size_t capacity;
	bool waits_on_thread, comes_on_thread, waits_to_send;
};

static void *come(void *arg)
{
	struct act *act = arg;

	act->rc = act->op == WEFT_SEND ? weft_chan_try_send(act->ch, &act->value)
				       : weft_chan_try_recv(act->ch, &act->value);
	raise_flag(&act->done);
	return act;
}

static void *meet(void *arg)
{
	const struct meeting *m = arg;
	weft_chan *ch = new_chan(sizeof(uint64_t), m->capacity);
	enum weft_op op = m->waits_to_send ? WEFT_SEND : WEFT_RECV;
	struct act waiting = {.ch = ch, .op = op, .deadline = WEFT_FOREVER, .value = 5};
	struct act coming = {.ch = ch, .op = op == WEFT_SEND ? WEFT_RECV : WEFT_SEND, .value = 6};
	uint64_t fill = 100, drained;
	struct hand hands[2];

	for (size_t i = 0; m->waits_to_send && i < m->capacity; i++)
		CHECK(weft_chan_send(ch, &fill) == 0);
	start(&hands[0], m->waits_on_thread, carry_out, &waiting);
	CHECK(await_waiters(ch, op, 1));
	CHECK(!is_raised(&waiting.done, 1));
	/* The second party need not wait, since the first one is there. */
	start(&hands[1], m->comes_on_thread, come, &coming);
	finish(&hands[0]);
	finish(&hands[1]);
	CHECK(waiting.rc == 0);
	CHECK(coming.rc == 0);
	if (!m->waits_to_send) {
		CHECK(waiting.value == 6);
	} else {
		CHECK(coming.value == (m->capacity ? 100 : 5));
		for (size_t i = 1; i < m->capacity; i++)
			CHECK(weft_chan_try_recv(ch, &drained) == 0 && drained == 100);
		if (m->capacity)
			CHECK(weft_chan_try_recv(ch, &drained) == 0 && drained == 5);
	}
	CHECK(weft_chan_try_recv(ch, &drained) == -EAGAIN);
	weft_chan_destroy(ch);
	return NULL;
}

static void test_those_who_wait_are_served(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		for (size_t capacity = 0; capacity < 4; capacity++) {
			struct meeting m = {capacity, bits & 1, bits & 2, bits & 4};
			assert_run(1, meet, &m);
			assert_run(3, meet, &m);
			if (m.waits_on_thread && m.comes_on_thread) {
				meet(&m); /* without a runtime */
				assert_int_equal(checks_failed(), 0);
			}
		}
	}
}

/* Waiters are served in the order in which they came. */
#define LINE 20

static void *form_a_line(void *arg)
{
	size_t capacity = *(const size_t *)arg;
	weft_chan *ch = new_chan(sizeof(uint64_t), capacity);
	struct act acts[LINE];
	weft_task *tasks[LINE];
	uint64_t value;

	for (unsigned i = 0; i < LINE; i++) { /* receivers */
		acts[i] = (struct act){.ch = ch, .op = WEFT_RECV, .deadline = WEFT_FOREVER};
		CHECK(weft_spawn(carry_out, &acts[i], &tasks[i]) == 0);
		CHECK(await_waiters(ch, WEFT_RECV, i + 1));
	}
	for (value = 0; value < LINE; value++)
		CHECK(weft_chan_send(ch, &value) == 0);
	for (unsigned i = 0; i < LINE; i++) {
		CHECK(weft_join(tasks[i], NULL) == 0);
		CHECK(acts[i].rc == 0 && acts[i].value == i);
	}

	for (value = 0; value < capacity; value++)
		CHECK(weft_chan_send(ch, &value) == 0);
	for (unsigned i = 0; i < LINE; i++) { /* senders */
		acts[i] = (struct act){
			.ch = ch, .op = WEFT_SEND, .value = capacity + i, .deadline = WEFT_FOREVER};
		CHECK(weft_spawn(carry_out, &acts[i], &tasks[i]) == 0);
		CHECK(await_waiters(ch, WEFT_SEND, i + 1));
	}
	for (uint64_t i = 0; i < capacity + LINE; i++)
		CHECK(weft_chan_recv(ch, &value) == 0 && value == i);
	for (unsigned i = 0; i < LINE; i++) {
		CHECK(weft_join(tasks[i], NULL) == 0);
		CHECK(acts[i].rc == 0);
	}
	weft_chan_destroy(ch);
	return NULL;
}

static void test_first_come_first_served(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 4; capacity++) {
		assert_run(1, form_a_line, &capacity);
		assert_run(3, form_a_line, &capacity);
	}
}

/* A close while many wait. */
static void *close_on_a_crowd(void *arg)
{
	enum weft_op op = *(const enum weft_op *)arg;

	for (size_t capacity = 0; capacity < 2; capacity++) {
		weft_chan *ch = new_chan(sizeof(uint64_t), capacity);
		struct act acts[LINE];
		struct hand hands[LINE];
		uint64_t value = 1;
		for (size_t i = 0; op == WEFT_SEND && i < capacity; i++)
			CHECK(weft_chan_send(ch, &value) == 0);
		for (unsigned i = 0; i < LINE; i++) {
			acts[i] = (struct act){
				.ch = ch, .op = op, .value = 77, .deadline = WEFT_FOREVER};
			start(&hands[i], i % 4 == 3, carry_out, &acts[i]);
		}
		CHECK(await_waiters(ch, op, LINE));
		weft_chan_close(ch);
		CHECK(chan_waiters(ch, op) == 0);
		for (unsigned i = 0; i < LINE; i++) {
			finish(&hands[i]);
			CHECK(acts[i].rc == -EPIPE);
			CHECK(acts[i].value == 77);
		}
		/* Nothing was sent. */
		for (size_t i = 0; op == WEFT_SEND && i < capacity; i++)
			CHECK(weft_chan_recv(ch, &value) == 0 && value == 1);
		CHECK(weft_chan_recv(ch, &value) == -EPIPE);
		weft_chan_destroy(ch);
	}
	return NULL;
}

static void test_close_wakes_everybody(void **state)
{
	enum weft_op op = WEFT_SEND;

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		op = WEFT_SEND;
		assert_run(workers, close_on_a_crowd, &op);
		op = WEFT_RECV;
		assert_run(workers, close_on_a_crowd, &op);
	}
}

/* The receiver of the last element destroys the channel. */
static void *send_the_last(void *arg)
{
	uint64_t value = 3;

	CHECK(weft_chan_send(arg, &value) == 0);
	return NULL;
}

static void *destroy_after_the_last(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(2000); i++) {
		weft_chan *ch = new_chan(sizeof(uint64_t), i % 2);
		uint64_t value = 0;
		struct hand hand;
		start(&hand, i % 8 == 7, send_the_last, ch);
		CHECK(weft_chan_recv(ch, &value) == 0 && value == 3);
		weft_chan_destroy(ch);
		finish(&hand);
	}
	return arg;
}

static void test_receiver_of_the_last_destroys(void **state)
{
	(void)state;
	assert_run(1, destroy_after_the_last, NULL);
	assert_run(4, destroy_after_the_last, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffer_keeps_order_and_bytes),
		cmocka_unit_test(test_nothing_to_do_is_said),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_closed_channel_drains),
		cmocka_unit_test(test_those_who_wait_are_served),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_close_wakes_everybody),
		cmocka_unit_test(test_receiver_of_the_last_destroys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
