/* SPDX-License-Identifier: MIT */
#include "depot.h"

#include "coro.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/process_locks.h"
#include "src/stack/stack_trim.h"

#include <weft/base.h>

/* Nothing is surplus once a larger part than one in DEMAND has been taken and not put back. */
#define DEMAND 256

/* The number of chains freed at a visit: one, and one more for each STEP_PART of surplus. */
#define STEP_MAX  8
#define STEP_PART 64

/* Every depot of the process. */
static struct weft__list all = WEFT__LIST_INIT(all); /* under WEFT__LOCK_DEPOTS */

static struct depot *depot_of_link(struct weft__link *link)
{
	return link ? container_of(link, struct depot, link) : NULL;
}

static struct depot *first_depot(void)
{
	return depot_of_link(weft__list_first(&all));
}

static struct depot *next_depot(struct depot *d)
{
	return depot_of_link(weft__list_next(&all, &d->link));
}

/* Frees chains, one coroutine of each in turn. Every header is a cold page. It is fetched while the
 * other chains are freed. */
static void free_chains(struct coro *chains[], size_t count)
{
	while (count > 0) {
		for (size_t i = 0; i < count;) {
			struct coro *co = chains[i];

			chains[i] = co->next;
			if (chains[i]) {
				__builtin_prefetch(&chains[i]->next, 1);
				__builtin_prefetch(&chains[i]->stack);
				i++;
			} else {
				chains[i] = chains[--count];
			}
			weft__coro_free_lazily(co);
		}
	}
}

/* relaxed, here and below: a hint, and the lock decides. A thread about to sleep reads it after a
 * heavy fence (idle.c). */
static void set_due_locked(struct depot *d, int64_t due)
{
	store_relaxed(&d->due, due);
}

/* Under the lock, or without it as a hint. */
static bool is_noted(struct depot *d)
{
	return load_relaxed(&d->noted);
}

static struct coro *pop_locked(struct depot *d)
{
	struct coro *chain = d->chains;

	if (!chain)
		return NULL;
	d->chains = chain->chain;
	__builtin_prefetch(d->chains, 1); /* a cold page, for the next taker */
	d->count--;
	if (d->low > d->count)
		d->low = d->count;
	if (d->surplus > d->count)
		d->surplus = d->count;
	return chain;
}

void weft__depot_empty(struct depot *d)
{
	struct coro *chains;

	weft__lock(&d->lock);
	chains = d->chains;
	d->chains = NULL;
	d->count = d->begun = d->low = d->surplus = d->taken = 0;
	weft__unlock(&d->lock);
	while (chains) {
		struct coro *chain = chains;

		chains = chain->chain;
		free_chains(&chain, 1);
	}
}

void weft__depots_empty(void)
{
	weft__lock_process(WEFT__LOCK_DEPOTS);
	for (struct depot *d = first_depot(); d; d = next_depot(d))
		weft__depot_empty(d);
	weft__unlock_process(WEFT__LOCK_DEPOTS);
}

void weft__depots_each(void (*fn)(struct depot *d))
{
	weft__lock_process(WEFT__LOCK_DEPOTS);
	for (struct depot *d = first_depot(); d; d = next_depot(d))
		fn(d);
	weft__unlock_process(WEFT__LOCK_DEPOTS);
}

/* Around a fork(), under WEFT__LOCK_DEPOTS (process_locks.h). */
static void lock_each(void)
{
	for (struct depot *d = first_depot(); d; d = next_depot(d))
		weft__lock(&d->lock);
}

static void unlock_each(bool in_child)
{
	(void)in_child;
	for (struct depot *d = first_depot(); d; d = next_depot(d))
		weft__unlock(&d->lock);
}

void weft__depot_init(struct depot *d)
{
	static struct stack_cache cache = {.empty = weft__depots_empty};

	weft__stack_cache_add(&cache);
	*d = (struct depot){.lock = WEFT__LOCK_INIT(DEPOT)};
	atomic_init(&d->due, WEFT_FOREVER);
	atomic_init(&d->tender, NULL);
	weft__lock_process(WEFT__LOCK_DEPOTS);
	weft__process_lock_covers(WEFT__LOCK_DEPOTS, lock_each, unlock_each);
	weft__list_push_first(&all, &d->link);
	weft__unlock_process(WEFT__LOCK_DEPOTS);
}

