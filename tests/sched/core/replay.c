/* SPDX-License-Identifier: MIT */
/*
 * With WEFT_CHAOS=SEED,virtual a seed is a schedule. Each process runs a program with something of
 * everything, at other addresses and at another time. It reports the order of its steps, and the
 * runtime reports which tasks it picked.
 */
#include "harness.h"

#define TALKERS 6
#define STEPS   30
#define SAID    160
#define SEEDS   8

/* relaxed, all: one worker. For ThreadSanitizer these must order nothing. */
static _Atomic uint64_t trace;
static weft_chan *chans[3];
static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;
static weft_sem sem = WEFT_SEM_INIT(2);

static void note(uint64_t what)
{
	uint64_t t = atomic_load_explicit(&trace, memory_order_relaxed);

	t = (t ^ what) * UINT64_C(0x9e3779b97f4a7c15);
	atomic_store_explicit(&trace, t ^ t >> 29, memory_order_relaxed);
}

static void *leaf(void *arg)
{
	note((uintptr_t)arg);
	if ((uintptr_t)arg % 3 == 0)
		weft_yield();
	note((uintptr_t)arg);
	return arg;
}

static void fork_some(uintptr_t self)
{
	weft_forked forks[3];

	for (uintptr_t i = 0; i < 3; i++)
		weft_fork(&forks[i], leaf, (void *)(self * 100 + i));
	weft_yield();
	for (unsigned i = 3; i-- > 0;)
		weft_fork_join(&forks[i]);
}

static void select_some(uintptr_t self)
{
	uintptr_t out = self, in = 0;
	/* In an order that has nothing to do with their addresses. */
	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = chans[self % 3], .elem = &in},
		{.op = WEFT_SEND, .chan = chans[(self + 1) % 3], .elem = &out},
		{.op = WEFT_RECV, .chan = chans[(self + 2) % 3], .elem = &in},
	};

	note((uint64_t)weft_select(cases, 3, weft_after((int64_t)self * 3000)));
	note(in);
}

static void lock_some(uintptr_t self)
{
	int rc = weft_mutex_lock_until(&mutex, weft_after(20000));

	note((uint64_t)rc);
	if (rc < 0)
		return;
	if (self % 2)
		note((uint64_t)weft_cond_wait_until(&cond, &mutex, weft_after(10000)));
	else
		weft_yield();
	weft_cond_signal(&cond);
	weft_mutex_unlock(&mutex);
}

static void *talker(void *arg)
{
	uintptr_t self = (uintptr_t)arg, value = self;

	for (uintptr_t step = 0; step < STEPS; step++) {
		note(self * STEPS + step);
		switch ((self + step * 5) % 7) {
		case 0:
			weft_yield();
			break;
		case 1:
			note((uint64_t)weft_sleep((int64_t)(1 + (self * step) % 11) * 1000));
			break;
		case 2:
			note((uint64_t)weft_chan_send_until(chans[step % 3], &value,
							    weft_after(9000)));
			break;
		case 3:
			note((uint64_t)weft_chan_recv_until(chans[step % 3], &value,
							    weft_after(7000)));
			break;
		case 4:
			select_some(self);
			break;
		case 5:
			lock_some(self);
			break;
		case 6:
			if (weft_sem_acquire_until(&sem, weft_after(5000)) == 0) {
				fork_some(self);
				weft_sem_release(&sem, 1);
			}
			break;
		}
	}
	return arg;
}

static void *play(void *arg)
{
	weft_task *tasks[TALKERS], *sleeper;

	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_chan_create(sizeof(uintptr_t), i, &chans[i]) == 0);
	CHECK(weft_spawn(sleep_for_ever, NULL, &sleeper) == 0);
	for (uintptr_t i = 0; i < TALKERS; i++)
		CHECK(weft_spawn(talker, (void *)(i + 1), &tasks[i]) == 0);
	CHECK(weft_sleep(40000) == 0);
	CHECK(weft_cancel(tasks[1]) == 0);
	CHECK(weft_cancel(sleeper) == 0);
	CHECK(weft_join(sleeper, NULL) == 0);
	for (unsigned i = 0; i < TALKERS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	for (unsigned i = 0; i < 3; i++)
		weft_chan_destroy(chans[i]);
	return arg;
}

static int play_and_say(void)
{
	int rc = weft_run(play, NULL, NULL);

	fprintf(stderr, "trace %016llx\n",
		(unsigned long long)atomic_load_explicit(&trace, memory_order_relaxed));
	return rc < 0 || checks_failed() > 0;
}

static const char *program; /* not /proc/self/exe, which is the tool's if a tool runs us */

static void play_anew(void *chaos)
{
	unsetenv("WEFT_WORKERS");
	setenv("WEFT_CHAOS", chaos, 1);
	setenv("WEFT_STATS", "1", 1);
	execl(program, program, "play", (char *)NULL);
	/* Another machine's program, in an emulator that cannot start it. */
	exit(play_and_say());
}

/* The line of the child's output that begins with this text. */
static void line_of(const struct child *child, const char *begin, char *ret)
{
	const char *line = strstr(child->said, begin);

	assert_non_null(line);
	snprintf(ret, SAID, "%.*s", (int)strcspn(line, "\n"), line);
}

/* Collects what the program and the runtime report about the order. */
static void replay(unsigned seed, char *ret_said)
{
	struct child child;
	char chaos[32];

	snprintf(chaos, sizeof chaos, "%u,virtual", seed);
	child_run(&child, play_anew, chaos);
	assert_true(child_exited_with(&child, 0));
	line_of(&child, "trace ", ret_said);
	line_of(&child, "chaos: seed ", ret_said + SAID);
}

static void test_a_seed_is_a_schedule(void **state)
{
	unsigned seeds = 1 + weft_test_scale(SEEDS - 1);
	char said[SEEDS][2][SAID];

	(void)state;
	for (unsigned seed = 0; seed < seeds; seed++) {
		char again[2][SAID], expected[32];

		replay(seed, said[seed][0]);
		snprintf(expected, sizeof expected, "chaos: seed %u, ", seed);
		assert_ptr_equal(strstr(said[seed][1], expected), said[seed][1]);
		for (unsigned i = 0; i < 2; i++) {
			replay(seed, again[0]);
			assert_string_equal(again[0], said[seed][0]);
			assert_string_equal(again[1], said[seed][1]);
		}
		for (unsigned other = 0; other < seed; other++)
			assert_string_not_equal(said[other][0], said[seed][0]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_seed_is_a_schedule),
	};

	program = argv[0];
	if (argc == 2 && strcmp(argv[1], "play") == 0)
		return play_and_say();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
