/* SPDX-License-Identifier: MIT */
/* Fork and join: inline, stolen, out of order, nested, very deep, and outside of a runtime. */
#include "harness.h"
#include "sched/core/runtime.h"
#include "sched/core/tls.h"

#include <pthread.h>

struct fib {
	unsigned n;
	unsigned long result;
};

static void *fib(void *arg)
{
	struct fib *f = arg;

	if (f->n < 2) {
		f->result = f->n;
		return arg;
	}
	struct fib a = {.n = f->n - 1}, b = {.n = f->n - 2};
	weft_forked fork;
	weft_fork(&fork, fib, &a);
	fib(&b);
	CHECK(weft_fork_join(&fork) == &a);
	f->result = a.result + b.result;
	return arg;
}

static unsigned depth_of_fib(void)
{
	return weft_test_scale(100) == 100 ? 25 : 15;
}

static unsigned long expected_fib(void)
{
	return weft_test_scale(100) == 100 ? 75025 : 610;
}

static void test_recursion(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct fib f = {.n = depth_of_fib()};

		assert_run(workers, fib, &f);
		assert_int_equal(f.result, expected_fib());
	}
}

static void test_recursion_with_hops(void **state)
{
	struct fib f = {.n = 12};

	(void)state;
	setenv("WEFT_CHAOS", "3,hop", 1);
	assert_run(4, fib, &f);
	unsetenv("WEFT_CHAOS");
	assert_int_equal(f.result, 144);
}

static void test_outside_of_a_runtime_it_is_serial(void **state)
{
	struct fib f = {.n = 15};
	weft_forked fork;
	flag ran = 0;

	(void)state;
	fib(&f);
	assert_int_equal(f.result, 610);
	weft_fork(&fork, give_back, &ran);
	assert_ptr_equal(weft_fork_join(&fork), &ran);
	assert_int_equal(checks_failed(), 0);
}

/* Also in a generator's own call. */
static void *fib_in_a_generator(void *arg)
{
	weft_coro *co = NULL;
	void *out = NULL;

	CHECK(weft_coro_create(fib, 0, &co) == 0);
	CHECK(weft_coro_enter(co, arg, &out) == 0);
	CHECK(out == arg && weft_coro_done(co));
	weft_coro_destroy(co);
	return arg;
}

static void test_in_a_generator(void **state)
{
	struct fib f = {.n = 15};

	(void)state;
	fib_in_a_generator(&f);
	assert_int_equal(f.result, 610);
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		f.result = 0;
		assert_run(workers, fib_in_a_generator, &f);
		assert_int_equal(f.result, 610);
	}
}

static uint64_t inlined(void)
{
	struct weft_stats stats;

	CHECK(weft_runtime_stats(NULL, &stats) == 0);
	return stats.inlined;
}

static void *note_frame(void *arg)
{
	*(char **)arg = __builtin_frame_address(0);
	return weft_self();
}

static void *join_inline(void *arg)
{
	uint64_t before = inlined();
	char *frame = NULL, *own = __builtin_frame_address(0);
	weft_forked fork;

	weft_fork(&fork, note_frame, &frame);
	CHECK(weft_fork_join(&fork) == &fork); /* its identity */
	CHECK(inlined() == before + 1);
	CHECK(frame < own && own - frame < 4096);
	return arg;
}

static void test_it_runs_as_a_call_on_the_parents_stack(void **state)
{
	(void)state;
	assert_run(1, join_inline, NULL);
}

static flag stolen;

static void *note_worker(void *arg)
{
	*(int *)arg = weft_worker_id();
	raise_flag(&stolen);
	return arg;
}

static void *fork_and_compute(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		int id = weft_worker_id(), its = -1;
		weft_forked fork;

		atomic_store_explicit(&stolen, 0, memory_order_relaxed);
		weft_fork(&fork, note_worker, &its);
		CHECK(spin_for(&stolen, 1));
		CHECK(weft_fork_join(&fork) == &its);
		CHECK(its >= 0 && its != id);
	}
	return arg;
}

static void test_a_fork_is_stolen(void **state)
{
	(void)state;
	assert_run(2, fork_and_compute, NULL);
}

#define FORKS 50

/* order: 0 first in first out, 1 last in first out, otherwise in leaps. */
static void *join_in_order(void *arg)
{
	unsigned step = *(const unsigned *)arg;

	for (unsigned round = 0; round < weft_test_scale(200); round++) {
		struct fib f[FORKS];
		weft_forked forks[FORKS];

		for (unsigned i = 0; i < FORKS; i++) {
			f[i] = (struct fib){.n = i % 6};
			weft_fork(&forks[i], fib, &f[i]);
		}
		for (unsigned i = 0; i < FORKS; i++) {
			unsigned n = (i * step + step / 2) % FORKS;
			CHECK(weft_fork_join(&forks[n]) == &f[n]);
		}
	}
	return NULL;
}

static void test_joins_in_any_order(void **state)
{
	static const unsigned steps[] = {1, FORKS - 1, 7, 13};

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		for (unsigned i = 0; i < 4; i++)
			assert_run(workers, join_in_order, (void *)&steps[i]);
	}
}

static void *yield_and_sleep(void *arg)
{
	for (unsigned i = 0; i < 5; i++)
		weft_yield();
	CHECK(weft_sleep(1000) == 0);
	return arg;
}

static void *fork_waiters(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(100); i++) {
		weft_forked a, b;

		weft_fork(&a, yield_and_sleep, &a);
		weft_fork(&b, yield_and_sleep, &b);
		CHECK(weft_fork_join(&b) == &b);
		CHECK(weft_fork_join(&a) == &a);
	}
	return arg;
}

