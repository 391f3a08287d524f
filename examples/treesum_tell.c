/* SPDX-License-Identifier: MIT */
/*
 * The display while the program runs: errors, and a progress bar on a terminal.
 *
 * A thread that hashes draws the bar when it is due. A task that slept in between would have to
 * wait for a free worker. The number of files becomes known on the way, so at the beginning the bar
 * is too optimistic.
 *
 * All counters are relaxed: they are sums for display, and publish nothing. Each worker has its
 * own. All other threads share some. The workers' counters are atomic too, because any thread may
 * draw the bar.
 */
#include "treesum.h"

#include <weft/weft.h>

#include <inttypes.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD  100000000 /* nanoseconds */
#define WORKERS 1024      /* the largest possible number */

struct counters {
	alignas(64) _Atomic uint64_t found;
	_Atomic uint64_t files;
	_Atomic uint64_t bytes;
};

static struct counters all[WORKERS + 1];
static atomic_bool some_reported;
static _Atomic int64_t next_draw;
static int64_t started; /* this and the next are set before the first task */
static bool on_terminal;

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct counters *mine(void)
{
	int id = weft_worker_id();

	return &all[id >= 0 ? id % WORKERS : WORKERS];
}

void count_found(size_t files)
{
	add(&mine()->found, files);
}

void count_hashed(size_t files, size_t bytes)
{
	struct counters *c = mine();

	if (files)
		add(&c->files, files);
	if (bytes)
		add(&c->bytes, bytes);
}

void read_counters(unsigned worker, uint64_t *ret_files, uint64_t *ret_bytes)
{
	struct counters *c = &all[worker < WORKERS ? worker : WORKERS];

	*ret_files = get(&c->files);
	*ret_bytes = get(&c->bytes);
}

/* Makes one write to stderr. If that fails, there is no way to report it. */
static void tell(const char *text, size_t len)
{
	ssize_t written = write(STDERR_FILENO, text, len);

	(void)written;
}

/* Reports in one write, so lines of several workers do not mix. The program then continues. */
void report(const char *path, const char *reason)
{
	char *escaped = malloc(2 * strlen(path) + 1);
	char *line;
	int len;

	atomic_store_explicit(&some_reported, true, memory_order_relaxed);
	if (escaped)
		*put_escaped(escaped, path) = '\0';
	len = asprintf(&line, "%sweft-treesum: %s: %s\n", on_terminal ? "\r\033[K" : "",
		       escaped ? escaped : path, reason);
	if (len >= 0) {
		tell(line, (size_t)len);
		free(line);
	}
	free(escaped);
}

static void format_bytes(char *to, size_t size, double bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	size_t unit = 0;

	for (; bytes >= 1000 && unit < 5; unit++)
		bytes /= 1000;
	snprintf(to, size, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void draw(int64_t now)
{
	static const char full[] = "####################";
	uint64_t found = 0;
	uint64_t files = 0;
	uint64_t bytes = 0;
	double seconds = (double)(now - started) / 1e9;
	char line[160];
	char amount[32];
	char rate[32];
	int done;
	int len;

	for (unsigned i = 0; i <= WORKERS; i++) {
		found += get(&all[i].found);
		files += get(&all[i].files);
		bytes += get(&all[i].bytes);
	}
	if (files > found)
		files = found;
	done = found ? (int)(files * 20 / found) : 0;
	format_bytes(amount, sizeof(amount), (double)bytes);
	format_bytes(rate, sizeof(rate), seconds > 0 ? (double)bytes / seconds : 0);
	len = snprintf(line, sizeof(line),
		       "\r[%-20.*s] %" PRIu64 " of %" PRIu64 " files, %s, %s/s\033[K", done, full,
		       files, found, amount, rate);
	tell(line, (size_t)len);
}

bool something_reported(void)
{
	return atomic_load_explicit(&some_reported, memory_order_relaxed);
}

void progress_init(void)
{
	on_terminal = isatty(STDERR_FILENO);
	started = weft_now();
	atomic_store_explicit(&next_draw, started, memory_order_relaxed);
}

void progress_draw(void)
{
	int64_t due;
	int64_t now;

	if (!on_terminal)
		return;
	now = weft_now();
	due = atomic_load_explicit(&next_draw, memory_order_relaxed);
	/* Of the threads that see that the bar is due, one draws it. Relaxed: publishes nothing
	 * else. */
	if (now >= due &&
	    atomic_compare_exchange_strong_explicit(&next_draw, &due, now + PERIOD,
						    memory_order_relaxed, memory_order_relaxed))
		draw(now);
}

void progress_fini(void)
{
	if (on_terminal)
		tell("\r\033[K", 4);
}
