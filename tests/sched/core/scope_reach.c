/* SPDX-License-Identifier: MIT */
/*
 * A scope cancels more than its own task: also the forks, ranges and groups that belong to it. It
 * cancels those that wait and those that compute, at once, wherever the task is. It cancels nothing
 * else.
 */
#include "moments.h"

#include <weft/blocking.h>
#include <weft/scope.h>
#include <weft/sync.h>

#define DEPTH 100 /* more levels than weft_cancelled() looks up */
#define SOON  ((int64_t)300000)

static flag ended;

/* Until it is cancelled: waits, yields, or computes. */
enum how { BY_WAITING, BY_YIELDING, BY_COMPUTING };

static void last(enum how how)
{
	if (how == BY_WAITING)
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	else
		while (!weft_cancelled())
			if (how == BY_YIELDING)
				weft_yield();
	CHECK(weft_cancelled());
	CHECK(weft_sleep(LOST_NS) == -ECANCELED);
	raise_flag(&ended);
}

/* All members of the group end. They may end before the wait, which is then not cut short. */
static void await_group(weft_group *g)
{
	int rc = weft_group_wait(g);

	CHECK(rc == 0 || rc == -ECANCELED);
}

struct below {
	enum how how;
	unsigned depth;
	bool scoped; /* each level has a scope of its own, which ends later */
};

static void *last_below(void *arg)
{
	struct below *b = arg, next = {b->how, b->depth - 1, b->scoped};
	weft_forked fork;
	weft_scope s;

	if (b->scoped)
		weft_scope_begin(&s, weft_after(LOST_NS));
	if (b->depth > 0) {
		weft_fork(&fork, last_below, &next);
		weft_fork_join(&fork);
	} else {
		last(b->how);
	}
	if (b->scoped)
		CHECK(weft_scope_end(&s) == -ECANCELED);
	CHECK(weft_cancelled());
	return arg;
}

static void *fork_in_a_scope(void *arg)
{
	weft_forked forks[2], outside;
	weft_scope s;
	struct below *b = arg;
	/* Some that have waited before, and so are listed. There is no deadline. */
	CHECK(weft_sleep(1) == 0);
	weft_fork(&outside, give_back, NULL);
	weft_scope_begin(&s, b->how == BY_WAITING ? weft_after(SOON) : weft_after(SOON / 4));
	for (unsigned i = 0; i < 2; i++)
		weft_fork(&forks[i], last_below, arg);
	for (unsigned i = 2; i-- > 0;)
		weft_fork_join(&forks[i]);
	CHECK(weft_cancelled());
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	CHECK(!weft_cancelled());
	weft_fork_join(&outside);
	CHECK(weft_sleep(1) == 0);
	return arg;
}

static void test_the_deadline_reaches_forks(void **state)
{
	static const unsigned depths[] = {0, 1, 3, DEPTH};

	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (enum how how = BY_WAITING; how <= BY_COMPUTING; how++) {
			for (unsigned i = 0; i < 8; i++) {
				struct below b = {how, depths[i / 2], i % 2};
				assert_run(workers, fork_in_a_scope, &b);
			}
		}
	}
}

/* The task itself does not notice the cancellation where it is. Its forks do. */
static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_barrier barrier = WEFT_BARRIER_INIT(2);
static flag there, let_go;

static void *wait_and_say(void *arg)
{
	raise_flag(&there);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	raise_flag(&ended);
	return arg;
}

static void *await_flag(void *arg)
{
	CHECK(spin_for(&let_go, 1));
	return arg;
}

enum place { IN_MUTEX, IN_BARRIER, IN_BLOCKING_CALL, IN_MASKED_REGION, PLACES };

struct somewhere {
	enum place place;
	bool by_hand, in_group;
	weft_scope scope;
};

