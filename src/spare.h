/* SPDX-License-Identifier: MIT */
/*
 * Spares: coroutines that a thread keeps for its next weft_coro_create().
 *
 * The problem. A generator may live for a hundred nanoseconds. To take its stack from the pool and
 * to give it back costs as much again: two holds of a lock that all threads share, and lines of the
 * pool that other threads write.
 *
 * A thread keeps a few whole coroutines, stack and header, of one kind at a time: the stack size
 * that was asked for, and the guard. They are its own, so that taking and putting needs no atomic
 * operation. When coroutines of another kind are destroyed they replace the old ones, one by one.
 * A spare counts as a used stack to its pool.
 *
 * Giving back. A thread keeps at most SPARE_MAX coroutines and SPARE_BYTES of stack. The rest goes
 * back to the pools at once, and the spares do when the thread ends. weft__spares_drop() gives back
 * the caller's and tells all other threads, by `epoch`, to do so at their next weft_coro_create()
 * or weft_coro_destroy().
 *
 * Under ThreadSanitizer there are none: a fiber that is used again would order the second coroutine
 * after the first (sanitizer.c).
 *
 * Rejected: a cache of each pool for each processor (restartable sequences are not everywhere); one
 * that other threads can empty (an atomic exchange for each take and put: 12 ns of the 30).
 */
#ifndef WEFT_SRC_SPARE_H
#define WEFT_SRC_SPARE_H

#include "coro.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT__SPARES (!WEFT__TSAN)
#define SPARE_MAX    8
#define SPARE_BYTES  ((size_t)768 << 10)

/* What two coroutines have in common that can replace each other. Never 0. */
static inline uintptr_t spare_kind(size_t stack_size, bool guard)
{
	return stack_size << 1 | guard;
}

/* relaxed everywhere: whoever sees a new one late gives back late */
extern _Atomic unsigned weft__spare_epoch __attribute__((visibility("hidden")));

static inline bool spares_are_current(const struct weft__thread *th)
{
	return th->spare_epoch == atomic_load_explicit(&weft__spare_epoch, memory_order_relaxed);
}

/* A spare of that kind, whose header and stack hold what its last life left there; or NULL. */
static inline struct coro *weft__spare_take(struct weft__thread *th, uintptr_t kind)
{
	struct coro *co = th->spares;

	if (!WEFT__SPARES || !co || th->spare_kind != kind ||
	    __builtin_expect(!spares_are_current(th), 0))
		return NULL;
	th->spares = co->next;
	th->spare_room++;
	return co;
}

/* Frees what the thread keeps if it has been told to since. */
void weft__spares_look(struct weft__thread *th);

/* The case that weft__spare_put() leaves. true: it is kept. */
bool weft__spare_put_slow(struct weft__thread *th, struct coro *co, uintptr_t kind);

/* Keeps a coroutine, of which nothing is in use, the tools have been told, and whose stack has that
 * kind. false: it is for the caller to free. */
static inline bool weft__spare_put(struct weft__thread *th, struct coro *co, uintptr_t kind)
{
	if (!WEFT__SPARES)
		return false;
	if (__builtin_expect(
		    th->spare_kind != kind || th->spare_room == 0 || !spares_are_current(th), 0))
		return weft__spare_put_slow(th, co, kind);
	th->spare_room--;
	co->next = th->spares;
	th->spares = co;
	return true;
}

/* Frees the calling thread's spares, and has every other thread free its own at its next call. */
void weft__spares_drop(void);

#endif
