/* SPDX-License-Identifier: MIT */
/*
 * Threads that Weft starts, and what they inherit. A new thread has the CPU mask, the signal mask,
 * the scheduling class, the nice value and the floating-point control words of the thread that
 * happens to start it. That is a worker, in the midst of a task: it may be bound to one CPU
 * (WEFT_PIN=cores), and the task may have changed the rest. So a runtime remembers what its creator
 * had, and each of its threads takes that over when it starts.
 *
 * Only what differs is set: a filter may forbid the calls that set, and then the common case, in
 * which nobody has changed anything, must not meet it. What is refused stays as it is.
 */
#ifndef WEFT_SCHED_OS_THREAD_H
#define WEFT_SCHED_OS_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>

struct weft__thread_traits {
	bool has_cpus; /* else the kernel has more CPUs than the mask holds, or refused */
	cpu_set_t cpus;
	sigset_t signals;
	int policy; /* -1: refused */
	struct sched_param param;
	int nice;
};

/* What a thread has that the calling thread starts now. */
void weft__thread_traits_take(struct weft__thread_traits *ret);

/* Gives the calling thread these traits and default floating-point control words. To be called
 * first by what weft__thread_start() starts, which blocks all signals until then. errno may
 * change. */
void weft__thread_traits_apply(const struct weft__thread_traits *traits);

/* Binds the calling thread to the nth CPU of the traits' mask, counted around. */
void weft__thread_bind(const struct weft__thread_traits *traits, unsigned nth);

/* As pthread_create(), but with all signals blocked. Returns 0 or a negative errno. */
int weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);

#endif
