/* SPDX-License-Identifier: MIT */
/* Numbers of tasks. Each is used once, for one task, and is the same for every asker. Also: how
 * messages name a task. */
#include "harness.h"

#include <pthread.h>
#include <stdlib.h>

#define TASKS (CHILD_TSAN ? 1100 : 3000) /* more than a worker's block of numbers */

struct numbered {
	uint64_t number;
	weft_task *self;
};

static void *ask(void *arg)
{
	struct numbered *n = arg;

	n->self = weft_self();
	n->number = weft_task_number(NULL);
	CHECK(n->number != 0);
	weft_yield();
	CHECK(weft_task_number(weft_self()) == n->number);
	weft_yield();
	CHECK(weft_task_number(NULL) == n->number);
	return arg;
}

static int by_number(const void *left, const void *right)
{
	uint64_t a = ((const struct numbered *)left)->number;
	uint64_t b = ((const struct numbered *)right)->number;

	return a < b ? -1 : a > b;
}

static void *number_many(void *arg)
{
	struct numbered *all = arg;
	weft_task **tasks = calloc(TASKS, sizeof(*tasks));
	unsigned asked_first = 0;

	for (unsigned round = 0; round < 2;
	     round++) { /* the second round uses the same addresses */
		struct numbered *some = &all[round * TASKS];
		for (unsigned i = 0; i < TASKS; i++)
			CHECK(weft_spawn(ask, &some[i], &tasks[i]) == 0);
		for (unsigned i = 0; i < TASKS; i++) {
			uint64_t number = i % 3 == 0 ? weft_task_number(tasks[i]) : 0;
			asked_first += number != 0;
			while (weft_join_until(tasks[i], NULL, 0) == -ETIMEDOUT) {
				CHECK(!number || weft_task_number(tasks[i]) == number);
				weft_yield();
			}
			CHECK(number == 0 || some[i].number == number);
		}
	}
	CHECK(asked_first == 2 * ((TASKS + 2) / 3));
	free(tasks);
	return arg;
}

static struct numbered all[2 * TASKS];

static void test_numbers_are_never_given_twice(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		assert_run(workers, number_many, all);
		qsort(all, 2 * TASKS, sizeof(all[0]), by_number);
		for (unsigned i = 0; i < 2 * TASKS; i++) {
			assert_true(all[i].number != 0);
			if (i > 0)
				assert_true(all[i].number != all[i - 1].number);
		}
	}
}

/* Threads and the task itself ask for the first time, at about the same time. */
struct asked {
	weft_task *task;
	flag go, may_end;
	_Atomic uint64_t number; /* relaxed: the first answer */
};

static void check_answer(struct asked *a, uint64_t number)
{
	uint64_t first = 0;

	CHECK(number != 0);
	if (!atomic_compare_exchange_strong_explicit(&a->number, &first, number,
						     memory_order_relaxed, memory_order_relaxed))
		CHECK(first == number);
}

static void *ask_from_outside(void *arg)
{
	struct asked *a = arg;

	spin_for(&a->go, 1);
	check_answer(a, weft_task_number(a->task));
	return NULL;
}

static void *ask_for_oneself(void *arg)
{
	struct asked *a = arg;

	spin_for(&a->go, 1);
	check_answer(a, weft_task_number(NULL));
	yield_for(&a->may_end, 1);
	return NULL;
}

static void test_who_asks_at_once_hears_the_same(void **state)
{
	weft_runtime *rt = assert_create(1);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(300); i++) {
		struct asked a = {0};
		pthread_t threads[2];
		assert_int_equal(weft_submit(rt, ask_for_oneself, &a, &a.task), 0);
		for (unsigned n = 0; n < 2; n++)
			assert_int_equal(pthread_create(&threads[n], NULL, ask_from_outside, &a),
					 0);
		raise_flag(&a.go);
		for (unsigned n = 0; n < 2; n++)
			pthread_join(threads[n], NULL);
		raise_flag(&a.may_end);
		assert_int_equal(weft_join(a.task, NULL), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *give_number(void *arg)
{
	*(uint64_t *)arg = weft_task_number(NULL);
	return NULL;
}

static void *fork_some(void *arg)
{
	uint64_t mine = weft_task_number(NULL), theirs[2];
	weft_forked forks[2];

	for (unsigned i = 0; i < 2; i++)
		weft_fork(&forks[i], give_number, &theirs[i]);
	weft_fork_join(&forks[1]);
	weft_fork_join(&forks[0]);
	CHECK(theirs[0] != 0 && theirs[1] != 0 && theirs[0] != theirs[1]);
	CHECK(theirs[0] != mine && theirs[1] != mine && weft_task_number(NULL) == mine);
	return arg;
}

static void test_a_fork_has_its_own(void **state)
{
	(void)state;
	assert_run(1, fork_some, NULL);
	assert_run(3, fork_some, NULL);
}

static void test_outside_of_a_task_there_is_none(void **state)
{
	(void)state;
	assert_true(weft_task_number(NULL) == 0);
}

/* --- messages --- */

/* Not static: it has a symbol at run time if the program exports it. Otherwise it has an offset. */
void *unmask_unmasked(void *arg);
void *unmask_unmasked(void *arg)
{
	fprintf(stderr, "number %lu\n", (unsigned long)weft_task_number(NULL));
	weft_cancel_unmask();
	return arg;
}

static void *spawn_victim(void *name)
{
	const struct weft_task_options options = {.name = name};
	weft_task *task;

	child_needs(weft_spawn_with(&options, unmask_unmasked, NULL, &task));
	child_got(weft_join(task, NULL));
	return NULL;
}

static void run_victim(void *name)
{
	child_got(weft_run(spawn_victim, name, NULL));
}

static void assert_message(char *name, const char *prefix, const char *end)
{
	struct child child;
	unsigned long number = 0;
	char begin[64];

	child_run(&child, run_victim, name);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(sscanf(child.said, "number %lu", &number), 1);
	snprintf(begin, sizeof(begin), "weft: weft_cancel_unmask: task %lu ", number);
	const char *line = strstr(child.said, begin);
	if (!line || strncmp(line + strlen(begin), prefix, strlen(prefix)) != 0)
		fprintf(stderr, "said: %s\n", child.said);
	assert_non_null(line);
	assert_int_equal(strncmp(line + strlen(begin), prefix, strlen(prefix)), 0);
	assert_non_null(strstr(line, end));
}

static void test_messages_name_the_task_or_its_function(void **state)
{
	(void)state;
	assert_message("victim", "\"victim\" ", " is in no masked region");
	/* The task's function, by name or by place. */
	assert_message(NULL, "test-sched-core-number+0x", " is in no masked region");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: under ThreadSanitizer no child of a process that had threads can start
		 * any. */
		cmocka_unit_test(test_messages_name_the_task_or_its_function),
		cmocka_unit_test(test_numbers_are_never_given_twice),
		cmocka_unit_test(test_who_asks_at_once_hears_the_same),
		cmocka_unit_test(test_a_fork_has_its_own),
		cmocka_unit_test(test_outside_of_a_task_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
