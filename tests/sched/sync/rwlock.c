/* SPDX-License-Identifier: MIT */
/* The read-write lock: exclusion, readers side by side, and no starvation of either kind. */
#include "crew.h"

#define ROUNDS 3000

struct guarded {
	weft_rwlock lock;
	/* under the lock; not atomic, so that ThreadSanitizer looks at it, too */
	unsigned long count, twin;
	_Atomic unsigned long gave_up; /* relaxed */
};

static void guarded_reset(void *arg)
{
	struct guarded *g = arg;

	weft_rwlock_init(&g->lock);
	g->count = g->twin = 0;
}

static void lock_somehow(weft_rwlock *lock, bool write, unsigned how)
{
	switch (how % 5) {
	case 0:
		while ((write ? weft_rwlock_try_wrlock(lock) : weft_rwlock_try_rdlock(lock)) ==
		       -EBUSY)
			weft_yield();
		break;
	case 1:
	case 2:
		while ((write ? weft_rwlock_wrlock_until(lock, weft_after(how % 20000))
			      : weft_rwlock_rdlock_until(lock, weft_after(how % 20000))) ==
		       -ETIMEDOUT)
			weft_yield();
		break;
	default:
		if (write)
			weft_rwlock_wrlock(lock);
		else
			weft_rwlock_rdlock(lock);
	}
}

static void read_and_write(void *arg, unsigned who)
{
	struct guarded *g = arg;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		bool write = (i + who) % 4 == 0;
		lock_somehow(&g->lock, write, i * 7 + who);
		unsigned long count = g->count;
		CHECK(count == g->twin);
		if (i % 128 == 0)
			weft_yield();
		if (write) {
			g->count++;
			if (i % 64 == 1)
				weft_yield();
			g->twin++;
			if (i % 8 < 3) {
				weft_rwlock_downgrade(&g->lock);
				CHECK(g->count == count + 1 && g->twin == count + 1);
				if (i % 64 == 2)
					weft_yield();
			}
		}
		CHECK(g->count == count + write);
		weft_rwlock_unlock(&g->lock);
	}
}

static void test_rwlock_excludes(void **state)
{
	static struct guarded g = {.lock = WEFT_RWLOCK_INIT};

	(void)state;
	assert_crew(3, 4, 4, read_and_write, &g); /* as statically initialised */
	assert_true(g.count == 2ul * weft_test_scale(ROUNDS));
	weft_rwlock_fini(&g.lock);
	assert_crews(read_and_write, guarded_reset, &g);
	assert_true(g.count == (unsigned long)CREWS_SIZE * weft_test_scale(ROUNDS) / 4);
	weft_rwlock_fini(&g.lock);
}

struct scene {
	weft_rwlock lock;
	bool write;
	flag in, go, done;
};

static void *hold(void *arg)
{
	struct scene *s = arg;

	if (s->write)
		weft_rwlock_wrlock(&s->lock);
	else
		weft_rwlock_rdlock(&s->lock);
	raise_flag(&s->in);
	CHECK(yield_for(&s->go, 1));
	weft_rwlock_unlock(&s->lock);
	raise_flag(&s->done);
	return NULL;
}

