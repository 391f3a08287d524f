/* SPDX-License-Identifier: MIT */
/* Waits in a channel that end without their element: by a deadline, a cancellation or misuse.
 * Nothing is sent, taken or lost. */
#include "chan_peek.h"

#define ROUNDS 300

/* A waiter that has given up is skipped: the element goes to the next one. */
static void *pass_over(void *arg)
{
	size_t capacity = *(const size_t *)arg;

	for (unsigned op = WEFT_SEND; op <= WEFT_RECV; op++) {
		weft_chan *ch = new_chan(sizeof(uint64_t), capacity);
		struct act early = {.ch = ch, .op = op, .value = 1}, late = early;
		weft_task *tasks[2];
		uint64_t value = 9;
		for (size_t i = 0; op == WEFT_SEND && i < capacity; i++)
			CHECK(weft_chan_send(ch, &value) == 0);
		early.deadline = weft_after(20 * 1000 * 1000);
		late.deadline = WEFT_FOREVER;
		late.value = 2;
		CHECK(weft_spawn(carry_out, &early, &tasks[0]) == 0);
		CHECK(weft_spawn(carry_out, &late, &tasks[1]) == 0);
		CHECK(weft_join(tasks[0], NULL) == 0);
		CHECK(early.rc == -ETIMEDOUT && early.value == 1);
		CHECK(weft_now() >= early.deadline);
		CHECK(await_waiters(ch, op, 1)); /* the late waiter */
		if (op == WEFT_SEND) {
			for (size_t i = 0; i < capacity; i++)
				CHECK(weft_chan_recv(ch, &value) == 0 && value == 9);
			CHECK(weft_chan_recv(ch, &value) == 0 && value == 2);
			CHECK(weft_chan_try_recv(ch, &value) == -EAGAIN);
		} else {
			value = 4;
			CHECK(weft_chan_send(ch, &value) == 0);
		}
		CHECK(weft_join(tasks[1], NULL) == 0);
		CHECK(late.rc == 0 && late.value == (op == WEFT_SEND ? 2 : 4));
		weft_chan_destroy(ch);
	}
	return NULL;
}

static void test_deadline_passes(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		assert_run(1, pass_over, &capacity);
		assert_run(3, pass_over, &capacity);
	}
}

static void *cancel_one_of_three(void *arg)
{
	size_t capacity = *(const size_t *)arg;

	for (unsigned op = WEFT_SEND; op <= WEFT_RECV; op++) {
		weft_chan *ch = new_chan(sizeof(uint64_t), capacity);
		struct act acts[3];
		weft_task *tasks[3];
		uint64_t value = 9;
		for (size_t i = 0; op == WEFT_SEND && i < capacity; i++)
			CHECK(weft_chan_send(ch, &value) == 0);
		for (unsigned i = 0; i < 3; i++) {
			acts[i] = (struct act){.ch = ch,
					       .op = op,
					       .value = 10 + i,
					       .deadline =
						       i == 1 ? weft_after(LOST_NS) : WEFT_FOREVER};
			CHECK(weft_spawn(carry_out, &acts[i], &tasks[i]) == 0);
			CHECK(await_waiters(ch, op, i + 1));
		}
		CHECK(weft_cancel(tasks[1]) == 0);
		CHECK(weft_join(tasks[1], NULL) == 0);
		CHECK(acts[1].rc == -ECANCELED && acts[1].value == 11);
		CHECK(chan_waiters(ch, op) == 2);
		if (op == WEFT_SEND) {
			for (size_t i = 0; i < capacity; i++)
				CHECK(weft_chan_recv(ch, &value) == 0 && value == 9);
			CHECK(weft_chan_recv(ch, &value) == 0 && value == 10);
			CHECK(weft_chan_recv(ch, &value) == 0 && value == 12);
			CHECK(weft_chan_try_recv(ch, &value) == -EAGAIN);
		} else {
			for (value = 1; value <= 2; value++)
				CHECK(weft_chan_send(ch, &value) == 0);
		}
		CHECK(weft_join(tasks[0], NULL) == 0 && weft_join(tasks[2], NULL) == 0);
		CHECK(acts[0].rc == 0 && acts[2].rc == 0);
		if (op == WEFT_RECV)
			CHECK(acts[0].value == 1 && acts[2].value == 2);
		weft_chan_destroy(ch);
	}
	return NULL;
}