static void *spawn_fork_waiters(void *arg)
{
	for (unsigned i = 0; i < 8; i++)
		CHECK(weft_spawn(fork_waiters, NULL, NULL) == 0);
	return arg;
}

static void test_a_fork_may_wait(void **state)
{
	(void)state;
	assert_run(1, spawn_fork_waiters, NULL);
	assert_run(4, spawn_fork_waiters, NULL);
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(4, spawn_fork_waiters, NULL);
	unsetenv("WEFT_CHAOS");
}

/* Every level forks the next one. */
static void *go_deeper(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_forked fork;

	if (depth == 0)
		return NULL;
	weft_fork(&fork, go_deeper, (void *)(depth - 1));
	return (void *)((uintptr_t)weft_fork_join(&fork) + 1);
}

static void *descend(void *arg)
{
	uintptr_t depth = weft_test_scale(1000000);

	/* ThreadSanitizer has a fiber for each level, and gcc's has at most 8128. */
	if (CHILD_TSAN)
		depth = 1000;
	CHECK(go_deeper((void *)depth) == (void *)depth);
	return arg;
}

static void *spawn_descent(void *arg)
{
	weft_task *task;

	CHECK(weft_spawn(descend, NULL, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	return descend(arg);
}

static void test_a_million_levels_deep(void **state)
{
	(void)state;
	assert_run(1, spawn_descent, NULL);
	assert_run(4, spawn_descent, NULL);
}

/* How many eighths of a task's stack are in use at the join of a fork that needs three quarters. */
static unsigned parent_uses;

static __attribute__((noinline)) void use_stack(size_t bytes)
{
	volatile char *frame = __builtin_alloca(bytes);

	for (size_t i = 0; i < bytes; i += 1024)
		frame[i] = 1;
}

static size_t eighth(void)
{
	return weft__worker()->rt->config.stack_size / 8;
}

static void *use_three_quarters(void *arg)
{
	use_stack(6 * eighth() - 4096); /* the most that the calls in between need */
	return arg;
}

static void *fork_a_large_one(void *arg)
{
	volatile char *frame = __builtin_alloca(parent_uses * eighth() + 1);
	weft_forked fork;

	frame[0] = 1;
	weft_fork(&fork, use_three_quarters, arg);
	return weft_fork_join(&fork);
}

static void *spawn_the_parent(void *arg)
{
	weft_task *task;

	for (parent_uses = 0; parent_uses <= 7; parent_uses++) {
		/* Not in this task, whose stack is larger. */
		CHECK(weft_spawn(fork_a_large_one, arg, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void run_large_forks(void *arg)
{
	(void)arg;
	set_number("WEFT_WORKERS", 1);
	exit(weft_run(spawn_the_parent, NULL, NULL) == 0 && checks_failed() == 0 ? 0 : 1);
}

static void test_it_may_use_three_quarters_of_a_stack(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_large_forks, NULL);
	assert_true(child_exited_with(&child, 0));
}

/*
 * Tasks that a plain thread submits are due, and a loop of forks gives way to them (due.c). It
 * gives way to one of them at a time, and only after it has run for a slice.
 */
#define DUE_TASKS 10
#define SLICE_NS  ((int64_t)50000)

/* Of one worker's tasks. Atomic for ThreadSanitizer's user build. */
static _Atomic unsigned due_run, due_early;
static _Atomic int64_t due_end; /* of the last one */

static void *take_longer_than_a_slice(void *arg)
{
	int64_t begin = weft_now();

	if (due_run > 0 && begin - due_end < SLICE_NS)
		due_early++;
	while (weft_now() < begin + 2 * SLICE_NS)
		;
	due_run++;
	due_end = weft_now();
	return arg;
}

static void *submit_due_tasks(void *arg)
{
	for (unsigned i = 0; i < DUE_TASKS; i++)
		CHECK(weft_submit(arg, take_longer_than_a_slice, NULL, NULL) == 0);
	return NULL;
}

static void *fork_beside_due_tasks(void *arg)
{
	int64_t lost = weft_after(LOST_NS);
	pthread_t thread;

	if (CHECK(pthread_create(&thread, NULL, submit_due_tasks, weft_runtime_self()) == 0))
		pthread_join(thread, NULL);
	while (due_run < DUE_TASKS && CHECK(weft_now() < lost)) {
		weft_forked forked;

		weft_fork(&forked, give_back, NULL);
		weft_fork_join(&forked);
	}
	return arg;
}

static void test_forks_go_on_for_a_slice_between_what_is_due(void **state)
{
	(void)state;
	due_run = due_early = 0;
	assert_run(1, fork_beside_due_tasks, NULL);
	assert_int_equal(due_run, DUE_TASKS);
	assert_int_equal(due_early, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_recursion_with_hops),
		cmocka_unit_test(test_outside_of_a_runtime_it_is_serial),
		cmocka_unit_test(test_in_a_generator),
		cmocka_unit_test(test_it_runs_as_a_call_on_the_parents_stack),
		cmocka_unit_test(test_a_fork_is_stolen),
		cmocka_unit_test(test_joins_in_any_order),
		cmocka_unit_test(test_a_fork_may_wait),
		cmocka_unit_test(test_a_million_levels_deep),
		cmocka_unit_test(test_it_may_use_three_quarters_of_a_stack),
		cmocka_unit_test(test_forks_go_on_for_a_slice_between_what_is_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
