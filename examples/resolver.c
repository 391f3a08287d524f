/* SPDX-License-Identifier: MIT */
/*
 * Looks many names up at once, as a crawler or a log analyser does. The names are in a file with
 * the format of /etc/hosts.
 *
 * A lookup opens and reads the file anew. This call blocks, as getaddrinfo() does. weft_blocking()
 * runs it on a thread that may block, and only the task waits. Three limits protect the system:
 *
 *   parallel   A semaphore limits the number of lookups at a time.
 *   rate       Start times are dealt out at a fixed distance, and each task sleeps until its own.
 *   deadlines  There is one for each name, and one for all names.
 *
 * A thread that blocks in a system call cannot be stopped. So a lookup is a task of its own, which
 * is joined with a deadline. A late lookup continues, and writes to memory that nobody reads any
 * more. It is joined at the end.
 */
#include "example.h"

#include <weft/weft.h>

#include <getopt.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SECOND      INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

struct query {
	char *name;
	int status; /* 0, -ENOENT, -ETIMEDOUT, -ECANCELED, or the error from reading the file */
	int64_t started;   /* 0 if it never started */
	weft_task *lookup; /* not joined yet */

	/* The lookup's, until it is joined. */
	char *address;
	int answer;
};

static const char *hosts = "/etc/hosts", *hanging = "";
static unsigned parallel = 8, rate = 1000, timeout_ms = 1000, deadline_ms, slow_ms;
static bool want_stats;
static struct query *queries;
static size_t query_count;

static weft_sem slots;
static weft_event end; /* no answer is wanted any more */

static weft_mutex rate_mutex = WEFT_MUTEX_INIT;
static int64_t next_start; /* under rate_mutex */

/* Returns the address in a line of the file, if the line contains the name. */
static char *address_in_line(char *line, const char *name)
{
	char *rest, *address, *word;

	line[strcspn(line, "#\n")] = '\0';
	address = strtok_r(line, " \t", &rest);
	if (!address)
		return NULL;
	while ((word = strtok_r(NULL, " \t", &rest))) {
		if (strcmp(word, name) == 0)
			return strdup(address);
	}
	return NULL;
}

/* Runs on a thread that may block. */
static void *look_up(void *arg)
{
	struct timespec delay = {slow_ms / 1000, slow_ms % 1000 * MILLISECOND};
	struct query *q = arg;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	nanosleep(&delay, NULL);
	if (strcmp(q->name, hanging) == 0)
		(void)!weft_event_wait(&end); /* this is not a task, so nobody cancels it */
	file = fopen(hosts, "re");
	if (!file) {
		q->answer = -errno;
		return NULL;
	}
	while (!q->address && getline(&line, &size, file) >= 0)
		q->address = address_in_line(line, q->name);
	q->answer = q->address ? 0 : -ENOENT;
	free(line);
	fclose(file);
	return NULL;
}

static void *run_lookup(void *arg)
{
	struct query *q = arg;
	int err = weft_blocking(look_up, q, NULL);

	if (err < 0)
		q->answer = err;
	return NULL;
}

/* Waits for the caller's turn. */
static int wait_for_rate(void)
{
	int64_t now = weft_now(), mine;

	weft_mutex_lock(&rate_mutex);
	mine = next_start > now ? next_start : now;
	next_start = mine + SECOND / rate;
	weft_mutex_unlock(&rate_mutex);
	return weft_sleep_until(mine);
}

static int resolve_in_time(struct query *q)
{
	int err = wait_for_rate();

	if (err < 0)
		return err;
	q->started = weft_now();
	err = weft_spawn(run_lookup, q, &q->lookup);
	if (err == 0)
		err = weft_join_until(q->lookup, NULL, weft_after(timeout_ms * MILLISECOND));
	if (err < 0)
		return err;
	q->lookup = NULL;
	return q->answer;
}

static void *resolve(void *arg)
{
	struct query *q = arg;

	q->status = weft_sem_acquire(&slots);
	if (q->status == 0) {
		q->status = resolve_in_time(q);
		weft_sem_release(&slots, 1);
	}
	return NULL;
}

/* Prints the answers in the order of the questions. Returns whether all are good. */
static bool print_answers(void)
{
	bool good = true;

	for (size_t i = 0; i < query_count; i++) {
		const struct query *q = &queries[i];

		if (q->status == 0)
			printf("%s %s\n", q->name, q->address);
		else
			printf("%s: %s\n", q->name, strerror(-q->status));
		good = good && q->status == 0;
	}
	return good;
}

