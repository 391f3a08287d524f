/* SPDX-License-Identifier: MIT */
#include "stress.h"

#include "inside.h"

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS          INT64_C(1000000000)
#define TICK_NS     (NS / 10)
#define SPARSE_NS   (10 * NS) /* between two lines in a pipe */
#define POLL_NS     (NS / 10000)
#define SECONDS_MAX 1000000
#define WATCHED_MAX 8
#define TEXT_SIZE   400

/* Immutable after stress_begin(). */
static const char *program;
static long seconds = 5;
static uint64_t rounds; /* 0: as many as fit into the time */
static long hang_seconds = 60;
static uint64_t seed;
static int64_t deadline;
static bool terminal;
static pthread_t monitor_thread;

/* Relaxed, all: see stress.h. */
static _Atomic uint64_t done;
static _Atomic uint64_t failures;
static _Atomic uint64_t asked;
static _Atomic bool over;

/* Under `mutex`. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end_cond;
static bool ending;
static char first_failure[TEXT_SIZE];
static weft_runtime *watched[WATCHED_MAX];

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static void usage(FILE *out, const char *what)
{
	fprintf(out,
		"Usage: %s [--seconds N | --rounds N] [--seed S] [--hang N]\n"
		"%s\n"
		"  --seconds N  for about how long (default 5)\n"
		"  --rounds N   until so many rounds have begun, however long that takes\n"
		"  --seed S     what its chances follow from (default: the clock)\n"
		"  --hang N     aborts after so many seconds without progress (default 60)\n"
		"Exit status: 0; 1 when something was not as it must be, with what it saw; 2 for a "
		"bad option.\n",
		program, what);
}

static uint64_t parse(const char *option, const char *text, uint64_t max)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 0);
	if (errno || end == text || *end || text[0] == '-' || value > max) {
		fprintf(stderr, "%s: --%s %s: expected a number up to %llu\n", program, option,
			text, (unsigned long long)max);
		exit(2);
	}
	return value;
}

/* The command that repeats this run. */
static void print_command(FILE *out)
{
	static const char *const variables[] = {"WEFT_WORKERS", "WEFT_CHAOS", "WEFT_SPIN",
						"WEFT_STACK_SIZE", "WEFT_TEST_SCALE"};

	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		const char *value = getenv(variables[i]);
		if (value)
			fprintf(out, "%s=%s ", variables[i], value);
	}
	if (rounds)
		fprintf(out, "%s --rounds %llu", program, (unsigned long long)rounds);
	else
		fprintf(out, "%s --seconds %ld", program, seconds);
	fprintf(out, " --seed %llu\n", (unsigned long long)seed);
}

static void print_progress(int64_t elapsed)
{
	printf("%s%s: %lld s, %llu done%s", terminal ? "\r" : "", program,
	       (long long)(elapsed / NS),
	       (unsigned long long)atomic_load_explicit(&done, memory_order_relaxed),
	       terminal ? " " : "\n");
	fflush(stdout);
}

static void hung_locked(void)
{
	fprintf(stderr,
		"%s: FAILED: nothing was done for %ld s, after %llu steps; %llu failures "
		"before%s%s\n",
		program, hang_seconds,
		(unsigned long long)atomic_load_explicit(&done, memory_order_relaxed),
		(unsigned long long)atomic_load_explicit(&failures, memory_order_relaxed),
		first_failure[0] ? ", the first: " : "", first_failure);
	for (int i = 0; i < WATCHED_MAX; i++) {
		if (watched[i])
			inside_dump(watched[i]);
	}
	print_command(stderr);
	fflush(NULL);
	abort();
}

static void *monitor(void *unused)
{
	int64_t begin = now(), moved = begin, shown = begin;
	uint64_t seen = 0;

	(void)unused;
	pthread_mutex_lock(&mutex);
	while (!ending) {
		int64_t t = now();
		uint64_t d = atomic_load_explicit(&done, memory_order_relaxed);

		if (d != seen) {
			seen = d;
			moved = t;
		} else if (t - moved > hang_seconds * NS) {
			hung_locked();
		}
		if (t - shown >= (terminal ? TICK_NS : SPARSE_NS)) {
			print_progress(t - begin);
			shown = t;
		}
		t += TICK_NS;
		struct timespec until = {.tv_sec = t / NS, .tv_nsec = t % NS};
		pthread_cond_timedwait(&end_cond, &mutex, &until);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

void stress_begin(int argc, char **argv, const char *what)
{
	static const struct option options[] = {
		/* clang-format off */
		{"seconds", required_argument, NULL, 's'},
		{"rounds", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 'r'},
		{"hang", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
		/* clang-format on */
	};
	pthread_condattr_t attr;
	sigset_t all, before;
	int c;

	program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	seed = (uint64_t)now() % 1000000000;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seconds = (long)parse("seconds", optarg, SECONDS_MAX);
			break;
		case 'n':
			rounds = parse("rounds", optarg, UINT64_MAX);
			break;
		case 'r':
			seed = parse("seed", optarg, UINT64_MAX);
			break;
		case 'w':
			hang_seconds = (long)parse("hang", optarg, SECONDS_MAX);
			break;
		case 'h':
			usage(stdout, what);
			exit(0);
		default:
			usage(stderr, what);
			exit(2);
		}
	}
	if (optind < argc) {
		usage(stderr, what);
		exit(2);
	}
	deadline = now() + seconds * NS;
	terminal = isatty(STDOUT_FILENO);
	print_command(stdout);
	fflush(stdout);

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&end_cond, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int err = pthread_create(&monitor_thread, NULL, monitor, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		fprintf(stderr, "%s: no thread for the monitor: %s\n", program, strerror(err));
		exit(2);
	}
}

int stress_end(void)
{
	pthread_mutex_lock(&mutex);
	ending = true;
	pthread_cond_signal(&end_cond);
	pthread_mutex_unlock(&mutex);
	pthread_join(monitor_thread, NULL);

	uint64_t count = atomic_load_explicit(&failures, memory_order_relaxed);
	printf("%s%s: %s, %llu done\n", terminal ? "\r" : "", program, count ? "FAILED" : "ok",
	       (unsigned long long)atomic_load_explicit(&done, memory_order_relaxed));
	fflush(stdout);
	if (count == 0)
		return 0;
	fprintf(stderr, "%s: %llu failures, the first: %s\n", program, (unsigned long long)count,
		first_failure);
	print_command(stderr);
	return 1;
}

/* The monitor does not decide this. If threads take turns, as under valgrind, it would be late. */
bool stress_over(void)
{
	if (atomic_load_explicit(&over, memory_order_relaxed))
		return true;
	if (rounds ? atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed) < rounds
		   : now() < deadline)
		return false;
	atomic_store_explicit(&over, true, memory_order_relaxed);
	return true;
}

