/* SPDX-License-Identifier: MIT */
/* Creating and destroying runtimes, and weft_run(). */
#include "runtime.h"

#include "environment.h"
#include "overflow.h"
#include "process.h"
#include "ready.h"
#include "rouse.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fatal.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "src/base/orphan.h"
#include "src/base/sized.h"
#include "submit.h"
#include "task_pool.h"
#include "tls.h"
#include "visit.h"
#include "workers.h"

#include <weft/stats.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAIN_STACK_DEFAULT ((size_t)8 << 20)
#define MAIN_STACK_MAX     ((size_t)64 << 20)

static void runtime_free(struct weft_runtime *rt)
{
	for (unsigned i = 0; i < ATTACHED_COUNT; i++) {
		/* acquire: the attachment, released by the thread that set it. */
		struct attachment *a = load_acquire(&rt->attached[i]);
		if (a)
			a->end(a);
	}
	san_ignore_begin(); /* all of it is ours; the threads' ends order nobody */
	weft__workers_join(rt);
	san_ignore_end();
	san_acquire(&rt->hooks.stop);
	san_ignore_begin();
	weft__depot_fini(&rt->depot);
	weft__reserve_fini(rt);
	weft__task_pool_fini(&rt->outside_tasks);
	if (rt->config.chaos.virtual_time)
		weft__clock_release();
	free(rt);
	san_ignore_end();
	weft__process_leave();
}

void weft__stop(struct weft_runtime *rt)
{
	/* release: pairs with the acquire in weft__find(). */
	store_release(&rt->stopped, 1);
	weft__futex_wake(&rt->stopped, 1);
	weft__wake_all(rt);
}

static int runtime_new(const struct weft_runtime_options *opt, bool borrowed, weft_runtime **ret_rt)
{
	struct weft_runtime *rt = weft__aligned_alloc(alignof(struct weft_runtime), sizeof *rt);

	if (!rt)
		return -ENOMEM;
	memset(rt, 0, sizeof *rt);
	int rc = weft__config_load(&rt->config, opt);
	if (rc < 0)
		goto err_config;
	if (opt)
		rt->hooks = (struct hooks){
			.start = opt->worker_start,
			.stop = opt->worker_stop,
			.sleep = opt->worker_sleep,
			.wake = opt->worker_wake,
			.arg = opt->worker_arg,
		};
	san_release(&rt->hooks.start);
	weft__stack_guard_insist(rt->config.guard_always);
	rc = weft__process_enter();
	if (rc < 0)
		goto err_config;
	weft__environment_check();

	weft__san_check_program();
	weft__fence_init();
	rt->borrowed = borrowed;
	/* A task's thread may be bound to one CPU, so a task takes the traits of its runtime. */
	struct worker *w = weft__worker();
	if (w)
		rt->traits = w->rt->traits;
	else
		weft__thread_traits_take(&rt->traits);
	weft__early_init(rt);
	weft__wfcq_init(&rt->injection);
	weft__task_pool_init(&rt->outside_tasks);
	weft__depot_init(&rt->depot);
	atomic_init(&rt->idle, rt->config.chaos.on ? CHANCE : 0);
	atomic_init(&rt->keeper_deadline, WEFT_FOREVER);
	weft__timekeeper_init(rt);
	rt->starved_tail = &rt->starved_head;
	rt->searchers_max = rt->config.cpus > 2 ? rt->config.cpus / 2 : 1;
	if (rt->config.print_config)
		weft__config_print(&rt->config);

	rc = weft__workers_init(rt);
	if (rc < 0)
		goto err_init;
	if (rt->config.chaos.virtual_time && !weft__clock_claim()) {
		weft__warn("WEFT_CHAOS=%" PRIu64
			   ",virtual: another runtime has virtual time, and only "
			   "one of a process can have it",
			   rt->config.chaos.seed);
		rc = -EINVAL;
		goto err_clock;
	}
	rc = weft__workers_set(rt, rt->config.workers);
	/* Gets the control block of weft_run()'s task while there is memory. An arena of stacks
	 * takes half of what is left, or more. */
	if (rc == 0 && borrowed && !weft__task_pool_refill(&rt->outside_tasks))
		rc = -ENOMEM;
	if (rc == 0)
		rc = weft__reserve_init(rt);
	if (rc < 0)
		goto err_workers;
	*ret_rt = rt;
	return 0;

err_workers:
	/* The workers that were started are retiring, and nothing is live. */
	weft__stop(rt);
	runtime_free(rt);
	return rc;
err_clock:
	free(worker_table(rt));
err_init:
	weft__depot_fini(&rt->depot);
	weft__process_leave();
err_config:
	free(rt);
	return rc;
}

