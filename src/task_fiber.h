/* SPDX-License-Identifier: MIT */
/*
 * The fiber of a task, in ThreadSanitizer's user build (sanitizer.h). One coroutine runs many
 * tasks, one after the other and within each other. Each task has a fiber of its own above the base
 * fiber of the coroutine, so the tool takes them for strangers. In other builds these calls are
 * empty.
 */
#ifndef WEFT_SRC_TASK_FIBER_H
#define WEFT_SRC_TASK_FIBER_H

#include <stddef.h>

#ifdef WEFT_TSAN_USER
void *weft__san_task_begin(void);
void weft__san_task_end(void *previous);
#endif

/*
 * A task starts on the current stack. From here on the accesses are the task's. The accesses that
 * earlier tasks made to the part of the stack below the caller's frame are forgotten. Returns the
 * argument for san_task_end().
 *
 * The task has no edge from anywhere: the caller makes one with san_acquire(). The task may hop,
 * and its fiber moves with the stack.
 */
static inline void *san_task_begin(void)
{
#ifdef WEFT_TSAN_USER
	return weft__san_task_begin();
#else
	return NULL;
#endif
}

static inline void san_task_end(void *previous)
{
#ifdef WEFT_TSAN_USER
	weft__san_task_end(previous);
#else
	(void)previous;
#endif
}

#endif
