/* SPDX-License-Identifier: MIT */
/*
 * Channels of big elements. Nobody waits for another caller's copy. In all other ways they behave
 * like other channels.
 */
#include "chan_peek.h"

#include "src/base/sanitizer.h"

#include <signal.h>
#include <sys/mman.h>

#define WORDS     1024 /* 8 KiB */
#define ELEM_SIZE (WORDS * sizeof(uint64_t))

struct elem {
	uint64_t words[WORDS];
};

static void fill(struct elem *e, uint64_t value)
{
	for (unsigned i = 0; i < WORDS; i++)
		e->words[i] = value;
}

/* Returns the element's value, if all of the element is there. */
static uint64_t value_of(const struct elem *e)
{
	for (unsigned i = 1; i < WORDS; i++)
		CHECK(e->words[i] == e->words[0]);
	return e->words[0];
}

/* --- a copy that takes as long as the test likes: it stops at its first touch of a page --- */

static struct elem *page; /* not accessible until the copy may go on */
static flag stopped, may_go_on;

static void stop_copy(int signal)
{
	(void)signal;
	raise_flag(&stopped);
	while (!is_raised(&may_go_on, 1))
		sched_yield();
	mprotect(page, ELEM_SIZE, PROT_READ | PROT_WRITE);
}

static void forbid_page(void)
{
	stopped = may_go_on = 0;
	mprotect(page, ELEM_SIZE, PROT_NONE);
}

struct slow {
	weft_chan *ch;
	int rc;
};

static void *send_slowly(void *arg)
{
	struct slow *s = arg;

	s->rc = weft_chan_send(s->ch, page);
	return arg;
}

static void *receive_slowly(void *arg)
{
	struct slow *s = arg;

	s->rc = weft_chan_recv(s->ch, page);
	return arg;
}

static struct elem mine;

/* While one caller sends, others send and receive, and see nothing of its element. */
static void send_past_a_copy(bool closed)
{
	struct slow s = {new_chan(ELEM_SIZE, 2), 77};
	struct weft_case recv = {.op = WEFT_RECV, .chan = s.ch, .elem = &mine},
			 send = {.op = WEFT_SEND, .chan = s.ch, .elem = &mine};
	pthread_t thread;

	fill(page, 1);
	forbid_page();
	assert_int_equal(pthread_create(&thread, NULL, send_slowly, &s), 0);
	assert_true(spin_for(&stopped, 1));
	assert_int_equal(weft_chan_len(s.ch), 0);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), -EAGAIN);
	assert_int_equal(weft_select(&recv, 1, 0), -ETIMEDOUT);
	for (uint64_t i = 2; i < 5; i++) {
		fill(&mine, i);
		assert_int_equal(weft_chan_try_send(s.ch, &mine), 0);
		assert_int_equal(weft_chan_try_send(s.ch, &mine), -EAGAIN); /* the slot is taken */
		assert_int_equal(weft_select(&send, 1, 0), -ETIMEDOUT);
		fill(&mine, 0);
		assert_int_equal(weft_chan_try_recv(s.ch, &mine), 0);
		assert_int_equal(value_of(&mine), i);
	}
	if (closed)
		weft_chan_close(s.ch);
	raise_flag(&may_go_on);
	pthread_join(thread, NULL);
	assert_int_equal(s.rc, closed ? -EPIPE : 0);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), closed ? -EPIPE : 0);
	assert_int_equal(value_of(&mine), closed ? 4 : 1);
	weft_chan_destroy(s.ch);
}