int weft_runtime_create_sized(const struct weft_runtime_options *opt, size_t opt_size,
			      weft_runtime **ret_rt)
{
	struct weft_runtime_options known = {0};
	int rc = !ret_rt ? -EINVAL : opt ? take_sized(&known, sizeof known, opt, opt_size) : 0;

	return rc < 0 ? rc : runtime_new(&known, false, ret_rt);
}

/* Prints a line that allows comparing two schedules. The schedules of the workers are summed up, in
 * no order. */
static void print_chaos(struct weft_runtime *rt)
{
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	uint64_t picks = 0, schedule = 0;

	for (unsigned i = 0; i < count; i++) {
		picks += load_relaxed(&rt->records[i]->chaos.picks);
		schedule += rt->records[i]->chaos.schedule;
	}
	weft__warn("chaos: seed %" PRIu64 ", %" PRIu64 " picks, schedule %016" PRIx64,
		   rt->config.chaos.seed, picks, schedule);
}

static void print_stats(struct weft_runtime *rt)
{
	struct weft_stats s;

	if (weft_runtime_stats(rt, &s) < 0)
		return;
	weft__warn("stats: spawned %llu completed %llu forked %llu inlined %llu steals %llu stolen "
		   "%llu "
		   "hops %llu switches %llu parks %llu wakes %llu yields %llu injected %llu sleeps "
		   "%llu "
		   "nudges %llu timers %llu stack_waits %llu blocking_waits %llu",
		   (unsigned long long)s.spawned, (unsigned long long)s.completed,
		   (unsigned long long)s.forked, (unsigned long long)s.inlined,
		   (unsigned long long)s.steals, (unsigned long long)s.stolen,
		   (unsigned long long)s.hops, (unsigned long long)s.switches,
		   (unsigned long long)s.parks, (unsigned long long)s.wakes,
		   (unsigned long long)s.yields, (unsigned long long)s.injected,
		   (unsigned long long)s.sleeps, (unsigned long long)s.nudges,
		   (unsigned long long)s.timers, (unsigned long long)s.stack_waits,
		   (unsigned long long)s.blocking_waits);
	if (rt->config.chaos.on)
		print_chaos(rt);
}

int weft_runtime_destroy(weft_runtime *rt)
{
	struct worker *w = weft__worker();

	if (!rt)
		return 0;
	/* The runtime's end would wait for the caller itself: for its task, or for the task whose
	 * blocking call this is. */
	if ((w && w->rt == rt) || weft__served_runtime() == rt)
		return -EDEADLK;
	if (weft__is_orphan())
		return -EPERM;
	/* release: pairs with the acquire in stop_if_over(). Each sleeping worker is woken. Before
	 * it sleeps again it looks whether anything is live. The last one to do so stops the
	 * runtime. */
	store_release(&rt->closing, true);
	/* store-load race with weft__sleep() and weft__sign_off(): closing, then the sleepers */
	weft__fence_full();
	weft__wake_all(rt);
	/* acquire: what the last tasks did. No wake-up is lost: the kernel sleeps only while
	 * stopped is 0. */
	while (!load_acquire(&rt->stopped))
		weft__futex_wait(&rt->stopped, 0, WEFT_FOREVER);
	if (rt->config.stats)
		print_stats(rt);
	san_acquire(rt);
	runtime_free(rt);
	return 0;
}

/* The stack size that a program's main() may rely on. */
static size_t main_stack_size(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return MAIN_STACK_DEFAULT;
	return limit.rlim_cur < MAIN_STACK_MAX ? (size_t)limit.rlim_cur : MAIN_STACK_MAX;
}

