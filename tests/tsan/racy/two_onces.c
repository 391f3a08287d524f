/* SPDX-License-Identifier: MIT */
/* The initialisation is done once for each of two objects, and both write the same table. */
/* races: fill_table, fill_table */
#include "../tsan.h"

static weft_once onces[2] = {WEFT_ONCE_INIT, WEFT_ONCE_INIT};
static int table[4];

KEPT static void fill_table(void *arg)
{
	(void)arg;
	RACE(table[0] += 1);
}

static void *user(void *arg)
{
	weft_once_call(arg, fill_table, NULL);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(user, &onces[0]), *second = spawn(user, &onces[1]);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return table[0] != 2;
}
