/* SPDX-License-Identifier: MIT */
/* Events from outside (events.h). */
#include "events.h"

#include "rouse.h"
#include "runtime.h"
#include "src/base/clock.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "timekeeper.h"

#include <errno.h>

#define LOOK_NS    ((int64_t)50000)
#define ABSENCE_NS ((int64_t)1000000)

void weft__events_init(struct events *events)
{
	atomic_init(&events->source, NULL);
	atomic_init(&events->lookout, NULL);
	atomic_init(&events->waiting, 0);
	atomic_init(&events->looked_at, 0);
}

bool weft__events_attach(struct weft_runtime *rt, struct event_source *source)
{
	struct event_source *none = NULL;

	/* release: the source, for the acquire in events_source(). */
	return cas_release(&rt->events.source, &none, source);
}

/* What a source does stays on this thread: it is no task, and does not wait as one. */
static WEFT__STAYS bool wait_for_events(struct event_source *source, int64_t until)
{
	return source->wait(source, until);
}

static WEFT__STAYS void deliver_events(struct event_source *source)
{
	source->deliver(source);
}

static WEFT__STAYS bool look_for_events(struct event_source *source)
{
	return source->look(source);
}

static WEFT__STAYS void interrupt_wait(struct event_source *source)
{
	source->interrupt(source);
}

static void note_look(struct events *events)
{
	/* relaxed: a hint. */
	store_relaxed(&events->looked_at, weft__clock_now());
}

void weft__events_be_missed(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	if (!weft__events_unseen(rt))
		return;
	weft__timekeeper_engage(w, weft__clock_now() + ABSENCE_NS);
	/* Without a timekeeper another worker becomes the lookout at once. relaxed: the caller has
	 * fenced. */
	if (!timekeeper_is_there(&rt->timekeeper) && SLEEPERS(load_relaxed(&rt->idle)) > 0)
		weft__wake_searcher(rt);
}

/* Ceases to be the lookout. Later ones and the timekeeper see what wait() has left in the source. */
static void cease(struct worker *w)
{
	struct events *events = &w->rt->events;

	note_look(events);
	/* release: the source, for the next lookout's acquire. */
	store_release(&events->lookout, NULL);
	/* store-load race with the timekeeper: lookout, then until */
	weft__fence_full();
	weft__events_be_missed(w);
}

int weft__events_sleep(struct worker *w, int64_t until, bool *ret_found)
{
	struct events *events = &w->rt->events;
	struct event_source *source = events_source(events);
	struct worker *nobody = NULL;

	*ret_found = false;
	/* acquire: what the last lookout left in the source. */
	if (!source || !cas_acquire(&events->lookout, &nobody, w))
		return weft__futex_wait(&w->sleep.state, ASLEEP, until);
	/* store-load race with weft__events_interrupt(): lookout, then the state */
	weft__fence_full();
	if (load_relaxed(&w->sleep.state) == ASLEEP)
		*ret_found = wait_for_events(source, until);
	if (*ret_found)
		return 0;
	cease(w);
	return until != WEFT_FOREVER && weft__clock_now() >= until ? -ETIMEDOUT : 0;
}

void weft__events_deliver(struct worker *w)
{
	struct event_source *source = events_source(&w->rt->events);

	deliver_events(source);
	cease(w);
}

void weft__events_interrupt(struct worker *w)
{
	struct events *events = &w->rt->events;
	struct event_source *source = events_source(events);

	if (!source)
		return;
	/* store-load race with weft__events_sleep(): the state, then lookout */
	weft__fence_full();
	if (load_relaxed(&events->lookout) == w)
		interrupt_wait(source);
}

bool weft__events_unseen(struct weft_runtime *rt)
{
	/* relaxed, both: hints. */
	return load_relaxed(&rt->events.waiting) > 0 && !load_relaxed(&rt->events.lookout);
}

bool weft__events_look(struct worker *w)
{
	struct events *events = &w->rt->events;
	struct event_source *source;

	/* A lookout gets the events by itself. */
	if (!weft__events_unseen(w->rt) || !(source = events_source(events)))
		return false;
	note_look(events);
	return look_for_events(source);
}

void weft__events_look_now_and_then(struct worker *w)
{
	struct events *events = &w->rt->events;

	/* relaxed: a hint. */
	if (weft__events_unseen(w->rt) &&
	    weft__clock_now() - load_relaxed(&events->looked_at) >= LOOK_NS)
		weft__events_look(w);
}

void weft__events_wait_begins(struct worker *w)
{
	/* seq_cst: store-load race with the timekeeper: waiting, then until */
	fetch_add_seq_cst(&w->rt->events.waiting, 1);
	weft__fence_light();
	weft__events_be_missed(w);
}

void weft__events_wait_ends(struct weft_runtime *rt)
{
	/* relaxed: a count too large costs a look. */
	fetch_sub_relaxed(&rt->events.waiting, 1);
}

int64_t weft__events_due(struct weft_runtime *rt, bool *ret_absent)
{
	struct events *events = &rt->events;
	int64_t now = weft__clock_now();

	*ret_absent = false;
	if (!weft__events_unseen(rt))
		return WEFT_FOREVER;
	/* relaxed: a hint. */
	*ret_absent = now - load_relaxed(&events->looked_at) >= ABSENCE_NS;
	return now + ABSENCE_NS;
}
