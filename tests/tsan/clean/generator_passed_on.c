/* SPDX-License-Identifier: MIT */
/* A generator that tasks and a thread take turns to enter, under a mutex. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_coro *co;

static void *number(void *in)
{
	long next = 0;

	for (; in; in = weft_coro_yield(&next))
		next++;
	return NULL;
}

static void *draw(void *arg)
{
	for (int i = 0; i < 10; i++) {
		void *out;
		weft_mutex_lock(&mutex);
		weft_coro_enter(co, &mutex, &out);
		*(long *)arg = *(long *)out;
		weft_mutex_unlock(&mutex);
	}
	return NULL;
}

static void *start(void *arg)
{
	long last[3];
	pthread_t thread = thread_start(draw, &last[0]);
	weft_task *first = spawn(draw, &last[1]), *second = spawn(draw, &last[2]);

	join(first);
	join(second);
	pthread_join(thread, NULL);
	MUST(last[0] == 30 || last[1] == 30 || last[2] == 30);
	return arg;
}

int main(void)
{
	MUST(weft_coro_create(number, 0, &co) == 0);
	run(start);
	MUST(weft_coro_enter(co, NULL, NULL) == 0 && weft_coro_done(co));
	weft_coro_destroy(co);
	return 0;
}
