/* SPDX-License-Identifier: MIT */
/*
 * Fields that different threads write, and fields that are read all the time, do not share a cache
 * line. Otherwise each write makes the others' reads miss. A thread that only visited a runtime
 * made its spawns take twice as long.
 */
#include "harness.h"
#include "sched/core/runtime.h"

/* The writer. */
enum writer {
	NOBODY, /* or hardly ever */
	SLEEPING_FOR_ALL,
	SLEEPING, /* read by workers that search and by one that sleeps alone */
	OUTSIDERS,
	INJECTORS,
	SELDOM,
	BURSTS,
	OWNER, /* of a worker */
	FREERS,
	DEQUE,
	RING,
	SLOT,
	INBOX,
	TIMERS,
	ROUSERS,
};

struct field {
	const char *name;
	size_t offset, size;
	enum writer writer;
};

#define FIELD(type, field, writer)                                                              \
	{                                                                                       \
#field, offsetof(struct type, field), sizeof(((struct type *)0)->field), writer \
	}
#define RUNTIME(field, writer) FIELD(weft_runtime, field, writer)
#define WORKER(field, writer)  FIELD(worker, field, writer)

static const struct field runtime_fields[] = {
	RUNTIME(config, NOBODY),
	RUNTIME(borrowed, NOBODY),
	RUNTIME(searchers_max, NOBODY),
	RUNTIME(starving, NOBODY),
	RUNTIME(early_count, NOBODY),
	RUNTIME(table, NOBODY),
	RUNTIME(target, NOBODY),
	RUNTIME(record_count, NOBODY),
	RUNTIME(attached, NOBODY),
	RUNTIME(closing, NOBODY),
	RUNTIME(stopped, NOBODY),
	RUNTIME(records, NOBODY),
	RUNTIME(traits, NOBODY),
	RUNTIME(idle, SLEEPING_FOR_ALL),
	RUNTIME(watching, SLEEPING_FOR_ALL),
	RUNTIME(keeper_deadline, SLEEPING_FOR_ALL),
	RUNTIME(idle_lock, SLEEPING),
	RUNTIME(awake_count, SLEEPING),
	RUNTIME(sleepers, SLEEPING),
	RUNTIME(keeper, SLEEPING),
	RUNTIME(visitors, OUTSIDERS),
	RUNTIME(injected_spawned, OUTSIDERS),
	RUNTIME(outside_lock, OUTSIDERS),
	RUNTIME(outside_tasks, OUTSIDERS),
	RUNTIME(injection, INJECTORS),
	RUNTIME(starved_lock, SELDOM),
	RUNTIME(starved_count, SELDOM),
	RUNTIME(starved_head, SELDOM),
	RUNTIME(starved_tail, SELDOM),
	RUNTIME(common, SELDOM),
	RUNTIME(uncommon, SELDOM),
	RUNTIME(early, SELDOM),
	RUNTIME(admin, SELDOM),
	RUNTIME(over, SELDOM),
	RUNTIME(retired_tables, SELDOM),
	RUNTIME(depot, BURSTS),
};

static const struct field worker_fields[] = {
	WORKER(rt, OWNER),
	WORKER(task, OWNER),
	WORKER(inlining, OWNER),
	WORKER(outgoing, OWNER),
	WORKER(coros, OWNER),
	WORKER(pick, OWNER),
	WORKER(duties, OWNER),
	WORKER(idle, OWNER),
	WORKER(patience, OWNER),
	WORKER(thief, OWNER),
	WORKER(numbers, OWNER),
	WORKER(tasks.local, OWNER),
	WORKER(tasks.returned, FREERS),
	WORKER(counters, OWNER),
	WORKER(deque, DEQUE),
	WORKER(ring, RING),
	WORKER(slot, SLOT),
	WORKER(picks, SLOT),
	WORKER(inbox, INBOX),
	WORKER(timers, TIMERS),
	WORKER(scopes, TIMERS),
	WORKER(sleep, ROUSERS),
};

static void assert_apart(const struct field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct field *a = &fields[i];
		size_t last = (a->offset + a->size - 1) / WEFT__CACHE_LINE;

		for (size_t k = 0; k < count; k++) {
			const struct field *b = &fields[k];
			if (b->writer == a->writer || b->offset < a->offset ||
			    b->offset / WEFT__CACHE_LINE > last)
				continue;
			fail_msg("%s and %s share a cache line", a->name, b->name);
		}
	}
}

static void test_fields_of_a_runtime_with_other_writers_are_apart(void **state)
{
	(void)state;
	assert_apart(runtime_fields, sizeof runtime_fields / sizeof runtime_fields[0]);
	assert_true(alignof(struct weft_runtime) >= WEFT__CACHE_LINE);
	assert_int_equal(sizeof(struct weft_runtime) % WEFT__CACHE_LINE, 0);
}

static void test_fields_of_a_worker_with_other_writers_are_apart(void **state)
{
	(void)state;
	assert_apart(worker_fields, sizeof worker_fields / sizeof worker_fields[0]);
	assert_true(alignof(struct worker) >= WEFT__CACHE_LINE);
}

/* What every switch and every fork touches takes two cache lines. */
static void test_hot_fields_of_a_worker_are_together(void **state)
{
	(void)state;
	assert_true(offsetof(struct worker, task) < WEFT__CACHE_LINE);
	assert_true(offsetof(struct worker, inlining) + sizeof(struct worker_inlining) <=
		    WEFT__CACHE_LINE);
	assert_true(offsetof(struct worker, thread_state) < 2 * WEFT__CACHE_LINE);
	assert_true(offsetof(struct worker, outgoing) + sizeof(struct worker_outgoing) <=
		    2 * WEFT__CACHE_LINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_of_a_runtime_with_other_writers_are_apart),
		cmocka_unit_test(test_fields_of_a_worker_with_other_writers_are_apart),
		cmocka_unit_test(test_hot_fields_of_a_worker_are_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
