/* SPDX-License-Identifier: MIT */
/* Objects travel through a buffer from stage to stage, and belong to the task that has received
 * them. */
#include "../tsan.h"

static weft_chan *raw, *done;

static void *produce(void *arg)
{
	for (long i = 0; i < 20; i++) {
		long *object = malloc(sizeof *object);
		*object = i;
		MUST(weft_chan_send(raw, &object) == 0);
	}
	return arg;
}

static void *improve(void *arg)
{
	long *object;

	while (weft_chan_recv(raw, &object) == 0) {
		*object += 1;
		MUST(weft_chan_send(done, &object) == 0);
	}
	return arg;
}

static void *start(void *arg)
{
	pthread_t thread = thread_start(produce, NULL);
	weft_task *tasks[3] = {spawn(improve, NULL), spawn(improve, NULL), spawn(produce, NULL)};
	long sum = 0;

	for (int i = 0; i < 40; i++) {
		long *object;
		MUST(weft_chan_recv(done, &object) == 0);
		sum += *object;
		free(object);
	}
	weft_chan_close(raw);
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	pthread_join(thread, NULL);
	MUST(sum == 420);
	return arg;
}

int main(void)
{
	raw = chan_new(sizeof(long *), 3);
	done = chan_new(sizeof(long *), 1);
	run(start);
	weft_chan_destroy(raw);
	weft_chan_destroy(done);
	return 0;
}
