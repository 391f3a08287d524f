/* SPDX-License-Identifier: MIT */
/*
 * What ThreadSanitizer says in the user build about tasks that talk over channels or belong to a
 * group. Correct programs are silent. An order that the interface does not promise is not assumed,
 * even if everything runs on one thread. Each case is a child process.
 */
#include "tests/sched/core/harness.h"

#ifdef WEFT_TSAN_USER

/* Without this each child would wait a second for reports of other threads. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

static long shared, other;
static weft_chan *ch, *second;

/* A plain access that the compiler keeps. */
__attribute__((noinline)) static void touch(long *what)
{
	(*what)++;
	__asm__ volatile("" : : : "memory");
}

static void new_chan(weft_chan **ret, size_t capacity)
{
	if (weft_chan_create(sizeof(long), capacity, ret) != 0)
		exit(1);
}

/* The steps of two or three tasks. All run on one worker, each until it waits. */

static void *send_after_touch(void *arg)
{
	long value = 1;

	touch(&shared);
	weft_chan_send(ch, &value);
	value = 2; /* ours again */
	return arg;
}

static void *touch_after_send(void *arg)
{
	long value = 1;

	weft_chan_send(ch, &value);
	touch(&shared);
	return arg;
}

static void *recv_and_touch(void *arg)
{
	long value = 0; /* also an access to the memory that the sender's call will fill */

	weft_chan_recv(ch, &value);
	touch(&value);
	touch(&shared);
	return arg;
}

static void *recv_after_touch(void *arg)
{
	long value = 0;

	touch(&shared);
	weft_chan_recv(ch, &value);
	touch(&value);
	return arg;
}

static void *select_recv_and_touch(void *arg)
{
	long value = 0, unused = 0;
	struct weft_case cases[] = {{.op = WEFT_RECV, .chan = second, .elem = &unused},
				    {.op = WEFT_RECV, .chan = ch, .elem = &value}};

	weft_select(cases, 2, WEFT_FOREVER);
	touch(&value);
	touch(&shared);
	return arg;
}

static void *select_send_after_touch(void *arg)
{
	long value = 1;
	struct weft_case cases[] = {{.op = WEFT_SEND, .chan = ch, .elem = &value},
				    {.op = WEFT_RECV, .chan = second, .elem = &other}};

	touch(&shared);
	weft_select(cases, 2, WEFT_FOREVER);
	value = 2;
	return arg;
}

static void *close_after_touch(void *arg)
{
	touch(&shared);
	weft_chan_close(ch);
	return arg;
}

static void *send_twice_and_touch(void *arg)
{
	long value = 1;

	weft_chan_send(ch, &value);
	weft_chan_send(ch, &value);
	touch(&shared);
	return arg;
}

static void *give_up_after_touch(void *arg)
{
	long value = 1;

	touch(&shared);
	weft_chan_recv_until(ch, &value, weft_after(1000));
	return arg;
}

static void *recv_into_shared(void *arg)
{
	weft_chan_recv(ch, &shared);
	return arg;
}

static void *send_from_shared(void *arg)
{
	weft_chan_send(ch, &shared);
	return arg;
}

static void *select_into_shared(void *arg)
{
	struct weft_case recv = {.op = WEFT_RECV, .chan = ch, .elem = &shared};

	weft_select(&recv, 1, WEFT_FOREVER);
	return arg;
}

static void *select_from_shared(void *arg)
{
	struct weft_case send = {.op = WEFT_SEND, .chan = ch, .elem = &shared};

	weft_select(&send, 1, WEFT_FOREVER);
	return arg;
}

static void *touch_it(void *arg)
{
	touch(&shared);
	return arg;
}

/* Runs the tasks in this order, each until it waits, and then all to their ends. Nothing else
 * orders them. */
static void run_both(weft_fn *first, weft_fn *then)
{
	weft_task *tasks[2];

	weft_spawn(first, NULL, &tasks[0]);
	for (unsigned i = 0; i < 300; i++)
		weft_yield();
	weft_spawn(then, NULL, &tasks[1]);
	weft_join(tasks[1], NULL);
	weft_join(tasks[0], NULL);
}

/* Two tasks, and whether they race. */
struct edge_case {
	const char *what;
	size_t capacity;
	weft_fn *first, *then;
	bool filled; /* the channel already holds an element */
	bool race;
};

