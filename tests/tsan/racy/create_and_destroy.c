/* SPDX-License-Identifier: MIT */
/* As two_runs.c, with weft_runtime_create(), weft_submit() and weft_runtime_destroy(), in two
 * tasks. */
/* races: note, note */
#include "../tsan.h"

static int noted;
static struct unseen destroyed;

KEPT static void note(void)
{
	noted++;
}

static void *nothing(void *arg)
{
	return arg;
}

static void use_runtime(void)
{
	weft_runtime *rt;

	MUST(weft_runtime_create(NULL, &rt) == 0);
	MUST(weft_submit(rt, nothing, NULL, NULL) == 0);
	MUST(weft_runtime_destroy(rt) == 0);
}

static void *create_first(void *arg)
{
	note();
	use_runtime();
	unseen_signal(&destroyed);
	return arg;
}

static void *create_last(void *arg)
{
	unseen_await(&destroyed, 1);
	use_runtime();
	note();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(create_first, NULL), *last = spawn(create_last, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	run(start);
	return noted != 2;
}