static void meet_a_reader(struct scene *s)
{
	int64_t deadline = weft_after(50000);

	CHECK(weft_rwlock_try_wrlock(&s->lock) == -EBUSY);
	CHECK(weft_rwlock_wrlock_until(&s->lock, 0) == -ETIMEDOUT);
	CHECK(weft_rwlock_wrlock_until(&s->lock, weft_now() - 1) == -ETIMEDOUT);
	CHECK(weft_rwlock_wrlock_until(&s->lock, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	/* Readers hold the lock side by side. */
	CHECK(weft_rwlock_try_rdlock(&s->lock) == 0);
	CHECK(weft_rwlock_try_wrlock(&s->lock) == -EBUSY);
	weft_rwlock_unlock(&s->lock);
	CHECK(weft_rwlock_rdlock_until(&s->lock, 0) == 0);
	weft_rwlock_unlock(&s->lock);
	raise_flag(&s->go);
	CHECK(weft_rwlock_wrlock_until(&s->lock, lost()) == 0);
	weft_rwlock_unlock(&s->lock);
}

static void meet_a_writer(struct scene *s)
{
	int64_t deadline = weft_after(50000);

	CHECK(weft_rwlock_try_wrlock(&s->lock) == -EBUSY);
	CHECK(weft_rwlock_try_rdlock(&s->lock) == -EBUSY);
	CHECK(weft_rwlock_rdlock_until(&s->lock, 0) == -ETIMEDOUT);
	CHECK(weft_rwlock_rdlock_until(&s->lock, weft_now() - 1) == -ETIMEDOUT);
	CHECK(weft_rwlock_rdlock_until(&s->lock, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	raise_flag(&s->go);
	CHECK(weft_rwlock_rdlock_until(&s->lock, lost()) == 0);
	weft_rwlock_unlock(&s->lock);
	CHECK(weft_rwlock_wrlock_until(&s->lock, 0) == 0);
	weft_rwlock_unlock(&s->lock);
}

static void *meet_in_a_task(void *arg)
{
	for (unsigned write = 0; write < 2; write++) {
		struct scene s = {.lock = WEFT_RWLOCK_INIT, .write = write};
		weft_task *task;

		CHECK(weft_spawn(hold, &s, &task) == 0);
		CHECK(yield_for(&s.in, 1));
		(write ? meet_a_writer : meet_a_reader)(&s);
		CHECK(weft_join(task, NULL) == 0);
		weft_rwlock_fini(&s.lock);
	}
	return arg;
}

static void test_rwlock_try_and_until(void **state)
{
	weft_runtime *rt;

	(void)state;
	assert_run(1, meet_in_a_task, NULL);
	assert_run(3, meet_in_a_task, NULL);
	rt = assert_create(1);
	for (unsigned write = 0; write < 2; write++) {
		struct scene s = {.lock = WEFT_RWLOCK_INIT, .write = write};
		weft_task *task;

		assert_int_equal(weft_submit(rt, hold, &s, &task), 0);
		assert_true(spin_for(&s.in, 1));
		(write ? meet_a_writer : meet_a_reader)(&s);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/*
 * Half of the crew reads and half writes, all the time, until each kind has had its turns. Readers
 * overlap, so without an order the lock would never be free for a writer. The same holds the other
 * way round.
 */
struct rush {
	weft_rwlock lock;
	flag reads, writes;
};

static void rush_reset(void *arg)
{
	struct rush *r = arg;

	weft_rwlock_init(&r->lock);
	atomic_store_explicit(&r->reads, 0, memory_order_relaxed);
	atomic_store_explicit(&r->writes, 0, memory_order_relaxed);
}

static void rush(void *arg, unsigned who)
{
	struct rush *r = arg;
	unsigned turns = weft_test_scale(2000);
	int64_t limit = lost();

	while (!is_raised(&r->reads, turns) || !is_raised(&r->writes, turns)) {
		if (who % 2 == 0) {
			weft_rwlock_rdlock(&r->lock);
			weft_yield(); /* the readers overlap */
			raise_flag(&r->reads);
		} else {
			weft_rwlock_wrlock(&r->lock);
			weft_yield();
			raise_flag(&r->writes);
		}
		weft_rwlock_unlock(&r->lock);
		if (!CHECK(weft_now() < limit))
			return;
	}
}

static void test_rwlock_starves_neither(void **state)
{
	static struct rush r;

	(void)state;
	assert_crews(rush, rush_reset, &r);
	weft_rwlock_fini(&r.lock);
}

/* A reader waits behind a writer that waits. When the writer gives up, the reader enters beside the
 * first reader. */
static void *write_or_quit(void *arg)
{
	struct scene *s = arg;

	raise_flag(&s->in);
	CHECK(weft_rwlock_wrlock_until(&s->lock, weft_after(300000)) == -ETIMEDOUT);
	return NULL;
}

static void *read_at_last(void *arg)
{
	struct scene *s = arg;

	CHECK(weft_rwlock_rdlock_until(&s->lock, lost()) == 0);
	raise_flag(&s->done);
	weft_rwlock_unlock(&s->lock);
	return NULL;
}

static void *quit_before_readers(void *arg)
{
	struct scene s = {.lock = WEFT_RWLOCK_INIT};
	weft_task *writer, *readers[3];

	weft_rwlock_rdlock(&s.lock);
	CHECK(weft_spawn(write_or_quit, &s, &writer) == 0);
	CHECK(yield_for(&s.in, 1));
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(read_at_last, &s, &readers[i]) == 0);
	/* The first reader holds the lock all the time. */
	CHECK(yield_for(&s.done, 3));
	CHECK(weft_rwlock_try_wrlock(&s.lock) == -EBUSY);
	CHECK(weft_join(writer, NULL) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(readers[i], NULL) == 0);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_fini(&s.lock);
	return arg;
}

static void test_rwlock_readers_pass_a_writer_that_gave_up(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, quit_before_readers, NULL);
}

static void *downgrade_before_readers(void *arg)
{
	struct scene s = {.lock = WEFT_RWLOCK_INIT};
	weft_task *readers[3];

	weft_rwlock_wrlock(&s.lock);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(read_at_last, &s, &readers[i]) == 0);
	weft_yield();
	CHECK(!is_raised(&s.done, 1));
	weft_rwlock_downgrade(&s.lock);
	CHECK(yield_for(&s.done, 3));
	CHECK(weft_rwlock_try_wrlock(&s.lock) == -EBUSY);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(readers[i], NULL) == 0);
	weft_rwlock_unlock(&s.lock);
	CHECK(weft_rwlock_try_wrlock(&s.lock) == 0);
	weft_rwlock_unlock(&s.lock);
	weft_rwlock_fini(&s.lock);
	return arg;
}

static void test_rwlock_downgrade_lets_readers_in(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, downgrade_before_readers, NULL);
}

static void *lock_while_cancelled(void *arg)
{
	struct scene *s = arg;

	if (s->write)
		weft_rwlock_wrlock(&s->lock);
	else
		weft_rwlock_rdlock(&s->lock);
	CHECK(weft_cancelled());
	weft_rwlock_unlock(&s->lock);
	return NULL;
}

static void *cancel_a_waiter(void *arg)
{
	for (unsigned write = 0; write < 2; write++) {
		struct scene s = {.lock = WEFT_RWLOCK_INIT, .write = write};
		weft_task *task;

		weft_rwlock_wrlock(&s.lock);
		CHECK(weft_spawn(lock_while_cancelled, &s, &task) == 0);
		weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join_until(task, NULL, weft_after(500000)) == -ETIMEDOUT);
		weft_rwlock_unlock(&s.lock);
		CHECK(weft_join(task, NULL) == 0);
		weft_rwlock_fini(&s.lock);
	}
	return arg;
}

static void test_rwlock_is_no_cancellation_point(void **state)
{
	(void)state;
	assert_run(1, cancel_a_waiter, NULL);
	assert_run(2, cancel_a_waiter, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rwlock_excludes),
		cmocka_unit_test(test_rwlock_try_and_until),
		cmocka_unit_test(test_rwlock_starves_neither),
		cmocka_unit_test(test_rwlock_readers_pass_a_writer_that_gave_up),
		cmocka_unit_test(test_rwlock_downgrade_lets_readers_in),
		cmocka_unit_test(test_rwlock_is_no_cancellation_point),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
