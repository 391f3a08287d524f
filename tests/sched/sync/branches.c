/* SPDX-License-Identifier: MIT */
/*
 * A cancelled task and its groups. The cancellation reaches at once the groups that the task has
 * begun, wherever the task is. It also reaches the groups that their members have begun, and so on.
 * It reaches no other groups.
 */
#include "tests/sched/core/moments.h"

#include "sched/core/family.h"

#include <pthread.h>
#include <weft/blocking.h>
#include <weft/group.h>
#include <weft/scope.h>
#include <weft/sync.h>

static weft_mutex mutex = WEFT_MUTEX_INIT;
static flag asleep, ended, let_go;

static void lower_flags(void)
{
	atomic_store_explicit(&asleep, 0, memory_order_relaxed);
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	atomic_store_explicit(&let_go, 0, memory_order_relaxed);
}

static void *sleep_and_say(void *arg)
{
	raise_flag(&asleep);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	CHECK(weft_cancelled());
	raise_flag(&ended);
	return arg;
}

static void *spin_until_let_go(void *arg)
{
	CHECK(spin_for(&let_go, 1));
	return arg;
}

enum place { IN_MUTEX, IN_BLOCKING_CALL, IN_MASKED_REGION, IN_A_FORK, PLACES };

/* The members of its group learn of the cancellation. The task itself does not. */
static void *be_somewhere(void *arg)
{
	enum place place = *(enum place *)arg;
	weft_group g;

	weft_group_init(&g);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&g, sleep_and_say, NULL) == 0);
	CHECK(yield_for(&asleep, 3));
	switch (place) {
	case IN_MUTEX:
		weft_mutex_lock(&mutex);
		weft_mutex_unlock(&mutex);
		break;
	case IN_BLOCKING_CALL:
		CHECK(weft_blocking(spin_until_let_go, NULL, NULL) == 0);
		break;
	default:
		weft_cancel_mask();
		while (!is_raised(&let_go, 1))
			CHECK(weft_sleep(10000) == 0);
		weft_cancel_unmask();
		break;
	}
	CHECK(weft_group_wait(&g) == 0 || place == IN_A_FORK);
	weft_group_fini(&g);
	return NULL;
}

static void *be_in_a_fork(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, be_somewhere, arg);
	weft_fork_join(&fork);
	return NULL;
}

static void *cancel_somewhere(void *arg)
{
	enum place place = *(enum place *)arg;
	weft_task *task;

	lower_flags();
	weft_mutex_lock(&mutex);
	CHECK(weft_spawn(place == IN_A_FORK ? be_in_a_fork : be_somewhere, arg, &task) == 0);
	CHECK(yield_for(&asleep, 3));
	CHECK(weft_cancel(task) == 0);
	CHECK(yield_for(&ended, 3)); /* although the task has not ended */
	raise_flag(&let_go);
	weft_mutex_unlock(&mutex);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_it_reaches_groups_wherever_the_task_is(void **state)
{
	(void)state;
	for (enum place place = IN_MUTEX; place < PLACES; place++) {
		assert_run(1, cancel_somewhere, &place);
		assert_run(3, cancel_somewhere, &place);
	}
}

/* Groups of members of groups. The members that wait are masked, so none of them passes the
 * cancellation on. */
static void *nest(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_group g;

	if (depth == 0)
		return sleep_and_say(arg);
	weft_cancel_mask();
	weft_group_init(&g);
	for (unsigned i = 0; i < 2; i++)
		CHECK(weft_group_spawn(&g, nest, (void *)(depth - 1)) == 0);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	weft_cancel_unmask();
	CHECK(weft_cancelled());
	return NULL;
}

static void *cancel_nested(void *arg)
{
	weft_task *task;

	lower_flags();
	CHECK(weft_spawn(nest, (void *)6, &task) == 0);
	CHECK(yield_for(&asleep, 64));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(is_raised(&ended, 64));
	return arg;
}

/* The cancellation of the outermost group works in the same way. */
static void *cancel_outermost_group(void *arg)
{
	weft_group g;

	lower_flags();
	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, nest, (void *)4) == 0);
	CHECK(yield_for(&asleep, 16));
	weft_group_cancel(&g);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(is_raised(&ended, 16));
	weft_group_fini(&g);
	return arg;
}

static void test_it_reaches_groups_of_members(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		assert_run(workers, cancel_nested, NULL);
		assert_run(workers, cancel_outermost_group, NULL);
	}
}

