/* SPDX-License-Identifier: MIT */
/*
 * What a member did comes before the receipt of its result, whether the receiver has waited for it
 * or it was kept; and before the start of the member that takes its place.
 */
#include "../tsan.h"

enum { MEMBERS = 20 };

static long turns; /* of members that run one at a time */

static void *write_and_return(void *arg)
{
	turns++;
	weft_yield();
	*(long *)arg = 1;
	return arg;
}

static void *start(void *arg)
{
	long places[MEMBERS] = {0};
	void *result;
	weft_group group;

	for (int kept = 0; kept < 2; kept++) {
		int received = 0;
		weft_group_init(&group);
		weft_group_keep_results(&group);
		weft_group_set_limit(&group, 1);
		for (int i = 0; i < MEMBERS; i++) {
			MUST(weft_group_spawn(&group, write_and_return, &places[i]) == 0);
			if (kept)
				continue;
			MUST(weft_group_next(&group, &result) == 0);
			MUST(--*(long *)result == 0);
			received++;
		}
		while (weft_group_next(&group, &result) == 0) {
			MUST(--*(long *)result == 0);
			received++;
		}
		MUST(received == MEMBERS);
		weft_group_fini(&group);
	}
	MUST(turns == 2L * MEMBERS);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
