/* SPDX-License-Identifier: MIT */
/*
 * Tasks that work in step: none begins a round before all have ended the round before. They compute
 * running sums in log2(n) rounds. In each round, every number is added to the one that is
 * `distance` further on.
 *
 * Go:     has none (a WaitGroup for each round)
 * tokio:  if barrier.wait().await.is_leader() { ... }
 */
#include "../example.h"

#include <weft/weft.h>

enum { COUNT = 64, MEMBERS = 4, SHARE = COUNT / MEMBERS };

static weft_barrier barrier = WEFT_BARRIER_INIT(MEMBERS);
static int numbers[2][COUNT]; /* read from one, written to the other */
static int rounds;            /* by the leader */

static void *member(void *arg)
{
	int begin = (int)(intptr_t)arg * SHARE, from = 0;

	for (int distance = 1; distance < COUNT; distance *= 2, from = !from) {
		for (int i = begin; i < begin + SHARE; i++) {
			int before = i < distance ? 0 : numbers[from][i - distance];
			numbers[!from][i] = numbers[from][i] + before;
		}
		int leader = weft_barrier_wait(&barrier); /* 1 for one of them */
		CHECK(leader >= 0);
		if (leader)
			rounds++;
	}
	return NULL;
}

static void *run(void *arg)
{
	weft_group group;

	for (int i = 0; i < COUNT; i++)
		numbers[0][i] = 1 + i;
	weft_group_init(&group);
	for (intptr_t i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(&group, member, (void *)i) == 0);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);

	printf("%d rounds; the last sum is %d\n", rounds, numbers[rounds % 2][COUNT - 1]);
	for (int i = 0; i < COUNT; i++)
		CHECK(numbers[rounds % 2][i] == (i + 1) * (i + 2) / 2);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
