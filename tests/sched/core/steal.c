/* SPDX-License-Identifier: MIT */
/*
 * If a thief's loot from a ring did not last, the thief leaves rings alone for a moment (steal.c).
 *
 *   victim                             thief
 *                                      has stolen loot that did not last
 *   makes a task runnable, which goes
 *   to its ring, and computes
 *                                      spares the ring, then takes the task
 *
 * The thief's own task writes the size of the last loot into its worker's record.
 */
#include "harness.h"
#include "sched/core/runtime.h"
#include "sched/core/tls.h"

#include <limits.h>

static struct
try {
	weft_event first, second;
	flag waiting, spoilt, first_ran, second_ran;
	int64_t avoid_ns;
	int64_t compute_ns; /* for that long, or until the first has run */
	bool taken;         /* while the victim computed */
}
try;

static void *wait_for_first(void *arg)
{
	raise_flag(&try.waiting);
	CHECK(weft_event_wait(&try.first) == 0);
	raise_flag(&try.first_ran);
	return arg;
}

static void *wait_for_second(void *arg)
{
	raise_flag(&try.waiting);
	CHECK(weft_event_wait(&try.second) == 0);
	raise_flag(&try.second_ran);
	return arg;
}

/* A worker that spares rings for ever, or searches for long, raids this from its slot. */
static void *end_sparing(void *arg)
{
	raise_flag(&try.waiting);
	CHECK(weft_event_wait(&try.first) == 0);
	weft__worker()->thief.avoid_until = 0;
	raise_flag(&try.first_ran);
	return arg;
}

/* Runs on the thief. Its last loot did not last, by far. It has spared rings for a given time
 * already. It has no reason to search for long. */
static void *spoil_loot(void *arg)
{
	struct worker *w = weft__worker();

	w->thief.loot_since = try.avoid_ns == 0 ? weft_now() : 0;
	w->thief.loot_count = UINT_MAX;
	w->thief.avoid_until = weft_after(try.avoid_ns);
	w->idle.shorts = 0;
	raise_flag(&try.spoilt);
	return arg;
}

static void *keep_one_in_slot(void *arg)
{
	weft_task *tasks[2];

	CHECK(weft_spawn(end_sparing, NULL, &tasks[0]) == 0);
	CHECK(yield_for(&try.waiting, 1));
	CHECK(weft_spawn(spoil_loot, NULL, &tasks[1]) == 0);
	CHECK(spin_for(&try.spoilt, 1));
	weft_event_set(&try.first);
	int64_t end = weft_after(try.compute_ns);
	while (!is_raised(&try.first_ran, 1) && weft_now() < end)
		sched_yield();
	try.taken = is_raised(&try.first_ran, 1);
	for (unsigned i = 0; i < 2; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void *be_victim(void *arg)
{
	weft_task *tasks[3];

	CHECK(weft_spawn(wait_for_first, NULL, &tasks[0]) == 0);
	CHECK(weft_spawn(wait_for_second, NULL, &tasks[1]) == 0);
	CHECK(yield_for(&try.waiting, 2));
	CHECK(weft_spawn(spoil_loot, NULL, &tasks[2]) == 0);
	CHECK(spin_for(&try.spoilt, 1));
	/* This goes into the slot, and the second one takes its place there. */
	weft_event_set(&try.first);
	weft_event_set(&try.second);
	int64_t end = weft_after(try.compute_ns);
	while (!is_raised(&try.first_ran, 1) && weft_now() < end)
		sched_yield();
	try.taken = is_raised(&try.first_ran, 1);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static bool is_taken_within(weft_fn *victim, weft_runtime *rt, int64_t compute_ns, int64_t avoid_ns)
{
	weft_task *task;

	try = (struct try){.first = WEFT_EVENT_INIT, .second = WEFT_EVENT_INIT};
	try.compute_ns = compute_ns;
	try.avoid_ns = avoid_ns;
	assert_int_equal(weft_submit(rt, victim, NULL, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	return try.taken;
}

static void test_a_ring_is_spared(void **state)
{
	const unsigned tries = 10;
	const int64_t ms = 1000 * 1000;
	unsigned spared = 0;

	(void)state;
	weft_runtime *rt = assert_create(2);
	for (unsigned i = 0; i < tries; i++)
		spared += !is_taken_within(be_victim, rt, 2 * ms, 100 * ms);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
	/* Either of the two may have been kept from its processor for long. */
	assert_in_range(spared, tries / 2, tries);
}

static void test_what_is_spared_is_taken_in_the_end(void **state)
{
	(void)state;
	for (unsigned spin = 0; spin <= 20; spin += 10) {
		set_number("WEFT_SPIN", spin);
		weft_runtime *rt = assert_create(2);
		unsetenv("WEFT_SPIN");
		for (unsigned i = 0; i < weft_test_scale(100); i++)
			assert_true(is_taken_within(be_victim, rt, LOST_NS, 0));
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(checks_failed(), 0);
	}
}

static void test_who_spares_rings_watches_the_slots(void **state)
{
	(void)state;
	weft_runtime *rt = assert_create(2);
	for (unsigned i = 0; i < weft_test_scale(50); i++)
		assert_true(is_taken_within(keep_one_in_slot, rt, LOST_NS, 2 * LOST_NS));
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_ring_is_spared),
		cmocka_unit_test(test_what_is_spared_is_taken_in_the_end),
		cmocka_unit_test(test_who_spares_rings_watches_the_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
