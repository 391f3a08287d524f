/* SPDX-License-Identifier: MIT */
/*
 * weft-treesum: the declarations that its files share.
 *
 *   treesum.c        arguments and the start
 *   treesum_walk.c   the tasks
 *   treesum_hash.c   a file's digest
 *   treesum_tell.c   counters, progress, errors
 *   treesum_print.c  the output
 */
#ifndef WEFT_EXAMPLES_TREESUM_H
#define WEFT_EXAMPLES_TREESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32

/* Two kinds of entry are still to do, one has been hashed, and one could not be. */
enum kind { KIND_FILE, KIND_DIRECTORY, KIND_HASHED, KIND_FAILED };

/*
 * A file or a directory. Only its task writes to it until that is joined.
 */
struct entry {
	union {
		char *path; /* in the listing that holds the entry; a directory's ends in a slash */
		size_t offset; /* the same, until listing_finish() */
	};
	enum kind kind;
	bool follow; /* given with a slash behind it, which means the target of a symbolic link */
	union {
		struct listing *listing; /* KIND_DIRECTORY, after its task; owned; NULL if empty */
		unsigned char digest[DIGEST_SIZE]; /* KIND_HASHED */
	};
};

/* The content of a directory, or the arguments. {0} is an empty listing. */
struct listing {
	char *paths; /* one after the other */
	size_t paths_used;
	size_t paths_size;
	struct entry *entries;
	size_t count;
	size_t entries_size;
};

/* --- treesum_walk.c --- */

/* Adds an entry whose path is the three strings, one after the other. Returns 0 or ENOMEM. */
int listing_add(struct listing *list, enum kind kind, const char *before, const char *name,
		const char *after);

/* Frees the listing's content. */
void listing_fini(struct listing *list);

/* Sorts the listing, which must have at least one entry. Then it sums everything below it, in
 * tasks. Called in a task. */
void sum_listing(struct listing *list);

/* --- treesum_hash.c --- */

/* Gets SHA-256 from libcrypto, once, because that is slow. Returns false if there is none. */
bool hash_init(void);

/* Frees everything. No task may be running. */
void hash_fini(void);

/* Hashes a file, or reports an error. Called in a task, which is not suspended. */
void hash_file(struct entry *entry);

/* --- treesum_tell.c --- */

/* Starts the clock of the progress bar, which is drawn if stderr is a terminal. */
void progress_init(void);

/* Draws the bar when it is due. Called in a task. */
void progress_draw(void);

/* Removes the bar. */
void progress_fini(void);

/* Add to the counters of the worker that runs the caller. */
void count_found(size_t files);
void count_hashed(size_t files, size_t bytes);

/* Reads what the worker has hashed. OTHER_THREADS stands for the threads that are not workers. */
enum { OTHER_THREADS = 1024 };
void read_counters(unsigned worker, uint64_t *ret_files, uint64_t *ret_bytes);

/* Reports on stderr what is wrong with the path, in one line. Any thread. */
void report(const char *path, const char *reason);

/* Whether report() has been called. */
bool something_reported(void);

/* --- treesum_print.c --- */

/* Copies the name with newline, return and backslash escaped, as sha256sum does. The copy is at
 * most twice as long, without a terminator. Returns its end. */
char *put_escaped(char *to, const char *name);

/* Writes the text to standard output. Returns 0 or the error. */
int write_all(const char *text, size_t len);

/* Writes a line for each hashed file to standard output, sorted by path, and closes it. Returns 0
 * or the error. */
int print_sums(const struct listing *list);

#endif
