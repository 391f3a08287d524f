/* SPDX-License-Identifier: MIT */
/* Results of a group's members, received as the members end. */
#include "group_peek.h"

#include "sched/core/runtime.h"
#include "sched/sync/group.h"

#include <pthread.h>

#define MEMBERS 20

static void init(weft_group *g)
{
	weft_group_init(g);
	weft_group_keep_results(g);
}

static void *yield_and_give_back(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg % 5; i++)
		weft_yield();
	return arg;
}

/* Receives each result once. Then there is none, and later there may be others. */
static void *receive_all(void *arg)
{
	for (unsigned round = 0; round < weft_test_scale(100) + 1; round++) {
		bool seen[MEMBERS + 1] = {false};
		void *result = &seen;
		weft_group g;
		init(&g);
		CHECK(weft_group_next(&g, &result) == -ECHILD);
		for (uintptr_t again = 0; again < 2; again++) {
			for (uintptr_t i = 1; i <= MEMBERS; i++)
				CHECK(weft_group_spawn(&g, yield_and_give_back, (void *)i) == 0);
			if (round % 2 == 1)
				CHECK(weft_group_wait(&g) == 0);
			for (unsigned i = 1; i <= MEMBERS; i++) {
				CHECK(weft_group_next(&g, &result) == 0);
				uintptr_t n = (uintptr_t)result;
				CHECK(n >= 1 && n <= MEMBERS && seen[n] == (again == 1));
				seen[n % (MEMBERS + 1)] = again == 0;
			}
			result = &seen;
			CHECK(weft_group_next(&g, &result) == -ECHILD);
			CHECK(weft_group_next(&g, NULL) == -ECHILD);
			CHECK(weft_group_next_until(&g, &result, 0) == -ECHILD);
			CHECK(result == &seen);
		}
		CHECK(weft_group_wait(&g) == 0);
		weft_group_fini(&g);
	}
	return arg;
}

static void test_each_result_is_received_once(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, receive_all, NULL);
}

/* Results come in the order in which the members end, even if nobody has waited for them. */
struct chain {
	flag turn;
};

struct link {
	struct chain *chain;
	unsigned turn;
};

static void *end_in_turn(void *arg)
{
	struct link *link = arg;

	CHECK(yield_for(&link->chain->turn, link->turn));
	return arg;
}

static void *receive_in_order(void *arg)
{
	bool wait_first = *(bool *)arg;
	struct chain chain = {0};
	struct link links[MEMBERS];
	weft_group g;

	init(&g);
	for (unsigned i = 0; i < MEMBERS; i++) {
		links[i] = (struct link){&chain, MEMBERS - i};
		CHECK(weft_group_spawn(&g, end_in_turn, &links[i]) == 0);
	}
	for (unsigned i = 0; i < MEMBERS; i++) {
		raise_flag(&chain.turn);
		int64_t lost = weft_after(LOST_NS);
		while (wait_first && ((struct group *)&g)->running > MEMBERS - 1 - i &&
		       CHECK(weft_now() < lost))
			weft_yield();
		void *result = NULL;
		if (!wait_first) {
			CHECK(weft_group_next(&g, &result) == 0);
			CHECK(result == &links[MEMBERS - 1 - i]);
		}
	}
	for (unsigned i = 0; wait_first && i < MEMBERS; i++) {
		void *result = NULL;
		CHECK(weft_group_next(&g, &result) == 0);
		CHECK(result == &links[MEMBERS - 1 - i]);
	}
	CHECK(weft_group_next(&g, NULL) == -ECHILD);
	weft_group_fini(&g);
	return NULL;
}

static void test_results_come_in_the_order_of_the_ends(void **state)
{
	(void)state;
	for (int w = 0; w < 2; w++) {
		bool wait_first = w;
		assert_run(1, receive_in_order, &wait_first);
	}
}

/* Several callers wait: tasks and a thread. Each result goes to one of them, and all learn of the
 * end. */
struct shared {
	weft_group group;
	flag go, over;
	_Atomic unsigned received;
	_Atomic uintptr_t sum;
};

static void *receive_until_over(void *arg)
{
	struct shared *s = arg;
	void *result = NULL;
	int rc;

	while ((rc = weft_group_next(&s->group, &result)) == 0) {
		atomic_fetch_add_explicit(&s->received, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&s->sum, (uintptr_t)result, memory_order_relaxed);
	}
	CHECK(rc == -ECHILD);
	raise_flag(&s->over);
	return NULL;
}

static void *end_when_told(void *arg)
{
	struct shared *s = arg;

	CHECK(yield_for(&s->go, 1));
	return (void *)(uintptr_t)7;
}

static void *share(void *arg)
{
	struct shared s = {.received = 0};
	weft_task *tasks[3];
	pthread_t thread;

	init(&s.group);
	for (unsigned i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(&s.group, end_when_told, &s) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(receive_until_over, &s, &tasks[i]) == 0);
	CHECK(pthread_create(&thread, NULL, receive_until_over, &s) == 0);
	CHECK(yield_until_waiting(receivers_waiting, &s.group, 4));
	raise_flag(&s.go);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	pthread_join(thread, NULL);
	CHECK(s.received == MEMBERS && s.sum == (uintptr_t)7 * MEMBERS);
	weft_group_fini(&s.group);
	return arg;
}

