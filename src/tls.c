/* SPDX-License-Identifier: MIT */
/*
 * The thread-local storage of the coroutine layer, and the one place where its address is read.
 *
 * The hazard. A coroutine calls the switch on thread A and returns from it on thread B. To the
 * compiler that is one function, and a function runs on one thread: it may compute the address of a
 * thread-local variable once, before the call, keep it in a register or in the frame, and use it
 * after the call. The coroutine then writes A's `current` from B, while A is running something
 * else. Nothing warns of it, and the program works until the day a compiler hoists, an inliner
 * inlines, or the link is done with LTO. The same holds for a getter whose result the optimizer
 * takes to be the same each time (attribute const or pure, declared or deduced).
 *
 * Rejected. `volatile` on the variable: it orders the access, not the computation of the address. A
 * noinline switch alone: the caller's own TLS address is hoisted over the call all the same. Asking
 * pthread_self() or pthread_getspecific(): declared const, or three times slower.
 *
 * Chosen. The address exists in weft__thread() only. That function is never inlined or analysed
 * (WEFT__REREAD), and an empty volatile asm makes it one with side effects, so that two calls are
 * never folded into one. Its callers live by one rule: the pointer is used before a switch or after
 * it, never on both sides. The switch itself keeps it by ending in a tail jump: when its caller
 * continues there is no frame that could remember the pointer.
 *
 * The initial-exec model makes this a load and an addition in the shared library. The model is not
 * part of the defence: builds with the other models must work as well, and the test that removes
 * the defence uses global-dynamic, where the hoisted address is a call's result and the damage is
 * seen most easily.
 */
#include "tls.h"

#include "coro.h"

#include <errno.h>
#include <stddef.h>

struct tls {
	struct weft__thread thread;
	struct coro leader;
};

static __thread WEFT__TLS_MODEL struct tls tls;

/* Present only where a C++ runtime is: <unwind> programs' exception state, per thread in its
 * eyes. */
extern void *__cxa_get_globals(void) __attribute__((weak));

WEFT__REREAD struct weft__thread *weft__thread(void)
{
	WEFT__READ_ANEW();
	return &tls.thread;
}

/* Not inlined either: errno's address is one of these, and whoever calls this may switch. */
WEFT__REREAD void weft__thread_init(struct weft__thread *th)
{
	struct tls *own = (struct tls *)((char *)th - offsetof(struct tls, thread));

	th->errno_location = &errno;
	th->eh_globals = __cxa_get_globals ? __cxa_get_globals() : NULL;
	th->plain = !th->eh_globals && !weft__fpwords_compare;
	th->leader = &own->leader;
	th->current = th->leader;
}