static void receive_past_a_copy(bool closed)
{
	struct slow s = {new_chan(ELEM_SIZE, 2), 77};
	pthread_t thread;

	forbid_page();
	for (uint64_t i = 1; i < 3; i++) {
		fill(&mine, i);
		assert_int_equal(weft_chan_try_send(s.ch, &mine), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, receive_slowly, &s), 0);
	assert_true(spin_for(&stopped, 1));
	assert_int_equal(weft_chan_len(s.ch), 1);
	assert_int_equal(weft_chan_try_send(s.ch, &mine), -EAGAIN);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), 0);
	assert_int_equal(value_of(&mine), 2);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), -EAGAIN);
	assert_int_equal(weft_chan_try_send(s.ch, &mine), 0);
	if (closed)
		weft_chan_close(s.ch);
	raise_flag(&may_go_on);
	pthread_join(thread, NULL);
	assert_int_equal(s.rc, 0);
	assert_int_equal(value_of(page), 1);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), 0);
	assert_int_equal(value_of(&mine), 2);
	assert_int_equal(weft_chan_try_recv(s.ch, &mine), closed ? -EPIPE : -EAGAIN);
	weft_chan_destroy(s.ch);
}

static void test_nobody_waits_for_another_ones_copy(void **state)
{
	struct sigaction stop = {.sa_handler = stop_copy}, before;

	(void)state;
	if (san_under_valgrind() || CHILD_TSAN || CHILD_ASAN)
		skip(); /* their memcpy() or their signal handler comes first */
	page = mmap(NULL, ELEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	assert_int_equal(sigaction(SIGSEGV, &stop, &before), 0);
	for (unsigned closed = 0; closed < 2; closed++) {
		send_past_a_copy(closed);
		receive_past_a_copy(closed);
	}
	sigaction(SIGSEGV, &before, NULL);
	munmap(page, ELEM_SIZE);
	assert_int_equal(checks_failed(), 0);
}

/* --- a crowd --- */

#define SENDERS   3
#define RECEIVERS 3

struct crowd {
	weft_chan *chans[2]; /* senders and receivers choose by chance; some select */
	unsigned each;
	uint64_t sent[SENDERS], last[RECEIVERS][SENDERS];
	_Atomic uint64_t sum; /* relaxed */
	_Atomic unsigned received;
};

struct member {
	struct crowd *c;
	unsigned who;
};

static void *send_many(void *arg)
{
	struct member *m = arg;
	struct elem *e = malloc(sizeof(*e));

	for (uint64_t i = 1; i <= m->c->each; i++) {
		weft_chan *ch = m->c->chans[0];
		fill(e, i * SENDERS + m->who);
		struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = ch, .elem = e},
					     {.op = WEFT_RECV}};
		int rc = i % 3 == 0
				 ? weft_select(cases, 2, WEFT_FOREVER)
				 : weft_chan_send_until(
					   ch, e, i % 3 == 1 ? WEFT_FOREVER : weft_after(LOST_NS));
		CHECK(rc == 0 && cases[0].ret_status == 0);
		fill(e, 0); /* the element is ours again */
	}
	free(e);
	return arg;
}

static void *receive_many(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->c;
	struct elem *e = malloc(sizeof(*e));

	for (unsigned i = 0;; i++) {
		struct weft_case cases[2] = {{.op = WEFT_RECV, .chan = c->chans[0], .elem = e},
					     {.op = WEFT_RECV, .chan = c->chans[1], .elem = e}};
		int rc;
		if (i % 3 == 0) {
			rc = weft_select(cases, 2, WEFT_FOREVER);
			if (CHECK(rc == 0))
				rc = cases[0].ret_status;
		} else if (i % 3 == 1) {
			rc = weft_chan_recv(c->chans[0], e);
		} else {
			rc = weft_chan_recv_until(c->chans[0], e, weft_after(20000));
			if (rc == -ETIMEDOUT)
				continue;
		}
		if (rc == -EPIPE)
			break;
		CHECK(rc == 0);
		uint64_t value = value_of(e);
		uint64_t *last = &c->last[m->who][value % SENDERS];
		CHECK(value > *last); /* the elements of each sender come in its order */
		*last = value;
		atomic_fetch_add_explicit(&c->sum, value, memory_order_relaxed);
		atomic_fetch_add_explicit(&c->received, 1, memory_order_relaxed);
	}
	free(e);
	return arg;
}

