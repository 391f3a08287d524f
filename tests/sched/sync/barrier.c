/* SPDX-License-Identifier: MIT */
/* A barrier whose members leave: by a cancellation, at their deadline, or because the barrier is
 * broken. gates.c tests rounds in which all stay. */
#include "crew.h"

struct visit {
	weft_barrier *barrier;
	int64_t deadline;
	int rc;
	flag begun;
};

static void *visit(void *arg)
{
	struct visit *v = arg;

	raise_flag(&v->begun);
	v->rc = weft_barrier_wait_until(v->barrier, v->deadline);
	return arg;
}

static void *leave_when_cancelled(void *arg)
{
	weft_barrier barrier = WEFT_BARRIER_INIT(2);
	weft_task *task;

	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		struct visit v = {&barrier, i % 2 ? WEFT_FOREVER : lost(), 77, 0};
		CHECK(weft_spawn(visit, &v, &task) == 0);
		/* before the task has started, or while it waits */
		for (unsigned k = i % 3; k > 0; k--)
			weft_yield();
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		CHECK(v.rc == -ECANCELED);
		/* The task has left, so two others make a round. */
		struct visit others[2] = {{&barrier, lost(), 77, 0}, {&barrier, lost(), 77, 0}};
		weft_task *tasks[2];
		for (unsigned k = 0; k < 2; k++)
			CHECK(weft_spawn(visit, &others[k], &tasks[k]) == 0);
		for (unsigned k = 0; k < 2; k++)
			CHECK(weft_join(tasks[k], NULL) == 0);
		CHECK(others[0].rc + others[1].rc == 1);
	}
	/* The last caller of a round need not wait. */
	struct visit v = {&barrier, WEFT_FOREVER, 77, 0};
	CHECK(weft_spawn(visit, &v, &task) == 0);
	while (weft_barrier_wait_until(&barrier, 0) == -ETIMEDOUT)
		weft_yield();
	CHECK(weft_join(task, NULL) == 0 && v.rc == 0);
	weft_barrier_fini(&barrier);
	return arg;
}

static void test_a_cancelled_member_leaves(void **state)
{
	(void)state;
	assert_run(1, leave_when_cancelled, NULL);
	assert_run(3, leave_when_cancelled, NULL);
}

static void *leave_at_the_deadline(void *arg)
{
	weft_barrier barrier = WEFT_BARRIER_INIT(2);
	int64_t deadline = weft_after(1000000);

	CHECK(weft_barrier_wait_until(&barrier, 0) == -ETIMEDOUT);
	CHECK(weft_barrier_wait_until(&barrier, 1) == -ETIMEDOUT);
	CHECK(weft_barrier_wait_until(&barrier, deadline) == -ETIMEDOUT);
	CHECK(weft_now() >= deadline);
	weft_barrier_fini(&barrier);
	weft_barrier_init(&barrier, 1);
	CHECK(weft_barrier_wait_until(&barrier, 0) == 1);
	weft_barrier_fini(&barrier);
	return arg;
}

static void test_a_member_leaves_at_its_deadline(void **state)
{
	(void)state;
	assert_run(1, leave_at_the_deadline, NULL);
	leave_at_the_deadline(NULL);
	assert_int_equal(checks_failed(), 0);
}

/*
 * Deadlines at about the moment at which the last member comes. A member that is told that it has
 * left must not have been counted. A member that was counted must be told so. If one of the two
 * fails, the members' numbers of rounds differ for ever, and one member never returns.
 */
struct shaky {
	weft_barrier barrier;
	_Atomic unsigned leaders, followers, left; /* relaxed: read afterwards */
};

#define SHAKY_ROUNDS 300