static void *be_somewhere(void *arg)
{
	struct somewhere *at = arg;
	weft_forked fork;
	weft_group g;

	weft_scope_begin(&at->scope, at->by_hand ? weft_after(LOST_NS) : weft_after(SOON));
	if (at->in_group) {
		weft_group_init(&g);
		CHECK(weft_group_spawn(&g, wait_and_say, NULL) == 0);
	} else {
		weft_fork(&fork, wait_and_say, NULL);
	}
	CHECK(yield_for(&there, 1));
	weft_cancel_mask();
	switch (at->place) {
	case IN_MUTEX:
		weft_mutex_lock(&mutex);
		weft_mutex_unlock(&mutex);
		break;
	case IN_BARRIER:
		CHECK(weft_barrier_wait(&barrier) >= 0);
		break;
	case IN_BLOCKING_CALL:
		CHECK(weft_blocking(await_flag, NULL, NULL) == 0);
		break;
	default:
		while (!is_raised(&let_go, 1))
			CHECK(weft_sleep(10000) == 0);
		break;
	}
	weft_cancel_unmask();
	if (at->in_group)
		await_group(&g);
	else
		weft_fork_join(&fork);
	CHECK(weft_cancelled());
	CHECK(weft_scope_end(&at->scope) == (at->by_hand ? -ECANCELED : -ETIMEDOUT));
	CHECK(!weft_cancelled());
	return NULL;
}

static void *cancel_somewhere(void *arg)
{
	struct somewhere *at = arg;
	weft_task *task;

	atomic_store_explicit(&there, 0, memory_order_relaxed);
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	atomic_store_explicit(&let_go, 0, memory_order_relaxed);
	weft_mutex_lock(&mutex);
	CHECK(weft_spawn(be_somewhere, arg, &task) == 0);
	CHECK(yield_for(&there, 1));
	if (at->by_hand)
		weft_scope_cancel(&at->scope);
	CHECK(yield_for(&ended, 1)); /* although the task is still there */
	raise_flag(&let_go);
	weft_mutex_unlock(&mutex);
	if (at->place == IN_BARRIER)
		CHECK(weft_barrier_wait(&barrier) >= 0);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_it_reaches_them_wherever_the_task_is(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * PLACES; i++) {
		struct somewhere at = {i / 4, i & 1, i & 2, {{0}}};
		assert_run(1, cancel_somewhere, &at);
		assert_run(3, cancel_somewhere, &at);
	}
}

/* Members of a group that compute keep all workers busy. Only they can serve the deadline. */
static void *compute_member(void *arg)
{
	last(BY_COMPUTING);
	return arg;
}

static void *wait_member(void *arg)
{
	last(BY_WAITING);
	return arg;
}

static void *group_in_a_scope(void *arg)
{
	unsigned members = *(unsigned *)arg;
	weft_scope s;
	weft_group g;

	weft_scope_begin(&s, weft_after(SOON));
	weft_group_init(&g);
	for (unsigned i = 0; i < members; i++)
		CHECK(weft_group_spawn(&g, i % 3 ? compute_member : wait_member, NULL) == 0);
	await_group(&g);
	weft_group_fini(&g);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	CHECK(!weft_cancelled());
	return arg;
}

static void test_the_deadline_reaches_groups(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (unsigned members = 1; members <= 5; members++)
			assert_run(workers, group_in_a_scope, &members);
	}
}

/* Ranges of weft_for(). */
static void last_range(size_t lo, size_t hi, void *how)
{
	for (size_t i = lo; i < hi; i++)
		last(*(enum how *)how);
}

static void *for_in_a_scope(void *arg)
{
	enum how how = *(enum how *)arg;
	weft_scope s;

	weft_scope_begin(&s, weft_after(SOON));
	CHECK(weft_for(0, 20, 1, last_range, &how) == 0);
	CHECK(weft_scope_end(&s) == -ETIMEDOUT);
	return arg;
}

static void test_the_deadline_reaches_ranges(void **state)
{
	(void)state;
	for (enum how how = BY_WAITING; how <= BY_COMPUTING; how++) {
		assert_run(1, for_in_a_scope, &how);
		assert_run(3, for_in_a_scope, &how);
	}
}

/* A task outside of the scope continues. */
static void *not_cancelled(void *arg)
{
	raise_flag(&there);
	while (!is_raised(arg, 1)) {
		CHECK(weft_sleep(1000) == 0);
		CHECK(!weft_cancelled());
	}
	return NULL;
}

