/* SPDX-License-Identifier: MIT */
/* Objects at the beginning of heap blocks: ended, then the block grows with what is in it, and is
 * freed. */
#include "../tsan.h"

struct account {
	union {
		weft_mutex mutex;
		weft_group group;
		weft_forked fork;
	} u;
	long balance;
};

static void *deposit(void *arg)
{
	struct account *account = arg;

	weft_mutex_lock(&account->u.mutex);
	account->balance++;
	weft_mutex_unlock(&account->u.mutex);
	return NULL;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *work(void *arg)
{
	struct account *accounts = calloc(1, sizeof *accounts);

	weft_mutex_init(&accounts->u.mutex);
	weft_task *task = spawn(deposit, accounts);
	deposit(accounts);
	join(task);
	weft_mutex_fini(&accounts->u.mutex);
	weft_group_init(&accounts->u.group);
	weft_group_fini(&accounts->u.group);
	weft_fork(&accounts->u.fork, nothing, NULL);
	weft_fork_join(&accounts->u.fork);
	accounts = realloc(accounts, 100 * sizeof *accounts);
	MUST(accounts->balance == 2);
	free(accounts);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(work, NULL), *second = spawn(work, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
