/* SPDX-License-Identifier: MIT */
/* An acquire that did not get anything orders nothing. */
/* races: write_page, read_page */
#include "../tsan.h"

static weft_sem sem = WEFT_SEM_INIT(0);
static int page;
static struct unseen released;

KEPT static void write_page(void)
{
	page = 1;
}

KEPT static int read_page(void)
{
	return page;
}

static void *writer(void *arg)
{
	write_page();
	weft_sem_release(&sem, 1);
	MUST(weft_sem_try_acquire(&sem) == 0); /* has it back */
	unseen_signal(&released);
	return arg;
}

static void *reader(void *arg)
{
	unseen_await(&released, 1);
	MUST(weft_sem_try_acquire(&sem) == -EAGAIN);
	MUST(weft_sem_acquire_until(&sem, weft_after(1000)) == -ETIMEDOUT);
	MUST(read_page() == 1);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(writer, NULL), *last = spawn(reader, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
