/* SPDX-License-Identifier: MIT */
/*
 * lateness sleep|wake|blocking|forks WORKERS COUNT: how late a task runs that is due while all
 * workers are busy. Eight tasks compute for 1 ms between two yields. For `forks`, a recursion of
 * forks never yields. The task sleeps for 2 ms, or waits for a semaphore that a thread outside of
 * the runtime releases, or makes a call that blocks for 1 ms.
 */
#include "weft_bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define TASKS    8
#define SLICE_NS 1000000
#define SLEEP_NS 2000000

static long count;
static int64_t *late;
static atomic_bool stop;
static weft_sem asked, released;
static _Atomic int64_t due; /* when the probe became runnable */

static void *compute(void *unused)
{
	while (!atomic_load(&stop)) {
		for (int64_t end = bench_now() + SLICE_NS; bench_now() < end;)
			;
		weft_yield();
	}
	return unused;
}

static void *fib(void *arg)
{
	long n = (long)arg;
	weft_forked child;

	if (n < 2)
		return arg;
	weft_fork(&child, fib, (void *)(n - 1));
	long b = (long)fib((void *)(n - 2));
	return (void *)((long)weft_fork_join(&child) + b);
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void *release(void *unused)
{
	for (long i = 0; i < count; i++) {
		weft_sem_acquire(&asked);
		nap();
		atomic_store(&due, bench_now());
		weft_sem_release(&released, 1);
	}
	return unused;
}

static void *block(void *unused)
{
	nap();
	atomic_store(&due, bench_now());
	return unused;
}

static void sleep_once(void)
{
	int64_t deadline = bench_now() + SLEEP_NS;

	weft_sleep_until(deadline);
	atomic_store(&due, deadline);
}

static void wake_once(void)
{
	weft_sem_release(&asked, 1);
	bench_check(weft_sem_acquire(&released) == 0, "weft_sem_acquire");
}

static void block_once(void)
{
	bench_check(weft_blocking(block, NULL, NULL) == 0, "weft_blocking");
}

static const struct kind {
	const char *name;
	void (*once)(void);
} kinds[] = {{"sleep", sleep_once},
	     {"wake", wake_once},
	     {"blocking", block_once},
	     {"forks", sleep_once}};

static void *probe(void *arg)
{
	const struct kind *kind = arg;

	for (long i = 0; i < count; i++) {
		kind->once();
		late[i] = bench_now() - atomic_load(&due);
	}
	atomic_store(&stop, true);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void *first(void *arg)
{
	const struct kind *kind = arg;
	weft_task *tasks[TASKS], *prober;

	bench_check(weft_spawn(probe, arg, &prober) == 0, "weft_spawn");
	weft_yield();
	if (strcmp(kind->name, "forks") == 0) {
		while (!atomic_load(&stop))
			fib((void *)25);
	} else {
		for (int i = 0; i < TASKS; i++)
			bench_check(weft_spawn(compute, NULL, &tasks[i]) == 0, "weft_spawn");
		for (int i = 0; i < TASKS; i++)
			bench_check(weft_join(tasks[i], NULL) == 0, "weft_join");
	}
	bench_check(weft_join(prober, NULL) == 0, "weft_join");
	return NULL;
}

int main(int argc, char **argv)
{
	const struct kind *kind = NULL;
	pthread_t thread;

	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(argv[1], kinds[i].name) == 0)
			kind = &kinds[i];
	}
	bench_check(kind != NULL, "the first argument");
	count = bench_arg(argc, argv, 3);
	late = malloc((size_t)count * sizeof *late);
	weft_sem_init(&asked, 0);
	weft_sem_init(&released, 0);
	bool outside = kind->once == wake_once;
	if (outside)
		bench_check(pthread_create(&thread, NULL, release, NULL) == 0, "pthread_create");
	run_with(bench_arg(argc, argv, 2), first, (void *)kind);
	if (outside)
		pthread_join(thread, NULL);
	qsort(late, (size_t)count, sizeof *late, compare);
	bench_report("late_median", (double)late[count / 2] / 1e6, "ms");
	bench_report("late_p99", (double)late[count * 99 / 100] / 1e6, "ms");
	free(late);
	return 0;
}
