/* SPDX-License-Identifier: MIT */
/* Workloads of tasks and plain threads that wait for each other. */
#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHORTLY ((int64_t)200000)
#define CREW    5 /* tasks; one plain thread comes on top */
#define ROUNDS  6

/* --- sync
 * ------------------------------------------------------------------------------------------------- */

struct shared {
	weft_mutex mutex;
	weft_cond changed;
	weft_rwlock rwlock;
	weft_sem sem;
	weft_barrier barrier;
	weft_once once, tried;
	weft_latch latch;
	weft_event event, token;
	weft_waitgroup waitgroup;
	weft_local key;
	unsigned turn;    /* under mutex */
	unsigned written; /* under rwlock */
	unsigned once_ran, once_failed;
	_Atomic unsigned destroyed;
};

static void count_once(void *arg)
{
	struct shared *s = arg;

	weft_sleep(SHORTLY);
	s->once_ran++;
}

/* Fails the first time, whoever calls it. */
static int fail_first(void *arg)
{
	struct shared *s = arg;

	weft_sleep(SHORTLY);
	return s->once_failed++ == 0 ? -EIO : 0;
}

static void count_destroyed(void *value)
{
	struct shared *s = value;

	/* relaxed: read after the runtime's end. */
	atomic_fetch_add_explicit(&s->destroyed, 1, memory_order_relaxed);
}

static void take_turns(struct shared *s)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		weft_mutex_lock(&s->mutex);
		unsigned seen = s->turn++;
		if (i % 2)
			weft_cond_broadcast(&s->changed);
		else
			weft_cond_signal(&s->changed);
		if (s->turn < (CREW + 1) * ROUNDS && s->turn == seen + 1)
			MUST(weft_cond_wait_until(&s->changed, &s->mutex, weft_after(SHORTLY)) !=
			     -ECANCELED);
		weft_mutex_unlock(&s->mutex);

		weft_rwlock_wrlock(&s->rwlock);
		s->written++;
		weft_sleep(1000);
		weft_rwlock_downgrade(&s->rwlock);
		weft_rwlock_unlock(&s->rwlock);
		weft_rwlock_rdlock(&s->rwlock);
		MUST(s->written > 0);
		int rc = i % 2 ? weft_rwlock_upgrade(&s->rwlock)
			       : weft_rwlock_upgrade_until(&s->rwlock, weft_after(SHORTLY));
		MUST(rc == 0 || rc == -EDEADLK || (rc == -ETIMEDOUT && i % 2 == 0));
		weft_rwlock_unlock(&s->rwlock);

		MUST((i % 2 ? weft_sem_acquire_n(&s->sem, 2) : weft_sem_acquire(&s->sem)) == 0);
		weft_yield();
		weft_sem_release(&s->sem, 1 + i % 2);
		MUST(weft_event_wait(&s->token) == 0); /* passed round */
		weft_event_set(&s->token);
		MUST(weft_barrier_wait(&s->barrier) >= 0);
	}
	weft_once_call(&s->once, count_once, s);
	MUST(s->once_ran == 1);
	int rc = weft_once_try(&s->tried, fail_first, s);
	MUST(rc == 0 || (rc == -EIO && weft_once_try(&s->tried, fail_first, s) == 0));
	MUST(s->once_failed == 2);
	weft_waitgroup_done(&s->waitgroup);
	MUST(weft_waitgroup_wait(&s->waitgroup) == 0);
	weft_latch_count_down(&s->latch, 1);
	MUST(weft_latch_wait(&s->latch) == 0);
	MUST(weft_event_wait(&s->event) == 0);
}

static void *crew_member(void *arg)
{
	struct shared *s = arg;

	CALL(MAY_LACK_MEMORY, weft_local_set(s->key, s));
	take_turns(s);
	MUST(weft_local_get(s->key) == s);
	return NULL;
}

static void *crew_thread(void *arg)
{
	take_turns(arg);
	return NULL;
}

static void *fail(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)-EIO;
}

