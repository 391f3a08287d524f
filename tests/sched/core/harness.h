/* SPDX-License-Identifier: MIT */
/*
 * Shared code of the scheduler's tests. cmocka leaves a failed assertion by a jump through a
 * thread-local buffer. So only the main thread asserts, and only outside of weft_run(). Tasks and
 * threads use CHECK(), which counts failures. assert_run() asserts that there were none.
 */
#ifndef WEFT_TESTS_SCHED_CORE_HARNESS_H
#define WEFT_TESTS_SCHED_CORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/scale.h"
#include "tests/src/child.h"

#include <weft/weft.h>

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

/* relaxed everywhere: counted by any thread, read after the runtime has gone */
static _Atomic unsigned check_failures;

static inline bool check_at(bool ok, const char *what, const char *file, int line)
{
	if (!ok && atomic_fetch_add_explicit(&check_failures, 1, memory_order_relaxed) < 5)
		fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	return ok;
}

#define CHECK(condition) check_at((condition), #condition, __FILE__, __LINE__)

static inline unsigned checks_failed(void)
{
	return atomic_exchange_explicit(&check_failures, 0, memory_order_relaxed);
}

static inline void set_number(const char *variable, unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	setenv(variable, text, 1);
}

/* weft_run() with that many workers, on the main thread, which asserts for all. */
static inline void assert_run(unsigned workers, weft_fn *fn, void *arg)
{
	set_number("WEFT_WORKERS", workers);
	int rc = weft_run(fn, arg, NULL);
	unsetenv("WEFT_WORKERS");
	assert_int_equal(rc, 0);
	assert_int_equal(checks_failed(), 0);
}

/* Creates a runtime of n workers. */
static inline weft_runtime *assert_create(unsigned workers)
{
	struct weft_runtime_options options = {.workers = workers};
	weft_runtime *rt = NULL;

	assert_int_equal(weft_runtime_create(&options, &rt), 0);
	assert_non_null(rt);
	return rt;
}

/* fn(arg) in a child must print exactly one line that contains both texts, and abort. */
static inline void assert_aborts(void (*fn)(void *arg), const char *call, const char *why)
{
	struct child child;

	child_run(&child, fn, NULL);
	if (!child_died_of(&child, SIGABRT))
		fprintf(stderr, "status %#x, said: %s\n", (unsigned)child.status, child.said);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, call));
	assert_non_null(strstr(child.said, why));
}

/* A flag that one side raises and others wait for. */
typedef _Atomic unsigned flag;

static inline void raise_flag(flag *f)
{
	/* release: pairs with the acquire in is_raised() */
	atomic_fetch_add_explicit(f, 1, memory_order_release);
}

static inline bool is_raised(flag *f, unsigned times)
{
	return atomic_load_explicit(f, memory_order_acquire) >= times;
}

/* How long a necessary event may take before a test counts it as lost. A hang becomes a failure. */
#ifndef LOST_NS
#define LOST_NS ((int64_t)60 * 1000 * 1000 * 1000)
#endif

/* Waits without suspending, like a task that computes, or on a plain thread. Returns false if the
 * flag was not raised. */
static inline bool spin_for(flag *f, unsigned times)
{
	int64_t lost = weft_after(LOST_NS);

	while (!is_raised(f, times)) {
		if (weft_now() > lost)
			return false;
		sched_yield();
	}
	return true;
}

/* Waits in a task by letting the others run. */
static inline bool yield_for(flag *f, unsigned times)
{
	int64_t lost = weft_after(LOST_NS);

	while (!is_raised(f, times)) {
		if (weft_now() > lost)
			return false;
		weft_yield();
	}
	return true;
}

/* A task's function that returns its argument. */
static inline void *give_back(void *arg)
{
	return arg;
}

/* Sleeps until it is cancelled. */
static inline void *sleep_for_ever(void *arg)
{
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

/* Uses more stack than a common one has. */
static __attribute__((noinline, unused)) void use_large_stack(void)
{
	volatile char frame[(size_t)400 << 10];

	frame[0] = 1;
	frame[sizeof(frame) - 1] = frame[0];
}

/* In a user build the library's writes to its nodes are not seen, and what is read here would
 * look like a race. */
#ifndef WEFT_TSAN_USER
#define UNSEEN static inline
#elif defined(__clang__)
#define UNSEEN static __attribute__((noinline, unused, disable_sanitizer_instrumentation))
#else
#define UNSEEN static __attribute__((noinline, unused, no_sanitize_thread))
#endif

#endif
