/* SPDX-License-Identifier: MIT */
/* A group's limit: how many members run, which spawners wait for a place, and which one gets it. */
#include "group_peek.h"

#include <pthread.h>

struct crew {
	weft_group group;
	_Atomic unsigned running, most;
	flag started, go, ended, returned, tried;
	int rc[8]; /* of the spawners, in their order */
};

static void crew_init(struct crew *crew, size_t limit)
{
	*crew = (struct crew){.running = 0};
	weft_group_init(&crew->group);
	weft_group_set_limit(&crew->group, limit);
}

/* relaxed: counts. What they limit is under the group's lock. */
static void *be_counted(void *arg)
{
	struct crew *crew = arg;
	unsigned now = atomic_fetch_add_explicit(&crew->running, 1, memory_order_relaxed) + 1;
	unsigned most = atomic_load_explicit(&crew->most, memory_order_relaxed);

	while (now > most &&
	       !atomic_compare_exchange_weak_explicit(&crew->most, &most, now, memory_order_relaxed,
						      memory_order_relaxed))
		;
	for (unsigned i = 0; i < now % 4; i++)
		weft_yield();
	atomic_fetch_sub_explicit(&crew->running, 1, memory_order_relaxed);
	raise_flag(&crew->ended);
	return NULL;
}

static void *wait_for_go(void *arg)
{
	struct crew *crew = arg;

	raise_flag(&crew->started);
	CHECK(yield_for(&crew->go, 1));
	raise_flag(&crew->ended);
	return NULL;
}

static void *spawn_many(void *arg)
{
	size_t limit = *(size_t *)arg;
	unsigned members = weft_test_scale(2000) + 10;
	struct crew crew;

	crew_init(&crew, limit);
	for (unsigned i = 0; i < members; i++)
		CHECK(weft_group_spawn(&crew.group, be_counted, &crew) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, members));
	CHECK(crew.most >= 1 && crew.most <= limit);
	weft_group_fini(&crew.group);
	return NULL;
}

static void test_no_more_than_the_limit_run(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		for (size_t limit = 1; limit <= 5; limit += 2)
			assert_run(workers, spawn_many, &limit);
	}
}

/* At the limit. A spawn that does not wait says so. A spawn that waits gives up at its deadline. A
 * place that becomes free is there for the next spawner. */
static void *reach_limit(void *arg)
{
	struct crew crew;
	weft_group *g = &crew.group;

	crew_init(&crew, 2);
	CHECK(weft_group_try_spawn(g, wait_for_go, &crew) == 0);
	CHECK(weft_group_spawn_until(g, wait_for_go, &crew, 0) == 0);
	CHECK(weft_group_try_spawn(g, wait_for_go, &crew) == -EAGAIN);
	CHECK(weft_group_spawn_until(g, wait_for_go, &crew, 0) == -ETIMEDOUT);
	CHECK(weft_group_spawn_until(g, wait_for_go, &crew, 1) == -ETIMEDOUT);
	CHECK(weft_group_spawn_until(g, wait_for_go, &crew, weft_after(100000)) == -ETIMEDOUT);
	CHECK(weft_group_submit_until(g, NULL, wait_for_go, &crew, weft_after(1000)) == -ETIMEDOUT);
	CHECK(spawners_waiting(g) == 0);
	raise_flag(&crew.go);
	CHECK(weft_group_spawn_until(g, wait_for_go, &crew, weft_after(LOST_NS)) == 0);
	CHECK(weft_group_wait(g) == 0);
	CHECK(is_raised(&crew.ended, 3) && !is_raised(&crew.ended, 4));
	CHECK(weft_group_try_spawn(g, wait_for_go, &crew) == 0);
	CHECK(weft_group_wait(g) == 0);
	weft_group_fini(g);
	return arg;
}

static void test_at_the_limit(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, reach_limit, NULL);
}

/* Spawners come one after the other, so the order in which they wait is known. */
struct spawner {
	struct crew *crew;
	unsigned number;
	int order; /* the order in which it got its place */
};

static void *spawn_in_turn(void *arg)
{
	struct spawner *s = arg;
	int rc = weft_group_spawn(&s->crew->group, be_counted, s->crew);

	s->crew->rc[s->number] = rc;
	/* release: pairs with the acquire in is_raised(). */
	s->order = (int)atomic_fetch_add_explicit(&s->crew->returned, 1, memory_order_release);
	return NULL;
}

