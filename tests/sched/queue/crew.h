/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the queues share: threads that start at the same moment, items that count who
 * took them, and a seed.
 */
#ifndef WEFT_TESTS_SCHED_QUEUE_CREW_H
#define WEFT_TESTS_SCHED_QUEUE_CREW_H

#include "src/base/clock.h"
#include "src/base/fence.h"
#include "src/base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define CREW_MAX 8

typedef void crew_fn(unsigned id, void *ctx);

struct crew_member {
	pthread_t thread;
	pthread_barrier_t *start;
	crew_fn *fn;
	void *ctx;
	unsigned id;
};

static void *crew_thread(void *arg)
{
	struct crew_member *member = arg;

	pthread_barrier_wait(member->start);
	member->fn(member->id, member->ctx);
	return NULL;
}

/* Runs fn(0, ctx) ... fn(n - 1, ctx) side by side, number 0 on the calling thread. Exits if there
 * are no threads. */
static inline void crew_run(unsigned n, crew_fn *fn, void *ctx)
{
	struct crew_member members[CREW_MAX];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		members[i] = (struct crew_member){.start = &start, .fn = fn, .ctx = ctx, .id = i};
		if (i > 0 &&
		    pthread_create(&members[i].thread, NULL, crew_thread, &members[i]) != 0) {
			perror("pthread_create");
			exit(99);
		}
	}
	crew_thread(&members[0]);
	for (unsigned i = 1; i < n; i++)
		pthread_join(members[i].thread, NULL);
	pthread_barrier_destroy(&start);
}

/* What goes through a queue. */
struct item {
	uint64_t payload;       /* plain: its owner writes it just before it puts the item in */
	_Atomic unsigned taken; /* how many takers got it */
};

#define ITEM_PAYLOAD(number) ((uint64_t)(number)*0x9e3779b97f4a7c15u + 1)

static inline struct item *items_new(unsigned n)
{
	struct item *items = calloc(n, sizeof(*items));

	if (!items)
		exit(99);
	return items;
}

/* Before it is put in. */
static inline void *item_prepare(struct item *items, unsigned number)
{
	items[number].payload = ITEM_PAYLOAD(number);
	return &items[number];
}

/* After it was taken. Returns its number. A payload that is not there yet counts as taken a hundred
 * times. */
static inline unsigned item_take(struct item *items, void *element)
{
	struct item *item = element;
	unsigned number = (unsigned)(item - items);

	/* relaxed: read after the threads have been joined. */
	atomic_fetch_add_explicit(&item->taken, item->payload == ITEM_PAYLOAD(number) ? 1 : 100,
				  memory_order_relaxed);
	return number;
}

/* How many of the n items were not taken exactly once. The first ones are printed. */
static inline unsigned items_wrong(struct item *items, unsigned n)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned taken = atomic_load_explicit(&items[i].taken, memory_order_relaxed);

		if (taken != 1 && ++wrong <= 3)
			fprintf(stderr, "item %u of %u was taken %u times\n", i, n, taken);
	}
	return wrong;
}

/* WEFT_TEST_SEED, or one from the clock; printed, so that a failure can be repeated. */
static inline uint64_t crew_seed(const char *what)
{
	const char *text = getenv("WEFT_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)weft__clock_now();

	printf("%s: WEFT_TEST_SEED=%llu\n", what, (unsigned long long)seed);
	return seed;
}

/*
 * Forces a mode of the fences, while no other thread uses them. false: this kernel or build does
 * not have it.
 */
static inline bool crew_force_fences(int mode)
{
	atomic_store_explicit(&weft__fence_mode, WEFT__FENCE_UNKNOWN, memory_order_relaxed);
	weft__fence_init();
	if (mode == WEFT__FENCE_ASYMMETRIC &&
	    atomic_load_explicit(&weft__fence_mode, memory_order_relaxed) != mode)
		return false;
	atomic_store_explicit(&weft__fence_mode, mode, memory_order_relaxed);
	return true;
}

#endif
