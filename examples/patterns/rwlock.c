/* SPDX-License-Identifier: MIT */
/*
 * A cache that is read far more often than it is written. A reader that misses turns its lock into
 * one for writing. If another reader has asked for the same, this reader must let the other one go
 * first.
 *
 * Go:     mu.RLock(); v, ok := cache[k]; mu.RUnlock(); if !ok { mu.Lock(); ...; mu.Unlock() }
 * tokio:  RwLock::read().await, write().await
 */
#include "../example.h"

#include <weft/weft.h>

enum { KEYS = 16, READERS = 20, LOOKUPS = 200 };

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static long cache[KEYS]; /* 0: not there; under lock */
static int computed;     /* under lock, for writing */

static long lookup(int key)
{
	long value;

	weft_rwlock_rdlock(&lock);
	if (cache[key] == 0) {
		if (weft_rwlock_upgrade(&lock) < 0) { /* -EDEADLK: another reader waits for us */
			weft_rwlock_unlock(&lock);
			weft_rwlock_wrlock(&lock);
		}
		if (cache[key] == 0) { /* else it came while we waited */
			computed++;
			weft_yield();
			cache[key] = key + 1000;
		}
		weft_rwlock_downgrade(&lock); /* no writer comes in between */
	}
	value = cache[key];
	weft_rwlock_unlock(&lock);
	return value;
}

static void *reader(void *arg)
{
	for (int i = 0; i < LOOKUPS; i++) {
		int key = (int)((intptr_t)arg + i) * 7 % KEYS;
		CHECK(lookup(key) == key + 1000);
	}
	return NULL;
}

static void *run(void *arg)
{
	weft_group group;

	weft_group_init(&group);
	for (intptr_t i = 0; i < READERS; i++)
		CHECK(weft_group_spawn(&group, reader, (void *)i) == 0);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	printf("%d lookups, %d values computed\n", READERS * LOOKUPS, computed);
	CHECK(computed == KEYS);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
