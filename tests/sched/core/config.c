/* SPDX-License-Identifier: MIT */
/*
 * The settings: which values are accepted, which are refused and with what message, and which
 * source wins. Each test starts without any WEFT_ variable. A file catches the output on stderr.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/core/config.h"
#include "src/base/cpus.h"
#include "src/stack/stack.h"
#include "src/stack/stack_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const variables[] = {
	"WEFT_WORKERS",          "WEFT_STACK_SIZE", "WEFT_GUARD", "WEFT_SPIN",         "WEFT_PIN",
	"WEFT_BLOCKING_THREADS", "WEFT_STATS",      "WEFT_CHAOS", "WEFT_PRINT_CONFIG",
};
#define VARIABLES (sizeof(variables) / sizeof(variables[0]))

static char said[4096];
static int said_fd;
static int stderr_fd;

static void clear(void)
{
	for (size_t i = 0; i < VARIABLES; i++)
		unsetenv(variables[i]);
}

static int set_up(void **state)
{
	(void)state;
	clear();
	said_fd = memfd_create("stderr", MFD_CLOEXEC);
	stderr_fd = dup(STDERR_FILENO);
	return said_fd < 0 || stderr_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	clear();
	close(said_fd);
	close(stderr_fd);
	return 0;
}

/* No code that can fail an assertion runs between catch_stderr() and release_stderr(). */
static void catch_stderr(void)
{
	if (ftruncate(said_fd, 0) != 0 || lseek(said_fd, 0, SEEK_SET) != 0 ||
	    dup2(said_fd, STDERR_FILENO) < 0)
		abort();
}

static void release_stderr(void)
{
	ssize_t len = pread(said_fd, said, sizeof(said) - 1, 0);

	if (len < 0 || dup2(stderr_fd, STDERR_FILENO) < 0)
		abort();
	said[len] = '\0';
}

static int load(struct config *ret, const struct weft_runtime_options *opt)
{
	int err;

	catch_stderr();
	err = weft__config_load(ret, opt);
	release_stderr();
	return err;
}

/* Loads with one variable set, which must succeed without a message. */
static struct config accept(const char *variable, const char *value)
{
	struct config config;

	setenv(variable, value, 1);
	assert_int_equal(load(&config, NULL), 0);
	assert_string_equal(said, "");
	unsetenv(variable);
	return config;
}

/* Loads with one variable set to a bad value. There must be one line that names both, and the
 * result is untouched. */
