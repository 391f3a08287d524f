/* SPDX-License-Identifier: MIT */
/*
 * One signal for all. Nobody sends to the channel `done`. It is closed when all tasks should stop.
 *
 * Go:     for { select { case j := <-jobs: ...; case <-done: return } };  close(done)
 * tokio:  select! { Some(j) = jobs.recv() => ..., _ = token.cancelled() => return };  token.cancel()
 */
#include "../example.h"

#include <weft/weft.h>

enum { WORKERS = 4, JOBS = 100 };

static weft_chan *jobs, *done;

/* Returns how many jobs it did. */
static void *work(void *arg)
{
	intptr_t count = 0;
	int job;

	(void)arg;
	for (;;) {
		struct weft_case cases[] = {
			{.op = WEFT_RECV, .chan = jobs, .elem = &job},
			{.op = WEFT_RECV, .chan = done},
		};

		if (weft_select(cases, 2, WEFT_FOREVER) != 0)
			return (void *)count;
		count++;
	}
}

static void *run(void *arg)
{
	weft_task *workers[WORKERS];
	intptr_t sum = 0;

	CHECK(weft_chan_create(sizeof(int), 0, &jobs) == 0);
	CHECK(weft_chan_create(0, 0, &done) == 0); /* elements of size 0 */
	for (int i = 0; i < WORKERS; i++)
		CHECK(weft_spawn(work, NULL, &workers[i]) == 0);

	for (int job = 0; job < JOBS; job++)
		CHECK(weft_chan_send(jobs, &job) == 0); /* returns when a worker has it */
	weft_chan_close(done);
	for (int i = 0; i < WORKERS; i++) {
		void *count;
		CHECK(weft_join(workers[i], &count) == 0);
		sum += (intptr_t)count;
	}
	printf("%ld jobs, then all %d workers stopped\n", (long)sum, WORKERS);
	CHECK(sum == JOBS);
	weft_chan_destroy(jobs);
	weft_chan_destroy(done);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
