/* SPDX-License-Identifier: MIT */
/*
 * The settings of a runtime. One row of the table below describes one setting: its variable, the
 * words of the error message that say what is accepted, how the setting is read, and how it is
 * shown. A new setting needs a row there and a member of struct config. If it is also a
 * member of struct weft_runtime_options, it needs a check in apply_options().
 *
 * src/stack/stack_env.c reads WEFT_STACK_SIZE and WEFT_GUARD too, for coroutines outside of a
 * runtime. Its bounds and its default are the same.
 */
#include "config.h"

#include "runtime.h"
#include "src/base/compiler.h"
#include "src/base/cpus.h"
#include "src/base/digits.h"
#include "src/base/fatal.h"
#include "src/stack/stack.h"
#include "src/stack/stack_env.h"
#include "tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(WEFT__WORKERS_MAX == WEFT__CPUS_MAX, "the default number of workers is in range");
_Static_assert(WEFT__CONFIG_WHY_SIZE == WEFT__CPUS_WHY_SIZE, "the reason fits");

#define ACCEPTS_WORKERS "a number from 1 to 1024"
#define ACCEPTS_STACK   "bytes from 16K to 1024M, with K or M (or k, m) as suffix"
#define ACCEPTS_FLAG    "0 or 1"
#define ACCEPTS_CHAOS   "SEED, SEED,hop or SEED,virtual, where SEED is a number below 2^64"

#define WHY_ONE_WORKER "WEFT_CHAOS=SEED,virtual allows one worker only"

/* A message shows at most this many bytes of a bad value. */
#define SHOWN_MAX 64

/* Any value fits into this many bytes as text. */
#define VALUE_SIZE 48

typedef bool reader(const char *text, struct config *ret);
typedef void shower(const struct config *config, char *ret_text);

static reader read_workers, read_stack_size, read_guard, read_spin, read_pin, read_blocking_threads,
	read_stats, read_chaos, read_print_config;
static shower show_workers, show_stack_size, show_guard, show_spin, show_pin, show_blocking_threads,
	show_stats, show_chaos, show_print_config;

static const struct setting_row {
	const char *variable;
	const char *accepts;
	reader *read; /* returns false if the text is bad */
	shower *show; /* writes at most VALUE_SIZE bytes */
} settings[WEFT__SETTING_COUNT] = {
	/* clang-format off */
	[WEFT__SETTING_WORKERS] =
		{"WEFT_WORKERS", ACCEPTS_WORKERS, read_workers, show_workers},
	[WEFT__SETTING_STACK_SIZE] =
		{"WEFT_STACK_SIZE", ACCEPTS_STACK, read_stack_size, show_stack_size},
	[WEFT__SETTING_GUARD] =
		{"WEFT_GUARD", WEFT__GUARD_VALUES, read_guard, show_guard},
	[WEFT__SETTING_SPIN] =
		{"WEFT_SPIN", "microseconds from 0 to 1000000", read_spin, show_spin},
	[WEFT__SETTING_PIN] =
		{"WEFT_PIN", "none or cores", read_pin, show_pin},
	[WEFT__SETTING_BLOCKING_THREADS] =
		{"WEFT_BLOCKING_THREADS", "a number from 1 to 16384", read_blocking_threads,
		 show_blocking_threads},
	[WEFT__SETTING_STATS] =
		{"WEFT_STATS", ACCEPTS_FLAG, read_stats, show_stats},
	[WEFT__SETTING_CHAOS] =
		{"WEFT_CHAOS", ACCEPTS_CHAOS, read_chaos,
		 show_chaos},
	[WEFT__SETTING_PRINT_CONFIG] =
		{"WEFT_PRINT_CONFIG", ACCEPTS_FLAG, read_print_config, show_print_config},
	/* clang-format on */
};

/* --- readers --- */