static void *spare_the_others(void *arg)
{
	flag over = 0;
	weft_group outside, between, inside;
	weft_forked fork;
	weft_task *task;
	weft_scope outer, s;

	atomic_store_explicit(&there, 0, memory_order_relaxed);
	weft_group_init(&outside);
	weft_fork(&fork, not_cancelled, &over);
	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_group_init(&between);
	weft_scope_begin(&s, arg ? weft_after(SOON) : weft_after(LOST_NS));
	CHECK(weft_spawn(not_cancelled, &over, &task) == 0);
	weft_group_init(&inside);
	CHECK(weft_group_spawn(&outside, not_cancelled, &over) == 0);
	CHECK(weft_group_spawn(&between, not_cancelled, &over) == 0);
	CHECK(weft_group_spawn(&inside, wait_member, NULL) == 0);
	if (!arg)
		weft_scope_cancel(&s);
	await_group(&inside);
	weft_group_fini(&inside);
	CHECK(weft_scope_end(&s) == (arg ? -ETIMEDOUT : -ECANCELED));
	CHECK(!weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
	raise_flag(&over);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_group_wait(&between) == 0);
	/* A group of the outer scope belongs to the outer scope, although it was spawned into
	 * before. */
	CHECK(weft_group_spawn(&between, wait_member, NULL) == 0);
	weft_scope_cancel(&outer);
	await_group(&between);
	weft_group_fini(&between);
	CHECK(weft_scope_end(&outer) == -ECANCELED);
	weft_fork_join(&fork);
	CHECK(weft_group_wait(&outside) == 0);
	weft_group_fini(&outside);
	return NULL;
}

/* A group that is spawned into in an inner scope, or from a fork there, still belongs to the outer
 * scope. */
static void *spawn_into(void *g)
{
	CHECK(weft_group_spawn(g, wait_member, NULL) == 0);
	return NULL;
}

static void *spawn_from_inside(void *arg)
{
	weft_scope outer, inner;
	weft_forked fork;
	weft_group g;

	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_group_init(&g);
	weft_scope_begin(&inner, WEFT_FOREVER);
	weft_fork(&fork, spawn_into, &g);
	weft_fork_join(&fork);
	weft_scope_cancel(&inner);
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	CHECK(weft_group_wait_until(&g, weft_after(1000)) == -ETIMEDOUT);
	weft_scope_cancel(&outer);
	await_group(&g);
	weft_group_fini(&g);
	CHECK(weft_scope_end(&outer) == -ECANCELED);

	/* A group that outlives its scope belongs to no scope. */
	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, wait_member, NULL) == 0);
	CHECK(weft_scope_end(&outer) == 0);
	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_scope_cancel(&outer);
	CHECK(weft_scope_end(&outer) == -ECANCELED);
	CHECK(weft_group_wait_until(&g, weft_after(1000)) == -ETIMEDOUT);
	weft_group_cancel(&g);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	return arg;
}

static void test_it_reaches_nobody_else(void **state)
{
	(void)state;
	for (unsigned workers = 2; workers <= 3; workers++) {
		assert_run(workers, spare_the_others, NULL);
		assert_run(workers, spare_the_others, state);
		assert_run(workers, spawn_from_inside, NULL);
	}
	assert_run(1, spawn_from_inside, NULL);
}

/*
 * At every moment: scopes contain forks that have scopes. Their deadlines pass. They are cancelled
 * from above and by threads, while their forks begin to wait, enter the family and leave it.
 */
static void *live_in_scopes(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_forked forks[2];
	weft_scope s;

	weft_scope_begin(&s, depth % 2 ? WEFT_FOREVER : weft_after((int64_t)(depth + 1) * 9000));
	for (unsigned i = 0; depth > 0 && i < 2; i++)
		weft_fork(&forks[i], live_in_scopes, (void *)(depth - 1));
	for (unsigned i = 0; i < 3 && weft_sleep((int64_t)(i * depth) * 3000) == 0; i++)
		weft_cancelled();
	if (depth == 0)
		CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	for (unsigned i = 2; depth > 0 && i-- > 0;)
		weft_fork_join(&forks[i]);
	bool cancelled = weft_cancelled();
	int why = weft_scope_end(&s);
	CHECK(depth > 0 || cancelled);
	CHECK(!cancelled || why != 0);
	return NULL;
}

static void test_at_every_moment(void **state)
{
	(void)state;
	assert_they_end_at_every_moment(live_in_scopes, weft_test_scale(300), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_deadline_reaches_forks),
		cmocka_unit_test(test_it_reaches_them_wherever_the_task_is),
		cmocka_unit_test(test_the_deadline_reaches_groups),
		cmocka_unit_test(test_the_deadline_reaches_ranges),
		cmocka_unit_test(test_it_reaches_nobody_else),
		cmocka_unit_test(test_at_every_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
