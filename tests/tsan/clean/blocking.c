/* SPDX-License-Identifier: MIT */
/* Blocking calls: before and after them the data is the task's, in them it is the thread's that
 * makes them. */
#include "../tsan.h"

static void *read_file(void *arg)
{
	char *buffer = arg;
	struct timespec short_time = {0, 100000};

	nanosleep(&short_time, NULL);
	buffer[1]++;
	return &buffer[1];
}

static void *work(void *arg)
{
	char *buffer = calloc(1, 16);

	for (int i = 1; i <= 4; i++) {
		void *result;
		buffer[0]++;
		MUST(weft_blocking(read_file, buffer, &result) == 0);
		MUST(*(char *)result == 2 * i - 1 && buffer[0] == i);
		MUST(weft_blocking_until(read_file, buffer, &result, WEFT_FOREVER) == 0);
		MUST(*(char *)result == 2 * i && buffer[0] == i);
	}
	free(buffer);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(work, NULL), spawn(work, NULL), spawn(work, NULL)};

	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
