/* SPDX-License-Identifier: MIT */
/* Says which task has overflowed its stack, when one has: see overflow.c. */
#ifndef WEFT_CORE_OVERFLOW_H
#define WEFT_CORE_OVERFLOW_H

#include "task.h"

/* Installs the handler of SIGSEGV; takes it away again. The caller's lock makes these take
 * turns. */
void weft__overflow_watch(void);
void weft__overflow_unwatch(void);

/*
 * Gives the calling thread an alternative signal stack, unless it has one: the handler cannot run
 * on the stack that is full. Returns what weft__overflow_thread_end() wants, on the same thread.
 * Where there is no memory the thread goes without, and an overflow is an ordinary SIGSEGV.
 */
void *weft__overflow_thread_begin(void);
void weft__overflow_thread_end(void *stack);

/* What the program wants the task to run. In runtime.c, whose tasks begin with a function of its
 * own. */
weft_fn *weft__task_function(const struct task *t);

#endif
