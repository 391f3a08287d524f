/* SPDX-License-Identifier: MIT */
/*
 * A wait that is refused gives way. A cancelled task, or one whose deadline has passed, may call
 * the same wait again and again. It still lets others run, even if there is only one worker.
 */
#include "crew.h"

struct stage {
	flag done; /* what the loop waits for */
	weft_mutex mutex, held;
	weft_cond cond;
	weft_rwlock rwlock;
	weft_sem sem;
	weft_latch latch;
	weft_event event;
	weft_barrier barrier;
	weft_chan *empty, *full;
	weft_group group;
	weft_timer timer;
	weft_task *sleeper;
	int value;
};

/* One call that is refused: by -ECANCELED in a cancelled task, by -ETIMEDOUT if the deadline has
 * passed. */
typedef int refused(struct stage *s, int64_t deadline);

static int wait_cond(struct stage *s, int64_t deadline)
{
	weft_mutex_lock(&s->mutex);
	int rc = weft_cond_wait_until(&s->cond, &s->mutex, deadline);
	CHECK(weft_mutex_try_lock(&s->mutex) == -EBUSY);
	weft_mutex_unlock(&s->mutex);
	return rc;
}

static int acquire(struct stage *s, int64_t deadline)
{
	return weft_sem_acquire_until(&s->sem, deadline);
}

static int wait_latch(struct stage *s, int64_t deadline)
{
	return weft_latch_wait_until(&s->latch, deadline);
}

static int wait_event(struct stage *s, int64_t deadline)
{
	return weft_event_wait_until(&s->event, deadline);
}

static int send(struct stage *s, int64_t deadline)
{
	return weft_chan_send_until(s->full, &s->value, deadline);
}

static int receive(struct stage *s, int64_t deadline)
{
	return weft_chan_recv_until(s->empty, &s->value, deadline);
}

static int choose(struct stage *s, int64_t deadline)
{
	struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = s->full, .elem = &s->value},
				     {.op = WEFT_RECV, .chan = s->empty, .elem = &s->value}};

	return weft_select(cases, 2, deadline);
}

static int wait_barrier(struct stage *s, int64_t deadline)
{
	return weft_barrier_wait_until(&s->barrier, deadline);
}

static int join(struct stage *s, int64_t deadline)
{
	return weft_join_until(s->sleeper, NULL, deadline);
}

static int wait_group(struct stage *s, int64_t deadline)
{
	return weft_group_wait_until(&s->group, deadline);
}

static int sleep_on(struct stage *s, int64_t deadline)
{
	(void)s;
	return weft_sleep_until(deadline);
}

static int wait_timer(struct stage *s, int64_t deadline)
{
	return weft_timer_wait_until(&s->timer, NULL, deadline);
}

static int choose_timer(struct stage *s, int64_t deadline)
{
	struct weft_case cases[2] = {{.op = WEFT_TIMER, .timer = &s->timer},
				     {.op = WEFT_RECV, .chan = s->empty, .elem = &s->value}};

	return weft_select(cases, 2, deadline);
}

static int lock(struct stage *s, int64_t deadline)
{
	return weft_mutex_lock_until(&s->held, deadline);
}

static int read_lock(struct stage *s, int64_t deadline)
{
	return weft_rwlock_rdlock_until(&s->rwlock, deadline);
}

static int write_lock(struct stage *s, int64_t deadline)
{
	return weft_rwlock_wrlock_until(&s->rwlock, deadline);
}

static refused *const cancellation_points[] = {wait_cond, acquire,      wait_latch, wait_event,
					       send,      receive,      choose,     join,
					       sleep_on,  wait_barrier, wait_timer, choose_timer};
static refused *const timed_waits[] = {
	wait_cond,  acquire, wait_latch, wait_event, send,         receive,    choose,      join,
	wait_group, lock,    read_lock,  write_lock, wait_barrier, wait_timer, choose_timer};

struct loop {
	struct stage *stage;
	refused *call;
	int64_t deadline;
	int expected;
};

static void *call_until_done(void *arg)
{
	struct loop *loop = arg;
	int64_t lost_at = lost();

	if (loop->expected == -ECANCELED)
		weft_cancel(weft_self());
	while (!is_raised(&loop->stage->done, 1)) {
		CHECK(loop->call(loop->stage, loop->deadline) == loop->expected);
		if (!CHECK(weft_now() < lost_at))
			break;
	}
	return arg;
}

