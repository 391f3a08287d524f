/* SPDX-License-Identifier: MIT */
/*
 * One channel with many senders and receivers, tasks and plain threads. They wait, try, give up at
 * deadlines and are cancelled. The channel is closed in the middle of this. Each box that a send
 * has accepted is received exactly once, in its sender's order. A call that gives up loses and
 * takes nothing.
 */
#include "chan_box.h"

#include <errno.h>
#include <string.h>

#define DIRECTORS 4
#define STEPS_MAX 60

struct scene {
	weft_chan *ch;
	bool canceled; /* there is a canceller */
	uint64_t stream;
};

struct role {
	const struct scene *scene;
	unsigned nth;
	struct ledger ledger;
};

/* Whether an actor continues after a call that did not succeed. */
static bool goes_on(const struct role *role, int rc, int64_t deadline, const char *call)
{
	switch (rc) {
	case -EAGAIN:
		weft_yield();
		return true;
	case -ETIMEDOUT:
		stress_check(deadline != WEFT_FOREVER && weft_now() >= deadline,
			     "%s timed out before its deadline", call);
		return true;
	case -ECANCELED:
		stress_check(role->scene->canceled && weft_cancelled(),
			     "%s was cancelled by nobody", call);
		return false;
	case -EPIPE:
		return false;
	default:
		stress_fail("%s: %s", call, strerror(-rc));
		return false;
	}
}

static void *sender(void *arg)
{
	struct role *role = arg;
	weft_chan *ch = role->scene->ch;
	struct weft__random random;

	weft__random_seed(&random, role->scene->stream + role->nth);
	for (unsigned steps = weft__random_below(&random, STEPS_MAX); steps > 0; steps--) {
		struct parcel parcel = pack(&role->ledger, role->nth);
		int64_t deadline = chan_deadline(&random);
		int rc;
		switch (weft__random_below(&random, 3)) {
		case 0:
			rc = weft_chan_send(ch, &parcel);
			deadline = WEFT_FOREVER;
			break;
		case 1:
			rc = weft_chan_try_send(ch, &parcel);
			break;
		default:
			rc = weft_chan_send_until(ch, &parcel, deadline);
			break;
		}
		if (rc == 0) {
			note_sent(&role->ledger, &parcel);
			continue;
		}
		free(parcel.box);
		if (!goes_on(role, rc, deadline, "a send"))
			break;
	}
	return NULL;
}

static void *receiver(void *arg)
{
	struct role *role = arg;
	weft_chan *ch = role->scene->ch;
	struct weft__random random;

	weft__random_seed(&random, role->scene->stream + role->nth);
	for (;;) {
		struct parcel parcel = {0};
		int64_t deadline = chan_deadline(&random);
		int rc;
		switch (weft__random_below(&random, 3)) {
		case 0:
			rc = weft_chan_recv(ch, &parcel);
			deadline = WEFT_FOREVER;
			break;
		case 1:
			rc = weft_chan_try_recv(ch, &parcel);
			break;
		default:
			rc = weft_chan_recv_until(ch, &parcel, deadline);
			break;
		}
		if (rc == 0) {
			unpack(&role->ledger, &parcel, true);
			continue;
		}
		stress_check(!parcel.box, "a receive that gave up has taken something");
		if (!goes_on(role, rc, deadline, "a receive"))
			break;
	}
	return NULL;
}

static void play(struct weft__random *random)
{
	static const size_t capacities[] = {0, 0, 1, 2, 7, 64};
	struct scene scene = {.canceled = stress_one_in(random, 2),
			      .stream = weft__random_next(random)};
	struct role roles[ACTORS_MAX + 1];
	struct actor actors[ACTORS_MAX];
	unsigned senders = 1 + weft__random_below(random, ACTORS_MAX / 2);
	unsigned all = senders + 1 + weft__random_below(random, ACTORS_MAX / 2 - 1);
	bool threads = !stress_alone() && stress_one_in(random, 8),
	     early = stress_one_in(random, 3);
	unsigned started = 0;

	int rc = weft_chan_create(sizeof(struct parcel), capacities[weft__random_below(random, 6)],
				  &scene.ch);
	stress_check(rc == 0, "weft_chan_create: %s", strerror(-rc));
	if (rc < 0)
		return;
	memset(roles, 0, sizeof roles);
	while (started < all) {
		struct role *role = &roles[started];
		*role = (struct role){.scene = &scene, .nth = started};
		if (!actor_start(&actors[started], threads && stress_one_in(random, 3),
				 started < senders ? sender : receiver, role))
			break;
		started++;
	}
	for (unsigned n = weft__random_below(random, all); scene.canceled && n > 0; n--) {
		unsigned victim = weft__random_below(random, all);
		if (stress_one_in(random, 2))
			weft_yield();
		if (victim < started && actors[victim].task)
			weft_cancel(actors[victim].task);
	}
	/* All receivers may be cancelled. Only a close then lets the senders go. */
	if (early || scene.canceled || started < all) {
		weft_sleep(weft__random_below(random, 100000));
		weft_chan_close(scene.ch);
	}
	for (unsigned i = 0; i < started && i < senders; i++)
		actor_end(&actors[i]);
	weft_chan_close(scene.ch);
	for (unsigned i = senders; i < started; i++)
		actor_end(&actors[i]);

	/* Takes what cancelled receivers have left. */
	struct parcel parcel;
	while ((rc = weft_chan_recv(scene.ch, &parcel)) == 0)
		unpack(&roles[ACTORS_MAX].ledger, &parcel, true);
	stress_check(rc == -EPIPE, "a receive from a closed channel: %s", strerror(-rc));
	struct ledger ledgers[ACTORS_MAX + 1];
	for (unsigned i = 0; i <= ACTORS_MAX; i++)
		ledgers[i] = roles[i].ledger;
	balance(ledgers, ACTORS_MAX + 1);
	weft_chan_destroy(scene.ch);
	stress_did(1);
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv,
		     "Senders and receivers on one channel, and whoever cancels and closes.");
	stress_direct(DIRECTORS, play);
	return stress_end();
}
