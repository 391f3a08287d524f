/* SPDX-License-Identifier: MIT */
/*
 * The deque against a simple model, and with thieves: every element is taken exactly once.
 */
#include "sched/queue/deque.h"

#include "crew.h"
#include "resident.h"
#include "tests/scale.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define THIEVES 3

static void *number(uintptr_t i)
{
	return (void *)(i + 1);
}

/* Steals one. */
static void *steal(struct weft__deque *d)
{
	void *element;

	return weft__deque_steal(d, &element, 1) == 1 ? element : NULL;
}

/* --- alone
 * ---------------------------------------------------------------------------------------- */

struct model {
	void **elements;
	size_t top, bottom;
};

static void check_step(struct weft__deque *d, struct model *m, struct weft__random *random,
		       uintptr_t *next)
{
	bool empty = m->top == m->bottom;
	void *newest = empty ? NULL : m->elements[m->bottom - 1];

	void *stolen[5];
	unsigned count;

	switch (weft__random_below(random, 10)) {
	case 0:
	case 1:
	case 2:
		m->elements[m->bottom++] = number(*next);
		assert_true(weft__deque_push(d, number((*next)++)));
		break;
	case 3:
		assert_ptr_equal(weft__deque_pop(d), newest);
		m->bottom -= !empty;
		break;
	case 4:
		if (newest) {
			assert_true(weft__deque_pop_if(d, newest));
			m->bottom--;
		}
		break;
	case 5: /* one that was never in, one that is deeper, one that has been taken */
		assert_false(weft__deque_pop_if(d, number(*next)));
		if (m->bottom - m->top > 1)
			assert_false(weft__deque_pop_if(d, m->elements[m->bottom - 2]));
		if (m->top > 0)
			assert_false(weft__deque_pop_if(d, m->elements[m->top - 1]));
		break;
	case 6:
		assert_ptr_equal(weft__deque_pop_oldest(d), empty ? NULL : m->elements[m->top]);
		m->top += !empty;
		break;
	case 7:
		count = weft__deque_steal(d, stolen, 5);
		assert_int_equal(count, m->bottom - m->top < 5 ? m->bottom - m->top : 5);
		for (unsigned i = 0; i < count; i++)
			assert_ptr_equal(stolen[i], m->elements[m->top++]);
		break;
	default:
		assert_ptr_equal(steal(d), empty ? NULL : m->elements[m->top]);
		m->top += !empty;
		break;
	}

	assert_int_equal(weft__deque_size(d), m->bottom - m->top);
	assert_int_equal(weft__deque_empty(d), m->bottom == m->top);
}

static void test_deque_agrees_with_model(void **state)
{
	(void)state;
	struct weft__random random;
	unsigned steps = weft_test_scale(20000);
	struct model m = {.elements = calloc(steps, sizeof(void *))};

	assert_non_null(m.elements);
	weft__random_seed(&random, crew_seed(__func__));
	for (size_t capacity = 0; capacity <= 64; capacity += 1 + capacity * 3) {
		struct weft__deque d;
		uintptr_t next = 0;

		m.top = m.bottom = 0;
		assert_int_equal(weft__deque_init(&d, capacity), 0);
		for (unsigned i = 0; i < steps; i++)
			check_step(&d, &m, &random, &next);
		weft__deque_fini(&d);
	}
	free(m.elements);
}

static void test_deque_pop_if_on_an_untouched_deque_finds_nothing(void **state)
{
	(void)state;
	struct weft__deque d;

	assert_int_equal(weft__deque_init(&d, 2), 0);
	assert_false(weft__deque_pop_if(&d, number(0)));
	assert_null(weft__deque_pop(&d));
	assert_null(steal(&d));
	assert_true(weft__deque_empty(&d));
	weft__deque_fini(&d);
}

