/* SPDX-License-Identifier: MIT */
/*
 * Between the two accesses the library's memory passes from one task to the other: control blocks,
 * stacks, generators, channels. None of that orders them.
 */
/* races: step, step */
#include "../tsan.h"

static int steps;
static struct unseen stepped;

KEPT static void step(void)
{
	steps++;
}

static void *generate(void *in)
{
	return in;
}

static void use_memory(void)
{
	weft_task *task = spawn(generate, NULL);
	weft_chan *ch = chan_new(sizeof(int), 2);
	weft_coro *co;

	MUST(weft_coro_create(generate, 0, &co) == 0 && weft_coro_enter(co, NULL, NULL) == 0);
	weft_coro_destroy(co);
	MUST(weft_chan_send(ch, &(int){1}) == 0 && weft_chan_recv(ch, NULL) == 0);
	weft_chan_destroy(ch);
	MUST(weft_sleep(1000) == 0);
	join(task);
}

static void *go_first(void *arg)
{
	step();
	use_memory();
	unseen_signal(&stepped);
	return arg;
}

static void *go_last(void *arg)
{
	unseen_await(&stepped, 1);
	use_memory();
	step();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(go_first, NULL), *last = spawn(go_last, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	run(start);
	return steps != 2;
}
