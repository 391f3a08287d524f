/* SPDX-License-Identifier: MIT */
/*
 * The ready ring against a simple model, and with thieves: every element is taken exactly once, and
 * whoever takes some gets them in the order in which they were put.
 */
#include "sched/queue/ring.h"

#include "crew.h"
#include "tests/scale.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

#define THIEVES 3
#define MOST    256

static void *number(uintptr_t i)
{
	return (void *)(i + 1);
}

static void check_against_model(unsigned capacity, struct weft__random *random)
{
	struct weft__ring r;
	uintptr_t head = 0, tail = 0; /* the model: numbers [head, tail) */
	void *out[MOST + 1];

	assert_int_equal(weft__ring_init(&r, capacity), 0);
	for (unsigned i = 0; i < weft_test_scale(20000); i++) {
		unsigned size = (unsigned)(tail - head);
		unsigned half = size - size / 2;
		unsigned max = weft__random_below(random, capacity + 1);
		unsigned n;

		switch (weft__random_below(random, 6)) {
		case 0:
		case 1:
		case 2:
			assert_int_equal(weft__ring_push(&r, number(tail)), size < capacity);
			tail += size < capacity;
			break;
		case 3:
		case 4:
			assert_ptr_equal(weft__ring_pop(&r), size ? number(head) : NULL);
			head += size > 0;
			break;
		default:
			out[max] = &r;
			n = weft__ring_steal(&r, out, max);
			assert_int_equal(n, half < max ? half : max);
			for (unsigned k = 0; k < n; k++)
				assert_ptr_equal(out[k], number(head + k));
			assert_ptr_equal(out[max], &r);
			head += n;
			break;
		}
		assert_int_equal(weft__ring_size(&r), tail - head);
		assert_int_equal(weft__ring_empty(&r), tail == head);
	}
	weft__ring_fini(&r);
}

static void test_ring_agrees_with_model(void **state)
{
	(void)state;
	struct weft__random random;

	weft__random_seed(&random, crew_seed(__func__));
	for (unsigned capacity = 2; capacity <= MOST; capacity *= 2)
		check_against_model(capacity, &random);
}

static void test_ring_init_refuses_other_capacities(void **state)
{
	(void)state;
	struct weft__ring r;
	const unsigned bad[] = {0, 1, 3, 6, 255, 257, 0xffffffff};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(weft__ring_init(&r, bad[i]), -EINVAL);
}

struct heist {
	struct weft__ring r;
	struct item *items;
	unsigned count;
	unsigned capacity;
	uint64_t seed;
	_Atomic bool done;
	_Atomic unsigned disorder;
};

/* Counts an element, which must be newer than the last one of the same taker. */
static void take(struct heist *h, void *element, int64_t *last)
{
	int64_t i = item_take(h->items, element);

	if (i <= *last)
		atomic_fetch_add_explicit(&h->disorder, 1, memory_order_relaxed);
	*last = i;
}

static void thief(struct heist *h, struct weft__random *random)
{
	int64_t last = -1;

	/* relaxed: only says when to stop. */
	while (!atomic_load_explicit(&h->done, memory_order_relaxed)) {
		void *out[MOST];
		unsigned max = 1 + weft__random_below(random, MOST);
		unsigned n = weft__ring_steal(&h->r, out, max);

		for (unsigned k = 0; k < n; k++)
			take(h, out[k], &last);
	}
}

static void owner_and_thieves(unsigned id, void *ctx)
{
	struct heist *h = ctx;
	struct weft__random random;
	int64_t last = -1;
	unsigned next = 0;

	weft__random_seed(&random, h->seed + id);
	if (id > 0) {
		thief(h, &random);
		return;
	}

	while (next < h->count || !weft__ring_empty(&h->r)) {
		unsigned burst = weft__random_below(&random, h->capacity + 2);
		unsigned pops = weft__random_below(&random, h->capacity + 2);

		for (; burst > 0 && next < h->count; burst--) {
			if (!weft__ring_push(&h->r, item_prepare(h->items, next)))
				break;
			next++;
		}
		for (; pops > 0; pops--) {
			void *element = weft__ring_pop(&h->r);

			if (element)
				take(h, element, &last);
		}
	}
	atomic_store_explicit(&h->done, true, memory_order_relaxed);
}

static void test_ring_elements_are_taken_once_and_in_order(void **state)
{
	(void)state;
	const unsigned capacities[] = {2, 4, 8, MOST};
	uint64_t seed = crew_seed(__func__);

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		struct heist h = {
			.count = weft_test_scale(2000000), .capacity = capacities[i], .seed = seed};

		h.items = items_new(h.count);
		assert_int_equal(weft__ring_init(&h.r, h.capacity), 0);
		crew_run(1 + THIEVES, owner_and_thieves, &h);
		assert_int_equal(items_wrong(h.items, h.count), 0);
		assert_int_equal(atomic_load_explicit(&h.disorder, memory_order_relaxed), 0);
		assert_true(weft__ring_empty(&h.r));
		weft__ring_fini(&h.r);
		free(h.items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_agrees_with_model),
		cmocka_unit_test(test_ring_init_refuses_other_capacities),
		cmocka_unit_test(test_ring_elements_are_taken_once_and_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