static void test_deque_init_refuses_absurd_capacity(void **state)
{
	(void)state;
	struct weft__deque d;

	assert_int_equal(weft__deque_init(&d, SIZE_MAX), -ENOMEM);
}

static void test_deque_push_without_memory_loses_nothing(void **state)
{
	(void)state;
	struct weft__deque d;
	struct rlimit old;
	uintptr_t pushed = 0; /* 64 MiB hold less than 9 Mi pointers */

	/* A limit on the address space cannot be tested under a sanitizer or valgrind. */
	if (WEFT_TEST_SCALE_SANITIZER > 1 || getenv("WEFT_TEST_SCALE"))
		skip();

	assert_int_equal(weft__deque_init(&d, 2), 0);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	struct rlimit tight = {.rlim_cur = 64 << 20, .rlim_max = old.rlim_max};

	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	while (pushed < 9 << 20 && weft__deque_push(&d, number(pushed)))
		pushed++;
	bool again = weft__deque_push(&d, number(pushed));

	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_in_range(pushed, 1000, (9 << 20) - 1);
	assert_false(again);
	assert_int_equal(weft__deque_size(&d), pushed);

	/* Room at the other end is enough for another one. */
	assert_ptr_equal(steal(&d), number(0));
	assert_true(weft__deque_push(&d, number(pushed)));
	for (uintptr_t i = pushed; i > 0; i--)
		assert_ptr_equal(weft__deque_pop(&d), number(i));
	assert_true(weft__deque_empty(&d));
	weft__deque_fini(&d);
}

/* --- with thieves
 * --------------------------------------------------------------------------------- */

/* A thief may have read the address of a buffer and be yet to read from it. */
static void test_deque_outgrown_buffers_stay_as_they_are(void **state)
{
	(void)state;
	struct weft__deque_buffer *old[2];
	struct weft__deque d;

	assert_int_equal(weft__deque_init(&d, 2), 0);
	for (uintptr_t i = 0; i < 8; i++) {
		assert_true(weft__deque_push(&d, number(i)));
		if (i < 4)
			old[i / 2] = atomic_load_explicit(&d.buffer, memory_order_relaxed);
	}
	struct weft__deque_buffer *last = atomic_load_explicit(&d.buffer, memory_order_relaxed);

	assert_ptr_equal(last->older, old[1]);
	assert_ptr_equal(last->older->older, old[0]);
	for (uintptr_t k = 0; k < 2; k++) {
		for (uintptr_t i = 0; i < 2u << k; i++)
			assert_ptr_equal(
				atomic_load_explicit(&old[k]->slots[i], memory_order_relaxed),
				number(i));
	}
	weft__deque_fini(&d);
}

struct heist {
	struct weft__deque d;
	struct item *items;
	unsigned count;
	uint64_t seed;
	unsigned most; /* elements at once, in one burst */
	_Atomic bool done;
	_Atomic unsigned failed_pushes;
};

/* What each takes at once: the first one, two, or most of what there is. */
static void thief(struct heist *h, unsigned id)
{
	static const unsigned most[1 + THIEVES] = {0, 1, 2, 64};
	void *elements[64];

	/* relaxed: only says when to stop. */
	while (!atomic_load_explicit(&h->done, memory_order_relaxed)) {
		unsigned count = weft__deque_steal(&h->d, elements, most[id]);

		for (unsigned i = 0; i < count; i++)
			item_take(h->items, elements[i]);
	}
}

static void push(struct heist *h, unsigned i)
{
	if (!weft__deque_push(&h->d, item_prepare(h->items, i)))
		atomic_fetch_add_explicit(&h->failed_pushes, 1, memory_order_relaxed);
}

/* Pushes bursts of random length and pops part of each, so that the deque is often down to one or
 * two. */
