/* SPDX-License-Identifier: MIT */
/*
 * Sends each message to all listeners, from a ring of the last messages. A send never waits. A slow
 * receiver is told how many messages it has lost, and goes on with the oldest one.
 *
 * Go:     has none (pub_sub.c is the usual way: the sender waits for the slowest)
 * tokio:  let (tx, mut rx) = broadcast::channel(8); match rx.recv().await { Err(Lagged(n)) => ... }
 */
#include "../example.h"

#include <weft/weft.h>

enum { RING = 8, MESSAGES = 1000, RECEIVERS = 4 };

/* Message n, from 0, is in ring[n % RING] until message n + RING takes its place. */
static weft_mutex mutex = WEFT_MUTEX_INIT; /* of the two below */
static weft_cond changed = WEFT_COND_INIT;
static int ring[RING];
static int64_t sent; /* how many until now */

static void broadcast(int message)
{
	weft_mutex_lock(&mutex);
	ring[sent++ % RING] = message;
	weft_cond_broadcast(&changed);
	weft_mutex_unlock(&mutex);
}

/* Receives message *next, or the oldest one behind it. The number lost before it, or -ECANCELED. */
static int64_t receive(int64_t *next, int *ret_message)
{
	int64_t err = 0;

	weft_mutex_lock(&mutex);
	while (*next == sent && err == 0)
		err = weft_cond_wait(&changed, &mutex);
	if (*next < sent) { /* also if the task was cancelled meanwhile */
		err = sent - *next > RING ? sent - *next - RING : 0;
		*next += err;
		*ret_message = ring[(*next)++ % RING];
	}
	weft_mutex_unlock(&mutex);
	return err;
}

static void *listen_in(void *slow)
{
	int64_t next = 0;
	int message = -1;

	while (message < MESSAGES - 1) {
		int before = message;
		int64_t lost = receive(&next, &message);
		CHECK(lost >= 0 && message == before + lost + 1); /* every gap was told */
		if (slow)
			weft_sleep(10000);
	}
	return NULL;
}

static void *run(void *arg)
{
	weft_group receivers;

	weft_group_init(&receivers);
	for (intptr_t i = 0; i < RECEIVERS; i++)
		CHECK(weft_group_spawn(&receivers, listen_in, (void *)(i % 2)) == 0);
	for (int message = 0; message < MESSAGES; message++)
		broadcast(message);
	CHECK(weft_group_wait(&receivers) == 0);
	weft_group_fini(&receivers);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	printf("%d receivers had or missed all messages\n", RECEIVERS);
	return EXIT_SUCCESS;
}
