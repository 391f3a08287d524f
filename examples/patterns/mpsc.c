/* SPDX-License-Identifier: MIT */
/*
 * Many senders and one receiver. The last sender closes the channel. A sender may be a plain thread
 * as well.
 *
 * Go:     wg.Add(n); ...; go func() { wg.Wait(); close(c) }(); for v := range c { ... }
 * tokio:  let (tx, mut rx) = mpsc::channel(8); each sender has tx.clone(); rx.recv() is None at the end
 */
#include "../example.h"

#include <weft/weft.h>

#include <pthread.h>
#include <stdatomic.h>

enum { TASKS = 5, SENDERS = TASKS + 1, EACH = 200 };

struct sender_half {
	weft_chan *chan;
	atomic_int senders;
};

static void drop_sender(struct sender_half *tx)
{
	/* acq_rel: for what else tx may hold. The channel orders by itself. */
	if (atomic_fetch_sub_explicit(&tx->senders, 1, memory_order_acq_rel) == 1)
		weft_chan_close(tx->chan);
}

static void *send_some(void *arg)
{
	struct sender_half *tx = arg;

	for (int i = 0; i < EACH; i++)
		CHECK(weft_chan_send(tx->chan, &i) == 0);
	drop_sender(tx);
	return NULL;
}

static void *run(void *arg)
{
	struct sender_half tx = {.senders = SENDERS};
	int n, count = 0;
	long sum = 0;
	pthread_t thread;
	weft_group group;

	CHECK(weft_chan_create(sizeof(int), 8, &tx.chan) == 0);
	CHECK(pthread_create(&thread, NULL, send_some, &tx) == 0);
	weft_group_init(&group);
	for (int i = 0; i < TASKS; i++)
		CHECK(weft_group_spawn(&group, send_some, &tx) == 0);
	for (; weft_chan_recv(tx.chan, &n) == 0; count++)
		sum += n;

	printf("%d messages of %d senders\n", count, SENDERS);
	CHECK(count == SENDERS * EACH && sum == SENDERS * (EACH * (EACH - 1L) / 2));
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	CHECK(pthread_join(thread, NULL) == 0);
	weft_chan_destroy(tx.chan);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