static void bursts(unsigned id, void *ctx)
{
	struct heist *h = ctx;
	struct weft__random random;
	unsigned next = 0;

	if (id > 0) {
		thief(h, id);
		return;
	}

	weft__random_seed(&random, h->seed);
	while (next < h->count) {
		unsigned burst = 1 + weft__random_below(&random, h->most);
		unsigned pops = weft__random_below(&random, 4) ? burst : burst / 2;

		for (; burst > 0 && next < h->count; burst--)
			push(h, next++);
		for (; pops > 0; pops--) {
			void *element = weft__random_below(&random, 3)
						? weft__deque_pop(&h->d)
						: weft__deque_pop_oldest(&h->d);

			if (element)
				item_take(h->items, element);
		}
	}
	for (void *element; (element = weft__deque_pop(&h->d)) != NULL;)
		item_take(h->items, element);
	atomic_store_explicit(&h->done, true, memory_order_relaxed);
}

/* Forks numbers [lo, hi) as a binary tree: the last one pushed is the first one joined, unless it
 * was stolen. */
static void tree(struct heist *h, unsigned lo, unsigned hi)
{
	unsigned middle = lo + (hi - lo) / 2;

	if (lo == hi)
		return;
	push(h, middle);
	tree(h, lo, middle);
	tree(h, middle + 1, hi);
	if (weft__deque_pop_if(&h->d, &h->items[middle]))
		item_take(h->items, &h->items[middle]);
}

static void forks(unsigned id, void *ctx)
{
	struct heist *h = ctx;

	if (id > 0) {
		thief(h, id);
		return;
	}
	for (unsigned lo = 0; lo < h->count; lo += h->most)
		tree(h, lo, h->count - lo < h->most ? h->count : lo + h->most);
	/* What was stolen before its join was counted by its thief. Nothing can be left. */
	while (!weft__deque_empty(&h->d)) {
		atomic_fetch_add_explicit(&h->failed_pushes, 1, memory_order_relaxed);
		weft__deque_pop(&h->d);
	}
	atomic_store_explicit(&h->done, true, memory_order_relaxed);
}

static void check_heist(crew_fn *owner, int mode, size_t capacity, unsigned count, unsigned most,
			uint64_t seed)
{
	struct heist h = {.items = items_new(count), .count = count, .seed = seed, .most = most};

	if (!crew_force_fences(mode)) {
		free(h.items);
		return;
	}
	assert_int_equal(weft__deque_init(&h.d, capacity), 0);
	crew_run(1 + THIEVES, owner, &h);
	assert_int_equal(atomic_load_explicit(&h.failed_pushes, memory_order_relaxed), 0);
	assert_int_equal(items_wrong(h.items, count), 0);
	assert_true(weft__deque_empty(&h.d));
	weft__deque_fini(&h.d);
	free(h.items);
}

/*
 * The races that decide, two elements in the deque, a and b:
 *
 * 	owner: pop                     thief 1: steal 1    thief 2: steal 2
 * 	                               takes a (1, 0)
 * 	bottom := 1 (in its store                          claims (1, 1), fence, bottom 2: goes for b
 * 	buffer without a fence)
 * 	front (0, 0) (read early)                          takes (2, 0): has b
 * 	1 >= 0: has b too
 *
 * 	                                                   claims (0, 2)
 * 	bottom := 1, front (0, 2): cuts (0, 1), has b
 * 	                                                   bottom 2 (read before): goes for a and b, loses the CAS,
 * 	                               claims nothing      takes a (1, 0)
 * 	                               (0, 1): may take a
 */
static void check_bursts(int mode)
{
	uint64_t seed = crew_seed(__func__);

	for (unsigned round = 0; round < 4; round++) {
		check_heist(bursts, mode, 2, weft_test_scale(300000), 2, seed + round);
		check_heist(bursts, mode, 2, weft_test_scale(300000), 4, seed + round);
		check_heist(bursts, mode, 256, weft_test_scale(300000), 100, seed + round);
	}
}

