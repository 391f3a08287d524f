/* SPDX-License-Identifier: MIT */
/*
 * What is held, by kind: a hash table with linear probing under one lock. It must not allocate,
 * because malloc() calls it. The size of a thread is 1.
 */
#include "faults.h"

#include <pthread.h>
#include <stdlib.h>

#define SLOTS 16384

struct slot {
	uintptr_t key; /* 0: free, 1: was used */
	size_t size;
};

static struct slot books[HELD_KINDS][SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t hash(uintptr_t key)
{
	return (size_t)((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15) >> 50) % SLOTS;
}

void held_add(enum held_kind kind, uintptr_t key, size_t size)
{
	struct slot *book = books[kind];
	size_t i = hash(key);
	size_t seen = 0;

	pthread_mutex_lock(&lock);
	while (book[i].key > 1 && book[i].key != key) {
		i = (i + 1) % SLOTS;
		if (++seen == SLOTS)
			abort(); /* the workload is not a small one */
	}
	book[i] = (struct slot){key, size};
	pthread_mutex_unlock(&lock);
}

size_t held_remove(enum held_kind kind, uintptr_t key)
{
	struct slot *book = books[kind];
	size_t i = hash(key);
	size_t size = 0;

	pthread_mutex_lock(&lock);
	for (size_t seen = 0; seen < SLOTS && book[i].key != 0; seen++, i = (i + 1) % SLOTS) {
		if (book[i].key == key) {
			size = book[i].size;
			book[i].key = 1;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return size;
}

static int by_size(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return (left > right) - (left < right);
}

size_t faults_read_held(enum held_kind kind, size_t *sizes, size_t max)
{
	size_t count = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SLOTS; i++) {
		if (books[kind][i].key <= 1)
			continue;
		if (count < max)
			sizes[count] = books[kind][i].size;
		count++;
	}
	pthread_mutex_unlock(&lock);
	qsort(sizes, count < max ? count : max, sizeof *sizes, by_size);
	return count;
}