static const struct edge_case cases[] = {
	{"waiting receiver", 0, recv_and_touch, send_after_touch, false, false},
	{"waiting sender", 0, send_after_touch, recv_and_touch, false, false},
	{"waiting receiver, buffer", 1, recv_and_touch, send_after_touch, false, false},
	{"buffer", 1, send_after_touch, recv_and_touch, false, false},
	{"waiting select receives", 0, select_recv_and_touch, send_after_touch, false, false},
	{"select receives", 0, send_after_touch, select_recv_and_touch, false, false},
	{"waiting select sends", 0, select_send_after_touch, recv_and_touch, false, false},
	{"select sends", 0, recv_and_touch, select_send_after_touch, false, false},
	{"two selects", 0, select_recv_and_touch, select_send_after_touch, false, false},
	{"two selects, buffer", 1, select_send_after_touch, select_recv_and_touch, false, false},
	/* Without a buffer the receive happens before the send returns. */
	{"back, waiting receiver", 0, recv_after_touch, touch_after_send, false, false},
	{"back, waiting sender", 0, touch_after_send, recv_after_touch, false, false},
	/* With a buffer it does not, except before the send that uses the place it made. */
	{"back, waiting receiver, buffer", 1, recv_after_touch, touch_after_send, false, true},
	{"back, buffer", 1, touch_after_send, recv_after_touch, false, true},
	{"back, place made", 1, recv_after_touch, send_twice_and_touch, false, false},
	{"back, place made for a waiting sender", 1, send_twice_and_touch, recv_after_touch, false,
	 false},
	/* A sender that waits for a place is a stranger to the receiver that makes the place. */
	{"stranger makes place", 1, send_after_touch, recv_and_touch, true, true},
	{"close", 0, recv_and_touch, close_after_touch, false, false},
	{"closed", 0, close_after_touch, recv_and_touch, false, false},
	{"close, select", 0, select_recv_and_touch, close_after_touch, false, false},
	/* The elements themselves belong to the caller. */
	{"receives into it", 1, touch_it, recv_into_shared, true, true},
	{"sends from it", 1, touch_it, send_from_shared, false, true},
	{"select receives into it", 1, touch_it, select_into_shared, true, true},
	{"select sends from it", 1, touch_it, select_from_shared, false, true},
	/* The two sides of a wait that gave up. */
	{"gave up", 0, give_up_after_touch, touch_it, false, true},
	{"strangers", 0, touch_it, touch_it, false, true},
};

static const struct edge_case *now;

static void *run_case(void *arg)
{
	long value = 0;

	new_chan(&ch, now->capacity);
	new_chan(&second, 0);
	if (now->filled)
		weft_chan_send(ch, &value);
	run_both(now->first, now->then);
	weft_chan_destroy(ch);
	weft_chan_destroy(second);
	return arg;
}

/* Three tasks. What a waiting sender did before is visible to the task that later receives its
 * element. */
static void *carried_by_a_stranger(void *arg)
{
	weft_task *sender, *receiver;
	long value = 0;

	new_chan(&ch, 1);
	new_chan(&second, 0);
	weft_chan_send(ch, &value);
	weft_spawn(send_after_touch, NULL, &sender);
	for (unsigned i = 0; i < 300; i++)
		weft_yield();
	weft_chan_recv(ch, &value); /* makes a place */
	weft_spawn(recv_and_touch, NULL, &receiver);
	weft_join(receiver, NULL);
	weft_join(sender, NULL);
	return arg;
}

/* Likewise, what a waiting receiver did before is visible to the task that sends after it was
 * served. */
static void *send_and_touch_other(void *arg)
{
	long value = 1;

	weft_chan_send(ch, &value); /* into the place that the receiver has made */
	touch(&shared);
	return arg;
}

static void *made_by_a_waiting_receiver(void *arg)
{
	weft_task *sender, *receiver;
	long value = 0;

	new_chan(&ch, 1);
	weft_spawn(recv_after_touch, NULL, &receiver);
	for (unsigned i = 0; i < 300; i++)
		weft_yield();
	weft_chan_send(ch, &value);
	weft_spawn(send_and_touch_other, NULL, &sender);
	weft_join(sender, NULL);
	weft_join(receiver, NULL);
	return arg;
}

static void *group_and_wait(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	touch(&shared);
	weft_group_spawn(&g, touch_it, NULL);
	weft_group_wait(&g);
	touch(&shared);
	weft_group_fini(&g);
	return arg;
}

static void *group_of_strangers(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	weft_group_spawn(&g, touch_it, NULL);
	weft_group_spawn(&g, touch_it, NULL);
	weft_group_wait(&g);
	weft_group_fini(&g);
	return arg;
}

static void run_in_child(void *fn)
{
	set_number("WEFT_WORKERS", 1);
	weft_run((weft_fn *)fn, NULL, NULL);
}

static void assert_case(weft_fn *fn, const char *what, bool race)
{
	struct child child;

	child_run(&child, run_in_child, (void *)fn);
	bool reported = strstr(child.said, "WARNING: ThreadSanitizer: data race") != NULL;
	bool right = reported == race && (race || child_exited_with(&child, 0));
	if (!right)
		fprintf(stderr, "%s: status %#x, said: %s\n", what, (unsigned)child.status,
			child.said);
	assert_true(right);
}

static void test_channels(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		now = &cases[i];
		assert_case(run_case, now->what, now->race);
	}
	assert_case(carried_by_a_stranger, "carried by a stranger", false);
	assert_case(made_by_a_waiting_receiver, "made by a waiting receiver", false);
}

static void test_groups(void **state)
{
	(void)state;
	assert_case(group_and_wait, "group", false);
	assert_case(group_of_strangers, "strangers in a group", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	printf("skipped: only a build with -Dtsan=user announces edges\n");
	return 77;
}

#endif
