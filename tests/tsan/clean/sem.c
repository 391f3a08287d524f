/* SPDX-License-Identifier: MIT */
/* A semaphore as a mutex, and as one that all of its counts make; and two that hand a value to and
 * fro. */
#include "../tsan.h"

static weft_sem mutex = WEFT_SEM_INIT(1), ping = WEFT_SEM_INIT(0), pong = WEFT_SEM_INIT(0);
static weft_sem shares = WEFT_SEM_INIT(3);
static long counter, ball, total;

static void *count(void *arg)
{
	for (int i = 0; i < 30; i++) {
		MUST(weft_sem_acquire(&mutex) == 0);
		counter++;
		weft_yield();
		weft_sem_release(&mutex, 1);
	}
	return arg;
}

static void *play(void *arg)
{
	for (int i = 0; i < 20; i++) {
		MUST(weft_sem_acquire(arg ? &ping : &pong) == 0);
		ball++;
		weft_sem_release(arg ? &pong : &ping, 1);
	}
	return arg;
}

/* A task with one count reads. A task with all of them writes. */
static void *share(void *arg)
{
	for (int i = 0; i < 20; i++) {
		MUST(weft_sem_acquire(&shares) == 0);
		MUST(total >= 0);
		weft_sem_release(&shares, 1);
		MUST(weft_sem_acquire_n(&shares, 3) == 0);
		total++;
		weft_sem_release(&shares, 3);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[6] = {spawn(count, NULL), spawn(count, NULL), spawn(play, NULL),
			       spawn(play, &ball), spawn(share, NULL), spawn(share, NULL)};

	ball = 0;
	weft_sem_release(&ping, 1);
	for (int i = 0; i < 6; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return counter != 60 || ball != 40 || total != 40;
}
