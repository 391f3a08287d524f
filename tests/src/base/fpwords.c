/* SPDX-License-Identifier: MIT */
/*
 * The floating-point control words at a switch, for both ways in which a processor loads mxcsr:
 * always, or only if the control bits differ.
 */
#include "src/base/fpwords.h"
#include "src/base/sanitizer.h"
#include "src/coro.h"
#include "src/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <weft/coro.h>

#if defined(__x86_64__)

#define ROUND_UP      (2u << 13)
#define FLUSH_TO_ZERO (1u << 15)
#define INEXACT       (1u << 5)

static uint32_t mxcsr(void)
{
	struct fpwords words;

	fpwords_save(&words);
	return words.mxcsr;
}

static void set_mxcsr(uint32_t value)
{
	struct fpwords words = {.mxcsr = value};

	fpwords_load_mxcsr(&words);
}

static void compare(bool whether)
{
	weft__coro_thread_init();
	weft__fpwords_compare = whether;
	weft__thread()->plain = !whether && !weft__thread()->eh_globals;
}

/* Yields the words that it finds, and sets the words that it is given. */
static void *set_and_yield(void *value)
{
	for (;;) {
		uint32_t found = mxcsr();

		set_mxcsr((uint32_t)(uintptr_t)value);
		value = weft_coro_yield((void *)(uintptr_t)found);
	}
	return NULL;
}

static void *set_and_end(void *value)
{
	set_mxcsr((uint32_t)(uintptr_t)value);
	return NULL;
}

static uint32_t enter(weft_coro *co, uint32_t value)
{
	void *out = NULL;

	assert_int_equal(weft_coro_enter(co, (void *)(uintptr_t)value, &out), 0);
	return (uint32_t)(uintptr_t)out;
}

/* Whether the machine keeps these bits of mxcsr. An emulator may not keep all of them. */
static bool keeps(uint32_t bits)
{
	uint32_t before = mxcsr();

	set_mxcsr(before | bits);
	bool kept = (mxcsr() & bits) == bits;
	set_mxcsr(before);
	return kept;
}

static void check_control_bits(uint32_t bits)
{
	uint32_t plain = mxcsr() & ~FPWORDS_MXCSR_FLAGS;
	weft_coro *co, *other;

	if (!keeps(bits))
		return;
	assert_int_equal(weft_coro_create(set_and_yield, 0, &co), 0);
	assert_int_equal(weft_coro_create(set_and_end, 0, &other), 0);
	assert_int_equal(enter(co, plain | bits) & bits, 0);
	assert_int_equal(mxcsr() & bits, 0);
	assert_int_equal(enter(co, plain | bits) & bits, bits);
	assert_int_equal(mxcsr() & bits, 0);
	enter(other, plain | bits); /* its end */
	assert_int_equal(mxcsr() & bits, 0);

	set_mxcsr(plain | bits);
	uint32_t inside = enter(co, plain), outside = mxcsr();
	uint32_t inside_again = enter(co, plain), outside_again = mxcsr();
	set_mxcsr(plain);
	assert_int_equal(inside & bits, bits);
	assert_int_equal(outside & bits, bits);
	assert_int_equal(inside_again & bits, 0);
	assert_int_equal(outside_again & bits, bits);
	weft_coro_destroy(co);
	weft_coro_destroy(other);
}

static void test_control_bits_belong_to_the_coroutine(void **state)
{
	bool before = weft__fpwords_compare;

	(void)state;
	for (int whether = 0; whether < 2; whether++) {
		compare(whether);
		check_control_bits(ROUND_UP);
		check_control_bits(FLUSH_TO_ZERO);
		check_control_bits(ROUND_UP | FLUSH_TO_ZERO);
	}
	compare(before);
}

/* On a CPU with slow loads, sticky flags alone cause no load. */
static void test_flags_alone_have_nothing_loaded(void **state)
{
	bool before = weft__fpwords_compare;
	uint32_t plain = mxcsr() & ~FPWORDS_MXCSR_FLAGS;
	weft_coro *co;

	(void)state;
	if (!keeps(INEXACT))
		skip();
	compare(true);
	assert_int_equal(weft_coro_create(set_and_yield, 0, &co), 0);
	set_mxcsr(plain);
	enter(co, plain | INEXACT);
	uint32_t after = mxcsr();
	set_mxcsr(plain);
	compare(before);
	assert_int_equal(after, plain | INEXACT);
	weft_coro_destroy(co);
}

#else

static void test_control_bits_belong_to_the_coroutine(void **state)
{
	(void)state;
	skip();
}

static void test_flags_alone_have_nothing_loaded(void **state)
{
	(void)state;
	skip();
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_bits_belong_to_the_coroutine),
		cmocka_unit_test(test_flags_alone_have_nothing_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
