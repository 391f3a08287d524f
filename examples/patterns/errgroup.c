/* SPDX-License-Identifier: MIT */
/*
 * Runs several tasks at once. The first error ends them all: in a group, a task that fails cancels
 * the others, whose waits then end. Go's context is built in.
 *
 * Go:     g, ctx := errgroup.WithContext(ctx); g.Go(func() error { return fetch(ctx, p) }); g.Wait()
 * tokio:  tokio::try_join!(fetch(a), fetch(b))?
 */
#include "../example.h"

#include <weft/weft.h>

#include <string.h>

enum { PARTS = 5, BROKEN = 3 };

struct part {
	int number;
	int status; /* how its download ended */
};

/* A download that takes for ever, unless it is the broken one, which fails. */
static int download(struct part *part)
{
	if (part->number == BROKEN)
		return -EIO;
	return weft_sleep_until(WEFT_FOREVER);
}

/* A task of a group fails by returning a negative errno value. */
static void *fetch(void *arg)
{
	struct part *part = arg;

	part->status = download(part);
	return (void *)(intptr_t)part->status;
}

static void *run(void *arg)
{
	struct part parts[PARTS];
	weft_group group;
	int err;

	weft_group_init(&group);
	for (int i = 0; i < PARTS; i++) {
		parts[i] = (struct part){.number = i};
		CHECK(weft_group_spawn(&group, fetch, &parts[i]) == 0);
	}
	err = weft_group_wait(&group); /* not the -ECANCELED of those that it ended */
	weft_group_fini(&group);

	printf("the group says: %s\n", strerror(-err));
	CHECK(err == -EIO);
	for (int i = 0; i < PARTS; i++) {
		printf("part %d: %s\n", i, strerror(-parts[i].status));
		CHECK(parts[i].status == (i == BROKEN ? -EIO : -ECANCELED));
	}
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
