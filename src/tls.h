/* SPDX-License-Identifier: MIT */
/*
 * A thread's record of itself: the coroutine that it runs, and its own native stack. The coroutine
 * layer has no other thread-local storage. One opaque function gives access to it, and tls.c says
 * why.
 */
#ifndef WEFT_SRC_TLS_H
#define WEFT_SRC_TLS_H

#include "src/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct coro;

/* The layout of __cxa_eh_globals in the Itanium C++ ABI: the exceptions that are being handled, and
 * the number in flight. The C++ runtime has one for each thread. */
struct eh_globals {
	void *caught;
	unsigned uncaught;
};

/*
 * The defence. WEFT__REREAD marks a function that must read thread-local storage anew at each call,
 * however the program is linked. WEFT__READ_ANEW() stands in its body.
 *
 *   noinline      The body's TLS address must not become part of a caller that continues on another
 *                 thread.
 *   noipa (gcc)   The optimizer must not conclude that two calls return the same. LTO otherwise
 *                 does so for a pure function.
 *   the asm       gives the body an effect, so two calls are never folded into one.
 *
 * WEFT_MUTANT_TLS is only for stress/mutants. It builds the library without its defence, and the
 * test must see that library break.
 */
#if defined(WEFT_MUTANT_TLS)
#define WEFT__REREAD
#define WEFT__READ_ANEW() ((void)0)
#define WEFT__TLS_MODEL   __attribute__((tls_model("global-dynamic")))
#else
#define WEFT__REREAD      WEFT__NEVER_INLINE
#define WEFT__READ_ANEW() __asm__ volatile("")
/* The library needs a few hundred bytes of static TLS. It is not loaded late, as a plugin that
 * could not get them. */
#define WEFT__TLS_MODEL   __attribute__((tls_model("initial-exec")))
#endif

/* Only its own thread touches it. */
struct weft__thread {
	struct coro *current; /* the running coroutine; NULL until weft__coro_thread_init() */
	struct coro *leader;  /* the thread's native stack; NULL likewise */
	/* glibc declares __errno_location() const, so we call it once per thread and never in a
	 * coroutine. */
	int *errno_location;
	/* The C++ runtime's exception state of this thread, or NULL without that runtime. */
	struct eh_globals *eh_globals;
	bool plain; /* no eh_globals, and mxcsr is not compared (fpwords.h) */
	/* The coroutines that the thread keeps (spare.h). */
	struct coro *spares; /* linked by .next */
	uintptr_t spare_kind;
	unsigned spare_room; /* how many more of that kind it would keep */
	unsigned spare_epoch;
	bool spares_end; /* the end of the thread will free the spares */
};

/* Returns the calling thread's record. The pointer must not live across a switch, because
 * afterwards it belongs to another thread. */
struct weft__thread *weft__thread(void);

/* Sets every field of `th`, which is weft__thread()'s result and not set up yet. The leader becomes
 * the current coroutine. */
void weft__thread_init(struct weft__thread *th);

#endif
