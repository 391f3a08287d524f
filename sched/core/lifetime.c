/* SPDX-License-Identifier: MIT */
/* Creating and destroying runtimes. */
#include "lifetime.h"

#include "config.h"
#include "early.h"
#include "environment.h"
#include "events.h"
#include "process.h"
#include "reserve.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fatal.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "src/base/orphan.h"
#include "src/base/sized.h"
#include "src/stack/guard.h"
#include "stats.h"
#include "stop.h"
#include "task_pool.h"
#include "timekeeper.h"
#include "tls.h"
#include "workers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void weft__runtime_free(struct weft_runtime *rt)
{
	struct attachment *later[ATTACHED_COUNT] = {NULL};

	for (unsigned i = 0; i < ATTACHED_COUNT; i++) {
		/* acquire: the attachment, released by the thread that set it. */
		struct attachment *a = load_acquire(&rt->attached[i]);
		if (a && a->end)
			a->end(a); /* it is gone */
		else
			later[i] = a;
	}
	san_ignore_begin(); /* all of it is ours; the threads' ends order nobody */
	weft__workers_join(rt);
	san_ignore_end();
	for (unsigned i = 0; i < ATTACHED_COUNT; i++) {
		if (later[i])
			later[i]->free(later[i]);
	}
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

int weft__runtime_new(const struct weft_runtime_options *opt, bool borrowed, weft_runtime **ret_rt)
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
	WEFT__SET_RANK(&rt->idle_lock, IDLE);
	WEFT__SET_RANK(&rt->outside_lock, OUTSIDE);
	WEFT__SET_RANK(&rt->starved_lock, STARVED);
	WEFT__SET_RANK(&rt->admin, ADMIN);
	weft__wfcq_init(&rt->injection);
	weft__task_pool_init(&rt->outside_tasks);
	weft__depot_init(&rt->depot);
	atomic_init(&rt->idle, rt->config.chaos.on ? CHANCE : 0);
	atomic_init(&rt->keeper_deadline, WEFT_FOREVER);
	weft__timekeeper_init(rt);
	weft__events_init(&rt->events);
	rt->starved_tail = &rt->starved_head;
	rt->searchers_max = rt->config.cpus > 2 ? rt->config.cpus / 2 : 1;
	if (rt->config.print_config)
		weft__config_print(&rt->config);

	rc = weft__workers_init(rt);
	if (rc < 0)
		goto err_init;
	if (rt->config.chaos.virtual_time && !weft__clock_reserve()) {
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
	weft__runtime_free(rt);
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

	return rc < 0 ? rc : weft__runtime_new(&known, false, ret_rt);
}

int weft_runtime_destroy(weft_runtime *rt)
{
	struct worker *w = weft__worker();

	if (!rt)
		return 0;
	/* The runtime's end would wait for the caller itself: for its task, or for the task whose
	 * blocking call this is. */
	if ((w && w->rt == rt) || weft__blocking_for() == rt)
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
		weft__stats_print(rt);
	san_acquire(rt);
	weft__runtime_free(rt);
	return 0;
}
