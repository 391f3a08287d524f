/* SPDX-License-Identifier: MIT */
/* Workloads of tasks, stacks and runtimes. */
#include "workload.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define SHORTLY ((int64_t)200000) /* a sleep: any time would do */

static void *give_back(void *arg)
{
	return arg;
}

/* --- tasks: a bit of everything
 * --------------------------------------------------------------------------- */

#define MANY_FORKS 5000 /* more than a deque holds at first */

static void *nap(void *arg)
{
	MUST(weft_sleep(SHORTLY) == 0);
	return arg;
}

static void *sleep_for_ever(void *arg)
{
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	MUST(weft_cancelled());
	return arg;
}

static void *yield_a_bit(void *arg)
{
	for (int i = 0; i < 4; i++)
		weft_yield();
	return arg;
}

static void *count_up(void *arg)
{
	/* relaxed: read after the joins or the runtime's end. */
	atomic_fetch_add_explicit((_Atomic unsigned *)arg, 1, memory_order_relaxed);
	return NULL;
}

static void spawn_and_join(weft_fn *fn, bool cancel)
{
	weft_task *tasks[12];
	void *result;

	for (size_t i = 0; i < 12; i++)
		CALL_FOR(tasks[i], MAY_LACK_MEMORY, weft_spawn(fn, &tasks[i], &tasks[i]));
	for (size_t i = 0; i < 12 && cancel; i++)
		MUST(weft_cancel(tasks[i]) == 0);
	for (size_t i = 0; i < 12; i++) {
		MUST(weft_join(tasks[i], &result) == 0);
		MUST(result == &tasks[i]);
	}
}

static void spawn_with_options(void)
{
	static const struct weft_task_options options[] = {
		{.name = "named"},
		{.stack_size = 65536},
		{.pinned = true},
		{.name = "all", .stack_size = 32768, .pinned = true},
	};
	weft_task *task;

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		CALL_FOR(task, MAY_LACK_MEMORY,
			 weft_spawn_with(&options[i], yield_a_bit, NULL, &task));
		MUST(weft_join_until(task, NULL, weft_after(SHORTLY)) == 0 ||
		     weft_join(task, NULL) == 0);
	}
}

static void sum_range(size_t low, size_t high, void *ctx)
{
	/* relaxed: weft_for() orders it before its return. */
	for (size_t i = low; i < high; i++)
		atomic_fetch_add_explicit((_Atomic size_t *)ctx, i, memory_order_relaxed);
}

static void count_range(size_t low, size_t high, void *acc, void *arg)
{
	(void)arg;
	*(size_t *)acc += high - low;
}

static void add_counts(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(size_t *)acc += *(const size_t *)right;
}

/* weft_fork_join() has no error to return: a fork for which the deque has no room is run all the
 * same. */
static void fork_and_join(size_t count)
{
	static weft_forked forks[MANY_FORKS];
	_Atomic size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		weft_fork(&forks[i], i % 500 ? give_back : nap, &forks[i]);
	for (size_t i = count; i-- > 0;)
		MUST(weft_fork_join(&forks[i]) == &forks[i]);
	MUST(weft_for(0, 1000, 10, sum_range, &sum) == 0);
	MUST(atomic_load_explicit(&sum, memory_order_relaxed) == 499500);
	size_t counted;
	MUST(weft_reduce(0, 1000, 10, count_range, add_counts, NULL, NULL, sizeof counted,
			 &counted) == 0);
	MUST(counted == 1000);
}

static void *generate(void *in)
{
	for (int i = 0; i < 3; i++) {
		MUST(weft_sleep(SHORTLY) == 0);
		in = weft_coro_yield(in);
	}
	return in;
}

static void use_generator(void)
{
	weft_coro *co;
	void *out = NULL;
	int numbers[4];

	CALL_FOR(co, MAY_LACK_MEMORY, weft_coro_create(generate, 0, &co));
	for (int i = 0; i < 4; i++) {
		MUST(weft_coro_enter(co, &numbers[i], &out) == 0);
		MUST(out == &numbers[i]);
	}
	MUST(weft_coro_done(co));
	weft_coro_destroy(co);
	CALL_FOR(co, MAY_LACK_MEMORY, weft_coro_create(generate, 131072, &co));
	weft_coro_destroy(co);
}

static void *tasks_main(void *arg)
{
	_Atomic unsigned *ended = arg;
	weft_task *task;

	for (int i = 0; i < 19; i++)
		CALL(MAY_LACK_MEMORY, weft_spawn(count_up, ended, NULL));
	CALL_FOR(task, MAY_LACK_MEMORY, weft_spawn(count_up, ended, &task));
	MUST(weft_detach(task) == 0);
	spawn_and_join(give_back, false);
	spawn_and_join(nap, false);
	spawn_and_join(sleep_for_ever, true);
	spawn_with_options();
	fork_and_join(60);
	use_generator();
	return arg;
}

