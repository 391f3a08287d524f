/* SPDX-License-Identifier: MIT */
/* The header alone states the version. The library, the build and the headers agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <weft/weft.h>

#if WEFT_VERSION < WEFT_VERSION_NUMBER(0, 1, 0)
#error "the preprocessor can compare versions"
#endif

static void test_the_library_is_of_its_headers_version(void **state)
{
	char text[32];

	(void)state;
	assert_int_equal(weft_version(), WEFT_VERSION);
	snprintf(text, sizeof text, "%d.%d.%d", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR,
		 WEFT_VERSION_PATCH);
	assert_string_equal(weft_version_string(), text);
}

static void test_the_build_has_read_it(void **state)
{
	(void)state;
	assert_string_equal(weft_version_string(), MESON_VERSION);
}

static void test_later_versions_have_larger_numbers(void **state)
{
	(void)state;
	assert_true(WEFT_VERSION_NUMBER(0, 1, 999) < WEFT_VERSION_NUMBER(0, 2, 0));
	assert_true(WEFT_VERSION_NUMBER(0, 999, 999) < WEFT_VERSION_NUMBER(1, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_library_is_of_its_headers_version),
		cmocka_unit_test(test_the_build_has_read_it),
		cmocka_unit_test(test_later_versions_have_larger_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
