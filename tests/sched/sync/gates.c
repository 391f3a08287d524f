/* SPDX-License-Identifier: MIT */
/* Latch and event, which open; once, which runs a function once; and the barrier. */
#include "crew.h"

#include <stdlib.h>

#define ROUNDS 2000

/* --- barrier --- */

struct rounds {
	weft_barrier barrier;
	unsigned long round[CREWS_SIZE]; /* each member's own; the barrier orders */
	flag firsts;
};

static void rounds_reset(void *arg)
{
	struct rounds *r = arg;

	weft_barrier_init(&r->barrier, CREWS_SIZE);
	for (unsigned i = 0; i < CREWS_SIZE; i++)
		r->round[i] = 0;
	atomic_store_explicit(&r->firsts, 0, memory_order_relaxed);
}

static void go_around(void *arg, unsigned who)
{
	struct rounds *r = arg;

	for (unsigned long i = 1; i <= weft_test_scale(ROUNDS / 4); i++) {
		r->round[who] = i;
		int rc = weft_barrier_wait(&r->barrier);
		CHECK(rc == 0 || rc == 1);
		if (rc == 1)
			raise_flag(&r->firsts);
		for (unsigned k = 0; k < CREWS_SIZE; k++)
			CHECK(r->round[k] == i);
		CHECK(weft_barrier_wait(&r->barrier) >= 0);
	}
}

static void test_barrier_keeps_the_rounds_apart(void **state)
{
	static struct rounds r = {.barrier = WEFT_BARRIER_INIT(CREWS_SIZE)};

	(void)state;
	assert_crew(3, 4, 4, go_around, &r); /* as statically initialised */
	assert_int_equal(atomic_load_explicit(&r.firsts, memory_order_relaxed),
			 weft_test_scale(ROUNDS / 4));
	assert_crews(go_around, rounds_reset, &r);
	assert_int_equal(atomic_load_explicit(&r.firsts, memory_order_relaxed),
			 weft_test_scale(ROUNDS / 4));
	weft_barrier_fini(&r.barrier);

	weft_barrier_init(&r.barrier, 1);
	assert_int_equal(weft_barrier_wait(&r.barrier), 1);
	assert_int_equal(weft_barrier_wait(&r.barrier), 1);
	weft_barrier_fini(&r.barrier);
}

/* --- once --- */

struct opened {
	weft_once once;
	unsigned calls; /* written by the function that runs once */
};

static void open_it(void *arg)
{
	struct opened *o = arg;

	weft_yield();
	weft_sleep(20000);
	o->calls++;
}

static void never(void *arg)
{
	(void)arg;
	CHECK(!"called once more");
}

#define ONCES 64

static void onces_reset(void *arg)
{
	struct opened *o = arg;

	for (unsigned i = 0; i < ONCES; i++) {
		weft_once_init(&o[i].once);
		o[i].calls = 0;
	}
}

static void call_once(void *arg, unsigned who)
{
	struct opened *o = arg;

	(void)who;
	for (unsigned i = 0; i < ONCES; i++) {
		weft_once_call(&o[i].once, open_it, &o[i]);
		CHECK(o[i].calls == 1);
		weft_once_call(&o[i].once, never, NULL);
	}
}

static void test_once_calls_once(void **state)
{
	static struct opened o[ONCES] = {{.once = WEFT_ONCE_INIT}};

	(void)state;
	assert_crew(3, 4, 4, call_once, o); /* as statically initialised */
	assert_crews(call_once, onces_reset, o);
	for (unsigned i = 0; i < ONCES; i++)
		weft_once_fini(&o[i].once);
}

/* --- latch --- */

struct work {
	weft_latch latch;
	unsigned long done[CREWS_SIZE];
};

struct job {
	weft_latch *latch;
	unsigned *result;
};

static void *work_for(void *arg)
{
	struct job *job = arg;

	*job->result = 7;
	weft_latch_count_down(job->latch, 1);
	return NULL;
}

/* The latch is gone as soon as the wait has returned, in whatever way the wait saw that it is
 * open. */
