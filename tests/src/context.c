/* SPDX-License-Identifier: MIT */
/* The contract of src/context.h, for the backend of this build: bare contexts on bare memory. */
#include "src/context.h"

#include "child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unwind.h>

#include <cmocka.h>

#define STACK_SIZE ((size_t)64 << 10)

static struct context here, there;
static char *memory;

static int setup(void **state)
{
	(void)state;
	memory = aligned_alloc(4096, STACK_SIZE);
	return memory ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

/* A thread that changes its stack without telling the tools confuses them. The tests of coro.c run
 * with the hooks. */
#define SKIP_UNDER_SANITIZERS()                                                               \
	do {                                                                                  \
		if (CHILD_TSAN || CHILD_ASAN) {                                               \
			print_message("skipped: bare contexts do not announce themselves to " \
				      "sanitizers\n");                                        \
			skip();                                                               \
		}                                                                             \
	} while (0)

static void echo(void *value)
{
	for (;;)
		value = weft__context_switch(&there, &here, (char *)value + 1);
}

static void test_switch_passes_values_both_ways(void **state)
{
	char text[8];

	(void)state;
	SKIP_UNDER_SANITIZERS();
	weft__context_make(&there, memory, memory + STACK_SIZE, echo);
	for (int i = 0; i < 6; i++)
		assert_ptr_equal(weft__context_switch(&here, &there, text + i), text + i + 1);
	assert_null(weft__context_switch(&here, &there, (void *)-1));
}

static uintptr_t seen_address, seen_alignment;

static void look_at_stack(void *value)
{
	_Alignas(16) volatile char local[16];

	(void)value;
	local[0] = 1;
	seen_address = (uintptr_t)local;
	seen_alignment = (uintptr_t)__builtin_frame_address(0) % 16;
	weft__context_switch(&there, &here, NULL);
	abort();
}

static void test_entry_has_an_aligned_frame_on_its_stack(void **state)
{
	(void)state;
	SKIP_UNDER_SANITIZERS();
	/* Any top works. */
	for (size_t odd = 0; odd < 64; odd++) {
		weft__context_make(&there, memory, memory + STACK_SIZE - odd, look_at_stack);
		weft__context_switch(&here, &there, NULL);
		assert_in_range(seen_address, (uintptr_t)memory,
				(uintptr_t)memory + STACK_SIZE - 16);
		assert_int_equal(seen_alignment, 0);
	}
}

/*
 * More live values than there are callee-saved registers, of both kinds. Each is computed from
 * `seed` before the switch and used after it. The empty asm stops the compiler from computing them
 * again.
 */
#define HOLD(x) __asm__ volatile("" : "+r"(x))
#if defined(__aarch64__)
#define HOLD_DOUBLE(x) __asm__ volatile("" : "+w"(x))
#else
#define HOLD_DOUBLE(x) __asm__ volatile("" : "+m"(x))
#endif

__attribute__((noinline)) static int hold_over_switch(struct context *from, struct context *to,
						      uintptr_t seed)
{
	uintptr_t a = seed + 1, b = seed + 2, c = seed + 3, d = seed + 4, e = seed + 5,
		  f = seed + 6;
	uintptr_t g = seed + 7, h = seed + 8, i = seed + 9, j = seed + 10, k = seed + 11;
	double s = (double)seed, t = s + 1, u = s + 2, v = s + 3, w = s + 4, x = s + 5, y = s + 6,
	       z = s + 7;

	HOLD(a);
	HOLD(b);
	HOLD(c);
	HOLD(d);
	HOLD(e);
	HOLD(f);
	HOLD(g);
	HOLD(h);
	HOLD(i);
	HOLD(j);
	HOLD(k);
	HOLD_DOUBLE(s);
	HOLD_DOUBLE(t);
	HOLD_DOUBLE(u);
	HOLD_DOUBLE(v);
	HOLD_DOUBLE(w);
	HOLD_DOUBLE(x);
	HOLD_DOUBLE(y);
	HOLD_DOUBLE(z);
	weft__context_switch(from, to, NULL);
	return a == seed + 1 && b == seed + 2 && c == seed + 3 && d == seed + 4 && e == seed + 5 &&
	       f == seed + 6 && g == seed + 7 && h == seed + 8 && i == seed + 9 && j == seed + 10 &&
	       k == seed + 11 && s == (double)seed && t == s + 1 && u == s + 2 && v == s + 3 &&
	       w == s + 4 && x == s + 5 && y == s + 6 && z == s + 7;
}

static int there_held;

static void hold_there(void *value)
{
	(void)value;
	for (;;)
		there_held += hold_over_switch(&there, &here, 5000);
}

static void test_switch_preserves_registers(void **state)
{
	int here_held = 0;

	(void)state;
	SKIP_UNDER_SANITIZERS();
	there_held = 0;
	weft__context_make(&there, memory, memory + STACK_SIZE, hold_there);
	for (int i = 0; i < 10; i++)
		here_held += hold_over_switch(&here, &there, 100);
	assert_int_equal(here_held, 10);
	assert_int_equal(there_held, 9);
}

#if defined(__x86_64__) || defined(__aarch64__)
/* Fills every callee-saved register that can be named. The compiler's own allocation may miss
 * some. */
__attribute__((noinline)) static int fill_registers(struct context *from, struct context *to,
						    uintptr_t seed)
{
	uintptr_t wrong = 0;
#if defined(__x86_64__)
	register uintptr_t r1 __asm__("rbx") = seed + 1;
	register uintptr_t r2 __asm__("r12") = seed + 2;
	register uintptr_t r3 __asm__("r13") = seed + 3;
	register uintptr_t r4 __asm__("r14") = seed + 4;
	register uintptr_t r5 __asm__("r15") = seed + 5;

	__asm__ volatile("" : "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5));
	weft__context_switch(from, to, NULL);
	__asm__ volatile("" : "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r4), "+r"(r5));
	wrong = (r1 ^ (seed + 1)) | (r2 ^ (seed + 2)) | (r3 ^ (seed + 3)) | (r4 ^ (seed + 4)) |
		(r5 ^ (seed + 5));
#else
#define FOR_EACH_D(do) \
	do             \
	(8) do(9) do(10) do(11) do(12) do(13) do(14) do(15)
#define SET_D(n) __asm__ volatile("fmov d" #n ", %0" : : "r"(seed + n) : "v" #n);
#define CHECK_D(n)                                     \
	__asm__ volatile("fmov %0, d" #n : "=r"(now)); \
	wrong |= now ^ (seed + n);
	uintptr_t now;

	FOR_EACH_D(SET_D)
	weft__context_switch(from, to, NULL);
	FOR_EACH_D(CHECK_D)
#endif
	return wrong == 0;
}

static void fill_there(void *value)
{
	(void)value;
	for (;;)
		there_held += fill_registers(&there, &here, 7000);
}

static void test_switch_preserves_named_registers(void **state)
{
	int here_held = 0;

	(void)state;
	SKIP_UNDER_SANITIZERS();
	there_held = 0;
	weft__context_make(&there, memory, memory + STACK_SIZE, fill_there);
	for (int i = 0; i < 10; i++)
		here_held += fill_registers(&here, &there, 300);
	assert_int_equal(here_held, 10);
	assert_int_equal(there_held, 9);
}
#endif

static void block_signal(void *value)
{
	sigset_t set;

	(void)value;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	weft__context_switch(&there, &here, NULL);
	abort();
}

static void test_switch_leaves_the_signal_mask_alone(void **state)
{
	sigset_t set;

	(void)state;
	SKIP_UNDER_SANITIZERS();
	weft__context_make(&there, memory, memory + STACK_SIZE, block_signal);
	weft__context_switch(&here, &there, NULL);
	sigprocmask(SIG_SETMASK, NULL, &set);
	assert_int_equal(sigismember(&set, SIGUSR1), 1);
	sigdelset(&set, SIGUSR1);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static int frames;
static _Unwind_Reason_Code unwound;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
	(void)context;
	(void)arg;
	return ++frames < 100 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

static void unwind(void *value)
{
	(void)value;
	unwound = _Unwind_Backtrace(count_frame, NULL);
	weft__context_switch(&there, &here, NULL);
	abort();
}

static void test_unwinding_ends_at_the_entry(void **state)
{
	(void)state;
	SKIP_UNDER_SANITIZERS();
	frames = 0;
	/* The memory above the stack must not matter. */
	memset(memory, 0x41, STACK_SIZE);
	weft__context_make(&there, memory, memory + STACK_SIZE - 512, unwind);
	weft__context_switch(&here, &there, NULL);
	assert_int_equal(unwound, _URC_END_OF_STACK);
	assert_in_range(frames, 1, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] =
	{ cmocka_unit_test_setup_teardown(test_switch_passes_values_both_ways, setup, teardown),
	  cmocka_unit_test_setup_teardown(test_entry_has_an_aligned_frame_on_its_stack, setup,
					  teardown),
	  cmocka_unit_test_setup_teardown(test_switch_preserves_registers, setup, teardown),
#if defined(__x86_64__) || defined(__aarch64__)
	  cmocka_unit_test_setup_teardown(test_switch_preserves_named_registers, setup, teardown),
#endif
	  cmocka_unit_test_setup_teardown(test_switch_leaves_the_signal_mask_alone, setup,
					  teardown),
	  cmocka_unit_test_setup_teardown(test_unwinding_ends_at_the_entry, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
