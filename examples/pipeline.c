/* SPDX-License-Identifier: MIT */
/*
 * A pipeline. It prints the lines that contain a text, like grep -Fn, and does the matching in
 * parallel.
 *
 *                  .-> lane 0: matcher -.
 *   reader (lines) --> lane 1: matcher --> printer (the first task)
 *                  '-> lane 2: matcher -'
 *
 * Order. The reader deals the lines out to the lanes in turn, and the printer collects them in the
 * same turn.
 *
 * Backpressure. Each channel holds `depth` lines. If the printer falls behind, the matchers wait
 * for it, and the reader waits for the matchers. So at most in_flight_bound() lines are in memory,
 * however large the input.
 *
 * Cancellation. With --max-count the printer has enough at some point. It then cancels the group
 * that the other tasks run in. Their waits in channels return -ECANCELED from then on. The lines
 * that they leave in the channels are freed at the end.
 */
#include "example.h"

#include <weft/weft.h>

#include <getopt.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

struct line {
	char *text; /* owned by the holder of the line */
	const char *file;
	unsigned long number;
	bool matches; /* set by the matcher */
};

struct lane {
	weft_chan *in, *out;
};

static const char *wanted;
static char **files; /* ends with NULL */
static unsigned lane_count = 4, depth = 16;
static unsigned long max_count; /* 0: all */
static struct lane *lanes;

static bool trouble;                      /* the reader's, until the group has ended */
static unsigned long lines_read;          /* the same */
static atomic_ulong in_flight, most_ever; /* lines that a task or a channel holds */

/* A lane has one line in its matcher and up to depth lines in each channel. The reader and the
 * printer hold one line each. */
static unsigned long in_flight_bound(void)
{
	return lane_count * (2UL * depth + 1) + 2;
}