/* What the loop waits for needs a turn that is due, and then a deadline. */
static void *yield_sleep_and_raise(void *arg)
{
	struct stage *s = arg;

	weft_yield();
	CHECK(weft_sleep(1000000) == 0);
	weft_mutex_lock(&s->mutex);
	raise_flag(&s->done);
	weft_mutex_unlock(&s->mutex);
	return arg;
}

static void *member(void *arg)
{
	(void)!weft_event_wait(arg); /* the event is set, or the group is cancelled */
	return NULL;
}

static void run_loop(refused *call, int64_t deadline, int expected)
{
	struct stage s = {.latch = WEFT_LATCH_INIT(1), .barrier = WEFT_BARRIER_INIT(2)};
	struct loop loop = {&s, call, deadline, expected};
	weft_task *looper, *raiser;

	CHECK(weft_chan_create(sizeof(int), 0, &s.empty) == 0);
	CHECK(weft_chan_create(sizeof(int), 0, &s.full) == 0);
	weft_group_init(&s.group);
	weft_timer_init(&s.timer);
	weft_timer_reset(&s.timer, weft_after(2 * LOST_NS), 0);
	CHECK(weft_group_spawn(&s.group, member, &s.event) == 0);
	CHECK(weft_spawn(sleep_for_ever, &s, &s.sleeper) == 0);
	weft_mutex_lock(&s.held);
	weft_rwlock_wrlock(&s.rwlock);

	CHECK(weft_spawn(call_until_done, &loop, &looper) == 0);
	CHECK(weft_spawn(yield_sleep_and_raise, &s, &raiser) == 0);
	CHECK(weft_join(looper, NULL) == 0);
	CHECK(weft_join(raiser, NULL) == 0);

	weft_mutex_unlock(&s.held);
	weft_rwlock_unlock(&s.rwlock);
	weft_cancel(s.sleeper);
	CHECK(weft_join(s.sleeper, NULL) == 0);
	weft_event_set(&s.event);
	CHECK(weft_group_wait(&s.group) == 0);
	weft_group_fini(&s.group);
	weft_chan_destroy(s.empty);
	weft_chan_destroy(s.full);
}

static void *loop_over_cancelled_waits(void *arg)
{
	for (size_t i = 0; i < sizeof(cancellation_points) / sizeof(cancellation_points[0]); i++) {
		run_loop(cancellation_points[i], WEFT_FOREVER, -ECANCELED);
		run_loop(cancellation_points[i], weft_after(2 * LOST_NS), -ECANCELED);
	}
	return arg;
}

static void *loop_over_past_deadlines(void *arg)
{
	for (size_t i = 0; i < sizeof(timed_waits) / sizeof(timed_waits[0]); i++)
		run_loop(timed_waits[i], 1, -ETIMEDOUT);
	return arg;
}

static void test_a_loop_over_cancelled_waits_lets_others_run(void **state)
{
	(void)state;
	assert_run(1, loop_over_cancelled_waits, NULL);
	assert_run(2, loop_over_cancelled_waits, NULL);
}

static void test_a_loop_over_past_deadlines_lets_others_run(void **state)
{
	(void)state;
	assert_run(1, loop_over_past_deadlines, NULL);
	assert_run(2, loop_over_past_deadlines, NULL);
}

/* A condition's wait gives way before it locks the mutex again, so the others can have the
 * mutex. */
struct hand_over {
	weft_mutex mutex;
	weft_cond cond;
	bool locked; /* under mutex */
};

static void *lock_it(void *arg)
{
	struct hand_over *h = arg;

	weft_mutex_lock(&h->mutex);
	h->locked = true;
	weft_mutex_unlock(&h->mutex);
	return arg;
}

static void *wait_cancelled(void *arg)
{
	struct hand_over h = {0};
	weft_task *task;
	int64_t lost_at = lost();

	CHECK(weft_cancel(weft_self()) == 0);
	weft_mutex_lock(&h.mutex);
	CHECK(weft_spawn(lock_it, &h, &task) == 0);
	while (!h.locked && CHECK(weft_now() < lost_at))
		CHECK(weft_cond_wait(&h.cond, &h.mutex) == -ECANCELED);
	weft_mutex_unlock(&h.mutex);
	weft_cancel_mask();
	CHECK(weft_join(task, NULL) == 0);
	weft_cancel_unmask();
	return arg;
}

static void test_a_condition_gives_way_without_its_mutex(void **state)
{
	(void)state;
	assert_run(1, wait_cancelled, NULL);
	assert_run(2, wait_cancelled, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_loop_over_cancelled_waits_lets_others_run),
		cmocka_unit_test(test_a_loop_over_past_deadlines_lets_others_run),
		cmocka_unit_test(test_a_condition_gives_way_without_its_mutex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
