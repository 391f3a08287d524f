/* SPDX-License-Identifier: MIT */
/*
 * weft-treesum: prints the SHA-256 of every regular file below the given directories, sorted by
 * path, in sha256sum's format.
 *
 * There is one task for each directory and for each file (treesum_walk.c). This file has the
 * options, arguments, statistics and exit status.
 */
#include "treesum.h"

#include <weft/weft.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_SOME_UNREADABLE = 1, EXIT_TROUBLE = 2 };

static bool want_stats;

/* Adds the file that an argument names, or reports an error. */
static void add_argument(struct listing *list, const char *argument)
{
	const char *reason = NULL;
	struct stat st;
	char *name;
	size_t len;
	bool slash;

	/* sha256sum would read a file with that name back as standard input. */
	if (strcmp(argument, "-") == 0)
		argument = "./-";
	len = strlen(argument);
	slash = len > 0 && argument[len - 1] == '/';
	if (lstat(argument, &st) != 0) {
		report(argument, strerror(errno));
		return;
	}
	name = strdup(argument);
	if (!name) {
		report(argument, strerror(ENOMEM));
		return;
	}
	for (; len > 0 && name[len - 1] == '/'; len--)
		name[len - 1] = '\0';
	if (S_ISDIR(st.st_mode)) {
		if (listing_add(list, KIND_DIRECTORY, "", name, "/") != 0)
			reason = strerror(ENOMEM);
		else
			list->entries[list->count - 1].follow = slash;
	} else if (S_ISREG(st.st_mode)) {
		if (listing_add(list, KIND_FILE, "", name, "") != 0)
			reason = strerror(ENOMEM);
	} else if (S_ISLNK(st.st_mode)) {
		reason = "a symbolic link, which is not followed";
	} else {
		reason = "neither a directory nor a regular file";
	}
	if (reason)
		report(argument, reason);
	free(name);
}

static void print_stats(void)
{
	unsigned workers = weft_runtime_workers(NULL);
	struct weft_stats s;
	uint64_t files;
	uint64_t bytes;

	if (weft_runtime_stats(NULL, &s) != 0)
		return;
	fprintf(stderr, "tasks %" PRIu64 "\nsteals %" PRIu64 "\nhops %" PRIu64 "\n",
		s.spawned + s.forked, s.steals, s.hops);
	read_counters(OTHER_THREADS, &files, &bytes);
	fprintf(stderr, "from disk: files %" PRIu64 ", bytes %" PRIu64 "\n", files, bytes);
	for (unsigned i = 0; i < workers; i++) {
		if (weft_worker_stats(NULL, i, &s) != 0)
			continue;
		read_counters(i, &files, &bytes);
		fprintf(stderr,
			"worker %u: files %" PRIu64 ", bytes %" PRIu64 ", tasks %" PRIu64
			", inlined %" PRIu64 ", steals %" PRIu64 ", stolen %" PRIu64
			", hops %" PRIu64 ", switches %" PRIu64 ", sleeps %" PRIu64 "\n",
			i, files, bytes, s.spawned + s.forked, s.inlined, s.steals, s.stolen,
			s.hops, s.switches, s.sleeps);
	}
}

/* The first task. */
static void *sum_arguments(void *arg)
{
	struct listing *list = arg;

	if (list->count > 0)
		sum_listing(list);
	progress_fini();
	if (want_stats)
		print_stats();
	return NULL;
}

static void complain(const char *what, int err)
{
	fprintf(stderr, "weft-treesum: %s: %s\n", what, strerror(err));
}

static int run(int count, char **arguments)
{
	struct listing list = {0};
	int status = EXIT_TROUBLE;
	int err;

	if (!hash_init()) {
		fprintf(stderr, "weft-treesum: libcrypto has no SHA256\n");
		return EXIT_TROUBLE;
	}
	for (int i = 0; i < count; i++)
		add_argument(&list, arguments[i]);
	if (count == 0)
		add_argument(&list, ".");
	progress_init();
	err = weft_run(sum_arguments, &list, NULL);
	if (err == 0) {
		err = print_sums(&list);
		if (err)
			complain("standard output", err);
		else
			status = something_reported() ? EXIT_SOME_UNREADABLE : EXIT_SUCCESS;
	} else if (err != -EINVAL) {
		/* This is a bad WEFT_ variable, and the library has already printed a line about
		 * it. */
		complain("cannot start", -err);
	}
	listing_fini(&list);
	hash_fini();
	return status;
}

static int print_and_check(const char *text)
{
	int err = write_all(text, strlen(text));

	if (err)
		complain("standard output", err);
	return err ? EXIT_TROUBLE : EXIT_SUCCESS;
}

static const char help[] =
	"Usage: weft-treesum [OPTION...] [FILE...]\n"
	"Prints the SHA-256 of every regular file below each FILE (the current directory, if\n"
	"none is given), sorted by path, in the format of sha256sum: `sha256sum -c` checks\n"
	"it. Symbolic links are not followed. What cannot be read is reported, and the rest\n"
	"goes on.\n"
	"\n"
	"      --stats    tells on standard error what the scheduler and each worker did\n"
	"  -h, --help     prints this\n"
	"  -V, --version  prints the version\n"
	"\n"
	"WEFT_WORKERS sets the number of threads; by default one for each CPU that may be\n"
	"used. Exit status: 0; 1: something could not be read; 2: the output could not be\n"
	"written, the program could not start, or an option is wrong.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"stats", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	char version[64];
	int option;

	/* If a reader goes away, write() returns an error. */
	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			want_stats = true;
			break;
		case 'h':
			return print_and_check(help);
		case 'V':
			snprintf(version, sizeof version, "weft-treesum (Weft) %s\n",
				 weft_version_string());
			return print_and_check(version);
		default:
			fprintf(stderr, "Try 'weft-treesum --help'.\n");
			return EXIT_TROUBLE;
		}
	}
	return run(argc - optind, argv + optind);
}
