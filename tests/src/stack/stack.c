/* SPDX-License-Identifier: MIT */
/* The pools of stacks: the layout of a slot, reuse, giving back, and the system's refusals. */
#include "src/stack/stack.h"

#include "../child.h"
#include "src/base/sanitizer.h"
#include "src/coro.h"
#include "src/stack/stack_trim.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

#define HEADER 200

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static void test_slot_has_the_promised_layout(void **state)
{
	struct stack stacks[64];
	size_t tops[64];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		size_t size = 16384 + (i % 2) * 20000;

		assert_int_equal(weft__stack_alloc(size, i % 4 < 2, HEADER, &stacks[i]), 0);
		assert_int_equal((uintptr_t)stacks[i].low % page_size(), 0);
		assert_int_equal((uintptr_t)stacks[i].top % 64, 0);
		assert_true((size_t)(stacks[i].top - stacks[i].low) >= size);
		/* The slot's last page holds the header and at least 2000 bytes of frames. */
		assert_true((uintptr_t)stacks[i].top % page_size() >= 2000);
		assert_true((uintptr_t)stacks[i].top % page_size() + HEADER <= page_size());
		memset(stacks[i].low, (int)i, (size_t)(stacks[i].top + HEADER - stacks[i].low));
	}
	/* Nobody has written over another's stack. */
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal((unsigned char)stacks[i].low[0], i);
		assert_int_equal((unsigned char)stacks[i].top[HEADER - 1], i);
		weft__stack_free(&stacks[i]);
	}
	/* Sixteen in a row begin at sixteen different places of their pages. */
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(weft__stack_alloc(100000, true, HEADER, &stacks[i]), 0);
		tops[stacks[i].index % 16] = (uintptr_t)stacks[i].top % page_size();
	}
	for (size_t i = 1; i < 16; i++)
		assert_int_equal(tops[i - 1] - tops[i], 64);
	for (size_t i = 0; i < 64; i++)
		weft__stack_free(&stacks[i]);
}

static void test_last_freed_is_used_first(void **state)
{
	struct stack a, b, again;

	(void)state;
	assert_int_equal(weft__stack_alloc(50000, true, HEADER, &a), 0);
	assert_int_equal(weft__stack_alloc(50000, true, HEADER, &b), 0);
	weft__stack_free(&a);
	weft__stack_free(&b);
	assert_int_equal(weft__stack_alloc(50000, true, HEADER, &again), 0);
	assert_ptr_equal(again.low, b.low);
	weft__stack_free(&again);
}

static void test_a_reservation_is_filled(void **state)
{
	static const size_t sizes[] = {256 << 10, 1 << 20};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		size_t reserved = sizes[i / 2];
		size_t size = weft__stack_within(reserved, i % 2);
		struct stack a, b;

		assert_int_equal(size % page_size(), 0);
		assert_int_equal(weft__stack_alloc(size, i % 2, HEADER, &a), 0);
		assert_int_equal(weft__stack_alloc(size, i % 2, HEADER, &b), 0);
		assert_true((size_t)(a.top - a.low) >= size);
		/* The slots of a new arena follow each other. */
		assert_ptr_equal(a.arena, b.arena);
		assert_int_equal(b.low - a.low, reserved);
		weft__stack_free(&a);
		weft__stack_free(&b);
	}
}

/* The number of pages of [low, top) that take memory. */
static size_t resident(char *low, char *top)
{
	unsigned char pages[256];
	size_t count = ((size_t)(top - low) + page_size() - 1) / page_size();
	size_t sum = 0;

	assert_true(count <= sizeof(pages));
	assert_int_equal(mincore(low, count * page_size(), pages), 0);
	for (size_t i = 0; i < count; i++)
		sum += pages[i] & 1;
	return sum;
}

static void *sleep_shallow(void *in)
{
	return weft_coro_yield(in);
}

