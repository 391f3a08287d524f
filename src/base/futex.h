/* SPDX-License-Identifier: MIT */
/*
 * The only place where a thread sleeps. It is a seam: no code above it calls the kernel to wait.
 */
#ifndef WEFT_SRC_BASE_FUTEX_H
#define WEFT_SRC_BASE_FUTEX_H

#include "lockcheck.h"

#include <stdatomic.h>
#include <stdint.h>

/*
 * Sleeps while *word is expected, until it is woken or the deadline passes. The deadline is an
 * absolute time on CLOCK_MONOTONIC in nanoseconds. WEFT_FOREVER means no deadline. With 0 or less
 * the call does not sleep.
 *
 * The kernel compares and goes to sleep in one step. So a wake that follows a change of *word is
 * not lost. A wake may be stray, so the caller looks at *word again. The caller's ordering comes
 * from that load, not from this call. Signals do not end the sleep. errno is unchanged.
 *
 * @word  the memory must stay mapped for the call.
 *
 * Returns 0 if woken, perhaps for nothing. Returns -EAGAIN if *word had another value, and
 * -ETIMEDOUT if the deadline has passed.
 */
int weft__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline);

/*
 * Wakes at most n of the threads that sleep on word. Only the address is used. If the word is
 * already gone, or is something else by now, its sleepers see a stray wake. errno is unchanged.
 */
void weft__futex_wake(_Atomic uint32_t *word, int n);

/* For the check of what is done under a lock (lockcheck.h). */
#define weft__futex_wait(word, expected, deadline) \
	(WEFT__SLEEPS(), (weft__futex_wait)(word, expected, deadline))
#define weft__futex_wake(word, n) (WEFT__WAKES(), (weft__futex_wake)(word, n))

#endif