static void visit_shakily(void *arg, unsigned who)
{
	struct shaky *s = arg;
	unsigned rounds = weft_test_scale(SHAKY_ROUNDS);

	for (unsigned i = 0; i < rounds;) {
		int rc = weft_barrier_wait_until(&s->barrier,
						 weft_after((int64_t)(1 + (i + who) % 7) * 20000));
		if (rc == -ETIMEDOUT) {
			atomic_fetch_add_explicit(&s->left, 1, memory_order_relaxed);
			continue;
		}
		if (!CHECK(rc == 0 || rc == 1))
			return;
		atomic_fetch_add_explicit(rc ? &s->leaders : &s->followers, 1,
					  memory_order_relaxed);
		i++;
	}
}

static void reset_shaky(void *arg)
{
	struct shaky *s = arg;

	*s = (struct shaky){.left = 0};
	weft_barrier_init(&s->barrier, CREWS_SIZE);
}

static void test_all_agree_on_who_was_in_a_round(void **state)
{
	static struct shaky s;

	(void)state;
	assert_crews(visit_shakily, reset_shaky, &s);
	assert_int_equal(s.leaders, weft_test_scale(SHAKY_ROUNDS));
	assert_int_equal(s.followers, (CREWS_SIZE - 1) * weft_test_scale(SHAKY_ROUNDS));
	weft_barrier_fini(&s.barrier);
}

/* --- broken --- */

struct broken {
	weft_barrier barrier;
	flag here;
	unsigned written; /* stored before the break */
};

static void wait_or_break(void *arg, unsigned who)
{
	struct broken *b = arg;

	if (who == 0) {
		while (!is_raised(&b->here, CREWS_SIZE - 1))
			weft_yield();
		b->written = 5;
		weft_barrier_break(&b->barrier);
	} else {
		raise_flag(&b->here);
		CHECK(weft_barrier_wait_until(&b->barrier, who % 2 ? WEFT_FOREVER : lost()) ==
		      -EPIPE);
		CHECK(b->written == 5);
	}
	CHECK(weft_barrier_wait(&b->barrier) == -EPIPE);
	CHECK(weft_barrier_wait_until(&b->barrier, 0) == -EPIPE);
}

static void reset_broken(void *arg)
{
	struct broken *b = arg;

	*b = (struct broken){.written = 0};
	weft_barrier_init(&b->barrier, CREWS_SIZE + 1);
}

static void test_break_ends_all_waits(void **state)
{
	static struct broken b;

	(void)state;
	assert_crews(wait_or_break, reset_broken, &b);
	weft_barrier_break(&b.barrier);
	assert_int_equal(weft_barrier_wait(&b.barrier), -EPIPE);
	weft_barrier_fini(&b.barrier);
	weft_barrier_init(&b.barrier, 1);
	assert_int_equal(weft_barrier_wait(&b.barrier), 1);
	weft_barrier_fini(&b.barrier);
}

/* --- a group: one member fails, and the others wait for it at a barrier --- */

static void *wait_there(void *arg)
{
	return (void *)(intptr_t)weft_barrier_wait(arg);
}

static void *fail_before_it(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10; i++)
		weft_yield();
	return (void *)(intptr_t)-EIO;
}

static void *gather(void *arg)
{
	weft_barrier barrier = WEFT_BARRIER_INIT(3);
	weft_group group;

	weft_group_init(&group);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&group, i < 2 ? wait_there : fail_before_it, &barrier) == 0);
	CHECK(weft_group_wait_until(&group, lost()) == -EIO);
	weft_group_fini(&group);
	weft_barrier_fini(&barrier);
	return arg;
}

static void test_a_group_that_fails_does_not_hang_at_a_barrier(void **state)
{
	(void)state;
	assert_run(1, gather, NULL);
	assert_run(3, gather, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cancelled_member_leaves),
		cmocka_unit_test(test_a_member_leaves_at_its_deadline),
		cmocka_unit_test(test_all_agree_on_who_was_in_a_round),
		cmocka_unit_test(test_break_ends_all_waits),
		cmocka_unit_test(test_a_group_that_fails_does_not_hang_at_a_barrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