static void refuse(const char *variable, const char *value)
{
	struct config config;
	struct config before;
	char begins[256];

	memset(&config, 0x5a, sizeof(config));
	memcpy(&before, &config, sizeof(config));
	setenv(variable, value, 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	unsetenv(variable);
	assert_memory_equal(&config, &before, sizeof(config));
	snprintf(begins, sizeof(begins), "weft: %s=\"%s\": expected ", variable, value);
	assert_int_equal(strncmp(said, begins, strlen(begins)), 0);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void test_config_defaults(void **state)
{
	struct config config;
	char why[WEFT__CPUS_WHY_SIZE];
	size_t stack_size;
	bool guard;

	(void)state;
	assert_int_equal(load(&config, NULL), 0);
	assert_string_equal(said, "");
	assert_int_equal(config.workers, weft__cpus_usable(NULL, why, sizeof(why)));
	assert_string_equal(config.workers_why, why);
	assert_true(config.guard);
	/* 256 KiB, guard and header included. */
	assert_int_equal(config.stack_size, weft__stack_within(256 << 10, true));
	/* The same as for a coroutine outside of a runtime. */
	assert_int_equal(weft__stack_env(&stack_size, &guard), 0);
	assert_int_equal(config.stack_size, stack_size);
	assert_int_equal(config.guard, guard);
	assert_int_equal(config.spin_us, WEFT__SPIN_DEFAULT_US);
	assert_int_equal(config.pin, WEFT__PIN_NONE);
	assert_int_equal(config.blocking_threads, 512);
	assert_false(config.stats);
	assert_false(config.chaos.on);
	assert_false(config.chaos.hop);
	assert_false(config.print_config);
	for (size_t i = 0; i < WEFT__SETTING_COUNT; i++)
		assert_int_equal(config.origin[i], WEFT__ORIGIN_DEFAULT);
}

static void test_config_reads_the_environment(void **state)
{
	struct config config;

	(void)state;
	setenv("WEFT_WORKERS", "7", 1);
	setenv("WEFT_STACK_SIZE", "64K", 1);
	setenv("WEFT_GUARD", "off", 1);
	setenv("WEFT_SPIN", "123", 1);
	setenv("WEFT_PIN", "cores", 1);
	setenv("WEFT_BLOCKING_THREADS", "9", 1);
	setenv("WEFT_STATS", "1", 1);
	setenv("WEFT_CHAOS", "42,hop", 1);
	setenv("WEFT_PRINT_CONFIG", "1", 1);
	assert_int_equal(load(&config, NULL), 0);
	assert_string_equal(said, "");
	assert_int_equal(config.workers, 7);
	assert_string_equal(config.workers_why, "");
	assert_int_equal(config.stack_size, 65536);
	assert_false(config.guard);
	assert_int_equal(config.spin_us, 123);
	assert_int_equal(config.pin, WEFT__PIN_CORES);
	assert_int_equal(config.blocking_threads, 9);
	assert_true(config.stats);
	assert_true(config.chaos.on);
	assert_int_equal(config.chaos.seed, 42);
	assert_true(config.chaos.hop);
	assert_true(config.print_config);
	for (size_t i = 0; i < WEFT__SETTING_COUNT; i++)
		assert_int_equal(config.origin[i], WEFT__ORIGIN_ENVIRONMENT);
}

static void test_config_accepts_the_ends_of_each_range(void **state)
{
	(void)state;
	assert_int_equal(accept("WEFT_WORKERS", "1").workers, 1);
	assert_int_equal(accept("WEFT_WORKERS", "1024").workers, 1024);
	assert_int_equal(accept("WEFT_WORKERS", "0008").workers, 8);
	assert_int_equal(accept("WEFT_GUARD", "off").stack_size,
			 weft__stack_within(256 << 10, false));
	assert_int_equal(accept("WEFT_STACK_SIZE", "16384").stack_size, 16384);
	assert_int_equal(accept("WEFT_STACK_SIZE", "16K").stack_size, 16384);
	assert_int_equal(accept("WEFT_STACK_SIZE", "1024M").stack_size, 1024 << 20);
	assert_true(accept("WEFT_GUARD", "on").guard);
	assert_false(accept("WEFT_GUARD", "on").guard_always);
	assert_true(accept("WEFT_GUARD", "always").guard);
	assert_true(accept("WEFT_GUARD", "always").guard_always);
	assert_int_equal(accept("WEFT_SPIN", "0").spin_us, 0);
	assert_int_equal(accept("WEFT_SPIN", "1000000").spin_us, 1000000);
	assert_int_equal(accept("WEFT_PIN", "none").pin, WEFT__PIN_NONE);
	assert_int_equal(accept("WEFT_BLOCKING_THREADS", "1").blocking_threads, 1);
	assert_int_equal(accept("WEFT_BLOCKING_THREADS", "16384").blocking_threads, 16384);
	assert_false(accept("WEFT_STATS", "0").stats);
	assert_false(accept("WEFT_PRINT_CONFIG", "0").print_config);

	assert_true(accept("WEFT_CHAOS", "0").chaos.on);
	assert_false(accept("WEFT_CHAOS", "0").chaos.hop);
	assert_false(accept("WEFT_CHAOS", "0").chaos.virtual_time);
	assert_true(accept("WEFT_CHAOS", "18446744073709551615").chaos.seed == UINT64_MAX);
	assert_true(accept("WEFT_CHAOS", "3,virtual").chaos.virtual_time);
	assert_false(accept("WEFT_CHAOS", "3,virtual").chaos.hop);
}

static void test_config_refuses_what_is_no_number(void **state)
{
	static const char *const numbers[] = {
		"WEFT_WORKERS", "WEFT_STACK_SIZE", "WEFT_SPIN",         "WEFT_BLOCKING_THREADS",
		"WEFT_STATS",   "WEFT_CHAOS",      "WEFT_PRINT_CONFIG",
	};
	static const char *const bad[] = {
		"",
		"banana",
		" 1",
		"1 ",
		"+1",
		"-1",
		"0x10",
		"1e3",
		"1.5",
		"1,",
		"--1",
		"1x",
		"k",
		"-18446744073709551615",
		"18446744073709551616",
		"18446744073709551617",
		"18446744073709551619",
		"99999999999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++)
			refuse(numbers[i], bad[j]);
}

static void test_config_refuses_what_is_out_of_range(void **state)
{
	(void)state;
	refuse("WEFT_WORKERS", "0");
	refuse("WEFT_WORKERS", "1025");
	refuse("WEFT_WORKERS", "4294967297");
	refuse("WEFT_STACK_SIZE", "0");
	refuse("WEFT_STACK_SIZE", "16383");
	refuse("WEFT_STACK_SIZE", "15K");
	refuse("WEFT_STACK_SIZE", "1025M");
	refuse("WEFT_STACK_SIZE", "17592186044416M");
	refuse("WEFT_SPIN", "1000001");
	refuse("WEFT_SPIN", "4294967296");
	refuse("WEFT_BLOCKING_THREADS", "0");
	refuse("WEFT_BLOCKING_THREADS", "16385");
	refuse("WEFT_STATS", "2");
	refuse("WEFT_STATS", "01");
	refuse("WEFT_STATS", "yes");
	refuse("WEFT_PRINT_CONFIG", "2");
}

static void test_config_refuses_other_words(void **state)
{
	(void)state;
	refuse("WEFT_GUARD", "");
	refuse("WEFT_GUARD", "ON");
	refuse("WEFT_GUARD", "1");
	refuse("WEFT_PIN", "");
	refuse("WEFT_PIN", "core");
	refuse("WEFT_PIN", "none ");
	refuse("WEFT_CHAOS", ",hop");
	refuse("WEFT_CHAOS", "1,");
	refuse("WEFT_CHAOS", "1,hops");
	refuse("WEFT_CHAOS", "1, hop");
	refuse("WEFT_CHAOS", "1,hop,hop");
	refuse("WEFT_CHAOS", "hop");
	refuse("WEFT_CHAOS", ",virtual");
	refuse("WEFT_CHAOS", "1,virtual,");
	refuse("WEFT_CHAOS", "1,hop,virtual");
	refuse("WEFT_CHAOS", "1,virtual,hop");
}

static void test_config_says_what_is_expected(void **state)
{
	struct config config;

	(void)state;
	setenv("WEFT_WORKERS", "banana", 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	assert_string_equal(said,
			    "weft: WEFT_WORKERS=\"banana\": expected a number from 1 to 1024\n");
}

static void test_config_complains_in_one_line(void **state)
{
	struct config config;
	char huge[10000];

	(void)state;
	setenv("WEFT_PIN", "one\ntwo\x1b[31m", 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	assert_string_equal(said, "weft: WEFT_PIN=\"one?two?[31m\": expected none or cores\n");

	memset(huge, '7', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	setenv("WEFT_PIN", huge, 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	assert_in_range(strlen(said), 80, 160);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	assert_non_null(strstr(said, "7777\"...: expected none or cores"));

	/* Of two bad values the first one is enough. */
	setenv("WEFT_WORKERS", "0", 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void test_config_code_beats_environment(void **state)
{
	struct config config;
	struct weft_runtime_options opt = {.workers = 3, .stack_size = 20000};

	(void)state;
	setenv("WEFT_WORKERS", "7", 1);
	setenv("WEFT_STACK_SIZE", "64K", 1);
	assert_int_equal(load(&config, &opt), 0);
	assert_int_equal(config.workers, 3);
	assert_int_equal(config.stack_size, 20000);
	assert_int_equal(config.origin[WEFT__SETTING_WORKERS], WEFT__ORIGIN_CODE);
	assert_int_equal(config.origin[WEFT__SETTING_STACK_SIZE], WEFT__ORIGIN_CODE);
	assert_int_equal(config.origin[WEFT__SETTING_SPIN], WEFT__ORIGIN_DEFAULT);
	assert_string_equal(config.workers_why, "");

	/* An option that is 0 leaves the decision to the environment. */
	opt = (struct weft_runtime_options){.workers = 0, .stack_size = 16384};
	assert_int_equal(load(&config, &opt), 0);
	assert_int_equal(config.workers, 7);
	assert_int_equal(config.origin[WEFT__SETTING_WORKERS], WEFT__ORIGIN_ENVIRONMENT);
	assert_int_equal(config.stack_size, 16384);
}

static void test_config_virtual_time_is_one_workers(void **state)
{
	struct config config;

	(void)state;
	setenv("WEFT_CHAOS", "3,virtual", 1);
	assert_int_equal(load(&config, NULL), 0);
	assert_int_equal(config.workers, 1);
	assert_string_equal(config.workers_why, "WEFT_CHAOS=SEED,virtual allows one worker only");
	assert_int_equal(config.spin_us, 0);
	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 1}), 0);
	assert_string_equal(config.workers_why, "");

	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 2}), -EINVAL);
	assert_string_equal(said, "weft: weft_runtime_options.workers=2: expected 1: "
				  "WEFT_CHAOS=SEED,virtual allows one worker only\n");
	setenv("WEFT_WORKERS", "4", 1);
	assert_int_equal(load(&config, NULL), -EINVAL);
	assert_string_equal(said, "weft: WEFT_WORKERS=4: expected 1: "
				  "WEFT_CHAOS=SEED,virtual allows one worker only\n");
	/* A value that code overrides is not at fault here: it parses. */
	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 1}), 0);
	setenv("WEFT_WORKERS", "1", 1);
	setenv("WEFT_SPIN", "7", 1);
	assert_int_equal(load(&config, NULL), 0);
	assert_int_equal(config.spin_us, 7);
}

