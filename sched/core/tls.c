/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's only thread-local variable. A task calls into the scheduler on one thread and
 * returns from it on another, so an address that the compiler computed before the call is the wrong
 * thread's afterwards. Compilers take a thread-local's address for a constant of the function.
 * Hence weft__worker() is the one place where it is read: never inlined, cloned or guessed to be
 * pure, with a body that cannot be moved or merged. src/tls.c does the same for the coroutine
 * layer.
 */
#include "tls.h"

#include "src/tls.h"

static _Thread_local struct worker *this_worker WEFT__TLS_MODEL;

WEFT__REREAD struct worker *weft__worker(void)
{
	WEFT__READ_ANEW();
	return this_worker;
}

WEFT__REREAD void weft__worker_set(struct worker *w)
{
	WEFT__READ_ANEW();
	this_worker = w;
}
