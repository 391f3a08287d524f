/* SPDX-License-Identifier: MIT */
/*
 * Selects that face each other. Peers share a few channels. Each peer sends and receives in selects
 * of random cases: several on one channel, both operations on one channel, NULL, more cases than
 * fit into a frame. Beside the selects there are plain sends and receives, deadlines, cancels, and
 * timers that every peer resets and stops. The channels are closed one after the other in the
 * middle of this.
 *
 * Each box is received exactly once. Without a buffer, the receiver is never the sender. No select
 * leaves anything behind.
 */
#include "chan_box.h"

#include <errno.h>
#include <string.h>

#define DIRECTORS 4
#define CHANS_MAX 5
#define CASES_MAX 24
#define TIMERS    2
#define STEPS_MAX 80

struct scene {
	weft_chan *chans[CHANS_MAX];
	weft_timer *timers;
	unsigned chan_count;
	bool buffered, canceled;
	uint64_t stream;
};

struct peer {
	const struct scene *scene;
	unsigned nth;
	struct ledger ledger;
};

/* The state of one step of a peer. */
struct step {
	struct weft_case cases[CASES_MAX];
	struct parcel in[CASES_MAX];
	uint64_t ticks[CASES_MAX];
	struct parcel out;
	bool dead[CHANS_MAX]; /* it has seen that this channel is closed and empty */
	bool sends;           /* it still has something to send */
};

static unsigned fill_in(const struct scene *scene, struct weft__random *random, struct step *step)
{
	unsigned n = stress_one_in(random, 8) ? CASES_MAX : 1 + weft__random_below(random, 6);

	for (unsigned i = 0; i < n; i++) {
		unsigned k = weft__random_below(random, scene->chan_count);
		struct weft_case *c = &step->cases[i];
		step->in[i] = (struct parcel){0};
		c->op = step->sends && stress_one_in(random, 2) ? WEFT_SEND : WEFT_RECV;
		c->chan = step->dead[k] || stress_one_in(random, 16) ? NULL : scene->chans[k];
		c->elem = c->op == WEFT_SEND ? &step->out : &step->in[i];
		c->ret_status = 77;
		if (stress_one_in(random, 8)) {
			c->op = WEFT_TIMER;
			c->timer = &scene->timers[weft__random_below(random, TIMERS)];
			c->elem = &step->ticks[i];
			step->ticks[i] = 0;
		}
	}
	return n;
}

static void set_timer(const struct scene *scene, struct weft__random *random)
{
	weft_timer *timer = &scene->timers[weft__random_below(random, TIMERS)];
	int64_t expiry = weft_after(weft__random_below(random, 100000));

	if (stress_one_in(random, 8))
		weft_timer_stop(timer);
	else
		weft_timer_reset(timer, expiry, weft__random_below(random, 2) * 30000);
}

static void note_dead(const struct scene *scene, struct step *step, const weft_chan *ch)
{
	for (unsigned k = 0; k < scene->chan_count; k++)
		step->dead[k] = step->dead[k] || scene->chans[k] == ch;
}

static bool all_dead(const struct scene *scene, const struct step *step)
{
	for (unsigned k = 0; k < scene->chan_count; k++) {
		if (!step->dead[k])
			return false;
	}
	return true;
}

/* Returns false after a cancel or an error. */
static bool select_once(struct peer *peer, struct weft__random *random, struct step *step)
{
	unsigned n = fill_in(peer->scene, random, step);
	int64_t deadline = weft_after(weft__random_below(random, 50000));
	bool served = false;

	for (unsigned k = 0; k < n; k++)
		served = served || (step->cases[k].op != WEFT_TIMER && step->cases[k].chan);
	if (stress_one_in(random, 4))
		deadline = 0;
	else if (served && stress_one_in(random, 2))
		deadline = WEFT_FOREVER; /* if no peer comes, the channels are closed in the end */
	int i = weft_select(step->cases, n, deadline);
	for (unsigned k = 0; k < n; k++) {
		stress_check((int)k == i || step->cases[k].ret_status == 77,
			     "a case that was not taken has a status");
		stress_check((int)k == i || !step->in[k].box, "two cases have received");
	}
	if (i == -ECANCELED) {
		stress_check(peer->scene->canceled && weft_cancelled(), "cancelled by nobody");
		return false;
	}
	if (i == -ETIMEDOUT)
		return true;
	stress_check(i >= 0 && i < (int)n, "weft_select: %d", i);
	if (i < 0 || i >= (int)n)
		return false;
	struct weft_case *c = &step->cases[i];
	if (c->ret_status == -EPIPE) {
		note_dead(peer->scene, step, c->chan);
		return true;
	}
	stress_check(c->ret_status == 0, "a case's status is %d", c->ret_status);
	if (c->op == WEFT_TIMER) {
		stress_check(step->ticks[i] > 0, "a timer that has not expired");
		return true;
	}
	if (c->op == WEFT_SEND) {
		note_sent(&peer->ledger, &step->out);
		step->out = pack(&peer->ledger, peer->nth);
	} else {
		stress_check(peer->scene->buffered || step->in[i].sender != peer->nth,
			     "a peer has met itself");
		/* Over several channels, one sender's boxes may overtake each other. */
		unpack(&peer->ledger, &step->in[i], false);
	}
	return true;
}

