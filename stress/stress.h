/* SPDX-License-Identifier: MIT */
/*
 * Shared code of all stress programs: options, clock, progress, failures and randomness.
 *
 * A stress program repeats rounds of work until stress_over(). It counts its work with
 * stress_did(), and reports every wrong result with stress_fail(). A monitor thread prints the
 * progress. It ends the program if there has been no progress for long (--hang). That is how a lost
 * wake-up shows.
 *
 *   int main(int argc, char **argv)
 *   {
 *           stress_begin(argc, argv, "what it does");
 *           ...
 *           return stress_end();
 *   }
 *
 * This code orders none of the tasks that call it. All its atomics are relaxed, so ThreadSanitizer
 * sees the races that the library does not prevent.
 */
#ifndef WEFT_STRESS_STRESS_H
#define WEFT_STRESS_STRESS_H

#include "src/base/random.h"
#include "tests/scale.h"

#include <weft/weft.h>

#include <string.h>

/* Whether a sanitizer slows down the program. */
#define STRESS_SANITIZED (WEFT_TEST_SCALE_SANITIZER > 1)

/* Reads the options, prints them and the environment, and starts the monitor. Exits on a bad option
 * and for --help. */
void stress_begin(int argc, char **argv, const char *what);

/* Stops the monitor and prints the verdict. Returns the exit status: 0, or 1 if something
 * failed. */
int stress_end(void);

/* Whether the program should stop: the time is up, --rounds are done, or something has failed. Any
 * context. Does not suspend. */
bool stress_over(void);

/* Adds to the visible progress. If a minute passes without progress (--hang), the program aborts.
 * Any context. */
void stress_did(uint64_t n);

/* Records a failure. The text of the first one is kept, and all are counted. Any context. Does not
 * suspend. */
void stress_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Calls stress_fail() if the condition, which must hold, is false. */
#define stress_check(condition, ...)              \
	do {                                      \
		if (!(condition))                 \
			stress_fail(__VA_ARGS__); \
	} while (0)

/* Checks the result of a weft_join() that nothing can cut short. */
static inline void stress_joined(int rc)
{
	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
}

/* Random numbers for one task or thread. Each stream is a sequence of its own, fixed by --seed. */
void stress_random(struct weft__random *ret, uint64_t stream);

/* Returns true once in `sides` times. */
static inline bool stress_one_in(struct weft__random *r, uint32_t sides)
{
	return weft__random_below(r, sides) == 0;
}

/* Whether WEFT_CHAOS asks for a hop at every resume. */
bool stress_chaos_hop(void);

/*
 * Whether WEFT_CHAOS asks for virtual time. The program then runs no threads beside the tasks, so
 * the schedule can be replayed.
 */
bool stress_alone(void);

/*
 * Watches a runtime, at most 8 at a time, until its end, because the end may hang. The monitor
 * prints the state of the watched runtimes when there is no more progress. It looks at them only
 * after long without progress, so never between the end of a runtime and its removal.
 */
void stress_watch(weft_runtime *rt);

/* weft_runtime_destroy() for a runtime that may be watched. */
void stress_destroy(weft_runtime *rt);

/* weft_run() that watches the runtime and fails if the call fails. */
void stress_run(weft_fn *fn, void *arg);

/* stress_run() of that many tasks, at most STRESS_DIRECTORS_MAX. Each has random numbers of its own
 * and plays scenes until the end. */
#define STRESS_DIRECTORS_MAX 16
void stress_direct(unsigned directors, void (*play)(struct weft__random *random));

/* Waits until every task that rt has accepted has ended, except for `live` tasks. NULL stands for
 * the caller's runtime. A lost task shows as a hang. */
void stress_await_completed(weft_runtime *rt, uint64_t live);

#endif
