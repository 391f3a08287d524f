/* SPDX-License-Identifier: MIT */
/*
 * Every benchmark in C and C++ needs this, Weft's and the peers' alike: the clock, the arguments,
 * lines "name value unit" on stdout for the machine, and checks. A benchmark with a wrong result
 * says so and exits with 1.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BENCH_NS 1000000000LL

static inline int64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * BENCH_NS + ts.tv_nsec;
}

static inline void bench_sleep(int64_t ns)
{
	struct timespec ts;

	ts.tv_sec = ns / BENCH_NS;
	ts.tv_nsec = ns % BENCH_NS;
	nanosleep(&ts, NULL);
}

/*
 * Whether to warm up once more. For a fifth of a second in all: a kernel may leave the threads of a
 * new pool on one CPU for 150 ms, while others are idle.
 *
 *   for (int64_t start = bench_now(); bench_still_cold(start);)
 *           work();
 */
static inline bool bench_still_cold(int64_t start)
{
	return bench_now() - start < BENCH_NS / 5;
}

/* The CPU time of the whole process. */
static inline int64_t bench_cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * BENCH_NS + ts.tv_nsec;
}

static inline void bench_report(const char *name, double value, const char *unit)
{
	printf("%s %.9g %s\n", name, value, unit);
	fflush(stdout);
}

static inline void bench_check(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "wrong result: %s\n", what);
	exit(1);
}

/* The i-th argument, a number that is at least 1. */
static inline long bench_arg(int argc, char **argv, int i)
{
	long value = i < argc ? atol(argv[i]) : 0;

	if (value >= 1)
		return value;
	fprintf(stderr, "%s: argument %d must be a number that is at least 1\n", argv[0], i);
	exit(2);
}

/* A field of /proc/self/status in bytes: VmRSS, VmHWM (the peak), VmPTE (page tables). */
static inline double bench_status(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t length = strlen(field);
	double kib = -1;
	char line[256];

	while (file && fgets(line, sizeof line, file)) {
		if (strncmp(line, field, length) == 0 && line[length] == ':')
			kib = atof(line + length + 1);
	}
	if (file)
		fclose(file);
	bench_check(kib >= 0, field);
	return kib * 1024;
}

/* What the process holds in memory: its pages and the page tables that map them. */
static inline double bench_memory(void)
{
	return bench_status("VmRSS") + bench_status("VmPTE");
}

static inline int bench_compare(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a;
	const int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the samples; reports median and 99th percentile in microseconds. */
static inline void bench_report_latency(int64_t *samples, size_t n)
{
	qsort(samples, n, sizeof *samples, bench_compare);
	bench_report("wake_median", (double)samples[n / 2] / 1e3, "us");
	bench_report("wake_p99", (double)samples[n * 99 / 100] / 1e3, "us");
}

#endif
