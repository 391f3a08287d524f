/* SPDX-License-Identifier: MIT */
/* Everything that a runtime's tasks did, detached ones too, comes before weft_run() returns, and
 * before the next one. */
#include "../tsan.h"

static long places[4];

static void *write_place(void *arg)
{
	weft_yield();
	++*(long *)arg;
	return arg;
}

static void *start(void *arg)
{
	for (int i = 0; i < 4; i++)
		spawn_detached(write_place, &places[i]);
	return arg;
}

int main(void)
{
	for (int round = 1; round <= 2; round++) {
		run(start);
		for (int i = 0; i < 4; i++)
			MUST(places[i]++ == 2 * round - 1);
	}
	return 0;
}
