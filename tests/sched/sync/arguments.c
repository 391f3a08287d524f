/* SPDX-License-Identifier: MIT */
/*
 * Calls with arguments that are wrong, from everywhere: each returns its error at once, has no effect
 * and leaves its outputs and errno alone. tests/calls.py looks for each call that documents -EINVAL
 * among them.
 */
#include "tests/sched/core/harness.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

#define UNTOUCHED  ((void *)(uintptr_t)0x5a5a5a5a)
#define ERRNO_MARK 4711

/* Where the calls are made. */
enum place {
	IN_A_TASK,
	IN_A_CANCELLED_TASK,
	IN_A_SCOPE,
	IN_A_FORK,
	IN_A_BLOCKING_CALL,
	ON_A_THREAD
};

/* What the calls are made with. */
struct things {
	weft_runtime *rt;
	weft_chan *chan;
	weft_group group, results;
	weft_scope scope;
	enum place place;
};

/* Of later versions: larger, and with a member that this library does not know. */
struct later_options {
	union {
		struct weft_task_options task;
		struct weft_runtime_options runtime;
		struct weft_case choice;
		char room[256];
	};
	uint64_t more;
};

/* The result, the outputs and errno of one call. */
#define WRONG(error, call)                                                       \
	do {                                                                     \
		out = UNTOUCHED;                                                 \
		errno = ERRNO_MARK;                                              \
		int rc_ = (call);                                                \
		CHECK(errno == ERRNO_MARK);                                      \
		CHECK(out == UNTOUCHED);                                         \
		if (!CHECK(rc_ == (error)))                                      \
			fprintf(stderr, "%s: %d at %d\n", #call, rc_, t->place); \
	} while (0)

static void *must_not_run(void *arg)
{
	CHECK(false);
	return arg;
}

static void must_not_loop(size_t lo, size_t hi, void *arg)
{
	(void)lo, (void)hi;
	must_not_run(arg);
}

static void must_not_add(size_t lo, size_t hi, void *acc, void *arg)
{
	(void)lo, (void)hi, (void)acc;
	must_not_run(arg);
}

static void must_not_join(void *acc, const void *right, void *arg)
{
	(void)acc, (void)right;
	must_not_run(arg);
}

static void try_tasks(struct things *t, bool is_task)
{
	struct weft_task_options small = {.stack_size = 16383}, large = {.stack_size = 2UL << 30};
	struct later_options later = {.more = 1};
	weft_fn *fn = must_not_run;
	void *out;
	weft_task **task = (weft_task **)&out;

	WRONG(-EINVAL, weft_join(NULL, &out));
	WRONG(-EINVAL, weft_join_until(NULL, &out, 0));
	WRONG(-EINVAL, weft_detach(NULL));
	WRONG(-EINVAL, weft_cancel(NULL));
	WRONG(-EINVAL, weft_spawn(NULL, NULL, task));
	WRONG(-EINVAL, weft_spawn_with(NULL, NULL, NULL, task));
	WRONG(is_task ? -EINVAL : -EPERM, weft_spawn_with(&small, fn, NULL, task));
	WRONG(is_task ? -EINVAL : -EPERM, weft_spawn_with(&large, fn, NULL, task));
	WRONG(-E2BIG, weft_spawn_with_sized(&later.task, sizeof(later), fn, NULL, task));
	if (!is_task)
		WRONG(-EPERM, weft_spawn(fn, NULL, task));

	WRONG(-EINVAL, weft_submit(t->rt, NULL, NULL, task));
	WRONG(-EINVAL, weft_submit_with(t->rt, NULL, NULL, NULL, task));
	WRONG(-EINVAL, weft_submit_with(t->rt, &small, fn, NULL, task));
	WRONG(-E2BIG, weft_submit_with_sized(t->rt, &later.task, sizeof(later), fn, NULL, task));
	if (t->place == ON_A_THREAD)
		WRONG(-EPERM, weft_submit(NULL, fn, NULL, task));

	WRONG(-EINVAL, weft_blocking(NULL, NULL, &out));
	WRONG(-EINVAL, weft_blocking_until(NULL, NULL, &out, 0));
	WRONG(-EINVAL, weft_for(0, 1, 1, NULL, NULL));
	WRONG(-EINVAL, weft_for(1, 0, 1, must_not_loop, NULL));
	WRONG(-EINVAL, weft_reduce(0, 1, 1, NULL, must_not_join, NULL, NULL, 8, &out));
	WRONG(-EINVAL, weft_reduce(0, 1, 1, must_not_add, NULL, NULL, NULL, 8, &out));
	WRONG(-EINVAL, weft_reduce(0, 1, 1, must_not_add, must_not_join, NULL, NULL, 0, &out));
	WRONG(-EINVAL, weft_reduce(1, 0, 1, must_not_add, must_not_join, NULL, NULL, 8, &out));
	WRONG(-EINVAL, weft_reduce(0, 1, 1, must_not_add, must_not_join, NULL, NULL, 8, NULL));
	WRONG(-E2BIG,
	      weft_reduce(0, 1, 1, must_not_add, must_not_join, NULL, NULL, 1UL << 30, &out));
	WRONG(-EINVAL, weft_coro_create(NULL, 0, (weft_coro **)&out));
	WRONG(-EINVAL, weft_coro_create(fn, 0, NULL));
	WRONG(-EINVAL, weft_coro_create(fn, 1, (weft_coro **)&out));
	WRONG(-EINVAL, weft_local_create(NULL, NULL));
	WRONG(-EINVAL, weft_local_delete(0));
	WRONG(is_task ? -EINVAL : -EPERM, weft_local_set(0, &out));
	CHECK(weft_local_get(0) == NULL);
}

static void try_groups(struct things *t, bool is_task)
{
	struct weft_task_options small = {.stack_size = 1};
	struct later_options later = {.more = 1};
	weft_group *g = &t->group;
	weft_fn *fn = must_not_run;
	void *out;

	WRONG(-EINVAL, weft_group_spawn(NULL, fn, NULL));
	WRONG(-EINVAL, weft_group_spawn(g, NULL, NULL));
	WRONG(-EINVAL, weft_group_spawn_until(NULL, fn, NULL, 0));
	WRONG(-EINVAL, weft_group_spawn_until(g, NULL, NULL, 0));
	WRONG(-EINVAL, weft_group_try_spawn(NULL, fn, NULL));
	WRONG(-EINVAL, weft_group_try_spawn(g, NULL, NULL));
	WRONG(-EINVAL, weft_group_spawn_with(NULL, NULL, fn, NULL));
	WRONG(-EINVAL, weft_group_spawn_with(g, NULL, NULL, NULL));
	WRONG(is_task ? -EINVAL : -EPERM, weft_group_spawn_with(g, &small, fn, NULL));
	WRONG(-E2BIG, weft_group_spawn_with_sized(g, &later.task, sizeof(later), fn, NULL));
	if (!is_task)
		WRONG(-EPERM, weft_group_spawn(g, fn, NULL));

	WRONG(-EINVAL, weft_group_submit(NULL, t->rt, fn, NULL));
	WRONG(-EINVAL, weft_group_submit(g, t->rt, NULL, NULL));
	WRONG(-EINVAL, weft_group_submit_until(NULL, t->rt, fn, NULL, 0));
	WRONG(-EINVAL, weft_group_submit_until(g, t->rt, NULL, NULL, 0));
	WRONG(-EINVAL, weft_group_submit_with(NULL, t->rt, NULL, fn, NULL));
	WRONG(-EINVAL, weft_group_submit_with(g, t->rt, &small, fn, NULL));
	WRONG(-E2BIG, weft_group_submit_with_sized(g, t->rt, &later.task, sizeof(later), fn, NULL));
	if (t->place == ON_A_THREAD)
		WRONG(-EPERM, weft_group_submit(g, NULL, fn, NULL));

	WRONG(-EINVAL, weft_group_next(NULL, &out));
	WRONG(-EINVAL, weft_group_next(g, &out)); /* keeps no results */
	WRONG(-EINVAL, weft_group_next_until(NULL, &out, 0));
	WRONG(-EINVAL, weft_group_next_until(g, &out, 0));
	WRONG(-ECHILD, weft_group_next(&t->results, &out));
	WRONG(-EINVAL, weft_group_wait(NULL));
	WRONG(-EINVAL, weft_group_wait_until(NULL, 0));
	WRONG(-EINVAL, weft_group_wait_or_cancel_until(NULL, 0));
	CHECK(weft_group_wait(g) == 0); /* none of the calls has left a task, or a place */
}

static void try_channels(struct things *t)
{
	uint64_t memory[64];
	weft_chan **chan;
	void *out, *element = &memory;
	struct weft_case unknown = {.op = (enum weft_op)9, .chan = t->chan},
			 empty = {.op = WEFT_SEND, .chan = t->chan};
	struct later_options later = {.more = 1};

	chan = (weft_chan **)&out;
	WRONG(-EINVAL, weft_chan_create(1, 1, NULL));
	WRONG(-ENOMEM, weft_chan_create(SIZE_MAX / 2, 3, chan));
	CHECK(weft_chan_memory_size(SIZE_MAX / 2, 3) == 0);
	CHECK(weft_chan_memory_size(1, 1) <= sizeof(memory));
	WRONG(-EINVAL, weft_chan_create_in(NULL, sizeof(memory), 1, 1, chan));
	WRONG(-EINVAL, weft_chan_create_in(memory, sizeof(memory), 1, 1, NULL));
	WRONG(-EINVAL, weft_chan_create_in(memory, 8, 1, 1, chan));
	WRONG(-EINVAL, weft_chan_create_in((char *)memory + 1, sizeof(memory) - 1, 1, 1, chan));
	WRONG(-EINVAL, weft_chan_send(NULL, element));
	WRONG(-EINVAL, weft_chan_send(t->chan, NULL));
	WRONG(-EINVAL, weft_chan_send_until(NULL, element, 0));
	WRONG(-EINVAL, weft_chan_send_until(t->chan, NULL, 0));
	WRONG(-EINVAL, weft_chan_try_send(NULL, element));
	WRONG(-EINVAL, weft_chan_try_send(t->chan, NULL));
	WRONG(-EINVAL, weft_chan_recv(NULL, &out));
	WRONG(-EINVAL, weft_chan_recv_until(NULL, &out, 0));
	WRONG(-EINVAL, weft_chan_try_recv(NULL, &out));
	WRONG(-EINVAL, weft_select(NULL, 1, 0));
	WRONG(-EINVAL, weft_select(&unknown, 1, 0));
	WRONG(-EINVAL, weft_select(&empty, 1, 0));
	WRONG(-EINVAL, weft_select_ordered(NULL, 1, 0));
	WRONG(-EINVAL, weft_select_ordered(&unknown, 1, 0));
	WRONG(-EINVAL, weft_select_ordered(&empty, (size_t)INT_MAX + 1, 0));
	WRONG(-E2BIG, weft_select_sized(&later.choice, sizeof(later), 1, 0));
	WRONG(-E2BIG, weft_select_ordered_sized(&later.choice, sizeof(later), 1, 0));
	WRONG(-EINVAL, weft_timer_wait(NULL, NULL));
	WRONG(-EINVAL, weft_timer_wait_until(NULL, NULL, 0));
	CHECK(weft_chan_len(t->chan) == 0);

	/* What NULL does nothing to, and says nothing about. */
	weft_chan_destroy(NULL);
	weft_chan_close(NULL);
	weft_chan_ref(NULL);
	weft_scope_cancel(NULL);
	weft_coro_destroy(NULL);
	CHECK(!weft_chan_unref(NULL) && !weft_chan_closed(NULL));
	CHECK(weft_chan_len(NULL) == 0 && weft_chan_cap(NULL) == 0);
	CHECK(weft_runtime_destroy(NULL) == 0);
}

static void try_runtimes(struct things *t, bool is_task)
{
	struct weft_runtime_options crowded = {.workers = 1025}, narrow = {.stack_size = 1};
	struct later_options later = {.more = 1};
	weft_fn *fn = must_not_run;
	struct weft_stats stats;
	void *out;
	weft_runtime **rt = (weft_runtime **)&out;

	WRONG(-EINVAL, weft_run(NULL, NULL, &out));
	WRONG(is_task ? -EDEADLK : -EINVAL, weft_run_with(&crowded, fn, NULL, &out));
	WRONG(-E2BIG, weft_run_with_sized(&later.runtime, sizeof(later), fn, NULL, &out));
	WRONG(-EINVAL, weft_runtime_create(&crowded, rt));
	WRONG(-EINVAL, weft_runtime_create(&narrow, rt));
	WRONG(-E2BIG, weft_runtime_create_sized(&later.runtime, sizeof(later), rt));
	WRONG(-EINVAL, weft_runtime_set_workers(t->rt, 0));
	WRONG(-EINVAL, weft_runtime_set_workers(t->rt, 1025));
	WRONG(-EINVAL, weft_runtime_stats(t->rt, NULL));
	WRONG(-EINVAL, weft_worker_stats(t->rt, 0, NULL));
	WRONG(-EINVAL, weft_worker_stats(t->rt, 1000, &stats));
	if (t->place != ON_A_THREAD) {
		WRONG(-EDEADLK, weft_runtime_destroy(t->rt));
	} else {
		WRONG(-EPERM, weft_runtime_set_workers(NULL, 1));
		WRONG(-EPERM, weft_runtime_stats(NULL, &stats));
		WRONG(-EPERM, weft_worker_stats(NULL, 0, &stats));
		CHECK(!weft_runtime_self() && weft_runtime_workers(NULL) == 0);
		CHECK(weft_task_number(NULL) == 0 && strcmp(weft_task_name(NULL), "") == 0);
	}
}

static void *try_all(void *arg)
{
	struct things *t = arg;
	bool is_task = t->place != IN_A_BLOCKING_CALL && t->place != ON_A_THREAD;

	CHECK((weft_self() != NULL) == is_task);
	try_tasks(t, is_task);
	try_groups(t, is_task);
	try_channels(t);
	try_runtimes(t, is_task);
	return arg;
}

static void *go_to_place(void *arg)
{
	struct things *t = arg;
	weft_forked fork;
	pthread_t thread;
	weft_task *task;

	t->rt = weft_runtime_self();
	switch (t->place) {
	case IN_A_TASK:
		return try_all(t);
	case IN_A_CANCELLED_TASK:
		CHECK(weft_cancel(weft_self()) == 0);
		return try_all(t);
	case IN_A_SCOPE:
		weft_scope_begin(&t->scope, 1);
		CHECK(weft_cancelled());
		try_all(t);
		CHECK(weft_scope_end(&t->scope) == -ETIMEDOUT);
		return t;
	case IN_A_FORK:
		weft_fork(&fork, try_all, t);
		return weft_fork_join(&fork);
	case IN_A_BLOCKING_CALL:
		CHECK(weft_blocking(try_all, t, NULL) == 0);
		return t;
	default:
		CHECK(pthread_create(&thread, NULL, try_all, t) == 0);
		/* The runtime goes on without this worker. */
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		pthread_join(thread, NULL);
		CHECK(weft_join(task, NULL) == 0);
		return t;
	}
}

static void test_wrong_arguments_are_refused(void **state)
{
	struct things t;

	(void)state;
	memset(&t, 0, sizeof(t));
	assert_int_equal(weft_chan_create(sizeof(void *), 1, &t.chan), 0);
	for (t.place = IN_A_TASK; t.place <= ON_A_THREAD; t.place++) {
		weft_group_init(&t.group);
		weft_group_init(&t.results);
		weft_group_keep_results(&t.results);
		assert_run(2, go_to_place, &t);
		weft_group_fini(&t.group);
		weft_group_fini(&t.results);
	}
	weft_chan_destroy(t.chan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_arguments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
