/* SPDX-License-Identifier: MIT */
/* Variables that nothing reads. One line names the variable that was probably meant, once. */
#include "harness.h"

#include "sched/core/config.h"
#include "sched/core/environment.h"

static void test_the_nearest_variable_is_named(void **state)
{
	static const char *const meant[][2] = {
		{"WEFT_STAT", "WEFT_STATS"},
		{"WEFT_STATISTICS", "WEFT_STATS"},
		{"WEFT_WORKER", "WEFT_WORKERS"},
		{"WEFT_THREADS", "WEFT_WORKERS"},
		{"WEFT_NUM_THREADS", "WEFT_WORKERS"},
		{"WEFT_BLOCKING_THREAD", "WEFT_BLOCKING_THREADS"},
		{"WEFT_STACKSIZE", "WEFT_STACK_SIZE"},
		{"WEFT_CHAO", "WEFT_CHAOS"},
		{"WEFT_workers", "WEFT_WORKERS"},
		{"WEFT_SPINS", "WEFT_SPIN"},
		{"WEFT_PRINTCONFIG", "WEFT_PRINT_CONFIG"},
		{"WEFT_", NULL},
		{"WEFT_BANANA", NULL},
		{"WEFT_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++) {
		const char *nearest = weft__environment_nearest(meant[i][0]);

		if (!nearest || !meant[i][1])
			assert_ptr_equal(nearest, meant[i][1]);
		else
			assert_string_equal(nearest, meant[i][1]);
	}
	for (unsigned i = 0; i < WEFT__SETTING_COUNT; i++)
		assert_string_equal(weft__environment_nearest(weft__config_variable(i)),
				    weft__config_variable(i));
}

static void run_twice(void *assignment)
{
	putenv(assignment);
	for (int i = 0; i < 2; i++)
		if (weft_run(give_back, NULL, NULL) != 0)
			exit(1);
}

static void assert_says(const char *assignment, const char *line)
{
	struct child child;
	char text[200];

	snprintf(text, sizeof(text), "%s", assignment);
	child_run(&child, run_twice, text);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), line ? 1 : 0);
	if (line)
		assert_non_null(strstr(child.said, line));
}

static void test_unknown_variables_are_named_once(void **state)
{
	(void)state;
	assert_says("WEFT_STAT=1", "weft: WEFT_STAT is not a variable of Weft and has no effect: "
				   "did you mean WEFT_STATS?\n");
	assert_says("WEFT_THREADS=2", "did you mean WEFT_WORKERS?\n");
	assert_says("WEFT_BANANA=", "WEFT_BANANA is not a variable of Weft and has no effect: "
				    "weft-environment(7) lists the variables\n");
	assert_says("WEFT_A\nB=1", "WEFT_A?B is not a variable");
	assert_says("WEFT_WORKERS=2", NULL);
	assert_says("WEFT_TEST_ANYTHING=2", NULL);
	assert_says("WEFTY=2", NULL);
	assert_says("MY_WEFT_STAT=2", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_nearest_variable_is_named),
		cmocka_unit_test(test_unknown_variables_are_named_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
