/* SPDX-License-Identifier: MIT */
/*
 * Boxes: what the stress programs of channels send. A sender gives its box away with the content.
 * The receiver reads the content without any order except the channel's, and frees the box. So
 * errors show:
 *
 *   a lost box                 leaks
 *   a box received twice       is freed twice
 *   a box that is too early    is a data race
 *
 * The counts show the same without a sanitizer.
 */
#ifndef WEFT_STRESS_CHAN_BOX_H
#define WEFT_STRESS_CHAN_BOX_H

#include "stress.h"

#include <pthread.h>
#include <stdlib.h>

#define ACTORS_MAX 12

struct box {
	uint64_t sender, nth, check;
};

/* The element of the channel. It is larger than a register. */
struct parcel {
	struct box *box;
	uint64_t sender, nth;
};

/* The record of one actor's sends and receives. It belongs to the actor while that runs. */
struct ledger {
	uint64_t sent, sent_sum;
	uint64_t received, received_sum;
	uint64_t last[ACTORS_MAX]; /* the number of the last one received, plus one, by sender */
};

static inline uint64_t box_hash(uint64_t sender, uint64_t nth)
{
	struct weft__random random;

	weft__random_seed(&random, sender << 48 ^ nth);
	return weft__random_next(&random);
}

/* Makes the next parcel of a sender. */
static inline struct parcel pack(const struct ledger *ledger, uint64_t sender)
{
	struct box *box = malloc(sizeof *box);

	if (!box)
		abort();
	*box = (struct box){sender, ledger->sent, box_hash(sender, ledger->sent)};
	return (struct parcel){box, sender, ledger->sent};
}

static inline void note_sent(struct ledger *ledger, const struct parcel *parcel)
{
	ledger->sent_sum += box_hash(parcel->sender, parcel->nth);
	ledger->sent++;
	stress_did(1);
}

/* in_order: each receiver gets one sender's parcels in that sender's order. */
static inline void unpack(struct ledger *ledger, const struct parcel *parcel, bool in_order)
{
	struct box *box = parcel->box;

	stress_check(
		parcel->sender < ACTORS_MAX && box->sender == parcel->sender &&
			box->nth == parcel->nth && box->check == box_hash(box->sender, box->nth),
		"a box of sender %llu is not what was sent", (unsigned long long)parcel->sender);
	if (in_order && parcel->sender < ACTORS_MAX) {
		stress_check(parcel->nth >= ledger->last[parcel->sender],
			     "number %llu of sender %llu came after number %llu",
			     (unsigned long long)parcel->nth, (unsigned long long)parcel->sender,
			     (unsigned long long)ledger->last[parcel->sender] - 1);
		ledger->last[parcel->sender] = parcel->nth + 1;
	}
	ledger->received_sum += box->check;
	ledger->received++;
	box->check = 0;
	free(box);
}

/* Checks that everything sent was received. */
static inline void balance(const struct ledger *ledgers, unsigned n)
{
	struct ledger all = {0};

	for (unsigned i = 0; i < n; i++) {
		all.sent += ledgers[i].sent;
		all.sent_sum += ledgers[i].sent_sum;
		all.received += ledgers[i].received;
		all.received_sum += ledgers[i].received_sum;
	}
	stress_check(all.sent == all.received && all.sent_sum == all.received_sum,
		     "%llu sent, %llu received", (unsigned long long)all.sent,
		     (unsigned long long)all.received);
}

/* An actor: a task, or a plain thread. */
struct actor {
	weft_task *task; /* NULL for a thread */
	pthread_t thread;
};

/* Returns false if the actor could not be started. */
static inline bool actor_start(struct actor *actor, bool on_a_thread, weft_fn *fn, void *arg)
{
	actor->task = NULL;
	return (on_a_thread ? pthread_create(&actor->thread, NULL, fn, arg)
			    : weft_spawn(fn, arg, &actor->task)) == 0;
}

/* Does not keep the worker from tasks that the thread may wait for. */
static inline void actor_end(struct actor *actor)
{
	if (actor->task) {
		weft_cancel_mask();
		int rc = weft_join(actor->task, NULL);
		stress_check(rc == 0, "weft_join: %d", rc);
		weft_cancel_unmask();
		return;
	}
	while (pthread_tryjoin_np(actor->thread, NULL) != 0)
		weft_yield();
}

/* A deadline that will soon pass, has passed, or never comes. */
static inline int64_t chan_deadline(struct weft__random *random)
{
	switch (weft__random_below(random, 4)) {
	case 0:
		return WEFT_FOREVER;
	case 1:
		return 1;
	default:
		return weft_after(weft__random_below(random, 30000));
	}
}

#endif
