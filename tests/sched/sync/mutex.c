/* SPDX-License-Identifier: MIT */
/* The mutex: exclusion, giving up, and no starvation. */
#include "crew.h"

#include <stdlib.h>

#define ROUNDS 4000

struct guarded {
	weft_mutex mutex;
	/* under the mutex; not atomic, so that ThreadSanitizer looks at it, too */
	unsigned long count, twin;
	flag gave_up;
};

static void guarded_reset(void *arg)
{
	struct guarded *g = arg;

	weft_mutex_init(&g->mutex);
	g->count = g->twin = 0;
}

static void lock_somehow(weft_mutex *mutex, unsigned how, flag *gave_up)
{
	switch (how % 4) {
	case 0:
		while (weft_mutex_try_lock(mutex) == -EBUSY)
			weft_yield();
		break;
	case 1:
		while (weft_mutex_lock_until(mutex, weft_after(how % 20000)) == -ETIMEDOUT) {
			raise_flag(gave_up);
			weft_yield(); /* the loop may have been over before it could suspend */
		}
		break;
	default:
		weft_mutex_lock(mutex);
	}
}

static void count(void *arg, unsigned who)
{
	struct guarded *g = arg;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		lock_somehow(&g->mutex, i * 7 + who, &g->gave_up);
		CHECK(g->count == g->twin);
		g->count++;
		/* The holder is away from time to time, so others meet a mutex that stays held. */
		if (i % 256 == 0)
			weft_yield();
		if (i % 1024 == 1)
			weft_sleep(50000);
		g->twin++;
		weft_mutex_unlock(&g->mutex);
	}
}

static void test_mutex_excludes(void **state)
{
	static struct guarded g = {.mutex = WEFT_MUTEX_INIT};

	(void)state;
	assert_crew(4, 4, 4, count, &g); /* as statically initialised */
	assert_true(g.count == 8ul * weft_test_scale(ROUNDS) && g.count == g.twin);
	assert_crews(count, guarded_reset, &g);
	assert_true(g.count == (unsigned long)CREWS_SIZE * weft_test_scale(ROUNDS));
	weft_mutex_fini(&g.mutex);
}

struct scene {
	weft_mutex mutex;
	flag held, go, done;
};

static void *hold_until_go(void *arg)
{
	struct scene *s = arg;

	weft_mutex_lock(&s->mutex);
	raise_flag(&s->held);
	CHECK(yield_for(&s->go, 1));
	weft_mutex_unlock(&s->mutex);
	raise_flag(&s->done);
	return NULL;
}