static void test_config_refuses_options_out_of_range(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 1025}), -EINVAL);
	assert_string_equal(
		said,
		"weft: weft_runtime_options.workers=1025: expected a number from 1 to 1024\n");
	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 1024}), 0);
	assert_int_equal(load(&config, &(struct weft_runtime_options){.stack_size = 16383}),
			 -EINVAL);
	assert_string_equal(
		said, "weft: weft_runtime_options.stack_size=16383: expected bytes from 16384 to "
		      "1073741824\n");
	assert_int_equal(load(&config, &(struct weft_runtime_options){.stack_size = SIZE_MAX}),
			 -EINVAL);
	assert_int_equal(load(&config, &(struct weft_runtime_options){.stack_size = 1 << 30}), 0);
}

static void test_config_refuses_a_bad_variable_that_code_overrides(void **state)
{
	struct config config;
	struct weft_runtime_options opt = {.workers = 3, .stack_size = 20000};

	(void)state;
	setenv("WEFT_WORKERS", "many", 1);
	assert_int_equal(load(&config, &opt), -EINVAL);
	assert_non_null(strstr(said, "WEFT_WORKERS=\"many\""));
	unsetenv("WEFT_WORKERS");
	setenv("WEFT_STACK_SIZE", "1", 1);
	assert_int_equal(load(&config, &opt), -EINVAL);
	assert_non_null(strstr(said, "WEFT_STACK_SIZE=\"1\""));
}

