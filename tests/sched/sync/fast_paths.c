/* SPDX-License-Identifier: MIT */
/*
 * A task whose calls never have to wait gives way to others (sched/core/patience.c), even if there
 * is only one worker. In each test it repeats one call until a victim has run. The victim is a
 * runnable task on the same worker, a task that sleeps, or a task that a plain thread has
 * submitted.
 */
#include "crew.h"

#include <weft/fork.h>

#include <pthread.h>

static struct {
	weft_mutex mutex;
	weft_rwlock rwlock;
	weft_sem sem, two;
	weft_chan *chan, *big, *closed, *five;
	weft_timer timer;
	weft_event event;
	weft_barrier one, broken;
	flag run;
} stage;

#define BIG_BYTES 8192

typedef void call(void);

static void lock(void)
{
	weft_mutex_lock(&stage.mutex);
	weft_mutex_unlock(&stage.mutex);
}

static void lock_until(void)
{
	CHECK(weft_mutex_lock_until(&stage.mutex, WEFT_FOREVER) == 0);
	weft_mutex_unlock(&stage.mutex);
}

static void lock_to_read(void)
{
	weft_rwlock_rdlock(&stage.rwlock);
	weft_rwlock_unlock(&stage.rwlock);
}

static void lock_to_write(void)
{
	weft_rwlock_wrlock(&stage.rwlock);
	weft_rwlock_unlock(&stage.rwlock);
}

static void acquire(void)
{
	CHECK(weft_sem_acquire(&stage.sem) == 0);
	weft_sem_release(&stage.sem, 1);
}

static void send_and_receive(void)
{
	int value = 1;

	CHECK(weft_chan_send(stage.chan, &value) == 0);
	CHECK(weft_chan_recv(stage.chan, &value) == 0);
}

/* Nearly all of these calls must not give way, and the others fall into step with them. */
static void try_in_between(void)
{
	int value = 1;

	CHECK(weft_chan_send(stage.five, &value) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_chan_try_send(stage.five, &value) == 0);
	CHECK(weft_chan_recv(stage.five, &value) == 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_chan_try_recv(stage.five, &value) == 0);
}

static void acquire_and_try(void)
{
	CHECK(weft_sem_acquire(&stage.two) == 0);
	CHECK(weft_sem_acquire_until(&stage.two, 0) == 0);
	weft_sem_release(&stage.two, 2);
}

static void send_and_receive_big(void)
{
	static char value[BIG_BYTES];

	CHECK(weft_chan_send(stage.big, value) == 0);
	CHECK(weft_chan_recv(stage.big, value) == 0);
}

static void use_closed(void)
{
	int value = 1;

	CHECK(weft_chan_send(stage.closed, &value) == -EPIPE);
	CHECK(weft_chan_recv(stage.closed, &value) == -EPIPE);
}

static void select_both(void)
{
	int value = 1;
	struct weft_case both[2] = {{.op = WEFT_SEND, .chan = stage.chan, .elem = &value},
				    {.op = WEFT_RECV, .chan = stage.chan, .elem = &value}};

	CHECK(weft_select(both, 2, WEFT_FOREVER) >= 0);
}

static void take_ticks(void)
{
	uint64_t ticks;

	CHECK(weft_timer_wait(&stage.timer, &ticks) == 0 && ticks > 0);
}

static void set_and_wait(void)
{
	weft_event_set(&stage.event);
	CHECK(weft_event_wait(&stage.event) == 0);
}

static void pass_barriers(void)
{
	CHECK(weft_barrier_wait(&stage.one) == 1);
	CHECK(weft_barrier_wait(&stage.broken) == -EPIPE);
}

static void fork_and_join(void)
{
	weft_forked forked;

	weft_fork(&forked, give_back, NULL);
	weft_fork_join(&forked);
}

static void spawn_and_join(void)
{
	weft_task *task;

	if (CHECK(weft_spawn(give_back, NULL, &task) == 0))
		CHECK(weft_join(task, NULL) == 0);
}