/* Returns a reserve for the first task of weft_run(), which may be smaller if memory is short.
 * NULL: the common size. It is not inlined: weft_run() would otherwise have its NULL from
 * weft__worker(), which tools/check_tls.py takes for a worker. */
static __attribute__((noinline)) struct reserve *main_reserve(struct weft_runtime *rt)
{
	struct reserve *reserve;

	for (size_t size = main_stack_size(); size > rt->config.stack_size; size /= 2) {
		if (weft__reserve_enter(rt, NULL, size, &reserve) == 0)
			return reserve;
	}
	return NULL;
}

/* The first task of weft_run(). The result is stored here too, since others may join or detach the
 * task. */
struct main_call {
	weft_fn *fn;
	void *arg;
	void *result;
};

static void *run_main(void *arg)
{
	struct main_call *call = arg;

	call->result = call->fn(call->arg);
	return call->result;
}

weft_fn *weft__task_function(const struct task *t)
{
	return t->fn == run_main ? ((const struct main_call *)t->value)->fn : t->fn;
}

static int run(const struct weft_runtime_options *opt, weft_fn *fn, void *arg, void **ret_result)
{
	struct main_call call = {fn, arg, NULL};
	weft_runtime *rt;

	if (!fn)
		return -EINVAL;
	if (weft__worker())
		return -EDEADLK;
	struct task_cold *cold = weft__calloc(1, sizeof *cold);
	if (!cold)
		return -ENOMEM;
	int rc = runtime_new(opt, true, &rt);
	if (rc < 0)
		goto err_runtime;
	struct task *t = weft__task_alloc_outside(rt);
	if (!t) {
		rc = -ENOMEM;
		goto err_task;
	}
	cold->reserve = main_reserve(rt);
	task_init(t, rt, run_main, &call, JOIN_NOBODY, 0);
	task_set_cold(t, cold);
	rt->first = t;
	san_release(t);
	fetch_add_relaxed(&rt->injected_spawned, 1);
	/* release: a thread that sees it sees the spawn, and that not all tasks have ended. */
	store_release(&rt->closing, true);
	weft__inject(rt, t);
	weft__worker_loop(rt->records[0]);

	san_acquire(rt);
	if (rt->config.stats)
		print_stats(rt);
	runtime_free(rt);
	if (ret_result)
		*ret_result = call.result;
	return 0;

err_task:
	weft__stop(rt);
	runtime_free(rt);
err_runtime:
	free(cold); /* else it belongs to the control block */
	return rc;
}

int weft_run(weft_fn *fn, void *arg, void **ret_result)
{
	return run(NULL, fn, arg, ret_result);
}

int weft_run_with_sized(const struct weft_runtime_options *opt, size_t opt_size, weft_fn *fn,
			void *arg, void **ret_result)
{
	struct weft_runtime_options known = {0};
	int rc = opt ? take_sized(&known, sizeof known, opt, opt_size) : 0;

	return rc < 0 ? rc : run(&known, fn, arg, ret_result);
}

weft_runtime *weft_runtime_self(void)
{
	struct worker *w = weft__worker();

	return w ? w->rt : weft__served_runtime();
}

unsigned weft_runtime_workers(const weft_runtime *rt)
{
	if (!rt)
		rt = weft_runtime_self();
	/* relaxed: a number that may change at any time. */
	return rt ? load_relaxed(&rt->target) : 0;
}

int weft_worker_id(void)
{
	struct worker *w = weft__worker();

	return w ? w->id : -1;
}

int weft_runtime_set_workers(weft_runtime *rt, unsigned n)
{
	if (n < 1 || n > WORKERS_MAX)
		return -EINVAL;
	if (!rt)
		rt = weft_runtime_self();
	if (!rt || weft__is_orphan())
		return -EPERM;
	if (rt->config.chaos.virtual_time && n > 1)
		return -EINVAL;
	visit_begin(rt);
	int rc = weft__workers_set(rt, n);
	visit_end(rt);
	return rc;
}
