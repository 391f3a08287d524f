/* SPDX-License-Identifier: MIT */
/* Task-local values: each task has its own, wherever it runs, and their destructors run at its
 * end. */
#include "tests/sched/core/harness.h"

#include <malloc.h>
#include <string.h>

#include <weft/scope.h>
#include <weft/sync.h>

#define TASKS 40
#define KEYS  30

static weft_local keys[KEYS];

/* Values point into the array of their task. The destructor counts there, and must find itself in
 * that task. */
struct mark {
	weft_task *task;
	unsigned destroyed;
};

static void destroy_mark(void *value)
{
	struct mark *mark = value;

	CHECK(weft_self() == mark->task);
	weft_yield(); /* it may suspend, and hop */
	CHECK(weft_self() == mark->task);
	mark->destroyed++;
}

static void *use_all_keys(void *arg)
{
	struct mark *marks = arg;

	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_get(keys[i]) == NULL);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < KEYS; i++) {
			marks[i].task = weft_self();
			if ((i + round) % 2)
				CHECK(weft_local_set(keys[i], &marks[i]) == 0);
			weft_yield();
		}
		for (unsigned i = 0; i < KEYS; i++) {
			void *value = weft_local_get(keys[i]);
			CHECK(value == (round > 0 || (i + round) % 2 ? &marks[i] : NULL));
		}
	}
	CHECK(weft_local_set(keys[3], NULL) == 0);
	CHECK(weft_local_get(keys[3]) == NULL);
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(marks[i].destroyed == 0);
	return NULL;
}

static void *use_in_many_tasks(void *arg)
{
	static struct mark marks[TASKS][KEYS];
	weft_task *tasks[TASKS];

	memset(marks, 0, sizeof(marks));
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_create(destroy_mark, &keys[i]) == 0);
	for (unsigned i = 0; i < TASKS; i++)
		CHECK(weft_spawn(use_all_keys, marks[i], &tasks[i]) == 0);
	for (unsigned i = 0; i < TASKS; i++) {
		CHECK(weft_join(tasks[i], NULL) == 0);
		/* The destructors have run by the time the task has been joined. */
		for (unsigned k = 0; k < KEYS; k++)
			CHECK(marks[i][k].destroyed == (k != 3));
	}
	for (unsigned i = 0; i < KEYS; i++) {
		CHECK(weft_local_get(keys[i]) == NULL);
		CHECK(weft_local_delete(keys[i]) == 0);
	}
	return arg;
}

static void test_each_task_has_its_own(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, use_in_many_tasks, NULL);
}

/* A fork has its own values, inlined or not. Its parent's values stay as they were. */
static void *fork_on(void *arg)
{
	struct mark marks[2] = {{0}};
	uintptr_t depth = (uintptr_t)arg;
	weft_forked fork;

	for (unsigned i = 0; i < 2; i++) {
		marks[i].task = weft_self();
		CHECK(weft_local_get(keys[i]) == NULL);
		CHECK(weft_local_set(keys[i], &marks[i]) == 0);
	}
	if (depth > 0) {
		weft_fork(&fork, fork_on, (void *)(depth - 1));
		if (depth % 3 == 0)
			weft_yield();
		weft_fork_join(&fork);
	}
	for (unsigned i = 0; i < 2; i++) {
		CHECK(weft_local_get(keys[i]) == &marks[i]);
		CHECK(marks[i].destroyed == 0);
		CHECK(weft_local_set(keys[i], NULL) == 0); /* the frame ends before the task */
	}
	return NULL;
}

static void *count_end(void *arg);
static _Atomic unsigned ends;

static void count_it(void *value)
{
	atomic_fetch_add_explicit((_Atomic unsigned *)value, 1, memory_order_relaxed);
}

static void *fork_many(void *arg)
{
	CHECK(weft_local_create(destroy_mark, &keys[0]) == 0);
	CHECK(weft_local_create(destroy_mark, &keys[1]) == 0);
	fork_on((void *)(uintptr_t)100);
	CHECK(weft_local_delete(keys[0]) == 0 && weft_local_delete(keys[1]) == 0);

	CHECK(weft_local_create(count_it, &keys[0]) == 0);
	ends = 0;
	for (unsigned i = 0; i < 50; i++) {
		weft_forked forks[3];
		for (unsigned k = 0; k < 3; k++)
			weft_fork(&forks[k], count_end, NULL);
		for (unsigned k = 3; k-- > 0;)
			weft_fork_join(&forks[k]);
		CHECK(ends == (i + 1) * 3); /* the destructors run before the join returns */
	}
	CHECK(weft_local_delete(keys[0]) == 0);
	return arg;
}

