/* SPDX-License-Identifier: MIT */
/*
 * Adding and removing workers while tasks run.
 *
 * `admin` protects the target, the workers' states, and the table. A worker's states:
 *
 *    NEW ──► RUNNING ◄──► RETIRING ──► GONE
 *               ▲                        │
 *               └────────────────────────┘
 *
 *    NEW → RUNNING        start_locked(): it gets a thread
 *    RUNNING → RETIRING   retire_locked(): the runtime shrinks
 *    RETIRING → RUNNING   start_locked(): it is wanted again before it has left
 *    RETIRING → GONE      weft__worker_leave(): it has handed over its tasks
 *    GONE → RUNNING       start_locked(): its old thread is joined, and it gets a new one
 *
 * A retiring worker stops stealing, and its leader hands over what its queues hold. It runs the
 * tasks that are pinned to it until the last one has ended. Then it takes itself out of the table.
 * Its record stays. Other workers expire its deadlines, and a thread that still has its address
 * finds an empty inbox.
 *
 * There is always a table, from before the first worker starts. Only workers read it, in RCU
 * read-side sections without a switch in them. An outgrown table is freed by the next worker thread
 * that starts or ends. These threads may block, while the caller of weft_runtime_set_workers() may
 * be a task.
 */
#include "workers.h"

#include "chaos.h"
#include "coros.h"
#include "execute.h"
#include "find.h"
#include "idle.h"
#include "overflow.h"
#include "patience.h"
#include "ready.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/pause.h"
#include "task_pool.h"
#include "timekeeper.h"
#include "timer.h"
#include "tls.h"
#include "trim.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* How many tasks the queues hold before they grow and overflow. Under WEFT_CHAOS that happens all
 * the time. */
#define QUEUE_CAPACITY 1024

/* How many times its capacity the ring grows to before it overflows. A ring of 128 Ki takes 2 MiB,
 * and 4 MiB with the smaller ones before it, which stay. */
#define RING_GROWTH       128
#define RING_GROWTH_CHAOS 4

static struct worker *worker_new(struct weft_runtime *rt, uint16_t id)
{
	struct worker *w = weft__aligned_alloc(alignof(struct worker), sizeof *w);

	if (!w)
		return NULL;
	*w = (struct worker){.rt = rt,
			     .id = id,
			     .holder_hint = (uint64_t)(id + 1u) << 32,
			     .life.state = WORKER_NEW,
			     .idle.shorts = 0xff,
			     .patience.left = WEFT__PATIENCE,
			     .pick.served_at = UINT32_MAX};
	/* relaxed: w keeps nothing yet. */
	w->coros.trims = load_relaxed(&weft__trims);
	weft__random_seed(&w->random, rt->config.chaos.seed + id);
	unsigned capacity = rt->config.chaos.on ? weft__chaos_capacity(w) : QUEUE_CAPACITY;
	if (weft__deque_init(&w->deque, capacity) < 0)
		goto err_deque;
	unsigned growth = rt->config.chaos.on ? RING_GROWTH_CHAOS : RING_GROWTH;
	if (weft__ring_init(&w->ring, capacity, capacity * growth) < 0)
		goto err_ring;
	weft__wfcq_init(&w->inbox);
	weft__timers_init(&w->timers);
	weft__timers_init(&w->scopes);
	WEFT__SET_RANK(&w->scopes.lock, SCOPES);
	weft__task_pool_init(&w->tasks);
	return w;

err_ring:
	weft__deque_fini(&w->deque);
err_deque:
	free(w);
	return NULL;
}

static void worker_free(struct worker *w)
{
	weft__task_pool_fini(&w->tasks);
	weft__ring_fini(&w->ring);
	weft__deque_fini(&w->deque);
	free(w);
}

static struct worker_table *table_new(unsigned room)
{
	struct worker_table *table = weft__malloc(sizeof *table + room * sizeof table->workers[0]);

	if (table)
		table->count = 0;
	return table;
}

static void table_add(struct worker_table *table, struct worker *w)
{
	for (unsigned i = 0; i < table->count; i++) {
		if (table->workers[i] == w)
			return;
	}
	table->workers[table->count++] = w;
}

static void publish_table_locked(struct weft_runtime *rt, struct worker_table *table)
{
	struct worker_table *old = worker_table(rt); /* only we store it */

	weft__rcu_store(&rt->table, table);
	old->retired_next = rt->retired_tables;
	rt->retired_tables = old;
}

static void free_tables(struct worker_table *table)
{
	while (table) {
		struct worker_table *next = table->retired_next;
		san_ignore_begin();
		free(table);
		san_ignore_end();
		table = next;
	}
}

