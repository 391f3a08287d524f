/* SPDX-License-Identifier: MIT */
/*
 * The thread-local storage of the coroutine layer, and the one place that reads its address.
 *
 * The hazard. A coroutine calls the switch on thread A and returns from it on thread B. The
 * compiler sees one function, and assumes that a function runs on one thread. So it may compute the
 * address of a thread-local variable once, before the call. It keeps the address in a register or
 * in the frame, and uses it after the call. The coroutine then writes A's `current` from B, while A
 * is running something else.
 *
 * Nothing warns of this. The program works until the day a compiler hoists, an inliner inlines, or
 * the link uses LTO. The same is true of a getter whose result the optimizer takes to be constant
 * (attribute const or pure, declared or deduced).
 *
 * Rejected. `volatile` on the variable orders the access, not the computation of the address. A
 * noinline switch alone is not enough, because the caller's own TLS address is still hoisted over
 * the call. pthread_self() is declared const, and pthread_getspecific() is three times slower.
 *
 * Chosen. The address exists only in weft__thread(). That function is never inlined or analysed
 * (WEFT__REREAD). An empty volatile asm gives it side effects, so two calls are never folded into
 * one. Each call computes the address on the thread that makes the call.
 *
 * The callers follow one rule: use the pointer before a switch or after it, never on both sides.
 * weft__coro_switch() follows the rule too: it uses the pointer only before the switch. In a plain
 * build it ends in a tail jump to the code that changes the stack. So its own frame is gone by
 * then, and cannot keep the pointer until the coroutine continues.
 *
 * The initial-exec model makes the access a load and an addition in the shared library. The model
 * is not part of the defence: builds with the other models must work as well. The test that removes
 * the defence uses global-dynamic. With that model a function call computes the address. Compilers
 * avoid making that call twice, so they keep its result, and the damage shows soon.
 */
#include "tls.h"

#include "coro_header.h"
#include "src/base/compiler.h"
#include "src/base/lockcheck.h"

#include <errno.h>
#include <stddef.h>

struct tls {
	struct weft__thread thread;
	struct coro leader;
};

static __thread WEFT__TLS_MODEL struct tls tls;

#if WEFT__LOCKCHECK
static __thread WEFT__TLS_MODEL struct weft__locks_held locks_held;

WEFT__REREAD static struct weft__locks_held *thread_locks(void)
{
	WEFT__READ_ANEW();
	return &locks_held;
}

__attribute__((constructor)) static void begin_lockcheck(void)
{
	weft__lockcheck_begin(thread_locks);
}
#endif

/* Present only if there is a C++ runtime. It is the exception state of programs, which that runtime
 * keeps per thread. */
extern void *__cxa_get_globals(void) __attribute__((weak));

WEFT__REREAD struct weft__thread *weft__thread(void)
{
	WEFT__READ_ANEW();
	return &tls.thread;
}

/* Also not inlined: errno's address is thread-local too, and a caller of this may switch. */
WEFT__REREAD void weft__thread_init(struct weft__thread *th)
{
	struct tls *own = container_of(th, struct tls, thread);

	th->errno_location = &errno;
	th->eh_globals = __cxa_get_globals ? __cxa_get_globals() : NULL;
	th->plain = !th->eh_globals && !weft__fpwords_compare;
	th->leader = &own->leader;
	th->current = th->leader;
}
