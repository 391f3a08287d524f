/* SPDX-License-Identifier: MIT */
/*
 * The latest value, and a wait for a newer one. Values that come too fast are skipped, but the last
 * one is always seen.
 *
 * Go:     has none (a mutex, and a channel that is closed and replaced at each change)
 * tokio:  watch::channel(config); tx.send(config); rx.changed().await; rx.borrow_and_update()
 */
#include "../example.h"

#include <weft/weft.h>

enum { VERSIONS = 1000, LAST = VERSIONS, WATCHERS = 4 };

static weft_mutex mutex = WEFT_MUTEX_INIT; /* of the three below */
static weft_cond changed = WEFT_COND_INIT;
static struct config {
	int width, height;
} latest;
static unsigned version; /* 0: there is none yet; LAST: there will be no more */

static void set(struct config value)
{
	weft_mutex_lock(&mutex);
	latest = value;
	version++;
	weft_cond_broadcast(&changed);
	weft_mutex_unlock(&mutex);
}

/* Waits for a newer version than *seen. 0; -ECANCELED: there was none yet, nothing is changed. */
static int next(unsigned *seen, struct config *ret_value)
{
	int err = 0;

	weft_mutex_lock(&mutex);
	while (version == *seen && err == 0)
		err = weft_cond_wait(&changed, &mutex);
	if (version != *seen) { /* also if the task was cancelled meanwhile */
		*seen = version;
		*ret_value = latest;
		err = 0;
	}
	weft_mutex_unlock(&mutex);
	return err;
}

static void *watcher(void *arg)
{
	unsigned seen = 0, before;
	struct config c;

	do {
		before = seen;
		CHECK(next(&seen, &c) == 0);
		CHECK(seen > before && c.height == (int)seen && c.width == 2 * c.height);
	} while (seen < LAST);
	return arg;
}

static void *run(void *arg)
{
	weft_group watchers;

	weft_group_init(&watchers);
	for (int i = 0; i < WATCHERS; i++)
		CHECK(weft_group_spawn(&watchers, watcher, NULL) == 0);
	for (int n = 1; n <= VERSIONS; n++)
		set((struct config){2 * n, n});
	CHECK(weft_group_wait(&watchers) == 0);
	weft_group_fini(&watchers);
	printf("all %d watchers saw version %d\n", WATCHERS, VERSIONS);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
