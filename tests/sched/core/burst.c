/* SPDX-License-Identifier: MIT */
/*
 * After a burst. An idle worker gives back the burst's stacks, and then no worker does anything
 * more. The same holds for memory of every kind, as the kernel counts it.
 */
#include "../../src/depot_peek.h"
#include "crowd.h"
#include "sched/core/runtime.h"
#include "sched/core/tls.h"

#include "src/base/sanitizer.h"

#include <malloc.h>
#include <time.h>

static void *burst(void *arg)
{
	unsigned count = weft_test_scale(CROWD_MAX);

	crowd_gather(count, crowd_wait, NULL, NULL);
	crowd_disperse(count);
	return arg;
}

static uint64_t sleeps(weft_runtime *rt)
{
	struct weft_stats stats;

	assert_int_equal(weft_runtime_stats(rt, &stats), 0);
	return stats.sleeps;
}

/* Waits until nothing is due and the surplus is freed, which happens a moment later. */
static void await_given_back(weft_runtime *rt, size_t used_max)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	int64_t lost = weft_after(LOST_NS);

	while (due(&rt->depot) != WEFT_FOREVER || used_stacks() > used_max) {
		assert_true(weft_now() < lost);
		nanosleep(&nap, NULL);
	}
}

/* Waits for a period in which no worker wakes, and so none goes to sleep again. */
static void await_no_sleep_any_more(weft_runtime *rt)
{
	const struct timespec nap = {.tv_nsec = 200000000};
	int64_t lost = weft_after(LOST_NS);
	uint64_t asleep;

	do {
		assert_true(weft_now() < lost);
		asleep = sleeps(rt);
		nanosleep(&nap, NULL);
	} while (sleeps(rt) != asleep);
}

/* A runtime with nothing else to do gives back, and then sleeps for good. */
static void test_an_idle_runtime_gives_back_a_burst(void **state)
{
	static const unsigned counts[] = {1, 2, 4};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t before = used_stacks();
		weft_runtime *rt = assert_create(counts[i]);
		weft_task *task;

		assert_int_equal(weft_submit(rt, burst, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		/* Each worker keeps at most two chains. */
		await_given_back(rt, before + 2 * DEPOT_CHAIN * counts[i]);
		assert_int_equal(checks_failed(), 0);
		assert_true(used_stacks() >= before);
		await_no_sleep_any_more(rt);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(used_stacks(), before);
	}
}

/* The only awake worker runs a task that does not end, so another worker is woken to give back. */
static void *burst_then_compute(void *arg)
{
	burst(NULL);
	struct worker *w = weft__worker();
	int64_t lost = weft_after(LOST_NS);

	while (due(&w->rt->depot) != WEFT_FOREVER && weft_now() < lost)
		sched_yield();
	CHECK(due(&w->rt->depot) == WEFT_FOREVER);
	return arg;
}

static void test_a_busy_runtime_gives_back_a_burst(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_run(2, burst_then_compute, NULL);
}

#define PAGE 4096 /* the unit of /proc/self/statm on the machines that run this */

static size_t resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t size = 0, pages = 0;

	if (!file || fscanf(file, "%zu %zu", &size, &pages) != 2)
		abort();
	fclose(file);
	return pages * PAGE;
}

/* Tasks that use most of their stacks, all at once. */
struct deep {
	unsigned count;
	size_t stack_size; /* 0: the common size */
	size_t used;
	size_t peak; /* the resident memory at that time */
};

static size_t depth;

static __attribute__((noinline)) void use_stack(void)
{
	char *frame = __builtin_alloca(depth);

	memset(frame, 1, depth);
	__asm__ volatile("" : : "r"(frame) : "memory");
}

static void *use_stack_and_wait(void *arg)
{
	use_stack();
	return crowd_wait(arg);
}

static void *deep_burst(void *arg)
{
	struct deep *deep = arg;
	struct weft_task_options options = {.stack_size = deep->stack_size};

	depth = deep->used;
	crowd_gather(deep->count, use_stack_and_wait, &options, &options);
	deep->peak = resident();
	crowd_disperse(deep->count);
	return arg;
}

static void await_resident(size_t most)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	int64_t lost = weft_after(LOST_NS);

	while (resident() > most) {
		assert_true(weft_now() < lost);
		nanosleep(&nap, NULL);
	}
}

#define WORKERS 2
/*
 * The most that may stay of the smallest burst; a twentieth of that burst is less than this. Each
 * worker keeps two chains of coroutines. The frames at the top of a stack and the coroutine take
 * two pages. That is 1 MiB. The same amount again is for everything else: control blocks, queues,
 * the C library.
 */
#define KEPT_MAX (WORKERS * 2 * DEPOT_CHAIN * 2 * (size_t)PAGE + ((size_t)1 << 20))

static void test_memory_of_every_kind_is_given_back(void **state)
{
	static struct deep bursts[] = {
		{1000, 0, 150 << 10, 0},        {600, 256 << 10, 200 << 10, 0},
		{300, 512 << 10, 450 << 10, 0}, {150, 1 << 20, 900 << 10, 0},
		{CROWD_MAX, 0, 64, 0},
	};
	weft_task *task;

	(void)state;
	if (WEFT__ASAN || CHILD_TSAN || san_under_valgrind()) {
		print_message("skipped: the tool has memory of its own\n");
		return;
	}
	if (weft_test_scale(1000) < 1000) {
		print_message("skipped: scaled down, as under an emulator, which has memory of its "
			      "own\n");
		return;
	}
	size_t begin = resident();
	weft_runtime *rt = assert_create(WORKERS);
	for (size_t i = 0; i < sizeof bursts / sizeof bursts[0]; i++) {
		size_t before = resident();

		bursts[i].count = weft_test_scale(bursts[i].count);
		assert_int_equal(weft_submit(rt, deep_burst, &bursts[i], &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(checks_failed(), 0);
		size_t burst = bursts[i].peak - before;
		assert_true(burst >= bursts[i].count * bursts[i].used / 2);
		await_resident(before + (burst / 20 > KEPT_MAX ? burst / 20 : KEPT_MAX));
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	malloc_trim(0); /* the C library's free memory does not count */
	assert_true(resident() <= begin + (1 << 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_of_every_kind_is_given_back),
		cmocka_unit_test(test_an_idle_runtime_gives_back_a_burst),
		cmocka_unit_test(test_a_busy_runtime_gives_back_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
