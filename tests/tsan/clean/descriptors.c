/* SPDX-License-Identifier: MIT */
/* Data that is handed on by bytes in pipes and sockets, between tasks and to a plain thread. */
#include "../tsan.h"

#include <sys/socket.h>
#include <unistd.h>

enum { HOPS = 50 };

struct way {
	int there[2], back[2]; /* a pipe and a local socket */
	int value;             /* whoever has read the last byte has it */
};

static void pass_on(int fd, int *value)
{
	(*value)++;
	MUST(weft_write(fd, "x", 1) == 1);
}

static void await(int fd)
{
	char byte;

	MUST(weft_read(fd, &byte, 1) == 1 && byte == 'x');
}

static void *far_side(void *arg)
{
	struct way *way = arg;

	for (int i = 0; i < HOPS; i++) {
		await(way->there[0]);
		pass_on(way->back[1], &way->value);
	}
	return arg;
}

static void near_side(struct way *way)
{
	for (int i = 0; i < HOPS; i++) {
		pass_on(way->there[1], &way->value);
		await(way->back[0]);
	}
	MUST(way->value % (2 * HOPS) == 0);
}

static void *start(void *arg)
{
	struct way *way = arg;
	pthread_t thread;
	weft_task *task = spawn(far_side, way);

	near_side(way);
	join(task);
	MUST(pthread_create(&thread, NULL, far_side, way) == 0);
	near_side(way);
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++)
		MUST(weft_close(way->there[i]) == 0 && weft_close(way->back[i]) == 0);
	return arg;
}

static struct way way;

static void *begin(void *arg)
{
	(void)arg;
	MUST(pipe(way.there) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, way.back) == 0);
	return start(&way);
}

int main(void)
{
	run(begin);
	return 0;
}
