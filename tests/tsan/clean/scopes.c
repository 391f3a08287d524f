/* SPDX-License-Identifier: MIT */
/*
 * Forks and a group in a scope that is cancelled: by its deadline, by a task, by a thread. What they
 * did can be read after their joins, and the scope's memory is used again.
 */
#include "../tsan.h"

static weft_scope scope;

struct part {
	long waited, left;
};

static void *wait_until_cancelled(void *arg)
{
	struct part *part = arg;

	part->waited = 1;
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	part->left = 1;
	return NULL;
}

static void *cancel_it(void *arg)
{
	weft_scope_cancel(&scope);
	return arg;
}

static void *start(void *arg)
{
	for (int round = 0; round < 9; round++) {
		struct part parts[3];
		weft_forked forks[2];
		weft_group group;
		weft_task *task = NULL;
		pthread_t thread = pthread_self();

		memset(parts, 0, sizeof parts);
		weft_scope_begin(&scope, round % 3 ? WEFT_FOREVER : weft_after(200000));
		weft_group_init(&group);
		MUST(weft_group_spawn(&group, wait_until_cancelled, &parts[2]) == 0);
		for (int i = 0; i < 2; i++)
			weft_fork(&forks[i], wait_until_cancelled, &parts[i]);
		if (round % 3 == 1)
			task = spawn(cancel_it, NULL);
		else if (round % 3 == 2)
			thread = thread_start(cancel_it, NULL);
		for (int i = 1; i >= 0; i--)
			weft_fork_join(&forks[i]);
		int rc = weft_group_wait(&group);
		MUST(rc == 0 || rc == -ECANCELED);
		weft_group_fini(&group);
		for (int i = 0; i < 3; i++)
			MUST(parts[i].waited == 1 && parts[i].left == 1);
		MUST(weft_scope_end(&scope) == (round % 3 ? -ECANCELED : -ETIMEDOUT));
		memset((void *)&scope, 0, sizeof scope);
		if (task)
			join(task);
		else if (round % 3 == 2)
			pthread_join(thread, NULL);
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