void workload_tasks(void)
{
	_Atomic unsigned ended;
	void *result;

	atomic_init(&ended, 0);
	for (;;) {
		result = UNTOUCHED;
		errno_mark();
		int rc = weft_run(tasks_main, &ended, &result);
		if (!refused_at(rc, MAY_LACK_MEMORY | MAY_LACK_THREADS, 0, "weft_run", __FILE__,
				__LINE__))
			break;
		MUST(result == UNTOUCHED);
		MUST(atomic_load_explicit(&ended, memory_order_relaxed) == 0);
	}
	MUST(result == &ended);
	MUST(atomic_load_explicit(&ended, memory_order_relaxed) == 20);
}

/* --- forks: more than a deque holds, with nobody there to steal some
 * ----------------------------------------- */

static void *forks_main(void *arg)
{
	_Atomic unsigned *ended = arg;

	fork_and_join(MANY_FORKS);
	for (int i = 0; i < MANY_FORKS; i++)
		CALL(MAY_LACK_MEMORY, weft_spawn(count_up, ended, NULL));
	return NULL;
}

void workload_forks(void)
{
	_Atomic unsigned ended;

	atomic_init(&ended, 0);
	setenv("WEFT_WORKERS", "1", 1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(forks_main, &ended, NULL));
	MUST(atomic_load_explicit(&ended, memory_order_relaxed) == MANY_FORKS);
}

/* --- stacks: so many at a time that some are given back
 * ---------------------------------------------------- */

#define COMMON_STACKS 20
#define LARGE_STACKS  160
#define LARGE_STACK   ((size_t)8 << 20) /* of so large ones few are kept */

/* The usable bytes of 256 KiB with the guard and a page for the header. */
#define COMMON_STACK (((size_t)256 - 64 - 4) << 10)
#define INTO_GUARD   ((size_t)32 << 10)

struct stacks {
	weft_event early, late;
	_Atomic unsigned started;
	int pipe[2];
};

/* The kernel says whether what lies below the caller's stack can be read: a guard cannot, whatever
 * it is made of. */
static bool has_guard(const struct stacks *s, size_t stack_size)
{
	const char *below = (const char *)__builtin_frame_address(0) - stack_size - INTO_GUARD;

	return write(s->pipe[1], below, 1) < 0 && errno == EFAULT;
}

static void *occupy_stack(struct stacks *s, weft_event *event, size_t stack_size)
{
	MUST(has_guard(s, stack_size));
	/* relaxed: nothing is published. */
	atomic_fetch_add_explicit(&s->started, 1, memory_order_relaxed);
	MUST(weft_event_wait(event) == 0);
	return s;
}

static void *common_early(void *arg)
{
	return occupy_stack(arg, &((struct stacks *)arg)->early, COMMON_STACK);
}

static void *common_late(void *arg)
{
	return occupy_stack(arg, &((struct stacks *)arg)->late, COMMON_STACK);
}

static void *large_early(void *arg)
{
	return occupy_stack(arg, &((struct stacks *)arg)->early, LARGE_STACK);
}

static void *large_late(void *arg)
{
	return occupy_stack(arg, &((struct stacks *)arg)->late, LARGE_STACK);
}

static void *stacks_main(void *arg)
{
	struct weft_task_options large = {.stack_size = LARGE_STACK};
	weft_task *tasks[COMMON_STACKS + LARGE_STACKS];
	struct stacks *s = arg;

	/* Every third stays longer: else whole arenas would be given back, and no single stack. */
	for (unsigned i = 0; i < COMMON_STACKS + LARGE_STACKS; i++) {
		bool common = i < COMMON_STACKS;
		weft_fn *fn = i % 3 ? (common ? common_early : large_early)
				    : (common ? common_late : large_late);
		CALL_FOR(tasks[i], MAY_LACK_MEMORY,
			 weft_spawn_with(common ? NULL : &large, fn, s, &tasks[i]));
		/* Lets them start, so that some are spawned while there are no stacks. */
		if (i % 32 == 31)
			MUST(weft_sleep(SHORTLY) == 0);
	}
	while (atomic_load_explicit(&s->started, memory_order_relaxed) <
	       COMMON_STACKS + LARGE_STACKS)
		MUST(weft_sleep(SHORTLY) == 0);
	weft_event_set(&s->early);
	for (unsigned i = 0; i < COMMON_STACKS + LARGE_STACKS; i++) {
		if (i % 3)
			MUST(weft_join(tasks[i], NULL) == 0);
	}
	weft_event_set(&s->late);
	for (unsigned i = 0; i < COMMON_STACKS + LARGE_STACKS; i += 3)
		MUST(weft_join(tasks[i], NULL) == 0);
	return arg;
}

