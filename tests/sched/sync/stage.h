/* SPDX-License-Identifier: MIT */
/*
 * A stage for waiting calls: objects in which each of them waits, and an actor that opens the gate
 * and so lets each wait end well. Each call has up to three functions with the same form:
 *
 *   until_x()   the call with a deadline, or the only form that there is
 *   plain_x()   without a deadline
 *   try_x()     the form that does not wait
 */
#ifndef WEFT_TESTS_SCHED_SYNC_STAGE_H
#define WEFT_TESTS_SCHED_SYNC_STAGE_H

#include "tests/sched/core/harness.h"

#include <weft/fork.h>

#include <netinet/in.h>
#include <pthread.h>

#define SHORTLY ((int64_t)100 * 1000)

struct stage {
	weft_runtime *rt;
	weft_mutex mutex, held;
	weft_cond cond;
	bool changed; /* under mutex */
	weft_rwlock written, read;
	weft_sem sem;
	weft_barrier barrier;
	weft_once once;
	weft_latch latch;
	weft_event event, gate;
	weft_waitgroup waitgroup;
	weft_chan *empty, *full;
	weft_timer timer;
	weft_group group, results;
	weft_task *sleeper, *holder, *blocker, *opener;
	flag holds, blocks, opened;
	bool joined;   /* the sleeper; its handle is gone */
	bool stubborn; /* members of the groups do not end when they are cancelled */

	/* Descriptors (stage_io.h). */
	bool has_io;
	int quiet[2], stuffed[2], listener, crowded, first_client, second_client, connecting,
		visitor;
	struct sockaddr_in listens, crowds;
	int in, out, door, plug; /* what the calls are made with */
};

typedef int call(struct stage *s, int64_t deadline);

/* --- before the gate and behind it --- */

static void *wait_for_gate(void *arg)
{
	struct stage *s = arg;

	weft_cancel_mask();
	CHECK(weft_event_wait(&s->gate) == 0);
	weft_cancel_unmask();
	return NULL;
}

static void open_gate(struct stage *s)
{
	raise_flag(&s->opened);
	weft_event_set(&s->gate);
}

/* Lets every wait end, except for those that need a partner. */
static void *provide(void *arg)
{
	struct stage *s = arg;

	CHECK(weft_sleep(SHORTLY) == 0);
	open_gate(s);
	weft_mutex_lock(&s->mutex);
	s->changed = true;
	weft_cond_broadcast(&s->cond);
	weft_mutex_unlock(&s->mutex);
	weft_sem_release(&s->sem, 3);
	weft_latch_count_down(&s->latch, 1);
	weft_event_set(&s->event);
	weft_waitgroup_done(&s->waitgroup);
	weft_timer_reset(&s->timer, 0, 0);
	CHECK(weft_cancel(s->sleeper) == 0);
	return arg;
}

static void *meet_at_barrier(void *arg)
{
	struct stage *s = arg;

	provide(arg);
	CHECK(weft_barrier_wait(&s->barrier) >= 0);
	return arg;
}

static void *meet_in_channel(void *arg)
{
	struct stage *s = arg;
	struct weft_case cases[2] = {{.op = WEFT_RECV, .chan = s->full},
				     {.op = WEFT_SEND, .chan = s->empty}};

	provide(arg);
	CHECK(weft_select(cases, 2, WEFT_FOREVER) >= 0);
	return arg;
}

/* Opens the gate a little later, independent of the caller. */
static void provide_later(struct stage *s, weft_fn *how)
{
	CHECK(weft_submit(s->rt, how, s, &s->opener) == 0);
}

/* The result of a call that has none: whether it has waited. */
static int has_waited(struct stage *s)
{
	return is_raised(&s->opened, 1) ? 0 : -EAGAIN;
}

/* --- the actors that are in the way --- */

static void *hold(void *arg)
{
	struct stage *s = arg;

	weft_mutex_lock(&s->held);
	weft_rwlock_wrlock(&s->written);
	weft_rwlock_rdlock(&s->read);
	raise_flag(&s->holds);
	wait_for_gate(arg);
	weft_mutex_unlock(&s->held);
	weft_rwlock_unlock(&s->written);
	weft_rwlock_unlock(&s->read);
	return arg;
}

static void *occupy_thread(void *arg)
{
	struct stage *s = arg;

	raise_flag(&s->blocks);
	return wait_for_gate(arg);
}

