/* SPDX-License-Identifier: MIT */
#include "depot.h"

#include <weft/base.h>

/* Every depot of the process. */
static struct weft__lock all_lock = WEFT__LOCK_INIT;
static struct depot *all; /* under all_lock */

static void free_chain(struct coro *co)
{
	while (co) {
		struct coro *next = co->next;

		weft__coro_free(co);
		co = next;
	}
}

/* relaxed, here and below: a hint, the lock decides. Who sleeps reads it after a heavy fence
 * (park.c). */
static void set_due_locked(struct depot *d, int64_t due)
{
	atomic_store_explicit(&d->due, due, memory_order_relaxed);
}

static struct coro *pop_locked(struct depot *d)
{
	struct coro *chain = d->chains;

	if (!chain)
		return NULL;
	d->chains = chain->chain;
	__builtin_prefetch(d->chains, 1); /* a cold page, for who takes it next */
	d->count--;
	if (d->low > d->count)
		d->low = d->count;
	if (d->surplus > d->count)
		d->surplus = d->count;
	return chain;
}

/* Frees all that is in d. */
static void empty(struct depot *d)
{
	struct coro *chains;

	weft__lock(&d->lock);
	chains = d->chains;
	d->chains = NULL;
	d->count = d->begun = d->low = d->surplus = 0;
	weft__unlock(&d->lock);
	while (chains) {
		struct coro *chain = chains;

		chains = chain->chain;
		free_chain(chain);
	}
}

void weft__depots_empty(void)
{
	weft__lock(&all_lock);
	for (struct depot *d = all; d; d = d->next)
		empty(d);
	weft__unlock(&all_lock);
}

void weft__depot_init(struct depot *d)
{
	*d = (struct depot){.lock = WEFT__LOCK_INIT};
	atomic_init(&d->due, WEFT_FOREVER);
	weft__lock(&all_lock);
	d->next = all;
	all = d;
	weft__unlock(&all_lock);
}

void weft__depot_fini(struct depot *d)
{
	struct depot **link = &all;

	weft__lock(&all_lock);
	while (*link != d)
		link = &(*link)->next;
	*link = d->next;
	weft__unlock(&all_lock);
	empty(d);
}

bool weft__depot_put(struct depot *d, struct coro *chain)
{
	weft__lock(&d->lock);
	chain->chain = d->chains;
	d->chains = chain;
	d->count++;
	bool begins = atomic_load_explicit(&d->due, memory_order_relaxed) == WEFT_FOREVER;
	if (begins)
		set_due_locked(d, 0);
	weft__unlock(&d->lock);
	return begins;
}

struct coro *weft__depot_take(struct depot *d)
{
	if (atomic_load_explicit(&d->due, memory_order_relaxed) == WEFT_FOREVER)
		return NULL;
	weft__lock(&d->lock);
	struct coro *chain = pop_locked(d);
	weft__unlock(&d->lock);
	return chain;
}

static void end_window_locked(struct depot *d)
{
	size_t little = d->begun / 16;
	bool steady = d->count <= d->begun + little && d->count + little >= d->begun;

	d->surplus = steady ? d->low : 0;
	d->begun = d->low = d->count;
}

bool weft__depot_tend(struct depot *d, int64_t now)
{
	struct coro *chain = NULL;

	if (atomic_load_explicit(&d->due, memory_order_relaxed) > now || !weft__trylock(&d->lock))
		return false;
	if (atomic_load_explicit(&d->due, memory_order_relaxed) <= now) {
		if (d->surplus == 0)
			end_window_locked(d);
		if (d->surplus > 0) {
			d->surplus--;
			chain = pop_locked(d);
		}
		/* The deadline has passed, and stays so, while there is surplus. */
		if (d->surplus == 0)
			set_due_locked(d, d->count > 0 ? now + DEPOT_WINDOW_NS : WEFT_FOREVER);
	}
	bool more = d->surplus > 0;
	weft__unlock(&d->lock);
	free_chain(chain);
	return more;
}
