/* SPDX-License-Identifier: MIT */
/* Turning a lock that is held for reading into one that is held for writing. */
#include "crew.h"

#include "src/base/random.h"

/* --- step by step --- */

struct scene {
	weft_rwlock lock;
	flag begun, done;
	int64_t deadline;
	int rc;
	int kind; /* what it does: 'u'pgrade, 'r'ead, 'w'rite */
};

static void *act(void *arg)
{
	struct scene *s = arg;
	weft_rwlock *lock = &s->lock;

	if (s->kind == 'u')
		weft_rwlock_rdlock(lock);
	raise_flag(&s->begun);
	if (s->kind == 'u')
		s->rc = weft_rwlock_upgrade_until(lock, s->deadline);
	else if (s->kind == 'r')
		weft_rwlock_rdlock(lock);
	else
		weft_rwlock_wrlock(lock);
	raise_flag(&s->done);
	weft_rwlock_unlock(lock);
	return arg;
}

/* There is one worker. So when this returns, the task has begun and waits. */
static weft_task *begin(struct scene *s, int kind, int64_t deadline)
{
	weft_task *task = NULL;

	s->kind = kind;
	s->deadline = deadline;
	s->begun = s->done = 0;
	s->rc = 77;
	CHECK(weft_spawn(act, s, &task) == 0);
	CHECK(yield_for(&s->begun, 1));
	return task;
}

static void *upgrade_alone(void *arg)
{
	weft_rwlock lock = WEFT_RWLOCK_INIT;

	for (unsigned i = 0; i < 3; i++) {
		weft_rwlock_rdlock(&lock);
		CHECK((i == 0 ? weft_rwlock_upgrade(&lock)
			      : weft_rwlock_upgrade_until(&lock, i == 1 ? 0 : lost())) == 0);
		CHECK(weft_rwlock_try_rdlock(&lock) == -EBUSY);
		if (i == 2)
			weft_rwlock_downgrade(&lock);
		weft_rwlock_unlock(&lock);
		CHECK(weft_rwlock_try_wrlock(&lock) == 0);
		weft_rwlock_unlock(&lock);
	}
	weft_rwlock_fini(&lock);
	return arg;
}

/* An upgrade waits for the other reader, but not for the writer that came before. New readers
 * wait. */
static void *upgrade_beside_a_reader(void *arg)
{
	struct scene s = {.lock = WEFT_RWLOCK_INIT};

	weft_rwlock_rdlock(&s.lock);
	weft_task *task = begin(&s, 'u', WEFT_FOREVER);
	CHECK(!is_raised(&s.done, 1));
	CHECK(weft_rwlock_try_rdlock(&s.lock) == -EBUSY);
	CHECK(weft_rwlock_upgrade(&s.lock) == -EDEADLK);
	CHECK(weft_rwlock_upgrade_until(&s.lock, 0) == -EDEADLK);
	weft_rwlock_unlock(&s.lock);
	CHECK(weft_join(task, NULL) == 0 && s.rc == 0);
	CHECK(weft_rwlock_try_wrlock(&s.lock) == 0);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_fini(&s.lock);
	return arg;
}

/* An upgrade while a writer waits: the writer comes after it. */
static void *upgrade_before_those_who_wait(void *arg)
{
	struct scene writer = {.lock = WEFT_RWLOCK_INIT};
	weft_task *task;

	weft_rwlock_rdlock(&writer.lock);
	task = begin(&writer, 'w', 0);
	CHECK(!is_raised(&writer.done, 1));
	CHECK(weft_rwlock_upgrade(&writer.lock) == 0);
	weft_yield();
	CHECK(!is_raised(&writer.done, 1));
	weft_rwlock_unlock(&writer.lock);
	CHECK(weft_join(task, NULL) == 0);
	weft_rwlock_fini(&writer.lock);
	return arg;
}