static void wait_and_free(weft_runtime *rt)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		weft_latch *latch = malloc(sizeof(*latch));
		unsigned results[3] = {0};
		struct job jobs[3];
		weft_task *tasks[3];

		weft_latch_init(latch, 4);
		for (unsigned k = 0; k < 3; k++) {
			jobs[k] = (struct job){latch, &results[k]};
			CHECK(weft_submit(rt, work_for, &jobs[k], &tasks[k]) == 0);
		}
		weft_latch_count_down(latch, 0);
		weft_latch_count_down(latch, 1);
		if (i % 2 == 0) {
			CHECK(weft_latch_wait(latch) == 0);
		} else {
			while (weft_latch_wait_until(latch, 0) == -ETIMEDOUT)
				weft_yield();
		}
		for (unsigned k = 0; k < 3; k++)
			CHECK(results[k] == 7);
		weft_latch_fini(latch);
		free(latch);
		for (unsigned k = 0; k < 3; k++)
			CHECK(weft_join(tasks[k], NULL) == 0);
	}
}

static void *wait_and_free_in_a_task(void *arg)
{
	wait_and_free(NULL);
	return arg;
}

static void test_latch_opens_when_all_have_counted(void **state)
{
	weft_runtime *rt;

	(void)state;
	assert_run(1, wait_and_free_in_a_task, NULL);
	assert_run(3, wait_and_free_in_a_task, NULL);
	rt = assert_create(2);
	wait_and_free(rt);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void count_and_wait(void *arg, unsigned who)
{
	struct work *w = arg;

	w->done[who] = 1;
	weft_latch_count_down(&w->latch, who % 2 == 0 ? 2 : 1);
	CHECK(weft_latch_wait_until(&w->latch, lost()) == 0);
	for (unsigned i = 0; i < CREWS_SIZE; i++)
		CHECK(w->done[i] == 1);
	CHECK(weft_latch_wait(&w->latch) == 0);
}

static void work_reset(void *arg)
{
	struct work *w = arg;

	weft_latch_init(&w->latch, CREWS_SIZE / 2 * 3);
	for (unsigned i = 0; i < CREWS_SIZE; i++)
		w->done[i] = 0;
}

static void test_latch_is_shared(void **state)
{
	static struct work w;

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(50); i++)
		assert_crews(count_and_wait, work_reset, &w);
	weft_latch_fini(&w.latch);
}

/* --- event --- */

struct turns {
	weft_event ping, pong;
	unsigned ball; /* written by the member whose turn it is */
};

static void turns_reset(void *arg)
{
	struct turns *t = arg;

	weft_event_init(&t->ping);
	weft_event_init(&t->pong);
	t->ball = 0;
}

static void take_turns(void *arg, unsigned who)
{
	struct turns *t = arg;
	weft_event *mine = who ? &t->pong : &t->ping, *other = who ? &t->ping : &t->pong;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		if (who || i) {
			CHECK(weft_event_wait_until(mine, lost()) == 0);
			weft_event_reset(mine);
		}
		CHECK(t->ball == i * 2 + who);
		t->ball++;
		weft_event_set(other);
	}
}

static void test_event_takes_turns(void **state)
{
	static struct turns t = {WEFT_EVENT_INIT, WEFT_EVENT_INIT, 0};

	(void)state;
	assert_crew(1, 2, 0, take_turns, &t); /* as statically initialised */
	turns_reset(&t);
	assert_crew(3, 2, 0, take_turns, &t);
	turns_reset(&t);
	assert_crew(1, 1, 1, take_turns, &t);
	turns_reset(&t);
	assert_crew(1, 0, 2, take_turns, &t);
	weft_event_fini(&t.ping);
	weft_event_fini(&t.pong);
}

struct start {
	weft_event event;
	unsigned number;
};

static void start_or_wait(void *arg, unsigned who)
{
	struct start *s = arg;

	if (who == CREWS_SIZE - 1) {
		weft_yield();
		s->number = 3;
		weft_event_set(&s->event);
		weft_event_set(&s->event);
	} else {
		CHECK(weft_event_wait(&s->event) == 0);
		CHECK(s->number == 3);
		CHECK(weft_event_wait_until(&s->event, 0) == 0);
	}
}

static void start_reset(void *arg)
{
	struct start *s = arg;

	weft_event_init(&s->event);
	s->number = 0;
}

static void test_event_wakes_all(void **state)
{
	static struct start s;

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(50); i++)
		assert_crews(start_or_wait, start_reset, &s);
	weft_event_reset(&s.event);
	assert_int_equal(weft_event_wait_until(&s.event, 0), -ETIMEDOUT);
	weft_event_fini(&s.event);
}

/* --- giving up --- */

/* A latch or an event, used in the same way. */
struct gate {
	bool is_event;
	weft_latch latch;
	weft_event event;
	flag opened;
};

