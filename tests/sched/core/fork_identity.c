/* SPDX-License-Identifier: MIT */
/*
 * A fork that runs as a call is still a task. It has an identity, an environment and a cancellation
 * of its own. The parent has its own again afterwards.
 */
#include "harness.h"

#include <fenv.h>

/* Reads errno anew. glibc lets compilers keep its address over a call that may hop. */
static __attribute__((noinline)) int get_errno(void)
{
	__asm__ volatile("");
	return errno;
}

static __attribute__((noinline)) void set_errno(int value)
{
	__asm__ volatile("");
	errno = value;
}

struct parent {
	weft_task *self;
	int worker;
	bool pinned;
};

static void *be_a_task(void *arg)
{
	const struct parent *parent = arg;
	weft_task *self = weft_self();

	CHECK(self != parent->self);
	CHECK(get_errno() == 0);
	CHECK(fegetround() == FE_TONEAREST);
	CHECK(!weft_coro_inside());
	CHECK(weft_coro_self() == NULL);
	CHECK(!weft_cancelled());
	CHECK(weft_task_name(NULL)[0] == '\0');
	set_errno(7);
	CHECK(fesetround(FE_DOWNWARD) == 0);
	for (unsigned i = 0; i < 3; i++) {
		weft_yield();
		if (parent->pinned)
			CHECK(weft_worker_id() == parent->worker);
	}
	CHECK(weft_sleep(1000) == 0);
	if (parent->pinned)
		CHECK(weft_worker_id() == parent->worker);
	CHECK(weft_self() == self);
	CHECK(get_errno() == 7);
	CHECK(fegetround() == FE_DOWNWARD);
	CHECK(!weft_coro_inside());
	/* Its own cancellation and mask, not the parent's. */
	weft_cancel_mask();
	CHECK(weft_cancel(self) == 0);
	CHECK(weft_cancelled());
	CHECK(weft_sleep(1000) == 0);
	weft_cancel_unmask();
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return self;
}

static void fork_one(bool pinned)
{
	struct parent parent = {weft_self(), weft_worker_id(), pinned};
	bool inside = weft_coro_inside();
	weft_coro *generator = weft_coro_self();
	weft_forked fork;

	set_errno(5);
	CHECK(fesetround(FE_UPWARD) == 0);
	weft_fork(&fork, be_a_task, &parent);
	CHECK(weft_self() == parent.self);
	CHECK(weft_fork_join(&fork) == &fork);
	CHECK(weft_self() == parent.self);
	CHECK(get_errno() == 5);
	CHECK(fegetround() == FE_UPWARD);
	CHECK(!weft_cancelled());
	CHECK(weft_coro_inside() == inside);
	CHECK(weft_coro_self() == generator);
	CHECK(fesetround(FE_TONEAREST) == 0);
}

static void *fork_some(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(50); i++)
		fork_one(false);
	return arg;
}

static void *fork_some_pinned(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(50); i++)
		fork_one(true);
	return arg;
}

static void *be_several(void *arg)
{
	for (unsigned i = 0; i < 6; i++)
		CHECK(weft_spawn(fork_some, NULL, NULL) == 0);
	return arg;
}

static void *be_several_pinned(void *arg)
{
	const struct weft_task_options pinned = {.pinned = true};

	for (unsigned i = 0; i < 6; i++)
		CHECK(weft_spawn_with(&pinned, fork_some_pinned, NULL, NULL) == 0);
	return arg;
}

static void test_an_inlined_fork_is_a_task(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, be_several, NULL);
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(4, be_several, NULL);
	unsetenv("WEFT_CHAOS");
}

/*
 * The rounding mode in each control word. On x86-64 the low two bits are mxcsr's. The bits above
 * them are the x87's, the only ones that fegetround() looks at.
 */
static unsigned rounding(void)
{
#if defined(__x86_64__)
	uint32_t mxcsr;
	uint16_t x87;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(x87));
	return (mxcsr >> 13 & 3) | (x87 >> 10 & 3u) << 2;
#else
	return (unsigned)fegetround();
#endif
}

static void round_to(unsigned to)
{
#if defined(__x86_64__)
	uint32_t mxcsr;
	uint16_t x87;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(x87));
	mxcsr = (mxcsr & ~(3u << 13)) | (to & 3) << 13;
	x87 = (uint16_t)((x87 & ~(3u << 10)) | (to >> 2) << 10);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(x87));
#else
	fesetround((int)to);
#endif
}

#if defined(__x86_64__)
static const unsigned rounding_of[] = {1 | 2 << 2, 2, 1 << 2, 3 | 3 << 2};
#else
static const unsigned rounding_of[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_UPWARD};
#endif

static void *round_otherwise(void *arg)
{
	unsigned *other = arg;

	CHECK(rounding() == FE_TONEAREST); /* 0 in each word */
	round_to(*other);
	weft_yield();
	CHECK(rounding() == *other);
	return arg;
}

static void *round_in_every_way(void *arg)
{
	unsigned ways = sizeof rounding_of / sizeof *rounding_of;

	for (unsigned i = 0; i < ways * ways; i++) {
		unsigned own = rounding_of[i / ways], other = rounding_of[i % ways];
		weft_forked fork;

		round_to(own);
		weft_fork(&fork, round_otherwise, &other);
		CHECK(rounding() == own);
		CHECK(weft_fork_join(&fork) == &other);
		CHECK(rounding() == own);
	}
	round_to(FE_TONEAREST);
	return arg;
}

static void test_an_inlined_fork_rounds_on_its_own(void **state)
{
	(void)state;
	assert_run(1, round_in_every_way, NULL);
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(4, round_in_every_way, NULL);
	unsetenv("WEFT_CHAOS");
}

