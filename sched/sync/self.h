/* SPDX-License-Identifier: MIT */
/*
 * Who calls: what mutexes and the like remember as their holder. A task is itself wherever it runs;
 * elsewhere it is the thread. And the line that is printed for misuse.
 */
#ifndef WEFT_SYNC_SELF_H
#define WEFT_SYNC_SELF_H

#include "sched/core/worker.h"
#include "src/tls.h"

/* An address with this bit: a thread, by its thread-local storage. Without: a task. */
#define SELF_THREAD ((uintptr_t)4)
/* These bits of an identity are 0, for others to use. Nobody's identity is 0. */
#define SELF_FREE_BITS ((uintptr_t)3)

static_assert(alignof(struct task) >= 8, "the low bits of its address are free");
static_assert(alignof(struct weft__thread) >= 8, "the low bits of its address are free");

/* The caller's identity, w being weft__worker(). A thread's is only compared, never followed. */
static inline uintptr_t self_on(const struct worker *w)
{
	const struct task *t = w ? w->task : NULL;

	return t ? (uintptr_t)t : (uintptr_t)weft__thread() | SELF_THREAD;
}

/*
 * Prints "CALL: NOUN OBJECT WHAT (task ADDRESS "NAME")", or "(thread ID)", and aborts.
 */
_Noreturn void weft__sync_misuse(const char *call, const char *noun, const void *object,
				 const char *what) __attribute__((cold));

#endif