static void reclaim_tables(struct weft_runtime *rt)
{
	weft__lock(&rt->admin);
	struct worker_table *retired = rt->retired_tables;
	rt->retired_tables = NULL;
	weft__unlock(&rt->admin);
	if (retired)
		weft__rcu_synchronize();
	free_tables(retired);
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	char name[16];

	weft__thread_traits_apply(&w->rt->traits);
	snprintf(name, sizeof name, "weft-%u", (unsigned)w->id);
	pthread_setname_np(pthread_self(), name);
	if (w->rt->config.pin == WEFT__PIN_CORES)
		weft__thread_bind(&w->rt->traits, w->id);
	reclaim_tables(w->rt);
	weft__worker_loop(w);
	return NULL;
}

/* It is only read, since there is no C++ runtime that could write to it. */
static struct eh_globals no_exceptions;

void weft__worker_appear(struct worker *w)
{
	weft__worker_set(w, w->thread_state->plain && weft__fence_light_is_free());
}

void weft__worker_loop(struct worker *w)
{
	void *signal_stack = weft__overflow_thread_begin();
	struct task *t;

	weft__coro_thread_init();
	w->thread_state = weft__thread();
	/* This is not the thread's leader if weft_run() is called on a generator's stack. */
	w->leader = w->thread_state->current;
	w->errno_location = w->thread_state->errno_location;
	w->eh_globals = w->thread_state->eh_globals ? w->thread_state->eh_globals : &no_exceptions;
	call_hook(w, w->rt->hooks.start);
	if (w->rt->hooks.start)
		san_release(&w->leader); /* for san_after_start_hook() (execute.c) */
	weft__rcu_register();
	weft__worker_appear(w);
	if (w->rt->config.chaos.virtual_time)
		weft__clock_begin_virtual();
	while ((t = weft__find(w))) {
		if (unlikely(w->rt->config.chaos.on))
			weft__chaos_picked(w, t);
		weft__execute(w, t);
	}
	if (w->rt->config.chaos.virtual_time)
		weft__clock_end_virtual();
	weft__drop_idle_coros(w);
	weft__worker_set(NULL, false);
	weft__rcu_unregister();
	if (w->rt->hooks.stop)
		san_acquire(&w->outgoing.fate); /* pairs with san_before_stop_hook() (execute.c) */
	call_hook(w, w->rt->hooks.stop);
	weft__overflow_thread_end(signal_stack);
}

/* Changes the count of workers that have a thread and do not sleep (idle.c). */
static void count_awake(struct weft_runtime *rt, int change)
{
	weft__lock(&rt->idle_lock);
	rt->awake_count += (unsigned)change;
	weft__unlock(&rt->idle_lock);
}

/* Makes a record for worker number id, unless it exists. */
static int record_locked(struct weft_runtime *rt, unsigned id)
{
	if (rt->records[id])
		return 0;
	struct worker *w = worker_new(rt, (uint16_t)id);
	if (!w)
		return -ENOMEM;
	/* It has no thread, so others must not send it anything. relaxed: not visible yet. */
	store_relaxed(&w->life.retiring, true);
	rt->records[id] = w;
	/* release: the record, for readers that go through all records. */
	store_release(&rt->record_count, id + 1);
	return 0;
}

/*
 * Gives worker number id, which has a record, a thread.
 *
 * The worker ceases to be `retiring` once the thread exists, as others may send it tasks only then.
 * A faster thread may find itself retiring. Either it takes the lock to leave, and is told to stay.
 * Or it has gone to sleep as a retiring worker, and is nudged.
 */
static int start_locked(struct weft_runtime *rt, unsigned id)
{
	struct worker *w = rt->records[id];

	if (w->life.state == WORKER_GONE) {
		san_ignore_begin();
		pthread_join(w->life.thread, NULL); /* it has made its last use of any lock */
		san_ignore_end();
		w->life.state = WORKER_NEW;
	}
	if (w->life.state == WORKER_NEW) {
		count_awake(rt, 1);
		int rc = rt->borrowed && id == 0
				 ? 0
				 : weft__thread_start(&w->life.thread, worker_thread, w);
		if (rc < 0) {
			count_awake(rt, -1);
			return rc;
		}
	}
	w->life.state = WORKER_RUNNING;
	store_relaxed(&w->life.retiring, false);
	weft__nudge(w);
	return 0;
}

static void retire_locked(struct weft_runtime *rt, unsigned id)
{
	struct worker *w = rt->records[id];

	w->life.state = WORKER_RETIRING;
	store_relaxed(&w->life.retiring, true);
	weft__nudge(w);
}

/*
 * Puts the new workers into the table before any of them has a thread. A worker with a thread may
 * make tasks visible in its queues at once. It relies on others to see them: on thieves, and on
 * workers that look everywhere before they sleep. Both go by the table.
 *
 * A worker that gets no thread stays in the table. Its queues are empty, so thieves pass it by. It
 * is `retiring`, so nobody sends to it.
 */
