/* SPDX-License-Identifier: MIT */
/* The semaphore: every count that is released is taken once or left, even if waiters give up. */
#include "crew.h"

#include "tests/sched/core/task_peek.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 4000

struct permits {
	weft_sem sem;
	_Atomic int inside; /* relaxed, both: only their bounds are checked */
	_Atomic unsigned long taken;
	unsigned long filled[3];
};

static void permits_reset(void *arg)
{
	struct permits *p = arg;

	weft_sem_init(&p->sem, 3);
}

/* At most three are inside at a time. */
static void enter_and_leave(void *arg, unsigned who)
{
	struct permits *p = arg;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		switch ((i + who) % 3) {
		case 0:
			while (weft_sem_try_acquire(&p->sem) == -EAGAIN)
				weft_yield();
			break;
		case 1:
			while (weft_sem_acquire_until(&p->sem, weft_after(5000)) == -ETIMEDOUT)
				weft_yield();
			break;
		default:
			CHECK(weft_sem_acquire(&p->sem) == 0);
		}
		CHECK(atomic_fetch_add_explicit(&p->inside, 1, memory_order_relaxed) < 3);
		if (i % 64 == 0)
			weft_yield();
		atomic_fetch_sub_explicit(&p->inside, 1, memory_order_relaxed);
		weft_sem_release(&p->sem, 1);
	}
}

static unsigned drain(weft_sem *sem)
{
	unsigned count = 0;

	while (weft_sem_try_acquire(sem) == 0)
		count++;
	return count;
}

static void test_sem_bounds(void **state)
{
	static struct permits p = {.sem = WEFT_SEM_INIT(3)};

	(void)state;
	assert_crew(3, 4, 4, enter_and_leave, &p); /* as statically initialised */
	assert_int_equal(drain(&p.sem), 3);
	assert_crews(enter_and_leave, permits_reset, &p);
	assert_int_equal(drain(&p.sem), 3);
	weft_sem_fini(&p.sem);
}

