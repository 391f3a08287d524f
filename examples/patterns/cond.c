/* SPDX-License-Identifier: MIT */
/*
 * Waits for a condition of your own. Here it is a limit on the tasks that run at a time, and the
 * limit changes meanwhile.
 *
 * Go:     cond.L.Lock(); for !ok() { cond.Wait() }; ...; cond.L.Unlock(); cond.Broadcast()
 * tokio:  Notify::notify_waiters() beside a Mutex; a loop around notified().await
 */
#include "../example.h"

#include <weft/weft.h>

enum { JOBS = 300 };

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond changed = WEFT_COND_INIT;
static int running, done, limit = 8; /* under mutex */

static void set_limit(int n)
{
	weft_mutex_lock(&mutex);
	limit = n;
	weft_cond_broadcast(&changed); /* several may go on now */
	weft_mutex_unlock(&mutex);
}

static void *job(void *arg)
{
	int err = 0;

	weft_mutex_lock(&mutex);
	while (running >= limit && err == 0) /* a wait may end for no reason */
		err = weft_cond_wait(&changed, &mutex);
	CHECK(err == 0);
	CHECK(++running <= limit);
	weft_mutex_unlock(&mutex);

	weft_yield(); /* works */

	weft_mutex_lock(&mutex);
	running--;
	if (++done == JOBS / 2)
		limit = 2;          /* those that run may end; no other one starts before */
	weft_cond_signal(&changed); /* one may go on */
	weft_mutex_unlock(&mutex);
	return arg;
}

static void *run(void *arg)
{
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < JOBS; i++)
		CHECK(weft_group_spawn(&group, job, NULL) == 0);
	set_limit(16);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	printf("%d jobs done\n", done);
	CHECK(done == JOBS && running == 0);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
