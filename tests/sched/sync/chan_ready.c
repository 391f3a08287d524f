/* SPDX-License-Identifier: MIT */
/*
 * Calls that do not wait. Such a call is refused only if there was a moment at which it would have
 * had to wait. A channel that is ready at every moment refuses no call, and neither do several
 * channels of which one is always ready. The last tests are about what a channel says of itself.
 */
#include "chan_peek.h"

#include "src/base/sanitizer.h"

#include <errno.h>

/*
 * The channel holds an element. Then it is closed, and only after that the element is taken out. So
 * at every moment a receive is possible, or returns -EPIPE.
 *
 *   the taker              the poller, all the time
 *   close                  looks ready
 *   receive                looks ready
 *
 * Without a buffer a sender waits until the close tells it.
 */
struct closing {
	weft_chan *ch;
	size_t capacity;
	unsigned rounds;
	flag round, done, looks;
	unsigned refused;
};

static void *close_and_take(void *arg)
{
	struct closing *c = arg;
	int value;

	for (unsigned i = 1; i <= c->rounds; i++) {
		if (!CHECK(spin_for(&c->round, i) && spin_for(&c->looks, 1)))
			break;
		weft_chan_close(c->ch);
		if (c->capacity > 0)
			CHECK(weft_chan_recv(c->ch, &value) == 0);
		raise_flag(&c->done);
	}
	return arg;
}

static void *send_and_wait(void *arg)
{
	int value = 1;

	CHECK(weft_chan_send(arg, &value) == -EPIPE);
	return arg;
}