static void test_shallow_coroutine_takes_one_page(void **state)
{
	weft_coro *coros[64];

	(void)state;
	if (CHILD_TSAN || CHILD_ASAN) {
		print_message("skipped: sanitizers make frames larger and walk over the stack\n");
		skip();
	}
	/* A size of its own, so no slot has been used before. */
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(weft_coro_create(sleep_shallow, 70000, &coros[i]), 0);
		assert_int_equal(weft_coro_enter(coros[i], NULL, NULL), 0);
	}
	for (size_t i = 0; i < 64; i++) {
		const struct stack *stack = &((struct coro *)coros[i])->stack;

		assert_int_equal(resident(stack->low, stack->top + 1), 1);
		weft_coro_destroy(coros[i]);
	}
}

#define BURST 5000

/* Frees `burst` in an order that depends on `stride`, which is coprime to BURST's factors 2 and
 * 5. */
static void free_all(struct stack *burst, size_t stride)
{
	for (size_t i = 0; i < BURST; i++)
		weft__stack_free(&burst[i * stride % BURST]);
}

static void test_burst_is_given_back(void **state)
{
	static const size_t strides[] = {1, 4999, 1777};
	static struct stack burst[BURST];

	(void)state;
	for (size_t s = 0; s < 3; s++) {
		struct stack_counts before, during, after;

		weft__stack_counts(&before);
		for (size_t i = 0; i < BURST; i++) {
			assert_int_equal(weft__stack_alloc(64 << 10, true, HEADER, &burst[i]), 0);
			burst[i].top[0] = 1;
		}
		weft__stack_counts(&during);
		assert_int_equal(during.used, before.used + BURST);
		free_all(burst, strides[s]);
		weft__stack_counts(&after);
		assert_int_equal(after.used, before.used);
		/* A megabyte stays hot. 1024 slots and a batch keep their addresses. The order does
		 * not matter. */
		assert_true(after.dirty <= before.dirty + (1024 / 68 + 1));
		assert_true(after.dirty + after.clean <= before.dirty + before.clean + 1024 + 64);
		assert_true(after.arenas <= before.arenas + 1088 / 64 + 1);
	}
}

static void test_memory_of_partly_used_arenas_is_given_back(void **state)
{
	static struct stack burst[BURST];
	size_t kept = 0;

	(void)state;
	for (size_t i = 0; i < BURST; i++) {
		assert_int_equal(weft__stack_alloc(68 << 10, true, HEADER, &burst[i]), 0);
		memset(burst[i].low, 1, (size_t)(burst[i].top - burst[i].low));
	}
	for (size_t i = 0; i < BURST; i += 2)
		weft__stack_free(&burst[i]);
	if (!CHILD_TSAN && !CHILD_ASAN) {
		for (size_t i = 0; i < BURST; i += 2)
			kept += resident(burst[i].low, burst[i].top) > 0;
		/* A megabyte's worth, and a sixteenth of the stacks in use. */
		assert_in_range(kept, 14, 14 + BURST / 16);
	}
	/* The stacks still in use have kept their content. */
	for (size_t i = 1; i < BURST; i += 2) {
		assert_int_equal(burst[i].low[0], 1);
		assert_int_equal(burst[i].top[-1], 1);
	}
	for (size_t i = 1; i < BURST; i += 2)
		weft__stack_free(&burst[i]);
}

/* Stacks that were freed lazily keep their memory, except for whole arenas. The rest is given back
 * on request. */
static void test_lazily_freed_stacks_are_given_back_later(void **state)
{
	static struct stack burst[BURST];
	struct stack_counts before, after;

	(void)state;
	weft__stack_counts(&before);
	for (size_t i = 0; i < BURST; i++) {
		assert_int_equal(weft__stack_alloc(76 << 10, true, HEADER, &burst[i]), 0);
		burst[i].top[0] = 1;
	}
	for (size_t i = 0; i < BURST; i += 2)
		weft__stack_free_lazily(&burst[i]);
	weft__stack_counts(&after);
	assert_int_equal(after.dirty, before.dirty + BURST / 2);
	while (weft__stack_discard_some())
		;
	weft__stack_counts(&after);
	assert_in_range(after.dirty, 0, before.dirty + 1024 / 76);
	for (size_t i = 1; i < BURST; i += 2)
		weft__stack_free_lazily(&burst[i]);
	weft__stack_counts(&after);
	assert_int_equal(after.used, before.used);
	/* 1024 slots stay, and the other slots of the same arenas. */
	assert_true(after.dirty + after.clean <= before.dirty + before.clean + 1024 + 256);
	assert_true(after.arenas <= before.arenas + 1024 / 64 + 1);
}