/* Makes a plain call beside the selects. */
static bool act_plainly(struct peer *peer, struct weft__random *random, struct step *step)
{
	weft_chan *ch = peer->scene->chans[weft__random_below(random, peer->scene->chan_count)];
	int64_t deadline = stress_one_in(random, 2) ? WEFT_FOREVER
						    : weft_after(weft__random_below(random, 50000));
	struct parcel parcel;
	int rc;

	if (step->sends && stress_one_in(random, 2)) {
		rc = weft_chan_send_until(ch, &step->out, deadline);
		if (rc == 0) {
			note_sent(&peer->ledger, &step->out);
			step->out = pack(&peer->ledger, peer->nth);
		}
	} else {
		rc = weft_chan_recv_until(ch, &parcel, deadline);
		if (rc == 0)
			unpack(&peer->ledger, &parcel, false);
	}
	stress_check(rc == 0 || rc == -EPIPE || rc == -ETIMEDOUT ||
			     (rc == -ECANCELED && weft_cancelled()),
		     "a plain call: %d", rc);
	return rc != -ECANCELED;
}

static void *peer_main(void *arg)
{
	struct peer *peer = arg;
	struct weft__random random;
	struct step step = {.sends = true};

	weft__random_seed(&random, peer->scene->stream + peer->nth);
	unsigned steps = weft__random_below(&random, STEPS_MAX);
	step.out = pack(&peer->ledger, peer->nth);
	for (unsigned i = 0; !all_dead(peer->scene, &step); i++) {
		step.sends = i < steps;
		if (stress_one_in(&random, 4))
			set_timer(peer->scene, &random);
		if (!(stress_one_in(&random, 4) ? act_plainly : select_once)(peer, &random, &step))
			break;
	}
	free(step.out.box);
	return NULL;
}

static void drain(const struct scene *scene, struct ledger *ledger)
{
	struct parcel parcel;

	for (unsigned k = 0; k < scene->chan_count; k++) {
		while (weft_chan_recv(scene->chans[k], &parcel) == 0)
			unpack(ledger, &parcel, false);
		weft_chan_destroy(scene->chans[k]); /* aborts if a select has left a node behind */
	}
	for (unsigned k = 0; k < TIMERS; k++)
		weft_timer_fini(&scene->timers[k]);
}

static void play(struct weft__random *random)
{
	struct scene scene = {.chan_count = 1 + weft__random_below(random, CHANS_MAX),
			      .buffered = stress_one_in(random, 2),
			      .canceled = stress_one_in(random, 2),
			      .stream = weft__random_next(random)};
	weft_timer timers[TIMERS];
	struct peer peers[ACTORS_MAX];
	struct actor actors[ACTORS_MAX];
	struct ledger ledgers[ACTORS_MAX + 1] = {{0}};
	unsigned all = 2 + weft__random_below(random, ACTORS_MAX - 2), started = 0;
	bool threads = !stress_alone() && stress_one_in(random, 8);

	scene.timers = timers;
	for (unsigned k = 0; k < TIMERS; k++)
		weft_timer_init(&timers[k]);
	for (unsigned k = 0; k < scene.chan_count; k++) {
		int rc = weft_chan_create(sizeof(struct parcel),
					  scene.buffered ? weft__random_below(random, 3) : 0,
					  &scene.chans[k]);
		stress_check(rc == 0, "weft_chan_create: %s", strerror(-rc));
		if (rc < 0)
			return;
	}
	while (started < all) {
		struct peer *peer = &peers[started];
		*peer = (struct peer){.scene = &scene, .nth = started};
		if (!actor_start(&actors[started], threads && stress_one_in(random, 3), peer_main,
				 peer))
			break;
		started++;
	}
	weft_sleep(weft__random_below(random, 300000));
	for (unsigned n = weft__random_below(random, all); scene.canceled && n > 0; n--) {
		unsigned victim = weft__random_below(random, all);
		if (victim < started && actors[victim].task)
			weft_cancel(actors[victim].task);
	}
	for (unsigned k = 0; k < scene.chan_count; k++) {
		if (stress_one_in(random, 2))
			weft_sleep(weft__random_below(random, 50000));
		weft_chan_close(scene.chans[k]);
	}
	for (unsigned i = 0; i < started; i++) {
		actor_end(&actors[i]);
		ledgers[i] = peers[i].ledger;
	}
	drain(&scene, &ledgers[ACTORS_MAX]);
	balance(ledgers, ACTORS_MAX + 1);
	stress_did(1);
}

int main(int argc, char **argv)
{
	stress_begin(
		argc, argv,
		"Selects that face each other on a few channels, with whoever cancels and closes.");
	stress_direct(DIRECTORS, play);
	return stress_end();
}
