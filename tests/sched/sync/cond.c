/* SPDX-License-Identifier: MIT */
/* The condition: each signal reaches one waiter, once, and every wait ends with the mutex held. */
#include "crew.h"

#define ROUNDS   3000
#define CAPACITY 4

/* A bounded buffer. Half of the crew puts numbers in, and the other half takes them out. */
struct buffer {
	weft_mutex mutex;
	weft_cond not_full, not_empty;
	/* under the mutex */
	unsigned used;
	unsigned long items[CAPACITY], put, taken;
};

static void buffer_reset(void *arg)
{
	struct buffer *b = arg;

	weft_mutex_init(&b->mutex);
	weft_cond_init(&b->not_full);
	weft_cond_init(&b->not_empty);
	b->used = 0;
	b->put = b->taken = 0;
}

static void put_or_take(void *arg, unsigned who)
{
	struct buffer *b = arg;

	for (unsigned i = 1; i <= weft_test_scale(ROUNDS); i++) {
		weft_mutex_lock(&b->mutex);
		if (who % 2 == 0) {
			while (b->used == CAPACITY)
				CHECK(weft_cond_wait(&b->not_full, &b->mutex) == 0);
			b->items[b->used++] = i;
			b->put += i;
			weft_cond_signal(&b->not_empty);
		} else {
			while (b->used == 0)
				CHECK(weft_cond_wait(&b->not_empty, &b->mutex) == 0);
			b->taken += b->items[--b->used];
			if (i % 2 == 0)
				weft_cond_signal(&b->not_full);
		}
		weft_mutex_unlock(&b->mutex);
		if (who % 2 == 1 && i % 2 == 1)
			weft_cond_signal(&b->not_full); /* without the mutex */
	}
}

static void test_cond_signals_are_not_lost(void **state)
{
	static struct buffer b = {WEFT_MUTEX_INIT, WEFT_COND_INIT, WEFT_COND_INIT, 0, {0}, 0, 0};

	(void)state;
	assert_crew(3, 4, 4, put_or_take, &b); /* as statically initialised */
	assert_true(b.put == b.taken && b.used == 0);
	assert_crews(put_or_take, buffer_reset, &b);
	assert_true(b.put == b.taken && b.used == 0);
	weft_cond_fini(&b.not_full);
	weft_cond_fini(&b.not_empty);
	weft_mutex_fini(&b.mutex);
}

/* Signals without the mutex. Such a signal may come when a waiter is in the queue and has not yet
 * unlocked the mutex. Then the waiter that it wakes still holds the mutex. */
struct pestered {
	weft_mutex mutex;
	weft_cond cond;
	_Atomic bool over; /* relaxed */
};

static void *wait_often(void *arg)
{
	struct pestered *p = arg;

	for (unsigned i = 0; i < weft_test_scale(60000); i++) {
		weft_mutex_lock(&p->mutex);
		CHECK(weft_cond_wait(&p->cond, &p->mutex) == 0);
		weft_mutex_unlock(&p->mutex);
	}
	atomic_store_explicit(&p->over, true, memory_order_relaxed);
	return NULL;
}

static void *signal_without_end(void *arg)
{
	struct pestered *p = arg;

	while (!atomic_load_explicit(&p->over, memory_order_relaxed))
		weft_cond_signal(&p->cond);
	return NULL;
}

static void test_cond_signals_without_the_mutex(void **state)
{
	static struct pestered p = {WEFT_MUTEX_INIT, WEFT_COND_INIT, false};
	pthread_t threads[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, signal_without_end, &p), 0);
	assert_run(2, wait_often, &p);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

/* All wait for the next round. The last one to come begins it. */
struct rounds {
	weft_mutex mutex;
	weft_cond cond;
	unsigned long here, round; /* under the mutex */
};

static void rounds_reset(void *arg)
{
	struct rounds *r = arg;

	weft_mutex_init(&r->mutex);
	weft_cond_init(&r->cond);
	r->here = r->round = 0;
}

