/* SPDX-License-Identifier: MIT */
/* Control blocks: none is used twice, none is lost, and any thread may free one. */
#include "sched/core/task_pool.h"
#include "harness.h"
#include "limited.h"
#include "src/base/random.h"
#include "src/stack/stack.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BLOCKS 5000

static struct task *blocks[BLOCKS];

static void test_blocks_are_distinct_and_reused(void **state)
{
	struct task_pool pool;

	(void)state;
	weft__task_pool_init(&pool);
	for (unsigned round = 0; round < 3; round++) {
		for (uintptr_t i = 0; i < BLOCKS; i++) {
			blocks[i] = weft__task_pool_alloc(&pool);
			assert_non_null(blocks[i]);
			assert_null(task_cold(blocks[i]));
			assert_int_equal((uintptr_t)blocks[i] % _Alignof(struct task), 0);
			memset(blocks[i], 0, sizeof(*blocks[i]));
			blocks[i]->value = (void *)(i + 1);
		}
		for (uintptr_t i = 0; i < BLOCKS; i++)
			assert_ptr_equal(blocks[i]->value, (void *)(i + 1));
		/* Half as the owner, half as a stranger. */
		for (unsigned i = 0; i < BLOCKS; i++) {
			task_set_cold(blocks[i], i % 3 ? NULL : malloc(sizeof(struct task_cold)));
			weft__task_pool_free(i % 2 ? &pool : NULL, blocks[i]);
		}
		static struct task_slab *slabs;
		if (round == 0)
			slabs = pool.slabs;
		assert_ptr_equal(pool.slabs, slabs); /* no more were needed than the first time */
	}
	/* Blocks in use are freed with the pool, and so are their cold parts. */
	blocks[0] = weft__task_pool_alloc(&pool);
	task_set_cold(blocks[0], malloc(sizeof(struct task_cold)));
	weft__task_pool_fini(&pool);
}

/* Each thread has a pool, and passes blocks to the next thread through a mailbox of its own. */
#define THREADS   4
#define MAILBOXES 16

static _Atomic(struct task *) mail[THREADS][MAILBOXES];
static struct task_pool pools[THREADS];
static pthread_barrier_t barrier;

static void *pass_blocks_on(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	struct weft__random random;

	weft__random_seed(&random, id);
	for (unsigned i = 0; i < weft_test_scale(400000); i++) {
		unsigned box = weft__random_below(&random, MAILBOXES);
		unsigned to = weft__random_below(&random, THREADS);
		if (weft__random_below(&random, 1024) == 0)
			weft__task_pool_trim(&pools[id]);
		struct task *t = weft__task_pool_alloc(&pools[id]);
		if (!CHECK(t != NULL))
			break;
		t->fn = NULL;
		/* acq_rel: the block, to and from another thread */
		t = atomic_exchange_explicit(&mail[to][box], t, memory_order_acq_rel);
		if (!t)
			continue;
		CHECK(t->fn == NULL); /* no other thread has it */
		t->fn = pass_blocks_on;
		weft__task_pool_free(&pools[id], t);
	}
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void test_blocks_are_freed_by_other_threads(void **state)
{
	pthread_t threads[THREADS];
	unsigned slabs = 0;

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		weft__task_pool_init(&pools[i]);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pass_blocks_on, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&barrier);
	assert_int_equal(checks_failed(), 0);
	/* Few are in use at any time, so few slabs were needed: freed blocks came back. */
	for (unsigned i = 0; i < THREADS; i++) {
		for (struct task_slab *slab = pools[i].slabs; slab; slab = slab->next)
			slabs++;
		weft__task_pool_fini(&pools[i]);
	}
	assert_in_range(slabs, 1, 2 * THREADS);
}

/* Blocks linked by .value, all distinct. */
static struct task *take_blocks(struct task_pool *pool, uintptr_t count)
{
	struct task *taken = NULL;

	for (uintptr_t i = 0; i < count; i++) {
		struct task *t = weft__task_pool_alloc(pool);
		assert_non_null(t);
		assert_null(task_cold(t));
		memset(t, 0, sizeof(*t));
		t->value = taken;
		t->fn = (weft_fn *)i;
		taken = t;
	}
	for (struct task *t = taken; t; t = t->value)
		assert_ptr_equal(t->fn, (weft_fn *)--count);
	assert_int_equal(count, 0);
	return taken;
}

/* More than come from the heap. The later ones come in chunks. */
static void test_many_blocks_come_in_chunks(void **state)
{
	struct task_pool pool;

	(void)state;
	weft__task_pool_init(&pool);
	take_blocks(&pool, 20000);
	assert_null(pool.chunk); /* a small program has small pages */
	struct task *taken = take_blocks(&pool, 60000);
#if !WEFT__ASAN
	assert_non_null(pool.chunk);
#endif
	task_set_cold(taken, malloc(sizeof(struct task_cold)));
	struct task_slab *newest = pool.slabs;
	while (taken) {
		struct task *next = taken->value;
		weft__task_pool_free(&pool, taken);
		taken = next;
	}
	take_blocks(&pool, 60000);
	assert_ptr_equal(pool.slabs, newest);
	weft__task_pool_fini(&pool);
}

static unsigned slab_count(const struct task_pool *pool)
{
	unsigned count = 0;

	for (const struct task_slab *slab = pool->slabs; slab; slab = slab->next)
		count++;
	return count;
}

