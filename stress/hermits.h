/* SPDX-License-Identifier: MIT */
/*
 * Hermits, for the stress of cancellation: a part of the program cancel. A hermit is a plain thread
 * that waits in scopes, nested or not. The deadlines of the scopes cut its waits short, and so does
 * the other hermit.
 */
#ifndef WEFT_STRESS_HERMITS_H
#define WEFT_STRESS_HERMITS_H

#include "scopes.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define HERMITS        2
#define HERMIT_WAIT_NS 60000

/*
 * A hermit offers its scope to the other one, and takes the offer back before it ends the scope. The
 * other one takes an offer out while it cancels that scope, so the scope lives until then:
 *
 *   the hermit                        the other one
 *     begins the scope
 *     offer = the scope                 offer, the scope => TAKEN
 *     waits                             cancels the scope
 *     offer => NULL, not from TAKEN     offer = NULL
 *     ends the scope
 */
#define TAKEN ((weft_scope *)1)

struct hermit {
	pthread_t thread;
	unsigned nth;
	/* release: the scope, or the last look at it. acquire: the other way round. */
	_Atomic(weft_scope *) offer;
};

static struct hermit hermits[HERMITS];
static _Atomic bool hermits_end; /* relaxed */

static inline void cancel_other(struct hermit *other)
{
	weft_scope *scope = atomic_load_explicit(&other->offer, memory_order_relaxed);

	if (!scope || scope == TAKEN ||
	    !atomic_compare_exchange_strong_explicit(&other->offer, &scope, TAKEN,
						     memory_order_acquire, memory_order_relaxed))
		return;
	weft_scope_cancel(scope);
	atomic_store_explicit(&other->offer, NULL, memory_order_release);
}

/* Returns whether the other one has cancelled it. */
static inline bool take_back(struct hermit *hermit, weft_scope *scope)
{
	weft_scope *seen = scope;

	if (atomic_compare_exchange_strong_explicit(&hermit->offer, &seen, NULL,
						    memory_order_relaxed, memory_order_relaxed))
		return false;
	while (atomic_load_explicit(&hermit->offer, memory_order_acquire) == TAKEN)
		sched_yield();
	return true;
}

static inline void be_alone(struct hermit *hermit, struct weft__random *random)
{
	int64_t deadline = stress_one_in(random, 2)
				   ? WEFT_FOREVER
				   : weft_after(weft__random_below(random, HERMIT_WAIT_NS));
	bool nested = stress_one_in(random, 2), masked = stress_one_in(random, 4);
	int64_t until = weft_after(weft__random_below(random, HERMIT_WAIT_NS));
	weft_scope scope, inner;

	weft_scope_begin(&scope, deadline);
	atomic_store_explicit(&hermit->offer, &scope, memory_order_release);
	if (nested)
		weft_scope_begin(&inner, weft_after(HERMIT_WAIT_NS));
	if (masked)
		weft_cancel_mask();
	int rc = weft_sleep_until(until);
	bool in_time = weft_now() < until;
	if (masked)
		weft_cancel_unmask();
	int why_inner = nested ? weft_scope_end(&inner) : 0;
	bool canceled = take_back(hermit, &scope);
	bool known = weft_cancelled();
	int why = weft_scope_end(&scope);

	stress_check(rc == 0 || (rc == -ECANCELED && !masked), "a hermit's sleep: %d", rc);
	stress_check(rc != 0 || !in_time, "a hermit's sleep ended before its deadline");
	stress_check(rc == 0 || why != 0 || why_inner != 0, "a hermit was cancelled by nobody");
	stress_check(why != -ECANCELED || canceled, "a hermit's scope was cancelled by nobody");
	stress_check(why != -ETIMEDOUT || has_passed(deadline),
		     "a hermit's deadline was too early");
	stress_check(!canceled || why != 0, "a hermit's scope does not know of its cancellation");
	stress_check(!known || why != 0, "a scope's end does not know what its thread has learned");
	stress_check(!weft_cancelled(), "a hermit is cancelled outside of its scopes");
}

static inline void *hermit_main(void *arg)
{
	struct hermit *hermit = arg;
	struct weft__random random;

	weft__random_seed(&random, 4711 + hermit->nth);
	while (!atomic_load_explicit(&hermits_end, memory_order_relaxed)) {
		be_alone(hermit, &random);
		cancel_other(&hermits[(hermit->nth + 1) % HERMITS]);
	}
	return NULL;
}

static unsigned hermits_started;

static inline void start_hermits(bool any)
{
	for (; any && hermits_started < HERMITS; hermits_started++) {
		struct hermit *hermit = &hermits[hermits_started];
		hermit->nth = hermits_started;
		if (pthread_create(&hermit->thread, NULL, hermit_main, hermit) != 0)
			break;
	}
	stress_check(!any || hermits_started == HERMITS, "not all hermits could be started");
}

static inline void end_hermits(void)
{
	atomic_store_explicit(&hermits_end, true, memory_order_relaxed);
	while (hermits_started > 0)
		pthread_join(hermits[--hermits_started].thread, NULL);
}

#endif