#define SPAWNERS 5

/* A spawner in the middle of the queue is cancelled. The others get the places, in their order. */
static void *take_turns(void *arg)
{
	struct crew crew;
	struct spawner s[SPAWNERS];
	weft_task *tasks[SPAWNERS];

	crew_init(&crew, 1);
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	for (unsigned i = 0; i < SPAWNERS; i++) {
		s[i] = (struct spawner){&crew, i, -1};
		CHECK(weft_spawn(spawn_in_turn, &s[i], &tasks[i]) == 0);
		CHECK(yield_until_waiting(spawners_waiting, &crew.group, i + 1));
	}
	CHECK(weft_cancel(tasks[2]) == 0);
	CHECK(weft_join(tasks[2], NULL) == 0);
	CHECK(crew.rc[2] == -ECANCELED);
	CHECK(spawners_waiting(&crew.group) == SPAWNERS - 1);
	raise_flag(&crew.go);
	for (unsigned i = 0; i < SPAWNERS; i++) {
		if (i == 2)
			continue;
		CHECK(weft_join(tasks[i], NULL) == 0);
		CHECK(crew.rc[i] == 0);
	}
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, SPAWNERS) && !is_raised(&crew.ended, SPAWNERS + 1));
	CHECK(crew.most == 1);
	/* With one worker they also return in that order. */
	if (weft_runtime_workers(NULL) == 1)
		CHECK(s[0].order < s[1].order && s[1].order < s[3].order &&
		      s[3].order < s[4].order);
	weft_group_fini(&crew.group);
	return arg;
}

static void test_first_come_first_served(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, take_turns, NULL);
}

/* A lower limit ends no member. An end makes room only when fewer members run than the limit
 * allows. */
static void *lower_limit(void *arg)
{
	struct crew crew;
	struct spawner s[SPAWNERS];
	weft_task *tasks[SPAWNERS];

	crew_init(&crew, 2);
	for (unsigned i = 0; i < 2; i++)
		CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	for (unsigned i = 0; i < SPAWNERS; i++) {
		s[i] = (struct spawner){&crew, i, -1};
		CHECK(weft_spawn(spawn_in_turn, &s[i], &tasks[i]) == 0);
		CHECK(yield_until_waiting(spawners_waiting, &crew.group, i + 1));
	}
	weft_group_set_limit(&crew.group, 1);
	CHECK(weft_group_try_spawn(&crew.group, wait_for_go, &crew) == -EAGAIN);
	CHECK(spawners_waiting(&crew.group) == SPAWNERS);
	/* one place is given up, and the other one goes to the next spawner */
	raise_flag(&crew.go);
	for (unsigned i = 0; i < SPAWNERS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, 2 + SPAWNERS));
	CHECK(crew.most == 1);
	weft_group_fini(&crew.group);
	return arg;
}

/* A higher limit wakes exactly the spawners for which there is room. The members stay, since nobody
 * raises the flag `go`. */
static void *spawn_stayer(void *arg)
{
	struct crew *crew = arg;

	CHECK(weft_group_spawn(&crew->group, wait_for_go, crew) == 0);
	raise_flag(&crew->returned);
	return NULL;
}

static void *raise_limit(void *arg)
{
	struct crew crew;
	weft_task *tasks[SPAWNERS];

	crew_init(&crew, 1);
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	for (unsigned i = 0; i < SPAWNERS; i++) {
		CHECK(weft_spawn(spawn_stayer, &crew, &tasks[i]) == 0);
		CHECK(yield_until_waiting(spawners_waiting, &crew.group, i + 1));
	}
	weft_group_set_limit(&crew.group, 3);
	CHECK(spawners_waiting(&crew.group) == SPAWNERS - 2);
	CHECK(yield_for(&crew.started, 3));
	weft_group_set_limit(&crew.group, 3);
	CHECK(spawners_waiting(&crew.group) == SPAWNERS - 2);
	weft_group_set_limit(&crew.group, 0);
	CHECK(spawners_waiting(&crew.group) == 0);
	CHECK(yield_for(&crew.started, 1 + SPAWNERS));
	CHECK(weft_group_try_spawn(&crew.group, wait_for_go, &crew) == 0);
	raise_flag(&crew.go);
	for (unsigned i = 0; i < SPAWNERS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, 2 + SPAWNERS));
	weft_group_fini(&crew.group);
	return arg;
}

