/* SPDX-License-Identifier: MIT */
/*
 * Steal storms: one worker's queues receive uneven amounts of work, and the other workers must take
 * it. Every task is counted. A lost task shows as a hang, and a task that runs twice as too large a
 * sum.
 *
 *   trees      Tasks share their budget unevenly among children, joined and detached. They yield
 *              and sleep.
 *   bursts     One task spawns many tiny tasks and computes in between, so it leaves its queues to
 *              the others.
 *   crowds     More tasks than a ready ring holds wake at one moment. The ring overflows and is
 *              stolen from.
 *   handovers  A task wakes others and goes on computing. The woken tasks wait in its next slot
 *              until other workers take them.
 */
#include "stress.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TREE_MAX     4000
#define BURST_MAX    5000
#define CROWD_MAX    8000 /* the ring holds 256 */
#define CROWD_LEAST  300
#define CROWD_SMALL  100 /* instead of CROWD_MAX: ThreadSanitizer takes 830 KiB for each */
#define ALARM_NS     (STRESS_SANITIZED ? 20000 : 2000)
#define CHILDREN_MAX 4
#define POLL_NS      20000

static _Atomic uint64_t counted; /* relaxed: the sum is compared after everything has ended */
static _Atomic uint64_t streams; /* relaxed: the values only need to differ */

static void count_one(void)
{
	atomic_fetch_add_explicit(&counted, 1, memory_order_relaxed);
	stress_did(1);
}

static void compute(struct weft__random *random, uint32_t most)
{
	for (uint32_t i = weft__random_below(random, most); i > 0; i--)
		__asm__ volatile("");
}

static void disturb(struct weft__random *random)
{
	switch (weft__random_below(random, 32)) {
	case 0:
		weft_sleep(1 + weft__random_below(random, 100000));
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		weft_yield();
		break;
	case 5:
		compute(random, 20000);
		break;
	default:
		break;
	}
}

/* Runs a subtree of as many tasks as its argument says, including itself. Returns how many of those
 * it has waited for. */
static void *tree(void *arg)
{
	uintptr_t budget = (uintptr_t)arg - 1, sum = 1;
	weft_task *children[CHILDREN_MAX];
	unsigned count = 0;
	struct weft__random random;

	stress_random(&random, atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed));
	disturb(&random);
	while (budget > 0) {
		uintptr_t part = count + 1 == CHILDREN_MAX
					 ? budget
					 : 1 + weft__random_below(&random, (uint32_t)budget);
		bool detached = stress_one_in(&random, 4);
		int rc = weft_spawn(tree, (void *)part, detached ? NULL : &children[count]);
		if (rc < 0) {
			/* There is no stack for it, so it runs here. */
			stress_check(rc == -ENOMEM, "weft_spawn: %s", strerror(-rc));
			sum += (uintptr_t)tree((void *)part);
		} else if (!detached) {
			count++;
		}
		budget -= part;
		disturb(&random);
	}
	while (count > 0) {
		void *part = NULL;
		int rc = weft_join(children[--count], &part);
		stress_check(rc == 0, "weft_join: %s", strerror(-rc));
		sum += (uintptr_t)part;
	}
	count_one();
	return (void *)sum;
}

static void *tiny(void *arg)
{
	count_one();
	return arg;
}

static void *burst(void *arg)
{
	struct weft__random random;

	stress_random(&random, atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed));
	for (uintptr_t i = (uintptr_t)arg; i > 0; i--) {
		if (weft_spawn(tiny, NULL, NULL) < 0)
			tiny(NULL);
		compute(&random, 500);
	}
	return NULL;
}

struct member {
	weft_task *task;
	int64_t alarm;
	unsigned yields;
};

static void *one_of_a_crowd(void *arg)
{
	const struct member *self = arg;

	weft_sleep_until(self->alarm);
	for (unsigned i = self->yields; i > 0; i--)
		weft_yield();
	count_one();
	return arg;
}

static void crowd(struct weft__random *random, unsigned n)
{
	struct member *members = malloc(n * sizeof(*members));
	/* The time when most of them have gone to sleep. No check depends on it. */
	int64_t alarm = weft_after((int64_t)n * ALARM_NS);

	if (!members)
		return;
	for (unsigned i = 0; i < n; i++) {
		members[i].alarm = alarm;
		members[i].yields = weft__random_below(random, 8);
		if (weft_spawn(one_of_a_crowd, &members[i], &members[i].task) < 0) {
			members[i].task = NULL;
			count_one();
		}
	}
	for (unsigned i = 0; i < n; i++) {
		int rc = members[i].task ? weft_join(members[i].task, NULL) : 0;
		stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	}
	free(members);
}

static void *wait_for(void *task)
{
	int rc = weft_join(task, NULL);

	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	count_one();
	return NULL;
}

/* Ends, which wakes its joiner into this worker's next slot. Another task follows here at once and
 * computes. */
static void *waker(void *arg)
{
	(void)arg;
	weft_yield();
	count_one();
	return NULL;
}

static void *computer(void *arg)
{
	struct weft__random random;

	stress_random(&random, (uintptr_t)arg);
	compute(&random, 200000);
	count_one();
	return NULL;
}

static void handovers(struct weft__random *random, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		weft_task *task;
		if (weft_spawn(waker, NULL, &task) < 0) {
			atomic_fetch_add_explicit(&counted, 3, memory_order_relaxed);
			continue;
		}
		if (weft_spawn(wait_for, task, NULL) < 0)
			wait_for(task);
		uintptr_t stream = weft__random_next(random);
		if (weft_spawn(computer, (void *)stream, NULL) < 0)
			computer((void *)stream);
	}
}

/* Waits until `sum` tasks have been counted. There must not be more. */
static void await(uint64_t sum)
{
	uint64_t seen;

	while ((seen = atomic_load_explicit(&counted, memory_order_relaxed)) < sum)
		weft_sleep(POLL_NS);
	stress_await_completed(NULL, 1);
	seen = atomic_load_explicit(&counted, memory_order_relaxed);
	stress_check(seen == sum, "%llu tasks counted, there were %llu", (unsigned long long)seen,
		     (unsigned long long)sum);
}

static void *storm(void *unused)
{
	struct weft__random random;
	uint64_t sum = 0;

	(void)unused;
	stress_random(&random, UINT64_MAX);
	while (!stress_over()) {
		unsigned what = weft__random_below(&random, 16);
		uintptr_t size;

		if (what & 1) {
			size = 1 + weft__random_below(&random, weft_test_scale(TREE_MAX));
			uintptr_t waited = (uintptr_t)tree((void *)size);
			stress_check(waited <= size, "a tree of %lu tasks has the sum %lu",
				     (unsigned long)size, (unsigned long)waited);
			sum += size;
		}
		if (what & 2) {
			size = 1 + weft__random_below(&random, weft_test_scale(BURST_MAX));
			burst((void *)size);
			sum += size;
		}
		if (what & 4) {
			size = CROWD_LEAST +
			       weft__random_below(&random, weft_test_scale(CROWD_MAX));
			crowd(&random, (unsigned)size);
			sum += size;
		}
		if (what & 8) {
			size = 1 + weft__random_below(&random, 50);
			handovers(&random, (unsigned)size);
			sum += 3 * size;
		}
		await(sum);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv,
		     "Uneven work that workers must steal from each other; every task is counted.");
	stress_run(storm, NULL);
	return stress_end();
}