static void *count_end(void *arg)
{
	CHECK(weft_local_get(keys[0]) == NULL);
	CHECK(weft_local_set(keys[0], &ends) == 0);
	return arg;
}

static void test_forks_are_kept_apart(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, fork_many, NULL);
}

/* A group's wait returns after the destructors of its tasks. */
static void count_late(void *value)
{
	for (unsigned i = 0; i < 5; i++)
		weft_yield();
	count_it(value);
}

static void *group_members(void *arg)
{
	for (unsigned round = 1; round <= weft_test_scale(100); round++) {
		weft_group g;
		CHECK(weft_local_create(count_late, &keys[0]) == 0);
		ends = 0;
		weft_group_init(&g);
		for (unsigned i = 0; i < TASKS; i++)
			CHECK(weft_group_spawn(&g, count_end, NULL) == 0);
		CHECK(weft_group_wait(&g) == 0);
		CHECK(ends == TASKS);
		weft_group_fini(&g);
		CHECK(weft_local_delete(keys[0]) == 0);
	}
	return arg;
}

static void test_group_waits_for_destructors(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, group_members, NULL);
}

/* Destructors that set values run again, but not for ever. */
static unsigned again;

static void set_again(void *value)
{
	again++;
	CHECK(weft_local_set(keys[0], value) == 0);
	CHECK(weft_local_set(keys[KEYS - 1], value) == 0); /* this may need a larger table */
}

static void *end_with_setting(void *arg)
{
	CHECK(weft_local_set(keys[0], arg) == 0);
	return NULL;
}

static void *set_in_destructors(void *arg)
{
	weft_task *task;

	again = 0;
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_create(i == 0 ? set_again : NULL, &keys[i]) == 0);
	CHECK(weft_spawn(end_with_setting, &again, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(again == 4);
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_delete(keys[i]) == 0);
	return arg;
}

static void test_destructors_that_set(void **state)
{
	(void)state;
	assert_run(1, set_in_destructors, NULL);
	assert_run(2, set_in_destructors, NULL);
}

/* A destructor may need a lock or an answer to put something back, even in a cancelled task. */
struct patient {
	weft_sem asked, answered;
	bool waited;
};

static void wait_for_answer(void *value)
{
	struct patient *patient = value;

	weft_sem_release(&patient->asked, 1);
	patient->waited = weft_sleep(1000) == 0 && weft_sem_acquire(&patient->answered) == 0;
}

static void *end_cancelled(void *arg)
{
	CHECK(weft_local_set(keys[0], arg) == 0);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return NULL;
}

static void *answer_a_cancelled_task(void *arg)
{
	struct patient patient = {WEFT_SEM_INIT(0), WEFT_SEM_INIT(0), false};
	weft_task *task;

	CHECK(weft_local_create(wait_for_answer, &keys[0]) == 0);
	CHECK(weft_spawn(end_cancelled, &patient, &task) == 0);
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_sem_acquire(&patient.asked) == 0);
	CHECK(weft_cancel(task) == 0);
	weft_sem_release(&patient.answered, 1);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(patient.waited);
	CHECK(weft_local_delete(keys[0]) == 0);
	return arg;
}

static void test_destructors_of_a_cancelled_task_may_wait(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, answer_a_cancelled_task, NULL);
}

/* A deleted key is dead, even when its slot has a new key. Its values are dropped. */
static void *outlive_the_key(void *arg)
{
	weft_local key, next;
	flag destroyed = 0;

	CHECK(weft_local_create(count_it, &key) == 0);
	CHECK(weft_local_set(key, &destroyed) == 0);
	CHECK(weft_local_delete(key) == 0);
	CHECK(weft_local_get(key) == NULL);
	CHECK(weft_local_set(key, &key) == -EINVAL);
	CHECK(weft_local_delete(key) == -EINVAL);
	CHECK(weft_local_create(count_it, &next) == 0);
	CHECK(next != key);
	CHECK(weft_local_get(key) == NULL && weft_local_get(next) == NULL);
	CHECK(weft_local_set(next, &key) == 0);
	CHECK(weft_local_get(key) == NULL && weft_local_get(next) == &key);
	CHECK(weft_local_set(next, NULL) == 0);
	CHECK(weft_local_delete(next) == 0);
	CHECK(weft_local_get(0) == NULL && weft_local_set(0, &key) == -EINVAL);
	CHECK(weft_local_get(UINT64_MAX) == NULL && weft_local_set(UINT64_MAX, &key) == -EINVAL);
	CHECK(destroyed == 0);
	return arg;
}

