/* SPDX-License-Identifier: MIT */
/* Tasks with options, whose cold part is from the heap: named, with a stack size, pinned; joined
 * and detached late. */
#include "../tsan.h"

static struct unseen ended;

static void *work(void *arg)
{
	MUST(strcmp(weft_task_name(NULL), "worker") == 0);
	weft_yield();
	++*(long *)arg;
	unseen_signal(&ended);
	return arg;
}

static void *start(void *arg)
{
	long counts[4] = {0, 0, 0, 0};
	weft_task *tasks[4];

	for (int i = 0; i < 4; i++) {
		struct weft_task_options options = {
			.name = "worker", .stack_size = i == 1 ? 1 << 20 : 0, .pinned = i == 2};
		MUST(weft_spawn_with(&options, work, &counts[i], &tasks[i]) == 0);
	}
	for (int i = 0; i < 3; i++) {
		join(tasks[i]);
		MUST(counts[i]++ == 1);
	}
	unseen_await(&ended, 4);
	MUST(weft_detach(tasks[3]) == 0);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
