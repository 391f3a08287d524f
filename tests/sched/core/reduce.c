/* SPDX-License-Identifier: MIT */
/*
 * weft_reduce(): neighbours are joined, in order. The parts follow from range and grain. The tests
 * also cover what the accumulators are, and what happens if they do not fit.
 */
#include "harness.h"

#include <string.h>

#if CHILD_TSAN /* each range is a task, and each task has a fiber, which takes long to make */
#define SPAN         66
#define WORKERS_STEP 3
#else
#define WORKERS_STEP 1
#define SPAN         2000
#endif

/* --- neighbours: an accumulator is a range, and only the range behind it can be joined to it
 * --- */

struct piece {
	size_t begin, end;
	bool empty, broken;
};

static const struct piece no_piece = {.empty = true};

struct cutting {
	size_t grain;
	bool yields;
	_Atomic unsigned bodies, joins;
};

static bool is_no_piece(const struct piece *p)
{
	return p->empty && !p->broken && p->begin == 0 && p->end == 0;
}

static void cut(size_t lo, size_t hi, void *acc, void *arg)
{
	struct cutting *c = arg;
	struct piece *p = acc;

	/* relaxed, here and below: read after the loop */
	atomic_fetch_add_explicit(&c->bodies, 1, memory_order_relaxed);
	CHECK(lo < hi && (c->grain == 0 || hi - lo <= c->grain));
	CHECK((uintptr_t)acc % 64 == 0);
	CHECK(is_no_piece(p));
	if (c->yields)
		weft_yield();
	CHECK(is_no_piece(p));
	*p = (struct piece){.begin = lo, .end = hi};
}

static void paste(void *acc, const void *right, void *arg)
{
	struct cutting *c = arg;
	struct piece *p = acc;
	const struct piece *next = right;

	atomic_fetch_add_explicit(&c->joins, 1, memory_order_relaxed);
	if (c->yields)
		weft_yield();
	p->broken |= p->empty || next->empty || next->broken || p->end != next->begin;
	p->end = next->end;
}

static void cut_one(size_t begin, size_t end, size_t grain, bool yields)
{
	struct cutting c = {.grain = grain, .yields = yields};
	struct piece all = {.broken = true};

	CHECK(weft_reduce(begin, end, grain, cut, paste, &c, &no_piece, sizeof all, &all) == 0);

	unsigned bodies = atomic_load_explicit(&c.bodies, memory_order_relaxed);
	unsigned joins = atomic_load_explicit(&c.joins, memory_order_relaxed);
	if (begin == end) {
		CHECK(is_no_piece(&all) && bodies == 0 && joins == 0);
		return;
	}
	CHECK(all.begin == begin && all.end == end && !all.empty && !all.broken);
	CHECK(bodies == joins + 1);
	if (grain >= end - begin)
		CHECK(bodies == 1);
}

static void *cut_many(void *arg)
{
	static const size_t begins[] = {0, 1, 1000, SIZE_MAX - SPAN};
	static const size_t sizes[] = {0, 1, 2, 3, 7, 64, SPAN};
	static const size_t grains[] = {0, 1, 2, 3, 10, 64, SPAN, SIZE_MAX};

	for (size_t b = 0; b < sizeof(begins) / sizeof(begins[0]); b++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			for (size_t g = 0; g < sizeof(grains) / sizeof(grains[0]); g++)
				cut_one(begins[b], begins[b] + sizes[s], grains[g], g % 2);
		}
	}
	return arg;
}

static void test_neighbours_are_joined_in_order(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += WORKERS_STEP)
		assert_run(workers, cut_many, NULL);
	cut_many(NULL);
	assert_int_equal(checks_failed(), 0);
}

static void *cut_a_few(void *arg)
{
	for (size_t grain = 0; grain < 4; grain++)
		cut_one(5, 100, grain, true);
	return arg;
}

static void test_neighbours_are_joined_in_order_whoever_runs_what(void **state)
{
	static const char *const chaos[] = {"1", "2", "3,hop", "4,hop"};

	(void)state;
	for (size_t i = 0; i < sizeof(chaos) / sizeof(chaos[0]); i++) {
		setenv("WEFT_CHAOS", chaos[i], 1);
		assert_run(3, cut_a_few, NULL);
		unsetenv("WEFT_CHAOS");
	}
}

/* --- the parts: a join that is not associative shows how they were joined --- */

static uint64_t mix(uint64_t left, uint64_t right)
{
	return (left * UINT64_C(0x9e3779b97f4a7c15) ^ right) * UINT64_C(0xbf58476d1ce4e5b9) + 1;
}

static void note_part(size_t lo, size_t hi, void *acc, void *arg)
{
	(void)arg;
	weft_yield();
	*(uint64_t *)acc = mix(lo, hi);
}