static void *crowd_around(void *arg)
{
	struct crowd c = {.each = weft_test_scale(600)};
	struct member members[SENDERS + RECEIVERS];
	struct hand hands[SENDERS + RECEIVERS];
	size_t capacity = *(size_t *)arg;
	uint64_t expected = 0;

	c.chans[0] = new_chan(ELEM_SIZE, capacity);
	c.chans[1] = new_chan(ELEM_SIZE, capacity);
	for (unsigned i = 0; i < SENDERS + RECEIVERS; i++) {
		members[i] = (struct member){&c, i % SENDERS};
		start(&hands[i], i % 3 == 2, i < SENDERS ? send_many : receive_many, &members[i]);
	}
	for (unsigned i = 0; i < SENDERS; i++)
		finish(&hands[i]);
	weft_chan_close(c.chans[0]);
	for (unsigned i = SENDERS; i < SENDERS + RECEIVERS; i++)
		finish(&hands[i]);
	for (uint64_t i = 1; i <= c.each; i++)
		for (unsigned who = 0; who < SENDERS; who++)
			expected += i * SENDERS + who;
	CHECK(c.received == SENDERS * c.each && c.sum == expected);
	CHECK(weft_chan_len(c.chans[0]) == 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(chan_waiters(c.chans[i], WEFT_SEND) == 0);
		CHECK(chan_waiters(c.chans[i], WEFT_RECV) == 0);
		weft_chan_destroy(c.chans[i]);
	}
	return arg;
}

static void test_each_element_once_and_in_order(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity <= 3; capacity++) {
		assert_run(1, crowd_around, &capacity);
		assert_run(3, crowd_around, &capacity);
	}
}

/* Fills and empties a channel, with waiters that came first, and closes it. */
static void *one_by_one(void *arg)
{
	weft_chan *ch = new_chan(ELEM_SIZE, 3);
	struct elem *e = malloc(sizeof(*e));
	struct slow s = {ch, 77};
	weft_task *task;

	CHECK(weft_chan_cap(ch) == 3);
	for (uint64_t i = 0; i < 10; i++) {
		fill(e, i);
		CHECK(weft_chan_try_send(ch, e) == (i < 3 ? 0 : -EAGAIN));
	}
	CHECK(weft_chan_send_until(ch, e, weft_after(1000)) == -ETIMEDOUT);
	page = e;
	CHECK(weft_spawn(send_slowly, &s, &task) == 0);
	CHECK(await_waiters(ch, WEFT_SEND, 1));
	CHECK(weft_chan_recv(ch, NULL) == 0); /* the element is dropped */
	CHECK(weft_join(task, NULL) == 0 && s.rc == 0);
	CHECK(weft_chan_len(ch) == 3);
	CHECK(weft_spawn(send_slowly, &s, &task) == 0);
	CHECK(await_waiters(ch, WEFT_SEND, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0 && s.rc == -ECANCELED);
	weft_chan_close(ch);
	CHECK(weft_chan_send(ch, e) == -EPIPE);
	for (uint64_t i = 1; i < 4; i++) {
		CHECK(weft_chan_recv(ch, e) == 0);
		CHECK(value_of(e) == (i < 3 ? i : 9));
	}
	CHECK(weft_chan_recv(ch, e) == -EPIPE);
	free(e);
	weft_chan_destroy(ch);
	return arg;
}

static void test_full_empty_closed(void **state)
{
	(void)state;
	assert_run(1, one_by_one, NULL);
	assert_run(2, one_by_one, NULL);
}

static void test_sizes_that_cannot_be(void **state)
{
	weft_chan *ch = NULL;

	(void)state;
	assert_int_equal(weft_chan_create(SIZE_MAX, 1, &ch), -ENOMEM);
	assert_int_equal(weft_chan_create(SIZE_MAX - 8, 1, &ch), -ENOMEM);
	assert_int_equal(weft_chan_create(8192, SIZE_MAX / 8192, &ch), -ENOMEM);
	assert_int_equal(weft_chan_create(8192, SIZE_MAX / 8200, &ch), -ENOMEM);
	assert_null(ch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_waits_for_another_ones_copy),
		cmocka_unit_test(test_each_element_once_and_in_order),
		cmocka_unit_test(test_full_empty_closed),
		cmocka_unit_test(test_sizes_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
