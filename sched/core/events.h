/* SPDX-License-Identifier: MIT */
/*
 * Events from outside: how workers wait for the descriptors that tasks wait for (sched/io).
 *
 * The problem. A worker that sleeps waits for its futex, and a descriptor does not wake a futex. A
 * thread of its own for descriptors would cost each event a second wake-up.
 *
 * The design. One sleeping worker at a time, the *lookout*, waits for events in place of its futex.
 * The others sleep on their futexes.
 *
 *   a sleeper becomes the lookout         a waker of that sleeper (rouse.c)
 *     lookout = w, if there is none         state = ROUSED_...
 *     full fence                            full fence
 *     load state: not ASLEEP: do not wait   load lookout: it is w: interrupt the source
 *     wait for events
 *     lookout = NULL
 *
 * Store-load race: the sleeper sees the state, or the waker sees the lookout. An interrupt lasts until
 * the lookout has seen it, so it is not lost if it comes before the wait. No other worker becomes
 * the lookout before this one has ceased to be it, so none can use the interrupt up.
 *
 * A lookout that has events leaves the list of sleepers before it delivers them. So it is a searcher
 * when it wakes tasks, and wakes no other worker for them. It runs the first of the tasks itself.
 * Nobody is woken to replace it, since it is usually back within microseconds.
 *
 * There is no lookout:
 *  (a) Workers that search look for events before they steal.
 *  (b) Workers that pick look at the leader's picks, at most once per LOOK_NS.
 *  (c) A worker may compute for long without a pick, while others sleep. So the timekeeper looks
 *      once per ABSENCE_NS, while tasks wait and there is no lookout. If no worker has looked for
 *      that long, it wakes one or sets DUE.
 *
 *   ceasing to be the lookout, or waiting   the timekeeper, at that time
 *   for an event without one                  until = WEFT_FOREVER
 *     lookout = NULL, or waiting + 1          heavy fence
 *     full fence                              load waiting, lookout
 *     load until: later: engage               waiting and no lookout: look, lower until
 *
 * Store-load race: at least one side sees the other's store, as for deadlines (timekeeper.c).
 *
 * In virtual time there is one worker. It looks before it lets the time jump. While no deadline is
 * armed it waits for events in real time.
 */
#ifndef WEFT_CORE_EVENTS_H
#define WEFT_CORE_EVENTS_H

#include "src/base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

struct weft_runtime;
struct worker;

/* Something that makes events. One for a runtime. */
struct event_source {
	/* Waits for events until that time; 0: does not wait. For the lookout. Returns
	 * whether there are any: then deliver() must follow. */
	bool (*wait)(struct event_source *source, int64_t until);
	/* Wakes the tasks that wait for the events that wait() has found. */
	void (*deliver)(struct event_source *source);
	/* Looks without waiting, and delivers. For any worker. Returns whether there were any. */
	bool (*look)(struct event_source *source);
	/* Ends the lookout's wait, or its next one. Any thread. */
	void (*interrupt)(struct event_source *source);
};

struct events {
	_Atomic(struct event_source *) source; /* set once; NULL: there is none so far */
	_Atomic(struct worker *) lookout;      /* the sleeper that waits for events */
	_Atomic uint32_t waiting;              /* tasks that wait for events */
	_Atomic int64_t looked_at;             /* when anybody looked last; a hint */
};

void weft__events_init(struct events *events);

/* Makes it the runtime's source. Returns false if there is one already. */
bool weft__events_attach(struct weft_runtime *rt, struct event_source *source);

/* Whether there is a source. */
static inline struct event_source *events_source(struct events *events)
{
	/* acquire: the source, released by weft__events_attach(). */
	return load_acquire(&events->source);
}

/* Sleeps until w is woken or that time, or until events come if w becomes the lookout. Returns
 * -ETIMEDOUT, or 0. *ret_found: events were found, and weft__events_deliver() must follow. */
int weft__events_sleep(struct worker *w, int64_t until, bool *ret_found);

void weft__events_deliver(struct worker *w);

/* Wakes w if it is the lookout. Called after w->sleep.state was set. */
void weft__events_interrupt(struct worker *w);

/* Looks for events, by a leader that has nothing to run, or is about to sleep. Returns whether
 * there were any. */
bool weft__events_look(struct worker *w);

/* Whether tasks wait for events, and there is no lookout. */
bool weft__events_unseen(struct weft_runtime *rt);

/* The same by a leader that has work, if nobody has looked for a while. */
void weft__events_look_now_and_then(struct worker *w);

/* Has the timekeeper look after a while, if tasks wait and there is no lookout. After a
 * full fence. */
void weft__events_be_missed(struct worker *w);

/* Called by w's task, before and after it waits for an event. */
void weft__events_wait_begins(struct worker *w);
void weft__events_wait_ends(struct weft_runtime *rt);

/* When the timekeeper must look again, after it has looked: WEFT_FOREVER if there is a lookout or no
 * task waits. *ret_absent: nobody has looked for long. After the heavy fence. */
int64_t weft__events_due(struct weft_runtime *rt, bool *ret_absent);

#endif