static void meet_a_held_one(struct scene *s)
{
	int64_t deadline = weft_after(100000);

	CHECK(weft_mutex_try_lock(&s->mutex) == -EBUSY);
	CHECK(weft_mutex_lock_until(&s->mutex, 0) == -ETIMEDOUT);
	CHECK(weft_mutex_lock_until(&s->mutex, -1) == -ETIMEDOUT);
	CHECK(weft_mutex_lock_until(&s->mutex, weft_now() - 1) == -ETIMEDOUT);
	CHECK(weft_mutex_lock_until(&s->mutex, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	raise_flag(&s->go);
	CHECK(weft_mutex_lock_until(&s->mutex, lost()) == 0);
	CHECK(weft_mutex_try_lock(&s->mutex) == -EBUSY);
	weft_mutex_unlock(&s->mutex);
	/* A free mutex is taken with any deadline. */
	CHECK(weft_mutex_lock_until(&s->mutex, 0) == 0);
	weft_mutex_unlock(&s->mutex);
	CHECK(weft_mutex_try_lock(&s->mutex) == 0);
	weft_mutex_unlock(&s->mutex);
}

static void *try_in_a_task(void *arg)
{
	struct scene s = {.mutex = WEFT_MUTEX_INIT};
	weft_task *task;

	CHECK(weft_spawn(hold_until_go, &s, &task) == 0);
	CHECK(yield_for(&s.held, 1));
	meet_a_held_one(&s);
	CHECK(weft_join(task, NULL) == 0);
	weft_mutex_fini(&s.mutex);
	return arg;
}

static void test_mutex_try_and_until(void **state)
{
	struct scene s = {.mutex = WEFT_MUTEX_INIT};
	weft_runtime *rt;
	weft_task *task;

	(void)state;
	assert_run(1, try_in_a_task, NULL);
	assert_run(3, try_in_a_task, NULL);

	rt = assert_create(1);
	assert_int_equal(weft_submit(rt, hold_until_go, &s, &task), 0);
	assert_true(spin_for(&s.held, 1));
	meet_a_held_one(&s);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* A waiter that gives up leaves the others in the queue. */
static void *give_up_soon(void *arg)
{
	struct scene *s = arg;

	CHECK(weft_mutex_lock_until(&s->mutex, weft_after(200000)) == -ETIMEDOUT);
	raise_flag(&s->done);
	return NULL;
}

static void *get_it_at_last(void *arg)
{
	struct scene *s = arg;

	CHECK(weft_mutex_lock_until(&s->mutex, lost()) == 0);
	weft_mutex_unlock(&s->mutex);
	return NULL;
}

static void *queue_with_quitters(void *arg)
{
	struct scene s = {.mutex = WEFT_MUTEX_INIT};
	weft_task *tasks[9];

	weft_mutex_lock(&s.mutex);
	for (unsigned i = 0; i < 9; i++)
		CHECK(weft_spawn(i % 3 == 1 ? get_it_at_last : give_up_soon, &s, &tasks[i]) == 0);
	CHECK(yield_for(&s.done, 6));
	weft_mutex_unlock(&s.mutex);
	for (unsigned i = 0; i < 9; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	weft_mutex_fini(&s.mutex);
	return arg;
}

static void test_mutex_survives_who_gives_up(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, queue_with_quitters, NULL);
}

/*
 * One task holds the mutex nearly all the time and never suspends. The other task waits. On one
 * worker the second task can only run if the first one has to wait. The first task tries first. A
 * call that may wait would give way after a millisecond even if the mutex is free.
 */
static void *want_it(void *arg)
{
	struct scene *s = arg;

	for (unsigned i = 0; i < 3; i++) {
		raise_flag(&s->held);
		weft_mutex_lock(&s->mutex);
		raise_flag(&s->done);
		weft_mutex_unlock(&s->mutex);
	}
	return NULL;
}

static void *hog_it(void *arg)
{
	struct scene s = {.mutex = WEFT_MUTEX_INIT};
	int64_t limit = lost();
	weft_task *task;

	weft_mutex_lock(&s.mutex);
	CHECK(weft_spawn(want_it, &s, &task) == 0);
	CHECK(yield_for(&s.held, 1));
	weft_yield();
	weft_yield();
	while (!is_raised(&s.done, 3)) {
		weft_mutex_unlock(&s.mutex);
		if (weft_mutex_try_lock(&s.mutex) != 0)
			weft_mutex_lock(&s.mutex);
		if (!CHECK(weft_now() < limit))
			break;
	}
	weft_mutex_unlock(&s.mutex);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_mutex_starves_nobody(void **state)
{
	(void)state;
	assert_run(1, hog_it, NULL);
	assert_run(2, hog_it, NULL);
}

static void *lock_while_cancelled(void *arg)
{
	struct scene *s = arg;

	weft_mutex_lock(&s->mutex);
	CHECK(weft_cancelled());
	weft_mutex_unlock(&s->mutex);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return NULL;
}

static void *cancel_a_waiter(void *arg)
{
	struct scene s = {.mutex = WEFT_MUTEX_INIT};
	weft_task *task;

	weft_mutex_lock(&s.mutex);
	CHECK(weft_spawn(lock_while_cancelled, &s, &task) == 0);
	weft_yield();
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join_until(task, NULL, weft_after(1000000)) == -ETIMEDOUT);
	weft_mutex_unlock(&s.mutex);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_mutex_is_no_cancellation_point(void **state)
{
	(void)state;
	assert_run(1, cancel_a_waiter, NULL);
	assert_run(2, cancel_a_waiter, NULL);
}

/* The last member to unlock frees the object. The member before it may still be inside its
 * unlock. */
struct counted {
	weft_mutex mutex;
	unsigned refs; /* under the mutex */
};

struct handouts {
	struct counted *objects[ROUNDS];
};

static void drop(void *arg, unsigned who)
{
	struct handouts *handouts = arg;

	(void)who;
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct counted *object = handouts->objects[i];
		weft_mutex_lock(&object->mutex);
		bool last = --object->refs == 0;
		weft_mutex_unlock(&object->mutex);
		if (last)
			free(object);
	}
}

static void new_objects(void *arg)
{
	struct handouts *handouts = arg;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct counted *object = malloc(sizeof(*object));
		assert_non_null(object);
		weft_mutex_init(&object->mutex);
		object->refs = CREWS_SIZE;
		handouts->objects[i] = object;
	}
}

static void test_mutex_may_be_freed_by_the_last(void **state)
{
	static struct handouts handouts;

	(void)state;
	assert_crews(drop, new_objects, &handouts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutex_excludes),
		cmocka_unit_test(test_mutex_try_and_until),
		cmocka_unit_test(test_mutex_survives_who_gives_up),
		cmocka_unit_test(test_mutex_starves_nobody),
		cmocka_unit_test(test_mutex_is_no_cancellation_point),
		cmocka_unit_test(test_mutex_may_be_freed_by_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
