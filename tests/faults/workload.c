/* SPDX-License-Identifier: MIT */
/*
 * workload NAME: runs a workload with faults armed (faults.h), then again without any, and looks
 * after each at what Weft still holds. Where nothing is to fail it is run a third time: is there
 * always more? Lines on stdout, for run.py:
 *
 *   failed N                          calls that were made to fail
 *   calls KIND N                      of Weft's, while armed
 *   denied KIND N                     by FAULTS_ALWAYS
 *   expedited N                       membarriers that were carried out
 *   refused ENOMEM N EAGAIN N         public calls that failed as documented
 *   held fault|again|last WHAT SIZE... what Weft holds after each of the three, caches emptied
 *   files N N                         open file descriptors before and after all
 *
 * Exit status: 0; 1: something was wrong, and stderr says what; 2: bad usage.
 */
#include "workload.h"

#include "faults.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HELD_MAX  512
#define TRIES_MAX 60000 /* of a millisecond each */

/* relaxed, all: counted by anybody, read when the runtimes are gone; armed changes while there is
 * none. */
static _Atomic unsigned wrong, lacked_memory, lacked_threads;
static _Atomic bool armed;

bool must_at(bool ok, const char *what, const char *file, int line)
{
	if (!ok && atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed) < 10)
		fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	return ok;
}

#define ERRNO_MARK 4711

void errno_mark(void)
{
	errno = ERRNO_MARK;
}

static void check_errno(const char *what, const char *file, int line)
{
	if (errno != ERRNO_MARK && atomic_fetch_add_explicit(&wrong, 1, memory_order_relaxed) < 10)
		fprintf(stderr, "%s:%d: errno was set to %d by %s\n", file, line, errno, what);
}

bool refused_at(int rc, unsigned may, unsigned tries, const char *what, const char *file, int line)
{
	bool memory = rc == -ENOMEM && (may & MAY_LACK_MEMORY);
	bool threads = rc == -EAGAIN && (may & MAY_LACK_THREADS);

	check_errno(what, file, line);
	if (rc == 0)
		return false;
	if (!memory && !threads) {
		fprintf(stderr, "%s:%d: %s: not a documented error: %d\n", file, line, what, rc);
	} else if (!atomic_load_explicit(&armed, memory_order_relaxed)) {
		fprintf(stderr, "%s:%d: %s: %d, with nothing failing any more\n", file, line, what,
			rc);
	} else if (tries >= TRIES_MAX) {
		fprintf(stderr, "%s:%d: %s: still %d after %u tries\n", file, line, what, rc,
			tries);
	} else {
		atomic_fetch_add_explicit(memory ? &lacked_memory : &lacked_threads, 1,
					  memory_order_relaxed);
		weft_sleep(1000000);
		return true;
	}
	/* The workload cannot go on without it. */
	exit(1);
}

static const struct {
	const char *name;
	void (*run)(void);
} workloads[] = {
	{"tasks", workload_tasks},     {"forks", workload_forks},
	{"stacks", workload_stacks},   {"runtime", workload_runtime},
	{"sync", workload_sync},       {"chan", workload_chan},
	{"start", workload_start},     {"blocking", workload_blocking},
	{"outside", workload_outside}, {"io", workload_io},
};

static void *give_back(void *arg)
{
	return arg;
}

/* A stack that cannot be had makes Weft give back the stacks that nobody uses. */
static void empty_caches(void)
{
	weft_coro *co = UNTOUCHED;

	faults_refuse_mappings(true);
	MUST(weft_coro_create(give_back, (size_t)1 << 30, &co) == -ENOMEM);
	MUST(co == UNTOUCHED);
	faults_refuse_mappings(false);
}

static void print_held(const char *when)
{
	static const char *const what[HELD_KINDS] = {"blocks", "mappings", "threads"};

	for (int kind = 0; kind < HELD_KINDS; kind++) {
		size_t sizes[HELD_MAX];
		size_t count = faults_read_held((enum held_kind)kind, sizes, HELD_MAX);
		printf("held %s %s", when, what[kind]);
		for (size_t i = 0; i < count && i < HELD_MAX; i++)
			printf(" %zu", sizes[i]);
		printf("\n");
	}
}

static unsigned count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static void print_counts(void)
{
	struct faults_counts counts;

	faults_read_counts(&counts);
	printf("failed %llu\n", (unsigned long long)counts.failed);
	for (int i = 0; i < FAULTS_KINDS; i++) {
		printf("calls %s %llu\n", faults_names[i], (unsigned long long)counts.calls[i]);
		printf("denied %s %llu\n", faults_names[i], (unsigned long long)counts.denied[i]);
	}
	printf("expedited %llu\n", (unsigned long long)counts.expedited);
	MUST(counts.odd == 0);
}

int main(int argc, char **argv)
{
	void (*run)(void) = NULL;

	for (size_t i = 0; argc == 2 && i < sizeof workloads / sizeof workloads[0]; i++) {
		if (strcmp(argv[1], workloads[i].name) == 0)
			run = workloads[i].run;
	}
	if (!run || !faults_arm) {
		fprintf(stderr, "usage: LD_PRELOAD=... workload NAME\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	unsigned files = count_files();

	atomic_store_explicit(&armed, true, memory_order_relaxed);
	faults_arm();
	run();
	faults_disarm();
	atomic_store_explicit(&armed, false, memory_order_relaxed);
	empty_caches();
	print_held("fault");

	run();
	empty_caches();
	print_held("again");
	if (!getenv("FAULTS_NTH")) {
		run();
		empty_caches();
		print_held("last");
	}

	print_counts();
	printf("refused ENOMEM %u EAGAIN %u\n",
	       atomic_load_explicit(&lacked_memory, memory_order_relaxed),
	       atomic_load_explicit(&lacked_threads, memory_order_relaxed));
	printf("files %u %u\n", files, count_files());
	return atomic_load_explicit(&wrong, memory_order_relaxed) ? 1 : 0;
}
