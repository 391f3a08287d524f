/* SPDX-License-Identifier: MIT */
/*
 * weft-treesum: what its files share. treesum.c: arguments and the start; treesum_walk.c: the
 * tasks; treesum_hash.c: a file's digest; treesum_tell.c: counters, progress, errors;
 * treesum_print.c: the output.
 */
#ifndef WEFT_EXAMPLES_TREESUM_H
#define WEFT_EXAMPLES_TREESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

/* What is still to do, what has been hashed, and what could not be. */
enum kind { KIND_FILE, KIND_DIRECTORY, KIND_HASHED, KIND_FAILED };

/*
 * A file or a directory. Its task writes to it, and nobody else before that is joined.
 */
struct entry {
	union {
		char *path; /* in the listing that holds the entry; a directory's ends in a slash */
		size_t offset; /* the same, until listing_finish() */
	};
	enum kind kind;
	bool follow; /* given with a slash behind it, which means what a symbolic link points to */
	union {
		struct listing *listing; /* KIND_DIRECTORY, after its task; owned; NULL: empty */
		unsigned char digest[DIGEST_SIZE]; /* KIND_HASHED */
	};
};

/* What is in a directory, or among the arguments. {0} is an empty one. */
struct listing {
	char *paths; /* one after the other */
	size_t paths_used;
	size_t paths_size;
	struct entry *entries;
	size_t count;
	size_t entries_size;
};

/* --- treesum_walk.c --- */

/* Adds an entry whose path is the three strings, one after the other. 0 or ENOMEM. */
int listing_add(struct listing *list, enum kind kind, const char *before, const char *name,
		const char *after);

/* Frees what the listing holds. */
void listing_fini(struct listing *list);

/* Sorts the listing, to which at least one entry has been added, and sums all below it, in tasks.
 * In a task. */
void sum_listing(struct listing *list);

/* --- treesum_hash.c --- */

/* Gets SHA-256 from libcrypto: once, since that is slow. False: there is none. */
bool hash_init(void);

/* Frees everything; no task runs any more. */
void hash_fini(void);

/* Hashes a file, or reports why it cannot. In a task, which is not suspended. */
void hash_file(struct entry *entry);

/* --- treesum_tell.c --- */

/* Starts the clock of the progress bar, which is drawn if stderr is a terminal. */
void progress_init(void);

/* Draws the bar when it is due. In a task. */
void progress_draw(void);

/* Takes the bar away. */
void progress_fini(void);

/* Adds to the counters of the worker that runs the caller. */
void count_found(size_t files);
void count_hashed(size_t files, size_t bytes);

/* What the worker has hashed; or, for OTHER_THREADS, those that are no workers. */
enum { OTHER_THREADS = 1024 };
void read_counters(unsigned worker, uint64_t *ret_files, uint64_t *ret_bytes);

/* Says on stderr what is wrong with the path, in one line. Any thread. */
void report(const char *path, const char *reason);

/* Whether report() has been called. */
bool something_reported(void);

/* --- treesum_print.c --- */

/* Copies the name with newline, return and backslash escaped, as sha256sum does. Returns the end;
 * at most twice as long, without a terminator. */
char *put_escaped(char *to, const char *name);

/* Writes the text to standard output. 0 or the error. */
int write_all(const char *text, size_t len);

/* Writes a line for each file that was hashed, sorted by path, to standard output, and closes that.
 * 0 or the error. */
int print_sums(const struct listing *list);

#endif
