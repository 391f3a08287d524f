/* SPDX-License-Identifier: MIT */
/*
 * What the library believes about the place where it is asked. Compiled as the library is, so that
 * its structs have their right layout here and ThreadSanitizer does not take these looks for the
 * program's.
 */
#ifndef WEFT_STRESS_INSIDE_H
#define WEFT_STRESS_INSIDE_H

#include <weft/runtime.h>
#include <weft/task.h>

#include <stdbool.h>
#include <stdint.h>

struct inside {
	const void *coro;          /* current */
	const char *low, *top;     /* its stack; NULL for a leader */
	const void *leader;        /* the thread's */
	const void *worker_leader; /* what the worker takes for it: the same one */
	const weft_task *task;     /* the worker's */
	int worker;                /* its number */
	const int *errno_location; /* the worker's */
};

/* In a task. Does not suspend and leaves errno alone. */
void inside_look(struct inside *ret);

/* The caller's runtime; NULL outside of one. */
weft_runtime *inside_runtime(void);

/* Into *ret, under WEFT_CHAOS=SEED,hop: how many tasks of the caller's runtime were not passed on to
 * another worker, since none came by. false: that cannot be known. In a task. */
bool inside_kept(uint64_t *ret);

/* Prints the counters, and what each worker's queues and flags look like, to stderr. Any thread. */
void inside_dump(weft_runtime *rt);

#endif