static unsigned dropped;

static void note_drop(void *value)
{
	(void)value;
	dropped++;
}

static void *leave_value(void *arg)
{
	weft_local key;

	CHECK(weft_local_create(note_drop, &key) == 0);
	CHECK(weft_local_set(key, &key) == 0);
	CHECK(weft_local_delete(key) == 0);
	return arg;
}

static void test_deleted_keys(void **state)
{
	(void)state;
	assert_run(1, outlive_the_key, NULL);
	dropped = 0;
	assert_run(1, leave_value, NULL);
	assert_int_equal(dropped, 0);
}

static void test_outside_of_tasks_and_limits(void **state)
{
	static weft_local all[WEFT_LOCAL_MAX];
	weft_local one_more = 5;

	(void)state;
	assert_int_equal(weft_local_create(NULL, NULL), -EINVAL);
	assert_int_equal(weft_local_delete(0), -EINVAL);
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++) {
		assert_int_equal(weft_local_create(NULL, &all[i]), 0);
		assert_true(all[i] != 0);
	}
	assert_int_equal(weft_local_create(NULL, &one_more), -EAGAIN);
	assert_int_equal(one_more, 5);
	assert_null(weft_local_get(all[0]));
	assert_int_equal(weft_local_set(all[0], all), -EPERM);
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++)
		assert_int_equal(weft_local_delete(all[i]), 0);
}

/* How much heap is in use, as the C library counts it. 0 under tools that have a heap of their
 * own. */
static size_t heap(void)
{
	return mallinfo2().uordblks;
}

static weft_local many[WEFT_LOCAL_MAX];

static void *set_one(void *key)
{
	size_t before = heap();

	CHECK(weft_local_set(*(weft_local *)key, &many) == 0);
	CHECK(heap() - before <= 256);
	CHECK(weft_local_get(*(weft_local *)key) == &many);
	return NULL;
}

/* Sets a value for each key, in an order that is not that of the keys, and then clears some. */
static void *set_all(void *arg)
{
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++) {
		unsigned k = i * 389 % WEFT_LOCAL_MAX;
		CHECK(weft_local_get(many[k]) == NULL);
		CHECK(weft_local_set(many[k], &many[i]) == 0);
	}
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++)
		CHECK(weft_local_get(many[i * 389 % WEFT_LOCAL_MAX]) == &many[i]);
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i += 3)
		CHECK(weft_local_set(many[i], NULL) == 0);
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++)
		CHECK((weft_local_get(many[i]) == NULL) == (i % 3 == 0));
	return arg;
}

/* Keys come and go while the task lives. The values under deleted keys make room. */
static void *set_short_lived(void *arg)
{
	size_t before = heap();

	for (unsigned i = 0; i < 5000; i++) {
		unsigned k = i * 7 % WEFT_LOCAL_MAX;
		weft_local old = many[k];

		CHECK(weft_local_set(many[k], &many[k]) == 0);
		CHECK(weft_local_delete(many[k]) == 0);
		CHECK(weft_local_get(many[k]) == NULL);
		CHECK(weft_local_create(NULL, &many[k]) == 0);
		CHECK(many[k] != old && weft_local_get(many[k]) == NULL);
	}
	CHECK(heap() - before <= 512);
	return arg;
}

