/* SPDX-License-Identifier: MIT */
/* Hands on a job by a byte in a pipe, and writes to the job afterwards. */
/* races: reuse, print_job */
#include "../tsan.h"

#include <unistd.h>

static int ends[2];
static int job = 1;

KEPT static void reuse(void)
{
	RACE(job = 2);
}

KEPT static void print_job(void)
{
	int number;

	RACE(number = job);
	printf("%d\n", number);
}

static void *printer(void *arg)
{
	char byte;

	MUST(weft_read(ends[0], &byte, 1) == 1);
	print_job();
	return arg;
}

static void *start(void *arg)
{
	weft_task *task = spawn(printer, NULL);

	MUST(weft_write(ends[1], "x", 1) == 1);
	reuse();
	join(task);
	return arg;
}

int main(void)
{
	MUST(pipe(ends) == 0);
	run(start);
	MUST(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0);
	return 0;
}