static void test_the_limit_changes(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		assert_run(workers, lower_limit, NULL);
		assert_run(workers, raise_limit, NULL);
	}
}

/* Members fill their own group without waiting for it. */
static void *fill_up(void *arg)
{
	struct crew *crew = arg;
	int rc = 0;

	for (unsigned i = 0; i < 50 && rc == 0; i++) {
		rc = weft_group_try_spawn(&crew->group, be_counted, crew);
		CHECK(rc == 0 || rc == -EAGAIN);
		if (rc == 0)
			raise_flag(&crew->tried);
	}
	return NULL;
}

static void *members_fill_up(void *arg)
{
	struct crew crew;

	crew_init(&crew, 3);
	CHECK(weft_group_spawn(&crew.group, fill_up, &crew) == 0);
	CHECK(weft_group_spawn(&crew.group, fill_up, &crew) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.tried, 1));
	CHECK(crew.ended == crew.tried);
	weft_group_fini(&crew.group);
	return arg;
}

static void test_members_try_to_spawn(void **state)
{
	(void)state;
	assert_run(1, members_fill_up, NULL);
	assert_run(3, members_fill_up, NULL);
}

/* A cancelled group: a spawner that waits for a place gets one, and its member starts cancelled. */
static void *wait_to_be_cancelled(void *arg)
{
	struct crew *crew = arg;

	raise_flag(&crew->started);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	raise_flag(&crew->ended);
	return NULL;
}

static void *spawn_sleeper(void *arg)
{
	struct crew *crew = arg;

	CHECK(weft_group_spawn(&crew->group, wait_to_be_cancelled, crew) == 0);
	return NULL;
}

static void *cancel_at_the_limit(void *arg)
{
	struct crew crew;
	weft_task *task;

	crew_init(&crew, 1);
	CHECK(weft_group_spawn(&crew.group, wait_to_be_cancelled, &crew) == 0);
	CHECK(weft_spawn(spawn_sleeper, &crew, &task) == 0);
	CHECK(yield_until_waiting(spawners_waiting, &crew.group, 1));
	weft_group_cancel(&crew.group);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, 2));
	weft_group_fini(&crew.group);
	return arg;
}

static void test_a_cancelled_group_lets_spawners_in(void **state)
{
	(void)state;
	assert_run(1, cancel_at_the_limit, NULL);
	assert_run(3, cancel_at_the_limit, NULL);
}

/* A spawn that gets a place and then fails leaves the place to the next spawner. */
static void *spawn_what_cannot_be(void *arg)
{
	struct crew *crew = arg;
	struct weft_task_options bad = {.stack_size = 1};

	CHECK(weft_group_spawn_with(&crew->group, &bad, be_counted, crew) == -EINVAL);
	raise_flag(&crew->tried);
	return NULL;
}

static void *pass_places_on(void *arg)
{
	struct crew crew;
	struct spawner last = {&crew, 0, -1};
	weft_task *tasks[3];

	crew_init(&crew, 1);
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	for (unsigned i = 0; i < 3; i++) {
		if (i < 2)
			CHECK(weft_spawn(spawn_what_cannot_be, &crew, &tasks[i]) == 0);
		else
			CHECK(weft_spawn(spawn_in_turn, &last, &tasks[i]) == 0);
		CHECK(yield_until_waiting(spawners_waiting, &crew.group, i + 1));
	}
	raise_flag(&crew.go);
	if (!CHECK(yield_for(&crew.returned, 1))) /* a hang would be worse */
		weft_group_set_limit(&crew.group, 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(crew.rc[0] == 0 && is_raised(&crew.tried, 2));
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, 2));
	weft_group_fini(&crew.group);
	return arg;
}

static void test_a_place_that_is_not_used_is_left_to_the_next(void **state)
{
	(void)state;
	assert_run(1, pass_places_on, NULL);
	assert_run(3, pass_places_on, NULL);
}