void workload_stacks(void)
{
	struct stacks s = {.early = WEFT_EVENT_INIT, .late = WEFT_EVENT_INIT};

	if (!MUST(pipe(s.pipe) == 0))
		exit(1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(stacks_main, &s, NULL));
	close(s.pipe[0]);
	close(s.pipe[1]);
}

/* --- runtime: from outside, workers that come and go
 * ---------------------------------------------------------- */

static void submit_and_join(weft_runtime *rt)
{
	weft_task *tasks[16];
	void *result;

	for (size_t i = 0; i < 16; i++)
		CALL_FOR(tasks[i], MAY_LACK_MEMORY,
			 weft_submit(rt, i % 2 ? nap : give_back, &tasks[i], &tasks[i]));
	for (size_t i = 0; i < 16; i++) {
		MUST(weft_join(tasks[i], &result) == 0);
		MUST(result == &tasks[i]);
	}
}

/* A count that could not be had leaves the one there was. */
static void set_workers(weft_runtime *rt, unsigned n)
{
	unsigned before = weft_runtime_workers(rt);

	for (unsigned tries = 0;; tries++) {
		errno_mark();
		int rc = weft_runtime_set_workers(rt, n);
		MUST(weft_runtime_workers(rt) == (rc == 0 ? n : before));
		if (!refused_at(rc, MAY_LACK_MEMORY | MAY_LACK_THREADS, tries,
				"weft_runtime_set_workers", __FILE__, __LINE__))
			break;
		submit_and_join(rt);
	}
}

/* Pins a task to each of the workers that are there, so that retiring ones have something to wait
 * for. */
static void *pin_a_few(void *arg)
{
	struct weft_task_options pinned = {.pinned = true};

	for (int i = 0; i < 4; i++) {
		CALL(MAY_LACK_MEMORY, weft_spawn_with(&pinned, nap, NULL, NULL));
		weft_yield();
	}
	set_workers(NULL, 3);
	return arg;
}

/* How many workers have started and not stopped, also those of a runtime that was not created. */
static _Atomic int workers_there;

static void one_more(int worker, void *arg)
{
	MUST(worker < 6 && arg == &workers_there);
	atomic_fetch_add_explicit(&workers_there, 1, memory_order_relaxed);
}

static void one_less(int worker, void *arg)
{
	MUST(worker < 6 && arg == &workers_there);
	atomic_fetch_sub_explicit(&workers_there, 1, memory_order_relaxed);
}

void workload_runtime(void)
{
	struct weft_runtime_options options = {
		.workers = 2,
		.worker_start = one_more,
		.worker_stop = one_less,
		.worker_arg = &workers_there,
	};
	struct weft_task_options large = {.name = "large", .stack_size = 512 << 10};
	weft_runtime *rt, *other;
	weft_task *task;

	CALL_FOR(rt, MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_runtime_create(&options, &rt));
	submit_and_join(rt);
	CALL_FOR(other, MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_runtime_create(&options, &other));
	set_workers(rt, 5);
	submit_and_join(rt);
	submit_and_join(other);
	CALL_FOR(task, MAY_LACK_MEMORY, weft_submit(rt, pin_a_few, NULL, &task));
	MUST(weft_join(task, NULL) == 0);
	MUST(weft_runtime_destroy(other) == 0);
	set_workers(rt, 1);
	submit_and_join(rt);
	set_workers(rt, 4);
	submit_and_join(rt);
	set_workers(rt, 2);
	set_workers(rt, 6);
	CALL_FOR(task, MAY_LACK_MEMORY, weft_submit_with(rt, &large, give_back, NULL, &task));
	MUST(weft_join(task, NULL) == 0);
	/* One that nobody joins. */
	CALL_FOR(task, MAY_LACK_MEMORY, weft_submit(rt, give_back, NULL, &task));
	MUST(weft_runtime_destroy(rt) == 0);
	MUST(atomic_load_explicit(&workers_there, memory_order_relaxed) == 0);
}

/* --- start: as many workers as there are processors
 * ------------------------------------------------------------ */

static void *start_main(void *arg)
{
	MUST(weft_runtime_workers(NULL) >= 1);
	return arg;
}

void workload_start(void)
{
	cpu_set_t all, two;
	int left = 2;

	/* At most two, wherever this is run. */
	if (sched_getaffinity(0, sizeof all, &all) == 0) {
		CPU_ZERO(&two);
		for (int cpu = 0; cpu < CPU_SETSIZE && left > 0; cpu++) {
			if (CPU_ISSET(cpu, &all)) {
				CPU_SET(cpu, &two);
				left--;
			}
		}
		sched_setaffinity(0, sizeof two, &two);
	}
	unsetenv("WEFT_WORKERS");
	setenv("WEFT_PIN", "cores", 1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(start_main, NULL, NULL));
	unsetenv("WEFT_PIN");
}