/* A burst of each size, with stacks used up entirely, leaves at most a megabyte of that size. */
static void test_every_size_is_given_back(void **state)
{
	static const struct {
		size_t size, count;
	} sizes[] = {
		{32 << 10, 500}, {188 << 10, 200}, {512 << 10, 60}, {1 << 20, 40}, {4 << 20, 9}};
	static struct stack burst[500];

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct stack_counts before, after;

		weft__stack_counts(&before);
		for (size_t i = 0; i < sizes[s].count; i++) {
			assert_int_equal(weft__stack_alloc(sizes[s].size, true, HEADER, &burst[i]),
					 0);
			burst[i].low[0] = 1;
		}
		for (size_t i = 0; i < sizes[s].count; i++)
			weft__stack_free(&burst[i]);
		weft__stack_counts(&after);
		assert_true((after.dirty - before.dirty) * sizes[s].size <= (size_t)1 << 20);
	}
	weft__stack_discard_all();
	struct stack_counts counts;
	weft__stack_counts(&counts);
	assert_int_equal(counts.dirty, 0);
}

static void test_the_uppermost_pages_of_a_cool_stack_stay(void **state)
{
	const struct stack *all[3];
	struct stack stacks[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(weft__stack_alloc(188 << 10, true, HEADER, &stacks[i]), 0);
		memset(stacks[i].low, 7, (size_t)(stacks[i].top - stacks[i].low));
		all[i] = &stacks[i];
	}
	weft__stack_cool(all, 1);
	weft__stack_cool(all + 1, 2);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(stacks[i].top[-1], 7);
		assert_int_equal(stacks[i].top[-4096], 7);
		assert_int_equal(stacks[i].low[0], 0);
		if (!CHILD_TSAN && !CHILD_ASAN)
			assert_in_range(resident(stacks[i].low + 4096, stacks[i].top), 1, 3);
		weft__stack_free(&stacks[i]);
	}
}

static void test_huge_stack_is_given_back_at_once(void **state)
{
	struct stack_counts before, after;
	struct stack huge;

	(void)state;
	weft__stack_counts(&before);
	assert_int_equal(weft__stack_alloc((size_t)1 << 30, true, HEADER, &huge), 0);
	huge.low[0] = huge.top[-1] = 1;
	weft__stack_free(&huge);
	weft__stack_counts(&after);
	assert_int_equal(after.arenas, before.arenas);
	assert_int_equal(weft__stack_alloc(SIZE_MAX - 1, true, HEADER, &huge), -ENOMEM);
}

/* --- many threads --- */

struct hammer {
	size_t seed;
	bool wrong;
};

static void *hammer(void *arg)
{
	struct hammer *h = arg;
	struct stack held[40];
	size_t count = 0;
	size_t random = h->seed;

	for (int i = 0; i < 20000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		if (count < 40 && (count == 0 || (random >> 40) % 2)) {
			if (weft__stack_alloc(24 << 10, (random >> 50) % 2, HEADER, &held[count]) !=
			    0) {
				h->wrong = true;
				break;
			}
			memcpy(held[count].top, &h->seed, sizeof(h->seed));
			count++;
		} else {
			size_t at = (random >> 45) % count;

			h->wrong |= memcmp(held[at].top, &h->seed, sizeof(h->seed)) != 0;
			weft__stack_free(&held[at]);
			held[at] = held[--count];
		}
	}
	while (count > 0)
		weft__stack_free(&held[--count]);
	return NULL;
}

static void test_threads_never_share_a_stack(void **state)
{
	struct hammer hammers[4] = {{1, false}, {2, false}, {3, false}, {4, false}};
	struct stack_counts before, after;
	pthread_t threads[4];

	(void)state;
	weft__stack_counts(&before);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_false(hammers[i].wrong);
	}
	weft__stack_counts(&after);
	assert_int_equal(after.used, before.used);
}

/* --- where the system refuses --- */

#define NOT_LIMITED 77

