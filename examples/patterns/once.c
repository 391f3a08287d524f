/* SPDX-License-Identifier: MIT */
/*
 * Opens a resource when it is first needed, in the task that needs it first. The others wait until
 * it is open, and see everything that the opening wrote. A failure is kept too, and all callers
 * learn of it. (In once_try.c the next caller tries again.)
 *
 * Go:     open := sync.OnceValues(func() (*os.File, error) { return os.Open(name) })
 * tokio:  OnceCell::get_or_init(open).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <fcntl.h>
#include <unistd.h>

enum { READERS = 50 };

struct source {
	weft_once once;
	int fd, error, opened; /* written in open_source() only */
};

static void open_source(void *arg)
{
	struct source *s = arg;

	s->opened++;
	s->fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (s->fd < 0)
		s->error = -errno; /* read at once: nothing of Weft's is called in between */
	weft_yield();              /* opening may wait; the others do so too then */
}

/* The descriptor, or what went wrong. */
static int source_fd(struct source *s)
{
	weft_once_call(&s->once, open_source, s);
	return s->error ? s->error : s->fd;
}

static void *read_some(void *arg)
{
	char byte = 1;
	int fd = source_fd(arg);

	if (fd < 0)
		return (void *)(intptr_t)fd;
	CHECK(read(fd, &byte, 1) == 1 && byte == 0);
	return NULL;
}

static void *run(void *arg)
{
	static struct source source = {.once = WEFT_ONCE_INIT};
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < READERS; i++)
		CHECK(weft_group_spawn(&group, read_some, &source) == 0);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	printf("%d readers, opened %d time\n", READERS, source.opened);
	CHECK(source.opened == 1);
	close(source.fd);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
