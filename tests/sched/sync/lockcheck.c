/* SPDX-License-Identifier: MIT */
/* The check of the order of locks (src/base/lockcheck.h) knows the locks of the program's objects:
 * planted breaches with real objects, each in a child process. */
#include "tests/sched/core/harness.h"

#include "sched/sync/chan.h"
#include "sched/sync/group.h"
#include "sched/sync/queue.h"

static weft_chan *channel;
static struct sync_queue queue;
static struct group group;

static void *return_arg(void *arg)
{
	return arg;
}

/* A join takes no lock, so nothing else is reported before the switch. */
static void *join_under_channel(void *arg)
{
	weft_task *task;

	child_needs(weft_spawn(return_arg, arg, &task));
	child_needs(weft_join(task, NULL));
	child_needs(weft_spawn(return_arg, arg, &task));
	chan_lock(channel);
	child_got(weft_join(task, NULL));
	return arg;
}

static void switch_under_channel(void *arg)
{
	child_needs(weft_chan_create(0, 1, &channel));
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(join_under_channel, arg, NULL));
}

static void take_group_inside_channel(void *arg)
{
	(void)arg;
	child_needs(weft_chan_create(0, 1, &channel));
	chan_lock(channel);
	group_lock(&group);
}

static void take_queue_inside_channel(void *arg)
{
	(void)arg;
	child_needs(weft_chan_create(0, 1, &channel));
	chan_lock(channel);
	sync_lock(&queue.lock);
}

static void use_semaphore_inside_queue(void *arg)
{
	weft_sem sem = WEFT_SEM_INIT(0);

	(void)arg;
	sync_lock(&queue.lock);
	child_got(weft_sem_acquire_until(&sem, weft_now() + 1));
}

static void assert_refused(void (*fn)(void *arg), const char *what, const char *held)
{
	struct child child;

	child_run(&child, fn, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "lock order: "));
	assert_non_null(strstr(child.said, what));
	assert_non_null(strstr(child.said, held));
}

static void test_planted_breaches_abort(void **state)
{
	(void)state;
	assert_refused(switch_under_channel, "a coroutine is switched", "holds weft_chan.lock");
	assert_refused(take_group_inside_channel, "group.ends.lock", "holds weft_chan.lock");
	assert_refused(take_queue_inside_channel, "sync_queue.lock", "holds weft_chan.lock");
	assert_refused(use_semaphore_inside_queue, "sem.word", "holds sync_queue.lock");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_planted_breaches_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
