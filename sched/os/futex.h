/* SPDX-License-Identifier: MIT */
/*
 * The only place where a thread sleeps. A seam: nothing above it calls the kernel to wait.
 */
#ifndef WEFT_SCHED_OS_FUTEX_H
#define WEFT_SCHED_OS_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * Sleeps while *word is expected, until woken or until the deadline (absolute, CLOCK_MONOTONIC,
 * nanoseconds; WEFT_FOREVER, or 0 and less: not at all). The kernel compares and goes to sleep in
 * one step, so a wake that follows a change of *word is not lost. Wakes may be stray: the caller
 * looks at *word again and has every ordering from that load, none from this call. Signals do not
 * end the sleep. errno is unchanged.
 *
 * @word  the memory must stay mapped for the call.
 *
 * 0: woken, perhaps for nothing; -EAGAIN: *word was something else; -ETIMEDOUT: the deadline has
 * passed.
 */
int weft__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline);

/*
 * Wakes at most n of the threads that sleep on word. Only the address is used: the word may already
 * be gone or be something else, its sleepers then see a stray wake. errno is unchanged.
 */
void weft__futex_wake(_Atomic uint32_t *word, int n);

#endif
