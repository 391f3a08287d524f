/* SPDX-License-Identifier: MIT */
/*
 * The ready ring against a simple model, and with thieves: every element is taken exactly once, and
 * a thread that takes some gets them in the order in which they were put, with their hints.
 */
#include "sched/queue/ring.h"

#include "crew.h"
#include "resident.h"
#include "src/base/cpu_relax.h"
#include "tests/scale.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define THIEVES 3
#define MOST    256

static void *number(uintptr_t i)
{
	return (void *)(i + 1);
}

static uintptr_t hint(uintptr_t i)
{
	return i * 3 + 7;
}

static enum weft__ring_state state_of(struct weft__ring *r)
{
	return atomic_load_explicit(&r->head, memory_order_relaxed) & WEFT__RING_STATE;
}

/* What is to be seen of the elements that come after the next one. Of those that the owner has not
 * seen stolen anything may be said. */
static void check_ahead(struct weft__ring *r, unsigned capacity, uintptr_t tail)
{
	uintptr_t mine = atomic_load_explicit(&r->mine, memory_order_relaxed) >> 1;

	for (unsigned distance = 0; distance < capacity + 2; distance += 1 + distance / 2) {
		uintptr_t said = 0;
		void *element = weft__ring_ahead(r, distance, &said);

		if (mine + distance >= tail) {
			assert_null(element);
			continue;
		}
		assert_ptr_equal(element, number(mine + distance));
		assert_int_equal(said, hint(mine + distance));
	}
}

static void check_against_model(unsigned capacity, unsigned most, struct weft__random *random)
{
	struct weft__ring r;
	uintptr_t head = 0, tail = 0; /* the model: numbers [head, tail) */
	void *out[MOST + 1];
	uintptr_t hints[MOST];
	unsigned often = 0; /* so many more kinds of pops; with few of them it grows */

	assert_int_equal(weft__ring_init(&r, capacity, most), 0);
	for (unsigned i = 0; i < weft_test_scale(20000); i++) {
		unsigned size = (unsigned)(tail - head);
		unsigned half = size - size / 2;
		unsigned max = weft__random_below(random, most + 1);
		unsigned n;

		if (i % 512 == 0)
			often = weft__random_below(random, 6);
		switch (weft__random_below(random, 6 + often)) {
		case 0:
		case 1:
		case 2:
			assert_int_equal(weft__ring_push(&r, number(tail), hint(tail)),
					 size < most);
			tail += size < most;
			break;
		case 3:
		case 4:
		case 6:
		case 7:
		case 8:
		case 9:
		case 10:
			assert_ptr_equal(weft__ring_pop(&r), size ? number(head) : NULL);
			head += size > 0;
			break;
		default:
			out[max] = &r;
			n = weft__ring_steal(&r, out, max % 2 ? hints : NULL, max);
			assert_int_equal(n, half < max ? half : max);
			for (unsigned k = 0; k < n; k++) {
				assert_ptr_equal(out[k], number(head + k));
				if (max % 2)
					assert_int_equal(hints[k], hint(head + k));
			}
			if (n > 0)
				assert_int_equal(state_of(&r), WEFT__RING_SHARED);
			assert_ptr_equal(out[max], &r);
			head += n;
			break;
		}
		assert_int_equal(weft__ring_size(&r), tail - head);
		assert_int_equal(weft__ring_empty(&r), tail == head);
		if (i % 64 == 0 && atomic_load_explicit(&r.mine, memory_order_relaxed) >> 1 == head)
			check_ahead(&r, most, tail);
	}
	weft__ring_fini(&r);
}

static void test_ring_agrees_with_model(void **state)
{
	(void)state;
	struct weft__random random;

	weft__random_seed(&random, crew_seed(__func__));
	for (unsigned capacity = 2; capacity <= MOST; capacity *= 2) {
		check_against_model(capacity, capacity, &random);
		check_against_model(2, capacity, &random);
	}
}