static void *act_while_cancelled(void *arg)
{
	weft_chan *ch = new_chan(sizeof(uint64_t), 1);
	uint64_t value = 1;

	CHECK(weft_cancel(weft_self()) == 0);
	/* A step that need not wait is done, again and again. A step that would have to wait is
	 * not. A try and a deadline of 0 do not wait. */
	for (unsigned i = 0; i < 3; i++) {
		CHECK(weft_chan_recv(ch, &value) == -ECANCELED);
		CHECK(weft_chan_recv_until(ch, &value, weft_after(LOST_NS)) == -ECANCELED);
		CHECK(weft_chan_try_recv(ch, &value) == -EAGAIN);
		CHECK(weft_chan_recv_until(ch, &value, 0) == -ETIMEDOUT);
		CHECK(weft_chan_send(ch, &value) == 0);
		CHECK(weft_chan_send(ch, &value) == -ECANCELED);
		CHECK(weft_chan_try_send(ch, &value) == -EAGAIN);
		CHECK(weft_chan_recv(ch, &value) == 0);
		CHECK(chan_waiters(ch, WEFT_SEND) == 0 && chan_waiters(ch, WEFT_RECV) == 0);
	}
	weft_cancel_mask();
	CHECK(weft_chan_recv_until(ch, &value, weft_after(1000)) == -ETIMEDOUT);
	weft_cancel_unmask();
	weft_chan_close(ch);
	CHECK(weft_chan_recv(ch, &value) == -EPIPE);
	weft_chan_destroy(ch);
	return arg;
}

static void test_cancel(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		assert_run(1, cancel_one_of_three, &capacity);
		assert_run(3, cancel_one_of_three, &capacity);
	}
	assert_run(1, act_while_cancelled, NULL);
}

/*
 * A send, a deadline, a cancellation and a close meet the receiver at about the same moment.
 * Whichever wins, the element is received exactly once: by the receiver that returns 0, or by the
 * call that drains the channel.
 */
struct race {
	weft_chan *ch;
	struct act receiver;
	flag go;
};

static void *race_send(void *arg)
{
	struct race *race = arg;
	uint64_t value = 1;

	yield_for(&race->go, 1);
	int rc = weft_chan_send_until(race->ch, &value, weft_after(50 * 1000));
	return (void *)(intptr_t)rc;
}

static void *race_close(void *arg)
{
	struct race *race = arg;

	yield_for(&race->go, 1);
	weft_chan_close(race->ch);
	return NULL;
}

static void *race_all(void *arg)
{
	size_t capacity = *(const size_t *)arg;
	unsigned outcomes[4] = {0};

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct race race = {.ch = new_chan(sizeof(uint64_t), capacity)};
		weft_task *receiver, *sender, *closer = NULL;
		void *sent = NULL;
		uint64_t value;
		race.receiver = (struct act){.ch = race.ch,
					     .op = WEFT_RECV,
					     .deadline = weft_after(1000 + i * 700 % 60000)};
		CHECK(weft_spawn(carry_out, &race.receiver, &receiver) == 0);
		CHECK(weft_spawn(race_send, &race, &sender) == 0);
		if (i % 3 == 0)
			CHECK(weft_spawn(race_close, &race, &closer) == 0);
		if (i % 2)
			weft_yield();
		raise_flag(&race.go);
		if (i % 8 >= 6)
			weft_cancel(receiver);
		CHECK(weft_join(receiver, NULL) == 0 && weft_join(sender, &sent) == 0);
		CHECK(!closer || weft_join(closer, NULL) == 0);
		weft_chan_close(race.ch);
		int rc = (int)(intptr_t)sent;
		unsigned received = race.receiver.rc == 0;
		CHECK(!received || race.receiver.value == 1);
		while (weft_chan_recv(race.ch, &value) == 0)
			received++;
		CHECK(rc == 0 || rc == -EPIPE || rc == -ETIMEDOUT);
		CHECK(received == (rc == 0));
		rc = race.receiver.rc;
		CHECK(rc == 0 || rc == -EPIPE || rc == -ETIMEDOUT || rc == -ECANCELED);
		outcomes[rc == 0 ? 0 : rc == -EPIPE ? 1 : rc == -ETIMEDOUT ? 2 : 3]++;
		weft_chan_destroy(race.ch);
	}
	if (getenv("WEFT_TEST_VERBOSE"))
		fprintf(stderr, "received %u, closed %u, timed out %u, cancelled %u\n", outcomes[0],
			outcomes[1], outcomes[2], outcomes[3]);
	return NULL;
}

static void test_send_deadline_cancel_close_race(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 2; capacity++) {
		assert_run(1, race_all, &capacity);
		assert_run(4, race_all, &capacity);
	}
}

static weft_chan *doomed;

static void *wait_in_it(void *arg)
{
	child_got(weft_chan_recv(doomed, NULL));
	return arg;
}

static void *destroy_it(void *arg)
{
	child_needs(weft_spawn(wait_in_it, NULL, NULL));
	await_waiters(doomed, WEFT_RECV, 1);
	weft_chan_destroy(doomed);
	return arg;
}

static void destroy_with_a_waiter(void *arg)
{
	doomed = new_chan(4, 0);
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(destroy_it, arg, NULL));
}

static void test_destroy_with_waiters(void **state)
{
	(void)state;
	assert_aborts(destroy_with_a_waiter, "weft_chan_destroy: channel 0x",
		      "still has waiters (task ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadline_passes),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_send_deadline_cancel_close_race),
		cmocka_unit_test(test_destroy_with_waiters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
