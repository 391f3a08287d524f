/* SPDX-License-Identifier: MIT */
/* Names the task that has overflowed its stack (overflow.c). */
#ifndef WEFT_CORE_OVERFLOW_H
#define WEFT_CORE_OVERFLOW_H

/* The first installs the handler of SIGSEGV, the second removes it. The caller's lock makes these
 * calls take turns. */
void weft__overflow_install(void);
void weft__overflow_uninstall(void);

/*
 * Gives the calling thread an alternative signal stack, unless it has one: the handler cannot run
 * on the stack that is full. Returns the argument for weft__overflow_thread_end() on the same
 * thread. If there is no memory the thread goes without, and an overflow is an ordinary SIGSEGV.
 */
void *weft__overflow_thread_begin(void);
void weft__overflow_thread_end(void *stack);

#endif