/* The starts are at least an interval apart, so that many starts take at least that long. */
static void check_rate(int64_t begin)
{
	int64_t started = 0, last = begin;

	for (size_t i = 0; i < query_count; i++) {
		started += queries[i].started != 0;
		last = queries[i].started > last ? queries[i].started : last;
	}
	CHECK(started == 0 || last - begin >= (started - 1) * (SECOND / rate));
	if (want_stats)
		fprintf(stderr, "%lld lookups, the last one started after %.3f s\n",
			(long long)started, (double)(last - begin) / 1e9);
}

/* The first task. */
static void *resolve_all(void *arg)
{
	int64_t begin = weft_now();
	bool *ret_good = arg;
	weft_group group;
	int err;

	weft_group_init(&group);
	weft_sem_init(&slots, parallel);
	weft_event_init(&end);
	for (size_t i = 0; i < query_count; i++)
		CHECK(weft_group_spawn(&group, resolve, &queries[i]) == 0);
	err = weft_group_wait_until(&group, deadline_ms > 0 ? begin + deadline_ms * MILLISECOND
							    : WEFT_FOREVER);
	if (err == -ETIMEDOUT) {
		weft_group_cancel(&group);
		err = weft_group_wait(&group);
	}
	CHECK(err == 0);
	weft_group_fini(&group);
	*ret_good = print_answers();
	check_rate(begin);

	weft_event_set(&end);
	for (size_t i = 0; i < query_count; i++) {
		if (queries[i].lookup)
			CHECK(weft_join(queries[i].lookup, NULL) == 0);
		free(queries[i].address);
	}
	return NULL;
}

/* Reads the names from the command line, or from a file with one name in each line. */
static void read_names(char **names, size_t count, const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *file = path ? fopen(path, "re") : NULL;

	if (path && !file) {
		perror(path);
		exit(EXIT_USAGE);
	}
	while (count > 0 || (file && getline(&line, &size, file) >= 0)) {
		char *name = count > 0 ? *names++ : line;

		if (count > 0)
			count--;
		name[strcspn(name, "\n")] = '\0';
		if (*name == '\0')
			continue;
		queries = realloc(queries, (query_count + 1) * sizeof(*queries));
		CHECK(queries);
		queries[query_count++] = (struct query){.name = strdup(name)};
	}
	free(line);
	if (file)
		fclose(file);
}

static const char help[] =
	"Usage: resolver [OPTION...] [NAME...]\n"
	"Looks each NAME up in a file with the format of /etc/hosts and prints its address.\n"
	"\n"
	"  -i, --names FILE     more names, one in each line\n"
	"  -f, --hosts FILE     the file to look them up in (/etc/hosts)\n"
	"  -j, --parallel N     how many lookups at a time (8)\n"
	"  -r, --rate N         how many lookups start in a second (1000)\n"
	"  -t, --timeout MS     gives a name up after so long (1000)\n"
	"  -d, --deadline MS    gives all the rest up after so long (0: never)\n"
	"  -s, --stats          tells on standard error how long it took\n"
	"      --slow MS        for trying it out: a lookup takes at least so long\n"
	"      --hanging NAME   the same: looking this name up does not end\n"
	"  -h, --help           prints this\n"
	"\n"
	"Exit status: 0; 1: not all were found in time; 2: something is wrong with an option.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"names", required_argument, NULL, 'i'},
		{"hosts", required_argument, NULL, 'f'},
		{"parallel", required_argument, NULL, 'j'},
		{"rate", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{"deadline", required_argument, NULL, 'd'},
		{"stats", no_argument, NULL, 's'},
		{"slow", required_argument, NULL, 'S'},
		{"hanging", required_argument, NULL, 'H'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *names = NULL;
	bool good = false;
	int option;

	while ((option = getopt_long(argc, argv, "i:f:j:r:t:d:sh", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			names = optarg;
			break;
		case 'f':
			hosts = optarg;
			break;
		case 'j':
			parallel = read_number("--parallel", optarg, 1, 1000000);
			break;
		case 'r':
			rate = read_number("--rate", optarg, 1, 1000000000);
			break;
		case 't':
			timeout_ms = read_number("--timeout", optarg, 0, 1000000000);
			break;
		case 'd':
			deadline_ms = read_number("--deadline", optarg, 0, 1000000000);
			break;
		case 's':
			want_stats = true;
			break;
		case 'S':
			slow_ms = read_number("--slow", optarg, 0, 1000000);
			break;
		case 'H':
			hanging = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	read_names(argv + optind, (size_t)(argc - optind), names);
	CHECK(weft_run(resolve_all, &good, NULL) == 0);
	for (size_t i = 0; i < query_count; i++)
		free(queries[i].name);
	free(queries);
	flush_output();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
