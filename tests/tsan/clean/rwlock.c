/* SPDX-License-Identifier: MIT */
/* Readers read, writers write; one writer becomes a reader, and one reader a writer. */
#include "../tsan.h"

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static long left, right;

static void *read_both(void *arg)
{
	for (int i = 0; i < 30; i++) {
		weft_rwlock_rdlock(&lock);
		MUST(left == right);
		if (i % 7 == 0)
			weft_yield();
		weft_rwlock_unlock(&lock);
	}
	return arg;
}

static void *write_both(void *arg)
{
	for (int i = 0; i < 30; i++) {
		weft_rwlock_wrlock(&lock);
		left++;
		if (i % 7 == 0)
			weft_yield();
		right++;
		if (arg) {
			weft_rwlock_downgrade(&lock);
			MUST(left == right);
		}
		weft_rwlock_unlock(&lock);
	}
	return arg;
}

static void *read_then_write(void *arg)
{
	for (int i = 0; i < 30; i++) {
		weft_rwlock_rdlock(&lock);
		long seen = left;
		MUST(seen == right);
		weft_yield();
		MUST(weft_rwlock_upgrade(&lock) == 0);
		MUST(left == seen); /* nobody writes in between */
		left++;
		right++;
		weft_rwlock_unlock(&lock);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[5] = {spawn(read_both, NULL), spawn(write_both, NULL),
			       spawn(read_both, NULL), spawn(write_both, &lock),
			       spawn(read_then_write, NULL)};

	for (int i = 0; i < 5; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return left != 90 || right != 90;
}
