/* SPDX-License-Identifier: MIT */
/*
 * Sends each message to all subscribers. Each of them has a channel of its own. If a subscriber's
 * channel is full, publishing waits (backpressure; broadcast.c does not wait). A subscriber that
 * has enough closes its channel, and the next send to it returns -EPIPE.
 *
 * Go:     mu.Lock(); for _, inbox := range subscribers { inbox <- message }; mu.Unlock()
 * tokio:  for tx in &subscribers { tx.send(message).await }, each an mpsc::Sender
 */
#include "../example.h"

#include <weft/weft.h>

enum { SUBSCRIBERS = 3, MESSAGES = 20, BUFFER = 2 };

struct subscriber {
	weft_chan *inbox;
	int wants; /* how many messages, before it leaves */
	int got;
};

static weft_mutex mutex = WEFT_MUTEX_INIT;
static struct subscriber *listening[SUBSCRIBERS]; /* under mutex; the first `count` */
static int count;

/* The mutex is held over the sends, which may wait. A weft_mutex allows that. */
static void publish(int message)
{
	weft_mutex_lock(&mutex);
	for (int i = 0; i < count;) {
		if (weft_chan_send(listening[i]->inbox, &message) == -EPIPE)
			listening[i] = listening[--count];
		else
			i++;
	}
	weft_mutex_unlock(&mutex);
}

static void *listen_in(void *arg)
{
	struct subscriber *me = arg;
	int message;

	for (; me->got < me->wants && weft_chan_recv(me->inbox, &message) == 0; me->got++)
		CHECK(message == me->got); /* all of them, in order */
	weft_chan_close(me->inbox);
	return NULL;
}

static void *run(void *arg)
{
	struct subscriber subscribers[SUBSCRIBERS] = {
		{.wants = 5}, {.wants = 12}, {.wants = MESSAGES}};
	weft_group group;

	weft_group_init(&group);
	for (struct subscriber *s = subscribers; s < subscribers + SUBSCRIBERS; s++) {
		CHECK(weft_chan_create(sizeof(int), BUFFER, &s->inbox) == 0);
		listening[count++] = s; /* nobody publishes yet */
		CHECK(weft_group_spawn(&group, listen_in, s) == 0);
	}
	for (int message = 0; message < MESSAGES; message++)
		publish(message);
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
