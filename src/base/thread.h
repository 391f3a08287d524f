/* SPDX-License-Identifier: MIT */
/*
 * Threads that Weft starts, and the traits that they inherit.
 *
 * A new thread inherits five traits from the thread that starts it: the CPU mask, the signal mask,
 * the scheduling class, the nice value, and the floating-point control words. That starting thread
 * is a worker in the middle of a task. It may be bound to one CPU (WEFT_PIN=cores), and the task
 * may have changed the other traits. So a runtime records the first four traits of its creator.
 * Each of its threads takes them over when it starts, and begins with the default floating-point
 * control words.
 *
 * A thread sets only the traits that differ. A filter may forbid the calls that set, and the common
 * case, in which nothing has changed, must not need them. A trait that the system refuses to set
 * stays as it is.
 */
#ifndef WEFT_SRC_BASE_THREAD_H
#define WEFT_SRC_BASE_THREAD_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>

struct weft__thread_traits {
	bool has_cpus; /* false: the kernel has more CPUs than the mask holds, or refused */
	cpu_set_t cpus;
	sigset_t signals;
	int policy; /* -1: refused */
	struct sched_param param;
	int nice;
};

/* Takes the traits that a thread would inherit if the calling thread started it now. */
void weft__thread_traits_take(struct weft__thread_traits *ret);

/* Gives the calling thread these traits and the default floating-point control words. A thread that
 * weft__thread_start() has started calls this first. All its signals are blocked until then. errno
 * may change. */
void weft__thread_traits_apply(const struct weft__thread_traits *traits);

/* Binds the calling thread to the nth CPU of the traits' mask. nth wraps around. */
void weft__thread_bind(const struct weft__thread_traits *traits, unsigned nth);

/* Like pthread_create(), but with all signals blocked. Returns 0 or a negative errno. */
int weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg);

#endif