static void test_several_receive(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (unsigned round = 0; round < weft_test_scale(20) + 1; round++)
			assert_run(workers, share, NULL);
	}
}

static void *fail_at_once(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)-EIO;
}

/* An error is a result as well. */
static void *receive_error(void *arg)
{
	void *result = NULL;
	weft_group g;

	init(&g);
	CHECK(weft_group_spawn(&g, sleep_for_ever, &g) == 0);
	CHECK(weft_group_spawn(&g, fail_at_once, NULL) == 0);
	unsigned errors = 0;
	for (unsigned i = 0; i < 2; i++) {
		CHECK(weft_group_next(&g, &result) == 0);
		CHECK(result == &g || (intptr_t)result == -EIO);
		errors += (intptr_t)result == -EIO;
	}
	CHECK(errors == 1);
	CHECK(weft_group_next(&g, &result) == -ECHILD);
	CHECK(weft_group_wait(&g) == -EIO);
	weft_group_fini(&g);
	return arg;
}

static void test_errors_are_results(void **state)
{
	(void)state;
	assert_run(1, receive_error, NULL);
	assert_run(3, receive_error, NULL);
}

/* A caller that gives up takes no result with it. */
static void *receive_cancelled(void *arg)
{
	struct shared *s = arg;
	void *result = &result;

	CHECK(weft_group_next(&s->group, &result) == -ECANCELED);
	CHECK(weft_group_next_until(&s->group, &result, weft_after(LOST_NS)) == -ECANCELED);
	CHECK(result == &result);
	raise_flag(&s->over);
	return NULL;
}

static void *give_up(void *arg)
{
	struct shared s = {.received = 0};
	void *result = &s;
	weft_task *task;

	init(&s.group);
	CHECK(weft_group_spawn(&s.group, end_when_told, &s) == 0);
	CHECK(weft_group_next_until(&s.group, &result, 0) == -ETIMEDOUT);
	CHECK(weft_group_next_until(&s.group, &result, 1) == -ETIMEDOUT);
	CHECK(weft_group_next_until(&s.group, &result, weft_after(10000)) == -ETIMEDOUT);
	CHECK(result == &s);
	CHECK(weft_spawn(receive_cancelled, &s, &task) == 0);
	CHECK(yield_until_waiting(receivers_waiting, &s.group, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(is_raised(&s.over, 1));
	CHECK(receivers_waiting(&s.group) == 0);
	raise_flag(&s.go);
	CHECK(weft_group_next_until(&s.group, &result, weft_after(LOST_NS)) == 0);
	CHECK((uintptr_t)result == 7);
	CHECK(weft_group_next_until(&s.group, &result, weft_after(LOST_NS)) == -ECHILD);
	weft_group_fini(&s.group);
	return arg;
}

static void test_who_gives_up_takes_nothing(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, give_up, NULL);
}

/* A scope ends the wait for a result, and the result can still be received later. A member that is
 * in a scope is still a member. */
static void *receive_in_a_scope_of_a_member(void *arg)
{
	struct shared *s = arg;
	weft_scope scope;

	weft_scope_begin(&scope, WEFT_FOREVER);
	CHECK(weft_group_next(&s->group, NULL) == -EDEADLK);
	CHECK(weft_group_wait(&s->group) == -EDEADLK);
	CHECK(weft_scope_end(&scope) == 0);
	return end_when_told(arg);
}

static void *receive_in_a_scope(void *arg)
{
	struct shared s = {.received = 0};
	void *result = &s;
	weft_scope scope;

	init(&s.group);
	CHECK(weft_group_spawn(&s.group, receive_in_a_scope_of_a_member, &s) == 0);
	weft_scope_begin(&scope, weft_after(100000));
	CHECK(weft_group_next(&s.group, &result) == -ECANCELED);
	CHECK(weft_scope_end(&scope) == -ETIMEDOUT);
	CHECK(result == &s);
	raise_flag(&s.go);
	CHECK(weft_group_next(&s.group, &result) == 0);
	CHECK((uintptr_t)result == 7);
	weft_group_fini(&s.group);
	return arg;
}

static void test_a_scope_ends_the_wait_for_a_result(void **state)
{
	(void)state;
	assert_run(1, receive_in_a_scope, NULL);
	assert_run(3, receive_in_a_scope, NULL);
}

/* Results that nobody receives are dropped with the group, and their memory is used again. */
static void *leave_results(void *arg)
{
	struct task_pool *pool = &weft__worker()->tasks;
	size_t before = weft__task_pool_used(pool);

	for (unsigned received = 0; received < 3; received++) {
		weft_group g;
		init(&g);
		for (uintptr_t i = 0; i < MEMBERS; i++)
			CHECK(weft_group_spawn(&g, give_back, (void *)i) == 0);
		CHECK(weft_group_wait(&g) == 0);
		CHECK(weft__task_pool_used(pool) == before + MEMBERS);
		for (unsigned i = 0; i < received; i++)
			CHECK(weft_group_next(&g, NULL) == 0);
		weft_group_fini(&g);
		CHECK(weft__task_pool_used(pool) == before);
	}
	return arg;
}

static void test_results_that_are_left_are_dropped(void **state)
{
	(void)state;
	assert_run(1, leave_results, NULL);
}

/* Only results of members that end later are kept. A group that was not told to keep results keeps
 * none. */
static void *keep_late(void *arg)
{
	void *result = NULL;
	weft_group g;

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, give_back, arg) == 0);
	CHECK(weft_group_next(&g, &result) == -EINVAL);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(weft_group_next(&g, &result) == -EINVAL);
	weft_group_keep_results(&g);
	CHECK(weft_group_next(&g, &result) == -ECHILD);
	CHECK(result == NULL);
	CHECK(weft_group_spawn(&g, give_back, arg) == 0);
	CHECK(weft_group_next(&g, &result) == 0);
	CHECK(result == arg);
	weft_group_fini(&g);
	return arg;
}

