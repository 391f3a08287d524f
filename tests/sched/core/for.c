/* SPDX-License-Identifier: MIT */
/* weft_for(): each index once, and ranges no larger than the grain. */
#include "harness.h"

#if CHILD_TSAN /* each range is a task, and each task has a fiber, which takes long to make */
#define SPAN         66
#define WORKERS_STEP 3
#else
#define WORKERS_STEP 1
#define SPAN         3000
#endif

struct cover {
	size_t begin, end, grain;
	int step; /* what the body does besides counting: 0 nothing, 1 yield, 2 an inner loop */
	_Atomic unsigned counts[SPAN];
	_Atomic unsigned calls;
};

static struct cover cover;

static void count_range(size_t lo, size_t hi, void *ctx)
{
	struct cover *c = ctx;

	/* relaxed: read after the loop */
	atomic_fetch_add_explicit(&c->calls, 1, memory_order_relaxed);
	CHECK(lo < hi && lo >= c->begin && hi <= c->end);
	if (c->grain > 0)
		CHECK(hi - lo <= c->grain);
	if (c->step == 1)
		weft_yield();
	for (size_t i = lo; i < hi; i++)
		atomic_fetch_add_explicit(&c->counts[i - c->begin], 1, memory_order_relaxed);
}

static void cover_one(size_t begin, size_t end, size_t grain, int step)
{
	cover.begin = begin;
	cover.end = end;
	cover.grain = grain;
	cover.step = step;
	atomic_store_explicit(&cover.calls, 0, memory_order_relaxed);
	for (size_t i = 0; i < SPAN; i++)
		atomic_store_explicit(&cover.counts[i], 0, memory_order_relaxed);

	CHECK(weft_for(begin, end, grain, count_range, &cover) == 0);

	unsigned wrong = 0;
	for (size_t i = 0; i < SPAN; i++)
		wrong += atomic_load_explicit(&cover.counts[i], memory_order_relaxed) !=
			 (i < end - begin);
	CHECK(wrong == 0);
	if (begin == end)
		CHECK(atomic_load_explicit(&cover.calls, memory_order_relaxed) == 0);
	if (grain > 0 && grain >= end - begin && begin != end)
		CHECK(atomic_load_explicit(&cover.calls, memory_order_relaxed) == 1);
}

static void *cover_many(void *arg)
{
	static const size_t begins[] = {0, 1, 1000, SIZE_MAX - SPAN};
	static const size_t sizes[] = {0, 1, 2, 3, 7, 64, SPAN - 1, SPAN};
	static const size_t grains[] = {0, 1, 2, 3, 10, 64, SPAN, SIZE_MAX};

	for (size_t b = 0; b < sizeof(begins) / sizeof(begins[0]); b++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			for (size_t g = 0; g < sizeof(grains) / sizeof(grains[0]); g++)
				cover_one(begins[b], begins[b] + sizes[s], grains[g], g % 2);
		}
	}
	return arg;
}

static void test_ranges_cover_exactly_once(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += WORKERS_STEP)
		assert_run(workers, cover_many, NULL);
	cover_many(NULL);
	assert_int_equal(checks_failed(), 0);
}

static void *refuse_arguments(void *arg)
{
	CHECK(weft_for(0, 10, 1, NULL, NULL) == -EINVAL);
	CHECK(weft_for(0, 0, 0, NULL, NULL) == -EINVAL);
	CHECK(weft_for(2, 1, 1, count_range, NULL) == -EINVAL);
	CHECK(weft_for(SIZE_MAX, 0, 0, count_range, NULL) == -EINVAL);
	return arg;
}

static void test_arguments(void **state)
{
	(void)state;
	assert_run(2, refuse_arguments, NULL);
	refuse_arguments(NULL);
	assert_int_equal(checks_failed(), 0);
}

static _Atomic unsigned sum;

static void add_range(size_t lo, size_t hi, void *ctx)
{
	(void)ctx;
	atomic_fetch_add_explicit(&sum, (unsigned)(hi - lo), memory_order_relaxed);
}

static void nest(size_t lo, size_t hi, void *ctx)
{
	for (size_t i = lo; i < hi; i++)
		CHECK(weft_for(0, 40, 3, add_range, ctx) == 0);
}

static void *nest_loops(void *arg)
{
	CHECK(weft_for(0, 50, 1, nest, arg) == 0);
	return arg;
}

static void test_loops_nest(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += WORKERS_STEP) {
		atomic_store_explicit(&sum, 0, memory_order_relaxed);
		assert_run(workers, nest_loops, NULL);
		assert_int_equal(atomic_load_explicit(&sum, memory_order_relaxed), 2000);
	}
}

/* As many calls at once as there are workers, so the loop is really parallel. */
static _Atomic unsigned inside;

static void await_the_others(size_t lo, size_t hi, void *ctx)
{
	int64_t lost = weft_after(LOST_NS);

	(void)lo;
	(void)hi;
	(void)ctx;
	atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed);
	while (atomic_load_explicit(&inside, memory_order_relaxed) < 3 && weft_now() < lost)
		sched_yield();
	CHECK(atomic_load_explicit(&inside, memory_order_relaxed) == 3);
}

static void *loop_in_parallel(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(50); i++) {
		atomic_store_explicit(&inside, 0, memory_order_relaxed);
		CHECK(weft_for(0, 3, 1, await_the_others, arg) == 0);
	}
	return arg;
}

static void test_the_loop_is_parallel(void **state)
{
	(void)state;
	assert_run(3, loop_in_parallel, NULL);
	assert_run(4, loop_in_parallel, NULL);
}

/* The body finds the same state in its task in each range, however the ranges were split. */
struct found {
	weft_local key;
	weft_task *caller;
	bool cancelled;
	_Atomic unsigned as_expected;
};

static void look_around(size_t lo, size_t hi, void *ctx)
{
	struct found *f = ctx;

	int rc = f->cancelled ? weft_sleep_until(WEFT_FOREVER) : weft_sleep(1000);

	if (rc == (f->cancelled ? -ECANCELED : 0) && weft_cancelled() == f->cancelled &&
	    !weft_local_get(f->key) && weft_self() && weft_self() != f->caller)
		atomic_fetch_add_explicit(&f->as_expected, (unsigned)(hi - lo),
					  memory_order_relaxed);
	CHECK(weft_local_set(f->key, f) == 0);
}

static void *look_around_in_each(void *arg)
{
	struct found f = {.caller = weft_self()};
	int own = 0;

	CHECK(weft_local_create(NULL, &f.key) == 0);
	CHECK(weft_local_set(f.key, &own) == 0);
	for (unsigned i = 0; i < 4; i++) {
		const size_t grain[] = {1, 5, 64, 0};

		atomic_store_explicit(&f.as_expected, 0, memory_order_relaxed);
		CHECK(weft_for(0, 64, grain[i], look_around, &f) == 0);
		CHECK(atomic_load_explicit(&f.as_expected, memory_order_relaxed) == 64);
		CHECK(weft_local_get(f.key) == &own);
		if (i == 3 && !f.cancelled) {
			f.cancelled = true;
			weft_cancel(weft_self());
			weft_cancel_mask(); /* the caller's, not the ranges' */
			i = 0;
		}
	}
	weft_cancel_unmask();
	CHECK(weft_local_delete(f.key) == 0);
	return arg;
}

static void test_ranges_are_alike(void **state)
{
	(void)state;
	assert_run(1, look_around_in_each, NULL);
	assert_run(3, look_around_in_each, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_cover_exactly_once),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_loops_nest),
		cmocka_unit_test(test_the_loop_is_parallel),
		cmocka_unit_test(test_ranges_are_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