void stress_did(uint64_t n)
{
	atomic_fetch_add_explicit(&done, n, memory_order_relaxed);
}

void stress_fail(const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	atomic_store_explicit(&over, true, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed) != 0)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	/* Printed at once, because the program may soon crash. */
	fprintf(stderr, "%s: FAILED: %s\n", program, text);
	pthread_mutex_lock(&mutex);
	memcpy(first_failure, text, sizeof text);
	pthread_mutex_unlock(&mutex);
}

void stress_random(struct weft__random *ret, uint64_t stream)
{
	struct weft__random mix;

	weft__random_seed(&mix, stream);
	weft__random_seed(ret, weft__random_next(&mix) ^ seed);
}

bool stress_chaos_hop(void)
{
	const char *chaos = getenv("WEFT_CHAOS");

	return chaos && strstr(chaos, ",hop");
}

bool stress_alone(void)
{
	const char *chaos = getenv("WEFT_CHAOS");

	return chaos && strstr(chaos, ",virtual");
}

static void replace_watched(weft_runtime *from, weft_runtime *to)
{
	int i = 0;

	pthread_mutex_lock(&mutex);
	while (i < WATCHED_MAX && watched[i] != from)
		i++;
	if (i < WATCHED_MAX)
		watched[i] = to;
	pthread_mutex_unlock(&mutex);
}

void stress_watch(weft_runtime *rt)
{
	replace_watched(NULL, rt);
}

void stress_destroy(weft_runtime *rt)
{
	int rc = weft_runtime_destroy(rt);

	stress_check(rc == 0, "weft_runtime_destroy: %s", strerror(-rc));
	replace_watched(rt, NULL);
}

struct run {
	weft_fn *fn;
	void *arg;
	weft_runtime *rt;
};

static void *run_watched(void *arg)
{
	struct run *run = arg;

	run->rt = inside_runtime();
	stress_watch(run->rt);
	run->fn(run->arg);
	stress_await_completed(NULL, 1);
	return NULL;
}

void stress_run(weft_fn *fn, void *arg)
{
	struct run run = {fn, arg, NULL};
	int rc = weft_run(run_watched, &run, NULL);

	stress_check(rc == 0, "weft_run: %s", strerror(-rc));
	if (run.rt)
		replace_watched(run.rt, NULL);
}

struct director {
	weft_task *task; /* NULL if it could not be spawned */
	void (*play)(struct weft__random *random);
	uint64_t stream;
};

static void *direct(void *arg)
{
	const struct director *director = arg;
	struct weft__random random;

	stress_random(&random, director->stream);
	while (!stress_over())
		director->play(&random);
	return NULL;
}

struct directors {
	struct director one[STRESS_DIRECTORS_MAX];
	unsigned count;
};

static void *direct_all(void *arg)
{
	struct directors *all = arg;

	for (unsigned i = 0; i < all->count; i++) {
		int rc = weft_spawn(direct, &all->one[i], &all->one[i].task);
		stress_check(rc == 0, "weft_spawn: %s", strerror(-rc));
	}
	for (unsigned i = 0; i < all->count; i++) {
		if (all->one[i].task)
			stress_joined(weft_join(all->one[i].task, NULL));
	}
	return NULL;
}

void stress_direct(unsigned directors, void (*play)(struct weft__random *random))
{
	struct directors all = {.count = directors};

	for (unsigned i = 0; i < directors; i++)
		all.one[i] = (struct director){.play = play, .stream = i};
	stress_run(direct_all, &all);
}

void stress_await_completed(weft_runtime *rt, uint64_t live)
{
	struct weft_stats s;

	for (;;) {
		int rc = weft_runtime_stats(rt, &s);
		stress_check(rc == 0, "weft_runtime_stats: %s", strerror(-rc));
		if (rc < 0 || s.spawned == s.completed + live)
			return;
		weft_sleep(POLL_NS);
	}
}