static void note_join(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(uint64_t *)acc = mix(*(uint64_t *)acc, *(const uint64_t *)right);
}

static void *note_shape(void *arg)
{
	CHECK(weft_reduce(3, 10000, 70, note_part, note_join, NULL, NULL, sizeof(uint64_t), arg) ==
	      0);
	return arg;
}

static void test_the_parts_do_not_depend_on_the_workers(void **state)
{
	uint64_t serial = 0;

	(void)state;
	note_shape(&serial);
	for (unsigned seed = 0; seed < (CHILD_TSAN ? 5 : 10); seed++) {
		uint64_t shape = 0;
		char chaos[16];

		snprintf(chaos, sizeof chaos, seed % 2 ? "%u,hop" : "%u", seed);
		if (seed > 0)
			setenv("WEFT_CHAOS", chaos, 1);
		assert_run(1 + seed % 4, note_shape, &shape);
		unsetenv("WEFT_CHAOS");
		assert_int_equal(shape, serial);
	}
}

/* --- what is refused, and what is not --- */

static void never_body(size_t lo, size_t hi, void *acc, void *arg)
{
	(void)lo, (void)hi, (void)acc, (void)arg;
	CHECK(!"called");
}

static void never_join(void *acc, const void *right, void *arg)
{
	(void)acc, (void)right, (void)arg;
	CHECK(!"called");
}

static void *refuse_arguments(void *arg)
{
	long sum = 17;

	CHECK(weft_reduce(0, 9, 1, NULL, never_join, NULL, NULL, sizeof sum, &sum) == -EINVAL);
	CHECK(weft_reduce(0, 9, 1, never_body, NULL, NULL, NULL, sizeof sum, &sum) == -EINVAL);
	CHECK(weft_reduce(0, 9, 1, never_body, never_join, NULL, NULL, sizeof sum, NULL) ==
	      -EINVAL);
	CHECK(weft_reduce(0, 9, 1, never_body, never_join, NULL, NULL, 0, &sum) == -EINVAL);
	CHECK(weft_reduce(9, 0, 1, never_body, never_join, NULL, NULL, sizeof sum, &sum) ==
	      -EINVAL);
	CHECK(weft_reduce(3, 3, 1, NULL, never_join, NULL, NULL, sizeof sum, &sum) == -EINVAL);
	CHECK(weft_reduce(0, 9, 1, never_body, never_join, NULL, NULL, SIZE_MAX, &sum) == -E2BIG);
	CHECK(weft_reduce(0, SIZE_MAX, 1, never_body, never_join, NULL, NULL, 4096, &sum) ==
	      -E2BIG);
	CHECK(sum == 17);
	return arg;
}

static void *reduce_nothing(void *arg)
{
	const long one = 1;
	long product = 17;

	CHECK(weft_reduce(3, 3, 0, never_body, never_join, NULL, &one, sizeof one, &product) == 0);
	CHECK(product == 1);
	CHECK(weft_reduce(3, 3, 0, never_body, never_join, NULL, NULL, sizeof product, &product) ==
	      0);
	CHECK(product == 0);
	product = 5;
	CHECK(weft_reduce(3, 3, 0, never_body, never_join, NULL, &product, sizeof product,
			  &product) == 0);
	CHECK(product == 5);
	return arg;
}

static void test_arguments(void **state)
{
	(void)state;
	assert_run(2, refuse_arguments, NULL);
	refuse_arguments(NULL);
	assert_int_equal(checks_failed(), 0);
}

static void test_an_empty_range_is_the_identity(void **state)
{
	(void)state;
	assert_run(2, reduce_nothing, NULL);
	reduce_nothing(NULL);
	assert_int_equal(checks_failed(), 0);
}

/* Multiplies the numbers lo + 1 to hi. */
static void multiply(size_t lo, size_t hi, void *acc, void *arg)
{
	(void)arg;
	for (size_t i = lo; i < hi; i++)
		*(uint64_t *)acc *= i + 1;
}

static void multiply_two(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(uint64_t *)acc *= *(const uint64_t *)right;
}

static void *reduce_over_the_identity(void *arg)
{
	for (size_t grain = 1; grain < 21; grain++) {
		uint64_t product = 1;

		CHECK(weft_reduce(0, 20, grain, multiply, multiply_two, NULL, &product,
				  sizeof product, &product) == 0);
		CHECK(product == UINT64_C(2432902008176640000));
	}
	return arg;
}

static void test_the_result_may_be_where_the_identity_is(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, reduce_over_the_identity, NULL);
}

/* --- large accumulators --- */

#define STACK      ((size_t)64 << 10)
#define LARGEST(n) (STACK / 2 / (n) / 64 * 64) /* if n of them exist at a time */