#define GATE(event_)                                                                        \
	{                                                                                   \
		.is_event = (event_), .latch = WEFT_LATCH_INIT(1), .event = WEFT_EVENT_INIT \
	}

static int pass(struct gate *g, int64_t deadline)
{
	return g->is_event ? weft_event_wait_until(&g->event, deadline)
			   : weft_latch_wait_until(&g->latch, deadline);
}

static void open_gate(struct gate *g)
{
	if (g->is_event)
		weft_event_set(&g->event);
	else
		weft_latch_count_down(&g->latch, 1);
}

static void give_up(bool is_event)
{
	struct gate g = GATE(is_event);
	int64_t deadline = weft_after(100000);

	CHECK(pass(&g, 0) == -ETIMEDOUT);
	CHECK(pass(&g, -1) == -ETIMEDOUT);
	CHECK(pass(&g, weft_now() - 1) == -ETIMEDOUT);
	CHECK(pass(&g, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	open_gate(&g);
	CHECK(pass(&g, 0) == 0);
	CHECK(pass(&g, WEFT_FOREVER) == 0);
	weft_latch_fini(&g.latch);
	weft_event_fini(&g.event);
}

static void *give_up_in_a_task(void *arg)
{
	give_up(false);
	give_up(true);
	return arg;
}

static void test_latch_and_event_give_up_at_the_deadline(void **state)
{
	weft_latch open = WEFT_LATCH_INIT(0);

	(void)state;
	assert_run(1, give_up_in_a_task, NULL);
	assert_run(2, give_up_in_a_task, NULL);
	give_up_in_a_task(NULL);
	CHECK(weft_latch_wait(&open) == 0);
	assert_int_equal(checks_failed(), 0);
}

static void *wait_to_be_cancelled(void *arg)
{
	struct gate *g = arg;
	int first = pass(g, WEFT_FOREVER);

	CHECK(first == -ECANCELED || (first == 0 && is_raised(&g->opened, 1)));
	if (first == 0)
		return NULL;
	if (!is_raised(&g->opened, 1))
		return NULL; /* it may be opened from now on */
	CHECK(yield_for(&g->opened, 2));
	/* Once it is open, passing it takes no wait. */
	CHECK(pass(g, WEFT_FOREVER) == 0);
	return NULL;
}

static void *cancel_some(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct gate g = GATE(i % 2 == 0);
		weft_task *task;

		CHECK(weft_spawn(wait_to_be_cancelled, &g, &task) == 0);
		for (unsigned k = i % 5; k > 0; k--)
			weft_yield();
		if (i % 3 == 0) {
			raise_flag(&g.opened);
			open_gate(&g);
			raise_flag(&g.opened);
			CHECK(weft_cancel(task) == 0);
		} else {
			CHECK(weft_cancel(task) == 0);
			if (i % 3 == 1) {
				raise_flag(&g.opened);
				open_gate(&g);
				raise_flag(&g.opened);
			}
		}
		CHECK(weft_join(task, NULL) == 0);
		weft_latch_fini(&g.latch);
		weft_event_fini(&g.event);
	}
	return arg;
}

static void *wait_thrice(void *arg)
{
	struct gate *g = arg;

	CHECK(pass(g, WEFT_FOREVER) == -ECANCELED);
	CHECK(pass(g, lost()) == -ECANCELED);
	weft_cancel_mask();
	CHECK(pass(g, weft_after(1000)) == -ETIMEDOUT);
	weft_cancel_unmask();
	return NULL;
}

static void *cancel_is_sticky(void *arg)
{
	for (unsigned i = 0; i < 20; i++) {
		struct gate g = GATE(i % 2 == 0);
		weft_task *task;

		CHECK(weft_spawn(wait_thrice, &g, &task) == 0);
		if (i % 4 < 2)
			weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void test_latch_and_event_are_cancellation_points(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		assert_run(workers, cancel_is_sticky, NULL);
		assert_run(workers, cancel_some, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_barrier_keeps_the_rounds_apart),
		cmocka_unit_test(test_once_calls_once),
		cmocka_unit_test(test_latch_opens_when_all_have_counted),
		cmocka_unit_test(test_latch_is_shared),
		cmocka_unit_test(test_event_takes_turns),
		cmocka_unit_test(test_event_wakes_all),
		cmocka_unit_test(test_latch_and_event_give_up_at_the_deadline),
		cmocka_unit_test(test_latch_and_event_are_cancellation_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