static void poll_closing(size_t capacity)
{
	struct closing c = {.capacity = capacity,
			    .rounds = weft_test_scale(capacity ? 100000 : 2000)};
	pthread_t taker, sender;
	int value = 1;

	assert_int_equal(pthread_create(&taker, NULL, close_and_take, &c), 0);
	for (unsigned i = 1; i <= c.rounds; i++) {
		c.ch = new_chan(sizeof(int), capacity);
		if (capacity > 0) {
			CHECK(weft_chan_send(c.ch, &value) == 0);
		} else {
			pthread_create(&sender, NULL, send_and_wait, c.ch);
			CHECK(await_waiters(c.ch, WEFT_SEND, 1));
		}
		c.looks = 0;
		raise_flag(&c.round);
		for (unsigned n = 0; !is_raised(&c.done, i); n++) {
			c.refused += !chan_looks_ready(c.ch, WEFT_RECV);
			if (n == 0)
				raise_flag(&c.looks);
			if (n % 4096 == 4095)
				sched_yield();
		}
		if (capacity == 0)
			pthread_join(sender, NULL);
		assert_int_equal(weft_chan_try_recv(c.ch, &value), -EPIPE);
		weft_chan_destroy(c.ch);
	}
	pthread_join(taker, NULL);
	assert_int_equal(c.refused, 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_a_close_takes_over_from_an_element(void **state)
{
	(void)state;
	poll_closing(1);
	poll_closing(0);
}

/*
 * A token goes back and forth between two channels. It is sent to one before it is taken out of the
 * other, so at every moment one of them has an element. The select looks at both of them, and at
 * others in between. It takes the token and gives it back.
 */
#define CHANNELS 200

struct token {
	weft_chan *chans[2];
	_Atomic bool over; /* relaxed: ends the loop */
};

static void *move_token(void *arg)
{
	struct token *t = arg;
	int value = 1;

	for (unsigned i = 0; !atomic_load_explicit(&t->over, memory_order_relaxed); i++) {
		CHECK(weft_chan_send(t->chans[1 - i % 2], &value) == 0);
		/* If the token is not there, the select has it at the moment. */
		CHECK(weft_chan_recv(t->chans[i % 2], &value) == 0);
	}
	return arg;
}

static void select_while_it_moves(unsigned n)
{
	weft_chan *chans[CHANNELS];
	struct weft_case cases[CHANNELS];
	struct token t = {.over = false};
	int value = 1, refused = 0;
	pthread_t mover;

	for (unsigned i = 0; i < n; i++) {
		chans[i] = new_chan(sizeof(int), 4);
		cases[i] = (struct weft_case){.op = WEFT_RECV, .chan = chans[i], .elem = &value};
	}
	t.chans[0] = chans[0];
	t.chans[1] = chans[n - 1];
	assert_int_equal(weft_chan_send(t.chans[0], &value), 0);
	assert_int_equal(pthread_create(&mover, NULL, move_token, &t), 0);
	for (unsigned i = 0; i < weft_test_scale(150000); i++) {
		int taken = weft_select(cases, n, 0);
		refused += taken < 0;
		if (taken >= 0)
			CHECK(weft_chan_send(cases[taken].chan, &value) == 0);
	}
	atomic_store_explicit(&t.over, true, memory_order_relaxed);
	pthread_join(mover, NULL);
	assert_int_equal(refused, 0);
	assert_int_equal(checks_failed(), 0);
	for (unsigned i = 0; i < n; i++)
		weft_chan_destroy(chans[i]);
}

static void test_a_select_sees_what_is_moved(void **state)
{
	(void)state;
	select_while_it_moves(2);
	select_while_it_moves(16);
	select_while_it_moves(CHANNELS);
}

/*
 * A channel with one slot is full or empty at every moment. So a select that would send there or
 * receive from there always has something to do. It looks at one side before the other.
 */
static void *fill_and_empty(void *arg)
{
	struct token *t = arg;
	int value = 1;

	while (!atomic_load_explicit(&t->over, memory_order_relaxed)) {
		CHECK(weft_chan_send_until(t->chans[0], &value, 0) <= 0);
		CHECK(weft_chan_recv_until(t->chans[0], &value, 0) <= 0);
	}
	return arg;
}

static void test_a_select_sees_both_sides_of_a_channel(void **state)
{
	struct weft_case cases[CHANNELS] = {0}; /* no channels between the first and the last */
	struct token t = {.chans = {new_chan(sizeof(int), 1)}};
	int value = 1, refused = 0;
	pthread_t other;

	(void)state;
	for (unsigned i = 0; i < CHANNELS; i++)
		cases[i].op = WEFT_RECV;
	assert_int_equal(pthread_create(&other, NULL, fill_and_empty, &t), 0);
	for (unsigned i = 0; i < weft_test_scale(100000); i++) {
		bool send_first = i % 2;
		struct weft_case *first = &cases[0], *last = &cases[CHANNELS - 1];

		*first = *last = (struct weft_case){.chan = t.chans[0], .elem = &value};
		first->op = send_first ? WEFT_SEND : WEFT_RECV;
		last->op = send_first ? WEFT_RECV : WEFT_SEND;
		refused += weft_select(cases, CHANNELS, 0) < 0;
	}
	atomic_store_explicit(&t.over, true, memory_order_relaxed);
	pthread_join(other, NULL);
	assert_int_equal(refused, 0);
	assert_int_equal(checks_failed(), 0);
	weft_chan_destroy(t.chans[0]);
}

/* --- what a channel says --- */

static void test_len_cap_closed(void **state)
{
	weft_chan *buffered = new_chan(sizeof(int), 3), *meet = new_chan(sizeof(int), 0);
	int value = 1;

	(void)state;
	assert_int_equal(weft_chan_cap(buffered), 3);
	assert_int_equal(weft_chan_cap(meet), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(weft_chan_len(buffered), i);
		assert_int_equal(weft_chan_send(buffered, &value), 0);
	}
	assert_int_equal(weft_chan_len(buffered), 3);
	assert_false(weft_chan_closed(buffered));
	weft_chan_close(buffered);
	assert_true(weft_chan_closed(buffered));
	assert_int_equal(weft_chan_recv(buffered, &value), 0);
	assert_int_equal(weft_chan_len(buffered), 2);
	assert_int_equal(weft_chan_len(meet), 0);
	assert_int_equal(weft_chan_len(NULL), 0);
	assert_int_equal(weft_chan_cap(NULL), 0);
	assert_false(weft_chan_closed(NULL));
	weft_chan_destroy(buffered);
	weft_chan_destroy(meet);
}

static void test_errno_is_left_alone(void **state)
{
	weft_chan *ch = NULL;

	(void)state;
	if (CHILD_TSAN || CHILD_ASAN || san_under_valgrind())
		skip(); /* they abort if a program asks for so much memory */
	errno = 77;
	assert_int_equal(weft_chan_create((size_t)1 << 62, 1, &ch), -ENOMEM);
	assert_int_equal(errno, 77);
	assert_int_equal(weft_chan_create((size_t)1 << 62, 8, &ch), -ENOMEM);
	assert_int_equal(errno, 77);
	assert_null(ch);
}

/* --- references --- */

/* Sends an element that another task receives. The last of them frees the channel, and no call says
 * which one that is. */
static void *send_and_unref(void *arg)
{
	int value = 1;

	CHECK(weft_chan_send(arg, &value) == 0);
	weft_chan_unref(arg);
	return NULL;
}

static void *receive_and_unref(void *arg)
{
	int value = 0;

	CHECK(weft_chan_recv(arg, &value) == 0 && value == 1);
	weft_chan_unref(arg);
	return NULL;
}

static void *share_channels(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(500); i++) {
		weft_chan *ch = new_chan(sizeof(int), i % 3);
		struct hand hands[6];
		for (unsigned k = 0; k < 6; k++) {
			weft_chan_ref(ch);
			start(&hands[k], i % 50 == 0 && k % 3 == 0,
			      k % 2 ? send_and_unref : receive_and_unref, ch);
		}
		weft_chan_unref(ch); /* it may be gone from here on */
		for (unsigned k = 0; k < 6; k++)
			finish(&hands[k]);
	}
	return arg;
}

static void test_the_last_reference_frees(void **state)
{
	weft_chan *ch = new_chan(0, 1);

	(void)state;
	weft_chan_ref(ch);
	weft_chan_unref(ch);
	weft_chan_destroy(ch); /* one reference is left */
	weft_chan_ref(NULL);
	weft_chan_unref(NULL);
	assert_run(1, share_channels, NULL);
	assert_run(3, share_channels, NULL);
}

static void destroy_shared(void *arg)
{
	weft_chan *ch = new_chan(0, 1);

	(void)arg;
	weft_chan_ref(ch);
	weft_chan_destroy(ch);
}

static void test_a_shared_channel_is_not_destroyed(void **state)
{
	(void)state;
	assert_aborts(destroy_shared, "weft_chan_destroy: channel 0x", "has other references");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_close_takes_over_from_an_element),
		cmocka_unit_test(test_a_select_sees_what_is_moved),
		cmocka_unit_test(test_a_select_sees_both_sides_of_a_channel),
		cmocka_unit_test(test_len_cap_closed),
		cmocka_unit_test(test_errno_is_left_alone),
		cmocka_unit_test(test_the_last_reference_frees),
		cmocka_unit_test(test_a_shared_channel_is_not_destroyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