/* Every nth block stays in use. The owner and strangers free the others. */
static void free_but(struct task_pool *pool, struct task *taken, size_t nth)
{
	for (size_t i = 0; taken; i++) {
		struct task *t = taken;
		taken = t->value;
		if (i % nth == nth - 1)
			t->fn = give_back;
		else
			weft__task_pool_free(i % 2 ? pool : NULL, t);
	}
}

static void trim_and_use(size_t count, size_t nth)
{
	struct task_pool pool;

	weft__task_pool_init(&pool);
	weft__task_pool_trim(&pool); /* trims nothing */
	struct task *taken = take_blocks(&pool, count);
	unsigned slabs = slab_count(&pool), kept = 0;

	struct task **used = calloc(count / nth + 1, sizeof(struct task *));
	assert_non_null(used);
	size_t i = 0, in_use = 0;
	for (struct task *t = taken; t; t = t->value) {
		if (i++ % nth == nth - 1)
			used[in_use++] = t;
	}
	free_but(&pool, taken, nth);
	assert_int_equal(weft__task_pool_used(&pool), in_use);
	weft__task_pool_trim(&pool);

	kept = slab_count(&pool);
	assert_int_equal(weft__task_pool_used(&pool), in_use);
	for (i = 0; i < in_use; i++)
		assert_ptr_equal(used[i]->fn, give_back);
	if (in_use == 0) {
		assert_int_equal(kept, 0);
		assert_null(pool.local);
		assert_null(pool.chunk);
		assert_int_equal(pool.heap_slabs, 0);
	} else {
		assert_true(kept < slabs);
		assert_true(kept <= in_use * ((2 << 20) / WEFT__TASK_SLAB_SIZE));
	}
	/* It works as before. */
	taken = take_blocks(&pool, count);
	for (i = 0; i < in_use; i++)
		assert_ptr_equal(used[i]->fn, give_back);
	free_but(&pool, taken, count + 1);
	for (i = 0; i < in_use; i++)
		weft__task_pool_free(&pool, used[i]);
	assert_int_equal(weft__task_pool_used(&pool), 0);
	weft__task_pool_trim(&pool);
	assert_int_equal(slab_count(&pool), 0);
	take_blocks(&pool, 10);
	weft__task_pool_fini(&pool);
	free(used);
}

static void test_trimming_gives_back_what_holds_no_block_in_use(void **state)
{
	(void)state;
	trim_and_use(100, 1000);
	trim_and_use(5000, 4000);
	trim_and_use(60000, 100000);
	trim_and_use(60000, 59999);
	trim_and_use(60000, 25000);
}

/* If there is no address space for a chunk, slabs of the heap serve. */
static void test_no_room_for_a_chunk(void **state)
{
	struct task_pool pool;
	struct rlimit old, tight;
	long pages;

	(void)state;
	if (WEFT_TEST_SCALE_SANITIZER > 1 || getenv("WEFT_TEST_SCALE"))
		skip(); /* a limit does not work there */
	weft__task_pool_init(&pool);
	take_blocks(&pool, 20000);
	assert_null(pool.chunk);
	FILE *statm = fopen("/proc/self/statm", "r");
	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%ld", &pages), 1);
	fclose(statm);
	assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (2 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	take_blocks(&pool, 4000);
	assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
	assert_null(pool.chunk);
	take_blocks(&pool, 1000); /* and chunks again once there is room */
	assert_non_null(pool.chunk);
	weft__task_pool_fini(&pool);
}

/* The free stacks beside those in use would take nearly all of the address space. */
#define STACKS_MAX   1000
#define KEPT_EVERY   32 /* one in each large arena */
#define BLOCKS_AFTER 300000

static void take_blocks_beside_stacks(void *arg)
{
	static struct stack stacks[STACKS_MAX];
	struct task_pool pool;
	unsigned count = 0;

	(void)arg;
	limit_address_space(96);
	weft__task_pool_init(&pool);
	while (count < STACKS_MAX && weft__stack_alloc(256 << 10, true, 0, &stacks[count]) == 0)
		count++;
	if (count < 200 || count == STACKS_MAX)
		exit(99);
	for (unsigned i = 0; i < count; i++) {
		if (i % KEPT_EVERY != 0)
			weft__stack_free(&stacks[i]);
	}
	for (unsigned i = 0; i < BLOCKS_AFTER; i++) {
		if (!weft__task_pool_alloc(&pool))
			exit(1);
	}
	weft__task_pool_fini(&pool);
	exit(0);
}

static void test_free_stacks_make_room_for_blocks(void **state)
{
	struct child child;

	(void)state;
	if (!can_limit_address_space())
		skip();
	child_run(&child, take_blocks_beside_stacks, NULL);
	assert_true(child_exited_with(&child, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, because it needs a process without the heaps of ended threads. */
		cmocka_unit_test(test_free_stacks_make_room_for_blocks),
		cmocka_unit_test(test_blocks_are_distinct_and_reused),
		cmocka_unit_test(test_blocks_are_freed_by_other_threads),
		cmocka_unit_test(test_many_blocks_come_in_chunks),
		cmocka_unit_test(test_trimming_gives_back_what_holds_no_block_in_use),
		cmocka_unit_test(test_no_room_for_a_chunk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
