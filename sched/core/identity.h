/* SPDX-License-Identifier: MIT */
/*
 * Identities: 64-bit numbers that say who holds a lock. Each identity is given to one task or one
 * thread, and to no other in the life of the process. So a new task at a dead task's address does
 * not inherit the dead task's locks. If the address were the identity, it would.
 *
 *   identity of a task     number << 3
 *   identity of a thread   number << 3 | IDENTITY_THREAD
 *
 * No identity is 0, and the two lowest bits are free for the flags of a lock's word. 61 bits do not
 * run out: at a billion numbers a second they last for 73 years.
 *
 * A task gets its number when somebody asks for it for the first time. Nobody asks for the number
 * of most tasks, so spawning and forking pay nothing. A worker takes numbers from the process in
 * blocks, so workers rarely meet at the shared counter.
 *
 * Any thread that may touch the task may give it its number. So a compare-and-swap sets the number.
 * All accesses are relaxed, because a number publishes nothing.
 */
#ifndef WEFT_CORE_IDENTITY_H
#define WEFT_CORE_IDENTITY_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "task.h"
#include "tls.h"
#include "worker.h"

#define IDENTITY_SHIFT     3
#define IDENTITY_THREAD    ((uint64_t)4)
#define IDENTITY_FREE_BITS ((uint64_t)3)

/* Gives the task an identity, unless another thread is faster. Returns the task's identity. Any
 * thread may call it. */
uint64_t weft__identify(struct task *t);

/* Returns an identity that nobody has. */
uint64_t weft__new_identity(void);

/* Makes an identity for a thread that has none yet. Only weft__thread_identity() calls it. */
uint64_t weft__new_thread_identity(void);

static inline uint64_t task_identity(struct task *t)
{
	uint64_t identity = load_relaxed(&t->identity);

	return likely(identity != 0) ? identity : weft__identify(t);
}

/* Returns the caller's identity: the task's inside a task, or else the thread's. w is
 * weft__worker(). */
static inline uint64_t identity_on(const struct worker *w)
{
	struct task *t = w ? w->task : NULL;

	return likely(t != NULL) ? task_identity(t) : weft__thread_identity();
}

/* Returns the number within an identity. */
static inline uint64_t identity_number(uint64_t identity)
{
	return identity >> IDENTITY_SHIFT;
}

/*
 * Writes the name of the task for a message: its number, and its name or else its function.
 * Examples are `task 4711 "parser"`, `task 4711 parse()` and `task 4711 server+0x1234`. The text is
 * cut off to fit. Do not call it in a signal handler.
 */
#define WEFT__TASK_TEXT 160
void weft__describe_task(struct task *t, char text[WEFT__TASK_TEXT]);

#endif
