/* SPDX-License-Identifier: MIT */
/*
 * A pipeline. Each stage receives until its input is closed, and then closes its output. A stage
 * that has enough closes its input, so everything before it ends too.
 *
 * Go:     for v := range in { out <- v * v }; close(out)
 * tokio:  while let Some(v) = rx.recv().await { tx.send(v * v).await? }; drop(tx)
 */
#include "../example.h"

#include <weft/weft.h>

enum { WANTED = 5 };

static weft_chan *numbers, *squares;

/* 1, 2, 3, ... for ever, that is as long as anybody wants them: then a send says -EPIPE. */
static void *count(void *arg)
{
	for (int n = 1; weft_chan_send(numbers, &n) == 0; n++)
		;
	return arg;
}

static void *square(void *arg)
{
	int n;

	while (weft_chan_recv(numbers, &n) == 0) {
		n *= n;
		if (weft_chan_send(squares, &n) < 0)
			break; /* nobody wants them any more */
	}
	weft_chan_close(numbers); /* tells the one before */
	weft_chan_close(squares); /* tells the one behind */
	return arg;
}

static void *run(void *arg)
{
	weft_group stages;
	int n, sum = 0;

	CHECK(weft_chan_create(sizeof(int), 0, &numbers) == 0);
	CHECK(weft_chan_create(sizeof(int), 4, &squares) == 0);
	weft_group_init(&stages);
	CHECK(weft_group_spawn(&stages, count, NULL) == 0);
	CHECK(weft_group_spawn(&stages, square, NULL) == 0);

	for (int i = 0; i < WANTED; i++) {
		CHECK(weft_chan_recv(squares, &n) == 0);
		sum += n;
	}
	weft_chan_close(squares);
	CHECK(weft_group_wait(&stages) == 0); /* both have ended */
	weft_group_fini(&stages);
	weft_chan_destroy(numbers);
	weft_chan_destroy(squares);
	printf("the first %d squares make %d\n", WANTED, sum);
	CHECK(sum == 1 + 4 + 9 + 16 + 25);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
