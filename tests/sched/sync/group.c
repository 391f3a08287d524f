/* SPDX-License-Identifier: MIT */
/* Groups: waiting for all members, the first error, and cancelling the rest. */
#include "tests/sched/core/harness.h"

#include "sched/core/identity.h"

#define MEMBERS 50

static void *as_result(int error)
{
	return (void *)(intptr_t)error;
}

struct count {
	weft_group *group;
	flag started, go, ended;
};

static void *count_up(void *arg)
{
	struct count *count = arg;

	weft_yield();
	raise_flag(&count->ended);
	return arg; /* any pointer means success */
}

static void *spawn_and_wait(void *arg)
{
	for (unsigned round = 0; round < weft_test_scale(200); round++) {
		struct count count = {0};
		weft_group g;
		weft_group_init(&g);
		CHECK(weft_group_wait(&g) == 0); /* there is nothing to wait for */
		for (unsigned again = 1; again <= 2; again++) {
			for (unsigned i = 0; i < MEMBERS; i++)
				CHECK(weft_group_spawn(&g, count_up, &count) == 0);
			CHECK((again == 1 ? weft_group_wait(&g)
					  : weft_group_wait_until(&g, weft_after(LOST_NS))) == 0);
			CHECK(is_raised(&count.ended, again * MEMBERS));
		}
		weft_group_fini(&g);
	}
	return arg;
}

static void test_waits_for_all(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_and_wait, NULL);
}

/* Members spawn members into the same group, a tree of 2^(depth + 1) - 1. */
struct tree {
	weft_group *group;
	_Atomic unsigned *nodes;
	unsigned depth;
};

static void *grow_tree(void *arg)
{
	struct tree tree = *(struct tree *)arg;

	free(arg);
	atomic_fetch_add_explicit(tree.nodes, 1, memory_order_relaxed);
	for (unsigned i = 0; i < 2 && tree.depth > 0; i++) {
		struct tree *child = malloc(sizeof(*child));
		if (!CHECK(child != NULL))
			break;
		*child = (struct tree){tree.group, tree.nodes, tree.depth - 1};
		CHECK(weft_group_spawn(tree.group, grow_tree, child) == 0);
	}
	return NULL;
}

static void *grow_trees(void *arg)
{
	for (unsigned round = 0; round < weft_test_scale(50); round++) {
		_Atomic unsigned nodes = 0;
		weft_group g;
		struct tree *root = malloc(sizeof(*root));
		if (!CHECK(root != NULL))
			break;
		weft_group_init(&g);
		*root = (struct tree){&g, &nodes, 7};
		CHECK(weft_group_spawn(&g, grow_tree, root) == 0);
		CHECK(weft_group_wait(&g) == 0);
		CHECK(nodes == 255);
		weft_group_fini(&g);
	}
	return arg;
}

static void test_members_spawn_members(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, grow_trees, NULL);
}

/* The wait returns the first error. The other members are cancelled, also those that start
 * later. */
static void *fail_when_told(void *arg)
{
	struct count *count = arg;

	CHECK(yield_for(&count->go, 1));
	return as_result(-EIO);
}

static void *wait_to_be_cancelled(void *arg)
{
	struct count *count = arg;

	raise_flag(&count->started);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	CHECK(weft_cancelled());
	raise_flag(&count->ended);
	return as_result(-EPROTO); /* this is not the first error */
}

static void *fail_first(void *arg)
{
	bool before_the_start = *(bool *)arg;
	struct count count = {0};
	weft_group g;

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, fail_when_told, &count) == 0);
	for (unsigned i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(&g, wait_to_be_cancelled, &count) == 0);
	if (!before_the_start)
		CHECK(yield_for(&count.started, MEMBERS));
	raise_flag(&count.go);
	CHECK(weft_group_wait(&g) == -EIO);
	CHECK(is_raised(&count.ended, MEMBERS));
	CHECK(weft_group_wait(&g) == -EIO); /* the error stays */
	CHECK(weft_group_spawn(&g, wait_to_be_cancelled, &count) == 0);
	CHECK(weft_group_wait(&g) == -EIO);
	CHECK(is_raised(&count.ended, MEMBERS + 1));
	CHECK(!weft_cancelled()); /* the waiter is not a member */
	weft_group_fini(&g);
	weft_group_init(&g); /* the group is like new */
	CHECK(weft_group_spawn(&g, count_up, &count) == 0);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	return NULL;
}