static void test_results_are_kept_when_that_is_wanted(void **state)
{
	int token;

	(void)state;
	assert_run(1, keep_late, &token);
}

static void *receive_as_member(void *arg)
{
	void *result = arg;

	CHECK(weft_group_next(arg, &result) == -EDEADLK);
	CHECK(weft_group_next_until(arg, &result, 0) == -EDEADLK);
	CHECK(result == arg);
	return NULL;
}

static void *misuse(void *arg)
{
	weft_group g;

	CHECK(weft_group_next(NULL, NULL) == -EINVAL);
	CHECK(weft_group_next_until(NULL, NULL, 0) == -EINVAL);
	init(&g);
	CHECK(weft_group_spawn(&g, receive_as_member, &g) == 0);
	CHECK(weft_group_next(&g, NULL) == 0);
	weft_group_fini(&g);
	return arg;
}

static void test_misuse(void **state)
{
	(void)state;
	assert_run(2, misuse, NULL);
}

/* What the member and its destructors did comes before the result. */
static weft_local key;

static void count_destroyed(void *value)
{
	for (unsigned i = 0; i < 3; i++)
		weft_yield();
	++*(unsigned *)value; /* not atomic: the receiver of the result is ordered after this */
}

static void *set_local(void *arg)
{
	CHECK(weft_local_set(key, arg) == 0);
	return arg;
}

static void *receive_after_destructors(void *arg)
{
	unsigned destroyed[MEMBERS] = {0};
	weft_group g;

	init(&g);
	for (unsigned i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(&g, set_local, &destroyed[i]) == 0);
	for (unsigned i = 0; i < MEMBERS; i++) {
		void *result = NULL;
		CHECK(weft_group_next(&g, &result) == 0);
		CHECK(result && *(unsigned *)result == 1);
	}
	weft_group_fini(&g);
	return arg;
}

static void test_a_result_comes_after_the_members_end(void **state)
{
	(void)state;
	assert_int_equal(weft_local_create(count_destroyed, &key), 0);
	assert_run(1, receive_after_destructors, NULL);
	assert_run(3, receive_after_destructors, NULL);
	assert_int_equal(weft_local_delete(key), 0);
}

/* A plain thread receives results of members in a runtime that it keeps alive. With a limit, each
 * result makes room. */
static void test_a_thread_receives(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		weft_runtime *rt = assert_create(workers);
		unsigned members = weft_test_scale(2000) + 5;
		uintptr_t sum = 0;
		weft_group g;
		init(&g);
		weft_group_set_limit(&g, 3);
		for (uintptr_t i = 1; i <= members; i++) {
			assert_int_equal(weft_group_submit(&g, rt, yield_and_give_back, (void *)i),
					 0);
			void *result = NULL;
			if (i % 2 == 0) {
				assert_int_equal(weft_group_next(&g, &result), 0);
				sum += (uintptr_t)result;
			}
		}
		void *result = NULL;
		while (weft_group_next(&g, &result) == 0)
			sum += (uintptr_t)result;
		assert_true(sum == (uintptr_t)members * (members + 1) / 2);
		assert_int_equal(weft_group_wait(&g), 0);
		weft_group_fini(&g);
		assert_int_equal(weft_runtime_destroy(rt), 0);
	}
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_result_is_received_once),
		cmocka_unit_test(test_results_come_in_the_order_of_the_ends),
		cmocka_unit_test(test_several_receive),
		cmocka_unit_test(test_errors_are_results),
		cmocka_unit_test(test_who_gives_up_takes_nothing),
		cmocka_unit_test(test_a_scope_ends_the_wait_for_a_result),
		cmocka_unit_test(test_results_that_are_left_are_dropped),
		cmocka_unit_test(test_results_are_kept_when_that_is_wanted),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_a_result_comes_after_the_members_end),
		cmocka_unit_test(test_a_thread_receives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
