/* SPDX-License-Identifier: MIT */
/*
 * Spares: coroutines that a thread keeps for its next weft_coro_create().
 *
 * The problem. A generator may live for a hundred nanoseconds. Taking its stack from the pool and
 * giving it back costs as much again. Both take a lock that all threads share, and touch lines of
 * the pool that other threads write.
 *
 * The design. A thread keeps a few whole coroutines, stack and header, of one kind at a time. The
 * kind is the stack size that was asked for, and the guard. Spares belong to their thread, so
 * taking and putting them needs no atomic operation. When coroutines of another kind are destroyed,
 * they replace the old spares one by one. A spare counts as a used stack in its pool.
 *
 * Giving back. A thread keeps at most SPARE_MAX coroutines and SPARE_BYTES of stack. The rest goes
 * back to the pools at once. The spares go back when the thread ends. weft__spares_drop() gives
 * back the caller's spares. It also tells all other threads, through `epoch`, to do the same at
 * their next weft_coro_create() or weft_coro_destroy().
 *
 * There are no spares under ThreadSanitizer. A fiber that is used again would order the second
 * coroutine after the first (sanitizer.c).
 *
 * Rejected: a cache for each pool and processor, because restartable sequences do not exist
 * everywhere. Rejected: a cache that other threads can empty. It needs an atomic exchange for each
 * take and put, which is 12 ns of the 30.
 */
#ifndef WEFT_SRC_SPARE_H
#define WEFT_SRC_SPARE_H

#include "coro_header.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT__SPARES (!WEFT__TSAN)
#define SPARE_MAX    8
#define SPARE_BYTES  ((size_t)768 << 10)

/* The kind of a coroutine. Two coroutines of one kind can replace each other. Never 0. */
static inline uintptr_t spare_kind(size_t stack_size, bool guard)
{
	return stack_size << 1 | guard;
}

/* Relaxed everywhere. A thread that sees a new epoch late gives its spares back late. */
extern _Atomic unsigned weft__spare_epoch __attribute__((visibility("hidden")));

static inline bool spares_are_current(const struct weft__thread *th)
{
	return th->spare_epoch == load_relaxed(&weft__spare_epoch);
}

/* Returns a spare of that kind, or NULL. Its header and stack still hold the content of its last
 * life. */
static inline struct coro *weft__spare_take(struct weft__thread *th, uintptr_t kind)
{
	struct coro *co = th->spares;

	if (!WEFT__SPARES || !co || th->spare_kind != kind || unlikely(!spares_are_current(th)))
		return NULL;
	th->spares = co->next;
	th->spare_room++;
	return co;
}

/* Frees the thread's spares if weft__spares_drop() has asked for it since the last look. */
void weft__spares_look(struct weft__thread *th);

/* The slow path of weft__spare_put(). Returns true if it keeps the coroutine. */
bool weft__spare_put_slow(struct weft__thread *th, struct coro *co, uintptr_t kind);

/* Keeps a coroutine whose stack has that kind. No part of the coroutine may be in use, and the
 * sanitizers must have been told. Returns false if the caller must free it. */
static inline bool weft__spare_put(struct weft__thread *th, struct coro *co, uintptr_t kind)
{
	if (!WEFT__SPARES)
		return false;
	if (unlikely(th->spare_kind != kind || th->spare_room == 0 || !spares_are_current(th)))
		return weft__spare_put_slow(th, co, kind);
	th->spare_room--;
	co->next = th->spares;
	th->spares = co;
	return true;
}

/* Frees the calling thread's spares, and makes every other thread free its own at its next call. */
void weft__spares_drop(void);

#endif