static bool read_number(const char *text, unsigned min, unsigned max, unsigned *ret)
{
	uint64_t n;

	if (!weft__read_digits(&text, &n) || *text != '\0' || n < min || n > max)
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool read_flag(const char *text, bool *ret)
{
	if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
		return false;
	*ret = text[0] == '1';
	return true;
}

static bool read_workers(const char *text, struct config *ret)
{
	return read_number(text, 1, WEFT__WORKERS_MAX, &ret->workers);
}

static bool read_stack_size(const char *text, struct config *ret)
{
	return weft__parse_size(text, &ret->stack_size) == 0 &&
	       ret->stack_size >= WEFT__STACK_MIN && ret->stack_size <= WEFT__STACK_MAX;
}

static bool read_guard(const char *text, struct config *ret)
{
	return weft__parse_guard(text, &ret->guard, &ret->guard_always) == 0;
}

static bool read_spin(const char *text, struct config *ret)
{
	return read_number(text, 0, WEFT__SPIN_MAX, &ret->spin_us);
}

static bool read_pin(const char *text, struct config *ret)
{
	if (strcmp(text, "none") == 0)
		ret->pin = WEFT__PIN_NONE;
	else if (strcmp(text, "cores") == 0)
		ret->pin = WEFT__PIN_CORES;
	else
		return false;
	return true;
}

static bool read_blocking_threads(const char *text, struct config *ret)
{
	return read_number(text, 1, WEFT__BLOCKING_MAX, &ret->blocking_threads);
}

static bool read_stats(const char *text, struct config *ret)
{
	return read_flag(text, &ret->stats);
}

static bool read_chaos(const char *text, struct config *ret)
{
	uint64_t seed;

	if (!weft__read_digits(&text, &seed))
		return false;
	ret->chaos = (struct chaos_config){
		.on = true,
		.seed = seed,
		.hop = strcmp(text, ",hop") == 0,
		.virtual_time = strcmp(text, ",virtual") == 0,
	};
	return *text == '\0' || ret->chaos.hop || ret->chaos.virtual_time;
}

static bool read_print_config(const char *text, struct config *ret)
{
	return read_flag(text, &ret->print_config);
}

/* --- showers: they write a value as the variable would have it, where that is possible --- */

static void show_workers(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%u", config->workers);
}

static void show_stack_size(const struct config *config, char *ret_text)
{
	if (config->stack_size % 1024 == 0)
		snprintf(ret_text, VALUE_SIZE, "%zuK", config->stack_size / 1024);
	else
		snprintf(ret_text, VALUE_SIZE, "%zu", config->stack_size);
}

static void show_guard(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%s",
		 config->guard_always ? "always"
		 : config->guard      ? "on"
				      : "off");
}

static void show_spin(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%u", config->spin_us);
}

static void show_pin(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%s", config->pin == WEFT__PIN_CORES ? "cores" : "none");
}

static void show_blocking_threads(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%u", config->blocking_threads);
}

static void show_stats(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%d", config->stats);
}

static void show_chaos(const struct config *config, char *ret_text)
{
	if (config->chaos.on)
		snprintf(ret_text, VALUE_SIZE, "%" PRIu64 "%s", config->chaos.seed,
			 config->chaos.hop            ? ",hop"
			 : config->chaos.virtual_time ? ",virtual"
						      : "");
	else
		snprintf(ret_text, VALUE_SIZE, "off");
}

static void show_print_config(const struct config *config, char *ret_text)
{
	snprintf(ret_text, VALUE_SIZE, "%d", config->print_config);
}

/* --- loading --- */

/* Complains in one line. weft__warn() keeps it one line, whatever the value holds. */
static void reject(const char *variable, const char *text, const char *accepts)
{
	weft__warn("%s=\"%.*s\"%s: expected %s", variable, SHOWN_MAX, text,
		   strnlen(text, SHOWN_MAX + 1) > SHOWN_MAX ? "..." : "", accepts);
}

/* Stays: the pointers are to functions of this file. */
static WEFT__STAYS int apply_environment(struct config *config)
{
	for (size_t i = 0; i < WEFT__SETTING_COUNT; i++) {
		const struct setting_row *s = &settings[i];
		const char *text = getenv(s->variable);

		if (!text)
			continue;
		if (!s->read(text, config)) {
			reject(s->variable, text, s->accepts);
			return -EINVAL;
		}
		config->origin[i] = WEFT__ORIGIN_ENVIRONMENT;
	}
	return 0;
}

