/* SPDX-License-Identifier: MIT */
/*
 * The owner of a lock. Nobody inherits a lock: if a task ends while it holds one, the lock stays
 * locked, even if the next task lies at the same address. The same holds for threads.
 */
#include "crew.h"

static weft_mutex mutex;
static weft_rwlock rwlock;

struct heir {
	weft_fn *act;
	weft_task *self;
};

static void *lock_and_end(void *arg)
{
	weft_mutex_lock(&mutex);
	weft_rwlock_wrlock(&rwlock);
	*(weft_task **)arg = weft_self();
	return NULL;
}

static void *act_at_that_address(void *arg)
{
	struct heir *heir = arg;

	return weft_self() == heir->self ? heir->act(arg) : arg;
}

/* Ends a task that holds the locks, then acts in a task at the same address. Returns whether there
 * was such a task. */
static bool inherit_once(struct heir *heir)
{
	weft_task *task;
	void *result = heir;

	mutex = (weft_mutex)WEFT_MUTEX_INIT;
	rwlock = (weft_rwlock)WEFT_RWLOCK_INIT;
	CHECK(weft_spawn(lock_and_end, &heir->self, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	for (unsigned i = 0; result && i < 100; i++) {
		CHECK(weft_spawn(act_at_that_address, heir, &task) == 0);
		CHECK(weft_join(task, &result) == 0);
	}
	return !result;
}

/* A block that was freed on another worker may stay unused for long. Then this tries once more. */
static void *inherit(void *arg)
{
	struct heir heir = {.act = *(weft_fn **)arg};
	bool inherited = false;

	for (unsigned i = 0; !inherited && i < 1000; i++)
		inherited = inherit_once(&heir);
	CHECK(inherited);
	return arg;
}

static void *find_it_locked(void *arg)
{
	(void)arg;
	CHECK(weft_mutex_try_lock(&mutex) == -EBUSY);
	CHECK(weft_mutex_lock_until(&mutex, weft_after(1000)) == -ETIMEDOUT);
	CHECK(weft_rwlock_try_wrlock(&rwlock) == -EBUSY);
	CHECK(weft_rwlock_wrlock_until(&rwlock, weft_after(1000)) == -ETIMEDOUT);
	CHECK(weft_rwlock_rdlock_until(&rwlock, weft_after(1000)) == -ETIMEDOUT);
	return NULL;
}

static void test_a_task_at_the_same_address_finds_it_locked(void **state)
{
	weft_fn *act = find_it_locked;

	(void)state;
	assert_run(1, inherit, &act);
	assert_run(2, inherit, &act);
}

static void *unlock_mutex(void *arg)
{
	weft_mutex_unlock(&mutex);
	return arg;
}

static void *unlock_rwlock(void *arg)
{
	weft_rwlock_unlock(&rwlock);
	return arg;
}

static void *downgrade(void *arg)
{
	weft_rwlock_downgrade(&rwlock);
	return arg;
}

static weft_fn *chosen;

static void run_chosen(void *arg)
{
	(void)arg;
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(inherit, &chosen, NULL));
}

static void test_nor_can_it_unlock(void **state)
{
	(void)state;
	chosen = unlock_mutex;
	assert_aborts(run_chosen, "weft_mutex_unlock: mutex 0x",
		      "is not held by the caller, but by task ");
	chosen = unlock_rwlock;
	assert_aborts(run_chosen, "weft_rwlock_unlock: read-write lock 0x",
		      "is not held by the caller, but by task ");
	chosen = downgrade;
	assert_aborts(run_chosen, "weft_rwlock_downgrade: read-write lock 0x",
		      "is not held for writing by the caller, but by task ");
}

static void *lock_on_a_thread(void *arg)
{
	weft_mutex_lock(&mutex);
	return arg;
}

static void *find_it_locked_on_a_thread(void *arg)
{
	CHECK(weft_mutex_try_lock(&mutex) == -EBUSY);
	CHECK(weft_mutex_lock_until(&mutex, weft_after(1000)) == -ETIMEDOUT);
	return arg;
}

/* The C library gives the second thread the stack of the first one, with its thread-local
 * storage. */
static void test_nor_does_the_next_thread(void **state)
{
	pthread_t thread;

	(void)state;
	weft_mutex_init(&mutex);
	assert_int_equal(pthread_create(&thread, NULL, lock_on_a_thread, NULL), 0);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(pthread_create(&thread, NULL, find_it_locked_on_a_thread, NULL),
				 0);
		pthread_join(thread, NULL);
	}
	assert_int_equal(checks_failed(), 0);
}

/* A task that has never locked anything has no number yet. */
static void *unlock_before_any_lock(void *arg)
{
	weft_mutex_unlock(&mutex);
	return arg;
}

static void run_unlock(void *arg)
{
	child_got(weft_run(unlock_before_any_lock, arg, NULL));
}

static void test_a_free_mutex_is_nobodys(void **state)
{
	(void)state;
	weft_mutex_init(&mutex);
	assert_aborts(run_unlock, "weft_mutex_unlock: mutex 0x",
		      "is not held by the caller, nor by anybody");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* This comes first: under ThreadSanitizer a child of a process that had threads
		 * cannot start any. */
		cmocka_unit_test(test_nor_can_it_unlock),
		cmocka_unit_test(test_a_free_mutex_is_nobodys),
		cmocka_unit_test(test_a_task_at_the_same_address_finds_it_locked),
		cmocka_unit_test(test_nor_does_the_next_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
