/* SPDX-License-Identifier: MIT */
/* Sends a pointer through a buffer, and writes to what it points to. */
/* races: reuse, print_job */
#include "../tsan.h"

struct job {
	int number;
};

static weft_chan *jobs;

KEPT static void reuse(struct job *job)
{
	RACE(job->number = 2);
}

KEPT static void print_job(const struct job *job)
{
	int number;

	RACE(number = job->number);
	printf("%d\n", number);
}

static void *printer(void *arg)
{
	struct job *job;

	MUST(weft_chan_recv(jobs, &job) == 0);
	print_job(job);
	return arg;
}

static void *start(void *arg)
{
	struct job mine = {1}, *job = &mine;
	weft_task *task = spawn(printer, NULL);

	MUST(weft_chan_send(jobs, &job) == 0);
	reuse(job);
	join(task);
	return arg;
}

int main(void)
{
	jobs = chan_new(sizeof(struct job *), 1);
	run(start);
	weft_chan_destroy(jobs);
	return 0;
}