/* After a thief everybody takes by CAS, until the owner has been left alone for a while. */
static void test_ring_is_the_owners_again(void **state)
{
	(void)state;
	struct weft__ring r;
	void *out[1];
	unsigned pops = 0;

	assert_int_equal(weft__ring_init(&r, 4, 4), 0);
	for (uintptr_t i = 0; i < 3; i++) {
		assert_true(weft__ring_push(&r, number(2), 0));
		assert_true(weft__ring_push(&r, number(3), 0));
		assert_int_equal(state_of(&r), WEFT__RING_OWNED);
		assert_int_equal(weft__ring_steal(&r, out, NULL, 1), 1);
		assert_ptr_equal(out[0], number(2));
		assert_ptr_equal(weft__ring_pop(&r), number(3));
		for (pops = 1; state_of(&r) != WEFT__RING_OWNED; pops++) {
			assert_true(pops < 100000);
			assert_true(weft__ring_push(&r, number(pops), 0));
			/* What is stolen in between begins it anew. */
			if (pops == 100) {
				assert_true(weft__ring_push(&r, number(5), 0));
				assert_int_equal(weft__ring_steal(&r, out, NULL, 1), 1);
				assert_ptr_equal(weft__ring_pop(&r), number(5));
			} else {
				assert_ptr_equal(weft__ring_pop(&r), number(pops));
			}
			assert_null(weft__ring_pop(&r));
		}
		assert_true(pops > 110);
	}
	weft__ring_fini(&r);
}

