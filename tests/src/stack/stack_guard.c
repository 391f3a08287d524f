/* SPDX-License-Identifier: MIT */
/* The guards below stacks: every mechanism, and the messages when mappings run out. */
#include "src/stack/stack.h"

#include "../child.h"
#include "src/coro.h"
#include "src/stack/guard.h"
#include "src/stack/stack_trim.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#include <cmocka.h>

struct attempt {
	enum stack_guard_mechanism mechanism;
	bool guard;
	size_t victim;    /* which stack */
	ptrdiff_t offset; /* from the stack's lowest usable byte */
};

/* So many stacks that their guards are made in batches of several sizes: 1, 1, 2, 4, 8, 16. */
#define STACKS 32

static void touch(void *arg)
{
	const struct attempt *a = arg;
	struct stack stacks[STACKS];

	weft__stack_guard_force(a->mechanism);
	for (size_t i = 0; i < STACKS; i++) {
		if (weft__stack_alloc(32 << 10, a->guard, 64, &stacks[i]) != 0)
			_exit(1);
		stacks[i].low[0] = 1;
		stacks[i].top[0] = 1;
	}
	((volatile char *)stacks[a->victim].low)[a->offset] = 1;
}

static void test_every_mechanism_guards(void **state)
{
	enum stack_guard_mechanism best = weft__stack_guard_mechanism();

	(void)state;
	/* A slower mechanism has a higher number, and works wherever a faster one does. */
	assert_int_not_equal(best, STACK_GUARD_UNKNOWN);
	for (int m = (int)best; m <= STACK_GUARD_MPROTECT; m++) {
		static const struct {
			size_t victim;
			ptrdiff_t offset;
		} hits[] = {{0, -1}, {31, -1}, {31, -65536}, {16, -4096}, {7, -32768}};
		struct attempt a = {.mechanism = (enum stack_guard_mechanism)m, .guard = true};
		struct child child;

		for (size_t i = 0; i < sizeof(hits) / sizeof(hits[0]); i++) {
			a.victim = hits[i].victim;
			a.offset = hits[i].offset;
			child_run(&child, touch, &a);
			assert_true(child_died_of(&child, SIGSEGV));
		}
		a.offset = 0;
		child_run(&child, touch, &a);
		assert_true(child_exited_with(&child, 0));
	}
}

static void test_without_guard_there_is_none(void **state)
{
	struct attempt a = {.guard = false, .victim = 1, .offset = -1};
	struct child child;

	(void)state;
	/* The first slot lies below it. */
	child_run(&child, touch, &a);
	assert_true(child_exited_with(&child, 0));
}

/* The guard must survive when the slot's memory is given back. */
static void touch_after_discard(void *arg)
{
	static struct stack stacks[3000];
	const struct attempt *a = arg;

	weft__stack_guard_force(a->mechanism);
	for (size_t i = 0; i < 3000; i++) {
		if (weft__stack_alloc(16 << 10, true, 64, &stacks[i]) != 0)
			_exit(1);
	}
	/* Every second one, so no arena can be unmapped. The stacks freed first are discarded. */
	for (size_t i = 0; i < 3000; i += 2)
		weft__stack_free(&stacks[i]);
	((volatile char *)stacks[0].low)[0] = 1;
	((volatile char *)stacks[0].low)[-1] = 1;
}

static void test_guard_survives_giving_back(void **state)
{
	struct attempt a = {.mechanism = STACK_GUARD_UNKNOWN};
	struct child child;

	(void)state;
	child_run(&child, touch_after_discard, &a);
	assert_true(child_died_of(&child, SIGSEGV));
	a.mechanism = STACK_GUARD_MPROTECT;
	child_run(&child, touch_after_discard, &a);
	assert_true(child_died_of(&child, SIGSEGV));
}

__attribute__((noinline)) static int recurse(int depth)
{
	volatile char frame[300];

	frame[0] = (char)depth;
	return depth == 0 ? frame[0] : recurse(depth - 1) + frame[0];
}

static void *overflow(void *in)
{
	(void)in;
	return (void *)(intptr_t)recurse(1 << 20);
}

static void run_overflow(void *arg)
{
	weft_coro *co = NULL;

	(void)arg;
	child_needs(weft_coro_create(overflow, 16 << 10, &co));
	weft_coro_enter(co, NULL, NULL);
}