static int grow_locked(struct weft_runtime *rt, unsigned from, unsigned to)
{
	struct worker_table *old = worker_table(rt);
	struct worker_table *table = table_new(old->count + to - from);
	int rc = 0;

	if (!table)
		return -ENOMEM;
	for (unsigned i = 0; i < old->count; i++)
		table_add(table, old->workers[i]);
	for (unsigned id = from; id < to && rc == 0; id++) {
		rc = record_locked(rt, id);
		if (rc == 0)
			table_add(table, rt->records[id]);
	}
	if (rc < 0) {
		free(table);
		return rc;
	}
	publish_table_locked(rt, table);
	unsigned started = from;
	while (started < to && (rc = start_locked(rt, started)) == 0)
		started++;
	if (rc < 0) {
		while (started-- > from)
			retire_locked(rt, started);
	}
	return rc;
}

int weft__workers_init(struct weft_runtime *rt)
{
	struct worker_table *none = table_new(0);

	if (!none)
		return -ENOMEM;
	weft__rcu_store(&rt->table, none);
	return 0;
}

int weft__workers_set(struct weft_runtime *rt, unsigned n)
{
	int rc = 0;

	weft__lock(&rt->admin);
	if (rt->over)
		goto out; /* the caller is a visitor, and the runtime has ended meanwhile */
	unsigned now = load_relaxed(&rt->target);
	if (n > now)
		rc = grow_locked(rt, now, n);
	for (unsigned id = now; id-- > n;)
		retire_locked(rt, id);
	if (rc == 0)
		store_relaxed(&rt->target, n);
out:
	weft__unlock(&rt->admin);
	return rc;
}

bool weft__worker_leave(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__lock(&rt->admin);
	bool leaves = w->life.state == WORKER_RETIRING;
	if (leaves) {
		struct worker_table *old = worker_table(rt);
		struct worker_table *table = table_new(old->count);
		for (unsigned i = 0; table && i < old->count; i++) {
			if (old->workers[i] != w)
				table_add(table, old->workers[i]);
		}
		/* Without memory the record stays in the table. Its queues are empty, so thieves
		 * pass it by. */
		if (table)
			publish_table_locked(rt, table);
		w->life.state = WORKER_GONE;
	}
	struct worker_table *retired = leaves ? rt->retired_tables : NULL;
	if (leaves)
		rt->retired_tables = NULL;
	weft__unlock(&rt->admin);
	if (!leaves)
		return false;

	/* From here on it must not take `admin`: the holder may be waiting for this thread's
	 * end. */
	weft__rcu_synchronize();
	free_tables(retired);
	/* After the grace period nobody sends to this inbox (chaos.c does so, but inside a
	 * read-side section). */
	struct weft__wfcq_node *node;
	while (weft__wfcq_take(&w->inbox, &node, 1, NULL))
		weft__inject(rt, task_of_link(node));
	weft__sign_off(w);
	count_awake(rt, -1); /* from here on it makes nothing visible */
	return true;
}

/* Reports control blocks that are still in use when all tasks have ended. */
static void report_handles(struct weft_runtime *rt, unsigned count)
{
	size_t used = weft__task_pool_used(&rt->outside_tasks);

	for (unsigned id = 0; id < count; id++)
		used += weft__task_pool_used(&rt->records[id]->tasks);
	/* Nobody has to join or detach the task of weft_run(): the program got no handle to it. */
	if (rt->first && load_relaxed(&rt->first->join) == JOIN_DONE)
		used--;
	if (used > 0)
		weft__warn("stats: %zu handles of tasks were neither joined nor detached", used);
}

void weft__workers_join(struct weft_runtime *rt)
{
	weft__lock(&rt->admin);
	rt->over = true;
	weft__unlock(&rt->admin);
	/* relaxed: each thread that added a worker held the lock before us, and none adds one
	 * after. */
	unsigned count = load_relaxed(&rt->record_count);
	for (unsigned id = 0; id < count; id++) {
		struct worker *w = rt->records[id];
		weft__lock(&rt->admin);
		bool has_thread = w->life.state != WORKER_NEW && !(rt->borrowed && id == 0);
		weft__unlock(&rt->admin);
		if (has_thread)
			pthread_join(w->life.thread, NULL);
	}
	weft__timekeeper_end(rt);
	/* After the threads have ended, as they have seen every visitor that a task's end let go.
	 * acquire: pairs with visit_end(). */
	for (unsigned looks = 0; load_acquire(&rt->visitors) > 0; looks++)
		weft__pause(looks);
	if (rt->config.stats)
		report_handles(rt, count);
	for (unsigned id = 0; id < count; id++)
		worker_free(rt->records[id]);
	free_tables(rt->retired_tables);
	free(worker_table(rt));
}