/* With one worker every fork runs inline. A stolen fork is not pinned: it runs where the thief
 * is. */
static void test_an_inlined_fork_inherits_the_pin(void **state)
{
	(void)state;
	assert_run(1, be_several_pinned, NULL);
}

static void *pin_beside_a_fork(void *arg)
{
	int home = weft_worker_id();

	for (unsigned i = 0; i < 20; i++) {
		weft_forked fork;
		weft_fork(&fork, give_back, &fork);
		CHECK(weft_fork_join(&fork) == &fork);
		CHECK(weft_worker_id() == home);
		weft_yield();
	}
	return arg;
}

static void *spawn_pinned_forkers(void *arg)
{
	const struct weft_task_options pinned = {.pinned = true};

	for (unsigned i = 0; i < weft_test_scale(200); i++)
		CHECK(weft_spawn_with(&pinned, pin_beside_a_fork, NULL, NULL) == 0);
	return arg;
}

static void test_a_pinned_parent_stays(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_pinned_forkers, NULL);
}

/* A fork with a fork in it. The state that the inner one leaves behind must not mislead the next
 * one. */
static void *fork_again(void *arg)
{
	CHECK(!weft_coro_inside());
	fork_one(false);
	CHECK(!weft_coro_inside());
	return arg;
}

static void *generate(void *arg)
{
	for (unsigned i = 0; i < 5; i++) {
		weft_forked fork;

		CHECK(weft_coro_inside());
		fork_one(false);
		weft_fork(&fork, fork_again, &fork);
		CHECK(weft_fork_join(&fork) == &fork);
		CHECK(weft_coro_inside());
		fork_one(false);
		weft_coro_yield(arg);
	}
	return arg;
}

static void enter_generator(size_t stack_size)
{
	weft_coro *co = NULL;
	void *out = NULL;

	CHECK(weft_coro_create(generate, stack_size, &co) == 0);
	do {
		CHECK(weft_coro_enter(co, &out, &out) == 0);
		fork_one(false); /* the task's own stack again */
	} while (!weft_coro_done(co));
	weft_coro_destroy(co);
}

static uint64_t inlined(void)
{
	struct weft_stats stats;

	CHECK(weft_runtime_stats(NULL, &stats) == 0);
	return stats.inlined;
}

static void *use_generators(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(10); i++) {
		enter_generator(1 << 20);
		enter_generator(64 << 10);
	}
	return arg;
}

static void *be_several_generators(void *arg)
{
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_spawn(use_generators, NULL, NULL) == 0);
	return arg;
}

static void test_a_fork_in_a_generator_is_not_inside(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, be_several_generators, NULL);
	setenv("WEFT_CHAOS", "2,hop", 1);
	assert_run(4, be_several_generators, NULL);
	unsetenv("WEFT_CHAOS");
}

static void *note_frame(void *arg)
{
	*(char **)arg = __builtin_frame_address(0);
	CHECK(!weft_coro_inside());
	return NULL;
}

/* On a generator with plenty of stack the fork runs inline. If the generator has less than three
 * quarters of a task's stack, the fork runs elsewhere. */
static void *fork_and_measure(void *arg)
{
	size_t stack_size = *(const size_t *)arg;
	char *frame = NULL, *own = __builtin_frame_address(0);
	uint64_t before = inlined();
	weft_forked fork;

	weft_fork(&fork, note_frame, &frame);
	weft_fork_join(&fork);
	bool here = frame < own && (size_t)(own - frame) < stack_size;
	CHECK(here == (stack_size >= (512 << 10)));
	CHECK(inlined() - before == here);
	return NULL;
}

static void *measure_generators(void *arg)
{
	static size_t sizes[] = {16 << 10, 64 << 10, 512 << 10, 1 << 20};

	for (unsigned i = 0; i < 4; i++) {
		weft_coro *co = NULL;

		CHECK(weft_coro_create(fork_and_measure, sizes[i], &co) == 0);
		CHECK(weft_coro_enter(co, &sizes[i], NULL) == 0);
		CHECK(weft_coro_done(co));
		weft_coro_destroy(co);
	}
	return arg;
}

static void test_a_small_generator_stack_is_not_used(void **state)
{
	(void)state;
	if (CHILD_TSAN || CHILD_ASAN)
		skip(); /* stacks are larger than asked for */
	assert_run(1, measure_generators, NULL);
}

static void *begin_anew(void *arg)
{
	CHECK(get_errno() == 0);
	CHECK(fegetround() == FE_TONEAREST);
	set_errno(6);
	CHECK(fesetround(FE_DOWNWARD) == 0);
	return arg;
}

/* Outside of a runtime. */
static void test_a_serial_fork_has_an_environment(void **state)
{
	weft_forked fork;

	(void)state;
	set_errno(5);
	assert_int_equal(fesetround(FE_UPWARD), 0);
	weft_fork(&fork, begin_anew, state);
	assert_int_equal(get_errno(), 5);
	assert_int_equal(fegetround(), FE_UPWARD);
	assert_ptr_equal(weft_fork_join(&fork), state);
	assert_int_equal(get_errno(), 5);
	assert_int_equal(fesetround(FE_TONEAREST), 0);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_inlined_fork_is_a_task),
		cmocka_unit_test(test_an_inlined_fork_rounds_on_its_own),
		cmocka_unit_test(test_a_serial_fork_has_an_environment),
		cmocka_unit_test(test_an_inlined_fork_inherits_the_pin),
		cmocka_unit_test(test_a_pinned_parent_stays),
		cmocka_unit_test(test_a_fork_in_a_generator_is_not_inside),
		cmocka_unit_test(test_a_small_generator_stack_is_not_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
