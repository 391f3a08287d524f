/* SPDX-License-Identifier: MIT */
/* Two mutexes follow each other in the same memory, and have nothing to do with each other. */
/* races: fill_form, fill_form */
#include "../tsan.h"

static int filled;
static weft_mutex mutex;
static struct unseen unlocked;

KEPT static void fill_form(void)
{
	weft_mutex_lock(&mutex);
	filled++;
	weft_mutex_unlock(&mutex);
}

static void *use_and_end(void *arg)
{
	fill_form();
	weft_mutex_fini(&mutex);
	unseen_signal(&unlocked);
	return arg;
}

static void *make_and_use(void *arg)
{
	unseen_await(&unlocked, 1);
	weft_mutex_init(&mutex);
	fill_form();
	return arg;
}

static void *start(void *arg)
{
	weft_mutex_init(&mutex);
	weft_task *first = spawn(use_and_end, NULL), *last = spawn(make_and_use, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	run(start);
	return filled != 2;
}
