/* SPDX-License-Identifier: MIT */
/* weft_run(): a runtime for one task, and for the tasks that come from it. */
#include "run.h"

#include "lifetime.h"
#include "ready.h"
#include "reserve.h"
#include "runtime.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"
#include "src/base/sized.h"
#include "stats.h"
#include "stop.h"
#include "submit.h"
#include "task.h"
#include "tls.h"
#include "workers.h"

#include <weft/runtime.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#define MAIN_STACK_DEFAULT ((size_t)8 << 20)
#define MAIN_STACK_MAX     ((size_t)64 << 20)

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

static WEFT__MAY_HOP void *run_main(void *arg)
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
	int rc = weft__runtime_new(opt, true, &rt);
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
		weft__stats_print(rt);
	weft__runtime_free(rt);
	if (ret_result)
		*ret_result = call.result;
	return 0;

err_task:
	weft__stop(rt);
	weft__runtime_free(rt);
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