static void *use_all_there_are(void *arg)
{
	weft_fn *const uses[] = {set_all, set_short_lived};
	weft_task *task;

	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++)
		CHECK(weft_local_create(NULL, &many[i]) == 0);
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i += 31) {
		CHECK(weft_spawn(set_one, &many[i], &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	CHECK(weft_spawn(set_one, &many[WEFT_LOCAL_MAX - 1], &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(weft_spawn(uses[i], NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	for (unsigned i = 0; i < WEFT_LOCAL_MAX; i++)
		CHECK(weft_local_delete(many[i]) == 0);
	return arg;
}

static void test_a_value_costs_little_whatever_its_key(void **state)
{
	(void)state;
	assert_run(1, use_all_there_are, NULL);
}

/* Destructors that set values under ever more keys, so that the table grows while they run. */
static void destroy_and_set_the_next(void *value)
{
	unsigned i = (unsigned)((weft_local *)value - many);

	atomic_fetch_add_explicit(&ends, 1, memory_order_relaxed);
	if (i + 1 < 3 * KEYS)
		CHECK(weft_local_set(many[i + 1], &many[i + 1]) == 0);
}

static void *set_the_first(void *arg)
{
	CHECK(weft_local_set(many[0], &many[0]) == 0);
	return arg;
}

static void *grow_at_the_end(void *arg)
{
	weft_task *task;

	atomic_store_explicit(&ends, 0, memory_order_relaxed);
	for (unsigned i = 0; i < 3 * KEYS; i++)
		CHECK(weft_local_create(destroy_and_set_the_next, &many[i]) == 0);
	CHECK(weft_spawn(set_the_first, NULL, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(atomic_load_explicit(&ends, memory_order_relaxed) == 3 * KEYS);
	for (unsigned i = 0; i < 3 * KEYS; i++)
		CHECK(weft_local_delete(many[i]) == 0);
	return arg;
}

static void test_destructors_may_make_the_table_grow(void **state)
{
	(void)state;
	assert_run(1, grow_at_the_end, NULL);
}

/* What a task was spawned with is still there while it has values, in scopes, and at its end. */
static void check_name(void *unused)
{
	(void)unused;
	CHECK(strcmp(weft_task_name(NULL), "named") == 0);
}

static void *keep_the_name(void *arg)
{
	weft_scope scope;
	weft_local late = 0;

	check_name(NULL);
	weft_scope_begin(&scope, WEFT_FOREVER);
	check_name(NULL);
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_set(keys[i], arg) == 0);
	check_name(NULL);
	CHECK(weft_scope_end(&scope) == 0);
	check_name(NULL);
	CHECK(weft_local_get(keys[KEYS - 1]) == arg);
	weft_scope_begin(&scope, WEFT_FOREVER);
	CHECK(weft_local_get(keys[0]) == arg);
	CHECK(weft_scope_end(&scope) == 0);
	CHECK(weft_local_create(check_name, &late) == 0 && weft_local_set(late, arg) == 0);
	return (void *)late;
}

static void *spawn_named(void *arg)
{
	const struct weft_task_options opt = {.name = "named", .stack_size = 256 << 10};
	weft_task *task;
	void *late;

	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_create(NULL, &keys[i]) == 0);
	for (unsigned round = 0; round < 3; round++) {
		if (!CHECK(weft_spawn_with(&opt, keep_the_name, &task, &task) == 0))
			break;
		CHECK(weft_join(task, &late) == 0 && late != NULL);
		CHECK(weft_local_delete((weft_local)late) == 0);
	}
	for (unsigned i = 0; i < KEYS; i++)
		CHECK(weft_local_delete(keys[i]) == 0);
	return arg;
}

static void test_values_and_scopes_leave_the_name(void **state)
{
	(void)state;
	assert_run(2, spawn_named, NULL);
}

/* Holds a value, and ends once it is joined, or about then. */
static void *hold_a_value(void *arg)
{
	weft_local key;

	CHECK(weft_local_create(NULL, &key) == 0);
	CHECK(weft_local_set(key, &key) == 0);
	CHECK(weft_event_wait(arg) == 0);
	CHECK(weft_local_get(key) == &key);
	CHECK(weft_local_delete(key) == 0);
	return NULL;
}

static void *set_event(void *event)
{
	weft_event_set(event);
	return NULL;
}

/* The join looks whether the task has yet to start. It must not look at what the task keeps while
 * it runs. The sanitizers see it if it does. */
static void *join_a_holder(void *arg)
{
	const struct weft_task_options named = {.name = "holder"};
	weft_event event;
	weft_task *task;

	for (unsigned round = 0; round < 4; round++) { /* with stacks at hand */
		weft_event_init(&event);
		CHECK(weft_spawn_with(round % 2 ? &named : NULL, hold_a_value, &event, &task) == 0);
		weft_yield(); /* the task starts, and waits */
		CHECK(weft_spawn(set_event, &event, NULL) == 0);
		CHECK(weft_join(task, NULL) == 0);
		weft_event_fini(&event);
	}
	return arg;
}

static void test_a_join_looks_at_no_values(void **state)
{
	(void)state;
	assert_run(1, join_a_holder, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_costs_little_whatever_its_key),
		cmocka_unit_test(test_destructors_may_make_the_table_grow),
		cmocka_unit_test(test_each_task_has_its_own),
		cmocka_unit_test(test_forks_are_kept_apart),
		cmocka_unit_test(test_group_waits_for_destructors),
		cmocka_unit_test(test_destructors_that_set),
		cmocka_unit_test(test_destructors_of_a_cancelled_task_may_wait),
		cmocka_unit_test(test_deleted_keys),
		cmocka_unit_test(test_values_and_scopes_leave_the_name),
		cmocka_unit_test(test_a_join_looks_at_no_values),
		cmocka_unit_test(test_outside_of_tasks_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