void weft__depot_fini(struct depot *d)
{
	weft__lock_process(WEFT__LOCK_DEPOTS);
	weft__list_remove(&d->link);
	bool last = weft__list_is_empty(&all);
	weft__unlock_process(WEFT__LOCK_DEPOTS);
	weft__depot_empty(d);
	if (last)
		weft__stack_discard_all();
	while (weft__stack_discard_some())
		;
}

bool weft__depot_note(struct depot *d)
{
	bool begins = false;

	/* relaxed: a hint. If a note exists already, another adds nothing. */
	if (is_noted(d))
		return false;
	weft__lock(&d->lock);
	if (!is_noted(d)) {
		store_relaxed(&d->noted, true);
		begins = load_relaxed(&d->due) == WEFT_FOREVER;
		if (begins)
			set_due_locked(d, 0);
	}
	weft__unlock(&d->lock);
	return begins;
}

bool weft__depot_put(struct depot *d, struct coro *chain)
{
	weft__lock(&d->lock);
	if (d->taken > 0)
		d->taken--;
	chain->chain = d->chains;
	d->chains = chain;
	d->count++;
	bool begins = load_relaxed(&d->due) == WEFT_FOREVER;
	if (begins)
		set_due_locked(d, 0);
	weft__unlock(&d->lock);
	return begins;
}

struct coro *weft__depot_take(struct depot *d)
{
	if (load_relaxed(&d->due) == WEFT_FOREVER)
		return NULL;
	weft__lock(&d->lock);
	struct coro *chain = pop_locked(d);
	if (chain)
		d->taken++;
	weft__unlock(&d->lock);
	return chain;
}

static void end_window_locked(struct depot *d)
{
	size_t little = d->begun / 16;
	bool steady = d->count <= d->begun + little && d->count + little >= d->begun;

	d->surplus = steady ? d->low : 0;
	d->begun = d->low = d->count;
	d->taken = 0;
	/* A whole window has passed since an aged note. Its stacks have been used again, or are not
	 * needed. */
	d->discards = d->surplus > 0 || d->note_aged;
	d->note_aged = is_noted(d);
	store_relaxed(&d->noted, false);
}

/* Returns whether the next burst may have begun. Its stacks must not be freed before it and made
 * anew for it. */
static bool demand_locked(const struct depot *d)
{
	return d->taken > d->count / DEMAND;
}

/* relaxed, all: hints, and the lock decides. */
static bool is_due(struct depot *d, int64_t now, const void *who)
{
	return load_relaxed(&d->due) <= now || load_relaxed(&d->tender) == who;
}

/* Ends the tender's work. The depot is next due after a window, if it has something. */
static void rest_locked(struct depot *d, int64_t now)
{
	store_relaxed(&d->tender, NULL);
	bool something = d->count > 0 || is_noted(d) || d->note_aged;
	set_due_locked(d, something ? now + DEPOT_WINDOW_NS : WEFT_FOREVER);
}

/* Runs after the last surplus chain: gives back a part of the remaining memory. Returns whether
 * there is more. */
static bool discard_some(struct depot *d, int64_t now, const void *who)
{
	if (weft__stack_discard_some())
		return true;
	weft__lock(&d->lock);
	if (load_relaxed(&d->tender) == who) {
		d->discards = false;
		rest_locked(d, now);
	}
	weft__unlock(&d->lock);
	return false;
}

bool weft__depot_tend(struct depot *d, int64_t now, const void *who)
{
	struct coro *chains[STEP_MAX];
	size_t count = 0;
	bool discards = false, more = false;

	if (!is_due(d, now, who) || !weft__trylock(&d->lock))
		return false;
	if (is_due(d, now, who)) {
		if (d->surplus == 0 && !d->discards)
			end_window_locked(d);
		if (demand_locked(d))
			d->surplus = 0;
		for (size_t step = 1 + d->surplus / STEP_PART;
		     d->surplus > 0 && count < step && count < STEP_MAX; count++) {
			d->surplus--;
			chains[count] = pop_locked(d);
		}
		more = d->surplus > 0;
		discards = d->discards;
		if (discards) {
			store_relaxed(&d->tender, who);
			set_due_locked(d, now + DEPOT_WINDOW_NS);
		} else {
			rest_locked(d, now);
		}
	}
	weft__unlock(&d->lock);
	free_chains(chains, count);
	return more || (discards && discard_some(d, now, who));
}