static void test_first_error_cancels_the_rest(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		for (int before = 0; before < 2; before++) {
			bool before_the_start = before;
			assert_run(workers, fail_first, &before_the_start);
		}
	}
}

static void *return_it(void *arg)
{
	return arg;
}

static void *return_results(void *arg)
{
	static const struct {
		intptr_t result;
		int error;
	} cases[] = {{0, 0},         {1, 0},     {-1, -1},        {-EPIPE, -EPIPE},
		     {-4095, -4095}, {-4096, 0}, {INTPTR_MIN, 0}, {INTPTR_MAX, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		weft_group g;
		weft_group_init(&g);
		CHECK(weft_group_spawn(&g, return_it, (void *)cases[i].result) == 0);
		CHECK(weft_group_wait(&g) == cases[i].error);
		weft_group_fini(&g);
	}
	return arg;
}

static void test_which_results_are_errors(void **state)
{
	(void)state;
	assert_run(1, return_results, NULL);
}

static void *cancel_group(void *arg)
{
	bool started = *(bool *)arg;
	struct count count = {0};
	weft_group g;

	weft_group_init(&g);
	for (unsigned i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(&g, wait_to_be_cancelled, &count) == 0);
	if (started)
		CHECK(yield_for(&count.started, MEMBERS));
	CHECK(weft_group_wait_until(&g, 0) == -ETIMEDOUT);
	CHECK(weft_group_wait_until(&g, weft_after(1000)) == -ETIMEDOUT);
	CHECK(!is_raised(&count.ended, 1));
	weft_group_cancel(&g);
	weft_group_cancel(&g);
	CHECK(weft_group_wait_until(&g, weft_after(LOST_NS)) == -EPROTO);
	CHECK(is_raised(&count.ended, MEMBERS));
	weft_group_fini(&g);
	return NULL;
}

static void test_cancel(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		for (int s = 0; s < 2; s++) {
			bool started = s;
			assert_run(workers, cancel_group, &started);
		}
	}
}

/* A cancelled waiter cancels the group and still waits for it. A nested group is cancelled with
 * it. */
static void *end_cancelled(void *arg)
{
	struct count *count = arg;

	raise_flag(&count->started);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	for (unsigned i = 0; i < 20; i++)
		weft_yield();
	raise_flag(&count->ended);
	return NULL;
}

static void *wait_nested(void *arg)
{
	struct count *count = arg;
	weft_group g;

	weft_group_init(&g);
	for (unsigned i = 0; i < 5; i++)
		CHECK(weft_group_spawn(&g, end_cancelled, count) == 0);
	CHECK(weft_group_wait(&g) == -ECANCELED);
	CHECK(weft_group_wait(&g) == 0); /* another wait would return at once */
	weft_group_fini(&g);
	return NULL;
}

static void *wait_outer(void *arg)
{
	struct count *count = arg;
	weft_group g;

	weft_group_init(&g);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&g, wait_nested, count) == 0);
	CHECK(weft_group_wait(&g) == -ECANCELED);
	CHECK(is_raised(&count->ended, 15)); /* the first wait did wait */
	weft_group_fini(&g);
	return NULL;
}

static void *wait_masked(void *arg)
{
	struct count *count = arg;
	weft_group g;

	weft_group_init(&g);
	weft_cancel_mask();
	CHECK(weft_group_spawn(&g, count_up, count) == 0);
	raise_flag(&count->started);
	CHECK(weft_group_wait(&g) == 0);
	weft_cancel_unmask();
	weft_group_fini(&g);
	return NULL;
}

static void *cancel_the_waiter(void *arg)
{
	struct count count = {0};
	weft_task *task;

	CHECK(weft_spawn(wait_outer, &count, &task) == 0);
	CHECK(yield_for(&count.started, 15));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);

	struct count masked = {0};
	CHECK(weft_spawn(wait_masked, &masked, &task) == 0);
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(is_raised(&masked.ended, 1));
	return arg;
}

static void test_cancelled_waiter(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, cancel_the_waiter, NULL);
}

/* Tasks fill a group. A plain thread and a task both wait for it. */
static void *fill_group(void *arg)
{
	struct count *count = arg;

	for (unsigned i = 0; i < MEMBERS; i++)
		CHECK(weft_group_spawn(count->group, count_up, count) == 0);
	return NULL;
}

static void *wait_too(void *arg)
{
	struct count *count = arg;

	CHECK(weft_group_wait(count->group) == 0);
	CHECK(is_raised(&count->ended, MEMBERS));
	return NULL;
}