static void test_overflow_is_a_segmentation_fault(void **state)
{
	struct child child;

	(void)state;
	if (CHILD_TSAN) {
		print_message("skipped: ThreadSanitizer's shadow call stack overflows first\n");
		skip();
	}
	child_run(&child, run_overflow, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
}

/* 0: unknown. */
static long mapping_limit(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	long limit = 0;

	if (file) {
		if (fscanf(file, "%ld", &limit) != 1)
			limit = 0;
		fclose(file);
	}
	return limit;
}

/* Neighbours with different protection cannot be merged. Returns how many mappings it made. */
static long take_mappings(long most)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	long count = 0;

	while (count < most && mmap(NULL, page, count % 2 ? PROT_READ : PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		count++;
	return count;
}

static bool can_take_all_mappings(void)
{
	long limit = mapping_limit();

	if (CHILD_TSAN || CHILD_ASAN || san_under_valgrind() || limit == 0 || limit > 1000000) {
		print_message("skipped: all mappings cannot be taken here (a tool needs some, or "
			      "there are too many)\n");
		return false;
	}
	return true;
}

/* Takes all mappings that the process may have. Then it asks for guards that need one each. */
static void run_out_of_mappings(void *arg)
{
	struct stack stack;
	int refused = 0;

	(void)arg;
	weft__stack_guard_force(STACK_GUARD_MPROTECT);
	/* There is an arena, and some of its slots have no guard yet. */
	if (weft__stack_alloc(40 << 10, true, 64, &stack) != 0)
		_exit(1);
	take_mappings(4000000);
	for (int i = 0; i < 10; i++)
		refused += weft__stack_alloc(40 << 10, true, 64, &stack) == -ENOMEM;
	_exit(refused == 10 ? 7 : 2);
}

/* More stacks at one time than there are mappings for guards. The guarded stacks leave mappings to
 * the program, and all stacks are usable. */
static void take_many_stacks(void *arg)
{
	long limit = mapping_limit();
	struct stack stack, first;

	(void)arg;
	weft__stack_guard_force(STACK_GUARD_MPROTECT);
	if (weft__stack_alloc(16 << 10, true, 64, &first) != 0)
		_exit(1);
	for (long i = 0; i < limit / 2 + 1000; i++) {
		if (weft__stack_alloc(16 << 10, true, 64, &stack) != 0)
			_exit(2);
	}
	stack.low[0] = 1;
	/* Arenas, libraries and so on are mappings too. */
	long left = take_mappings(limit / 4);
	if (left < limit / 4 - limit / 16)
		_exit(3);
	first.low[-1] = 1;
	_exit(4);
}

static void take_many_stacks_that_must_be_guarded(void *arg)
{
	long limit = mapping_limit(), count = 0;
	struct stack stack, last = {0};

	(void)arg;
	weft__stack_guard_force(STACK_GUARD_MPROTECT);
	weft__stack_guard_insist(true);
	while (count < limit && weft__stack_alloc(16 << 10, true, 64, &stack) == 0) {
		last = stack;
		count++;
	}
	if (count < limit / 4 || count > limit / 2)
		_exit(1);
	if (take_mappings(limit / 8) < limit / 8)
		_exit(2);
	last.low[-1] = 1;
	_exit(3);
}

static void test_a_stack_that_must_be_guarded_is_refused(void **state)
{
	struct child child;

	(void)state;
	if (!can_take_all_mappings())
		skip();
	child_run(&child, take_many_stacks_that_must_be_guarded, NULL);
	assert_true(child_died_of(&child, SIGSEGV)); /* the last one also has its guard */
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "cannot guard another stack"));
}

static void test_guards_leave_mappings_to_the_program(void **state)
{
	struct child child;

	(void)state;
	if (!can_take_all_mappings())
		skip();
	child_run(&child, take_many_stacks, NULL);
	assert_true(child_died_of(&child, SIGSEGV)); /* the first one has its guard */
	assert_int_equal(child_lines(&child), 1);
}

static void give_stacks_back_and_take_them(void *arg)
{
	static struct stack stacks[3000];
	struct stack last;

	(void)arg;
	weft__stack_guard_force(STACK_GUARD_MPROTECT);
	/* So many that it would be too many if returned guards still counted. */
	for (long round = 0; round < mapping_limit() / 3000 + 1; round++) {
		for (size_t i = 0; i < 3000; i++) {
			if (weft__stack_alloc(16 << 10, true, 64, &stacks[i]) != 0)
				_exit(1);
		}
		last = stacks[2999];
		for (size_t i = 0; i < 3000; i++)
			weft__stack_free(&stacks[i]);
		weft__stack_trim();
	}
	if (weft__stack_alloc(16 << 10, true, 64, &last) != 0)
		_exit(1);
	last.low[-1] = 1;
}

static void test_guards_that_are_given_back_count_no_more(void **state)
{
	struct child child;

	(void)state;
	if (!can_take_all_mappings())
		skip();
	child_run(&child, give_stacks_back_and_take_them, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 0);
}

static void test_mapping_limit_is_explained_once(void **state)
{
	struct child child;

	(void)state;
	if (!can_take_all_mappings())
		skip();
	child_run(&child, run_out_of_mappings, NULL);
	assert_true(child_exited_with(&child, 7));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "vm.max_map_count"));
	assert_non_null(strstr(child.said, "WEFT_GUARD"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mechanism_guards),
		cmocka_unit_test(test_without_guard_there_is_none),
		cmocka_unit_test(test_guard_survives_giving_back),
		cmocka_unit_test(test_overflow_is_a_segmentation_fault),
		cmocka_unit_test(test_mapping_limit_is_explained_once),
		cmocka_unit_test(test_guards_leave_mappings_to_the_program),
		cmocka_unit_test(test_a_stack_that_must_be_guarded_is_refused),
		cmocka_unit_test(test_guards_that_are_given_back_count_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