/* What an already cancelled task spawns starts cancelled. */
static void *spawn_when_cancelled(void *arg)
{
	weft_group g;

	lower_flags();
	weft_group_init(&g);
	CHECK(weft_cancel(weft_self()) == 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK(weft_group_spawn(&g, sleep_and_say, NULL) == 0);
	weft_cancel_mask();
	CHECK(weft_group_wait(&g) == 0);
	weft_cancel_unmask();
	CHECK(is_raised(&ended, 2));
	weft_group_fini(&g);
	return arg;
}

static void test_members_of_a_cancelled_task_start_cancelled(void **state)
{
	(void)state;
	assert_run(1, spawn_when_cancelled, NULL);
	assert_run(2, spawn_when_cancelled, NULL);
}

/* A group belongs to the task that has begun it. A cancelled task that only spawns into the group
 * does not cancel it. A group whose task has ended belongs to nobody. */
static weft_group shared;
static flag spawned;

static void *nap_until_let_go(void *arg)
{
	while (!is_raised(&let_go, 1))
		CHECK(weft_sleep(10000) == 0);
	CHECK(!weft_cancelled());
	return arg;
}

static void *spawn_into_shared(void *arg)
{
	CHECK(weft_group_spawn(&shared, nap_until_let_go, NULL) == 0);
	raise_flag(&spawned);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

static void *begin_shared(void *arg)
{
	weft_group_init(&shared);
	if (arg)
		CHECK(weft_group_spawn(&shared, nap_until_let_go, NULL) == 0);
	return NULL;
}

static void *share(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		weft_task *task;

		lower_flags();
		atomic_store_explicit(&spawned, 0, memory_order_relaxed);
		CHECK(weft_spawn(begin_shared, i % 2 ? arg : NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		CHECK(weft_spawn(spawn_into_shared, NULL, &task) == 0);
		CHECK(yield_for(&spawned, 1));
		CHECK(weft_cancel(task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		raise_flag(&let_go);
		CHECK(weft_group_wait(&shared) == 0);
		weft_group_fini(&shared);
	}
	return arg;
}

static void test_groups_of_others_are_left_alone(void **state)
{
	(void)state;
	assert_run(1, share, &shared);
	assert_run(3, share, &shared);
}

/*
 * Another caller takes the group out of the family, and the branch's lock holds it up there. The
 * task of the group has waited for it as well, and spawns again. It must not put the group in while
 * the group is still in.
 */
struct held_up {
	struct task *owner;
	struct branch *branch;
	flag holds, goes_on;
};

/* relaxed, both: only hints about when to go on. */
static bool is_slept_on(struct weft__lock *lock)
{
	return atomic_load_explicit(&lock->word, memory_order_relaxed) & WEFT__LOCK_SLEEPERS;
}

static bool is_busy(struct task *t)
{
	return atomic_load_explicit(&t->cancel, memory_order_relaxed) & CANCEL_BUSY;
}

static void *hold_branch(void *arg)
{
	struct held_up *h = arg;

	weft__lock(&h->branch->lock);
	raise_flag(&h->holds);
	CHECK(spin_for(&h->goes_on, 1));
	/* The owner now waits for the group's lock, which nobody can see. If the group's lock were
	 * free, the owner would take the family's lock and wait for the branch's lock. That can be
	 * seen, so the loop gives it time. */
	for (unsigned looks = 0; looks < 2000 && !is_busy(h->owner); looks++)
		sched_yield();
	weft__unlock(&h->branch->lock);
	return NULL;
}

static void *wait_for_group(void *arg)
{
	CHECK(weft_group_wait(arg) == 0);
	return NULL;
}

static void *return_arg(void *arg)
{
	return arg;
}

static struct kin *first_of(struct task *t)
{
	weft__family_lock(t);
	struct kin *first = family_first(t);
	weft__family_unlock(t);
	return first;
}

static void *spawn_while_it_is_taken_out(void *arg)
{
	int64_t lost = weft_after(LOST_NS);
	pthread_t holder, waiter;
	weft_group g;
	struct held_up h = {.owner = task_of_handle(weft_self())};

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, return_arg, NULL) == 0);
	h.branch = (struct branch *)first_of(h.owner);
	CHECK(pthread_create(&holder, NULL, hold_branch, &h) == 0);
	CHECK(spin_for(&h.holds, 1));
	CHECK(pthread_create(&waiter, NULL, wait_for_group, &g) == 0);
	while (!is_slept_on(&h.branch->lock) && CHECK(weft_now() < lost))
		sched_yield();
	raise_flag(&h.goes_on);
	CHECK(weft_group_spawn(&g, return_arg, NULL) == 0);
	pthread_join(holder, NULL);
	pthread_join(waiter, NULL);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	/* Otherwise the end of this task would look for its branches for ever. */
	if (!CHECK(!first_of(h.owner)))
		atomic_store_explicit(&h.owner->family, FAMILY_ROOT, memory_order_relaxed);
	return arg;
}

static void test_it_is_put_in_again_when_it_is_out(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 5; round++)
		assert_run(2, spawn_while_it_is_taken_out, NULL);
}

/* At every moment: groups begin and end in tasks, members and forks, while another task cancels. */
static void *live(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_group g;
	weft_forked fork;

	if (depth == 0)
		return weft_sleep((int64_t)((uintptr_t)&g % 64) * 300) == 0 ? NULL : arg;
	weft_group_init(&g);
	weft_fork(&fork, live, (void *)(depth - 1));
	for (unsigned i = 0; i < 2; i++)
		CHECK(weft_group_spawn(&g, live, (void *)(depth - 1)) == 0);
	weft_fork_join(&fork);
	int rc = weft_group_wait(&g);
	CHECK(rc == 0 || rc == -ECANCELED);
	return NULL; /* without weft_group_fini(), since it has waited */
}

/*
 * Two cancellers reach one group, the second one after the first one is done with it. Nothing else
 * orders the two: the flags between them are relaxed. ThreadSanitizer sees if the group's branch
 * does not order them either.
 *
 *   thread 1                         thread 2
 *     cancels the scope: pins the
 *       branch, reaches it, unpins
 *     over = 1
 *                                      cancels the task: pins the branch
 */
static weft_scope inner;
static _Atomic(weft_task *) owner; /* relaxed */
static _Atomic unsigned over;      /* relaxed: how many cancellers are done */

static void await_relaxed(_Atomic unsigned *count, unsigned least)
{
	while (atomic_load_explicit(count, memory_order_relaxed) < least)
		sched_yield();
}

static void *cancel_scope(void *arg)
{
	CHECK(spin_for(&asleep, 2));
	weft_scope_cancel(&inner);
	atomic_fetch_add_explicit(&over, 1, memory_order_relaxed);
	return arg;
}

static void *cancel_task(void *arg)
{
	CHECK(spin_for(&asleep, 2));
	await_relaxed(&over, 1);
	CHECK(weft_cancel(atomic_load_explicit(&owner, memory_order_relaxed)) == 0);
	atomic_fetch_add_explicit(&over, 1, memory_order_relaxed);
	return arg;
}

static void *own_in_scope(void *arg)
{
	weft_group g;

	atomic_store_explicit(&owner, weft_self(), memory_order_relaxed);
	weft_scope_begin(&inner, WEFT_FOREVER);
	weft_cancel_mask();
	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, sleep_and_say, NULL) == 0);
	CHECK(yield_for(&asleep, 1));
	raise_flag(&asleep);
	while (atomic_load_explicit(&over, memory_order_relaxed) < 2)
		weft_yield();
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	weft_cancel_unmask();
	CHECK(weft_scope_end(&inner) == -ECANCELED);
	return arg;
}

static void test_two_cancellers_reach_a_group(void **state)
{
	pthread_t threads[2];

	(void)state;
	lower_flags();
	atomic_store_explicit(&over, 0, memory_order_relaxed);
	assert_int_equal(pthread_create(&threads[0], NULL, cancel_scope, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, cancel_task, NULL), 0);
	assert_run(1, own_in_scope, NULL);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(is_raised(&ended, 1));
	assert_int_equal(checks_failed(), 0);
}

static void test_at_every_moment(void **state)
{
	(void)state;
	assert_they_end_at_every_moment(live, weft_test_scale(400), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_reaches_groups_wherever_the_task_is),
		cmocka_unit_test(test_it_reaches_groups_of_members),
		cmocka_unit_test(test_members_of_a_cancelled_task_start_cancelled),
		cmocka_unit_test(test_groups_of_others_are_left_alone),
		cmocka_unit_test(test_it_is_put_in_again_when_it_is_out),
		cmocka_unit_test(test_two_cancellers_reach_a_group),
		cmocka_unit_test(test_at_every_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
