/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of workers, with one channel for jobs and one for results. When the jobs have run
 * out each worker ends. The last one closes the channel of results.
 *
 * Go:     for job := range jobs { results <- square(job) };  go func() { wg.Wait(); close(results) }()
 * tokio:  has no channel with several receivers (async-channel has)
 */
#include "../example.h"

#include <weft/weft.h>

enum { WORKERS = 4, JOBS = 100 };

static weft_chan *jobs, *results;

static void *work(void *arg)
{
	int job;

	while (weft_chan_recv(jobs, &job) == 0) {
		int square = job * job;

		CHECK(weft_chan_send(results, &square) == 0);
	}
	return arg;
}

static void *send_jobs(void *arg)
{
	for (int job = 0; job < JOBS; job++)
		CHECK(weft_chan_send(jobs, &job) == 0);
	weft_chan_close(jobs); /* each worker ends when it finds no more */
	return arg;
}

/* Returns when all workers have ended. */
static void *run_pool(void *arg)
{
	weft_group pool;

	weft_group_init(&pool);
	for (int i = 0; i < WORKERS; i++)
		CHECK(weft_group_spawn(&pool, work, NULL) == 0);
	CHECK(weft_group_spawn(&pool, send_jobs, NULL) == 0);
	CHECK(weft_group_wait(&pool) == 0);
	weft_group_fini(&pool);
	weft_chan_close(results);
	return arg;
}

static void *run(void *arg)
{
	int count = 0, sum = 0, square;
	weft_task *pool;

	CHECK(weft_chan_create(sizeof(int), 0, &jobs) == 0);
	CHECK(weft_chan_create(sizeof(int), WORKERS, &results) == 0);
	CHECK(weft_spawn(run_pool, NULL, &pool) == 0);
	for (; weft_chan_recv(results, &square) == 0; count++)
		sum += square;
	CHECK(weft_join(pool, NULL) == 0);
	weft_chan_destroy(jobs);
	weft_chan_destroy(results);
	printf("%d results from %d workers\n", count, WORKERS);
	CHECK(count == JOBS && sum == (JOBS - 1) * JOBS * (2 * JOBS - 1) / 6);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