/* A scope ends the wait for a place. The group was begun outside the scope, so its members stay. */
static void *spawn_in_a_scope(void *arg)
{
	struct crew crew;
	weft_scope scope;

	crew_init(&crew, 1);
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	weft_scope_begin(&scope, weft_after(100000));
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == -ECANCELED);
	CHECK(weft_group_spawn_until(&crew.group, wait_for_go, &crew, weft_after(LOST_NS)) ==
	      -ECANCELED);
	CHECK(weft_group_try_spawn(&crew.group, wait_for_go, &crew) == -EAGAIN);
	CHECK(weft_scope_end(&scope) == -ETIMEDOUT);
	CHECK(spawners_waiting(&crew.group) == 0);
	raise_flag(&crew.go);
	CHECK(weft_group_spawn(&crew.group, wait_for_go, &crew) == 0);
	CHECK(weft_group_wait(&crew.group) == 0);
	CHECK(is_raised(&crew.ended, 2) && !is_raised(&crew.ended, 3));
	weft_group_fini(&crew.group);
	return arg;
}

static void test_a_scope_ends_the_wait_for_a_place(void **state)
{
	(void)state;
	assert_run(1, spawn_in_a_scope, NULL);
	assert_run(3, spawn_in_a_scope, NULL);
}

/*
 * Places are neither lost nor given twice. Tasks and threads spawn with short deadlines, or are
 * cancelled, while members end and the limit changes.
 */
struct hustle {
	struct crew crew;
	weft_runtime *rt;
	_Atomic unsigned accepted;
	uint64_t seed;
};

#define HUSTLERS 4

static void hustle_some(struct hustle *h, uint64_t seed)
{
	for (unsigned i = 0; i < weft_test_scale(300) + 5; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		int64_t deadline = weft_after((int64_t)(seed >> 32) % 20000);
		int rc = seed >> 62 == 0
				 ? weft_group_submit(&h->crew.group, h->rt, be_counted, &h->crew)
				 : weft_group_submit_until(&h->crew.group, h->rt, be_counted,
							   &h->crew, deadline);
		CHECK(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
		if (rc == 0)
			atomic_fetch_add_explicit(&h->accepted, 1, memory_order_relaxed);
		if (seed >> 60 == 1)
			weft_group_set_limit(&h->crew.group, 1 + (seed >> 40) % 3);
	}
}

static void *hustle(void *arg)
{
	hustle_some(arg, (uintptr_t)&arg);
	return NULL;
}

static void test_no_place_is_lost(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct hustle h = {.rt = assert_create(workers)};
		pthread_t thread;
		weft_task *tasks[HUSTLERS];
		crew_init(&h.crew, 2);
		assert_int_equal(pthread_create(&thread, NULL, hustle, &h), 0);
		for (unsigned i = 0; i < HUSTLERS; i++)
			assert_int_equal(weft_submit(h.rt, hustle, &h, &tasks[i]), 0);
		for (unsigned i = 0; i < HUSTLERS; i++) {
			if (i % 2 == 0)
				assert_int_equal(weft_cancel(tasks[i]), 0);
			assert_int_equal(weft_join(tasks[i], NULL), 0);
		}
		pthread_join(thread, NULL);
		assert_int_equal(weft_group_wait(&h.crew.group), 0);
		assert_true(h.crew.ended == h.accepted);
		assert_true(h.crew.most <= 3);
		/* The group accepts as many members as before. */
		weft_group_set_limit(&h.crew.group, 1);
		assert_int_equal(weft_group_submit(&h.crew.group, h.rt, wait_for_go, &h.crew), 0);
		assert_int_equal(weft_group_submit_until(&h.crew.group, h.rt, wait_for_go, &h.crew,
							 weft_after(1000)),
				 -ETIMEDOUT);
		raise_flag(&h.crew.go);
		assert_int_equal(weft_group_wait(&h.crew.group), 0);
		weft_group_fini(&h.crew.group);
		assert_int_equal(weft_runtime_destroy(h.rt), 0);
	}
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_more_than_the_limit_run),
		cmocka_unit_test(test_at_the_limit),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_the_limit_changes),
		cmocka_unit_test(test_members_try_to_spawn),
		cmocka_unit_test(test_a_cancelled_group_lets_spawners_in),
		cmocka_unit_test(test_a_place_that_is_not_used_is_left_to_the_next),
		cmocka_unit_test(test_a_scope_ends_the_wait_for_a_place),
		cmocka_unit_test(test_no_place_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
