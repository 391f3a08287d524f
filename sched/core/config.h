/* SPDX-License-Identifier: MIT */
/*
 * The settings of a runtime, each with its value and the source of that value. A value in the code
 * beats the environment, and the environment beats the default. The start fails if a value does not
 * parse or is out of range, even if a stronger source overrides that value. So a mistake is
 * reported when it is made, not on the day the override goes away.
 */
#ifndef WEFT_SCHED_CORE_CONFIG_H
#define WEFT_SCHED_CORE_CONFIG_H

#include "src/base/compiler.h"

#include <weft/runtime.h>

#define WEFT__WORKERS_MAX      1024
#define WEFT__SPIN_MAX         1000000
#define WEFT__SPIN_DEFAULT_US  20
#define WEFT__BLOCKING_MAX     16384
#define WEFT__BLOCKING_DEFAULT 512
#define WEFT__CONFIG_WHY_SIZE  160

/* These are the rows of the table in config.c, and the indices of config.origin. */
enum setting {
	WEFT__SETTING_WORKERS,
	WEFT__SETTING_STACK_SIZE,
	WEFT__SETTING_GUARD,
	WEFT__SETTING_SPIN,
	WEFT__SETTING_PIN,
	WEFT__SETTING_BLOCKING_THREADS,
	WEFT__SETTING_STATS,
	WEFT__SETTING_CHAOS,
	WEFT__SETTING_PRINT_CONFIG,
	WEFT__SETTING_COUNT
};

enum origin { WEFT__ORIGIN_DEFAULT, WEFT__ORIGIN_ENVIRONMENT, WEFT__ORIGIN_CODE };

enum pin { WEFT__PIN_NONE, WEFT__PIN_CORES };

struct chaos_config {
	bool on;
	uint64_t seed;     /* 0 while off */
	bool hop;          /* every resume is on another worker, if there are two */
	bool virtual_time; /* there is one worker, and its time is virtual (src/base/clock.h) */
};

/* Plain data. The caller of weft__config_load() owns it. It is constant after the load. */
struct config {
	unsigned workers;  /* 1 to WEFT__WORKERS_MAX */
	unsigned cpus;     /* CPUs that they may use; a rough number if .workers was set */
	size_t stack_size; /* usable bytes */
	bool guard;
	bool guard_always; /* a stack that can have no guard is refused */
	unsigned spin_us;  /* 0 to WEFT__SPIN_MAX */
	enum pin pin;
	unsigned blocking_threads; /* 1 to WEFT__BLOCKING_MAX */
	bool stats;
	struct chaos_config chaos;
	bool print_config; /* the start of the runtime calls weft__config_print() */

	enum origin origin[WEFT__SETTING_COUNT];
	/* The reason for the default number of workers, or "" if somebody has set the number. */
	char workers_why[WEFT__CONFIG_WHY_SIZE];
};

/*
 * Reads the environment and the options. It prints nothing except the line about a bad value.
 *
 * @ret  untouched on failure.
 * @opt  borrowed for the call; NULL means the same as {0}.
 *
 * Any thread may call it, while no other thread changes the environment.
 *
 * Returns 0, or -EINVAL if a value is bad. One line on stderr then names the value and what is
 * accepted.
 */
int weft__config_load(struct config *ret, const struct weft_runtime_options *opt);

/* Returns the name of a setting's variable. */
const char *weft__config_variable(enum setting setting);

/* Writes every setting, its value and its origin to stderr, one to a line. Stays: its pointers are
 * to functions of config.c. */
WEFT__STAYS void weft__config_print(const struct config *config);

#endif