static void line_begin(void)
{
	/* relaxed, here and below: counters that publish nothing */
	unsigned long now = atomic_fetch_add_explicit(&in_flight, 1, memory_order_relaxed) + 1;
	unsigned long most = atomic_load_explicit(&most_ever, memory_order_relaxed);

	while (now > most &&
	       !atomic_compare_exchange_weak_explicit(&most_ever, &most, now, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

static void line_end(struct line *line)
{
	free(line->text);
	atomic_fetch_sub_explicit(&in_flight, 1, memory_order_relaxed);
}

/* Sends the lines of one file. Returns 0, or the error that stopped it. */
static int read_file(FILE *file, const char *name)
{
	struct line line = {.file = name};
	size_t size = 0;
	int status = 0;

	while (status == 0 && getline(&line.text, &size, file) >= 0) {
		line_begin();
		line.number++;
		line.text[strcspn(line.text, "\n")] = '\0';
		status = weft_chan_send(lanes[lines_read % lane_count].in, &line);
		if (status < 0) {
			line_end(&line);
		} else {
			/* The line now belongs to the matcher. The next line gets memory of its
			 * own. */
			lines_read++;
			size = 0;
			/* Only a wait would report a cancellation, and this loop may never wait. */
			if (weft_cancelled())
				status = -ECANCELED;
		}
		line.text = NULL;
	}
	free(line.text);
	return status;
}

static void *read_files(void *arg)
{
	int status = 0;

	for (char **name = files; status == 0 && *name; name++) {
		bool is_stdin = strcmp(*name, "-") == 0;
		FILE *file = is_stdin ? stdin : fopen(*name, "r");

		if (!file) {
			perror(*name);
			trouble = true;
			continue;
		}
		status = read_file(file, *name);
		if (!is_stdin)
			fclose(file);
	}
	for (unsigned i = 0; i < lane_count; i++)
		weft_chan_close(lanes[i].in);
	return arg;
}

static void *match_lines(void *arg)
{
	struct lane *lane = arg;
	struct line line;

	while (weft_chan_recv(lane->in, &line) == 0) {
		line.matches = strstr(line.text, wanted) != NULL;
		if (weft_chan_send(lane->out, &line) < 0) {
			line_end(&line);
			break;
		}
	}
	weft_chan_close(lane->out);
	return NULL;
}

/* Returns the number of lines that it took out of the pipeline. */
static unsigned long print_matches(weft_group *stages, unsigned long *ret_matches)
{
	unsigned long taken = 0, matches = 0;
	struct line line;

	while (weft_chan_recv(lanes[taken % lane_count].out, &line) == 0) {
		taken++;
		if (line.matches) {
			matches++;
			if (files[0] && files[1])
				printf("%s:", line.file);
			printf("%lu:%s\n", line.number, line.text);
		}
		line_end(&line);
		if (max_count > 0 && matches == max_count) {
			weft_group_cancel(stages);
			break;
		}
	}
	*ret_matches = matches;
	return taken;
}

static void drain(weft_chan *ch)
{
	struct line line;

	while (weft_chan_try_recv(ch, &line) == 0)
		line_end(&line);
	weft_chan_destroy(ch);
}

/* The first task. */
static void *search(void *arg)
{
	unsigned long *ret_matches = arg, taken;
	weft_group stages;

	lanes = calloc(lane_count, sizeof(*lanes));
	CHECK(lanes);
	weft_group_init(&stages);
	for (unsigned i = 0; i < lane_count; i++) {
		CHECK(weft_chan_create(sizeof(struct line), depth, &lanes[i].in) == 0);
		CHECK(weft_chan_create(sizeof(struct line), depth, &lanes[i].out) == 0);
		CHECK(weft_group_spawn(&stages, match_lines, &lanes[i]) == 0);
	}
	CHECK(weft_group_spawn(&stages, read_files, NULL) == 0);
	taken = print_matches(&stages, ret_matches);
	CHECK(weft_group_wait(&stages) == 0);
	weft_group_fini(&stages);
	for (unsigned i = 0; i < lane_count; i++) {
		drain(lanes[i].in);
		drain(lanes[i].out);
	}
	free(lanes);

	/* Nothing was lost, nothing piled up, and the reader stopped at the end. */
	CHECK(atomic_load_explicit(&in_flight, memory_order_relaxed) == 0);
	CHECK(atomic_load_explicit(&most_ever, memory_order_relaxed) <= in_flight_bound());
	CHECK(lines_read <= taken + in_flight_bound());
	CHECK(max_count > 0 || lines_read == taken);
	return NULL;
}

static const char help[] =
	"Usage: pipeline [OPTION...] TEXT [FILE...]\n"
	"Prints the lines of the FILEs (or of standard input) that contain TEXT, with their\n"
	"numbers, as grep -Fn does; the matching is done by tasks in parallel.\n"
	"\n"
	"  -m, --max-count N  stops after N lines have been printed\n"
	"  -j, --lanes N      how many matchers (4)\n"
	"  -d, --depth N      how many lines each channel holds (16)\n"
	"  -s, --stats        tells on standard error what was read and held in memory\n"
	"  -h, --help         prints this\n"
	"\n"
	"Exit status: 0; 1: no line contains TEXT; 2: a FILE could not be read, or an option\n"
	"is wrong.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"max-count", required_argument, NULL, 'm'},
		{"lanes", required_argument, NULL, 'j'},
		{"depth", required_argument, NULL, 'd'},
		{"stats", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	static char dash[] = "-", *standard_input[] = {dash, NULL};
	unsigned long matches = 0;
	bool stats = false;
	int option;

	while ((option = getopt_long(argc, argv, "m:j:d:sh", options, NULL)) != -1) {
		switch (option) {
		case 'm':
			max_count = read_number("--max-count", optarg, 1, UINT32_MAX);
			break;
		case 'j':
			lane_count = read_number("--lanes", optarg, 1, 1000);
			break;
		case 'd':
			depth = read_number("--depth", optarg, 0, 1000000);
			break;
		case 's':
			stats = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		fprintf(stderr, "pipeline: there is no TEXT to search for\n");
		return EXIT_USAGE;
	}
	wanted = argv[optind++];
	files = optind < argc ? argv + optind : standard_input;
	CHECK(weft_run(search, &matches, NULL) == 0);
	flush_output();
	if (stats)
		fprintf(stderr, "%lu lines read, %lu printed, at most %lu of %lu in memory\n",
			lines_read, matches, atomic_load_explicit(&most_ever, memory_order_relaxed),
			in_flight_bound());
	return trouble ? EXIT_USAGE : matches > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