static void test_config_prints_every_setting_and_its_origin(void **state)
{
	struct config config;
	char *rest = said;
	char *line;
	size_t lines = 0;

	(void)state;
	setenv("WEFT_STACK_SIZE", "64K", 1);
	setenv("WEFT_CHAOS", "18446744073709551615,hop", 1);
	assert_int_equal(load(&config, &(struct weft_runtime_options){.workers = 5}), 0);
	catch_stderr();
	weft__config_print(&config);
	release_stderr();
	assert_non_null(strstr(said, "weft: WEFT_WORKERS           5         code\n"));
	assert_non_null(strstr(said, "weft: WEFT_STACK_SIZE        64K       environment\n"));
	assert_non_null(strstr(said, "weft: WEFT_GUARD             on        default\n"));
	assert_non_null(strstr(said, " 18446744073709551615,hop  environment\n"));
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_true(lines < VARIABLES);
		assert_int_equal(strncmp(line + strlen("weft: "), variables[lines],
					 strlen(variables[lines])),
				 0);
		lines++;
	}
	assert_int_equal(lines, VARIABLES);

	clear();
	assert_int_equal(load(&config, NULL), 0);
	snprintf(config.workers_why, sizeof(config.workers_why), "cgroup quota of /a");
	config.workers = 2;
	catch_stderr();
	weft__config_print(&config);
	release_stderr();
	assert_non_null(strstr(said, " 2         default: cgroup quota of /a\n"));
	assert_non_null(strstr(said, "weft: WEFT_CHAOS             off       default\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_defaults),
		TEST(test_config_reads_the_environment),
		TEST(test_config_accepts_the_ends_of_each_range),
		TEST(test_config_refuses_what_is_no_number),
		TEST(test_config_refuses_what_is_out_of_range),
		TEST(test_config_refuses_other_words),
		TEST(test_config_says_what_is_expected),
		TEST(test_config_complains_in_one_line),
		TEST(test_config_code_beats_environment),
		TEST(test_config_virtual_time_is_one_workers),
		TEST(test_config_refuses_options_out_of_range),
		TEST(test_config_refuses_a_bad_variable_that_code_overrides),
		TEST(test_config_prints_every_setting_and_its_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
