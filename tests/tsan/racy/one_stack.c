/* SPDX-License-Identifier: MIT */
/*
 * With one worker the second task begins where the first one has ended, on the same stack and
 * without a switch between them. That orders nothing.
 */
/* races: add_note, add_note */
#include "../tsan.h"

static int noted;

KEPT static void add_note(void)
{
	RACE(noted++);
}

static void *note(void *arg)
{
	(void)arg;
	add_note();
	return __builtin_frame_address(0);
}

static void *start(void *arg)
{
	weft_task *first = spawn(note, NULL), *second = spawn(note, NULL);
	void *frame = join(first);
	bool same = join(second) == frame;

	MUST(same || weft_runtime_workers(NULL) > 1);
	return arg;
}

int main(void)
{
	run(start);
	return noted != 2;
}