static call *const calls[] = {
	lock,           lock_until,      lock_to_read,     lock_to_write,
	acquire,        acquire_and_try, send_and_receive, send_and_receive_big,
	try_in_between, use_closed,      select_both,      take_ticks,
	set_and_wait,   pass_barriers,   fork_and_join,    spawn_and_join,
};

static void set_stage(void)
{
	weft_mutex_init(&stage.mutex);
	weft_rwlock_init(&stage.rwlock);
	weft_sem_init(&stage.sem, 1);
	weft_sem_init(&stage.two, 2);
	assert_int_equal(weft_chan_create(sizeof(int), 5, &stage.five), 0);
	assert_int_equal(weft_chan_create(sizeof(int), 1, &stage.chan), 0);
	assert_int_equal(weft_chan_create(BIG_BYTES, 1, &stage.big), 0);
	assert_int_equal(weft_chan_create(sizeof(int), 1, &stage.closed), 0);
	weft_chan_close(stage.closed);
	weft_event_init_auto(&stage.event);
	weft_barrier_init(&stage.one, 1);
	weft_barrier_init(&stage.broken, 2);
	weft_barrier_break(&stage.broken);
	weft_timer_init(&stage.timer);
	weft_timer_reset(&stage.timer, 0, 1);
}

static void clear_stage(void)
{
	weft_chan_destroy(stage.chan);
	weft_chan_destroy(stage.big);
	weft_chan_destroy(stage.closed);
	weft_chan_destroy(stage.five);
}

static void *note_run(void *arg)
{
	raise_flag(&stage.run);
	return arg;
}

static void *sleep_and_note(void *arg)
{
	CHECK(weft_sleep(1000000) == 0);
	return note_run(arg);
}

static void *submit_victim(void *arg)
{
	CHECK(weft_submit(arg, note_run, NULL, NULL) == 0);
	return NULL;
}

static void spawn_victim(void)
{
	CHECK(weft_spawn(note_run, NULL, NULL) == 0);
}

static void spawn_sleeper(void)
{
	CHECK(weft_spawn(sleep_and_note, NULL, NULL) == 0);
}

static void inject_victim(void)
{
	static weft_runtime *rt;
	pthread_t thread;

	rt = weft_runtime_self();
	if (CHECK(pthread_create(&thread, NULL, submit_victim, rt) == 0))
		pthread_join(thread, NULL);
}

static void (*const victims[])(void) = {spawn_victim, spawn_sleeper, inject_victim};

struct play {
	call *call;
	void (*victim)(void);
};

static void *play(void *arg)
{
	const struct play *p = arg;
	int64_t lost = weft_after(LOST_NS);

	p->victim();
	while (!is_raised(&stage.run, 1)) {
		for (unsigned i = 0; i < 100; i++)
			p->call();
		if (weft_now() > lost)
			break;
	}
	CHECK(is_raised(&stage.run, 1));
	return NULL;
}

static void test_calls_that_need_not_wait_give_way(void **state)
{
	(void)state;
	set_stage();
	for (size_t c = 0; c < sizeof(calls) / sizeof(*calls); c++) {
		for (size_t v = 0; v < sizeof(victims) / sizeof(*victims); v++) {
			struct play p = {calls[c], victims[v]};

			atomic_store_explicit(&stage.run, 0, memory_order_relaxed);
			assert_run(1, play, &p);
		}
	}
	clear_stage();
}

/* A plain thread has nobody to give way to. */
static void test_threads_call_the_same(void **state)
{
	(void)state;
	set_stage();
	for (size_t c = 0; calls[c] != fork_and_join; c++) {
		for (unsigned i = 0; i < 1000; i++)
			calls[c]();
	}
	assert_int_equal(checks_failed(), 0);
	clear_stage();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_that_need_not_wait_give_way),
		cmocka_unit_test(test_threads_call_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