static void try_it(weft_sem *sem)
{
	int64_t deadline = weft_after(100000);

	CHECK(weft_sem_try_acquire(sem) == -EAGAIN);
	CHECK(weft_sem_acquire_until(sem, 0) == -ETIMEDOUT);
	CHECK(weft_sem_acquire_until(sem, -1) == -ETIMEDOUT);
	CHECK(weft_sem_acquire_until(sem, weft_now() - 1) == -ETIMEDOUT);
	CHECK(weft_sem_acquire_until(sem, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	weft_sem_release(sem, 0);
	CHECK(weft_sem_try_acquire(sem) == -EAGAIN);
	weft_sem_release(sem, 4);
	CHECK(weft_sem_try_acquire(sem) == 0);
	CHECK(weft_sem_acquire_until(sem, 0) == 0);
	CHECK(weft_sem_acquire_until(sem, WEFT_FOREVER) == 0);
	CHECK(weft_sem_acquire(sem) == 0);
	CHECK(weft_sem_try_acquire(sem) == -EAGAIN);
}

static void *try_in_a_task(void *arg)
{
	weft_sem sem = WEFT_SEM_INIT(0);

	try_it(&sem);
	weft_sem_fini(&sem);
	return arg;
}

static void test_sem_try_and_until(void **state)
{
	weft_sem sem;

	(void)state;
	assert_run(1, try_in_a_task, NULL);
	assert_run(2, try_in_a_task, NULL);
	weft_sem_init(&sem, 0);
	try_it(&sem);
	assert_int_equal(checks_failed(), 0);
}

#define LINE 6

/* Runs on one worker, so plain fields are enough. */
struct line {
	weft_sem sem;
	unsigned served;
	unsigned order[LINE];
};

struct stander {
	struct line *line;
	unsigned place;
};

static void *stand_in_line(void *arg)
{
	struct stander *s = arg;

	CHECK(weft_sem_acquire(&s->line->sem) == 0);
	s->line->order[s->line->served++] = s->place;
	return NULL;
}

static void *serve_in_order(void *arg)
{
	struct line line = {.sem = WEFT_SEM_INIT(0)};
	struct stander standers[LINE];
	weft_task *tasks[LINE];

	for (unsigned i = 0; i < LINE; i++) {
		standers[i] = (struct stander){&line, i};
		CHECK(weft_spawn(stand_in_line, &standers[i], &tasks[i]) == 0);
		CHECK(await_waiting(tasks[i]));
	}
	for (unsigned i = 0; i < LINE; i++) {
		weft_sem_release(&line.sem, 1);
		/* A caller that comes now does not get the counts of those in line. */
		CHECK(weft_sem_try_acquire(&line.sem) == -EAGAIN);
		CHECK(weft_join(tasks[i], NULL) == 0);
		CHECK(line.served == i + 1 && line.order[i] == i);
	}
	weft_sem_fini(&line.sem);
	return arg;
}

static void test_sem_serves_who_waits_first(void **state)
{
	(void)state;
	assert_run(1, serve_in_order, NULL);
}

static void *wait_to_be_cancelled(void *arg)
{
	weft_sem *sem = arg;

	CHECK(weft_sem_acquire(sem) == -ECANCELED);
	CHECK(weft_sem_acquire(sem) == -ECANCELED);
	CHECK(weft_sem_acquire_until(sem, lost()) == -ECANCELED);
	CHECK(weft_sem_acquire_until(sem, 0) == -ETIMEDOUT);
	weft_cancel_mask();
	CHECK(weft_sem_acquire_until(sem, weft_after(1000)) == -ETIMEDOUT);
	weft_cancel_unmask();
	/* A cancelled task still gets a count that takes no wait. */
	weft_sem_release(sem, 1);
	CHECK(weft_sem_acquire(sem) == 0);
	return NULL;
}

static void *cancel_one(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(500); i++) {
		weft_sem sem = WEFT_SEM_INIT(0);
		weft_task *task;

		CHECK(weft_spawn(wait_to_be_cancelled, &sem, &task) == 0);
		if (i % 2 == 0)
			weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		weft_sem_fini(&sem);
	}
	return arg;
}

static void test_sem_is_a_cancellation_point(void **state)
{
	(void)state;
	assert_run(1, cancel_one, NULL);
	assert_run(3, cancel_one, NULL);
}

/* A wake, a timeout and a cancellation race. The counts taken and those left add up to the counts
 * released. */
#define QUITTERS 6

struct race {
	weft_sem sem;
	flag taken;
};

static void *take_or_quit(void *arg)
{
	struct race *race = arg;

	for (;;) {
		int rc = weft_sem_acquire_until(&race->sem, weft_after(8000));
		CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
		if (rc == 0)
			raise_flag(&race->taken);
		if (rc == -ECANCELED)
			return NULL;
	}
}

static void *race_quitters(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		struct race race = {.sem = WEFT_SEM_INIT(0)};
		weft_task *tasks[QUITTERS];
		unsigned released = 0;

		for (unsigned k = 0; k < QUITTERS; k++)
			CHECK(weft_spawn(take_or_quit, &race, &tasks[k]) == 0);
		for (unsigned k = 0; k < QUITTERS; k++) {
			for (unsigned j = 0; j < 8; j++) {
				/* The members wait, and some give up at about this moment. */
				int64_t until = weft_now() + (i + k + j) % 12 * 1000;
				do
					weft_yield();
				while (weft_now() < until);
				weft_sem_release(&race.sem, 1 + j % 3);
				released += 1 + j % 3;
			}
			CHECK(weft_cancel(tasks[k]) == 0);
			weft_sem_release(&race.sem, 1);
			released++;
		}
		for (unsigned k = 0; k < QUITTERS; k++)
			CHECK(weft_join(tasks[k], NULL) == 0);
		unsigned left = drain(&race.sem);
		CHECK(atomic_load_explicit(&race.taken, memory_order_relaxed) + left == released);
		weft_sem_fini(&race.sem);
	}
	return arg;
}