static void go_around(void *arg, unsigned who)
{
	struct rounds *r = arg;

	for (unsigned long i = 0; i < weft_test_scale(ROUNDS / 4); i++) {
		weft_mutex_lock(&r->mutex);
		if (++r->here == CREWS_SIZE) {
			r->here = 0;
			r->round++;
			if ((who + i) % 2 == 0)
				weft_mutex_unlock(&r->mutex);
			weft_cond_broadcast(&r->cond);
			if ((who + i) % 2 == 0)
				continue;
		} else {
			while (r->round == i)
				CHECK(weft_cond_wait(&r->cond, &r->mutex) == 0);
			CHECK(r->round == i + 1);
		}
		weft_mutex_unlock(&r->mutex);
	}
}

static void test_cond_broadcast_reaches_all(void **state)
{
	static struct rounds r;

	(void)state;
	assert_crews(go_around, rounds_reset, &r);
	weft_cond_fini(&r.cond);
	weft_mutex_fini(&r.mutex);
}

struct pair {
	weft_mutex mutex;
	weft_cond cond;
	/* under the mutex */
	unsigned waiting, woken;
	int rc;
};

#define PAIR_INIT                                          \
	{                                                  \
		WEFT_MUTEX_INIT, WEFT_COND_INIT, 0, 0, -1, \
	}

static void give_up(struct pair *p)
{
	int64_t deadline = weft_after(100000);

	weft_mutex_lock(&p->mutex);
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, 0) == -ETIMEDOUT);
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, -1) == -ETIMEDOUT);
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, weft_now() - 1) == -ETIMEDOUT);
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	CHECK(weft_mutex_try_lock(&p->mutex) == -EBUSY);
	weft_mutex_unlock(&p->mutex);
	weft_cond_fini(&p->cond);
}

static void *give_up_in_a_task(void *arg)
{
	struct pair p = PAIR_INIT;

	give_up(&p);
	return arg;
}

static void test_cond_gives_up_at_the_deadline(void **state)
{
	struct pair p = PAIR_INIT;

	(void)state;
	assert_run(1, give_up_in_a_task, NULL);
	assert_run(2, give_up_in_a_task, NULL);
	give_up(&p);
	assert_int_equal(checks_failed(), 0);
}

static void *wait_to_be_cancelled(void *arg)
{
	struct pair *p = arg;

	weft_mutex_lock(&p->mutex);
	p->waiting++;
	CHECK(weft_cond_wait(&p->cond, &p->mutex) == -ECANCELED);
	CHECK(weft_mutex_try_lock(&p->mutex) == -EBUSY);
	CHECK(weft_cond_wait(&p->cond, &p->mutex) == -ECANCELED);
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, lost()) == -ECANCELED);
	weft_cancel_mask();
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, weft_after(1000)) == -ETIMEDOUT);
	weft_cancel_unmask();
	weft_mutex_unlock(&p->mutex);
	return NULL;
}

static void *cancel_one(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(300); i++) {
		struct pair p = PAIR_INIT;
		weft_task *task;

		CHECK(weft_spawn(wait_to_be_cancelled, &p, &task) == 0);
		if (i % 2 == 0)
			weft_yield();
		/* The wait returns only when it has the mutex. */
		weft_mutex_lock(&p.mutex);
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join_until(task, NULL, weft_after(20000)) == -ETIMEDOUT);
		weft_mutex_unlock(&p.mutex);
		CHECK(weft_join(task, NULL) == 0);
		weft_cond_fini(&p.cond);
	}
	return arg;
}

static void test_cond_is_a_cancellation_point(void **state)
{
	(void)state;
	assert_run(1, cancel_one, NULL);
	assert_run(3, cancel_one, NULL);
}

/*
 * One signal and two waiters. The one that has waited longer gives up at about that moment. Either
 * that one was signalled, or the other one was.
 *
 *   quitter    wait_until(soon), or is cancelled
 *   waiter     wait
 *   director   signal
 */
static void *quit_soon(void *arg)
{
	struct pair *p = arg;

	weft_mutex_lock(&p->mutex);
	p->waiting++;
	p->rc = weft_cond_wait_until(&p->cond, &p->mutex, weft_after(30000));
	CHECK(p->rc == 0 || p->rc == -ETIMEDOUT || p->rc == -ECANCELED);
	weft_mutex_unlock(&p->mutex);
	return NULL;
}

