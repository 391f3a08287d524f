/* SPDX-License-Identifier: MIT */
/* Select with cases of other sizes, as programs have them that were compiled with another
 * version. */
#include "chan_peek.h"

#include <stdlib.h>

#define MANY 20 /* more than fit into the frame */

/* A case of a later version. */
struct later_case {
	struct weft_case known;
	uint64_t priority; /* unknown to this version */
};

/* A case of an earlier version: nothing after the last member, not even what aligns the next
 * case. */
#define EARLIER_SIZE (offsetof(struct weft_case, ret_status) + sizeof(int))

struct selection {
	weft_chan *empty, *ready;
	size_t n;
	bool ordered;
	int value;
};

static int select_later(struct later_case *cases, size_t n, bool ordered, int64_t deadline)
{
	return ordered ? weft_select_ordered_sized(&cases->known, sizeof *cases, n, deadline)
		       : weft_select_sized(&cases->known, sizeof *cases, n, deadline);
}

/* n receives. The last one is ready now or soon. */
static void *receive_last(void *arg)
{
	struct selection *s = arg;
	struct later_case cases[MANY] = {0};
	int values[MANY] = {0};

	for (size_t i = 0; i < s->n; i++)
		cases[i].known = (struct weft_case){.op = WEFT_RECV,
						    .chan = i + 1 < s->n ? s->empty : s->ready,
						    .elem = &values[i],
						    .ret_status = 77};
	CHECK(select_later(cases, s->n, s->ordered, WEFT_FOREVER) == (int)s->n - 1);
	for (size_t i = 0; i < s->n; i++) {
		bool taken = i + 1 == s->n;
		CHECK(cases[i].known.ret_status == (taken ? 0 : 77));
		CHECK(values[i] == (taken ? s->value : 0));
	}
	CHECK(select_later(cases, s->n, s->ordered, 0) == -ETIMEDOUT);
	CHECK(select_later(cases, s->n, s->ordered, 1) == -ETIMEDOUT);
	return arg;
}

static void *receive_and_send(void *arg)
{
	struct selection *s = arg;
	weft_task *task;

	CHECK(weft_chan_send(s->ready, &s->value) == 0);
	receive_last(arg);
	if (CHECK(weft_spawn(receive_last, arg, &task) == 0)) {
		await_waiters(s->ready, WEFT_RECV, 1);
		CHECK(weft_chan_send(s->ready, &s->value) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void test_a_later_programs_cases(void **state)
{
	static const size_t ns[] = {1, 2, MANY};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof ns / sizeof ns[0]; i++) {
		struct selection s = {.empty = new_chan(sizeof(int), 1),
				      .ready = new_chan(sizeof(int), 1),
				      .n = ns[i / 2],
				      .ordered = i % 2 != 0,
				      .value = 5};
		assert_run(2, receive_and_send, &s);
		/* On a plain thread. */
		assert_int_equal(weft_chan_send(s.ready, &s.value), 0);
		receive_last(&s);
		assert_int_equal(checks_failed(), 0);
		weft_chan_destroy(s.empty);
		weft_chan_destroy(s.ready);
	}
}

static void test_an_earlier_programs_cases(void **state)
{
	weft_chan *empty = new_chan(sizeof(int), 1), *ready = new_chan(sizeof(int), 1);
	struct weft_case cases[2] = {{.op = WEFT_RECV, .chan = empty, .ret_status = 77},
				     {.op = WEFT_SEND, .chan = ready, .ret_status = 77}};
	int value = 3, status, got = 0;
	char packed[2 * EARLIER_SIZE + 8];

	(void)state;
	cases[1].elem = &value;
	memset(packed, 0x55, sizeof packed);
	for (size_t i = 0; i < 2; i++)
		memcpy(packed + i * EARLIER_SIZE, &cases[i], EARLIER_SIZE);
	assert_int_equal(weft_select_sized((void *)packed, EARLIER_SIZE, 2, 0), 1);
	memcpy(&status, packed + 2 * EARLIER_SIZE - sizeof status, sizeof status);
	assert_int_equal(status, 0);
	memcpy(&status, packed + EARLIER_SIZE - sizeof status, sizeof status);
	assert_int_equal(status, 77);
	assert_int_equal(packed[2 * EARLIER_SIZE], 0x55);
	assert_int_equal(weft_chan_try_recv(ready, &got), 0);
	assert_int_equal(got, 3);
	weft_chan_destroy(empty);
	weft_chan_destroy(ready);
}

static void test_what_is_not_known_is_refused(void **state)
{
	weft_chan *ch = new_chan(sizeof(int), MANY);
	struct later_case cases[MANY] = {0};
	int value = 1;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		cases[i].known = (struct weft_case){
			.op = WEFT_SEND, .chan = ch, .elem = &value, .ret_status = 77};
	for (size_t n = 1; n <= MANY; n += MANY - 1) {
		cases[n - 1].priority = (uint64_t)1 << 63;
		assert_int_equal(select_later(cases, n, false, WEFT_FOREVER), -E2BIG);
		assert_int_equal(select_later(cases, n, true, 0), -E2BIG);
		assert_int_equal(cases[n - 1].known.ret_status, 77);
		cases[n - 1].priority = 0;
	}
	assert_int_equal(weft_chan_len(ch), 0);
	weft_chan_destroy(ch);
}

static void test_bad_arguments(void **state)
{
	weft_chan *ch = new_chan(sizeof(int), 1);
	int value = 1;
	struct later_case one = {
		.known = {.op = WEFT_SEND, .chan = ch, .elem = &value, .ret_status = 77}};

	(void)state;
	assert_int_equal(weft_select_sized(&one.known, EARLIER_SIZE - 1, 1, 0), -EINVAL);
	assert_int_equal(weft_select_sized(&one.known, 0, 1, 0), -EINVAL);
	assert_int_equal(weft_select_sized(NULL, sizeof one, 1, 0), -EINVAL);
	assert_int_equal(weft_select_sized(&one.known, sizeof one, (size_t)INT32_MAX + 1, 0),
			 -EINVAL);
	assert_int_equal(weft_select_sized(NULL, sizeof one, 0, 0), -ETIMEDOUT);
	one.known.op = (enum weft_op)7;
	assert_int_equal(weft_select_sized(&one.known, sizeof one, 1, 0), -EINVAL);
	assert_int_equal(one.known.ret_status, 77);
	assert_int_equal(weft_chan_len(ch), 0);
	weft_chan_destroy(ch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_later_programs_cases),
		cmocka_unit_test(test_an_earlier_programs_cases),
		cmocka_unit_test(test_what_is_not_known_is_refused),
		cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
