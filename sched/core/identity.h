/* SPDX-License-Identifier: MIT */
/*
 * Identities: 64-bit numbers that say who owns a lock. An identity is given to one task or one
 * thread, and never again in the life of the process. So a new task at a dead task's address does
 * not inherit what the dead one held, as it would if the address were the identity.
 *
 *   identity of a task     number << 3
 *   identity of a thread   number << 3 | IDENTITY_THREAD
 *
 * Nobody's identity is 0, and the two lowest bits are free for the flags of a lock's word. 61 bits
 * do not run out: at a billion numbers a second they last for 73 years.
 *
 * A task gets its number when somebody asks for it for the first time, which most tasks never live
 * to see; spawning and forking pay nothing. A worker takes numbers from the process in blocks, so
 * that workers do not meet at one counter.
 *
 * Who gives it: any thread that may touch the task, hence a compare-and-swap. All is relaxed,
 * because a number publishes nothing.
 */
#ifndef WEFT_CORE_IDENTITY_H
#define WEFT_CORE_IDENTITY_H

#include "task.h"
#include "tls.h"
#include "worker.h"

#define IDENTITY_SHIFT     3
#define IDENTITY_THREAD    ((uint64_t)4)
#define IDENTITY_FREE_BITS ((uint64_t)3)

/* Gives the task an identity, unless somebody else is faster. Returns the identity it has then. Any
 * thread. */
uint64_t weft__identify(struct task *t);

/* An identity that nobody has. */
uint64_t weft__new_identity(void);

/* The calling thread's. Not to be called by a task for itself. */
uint64_t weft__thread_identity(void);

static inline uint64_t task_identity(struct task *t)
{
	uint64_t identity = atomic_load_explicit(&t->identity, memory_order_relaxed);

	return __builtin_expect(identity != 0, 1) ? identity : weft__identify(t);
}

/* The caller's, w being weft__worker(): the task's wherever it runs, elsewhere the thread's. */
static inline uint64_t identity_on(const struct worker *w)
{
	struct task *t = w ? w->task : NULL;

	return __builtin_expect(t != NULL, 1) ? task_identity(t) : weft__thread_identity();
}

/* The number within an identity. */
static inline uint64_t identity_number(uint64_t identity)
{
	return identity >> IDENTITY_SHIFT;
}

/*
 * Writes who the task is, for a message: its number and its name, or its function where it has no
 * name: `task 4711 "parser"`, `task 4711 parse()`, `task 4711 server+0x1234`. Cuts it off to fit.
 * Not in a signal handler.
 */
#define WEFT__TASK_TEXT 160
void weft__describe_task(struct task *t, char text[WEFT__TASK_TEXT]);

#endif
