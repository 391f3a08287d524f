/* SPDX-License-Identifier: MIT */
/*
 * The settings of a runtime, each with its value and where that came from. Code beats environment
 * beats default. A value that does not parse or is out of range makes the start fail, also where a
 * stronger source overrides it: a mistake is reported when it is made, not on the day the override
 * goes away.
 */
#ifndef WEFT_SCHED_CORE_CONFIG_H
#define WEFT_SCHED_CORE_CONFIG_H

#include <weft/runtime.h>

#define WEFT__WORKERS_MAX      1024
#define WEFT__SPIN_MAX         1000000
#define WEFT__SPIN_DEFAULT_US  20
#define WEFT__BLOCKING_MAX     16384
#define WEFT__BLOCKING_DEFAULT 512
#define WEFT__CONFIG_WHY_SIZE  160

/* Rows of the table in config.c, and indices of weft__config.origin. */
enum weft__setting {
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

enum weft__origin { WEFT__ORIGIN_DEFAULT, WEFT__ORIGIN_ENVIRONMENT, WEFT__ORIGIN_CODE };

enum weft__pin { WEFT__PIN_NONE, WEFT__PIN_CORES };

struct weft__chaos {
	bool on;
	uint64_t seed;     /* 0 while off */
	bool hop;          /* every resume on another worker whenever there are two */
	bool virtual_time; /* one worker, whose time is virtual (sched/os/clock.h) */
};

/* Plain data, owned by whoever loaded it; constant afterwards. */
struct weft__config {
	unsigned workers;  /* 1 to WEFT__WORKERS_MAX */
	unsigned cpus;     /* that the workers may use; roughly, where the workers are no default */
	size_t stack_size; /* usable bytes */
	bool guard;
	bool guard_always; /* a stack without one is refused */
	unsigned spin_us;  /* 0 to WEFT__SPIN_MAX */
	enum weft__pin pin;
	unsigned blocking_threads; /* 1 to WEFT__BLOCKING_MAX */
	bool stats;
	struct weft__chaos chaos;
	bool print_config; /* the runtime's start calls weft__config_print() */

	enum weft__origin origin[WEFT__SETTING_COUNT];
	/* What the default of workers follows from; "" where it is no default. */
	char workers_why[WEFT__CONFIG_WHY_SIZE];
};

/*
 * Reads the environment and the options. Prints nothing but the line about a bad value.
 *
 * @ret  untouched on failure.
 * @opt  borrowed for the call; NULL is the same as {0}.
 *
 * Any thread, while no other changes the environment.
 *
 * 0; -EINVAL: a value is bad, and one line on stderr names it and what is accepted.
 */
int weft__config_load(struct weft__config *ret, const struct weft_runtime_options *opt);

/* The variable of a setting. */
const char *weft__config_variable(enum weft__setting setting);

/* Writes every setting, its value and its origin to stderr, one to a line. */
void weft__config_print(const struct weft__config *config);

#endif
