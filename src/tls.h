/* SPDX-License-Identifier: MIT */
/*
 * What a thread knows about itself: the coroutine it runs and its own native stack. This is the
 * only thread-local storage of the coroutine layer; tls.c says why it is reached through one
 * function that nothing may see through.
 */
#ifndef WEFT_SRC_TLS_H
#define WEFT_SRC_TLS_H

#include "never_inline.h"

#include <stdbool.h>
#include <stdint.h>

struct coro;

/* The layout of the Itanium C++ ABI's __cxa_eh_globals: the exceptions that are being handled, and
 * how many are on their way. The C++ runtime has one for each thread. */
struct eh_globals {
	void *caught;
	unsigned uncaught;
};

/*
 * The defence: WEFT__REREAD marks a function that must read thread-local storage anew at each call,
 * however the program is linked, and WEFT__READ_ANEW() stands in its body.
 *
 * noinline: the body's TLS address must not become part of a caller that continues on another
 * thread. noipa (gcc): nor may the optimizer conclude that two calls return the same, which LTO
 * otherwise does for a pure function. The statement gives the body an effect: two calls are never
 * folded into one.
 *
 * WEFT_MUTANT_TLS is for stress/mutants only: the library without its defence, which must be seen
 * to break.
 */
#if defined(WEFT_MUTANT_TLS)
#define WEFT__REREAD
#define WEFT__READ_ANEW() ((void)0)
#define WEFT__TLS_MODEL   __attribute__((tls_model("global-dynamic")))
#else
#define WEFT__REREAD      WEFT__NEVER_INLINE
#define WEFT__READ_ANEW() __asm__ volatile("")
/* The library is not loaded late as a plugin that could not get static TLS: it needs a few hundred
 * bytes. */
#define WEFT__TLS_MODEL   __attribute__((tls_model("initial-exec")))
#endif

/* Only its own thread touches it. */
struct weft__thread {
	struct coro *current; /* what runs here; NULL until weft__coro_thread_init() */
	struct coro *leader;  /* the thread's native stack; NULL likewise */
	/* glibc declares __errno_location() const: asked once per thread, never in a coroutine */
	int *errno_location;
	/* the C++ runtime's exception state of this thread; NULL without that runtime */
	struct eh_globals *eh_globals;
	bool plain; /* neither that, nor is mxcsr compared (fpwords.h) */
	/* coroutines that it keeps (spare.h) */
	struct coro *spares; /* linked by .next */
	uintptr_t spare_kind;
	unsigned spare_room; /* how many more of that kind it would keep */
	unsigned spare_epoch;
	bool spares_end; /* its end will free them */
};

/* The calling thread's. The pointer must not live across a switch: afterwards it is another
 * thread's. */
struct weft__thread *weft__thread(void);

/* Sets every field of `th`, which is weft__thread()'s and has not been set up: the leader becomes
 * current. */
void weft__thread_init(struct weft__thread *th);

#endif
