/* SPDX-License-Identifier: MIT */
/*
 * What all stress programs share: their options, their clock, their progress, their failures and
 * their chance.
 *
 * A stress program repeats rounds of work until stress_over(), counts what it has done with
 * stress_did(), and reports what is not as it must be with stress_fail(). A monitor thread prints
 * the progress and ends the program when nothing has been done for long (--hang): a lost wake-up
 * shows as that.
 *
 *   int main(int argc, char **argv)
 *   {
 *           stress_begin(argc, argv, "what it does");
 *           ...
 *           return stress_end();
 *   }
 *
 * Nothing in here orders the tasks that call it: all its atomics are relaxed, so that
 * ThreadSanitizer sees the races that the library does not prevent.
 */
#ifndef WEFT_STRESS_STRESS_H
#define WEFT_STRESS_STRESS_H

#include "sched/os/random.h"
#include "tests/scale.h"

#include <weft/weft.h>

#include <string.h>

/* Whether a sanitizer slows everything down. */
#define STRESS_SANITIZED (WEFT_TEST_SCALE_SANITIZER > 1)

/* Reads the options (exits on a bad one and for --help), prints them and the environment, starts
 * the monitor. */
void stress_begin(int argc, char **argv, const char *what);

/* Stops the monitor and prints the verdict. The exit status: 0, 1 when something failed. */
int stress_end(void);

/* Whether the time is up, or --rounds have asked, or something has failed. Any context; does not
 * suspend. */
bool stress_over(void);

/* Adds to what is shown as progress. At least one within a minute (--hang), else the program
 * aborts. Any context. */
void stress_did(uint64_t n);

/* Records a failure: the first one's text is kept, all are counted. Any context; does not
 * suspend. */
void stress_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* stress_fail() where the condition, which is what must hold, does not. */
#define stress_check(condition, ...)              \
	do {                                      \
		if (!(condition))                 \
			stress_fail(__VA_ARGS__); \
	} while (0)

/* What a weft_join() has returned that nothing can cut short. */
static inline void stress_joined(int rc)
{
	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
}

/* Chance for one task or thread: each stream is a sequence of its own, fixed by --seed. */
void stress_random(struct weft__random *ret, uint64_t stream);

/* true once in `sides` times. */
static inline bool stress_one_in(struct weft__random *r, uint32_t sides)
{
	return weft__random_below(r, sides) == 0;
}

/* Whether WEFT_CHAOS asks for a hop at every resume. */
bool stress_chaos_hop(void);

/*
 * Whether WEFT_CHAOS asks for virtual time: threads that would be at work beside the tasks are left
 * out then, so that the schedule can be replayed.
 */
bool stress_alone(void);

/*
 * The runtimes whose state the monitor prints when nothing moves any more, at most 8: watched until
 * their end, which may be what hangs. (The monitor looks at them after long without progress, hence
 * not between an end and the forgetting.)
 */
void stress_watch(weft_runtime *rt);

/* weft_runtime_destroy() of a runtime that may be watched. */
void stress_destroy(weft_runtime *rt);

/* weft_run() that watches the runtime and fails where the call does. */
void stress_run(weft_fn *fn, void *arg);

/* stress_run() of so many tasks, at most STRESS_DIRECTORS_MAX, that play scenes until the end, each
 * with chance of its own. */
#define STRESS_DIRECTORS_MAX 16
void stress_direct(unsigned directors, void (*play)(struct weft__random *random));

/* Waits until every task accepted by rt (NULL: the caller's) has ended, but for `live` ones. A lost
 * one is a hang. */
void stress_await_completed(weft_runtime *rt, uint64_t live);

#endif