static void limit_to_256_mib(void)
{
	struct rlimit limit = {.rlim_cur = (rlim_t)256 << 20, .rlim_max = (rlim_t)256 << 20};

	if (setrlimit(RLIMIT_AS, &limit) != 0)
		_exit(1);
	/* Emulators accept the limit and ignore it. */
	if (mmap(NULL, (size_t)512 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	    MAP_FAILED)
		_exit(NOT_LIMITED);
}

static void find_limit(void *arg)
{
	(void)arg;
	limit_to_256_mib();
	_exit(0);
}

static void live_in_256_mib(void *arg)
{
	static struct stack stacks[2000];
	size_t count = 0;

	(void)arg;
	limit_to_256_mib();
	for (int round = 0; round < 3; round++) {
		int err = 0;

		for (count = 0; count < 2000; count++) {
			err = weft__stack_alloc(256 << 10, true, HEADER, &stacks[count]);
			if (err < 0)
				break;
			stacks[count].top[0] = 1;
		}
		/* 324 KiB each. A good part of the limit must be usable, and its end is -ENOMEM. */
		if (err != -ENOMEM || count < 400)
			_exit(2);
		while (count > 0)
			weft__stack_free(&stacks[--count]);
	}
	/* The slots that one size's pool keeps do not starve another size. */
	for (; count < 400; count++) {
		if (weft__stack_alloc(300 << 10, true, HEADER, &stacks[count]) != 0)
			_exit(3);
	}
}

#define KEPT_EVERY 32 /* with its neighbours more than 8 MiB, and less than an arena */

/* Allocates stacks until one is refused. Returns how many it has. */
static size_t take_all(size_t size, struct stack *stacks, size_t room)
{
	size_t count = 0;

	while (count < room && weft__stack_alloc(size, true, HEADER, &stacks[count]) == 0) {
		stacks[count].low[0] = 1;
		stacks[count].top[0] = 1;
		count++;
	}
	return count;
}

/* A few stacks live on in every arena. What lies between them is free for other sizes. */
static void keep_a_few_of_each_arena(void *arg)
{
	static struct stack stacks[2000], large[100];
	struct stack_counts counts;

	(void)arg;
	limit_to_256_mib();
	for (int round = 0; round < 3; round++) {
		size_t count = take_all(256 << 10, stacks, 2000), kept = 0;

		if (count < 400)
			_exit(2);
		for (size_t i = 0; i < count; i++) {
			stacks[i].low[0] = (char)i;
			if (i % KEPT_EVERY == 0)
				stacks[kept++] = stacks[i];
			else
				weft__stack_free(&stacks[i]);
		}
		size_t large_count = take_all(8 << 20, large, 100);
		if (large_count < 12)
			_exit(3);
		for (size_t i = 0; i < kept; i++) {
			if (stacks[i].low[0] != (char)(i * KEPT_EVERY))
				_exit(4);
			weft__stack_free(&stacks[i]);
		}
		/* The arenas of the small stacks are gone. The large ones may lie in what were
		 * holes of theirs. */
		while (large_count > 0) {
			if (large[--large_count].low[0] != 1)
				_exit(5);
			weft__stack_free(&large[large_count]);
		}
		weft__stack_trim();
		weft__stack_counts(&counts);
		if (counts.arenas != 0 || counts.used != 0 || counts.clean + counts.dirty != 0)
			_exit(6);
	}
}

#define HELD_MAX 160

/* A thread's own stack must be there before the others have taken what there is. */
static pthread_barrier_t all_are_there;

/* Takes and gives back stacks of two sizes. Together the threads want more than there is. */
static void *take_what_there_is(void *arg)
{
	struct hammer *h = arg;
	struct stack held[HELD_MAX];
	size_t count = 0;
	size_t random = h->seed;

	pthread_barrier_wait(&all_are_there);
	for (int i = 0; i < 3000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		size_t size = (random >> 50) % 16 == 0 ? 3 << 20 : 256 << 10;
		bool grows = (random >> 40) % 1024 < (i / 500 % 2 ? 300 : 900);

		if (count < HELD_MAX && grows &&
		    weft__stack_alloc(size, true, HEADER, &held[count]) == 0) {
			memcpy(held[count].top, &h->seed, sizeof(h->seed));
			memcpy(held[count].low, &h->seed, sizeof(h->seed));
			count++;
		} else if (count > 0) {
			size_t at = (random >> 45) % count;

			h->wrong |= memcmp(held[at].top, &h->seed, sizeof(h->seed)) != 0;
			h->wrong |= memcmp(held[at].low, &h->seed, sizeof(h->seed)) != 0;
			weft__stack_free(&held[at]);
			held[at] = held[--count];
		}
	}
	while (count > 0)
		weft__stack_free(&held[--count]);
	return NULL;
}

static void live_in_256_mib_with_threads(void *arg)
{
	struct hammer hammers[4] = {{1, false}, {2, false}, {3, false}, {4, false}};
	struct stack_counts counts;
	pthread_t threads[4];

	(void)arg;
	pthread_barrier_init(&all_are_there, NULL, 4);
	limit_to_256_mib();
	for (int i = 0; i < 4; i++) {
		if (pthread_create(&threads[i], NULL, take_what_there_is, &hammers[i]) != 0)
			_exit(1);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		if (hammers[i].wrong)
			_exit(2);
	}
	weft__stack_trim();
	weft__stack_counts(&counts);
	_exit(counts.arenas == 0 && counts.used == 0 ? 0 : 3);
}

/* There is no room for an arena of full size, 20 MiB. */
static void live_in_8_mib(void *arg)
{
	FILE *file = fopen("/proc/self/statm", "r");
	struct rlimit limit;
	struct stack stack;
	unsigned long pages = 0;
	size_t count = 0;

	(void)arg;
	if (!file || fscanf(file, "%lu", &pages) != 1)
		_exit(1);
	fclose(file);
	limit.rlim_cur = limit.rlim_max = pages * page_size() + ((rlim_t)8 << 20);
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		_exit(1);
	while (weft__stack_alloc(256 << 10, true, HEADER, &stack) == 0)
		count++;
	_exit(count >= 20 ? 0 : 2);
}

static void test_arenas_shrink_under_an_address_space_limit(void **state)
{
	struct child child;

	(void)state;
	if (CHILD_TSAN || CHILD_ASAN) {
		print_message("skipped: a sanitizer's shadow does not fit under an address-space "
			      "limit\n");
		skip();
	}
	child_run(&child, live_in_256_mib, NULL);
	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NOT_LIMITED) {
		print_message("skipped: address space cannot be limited here\n");
		skip();
	}
	assert_true(child_exited_with(&child, 0));
	assert_string_equal(child.said, "");
	child_run(&child, live_in_8_mib, NULL);
	assert_true(child_exited_with(&child, 0));
}

