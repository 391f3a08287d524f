/* SPDX-License-Identifier: MIT */
/*
 * Many senders and receivers, on tasks and threads. Each value is received exactly once, and in the
 * order in which its sender sent it.
 */
#include "chan_peek.h"

#define SENDERS   5
#define RECEIVERS 4
#define EACH      4000

struct crowd {
	weft_chan *ch;
	unsigned each;
	bool threads; /* some senders and receivers are plain threads */
	bool tries;   /* some do not wait, but try again */
	_Atomic unsigned
		received[SENDERS * EACH]; /* how often, by value; relaxed: read after the join */
};

struct member {
	struct crowd *crowd;
	unsigned nth;
};

static int send_somehow(const struct member *m, uint64_t value)
{
	weft_chan *ch = m->crowd->ch;
	int rc;

	if (!m->crowd->tries || m->nth % 3 == 0)
		return weft_chan_send(ch, &value);
	if (m->nth % 3 == 1) {
		while ((rc = weft_chan_try_send(ch, &value)) == -EAGAIN)
			weft_yield();
		return rc;
	}
	while ((rc = weft_chan_send_until(ch, &value, weft_after(2000))) == -ETIMEDOUT)
		;
	return rc;
}

static void *send_all(void *arg)
{
	const struct member *m = arg;

	for (unsigned i = 0; i < m->crowd->each; i++)
		CHECK(send_somehow(m, (uint64_t)m->nth * m->crowd->each + i) == 0);
	return NULL;
}

static int recv_somehow(const struct member *m, uint64_t *ret_value)
{
	weft_chan *ch = m->crowd->ch;
	int rc;

	if (!m->crowd->tries || m->nth % 3 == 0)
		return weft_chan_recv(ch, ret_value);
	if (m->nth % 3 == 1) {
		while ((rc = weft_chan_try_recv(ch, ret_value)) == -EAGAIN)
			weft_yield();
		return rc;
	}
	while ((rc = weft_chan_recv_until(ch, ret_value, weft_after(2000))) == -ETIMEDOUT)
		;
	return rc;
}

static void *recv_all(void *arg)
{
	const struct member *m = arg;
	struct crowd *crowd = m->crowd;
	int64_t last[SENDERS];
	uint64_t value;
	int rc;

	for (unsigned i = 0; i < SENDERS; i++)
		last[i] = -1;
	while ((rc = recv_somehow(m, &value)) == 0) {
		if (!CHECK(value < (uint64_t)SENDERS * crowd->each))
			break;
		atomic_fetch_add_explicit(&crowd->received[value], 1, memory_order_relaxed);
		CHECK((int64_t)(value % crowd->each) > last[value / crowd->each]);
		last[value / crowd->each] = (int64_t)(value % crowd->each);
	}
	CHECK(rc == -EPIPE);
	return NULL;
}

static void *run_crowd(void *arg)
{
	struct crowd *crowd = arg;
	struct member members[SENDERS + RECEIVERS];
	struct hand hands[SENDERS + RECEIVERS];

	for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
		bool sends = i < SENDERS;
		members[i] = (struct member){crowd, sends ? i : i - SENDERS};
		start(&hands[i], crowd->threads && i % 2, sends ? send_all : recv_all, &members[i]);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		finish(&hands[i]);
	weft_chan_close(crowd->ch);
	for (unsigned i = SENDERS; i < SENDERS + RECEIVERS; i++)
		finish(&hands[i]);
	return NULL;
}

static void test_each_value_once_and_in_order(void **state)
{
	static const size_t capacities[] = {0, 1, 7, 128};
	static struct crowd crowd;

	(void)state;
	for (unsigned variant = 0; variant < 16; variant++) {
		memset(&crowd, 0, sizeof(crowd));
		crowd.each = weft_test_scale(EACH);
		crowd.threads = variant & 4;
		crowd.tries = variant & 8;
		crowd.ch = new_chan(sizeof(uint64_t), capacities[variant % 4]);
		assert_run(1 + variant % 3, run_crowd, &crowd);
		for (unsigned i = 0; i < SENDERS * crowd.each; i++)
			assert_int_equal(crowd.received[i], 1);
		assert_int_equal(weft_chan_try_recv(crowd.ch, NULL), -EPIPE);
		weft_chan_destroy(crowd.ch);
	}
}

/* A ring of tasks. Each has a channel to the next one, and one token goes around. */
#define RING 50

struct link {
	weft_chan *from, *to;
};

static void *hand_on(void *arg)
{
	const struct link *link = arg;
	uint64_t token;

	while (weft_chan_recv(link->from, &token) == 0) {
		token++;
		if (weft_chan_send(link->to, &token) != 0)
			break;
	}
	weft_chan_close(link->to);
	return NULL;
}

static void *go_around(void *arg)
{
	weft_chan *chans[RING + 1];
	struct link links[RING];
	weft_task *tasks[RING];
	uint64_t token = 0, laps = weft_test_scale(400);

	for (unsigned i = 0; i <= RING; i++)
		chans[i] = new_chan(sizeof(token), *(const size_t *)arg);
	for (unsigned i = 0; i < RING; i++) {
		links[i] = (struct link){chans[i], chans[i + 1]};
		CHECK(weft_spawn(hand_on, &links[i], &tasks[i]) == 0);
	}
	for (uint64_t lap = 0; lap < laps; lap++) {
		CHECK(weft_chan_send(chans[0], &token) == 0);
		CHECK(weft_chan_recv(chans[RING], &token) == 0);
		CHECK(token == (lap + 1) * RING);
	}
	weft_chan_close(chans[0]);
	CHECK(weft_chan_recv(chans[RING], &token) == -EPIPE);
	for (unsigned i = 0; i < RING; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	for (unsigned i = 0; i <= RING; i++)
		weft_chan_destroy(chans[i]);
	return NULL;
}

static void test_token_goes_around(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 2; capacity++) {
		for (unsigned workers = 1; workers <= 4; workers++)
			assert_run(workers, go_around, &capacity);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_value_once_and_in_order),
		cmocka_unit_test(test_token_goes_around),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