static void *sleep_until_cancelled(void *arg)
{
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

static void *give_back(void *arg)
{
	return arg;
}

/* A group with a limit, into which two spawn at a time: where a spawn fails, its place goes to the other
 * one, who perhaps waits for it. As many results are received as were spawned. */
#define SPAWNS 6

static void *spawn_some(void *arg)
{
	static const struct weft_task_options named = {.name = "member"};

	for (uintptr_t i = 1; i <= SPAWNS; i++) {
		const struct weft_task_options *opt = i % 2 ? &named : NULL;
		CALL(MAY_LACK_MEMORY, weft_group_spawn_with(arg, opt, give_back, (void *)i));
	}
	return NULL;
}

static void pass_results(void)
{
	uintptr_t received = 0;
	void *result = NULL;
	weft_task *other;
	weft_group g;

	weft_group_init(&g);
	weft_group_keep_results(&g);
	weft_group_set_limit(&g, 1);
	CALL_FOR(other, MAY_LACK_MEMORY, weft_spawn(spawn_some, &g, &other));
	spawn_some(&g);
	MUST(weft_join(other, NULL) == 0);
	while (weft_group_next(&g, &result) == 0)
		received += (uintptr_t)result;
	MUST(received == (uintptr_t)SPAWNS * (SPAWNS + 1));
	MUST(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
}

/* The deadline of a scope is kept whatever is refused: it reaches a wait, a fork and a group. */
static void cut_short(void)
{
	weft_forked fork;
	weft_group g;
	weft_scope s;

	weft_scope_begin(&s, weft_after(SHORTLY));
	weft_group_init(&g);
	CALL(MAY_LACK_MEMORY, weft_group_spawn(&g, sleep_until_cancelled, NULL));
	weft_fork(&fork, sleep_until_cancelled, NULL);
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	weft_fork_join(&fork);
	int rc = weft_group_wait(&g);
	MUST(rc == 0 || rc == -ECANCELED);
	weft_group_fini(&g);
	MUST(weft_scope_end(&s) == -ETIMEDOUT);
	MUST(!weft_cancelled());
}

/* What ends a wait other than that for which it waits: a deadline, a scope that is cancelled, and a
 * barrier that breaks. */
static void *break_barrier(void *arg)
{
	weft_barrier_break(arg);
	return NULL;
}

static void *cancel_scope(void *arg)
{
	weft_scope_cancel(arg);
	return NULL;
}

static void end_otherwise(void)
{
	weft_barrier barrier = WEFT_BARRIER_INIT(2);
	weft_task *task;
	weft_timer timer;
	weft_scope s;
	weft_group g;

	MUST(weft_barrier_wait_until(&barrier, weft_after(SHORTLY)) == -ETIMEDOUT);
	CALL_FOR(task, MAY_LACK_MEMORY, weft_spawn(break_barrier, &barrier, &task));
	MUST(weft_barrier_wait(&barrier) == -EPIPE);
	MUST(weft_join(task, NULL) == 0);

	weft_timer_init(&timer);
	weft_timer_reset(&timer, weft_after(SHORTLY), 0);
	MUST(weft_timer_wait(&timer, NULL) == 0);
	MUST(weft_timer_wait_until(&timer, NULL, weft_after(SHORTLY)) == -ETIMEDOUT);
	weft_scope_begin(&s, WEFT_FOREVER);
	CALL_FOR(task, MAY_LACK_MEMORY, weft_spawn(cancel_scope, &s, &task));
	MUST(weft_timer_wait(&timer, NULL) == -ECANCELED);
	MUST(weft_scope_end(&s) == -ECANCELED);
	MUST(weft_join(task, NULL) == 0);
	weft_timer_fini(&timer);

	weft_group_init(&g);
	CALL(MAY_LACK_MEMORY, weft_group_spawn(&g, sleep_until_cancelled, NULL));
	MUST(weft_group_wait_or_cancel_until(&g, weft_after(SHORTLY)) == -ETIMEDOUT);
	CALL(MAY_LACK_MEMORY, weft_group_spawn(&g, sleep_until_cancelled, NULL));
	weft_group_cancel(&g);
	MUST(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
}

static void *sync_main(void *arg)
{
	struct shared *s = arg;
	weft_group crew, failing;

	weft_group_init(&crew);
	weft_group_init(&failing);
	for (int i = 0; i < CREW; i++)
		CALL(MAY_LACK_MEMORY, weft_group_spawn(&crew, crew_member, s));
	for (int i = 0; i < 4; i++)
		CALL(MAY_LACK_MEMORY, weft_group_spawn(&failing, sleep_until_cancelled, NULL));
	MUST(weft_group_wait_until(&failing, weft_after(SHORTLY)) == -ETIMEDOUT);
	CALL(MAY_LACK_MEMORY, weft_group_spawn(&failing, fail, NULL));
	MUST(weft_group_wait(&failing) == -EIO);
	weft_group_fini(&failing);
	pass_results();
	cut_short();
	end_otherwise();
	MUST(weft_latch_wait(&s->latch) == 0);
	weft_event_set(&s->event);
	MUST(weft_group_wait(&crew) == 0);
	weft_group_fini(&crew);
	return NULL;
}

void workload_sync(void)
{
	struct shared s = {.turn = 0};
	pthread_t thread;

	weft_mutex_init(&s.mutex);
	weft_cond_init(&s.changed);
	weft_rwlock_init(&s.rwlock);
	weft_sem_init(&s.sem, 2);
	weft_barrier_init(&s.barrier, CREW + 1);
	weft_once_init(&s.once);
	weft_once_init(&s.tried);
	weft_latch_init(&s.latch, CREW + 1);
	weft_event_init(&s.event);
	weft_event_init_auto(&s.token);
	weft_event_set(&s.token);
	weft_waitgroup_init(&s.waitgroup);
	weft_waitgroup_add(&s.waitgroup, CREW + 1);
	MUST(weft_local_create(count_destroyed, &s.key) == 0);

	if (!MUST(pthread_create(&thread, NULL, crew_thread, &s) == 0))
		exit(1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(sync_main, &s, NULL));
	pthread_join(thread, NULL);

	MUST(s.written == (CREW + 1) * ROUNDS);
	MUST(atomic_load_explicit(&s.destroyed, memory_order_relaxed) == CREW);
	MUST(weft_local_delete(s.key) == 0);
	weft_waitgroup_fini(&s.waitgroup);
	weft_event_fini(&s.token);
	weft_event_fini(&s.event);
	weft_latch_fini(&s.latch);
	weft_once_fini(&s.tried);
	weft_once_fini(&s.once);
	weft_barrier_fini(&s.barrier);
	weft_sem_fini(&s.sem);
	weft_rwlock_fini(&s.rwlock);
	weft_cond_fini(&s.changed);
	weft_mutex_fini(&s.mutex);
}

/* --- chan
 * ------------------------------------------------------------------------------------------------- */

#define ITEMS 40
#define CASES 20 /* more than a select has room for on its stack */

struct pipes {
	weft_chan *chan[CASES];
	weft_chan *results; /* each user has a reference */
	_Atomic unsigned sent;
};

static void *produce(void *arg)
{
	struct pipes *p = arg;

	for (unsigned i = 0; i < ITEMS; i++) {
		MUST(weft_chan_send(p->chan[i % CASES], &i) == 0);
		/* relaxed: read after the joins. */
		atomic_fetch_add_explicit(&p->sent, i, memory_order_relaxed);
	}
	return NULL;
}

/* As a later version's program has it: the library copies the cases, to memory that it may lack. */
struct later_case {
	struct weft_case known;
	uint64_t more;
};

/* Waits in all channels at a time; the number of items taken. */
static void *consume(void *arg)
{
	struct pipes *p = arg;
	unsigned open = CASES, item, sum = 0;
	struct later_case cases[CASES + 1] = {0};
	weft_timer tick;

	weft_timer_init(&tick);
	weft_timer_reset(&tick, weft_after(SHORTLY), SHORTLY);
	cases[CASES].known = (struct weft_case){.op = WEFT_TIMER, .timer = &tick};
	for (unsigned i = 0; i < CASES; i++)
		cases[i].known =
			(struct weft_case){.op = WEFT_RECV, .chan = p->chan[i], .elem = &item};
	while (open > 0) {
		int taken = -1;
		for (unsigned tries = 0;; tries++) {
			errno_mark();
			taken = (open % 2 ? weft_select_sized : weft_select_ordered_sized)(
				&cases[0].known, sizeof cases[0], CASES + 1, WEFT_FOREVER);
			if (!refused_at(taken < 0 ? taken : 0, MAY_LACK_MEMORY, tries,
					"weft_select", __FILE__, __LINE__))
				break;
		}
		if (taken == CASES)
			continue;
		if (cases[taken].known.ret_status == 0) {
			sum += item;
		} else {
			MUST(cases[taken].known.ret_status == -EPIPE);
			cases[taken].known.chan = NULL;
			open--;
		}
	}
	weft_timer_fini(&tick);
	MUST(weft_chan_send(p->results, &sum) == 0);
	weft_chan_unref(p->results);
	return NULL;
}

static void *chan_main(void *arg)
{
	struct pipes *p = arg;
	weft_task *producers[2], *consumers[2];
	unsigned total = 0;

	for (int i = 0; i < 2; i++)
		CALL_FOR(consumers[i], MAY_LACK_MEMORY, weft_spawn(consume, p, &consumers[i]));
	for (int i = 0; i < 2; i++)
		CALL_FOR(producers[i], MAY_LACK_MEMORY, weft_spawn(produce, p, &producers[i]));
	for (int i = 0; i < 2; i++)
		MUST(weft_join(producers[i], NULL) == 0);
	for (int i = 0; i < CASES; i++)
		weft_chan_close(p->chan[i]);
	for (int i = 0; i < 3; i++) { /* the third is the thread's */
		unsigned sum = 0;
		MUST(weft_chan_recv(p->results, &sum) == 0);
		total += sum;
	}
	for (int i = 0; i < 2; i++)
		MUST(weft_join(consumers[i], NULL) == 0);
	MUST(total == atomic_load_explicit(&p->sent, memory_order_relaxed));
	return NULL;
}

void workload_chan(void)
{
	size_t size = weft_chan_memory_size(sizeof(unsigned), 0);
	struct pipes p = {.results = NULL};
	void *memory = malloc(size); /* not Weft's, so it does not fail */
	pthread_t thread;

	for (unsigned i = 0; i < CASES; i++)
		CALL_FOR(p.chan[i], MAY_LACK_MEMORY,
			 weft_chan_create(sizeof(unsigned), i % 3, &p.chan[i]));
	if (!MUST(weft_chan_create_in(memory, size, sizeof(unsigned), 0, &p.results) == 0))
		exit(1);
	for (int i = 0; i < 3; i++)
		weft_chan_ref(p.results);
	if (!MUST(pthread_create(&thread, NULL, consume, &p) == 0))
		exit(1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(chan_main, &p, NULL));
	pthread_join(thread, NULL);
	MUST(weft_chan_unref(p.results));
	free(memory);
	for (unsigned i = 0; i < CASES; i++)
		weft_chan_destroy(p.chan[i]);
}