static void test_free_slots_beside_used_ones_make_room(void **state)
{
	struct child child;

	(void)state;
	if (CHILD_TSAN || CHILD_ASAN || san_under_valgrind()) {
		print_message("skipped: the tool itself needs the last of the address space\n");
		skip();
	}
	child_run(&child, find_limit, NULL);
	if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == NOT_LIMITED) {
		print_message("skipped: address space cannot be limited here\n");
		skip();
	}
	child_run(&child, keep_a_few_of_each_arena, NULL);
	assert_true(child_exited_with(&child, 0));
	child_run(&child, live_in_256_mib_with_threads, NULL);
	assert_true(child_exited_with(&child, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, because it needs a process without pools and without the heaps of ended
		 * threads. */
		cmocka_unit_test(test_arenas_shrink_under_an_address_space_limit),
		cmocka_unit_test(test_free_slots_beside_used_ones_make_room),
		cmocka_unit_test(test_slot_has_the_promised_layout),
		cmocka_unit_test(test_a_reservation_is_filled),
		cmocka_unit_test(test_last_freed_is_used_first),
		cmocka_unit_test(test_shallow_coroutine_takes_one_page),
		cmocka_unit_test(test_burst_is_given_back),
		cmocka_unit_test(test_memory_of_partly_used_arenas_is_given_back),
		cmocka_unit_test(test_lazily_freed_stacks_are_given_back_later),
		cmocka_unit_test(test_every_size_is_given_back),
		cmocka_unit_test(test_the_uppermost_pages_of_a_cool_stack_stay),
		cmocka_unit_test(test_huge_stack_is_given_back_at_once),
		cmocka_unit_test(test_threads_never_share_a_stack),
	};

	child_no_leak_check();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