static void fill(size_t lo, size_t hi, void *acc, void *arg)
{
	const size_t *size = arg;
	volatile unsigned char
		own[STACK / 8]; /* a quarter is promised; the tools need some of it */

	own[0] = own[sizeof own - 1] = 1;
	for (size_t i = 0; i < *size; i++)
		CHECK(((unsigned char *)acc)[i] == 0xa5);
	memset(acc, (int)(hi - lo), *size);
}

static void add_bytes(void *acc, const void *right, void *arg)
{
	const size_t *size = arg;

	for (size_t i = 0; i < *size; i++)
		((unsigned char *)acc)[i] += ((const unsigned char *)right)[i];
}

static void fill_one(size_t count, size_t grain, size_t at_a_time)
{
	static unsigned char identity[STACK], result[STACK];
	size_t size = LARGEST(at_a_time);

	memset(identity, 0xa5, sizeof identity);
	memset(result, 0, sizeof result);
	CHECK(weft_reduce(0, count, grain, fill, add_bytes, &size, identity, size, result) == 0);
	CHECK(result[0] == count && result[size - 1] == count && result[size] == 0);
	result[0] = 0x77;
	size++; /* rounded up, it is one line more */
	CHECK(weft_reduce(0, count, grain, fill, add_bytes, &size, identity, size, result) ==
	      -E2BIG);
	CHECK(result[0] == 0x77);
}

static void *fill_many(void *arg)
{
	fill_one(1, 1, 1);
	fill_one(100, 100, 1);
	fill_one(100, 99, 2);
	fill_one(100, 50, 2);
	fill_one(100, 49, 3);
	fill_one(64, 1, 7);
	fill_one(65, 1, 8);
	return arg;
}

static void test_large_accumulators_fit_or_are_refused(void **state)
{
	(void)state;
	set_number("WEFT_STACK_SIZE", STACK);
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, fill_many, NULL);
	unsetenv("WEFT_STACK_SIZE");
}

/* --- what bodies and joins find in their tasks, and what they may do there --- */

struct found {
	weft_task *caller;
	bool cancelled;
};

static void look_around(struct found *f)
{
	CHECK(weft_self() && weft_self() != f->caller);
	CHECK(weft_cancelled() == f->cancelled);
	if (f->cancelled)
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	else
		CHECK(weft_sleep(1000) == 0);
}

static void look_and_count(size_t lo, size_t hi, void *acc, void *arg)
{
	look_around(arg);
	*(size_t *)acc += hi - lo;
}

static void look_and_add(void *acc, const void *right, void *arg)
{
	look_around(arg);
	*(size_t *)acc += *(const size_t *)right;
}

static void *reduce_while_cancelled(void *arg)
{
	struct found f = {.caller = weft_self()};

	for (unsigned i = 0; i < 2; i++) {
		size_t count = 0;

		CHECK(weft_reduce(0, 30, 4, look_and_count, look_and_add, &f, NULL, sizeof count,
				  &count) == 0);
		CHECK(count == 30);
		f.cancelled = true;
		CHECK(weft_cancel(weft_self()) == 0);
	}
	return arg;
}

static void test_a_cancellation_cuts_nothing_short(void **state)
{
	(void)state;
	assert_run(1, reduce_while_cancelled, NULL);
	assert_run(3, reduce_while_cancelled, NULL);
}

static void count(size_t lo, size_t hi, void *acc, void *arg)
{
	(void)arg;
	*(size_t *)acc += hi - lo;
}

static void add_counts(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(size_t *)acc += *(const size_t *)right;
}

static void count_in_each(size_t lo, size_t hi, void *acc, void *arg)
{
	for (size_t i = lo; i < hi; i++) {
		size_t inner = 0;

		CHECK(weft_reduce(0, i, 3, count, add_counts, arg, NULL, sizeof inner, &inner) ==
		      0);
		CHECK(inner == i);
		*(size_t *)acc += inner;
	}
}

static void *nest(void *arg)
{
	size_t sum = 0;

	CHECK(weft_reduce(0, 60, 2, count_in_each, add_counts, arg, NULL, sizeof sum, &sum) == 0);
	CHECK(sum == 60 * 59 / 2);
	return arg;
}

static void test_reductions_nest(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += WORKERS_STEP)
		assert_run(workers, nest, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_are_joined_in_order),
		cmocka_unit_test(test_neighbours_are_joined_in_order_whoever_runs_what),
		cmocka_unit_test(test_the_parts_do_not_depend_on_the_workers),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_an_empty_range_is_the_identity),
		cmocka_unit_test(test_the_result_may_be_where_the_identity_is),
		cmocka_unit_test(test_large_accumulators_fit_or_are_refused),
		cmocka_unit_test(test_a_cancellation_cuts_nothing_short),
		cmocka_unit_test(test_reductions_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
