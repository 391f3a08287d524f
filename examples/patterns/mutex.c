/* SPDX-License-Identifier: MIT */
/*
 * A mutex that may be held while its holder waits. It belongs to the task, not to the thread. So a
 * task that holds it may sleep, send and receive. (A pthread mutex may not be held over such a
 * call.)
 *
 * Go:     mu.Lock(); defer mu.Unlock()
 * tokio:  let mut guard = mutex.lock().await; ... guard is held over an .await
 */
#include "../example.h"

#include <weft/weft.h>

enum { ACCOUNTS = 4, CLERKS = 8, TRANSFERS = 100, START = 1000 };

struct account {
	weft_mutex mutex;
	int balance; /* under mutex */
};

static struct account accounts[ACCOUNTS];

/* Locks in the order of addresses, so that two transfers never wait for each other. */
static void transfer(struct account *from, struct account *to, int amount)
{
	weft_mutex_lock(from < to ? &from->mutex : &to->mutex);
	weft_mutex_lock(from < to ? &to->mutex : &from->mutex);
	from->balance -= amount;
	weft_yield(); /* somebody else runs here; nobody sees the missing amount */
	to->balance += amount;
	weft_mutex_unlock(&from->mutex);
	weft_mutex_unlock(&to->mutex);
}

static void *clerk(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < TRANSFERS; i++) {
		n = n * 1103515245 + 12345;
		struct account *from = &accounts[(n >> 16) % ACCOUNTS];
		transfer(from, &accounts[(from - accounts + 1) % ACCOUNTS], (int)(n >> 24) % 10);
	}
	return NULL;
}

static void *run(void *arg)
{
	weft_group group;
	int sum = 0;

	weft_group_init(&group);
	for (int i = 0; i < ACCOUNTS; i++)
		accounts[i] = (struct account){WEFT_MUTEX_INIT, START};
	for (uintptr_t i = 0; i < CLERKS; i++)
		CHECK(weft_group_spawn(&group, clerk, (void *)i) == 0);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	for (int i = 0; i < ACCOUNTS; i++)
		sum += accounts[i].balance;
	printf("%d after %d transfers\n", sum, CLERKS * TRANSFERS);
	CHECK(sum == ACCOUNTS * START);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
