/* SPDX-License-Identifier: MIT */
/* Making and deleting keys, and allocating the memory behind them, orders nobody. */
/* races: mark, mark */
#include "../tsan.h"

static int marked;
static struct unseen used;

KEPT static void mark(void)
{
	marked++;
}

static void use_key(void)
{
	weft_local key;

	MUST(weft_local_create(NULL, &key) == 0);
	MUST(weft_local_set(key, &marked) == 0);
	MUST(weft_local_delete(key) == 0);
}

static void *use_first(void *arg)
{
	mark();
	use_key();
	unseen_signal(&used);
	return arg;
}

static void *use_last(void *arg)
{
	unseen_await(&used, 1);
	use_key();
	mark();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(use_first, NULL), *last = spawn(use_last, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	run(start);
	return marked != 2;
}
