/* SPDX-License-Identifier: MIT */
/*
 * Makes calls of the system fail. preload.c takes the place of the C library's functions in a
 * program (LD_PRELOAD). It lets the n-th call of one kind fail that Weft makes (faults.c). held.c
 * records what Weft holds. Two variables say what fails:
 *
 *   FAULTS_NTH=KIND:FIRST:COUNT:HOW   the calls FIRST to FIRST + COUNT - 1 that libweft.so makes
 *                                     while armed. HOW is the name of an error. `stray`: a futex
 *                                     wait returns 0 at once. `short`: of several areas only the
 *                                     first is dealt with.
 *   FAULTS_ALWAYS=KIND=HOW,...        every call of the kind, also those of others, from the
 *                                     program's start. For madvise: MADV_GUARD_INSTALL only, as in kernels
 *                                     before 6.13.
 *
 * The program calls the functions that this header declares. They exist if the library is
 * preloaded.
 */
#ifndef WEFT_TESTS_FAULTS_FAULTS_H
#define WEFT_TESTS_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum faults_kind {
	FAULTS_MALLOC, /* and calloc, realloc, aligned_alloc, posix_memalign, strdup, asprintf */
	FAULTS_MMAP,
	FAULTS_MADVISE,
	FAULTS_MPROTECT,
	FAULTS_PROCESS_MADVISE,
	FAULTS_THREAD, /* pthread_create */
	FAULTS_MEMBARRIER,
	FAULTS_FUTEX, /* waits only: a wake cannot fail */
	FAULTS_OPEN,
	FAULTS_READ,
	FAULTS_FOPEN,
	FAULTS_GETLINE,
	FAULTS_KINDS,
};

/* What is held: acquired by a call out of libweft.so, and not given back by anyone. */
enum held_kind {
	HELD_BLOCK,   /* memory */
	HELD_MAPPING, /* address space */
	HELD_THREAD,  /* neither joined nor detached */
	HELD_KINDS,
};

struct faults_counts {
	uint64_t calls[FAULTS_KINDS];  /* of libweft.so's while armed */
	uint64_t failed;               /* of these, by FAULTS_NTH */
	uint64_t denied[FAULTS_KINDS]; /* of anybody's, by FAULTS_ALWAYS */
	uint64_t expedited; /* membarriers of anybody's that succeeded and were more than a query */
	uint64_t odd;       /* unmappings of something else than what was mapped */
};

#define FAULTS_EXPORT __attribute__((visibility("default")))
#define FAULTS_WEAK   __attribute__((weak, visibility("default")))

extern const char *const faults_names[FAULTS_KINDS] FAULTS_WEAK;
void faults_arm(void) FAULTS_WEAK;
void faults_disarm(void) FAULTS_WEAK;
void faults_read_counts(struct faults_counts *ret) FAULTS_WEAK;

/* Lets every mmap() of libweft.so fail. */
void faults_refuse_mappings(bool refuse) FAULTS_WEAK;

/* The sizes of at most max of the things held, in rising order. Returns how many there are. */
size_t faults_read_held(enum held_kind kind, size_t *sizes, size_t max) FAULTS_WEAK;

/* faults.c, for preload.c. */

/* How a call fails: an errno value, or one of these. */
enum how { HOW_NOT = 0, HOW_STRAY = -1, HOW_SHORT = -2 };

bool faults_is_wefts(const void *caller);
bool faults_keeps_books(void);            /* libweft.so is there */
int faults_denied(enum faults_kind kind); /* how it always fails, or HOW_NOT */
int faults_due(enum faults_kind kind,
	       bool wefts); /* counts a call; how this one fails, or HOW_NOT */
bool faults_mappings_refused(void);
void faults_count_expedited(void);
void faults_count_odd(void);

/* held.c, for preload.c. */

void held_add(enum held_kind kind, uintptr_t key, size_t size);
size_t held_remove(enum held_kind kind, uintptr_t key); /* the size; 0: it was not there */

#endif