/* Takes the only thread for blocking calls. */
static void *run_blocking(void *arg)
{
	CHECK(weft_blocking(occupy_thread, arg, NULL) == 0);
	return arg;
}

static void *member(void *arg)
{
	struct stage *s = arg;

	if (s->stubborn)
		return wait_for_gate(arg);
	CHECK(weft_event_wait(&s->gate) != -ETIMEDOUT);
	return NULL;
}

/* --- the calls --- */

static int until_sleep(struct stage *s, int64_t deadline)
{
	(void)s;
	return weft_sleep_until(deadline);
}

static int plain_sleep(struct stage *s, int64_t deadline)
{
	(void)s;
	return weft_sleep(deadline);
}

static int joined(struct stage *s, int rc)
{
	s->joined = rc == 0;
	return rc;
}

static int until_join(struct stage *s, int64_t deadline)
{
	return joined(s, weft_join_until(s->sleeper, NULL, deadline));
}

static int plain_join(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return joined(s, weft_join(s->sleeper, NULL));
}

static int until_fork_join(struct stage *s, int64_t deadline)
{
	weft_forked forked;

	(void)deadline;
	weft_fork(&forked, wait_for_gate, s);
	weft_fork_join(&forked);
	return has_waited(s);
}

static int until_group_wait(struct stage *s, int64_t deadline)
{
	return weft_group_wait_until(&s->group, deadline);
}

static int plain_group_wait(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_wait(&s->group);
}

static int until_group_wait_or_cancel(struct stage *s, int64_t deadline)
{
	return weft_group_wait_or_cancel_until(&s->group, deadline);
}

static int until_group_next(struct stage *s, int64_t deadline)
{
	return weft_group_next_until(&s->results, NULL, deadline);
}

static int plain_group_next(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_next(&s->results, NULL);
}

static int until_group_spawn(struct stage *s, int64_t deadline)
{
	return weft_group_spawn_until(&s->group, give_back, NULL, deadline);
}

static int plain_group_spawn(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_spawn(&s->group, give_back, NULL);
}

static int try_group_spawn(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_try_spawn(&s->group, give_back, NULL);
}

static int until_group_submit(struct stage *s, int64_t deadline)
{
	return weft_group_submit_until(&s->group, s->rt, give_back, NULL, deadline);
}

static int plain_group_submit(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_submit(&s->group, s->rt, give_back, NULL);
}

/* A lock that was locked is unlocked again. */
static int until_mutex(struct stage *s, int64_t deadline)
{
	int rc = weft_mutex_lock_until(&s->held, deadline);

	if (rc == 0)
		weft_mutex_unlock(&s->held);
	return rc;
}

static int plain_mutex(struct stage *s, int64_t deadline)
{
	(void)deadline;
	weft_mutex_lock(&s->held);
	weft_mutex_unlock(&s->held);
	return has_waited(s);
}

static int try_mutex(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_mutex_try_lock(&s->held);
}

static int wait_for_change(struct stage *s, int64_t deadline, bool plain)
{
	int rc = 0;

	weft_mutex_lock(&s->mutex);
	while (!s->changed && rc == 0)
		rc = plain ? weft_cond_wait(&s->cond, &s->mutex)
			   : weft_cond_wait_until(&s->cond, &s->mutex, deadline);
	weft_mutex_unlock(&s->mutex);
	return rc;
}

static int until_cond(struct stage *s, int64_t deadline)
{
	return wait_for_change(s, deadline, false);
}

static int plain_cond(struct stage *s, int64_t deadline)
{
	return wait_for_change(s, deadline, true);
}

static int unlocked(weft_rwlock *rwlock, int rc)
{
	if (rc == 0)
		weft_rwlock_unlock(rwlock);
	return rc;
}

static int until_rdlock(struct stage *s, int64_t deadline)
{
	return unlocked(&s->written, weft_rwlock_rdlock_until(&s->written, deadline));
}

static int plain_rdlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	weft_rwlock_rdlock(&s->written);
	return unlocked(&s->written, has_waited(s));
}

static int try_rdlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_rwlock_try_rdlock(&s->written);
}

static int until_wrlock(struct stage *s, int64_t deadline)
{
	return unlocked(&s->read, weft_rwlock_wrlock_until(&s->read, deadline));
}

