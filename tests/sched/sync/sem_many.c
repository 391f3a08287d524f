/* SPDX-License-Identifier: MIT */
/* Taking several counts of a semaphore at once. */
#include "crew.h"

#include "src/base/random.h"

/* --- all or nothing --- */

static void take_two_of_three(void *arg, unsigned who)
{
	weft_sem *sem = arg;

	(void)who;
	for (unsigned i = 0; i < weft_test_scale(300); i++) {
		CHECK(weft_sem_acquire_n_until(sem, 2, lost()) == 0);
		CHECK(weft_sem_value(sem) <= 1);
		weft_yield();
		weft_sem_release(sem, i % 2 + 1);
		weft_sem_release(sem, 1 - i % 2);
	}
}

static void reset_three(void *arg)
{
	weft_sem_init(arg, 3);
}

static void test_two_that_take_two_of_three_take_turns(void **state)
{
	static weft_sem sem;

	(void)state;
	assert_crews(take_two_of_three, reset_three, &sem);
	assert_int_equal(weft_sem_value(&sem), 3);
	weft_sem_fini(&sem);
}

/* --- order --- */

struct taker {
	weft_sem *sem;
	unsigned n;
	int64_t deadline;
	flag *begun;
	int rc;
	flag done;
};

static void *take_some(void *arg)
{
	struct taker *t = arg;

	raise_flag(t->begun);
	t->rc = weft_sem_acquire_n_until(t->sem, t->n, t->deadline);
	raise_flag(&t->done);
	return arg;
}

/* There is one worker. So when this returns, the task has begun and waits. */
static weft_task *stand_in_line(struct taker *t)
{
	weft_task *task = NULL;
	flag begun = 0;

	t->begun = &begun;
	CHECK(weft_spawn(take_some, t, &task) == 0);
	CHECK(yield_for(&begun, 1));
	return task;
}

static void *serve_in_order(void *arg)
{
	weft_sem sem = WEFT_SEM_INIT(2);
	struct taker big = {&sem, 3, WEFT_FOREVER, NULL, 77, 0}, small = big, last = big;
	weft_task *tasks[3];

	small.n = 1;
	last.n = 2;
	tasks[0] = stand_in_line(&big);
	tasks[1] = stand_in_line(&small);
	tasks[2] = stand_in_line(&last);
	/* There would be enough for the second taker, but it came later. */
	CHECK(weft_sem_value(&sem) == 2);
	CHECK(weft_sem_try_acquire(&sem) == -EAGAIN);
	CHECK(weft_sem_acquire_n_until(&sem, 2, 0) == -ETIMEDOUT);
	weft_yield();
	CHECK(!is_raised(&small.done, 1));
	weft_sem_release(&sem, 1);
	CHECK(yield_for(&big.done, 1));
	weft_yield();
	CHECK(!is_raised(&small.done, 1) && weft_sem_value(&sem) == 0);
	weft_sem_release(&sem, 2);
	CHECK(yield_for(&small.done, 1));
	weft_yield();
	CHECK(!is_raised(&last.done, 1) && weft_sem_value(&sem) == 1);
	weft_sem_release(&sem, 4);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(big.rc == 0 && small.rc == 0 && last.rc == 0);
	CHECK(weft_sem_value(&sem) == 3);
	CHECK(weft_sem_acquire_n(&sem, 0) == 0 && weft_sem_acquire_n(&sem, 3) == 0);
	CHECK(weft_sem_acquire_n_until(&sem, 0, 0) == 0);
	weft_sem_fini(&sem);
	return arg;
}

static void test_first_come_first_served(void **state)
{
	(void)state;
	assert_run(1, serve_in_order, NULL);
}

/* A waiter that leaves the head of the line lets those behind it have what is there. */
static void *give_up_first(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		weft_sem sem = WEFT_SEM_INIT(2);
		struct taker big = {&sem, 3, WEFT_FOREVER, NULL, 77, 0}, small[2] = {big, big};
		weft_task *tasks[3];

		if (i % 2)
			big.deadline = weft_after(300000);
		small[0].n = small[1].n = 1;
		tasks[0] = stand_in_line(&big);
		for (unsigned k = 0; k < 2; k++)
			tasks[1 + k] = stand_in_line(&small[k]);
		if (i % 2 == 0)
			CHECK(weft_cancel(tasks[0]) == 0);
		for (unsigned k = 0; k < 3; k++)
			CHECK(weft_join_until(tasks[k], NULL, lost()) == 0);
		CHECK(big.rc == (i % 2 ? -ETIMEDOUT : -ECANCELED));
		CHECK(small[0].rc == 0 && small[1].rc == 0 && weft_sem_value(&sem) == 0);
		weft_sem_fini(&sem);
	}
	return arg;
}

static void test_the_first_that_gives_up_lets_others_go_on(void **state)
{
	(void)state;
	assert_run(1, give_up_first, NULL);
	assert_run(3, give_up_first, NULL);
}

/* --- all at once --- */

#define COUNT 5

struct weighted {
	weft_sem sem;
	_Atomic unsigned used; /* relaxed: never more than there is, at any moment */
	_Atomic unsigned quit;
};

static void take_at_random(void *arg, unsigned who)
{
	struct weighted *w = arg;
	struct weft__random random;

	weft__random_seed(&random, who);
	for (unsigned i = 0; i < weft_test_scale(500); i++) {
		unsigned n = 1 + weft__random_below(&random, COUNT);
		int64_t deadline = weft__random_below(&random, 3)
					   ? WEFT_FOREVER
					   : weft_after(weft__random_below(&random, 50000));
		int rc = weft_sem_acquire_n_until(&w->sem, n, deadline);
		if (rc < 0) {
			CHECK(rc == -ETIMEDOUT && deadline != WEFT_FOREVER);
			atomic_fetch_add_explicit(&w->quit, 1, memory_order_relaxed);
			continue;
		}
		CHECK(atomic_fetch_add_explicit(&w->used, n, memory_order_relaxed) + n <= COUNT);
		if (i % 4 == 0)
			weft_yield();
		atomic_fetch_sub_explicit(&w->used, n, memory_order_relaxed);
		weft_sem_release(&w->sem, n);
	}
}

static void reset_weighted(void *arg)
{
	struct weighted *w = arg;

	weft_sem_init(&w->sem, COUNT);
	w->quit = 0;
}

static void test_no_count_is_lost(void **state)
{
	static struct weighted w;

	(void)state;
	assert_crews(take_at_random, reset_weighted, &w);
	assert_int_equal(w.used, 0);
	assert_int_equal(weft_sem_value(&w.sem), COUNT);
	print_message("%u gave up\n", w.quit);
	weft_sem_fini(&w.sem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_that_take_two_of_three_take_turns),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_the_first_that_gives_up_lets_others_go_on),
		cmocka_unit_test(test_no_count_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