/* An upgrader that gives up is still a reader. The readers that it kept out come in. */
static void *give_up(void *arg)
{
	struct scene s = {.lock = WEFT_RWLOCK_INIT};

	weft_rwlock_rdlock(&s.lock);
	weft_rwlock_rdlock(&s.lock);
	CHECK(weft_rwlock_upgrade_until(&s.lock, 0) == -ETIMEDOUT);
	CHECK(weft_rwlock_upgrade_until(&s.lock, weft_after(100000)) == -ETIMEDOUT);
	CHECK(weft_rwlock_try_rdlock(&s.lock) == 0);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_unlock(&s.lock);
	CHECK(weft_rwlock_upgrade(&s.lock) == 0);
	weft_rwlock_downgrade(&s.lock);

	/* Another reader waits behind it, and reads as soon as it has given up. */
	weft_task *upgrader = begin(&s, 'u', weft_after(3000000));
	while (weft_rwlock_rdlock_until(&s.lock, weft_after(500000)) == -ETIMEDOUT)
		;
	CHECK(weft_join(upgrader, NULL) == 0 && s.rc == -ETIMEDOUT);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_fini(&s.lock);
	return arg;
}

static void *step_by_step(void *arg)
{
	upgrade_alone(arg);
	upgrade_beside_a_reader(arg);
	upgrade_before_those_who_wait(arg);
	give_up(arg);
	return arg;
}

static void test_upgrade_step_by_step(void **state)
{
	(void)state;
	assert_run(1, step_by_step, NULL);
	upgrade_alone(NULL);
	assert_int_equal(checks_failed(), 0);
}

/* --- all at once --- */

struct shared {
	weft_rwlock lock;
	unsigned long value, copy;                         /* equal, except while somebody writes */
	_Atomic unsigned long written, refused, timed_out; /* relaxed */
	_Atomic int readers, writers;                      /* relaxed */
};

static void write_it(struct shared *s)
{
	CHECK(atomic_fetch_add_explicit(&s->writers, 1, memory_order_relaxed) == 0);
	CHECK(atomic_load_explicit(&s->readers, memory_order_relaxed) == 0);
	s->value++;
	if (s->value % 5 == 0)
		weft_yield();
	s->copy++;
	atomic_fetch_add_explicit(&s->written, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&s->writers, 1, memory_order_relaxed);
}

static void read_and_write(void *arg, unsigned who)
{
	struct shared *s = arg;
	struct weft__random random;

	weft__random_seed(&random, who);
	for (unsigned i = 0; i < weft_test_scale(1000); i++) {
		unsigned what = weft__random_below(&random, 8);
		int64_t deadline = what == 0 ? 0 : what == 1 ? weft_after(20000) : lost();

		if (what == 7) {
			weft_rwlock_wrlock(&s->lock);
			write_it(s);
			weft_rwlock_unlock(&s->lock);
			continue;
		}
		weft_rwlock_rdlock(&s->lock);
		unsigned long seen = s->value;
		CHECK(seen == s->copy);
		atomic_fetch_add_explicit(&s->readers, 1, memory_order_relaxed);
		if (what % 2)
			weft_yield();
		CHECK(s->value == seen && s->copy == seen);
		atomic_fetch_sub_explicit(&s->readers, 1, memory_order_relaxed);
		if (what < 5) {
			int rc = weft_rwlock_upgrade_until(&s->lock, deadline);
			/* Nobody has written in between. */
			CHECK(s->value == seen && s->copy == seen);
			if (rc == 0)
				write_it(s);
			else if (rc == -EDEADLK)
				atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
			else if (CHECK(rc == -ETIMEDOUT && what < 2))
				atomic_fetch_add_explicit(&s->timed_out, 1, memory_order_relaxed);
		}
		weft_rwlock_unlock(&s->lock);
	}
}

static void reset_shared(void *arg)
{
	struct shared *s = arg;

	*s = (struct shared){.value = 0};
	weft_rwlock_init(&s->lock);
}

static void test_upgrades_exclude(void **state)
{
	static struct shared s;

	(void)state;
	assert_crews(read_and_write, reset_shared, &s);
	assert_int_equal(s.value, s.written);
	assert_int_equal(s.copy, s.written);
	print_message("%lu written, %lu refused, %lu timed out\n", s.written, s.refused,
		      s.timed_out);
	weft_rwlock_fini(&s.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upgrade_step_by_step),
		cmocka_unit_test(test_upgrades_exclude),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
