/* SPDX-License-Identifier: MIT */
/*
 * A call that blocks its thread: reading a file, getaddrinfo(), a library that waits in its own
 * way. Another thread makes the call, so only the task waits, and its worker runs other tasks.
 *
 * Go:     happens by itself for system calls
 * tokio:  let text = tokio::task::spawn_blocking(|| read_file(name)).await?;
 */
#include "../example.h"

#include <weft/weft.h>

#include <semaphore.h>

struct reading {
	sem_t *ready; /* a POSIX semaphore: it knows nothing of tasks */
	char line[64];
};

/* Returns 0 or a negative errno value; errno itself is that thread's. */
static void *read_line(void *arg)
{
	struct reading *r = arg;
	FILE *file;

	while (sem_wait(r->ready) < 0)
		;
	file = fopen("/proc/self/comm", "r");
	if (!file)
		return (void *)(intptr_t)-errno;
	char *line = fgets(r->line, sizeof(r->line), file);
	fclose(file);
	return (void *)(intptr_t)(line ? 0 : -EIO);
}

static void *post(void *ready)
{
	CHECK(sem_post(ready) == 0);
	return NULL;
}

static void *run(void *arg)
{
	struct reading reading = {.line = ""};
	void *err;
	sem_t ready;

	CHECK(sem_init(&ready, 0, 0) == 0);
	reading.ready = &ready;
	/* This task runs during the call, even if there is one worker only. */
	CHECK(weft_spawn(post, &ready, NULL) == 0);
	CHECK(weft_blocking(read_line, &reading, &err) == 0);
	CHECK((intptr_t)err == 0 && reading.line[0] != '\0');
	printf("read a line of a file\n");

	/* While it waits for its turn such a call can be given up; not once it has started. */
	CHECK(weft_blocking_until(post, &ready, NULL, weft_after(-1)) == -ETIMEDOUT);
	sem_destroy(&ready);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
