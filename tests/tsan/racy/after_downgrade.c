/* SPDX-License-Identifier: MIT */
/* A writer that has become a reader writes once more. */
/* races: publish, read_version */
#include "../tsan.h"

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static int version;
static struct unseen downgraded;

KEPT static void publish(void)
{
	weft_rwlock_wrlock(&lock);
	version = 1;
	weft_rwlock_downgrade(&lock);
	unseen_signal(&downgraded);
	RACE(version = 2);
	weft_rwlock_unlock(&lock);
}

KEPT static int read_version(void)
{
	weft_rwlock_rdlock(&lock);
	int seen;
	RACE(seen = version);
	weft_rwlock_unlock(&lock);
	return seen;
}

static void *writer(void *arg)
{
	publish();
	return arg;
}

static void *reader(void *arg)
{
	unseen_await(&downgraded, 1);
	MUST(read_version() > 0);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[2] = {spawn(writer, NULL), spawn(reader, NULL)};

	join(tasks[0]);
	join(tasks[1]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
