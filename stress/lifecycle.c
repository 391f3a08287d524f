/* SPDX-License-Identifier: MIT */
/*
 * Runtimes that come and go. Some are destroyed at once, some with running tasks, and some with
 * handles that nobody has joined. Several threads do this at a time. After the last one is gone,
 * the process has as many threads, open files and mappings as before, and not much more memory.
 */
#include "stress.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS        3
#define LIVES          20 /* of runtimes, for each thread in a round */
#define WORKERS_MAX    6
#define TASKS_MAX      40
#define SLEEP_MAX_NS   300000
#define WARM_UP_ROUNDS 3
#define MAPPINGS_MORE  200
#define MEMORY_MORE    ((long)32 << 20)
#define POLL_NS        100000

static _Atomic uint64_t streams; /* relaxed: the values only need to differ */

struct usage {
	long threads, files, mappings, resident;
};

static void own_random(struct weft__random *ret)
{
	stress_random(ret, atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed));
}

static long count_entries(const char *path)
{
	DIR *dir = opendir(path);
	long n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static long count_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static long resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long size = 0, resident = 0;

	if (f) {
		if (fscanf(f, "%ld %ld", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return resident * sysconf(_SC_PAGESIZE);
}

static struct usage measure(void)
{
	return (struct usage){.threads = count_entries("/proc/self/task"),
			      .files = count_entries("/proc/self/fd"),
			      .mappings = count_lines("/proc/self/maps"),
			      .resident = resident_bytes()};
}

static void check_usage(const struct usage *before)
{
	/* A joined thread disappears from /proc a moment later. A thread that never does is a
	 * hang. */
	while (count_entries("/proc/self/task") > before->threads)
		weft_sleep(POLL_NS);
	struct usage now = measure();
	stress_check(now.files <= before->files, "%ld open files, before %ld", now.files,
		     before->files);
	/* A sanitizer keeps freed memory and records of the past. An emulator keeps its translated
	 * code. */
	if (STRESS_SANITIZED || getenv("WEFT_TEST_SCALE"))
		return;
	stress_check(now.mappings <= before->mappings + MAPPINGS_MORE, "%ld mappings, before %ld",
		     now.mappings, before->mappings);
	stress_check(now.resident <= before->resident + MEMORY_MORE,
		     "%ld KiB resident, before %ld KiB", now.resident >> 10,
		     before->resident >> 10);
}

static void *task(void *arg)
{
	struct weft__random random;
	uintptr_t depth = (uintptr_t)arg;

	own_random(&random);
	switch (weft__random_below(&random, 4)) {
	case 0:
		weft_sleep(1 + weft__random_below(&random, SLEEP_MAX_NS));
		break;
	case 1:
		weft_yield();
		break;
	case 2:
		if (depth > 0) {
			int rc = weft_spawn(task, (void *)(depth - 1), NULL);
			stress_check(rc == 0, "weft_spawn: %s", strerror(-rc));
		}
		break;
	default:
		break;
	}
	stress_did(1);
	return arg;
}

static void use(struct weft__random *random, weft_runtime *rt)
{
	for (unsigned i = weft__random_below(random, TASKS_MAX); i > 0; i--) {
		weft_task *handle = NULL;
		/* Some handles stay until the runtime's end. */
		unsigned what = weft__random_below(random, 4);
		if (weft_submit(rt, task, (void *)(uintptr_t)3, what == 0 ? NULL : &handle) < 0)
			continue;
		int rc = what == 1 ? weft_join(handle, NULL) : what == 2 ? weft_detach(handle) : 0;
		stress_check(rc == 0, "join or detach: %s", strerror(-rc));
	}
}

static void *run_main(void *arg)
{
	struct weft__random random;

	own_random(&random);
	use(&random, NULL);
	return arg;
}

static void live_once(struct weft__random *random)
{
	struct weft_runtime_options opt = {.workers = 1 + weft__random_below(random, WORKERS_MAX)};
	weft_runtime *rt;
	void *result = NULL;
	int rc;

	if (stress_one_in(random, 3)) {
		rc = weft_run(run_main, random, &result);
		stress_check(rc == 0 && result == random, "weft_run: %s, %p", strerror(-rc),
			     result);
		return;
	}
	rc = weft_runtime_create(&opt, &rt);
	stress_check(rc == 0, "weft_runtime_create: %s", strerror(-rc));
	if (rc < 0)
		return;
	if (!stress_one_in(random, 4))
		use(random, rt);
	rc = weft_runtime_destroy(rt);
	stress_check(rc == 0, "weft_runtime_destroy: %s", strerror(-rc));
}

static void *live(void *unused)
{
	struct weft__random random;

	own_random(&random);
	for (unsigned i = 0; i < LIVES && !stress_over(); i++) {
		live_once(&random);
		stress_did(1);
	}
	return unused;
}

static void round_of_lives(void)
{
	pthread_t threads[THREADS];
	unsigned started = 0;

	while (started < THREADS && pthread_create(&threads[started], NULL, live, NULL) == 0)
		started++;
	stress_check(started > 0, "no thread could be started");
	while (started-- > 0)
		pthread_join(threads[started], NULL);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv, "Runtimes that come and go; nothing of them may remain.");
	struct usage before = measure();
	for (unsigned i = 0; !stress_over(); i++) {
		round_of_lives();
		if (i < WARM_UP_ROUNDS) {
			long threads = before.threads, files = before.files;
			before = measure();
			before.threads = threads;
			before.files = files;
		}
		check_usage(&before);
	}
	return stress_end();
}
