/* SPDX-License-Identifier: MIT */
/*
 * A worker pool with results. In Go: workers that range over a channel of jobs and send to a
 * channel of results, and a sync.WaitGroup behind which somebody closes the results.
 */
#include "../example.h"

#include <weft/weft.h>

enum { WORKERS = 4, JOBS = 100 };

struct result {
	int job, square;
};

static weft_chan *jobs, *results;

/* for job := range jobs { results <- square(job) } */
static void *work(void *arg)
{
	int job;

	while (weft_chan_recv(jobs, &job) == 0) {
		struct result r = {job, job * job};
		CHECK(weft_chan_send(results, &r) == 0);
	}
	return arg;
}

/* The workers are a group: who waits for it has waited for all of them. */
static void *run_pool(void *arg)
{
	weft_group pool;

	weft_group_init(&pool);
	for (int i = 0; i < WORKERS; i++)
		CHECK(weft_group_spawn(&pool, work, NULL) == 0);
	CHECK(weft_group_wait(&pool) == 0);
	weft_group_fini(&pool);
	weft_chan_close(results); /* ends the loop of who collects them */
	return arg;
}

static void *send_jobs(void *arg)
{
	for (int job = 0; job < JOBS; job++)
		CHECK(weft_chan_send(jobs, &job) == 0);
	weft_chan_close(jobs); /* each worker ends when it finds no more */
	return arg;
}

static void *run(void *arg)
{
	weft_task *pool, *sender;
	int count = 0, sum = 0;
	struct result r;

	CHECK(weft_chan_create(sizeof(int), 0, &jobs) == 0);
	CHECK(weft_chan_create(sizeof(struct result), WORKERS, &results) == 0);
	CHECK(weft_spawn(run_pool, NULL, &pool) == 0);
	CHECK(weft_spawn(send_jobs, NULL, &sender) == 0);
	/* for r := range results */
	for (; weft_chan_recv(results, &r) == 0; count++) {
		CHECK(r.square == r.job * r.job);
		sum += r.job;
	}
	printf("%d results from %d workers\n", count, WORKERS);
	CHECK(count == JOBS && sum == JOBS * (JOBS - 1) / 2);
	CHECK(weft_join(pool, NULL) == 0);
	CHECK(weft_join(sender, NULL) == 0);
	weft_chan_destroy(jobs);
	weft_chan_destroy(results);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
