/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's thread-local variables.
 *
 * The problem. A task may call into the scheduler on one thread and return from it on another.
 * After the return, an address that the compiler computed before the call belongs to the wrong
 * thread. Compilers treat the address of a thread-local variable as a constant of the function.
 *
 * So thread-local variables are read in this file only. The functions that read them are never
 * inlined, cloned or guessed to be pure, and their bodies cannot be moved or merged. They are
 * weft__worker() and a few more. src/tls.c does the same for the coroutine layer.
 *
 * weft_fork() and weft_fork_join() are very short. A call of weft__worker(), with the registers
 * that must be kept over it, would be a tenth of their cost. So they read the variable themselves,
 * and go on elsewhere in a tail call: they do nothing after a switch. If the thread's worker is
 * plain, they leave out what few machines and programs need.
 */
#include "tls.h"

#include "fork.h"
#include "identity.h"
#include "src/base/compiler.h"

#include "src/tls.h"

#include <weft/fork.h>

static _Thread_local struct worker *this_worker WEFT__TLS_MODEL;
/* This_worker if it is plain, else NULL. */
static _Thread_local struct worker *plain_worker WEFT__TLS_MODEL;
static _Thread_local uint64_t this_identity WEFT__TLS_MODEL; /* 0: nobody has asked for it */

WEFT__REREAD struct worker *weft__worker(void)
{
	WEFT__READ_ANEW();
	return this_worker;
}

WEFT__REREAD void weft__worker_set(struct worker *w, bool plain)
{
	WEFT__READ_ANEW();
	this_worker = w;
	plain_worker = plain ? w : NULL;
}

WEFT__REREAD uint64_t weft__thread_identity(void)
{
	WEFT__READ_ANEW();
	if (this_identity == 0)
		this_identity = weft__new_thread_identity();
	return this_identity;
}

/* The runtime for which the thread runs a blocking call. Such a thread is not a worker or, inside
 * that call, is worker 0 of another runtime. */
static _Thread_local struct weft_runtime *blocking_for WEFT__TLS_MODEL;

WEFT__REREAD struct weft_runtime *weft__blocking_for(void)
{
	WEFT__READ_ANEW();
	return blocking_for;
}

WEFT__REREAD void weft__set_blocking_for(struct weft_runtime *rt)
{
	WEFT__READ_ANEW();
	blocking_for = rt;
}

static _Thread_local struct thread_scopes this_scopes WEFT__TLS_MODEL;

WEFT__REREAD struct thread_scopes *weft__thread_scopes(void)
{
	WEFT__READ_ANEW();
	return &this_scopes;
}

WEFT__MAY_HOP WEFT__REREAD void weft_fork(weft_forked *storage, weft_fn *fn, void *arg)
{
	WEFT__READ_ANEW();
	struct worker *w = plain_worker;
	if (likely(w != NULL))
		weft__fork_plainly(storage, fn, arg, w);
	else
		weft__fork(storage, fn, arg, this_worker);
}

WEFT__MAY_HOP WEFT__REREAD void *weft_fork_join(weft_forked *storage)
{
	WEFT__READ_ANEW();
	struct worker *w = plain_worker;
	if (likely(w != NULL))
		return weft__fork_join_plainly(storage, w);
	return weft__fork_join(storage, this_worker);
}