static int apply_options(struct config *config, const struct weft_runtime_options *opt)
{
	if (opt->workers) {
		if (opt->workers > WEFT__WORKERS_MAX) {
			weft__warn("weft_runtime_options.workers=%u: expected " ACCEPTS_WORKERS,
				   opt->workers);
			return -EINVAL;
		}
		config->workers = opt->workers;
		config->origin[WEFT__SETTING_WORKERS] = WEFT__ORIGIN_CODE;
	}
	if (opt->stack_size) {
		if (opt->stack_size < WEFT__STACK_MIN || opt->stack_size > WEFT__STACK_MAX) {
			weft__warn("weft_runtime_options.stack_size=%zu: expected bytes from %zu "
				   "to %zu",
				   opt->stack_size, (size_t)WEFT__STACK_MIN,
				   (size_t)WEFT__STACK_MAX);
			return -EINVAL;
		}
		config->stack_size = opt->stack_size;
		config->origin[WEFT__SETTING_STACK_SIZE] = WEFT__ORIGIN_CODE;
	}
	return 0;
}

/* Virtual time allows one worker only. It need not search, because nobody else makes work. */
static int apply_virtual_time(struct config *config)
{
	bool from_code = config->origin[WEFT__SETTING_WORKERS] == WEFT__ORIGIN_CODE;

	if (config->origin[WEFT__SETTING_SPIN] == WEFT__ORIGIN_DEFAULT)
		config->spin_us = 0;
	if (config->origin[WEFT__SETTING_WORKERS] == WEFT__ORIGIN_DEFAULT) {
		config->workers = 1;
		snprintf(config->workers_why, sizeof(config->workers_why), WHY_ONE_WORKER);
	}
	if (config->workers == 1)
		return 0;
	weft__warn("%s=%u: expected 1: " WHY_ONE_WORKER,
		   from_code ? "weft_runtime_options.workers" : "WEFT_WORKERS", config->workers);
	return -EINVAL;
}

/* Returns how many CPUs are in the affinity mask of the threads that the runtime will start, or 0
 * if that is unknown. */
static unsigned affinity_of_threads(void)
{
	struct worker *w = weft__worker();

	/* A worker's thread may be bound to one CPU, so its own mask is of no use: see
	 * weft__runtime_new(). */
	if (w && w->rt->traits.has_cpus)
		return (unsigned)CPU_COUNT(&w->rt->traits.cpus);
	return weft__cpus_affinity();
}

/* Sets what follows from other settings. */
static int apply_rest(struct config *config)
{
	if (config->origin[WEFT__SETTING_STACK_SIZE] == WEFT__ORIGIN_DEFAULT)
		config->stack_size = weft__stack_within(WEFT__STACK_RESERVED, config->guard);
	unsigned affinity = affinity_of_threads();
	config->cpus = 1;
	if (config->chaos.virtual_time)
		return apply_virtual_time(config);
	if (config->origin[WEFT__SETTING_WORKERS] != WEFT__ORIGIN_DEFAULT) {
		config->cpus = weft__cpus_usable_roughly(affinity);
		return 0;
	}
	config->cpus = weft__cpus_usable_within(affinity, NULL, config->workers_why,
						sizeof(config->workers_why));
	config->workers = config->cpus;
	return 0;
}

int weft__config_load(struct config *ret, const struct weft_runtime_options *opt)
{
	struct config config = {
		.guard = true,
		.spin_us = WEFT__SPIN_DEFAULT_US,
		.pin = WEFT__PIN_NONE,
		.blocking_threads = WEFT__BLOCKING_DEFAULT,
	};
	int err = apply_environment(&config);

	if (!err && opt)
		err = apply_options(&config, opt);
	if (!err)
		err = apply_rest(&config);
	if (err)
		return err;
	*ret = config;
	return 0;
}

const char *weft__config_variable(enum setting setting)
{
	return settings[setting].variable;
}

/* --- printing --- */

void weft__config_print(const struct config *config)
{
	static const char *const origins[] = {
		[WEFT__ORIGIN_DEFAULT] = "default",
		[WEFT__ORIGIN_ENVIRONMENT] = "environment",
		[WEFT__ORIGIN_CODE] = "code",
	};

	for (size_t i = 0; i < WEFT__SETTING_COUNT; i++) {
		char value[VALUE_SIZE];
		bool explained = i == WEFT__SETTING_WORKERS && config->workers_why[0] != '\0';

		settings[i].show(config, value);
		weft__warn("%-21s  %-8s  %s%s%s", settings[i].variable, value,
			   origins[config->origin[i]], explained ? ": " : "",
			   explained ? config->workers_why : "");
	}
}