static void test_ring_init_refuses_other_capacities(void **state)
{
	(void)state;
	struct weft__ring r;
	const unsigned bad[] = {0, 1, 3, 6, 255, 257, 0xffffffff};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(weft__ring_init(&r, bad[i], 0x80000000), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(weft__ring_init(&r, 2, bad[i]), -EINVAL);
	assert_int_equal(weft__ring_init(&r, 8, 4), -EINVAL);
}

/* A thief may have read the address of a buffer and be yet to read from it. */
static void test_ring_outgrown_buffers_stay_as_they_are(void **state)
{
	(void)state;
	struct weft__ring_buffer *old[2];
	struct weft__ring r;

	assert_int_equal(weft__ring_init(&r, 2, 8), 0);
	for (uintptr_t i = 0; i < 8; i++) {
		assert_true(weft__ring_push(&r, number(i), hint(i)));
		if (i < 4)
			old[i / 2] = atomic_load_explicit(&r.buffer, memory_order_relaxed);
	}
	struct weft__ring_buffer *last = atomic_load_explicit(&r.buffer, memory_order_relaxed);

	assert_ptr_equal(last->older, old[1]);
	assert_ptr_equal(last->older->older, old[0]);
	for (uintptr_t k = 0; k < 2; k++) {
		for (uintptr_t i = 0; i < 2u << k; i++) {
			struct weft__ring_slot *slot = &old[k]->slots[i];

			assert_ptr_equal(atomic_load_explicit(&slot->element, memory_order_relaxed),
					 number(i));
			assert_int_equal(atomic_load_explicit(&slot->hint, memory_order_relaxed),
					 hint(i));
		}
	}
	weft__ring_fini(&r);
}

struct heist {
	struct weft__ring r;
	struct item *items;
	unsigned count;
	unsigned capacity, most;
	uint64_t seed;
	unsigned pause;
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
	uintptr_t hints[MOST];

	/* relaxed: only says when to stop. */
	while (!atomic_load_explicit(&h->done, memory_order_relaxed)) {
		void *out[MOST];
		unsigned max = 1 + weft__random_below(random, MOST);
		unsigned n = weft__ring_steal(&h->r, out, hints, max);

		for (unsigned k = 0; k < n; k++) {
			take(h, out[k], &last);
			if (hints[k] != hint((uintptr_t)last))
				atomic_fetch_add_explicit(&h->disorder, 1, memory_order_relaxed);
		}
		/* Long enough now and then for the ring to be its owner's again. */
		for (unsigned k = weft__random_below(random, h->pause + 1); k > 0; k--)
			weft__cpu_relax();
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
		unsigned burst = weft__random_below(&random, h->most + 2);
		unsigned pops = weft__random_below(&random, h->most + 2);

		for (; burst > 0 && next < h->count; burst--) {
			if (!weft__ring_push(&h->r, item_prepare(h->items, next), hint(next)))
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

/*
 * The race that decides, one element in the ring:
 *
 *	owner: pop                          thief: steal
 *	taking (in its store buffer
 *	without a fence)
 *	                                    asks, fence, mine: not taking; SHARED; takes it
 *	the state: OWNED (read early): has
 *	it too
 */
static void check_heist(int mode, unsigned capacity, unsigned most, unsigned pause, uint64_t seed)
{
	struct heist h = {.count = weft_test_scale(500000),
			  .capacity = capacity,
			  .most = most,
			  .pause = pause,
			  .seed = seed};

	if (!crew_force_fences(mode))
		return;
	h.items = items_new(h.count);
	assert_int_equal(weft__ring_init(&h.r, h.capacity, h.most), 0);
	crew_run(1 + THIEVES, owner_and_thieves, &h);
	assert_int_equal(items_wrong(h.items, h.count), 0);
	assert_int_equal(atomic_load_explicit(&h.disorder, memory_order_relaxed), 0);
	assert_true(weft__ring_empty(&h.r));
	weft__ring_fini(&h.r);
	free(h.items);
}

static void check_heists(int mode, uint64_t seed)
{
	const unsigned capacities[] = {2, 4, 8, MOST};
	const unsigned pauses[] = {0, 10000};

	for (size_t p = 0; p < sizeof(pauses) / sizeof(pauses[0]); p++) {
		for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
			check_heist(mode, capacities[i], capacities[i], pauses[p], seed);
			check_heist(mode, 2, capacities[i], pauses[p], seed);
		}
	}
}

static void test_ring_elements_are_taken_once_with_asymmetric_fences(void **state)
{
	(void)state;
	check_heists(WEFT__FENCE_ASYMMETRIC, crew_seed(__func__));
}

static void test_ring_elements_are_taken_once_with_symmetric_fences(void **state)
{
	(void)state;
	check_heists(WEFT__FENCE_SYMMETRIC, crew_seed(__func__));
}

/* How many pages of the buffers' slots have memory. */
static size_t resident_pages(struct weft__ring *r)
{
	struct weft__ring_buffer *buffer = atomic_load_explicit(&r->buffer, memory_order_relaxed);
	size_t count = 0;

	for (; buffer; buffer = buffer->older)
		count += resident_pages_of(buffer->slots, &buffer->slots[buffer->mask + 1]);
	return count;
}

static void test_ring_gives_back_the_memory_of_a_burst(void **state)
{
	enum { BURST = 100000 };
	static char elements[BURST];
	struct weft__ring r;

	(void)state;
	assert_int_equal(weft__ring_init(&r, 1024, 1 << 17), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < BURST; i++)
			assert_true(weft__ring_push(&r, &elements[i], i));
		/* Nothing is given back while there is something in it. */
		weft__ring_shrink(&r);
		for (size_t i = 0; i < BURST; i++)
			assert_ptr_equal(weft__ring_pop(&r), &elements[i]);
		assert_true(resident_pages(&r) > BURST * sizeof(struct weft__ring_slot) / 8192);
		weft__ring_shrink(&r);
		assert_int_equal(resident_pages(&r), 0);
		assert_null(weft__ring_pop(&r));
	}
	weft__ring_fini(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_agrees_with_model),
		cmocka_unit_test(test_ring_init_refuses_other_capacities),
		cmocka_unit_test(test_ring_is_the_owners_again),
		cmocka_unit_test(test_ring_gives_back_the_memory_of_a_burst),
		cmocka_unit_test(test_ring_outgrown_buffers_stay_as_they_are),
		cmocka_unit_test(test_ring_elements_are_taken_once_with_asymmetric_fences),
		cmocka_unit_test(test_ring_elements_are_taken_once_with_symmetric_fences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