static void *wait_on(void *arg)
{
	struct pair *p = arg;

	weft_mutex_lock(&p->mutex);
	p->waiting++;
	CHECK(weft_cond_wait_until(&p->cond, &p->mutex, lost()) == 0);
	p->woken++;
	weft_mutex_unlock(&p->mutex);
	return NULL;
}

static void await_waiting(struct pair *p, unsigned n)
{
	weft_mutex_lock(&p->mutex);
	while (p->waiting < n) {
		weft_mutex_unlock(&p->mutex);
		weft_yield();
		weft_mutex_lock(&p->mutex);
	}
	weft_mutex_unlock(&p->mutex);
}

static void *signal_a_quitter(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct pair p = PAIR_INIT;
		weft_task *quitter, *waiter;

		CHECK(weft_spawn(quit_soon, &p, &quitter) == 0);
		await_waiting(&p, 1);
		CHECK(weft_spawn(wait_on, &p, &waiter) == 0);
		await_waiting(&p, 2);
		int64_t until = weft_now() + i % 60 * 500;
		while (weft_now() < until)
			weft_yield();
		if (i % 3 == 0)
			weft_cancel(quitter);
		weft_cond_signal(&p.cond);
		CHECK(weft_join(quitter, NULL) == 0);
		if (p.rc == 0) /* it used the signal up, so one more is needed */
			weft_cond_signal(&p.cond);
		CHECK(weft_join(waiter, NULL) == 0);
		CHECK(p.woken == 1);
		weft_cond_fini(&p.cond);
	}
	return arg;
}

static void test_cond_passes_on_what_a_quitter_did_not_take(void **state)
{
	(void)state;
	assert_run(1, signal_a_quitter, NULL);
	assert_run(3, signal_a_quitter, NULL);
}

/* Threads and tasks of another runtime are moved to the mutex's queue. So are the many waiters of a
 * broadcast. */
struct party {
	weft_mutex mutex;
	weft_cond cond;
	unsigned waiting, woken; /* under the mutex */
	bool go;
};

static void wait_for_go(void *arg, unsigned who)
{
	struct party *p = arg;

	weft_mutex_lock(&p->mutex);
	if (who == CREWS_SIZE - 1) {
		while (p->waiting < CREWS_SIZE - 1) {
			weft_mutex_unlock(&p->mutex);
			weft_yield();
			weft_mutex_lock(&p->mutex);
		}
		p->go = true;
		for (unsigned i = 0; i < CREWS_SIZE - 4; i++)
			weft_cond_signal(&p->cond);
		weft_cond_broadcast(&p->cond);
		weft_cond_broadcast(&p->cond);
		weft_cond_signal(&p->cond);
		CHECK(p->woken == 0);
	} else {
		p->waiting++;
		while (!p->go)
			CHECK(weft_cond_wait_until(&p->cond, &p->mutex, lost()) == 0);
		p->woken++;
	}
	weft_mutex_unlock(&p->mutex);
}

static void party_reset(void *arg)
{
	struct party *p = arg;

	weft_mutex_init(&p->mutex);
	weft_cond_init(&p->cond);
	p->waiting = p->woken = 0;
	p->go = false;
}

static void test_cond_woken_under_the_mutex_wait_for_it(void **state)
{
	static struct party p;

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		assert_crews(wait_for_go, party_reset, &p);
		assert_int_equal(p.woken, CREWS_SIZE - 1);
	}
	weft_cond_fini(&p.cond);
	weft_mutex_fini(&p.mutex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cond_signals_are_not_lost),
		cmocka_unit_test(test_cond_signals_without_the_mutex),
		cmocka_unit_test(test_cond_broadcast_reaches_all),
		cmocka_unit_test(test_cond_gives_up_at_the_deadline),
		cmocka_unit_test(test_cond_is_a_cancellation_point),
		cmocka_unit_test(test_cond_passes_on_what_a_quitter_did_not_take),
		cmocka_unit_test(test_cond_woken_under_the_mutex_wait_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