static int plain_wrlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	weft_rwlock_wrlock(&s->read);
	return unlocked(&s->read, has_waited(s));
}

static int try_wrlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_rwlock_try_wrlock(&s->read);
}

static int until_upgrade(struct stage *s, int64_t deadline)
{
	weft_rwlock_rdlock(&s->read);
	int rc = weft_rwlock_upgrade_until(&s->read, deadline);
	weft_rwlock_unlock(&s->read);
	return rc;
}

static int plain_upgrade(struct stage *s, int64_t deadline)
{
	(void)deadline;
	weft_rwlock_rdlock(&s->read);
	int rc = weft_rwlock_upgrade(&s->read);
	weft_rwlock_unlock(&s->read);
	return rc < 0 ? rc : has_waited(s);
}

static int until_sem(struct stage *s, int64_t deadline)
{
	return weft_sem_acquire_until(&s->sem, deadline);
}

static int plain_sem(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_sem_acquire(&s->sem);
}

static int try_sem(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_sem_try_acquire(&s->sem);
}

static int until_sem_n(struct stage *s, int64_t deadline)
{
	return weft_sem_acquire_n_until(&s->sem, 3, deadline);
}

static int plain_sem_n(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_sem_acquire_n(&s->sem, 3);
}

/* 1 to one of those who have met */
static int met(int rc)
{
	return rc > 0 ? 0 : rc;
}

static int until_barrier(struct stage *s, int64_t deadline)
{
	return met(weft_barrier_wait_until(&s->barrier, deadline));
}

static int plain_barrier(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return met(weft_barrier_wait(&s->barrier));
}

static void run_once(void *arg)
{
	wait_for_gate(arg);
}

static int until_once(struct stage *s, int64_t deadline)
{
	(void)deadline;
	weft_once_call(&s->once, run_once, s);
	return has_waited(s);
}

static int do_once(void *arg)
{
	wait_for_gate(arg);
	return 0;
}

static int until_once_try(struct stage *s, int64_t deadline)
{
	(void)deadline;
	CHECK(weft_once_try(&s->once, do_once, s) == 0);
	return has_waited(s);
}

static int until_latch(struct stage *s, int64_t deadline)
{
	return weft_latch_wait_until(&s->latch, deadline);
}

static int plain_latch(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_latch_wait(&s->latch);
}

static int until_event(struct stage *s, int64_t deadline)
{
	return weft_event_wait_until(&s->event, deadline);
}

static int plain_event(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_event_wait(&s->event);
}

static int until_waitgroup(struct stage *s, int64_t deadline)
{
	return weft_waitgroup_wait_until(&s->waitgroup, deadline);
}

static int plain_waitgroup(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_waitgroup_wait(&s->waitgroup);
}

static int until_send(struct stage *s, int64_t deadline)
{
	return weft_chan_send_until(s->full, NULL, deadline);
}

static int plain_send(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_send(s->full, NULL);
}

static int try_send(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_try_send(s->full, NULL);
}

static int until_recv(struct stage *s, int64_t deadline)
{
	return weft_chan_recv_until(s->empty, NULL, deadline);
}

static int plain_recv(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_recv(s->empty, NULL);
}

static int try_recv(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_try_recv(s->empty, NULL);
}

static int select_from(struct stage *s, int64_t deadline, bool ordered)
{
	struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = s->full},
				     {.op = WEFT_RECV, .chan = s->empty}};
	int i = ordered ? weft_select_ordered(cases, 2, deadline) : weft_select(cases, 2, deadline);

	return i < 0 ? i : cases[i].ret_status;
}

static int until_select(struct stage *s, int64_t deadline)
{
	return select_from(s, deadline, false);
}

static int until_select_ordered(struct stage *s, int64_t deadline)
{
	return select_from(s, deadline, true);
}

static int until_timer(struct stage *s, int64_t deadline)
{
	return weft_timer_wait_until(&s->timer, NULL, deadline);
}

static int plain_timer(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_timer_wait(&s->timer, NULL);
}

static int until_blocking(struct stage *s, int64_t deadline)
{
	(void)deadline;
	CHECK(weft_blocking(wait_for_gate, s, NULL) == 0);
	return has_waited(s);
}

static int until_blocking_until(struct stage *s, int64_t deadline)
{
	return weft_blocking_until(give_back, s, NULL, deadline);
}

#endif
