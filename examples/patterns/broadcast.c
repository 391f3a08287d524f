/* SPDX-License-Identifier: MIT */
/*
 * Publish and subscribe: each message goes to all who listen. In Go: a mutex around a map of
 * channels. Publishing waits for a subscriber whose channel is full (backpressure). One that has
 * enough closes its channel, which is how the hub finds out: its next send there says -EPIPE.
 */
#include "../example.h"

#include <weft/weft.h>

enum { SUBSCRIBERS = 3, MESSAGES = 20, BUFFER = 2 };

struct subscriber {
	weft_chan *inbox;
	int wants; /* how many messages, before it leaves */
	int got;
};

struct hub {
	weft_mutex mutex;
	struct subscriber *listening[SUBSCRIBERS]; /* under mutex; the first `count` */
	int count;
};

/* Held over the sends, which may wait: a weft_mutex allows that. */
static void publish(struct hub *hub, int message)
{
	weft_mutex_lock(&hub->mutex);
	for (int i = 0; i < hub->count;) {
		if (weft_chan_send(hub->listening[i]->inbox, &message) == -EPIPE)
			hub->listening[i] = hub->listening[--hub->count];
		else
			i++;
	}
	weft_mutex_unlock(&hub->mutex);
}

static void *listen_in(void *arg)
{
	struct subscriber *me = arg;
	int message;

	while (me->got < me->wants && weft_chan_recv(me->inbox, &message) == 0) {
		CHECK(message == me->got); /* all of them, in order */
		me->got++;
	}
	weft_chan_close(me->inbox);
	return NULL;
}

static void *run(void *arg)
{
	struct subscriber subscribers[SUBSCRIBERS];
	struct hub hub = {.mutex = WEFT_MUTEX_INIT};
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		struct subscriber *s = hub.listening[hub.count++] = &subscribers[i];
		*s = (struct subscriber){.wants = i == 0 ? 5 : MESSAGES};
		CHECK(weft_chan_create(sizeof(int), BUFFER, &s->inbox) == 0);
		CHECK(weft_group_spawn(&group, listen_in, s) == 0);
	}
	for (int message = 0; message < MESSAGES; message++)
		publish(&hub, message);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		printf("subscriber %d got %d messages\n", i, subscribers[i].got);
		CHECK(subscribers[i].got == subscribers[i].wants);
		weft_chan_destroy(subscribers[i].inbox);
	}
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
