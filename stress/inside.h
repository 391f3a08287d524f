/* SPDX-License-Identifier: MIT */
/*
 * The library's beliefs about the place of the call. The code is compiled like the library, so the
 * library's structs have their right layout here. ThreadSanitizer also does not take these reads
 * for the program's.
 */
#ifndef WEFT_STRESS_INSIDE_H
#define WEFT_STRESS_INSIDE_H

#include <weft/runtime.h>
#include <weft/task.h>

#include <stdbool.h>
#include <stdint.h>

struct inside {
	const void *coro;          /* current */
	const char *low, *top;     /* of its stack; NULL for a leader */
	const void *leader;        /* the thread's */
	const void *worker_leader; /* the leader that the worker believes in; the same one */
	const weft_task *task;     /* the worker's */
	int worker;                /* its number */
	const int *errno_location; /* the worker's */
};

/* Looks from inside a task. Does not suspend, and leaves errno alone. */
void inside_look(struct inside *ret);

/* The caller's runtime, or NULL outside of one. */
weft_runtime *inside_runtime(void);

/* For WEFT_CHAOS=SEED,hop: stores in *ret how many tasks of the caller's runtime were not passed to
 * another worker because none came by. Returns false if that cannot be known. In a task. */
bool inside_kept(uint64_t *ret);

/* Prints the counters and the state of each worker's queues and flags to stderr. Any thread. */
void inside_dump(weft_runtime *rt);

#endif