static void test_sem_loses_no_count(void **state)
{
	(void)state;
	assert_run(1, race_quitters, NULL);
	assert_run(2, race_quitters, NULL);
	assert_run(4, race_quitters, NULL);
}

/* A caller that takes the count frees the semaphore at once. Everything before the release has
 * happened by then. */
struct parcel {
	weft_sem ready;
	unsigned content;
};

static void *hand_over(void *arg)
{
	struct parcel *parcel = arg;

	parcel->content = 42;
	weft_sem_release(&parcel->ready, 1);
	return NULL;
}

static void receive(weft_runtime *rt, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		struct parcel *parcel = malloc(sizeof(*parcel));
		weft_sem_init(&parcel->ready, 0);
		parcel->content = 0;
		CHECK(weft_submit(rt, hand_over, parcel, NULL) == 0);
		if (i % 2 == 0) {
			CHECK(weft_sem_acquire(&parcel->ready) == 0);
		} else {
			while (weft_sem_try_acquire(&parcel->ready) < 0)
				weft_yield();
		}
		CHECK(parcel->content == 42);
		weft_sem_fini(&parcel->ready);
		free(parcel);
	}
}

static void *receive_in_a_task(void *arg)
{
	receive(NULL, weft_test_scale(ROUNDS));
	return arg;
}

static void test_sem_may_be_freed_by_who_took_it(void **state)
{
	weft_runtime *rt;

	(void)state;
	assert_run(1, receive_in_a_task, NULL);
	assert_run(3, receive_in_a_task, NULL);
	rt = assert_create(2);
	receive(rt, weft_test_scale(ROUNDS));
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* The waiter takes the first of two counts, and then does what it likes with the semaphore's
 * memory. */
#define SCRIBBLE 0xee

struct bait {
	/* acquire and release: the first state of the semaphore, and its end */
	_Atomic(weft_sem *) sem;
	flag scribbled;
	unsigned rounds;
};

static void *take_and_scribble(void *arg)
{
	struct bait *bait = arg;

	for (unsigned i = 0; i < bait->rounds; i++) {
		weft_sem *sem;

		while (!(sem = atomic_exchange_explicit(&bait->sem, NULL, memory_order_acquire)))
			sched_yield();
		CHECK(weft_sem_acquire(sem) == 0);
		memset((void *)sem, SCRIBBLE, sizeof(*sem));
		raise_flag(&bait->scribbled);
	}
	return NULL;
}

static void test_sem_release_of_more_lets_go_of_it(void **state)
{
	struct bait bait = {.rounds = weft_test_scale(20000)};
	pthread_t waiter;
	weft_sem sem;

	(void)state;
	assert_int_equal(pthread_create(&waiter, NULL, take_and_scribble, &bait), 0);
	for (unsigned i = 0; i < bait.rounds; i++) {
		const unsigned char *bytes = (const unsigned char *)&sem;

		weft_sem_init(&sem, 0);
		atomic_store_explicit(&bait.sem, &sem, memory_order_release);
		for (unsigned pause = i % 400; pause > 0;
		     pause--) /* so that the waiter waits, or not yet */
			is_raised(&bait.scribbled, i + 1);
		weft_sem_release(&sem, 2);
		CHECK(spin_for(&bait.scribbled, i + 1));
		for (size_t at = 0; at < sizeof(sem); at++)
			CHECK(bytes[at] == SCRIBBLE);
	}
	pthread_join(waiter, NULL);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sem_bounds),
		cmocka_unit_test(test_sem_try_and_until),
		cmocka_unit_test(test_sem_serves_who_waits_first),
		cmocka_unit_test(test_sem_is_a_cancellation_point),
		cmocka_unit_test(test_sem_loses_no_count),
		cmocka_unit_test(test_sem_may_be_freed_by_who_took_it),
		cmocka_unit_test(test_sem_release_of_more_lets_go_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