static void test_thread_waits(void **state)
{
	(void)state;
	for (unsigned round = 0; round < weft_test_scale(100); round++) {
		weft_runtime *rt = assert_create(2);
		struct count count = {0};
		weft_group g;
		weft_task *task, *second;
		weft_group_init(&g);
		count.group = &g;
		assert_int_equal(weft_group_spawn(&g, count_up, &count), -EPERM);
		assert_int_equal(weft_submit(rt, fill_group, &count, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(weft_submit(rt, wait_too, &count, &second), 0);
		assert_int_equal(weft_group_wait(&g), 0);
		assert_true(is_raised(&count.ended, MEMBERS));
		assert_int_equal(weft_join(second, NULL), 0);
		weft_group_fini(&g);
		assert_int_equal(weft_runtime_destroy(rt), 0);
	}
	assert_int_equal(checks_failed(), 0);
}

/* A member that waits for its own group would wait for itself. */
static void *wait_for_oneself(void *arg)
{
	struct count *count = arg;
	weft_group inner;

	CHECK(weft_group_wait(count->group) == -EDEADLK);
	CHECK(weft_group_wait_until(count->group, weft_after(1000)) == -EDEADLK);
	CHECK(weft_group_wait_until(count->group, 0) == -EDEADLK);
	weft_group_init(&inner); /* it may wait for another group */
	CHECK(weft_group_spawn(&inner, count_up, count) == 0);
	CHECK(weft_group_wait(&inner) == 0);
	weft_group_fini(&inner);
	CHECK(weft_group_wait(count->group) == -EDEADLK);
	return NULL;
}

static void *spawn_self_waiters(void *arg)
{
	struct count count = {0};
	weft_group g;

	weft_group_init(&g);
	count.group = &g;
	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_group_spawn(&g, wait_for_oneself, &count) == 0);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(is_raised(&count.ended, 10));
	weft_group_fini(&g);
	return arg;
}

static void test_member_waits(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_self_waiters, NULL);
}

static void test_bad_arguments(void **state)
{
	weft_group g;

	(void)state;
	weft_group_init(&g);
	assert_int_equal(weft_group_spawn(NULL, count_up, NULL), -EINVAL);
	assert_int_equal(weft_group_spawn(&g, NULL, NULL), -EINVAL);
	assert_int_equal(weft_group_wait(NULL), -EINVAL);
	assert_int_equal(weft_group_wait_until(NULL, 0), -EINVAL);
	weft_group_cancel(NULL);
	weft_group_fini(&g);
}

/* Messages name the function of a member, not the function that the group starts it with. */
static void *describe_oneself(void *arg)
{
	char text[WEFT__TASK_TEXT];

	weft__describe_task(task_of_handle(weft_self()), text);
	/* Leaves out "task NUMBER ". */
	snprintf(arg, WEFT__TASK_TEXT, "%s", strchr(text + strlen("task "), ' '));
	return NULL;
}

static void *describe_member(void *arg)
{
	char as_task[WEFT__TASK_TEXT] = "", as_member[WEFT__TASK_TEXT] = "";
	weft_task *task;
	weft_group g;

	CHECK(weft_spawn(describe_oneself, as_task, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, describe_oneself, as_member) == 0);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	CHECK(as_task[0] != '\0' && strcmp(as_task, as_member) == 0);
	return arg;
}

static void test_messages_name_the_members_function(void **state)
{
	(void)state;
	assert_run(1, describe_member, NULL);
}

static void *fini_while_running(void *arg)
{
	struct count count = {0};
	weft_group g;

	weft_group_init(&g);
	child_needs(weft_group_spawn(&g, wait_to_be_cancelled, &count));
	weft_group_fini(&g);
	return arg;
}

static void run_fini(void *arg)
{
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(fini_while_running, arg, NULL));
}

static void test_fini_while_running(void **state)
{
	(void)state;
	assert_aborts(run_fini, "weft_group_fini: group 0x", "still has running tasks (task ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_all),
		cmocka_unit_test(test_members_spawn_members),
		cmocka_unit_test(test_first_error_cancels_the_rest),
		cmocka_unit_test(test_which_results_are_errors),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancelled_waiter),
		cmocka_unit_test(test_thread_waits),
		cmocka_unit_test(test_member_waits),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_messages_name_the_members_function),
		cmocka_unit_test(test_fini_while_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