static void test_deque_elements_are_taken_once_with_asymmetric_fences(void **state)
{
	(void)state;
	if (!crew_force_fences(WEFT__FENCE_ASYMMETRIC))
		skip();
	check_bursts(WEFT__FENCE_ASYMMETRIC);
}

static void test_deque_elements_are_taken_once_with_symmetric_fences(void **state)
{
	(void)state;
	check_bursts(WEFT__FENCE_SYMMETRIC);
}

static void test_deque_growth_under_thieves_loses_nothing(void **state)
{
	(void)state;
	uint64_t seed = crew_seed(__func__);

	/* A new deque each time, since it grows a few times only. */
	for (unsigned round = 0; round < weft_test_scale(300); round++) {
		check_heist(bursts, WEFT__FENCE_SYMMETRIC, 2, 2000, 1000, seed + round);
		check_heist(bursts, WEFT__FENCE_ASYMMETRIC, 2, 2000, 1000, seed + round);
	}
}

static void test_deque_pop_if_and_thieves_take_each_fork_once(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		check_heist(forks, WEFT__FENCE_ASYMMETRIC, 2, weft_test_scale(200000), 1, 0);
		check_heist(forks, WEFT__FENCE_ASYMMETRIC, 2, weft_test_scale(200000), 3, 0);
		check_heist(forks, WEFT__FENCE_SYMMETRIC, 2, weft_test_scale(200000), 3, 0);
		check_heist(forks, WEFT__FENCE_ASYMMETRIC, 2, weft_test_scale(200000), 5000, 0);
	}
}

/* How many pages of the buffers' slots have memory. */
static size_t resident_pages(struct weft__deque *d)
{
	struct weft__deque_buffer *buffer = atomic_load_explicit(&d->buffer, memory_order_relaxed);
	size_t count = 0;

	for (; buffer; buffer = buffer->older)
		count += resident_pages_of(buffer->slots, &buffer->slots[buffer->mask + 1]);
	return count;
}

static void test_deque_gives_back_the_memory_of_a_burst(void **state)
{
	enum { BURST = 300000 };
	static char elements[BURST];
	struct weft__deque d;

	(void)state;
	assert_int_equal(weft__deque_init(&d, 1024), 0);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < BURST; i++)
			assert_true(weft__deque_push(&d, &elements[i]));
		/* Nothing is given back while there is something in it. */
		weft__deque_shrink(&d);
		for (size_t i = BURST; i-- > 0;)
			assert_ptr_equal(weft__deque_pop(&d), &elements[i]);
		/* The same indices again, but to be taken at the other end. */
		for (size_t i = 0; i < BURST; i++)
			assert_true(weft__deque_push(&d, &elements[i]));
		for (size_t i = 0; i < BURST; i++)
			assert_ptr_equal(weft__deque_pop_oldest(&d), &elements[i]);
		assert_true(resident_pages(&d) > BURST * sizeof(void *) / 8192);
		weft__deque_shrink(&d);
		assert_int_equal(resident_pages(&d), 0);
		assert_null(weft__deque_pop(&d));
		assert_false(weft__deque_pop_if(&d, elements));
	}
	weft__deque_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deque_agrees_with_model),
		cmocka_unit_test(test_deque_pop_if_on_an_untouched_deque_finds_nothing),
		cmocka_unit_test(test_deque_init_refuses_absurd_capacity),
		cmocka_unit_test(test_deque_push_without_memory_loses_nothing),
		cmocka_unit_test(test_deque_gives_back_the_memory_of_a_burst),
		cmocka_unit_test(test_deque_outgrown_buffers_stay_as_they_are),
		cmocka_unit_test(test_deque_elements_are_taken_once_with_asymmetric_fences),
		cmocka_unit_test(test_deque_elements_are_taken_once_with_symmetric_fences),
		cmocka_unit_test(test_deque_growth_under_thieves_loses_nothing),
		cmocka_unit_test(test_deque_pop_if_and_thieves_take_each_fork_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
