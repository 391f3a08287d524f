/* SPDX-License-Identifier: MIT */
/*
 * What the programs in racy/ and clean/ share. They use the public headers only and are
 * instrumented by ThreadSanitizer, as a user's program is, which the library in a user build is
 * not.
 */
#ifndef WEFT_TESTS_TSAN_TSAN_H
#define WEFT_TESTS_TSAN_TSAN_H

#include <weft/weft.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A function that keeps its name in reports: it is not inlined, nor are its accesses moved to its
 * caller. */
#if defined(__clang__)
#define KEPT __attribute__((noinline, used))
#else
#define KEPT __attribute__((noipa))
#endif

/* Ends the program, without a word of ThreadSanitizer, if a step of it went wrong. */
#define MUST(condition)                                                                         \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			_Exit(2);                                                               \
		}                                                                               \
	} while (0)

static inline weft_task *spawn(weft_fn *fn, void *arg)
{
	weft_task *task;

	MUST(weft_spawn(fn, arg, &task) == 0);
	return task;
}

static inline void spawn_detached(weft_fn *fn, void *arg)
{
	MUST(weft_spawn(fn, arg, NULL) == 0);
}

static inline void *join(weft_task *task)
{
	void *result;

	MUST(weft_join(task, &result) == 0);
	return result;
}

static inline void run(weft_fn *fn)
{
	MUST(weft_run(fn, NULL, NULL) == 0);
}

static inline weft_chan *chan_new(size_t elem_size, size_t capacity)
{
	weft_chan *ch;

	MUST(weft_chan_create(elem_size, capacity, &ch) == 0);
	return ch;
}

static inline pthread_t thread_start(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, fn, arg) == 0);
	return thread;
}

/*
 * Orders that ThreadSanitizer does not see. They make sure that a race can be reported, and make it
 * no less of one. Not instrumented, also because what polls would fill the tool's short memory of
 * where earlier accesses were made.
 */
#if defined(__clang__)
#define UNSEEN __attribute__((noinline, unused, disable_sanitizer_instrumentation))
#else
#define UNSEEN __attribute__((noinline, unused, no_sanitize_thread))
#endif

/*
 * One of the accesses that race. It is never made in the very moment of another one: of those the
 * tool misses a few. So each race is reported in each run. For the same reason nothing else that
 * runs at the same time uses the same 8 bytes. Not around what may suspend.
 */
#define RACE(access)             \
	do {                     \
		unseen_lock();   \
		access;          \
		unseen_unlock(); \
	} while (0)

static atomic_flag unseen_held = ATOMIC_FLAG_INIT;

static UNSEEN void unseen_lock(void)
{
	/* acquire, release below: the accesses do follow each other. */
	while (atomic_flag_test_and_set_explicit(&unseen_held, memory_order_acquire))
		weft_yield();
}

static UNSEEN void unseen_unlock(void)
{
	atomic_flag_clear_explicit(&unseen_held, memory_order_release);
}

struct unseen {
	_Atomic int count;
};

/* release, acquire: what comes before the signal is done before what comes after the wait. */
static UNSEEN void unseen_signal(struct unseen *u)
{
	atomic_fetch_add_explicit(&u->count, 1, memory_order_release);
}

/* From a task or a plain thread. */
static UNSEEN void unseen_await(struct unseen *u, int count)
{
	while (atomic_load_explicit(&u->count, memory_order_acquire) < count)
		weft_yield();
}

#endif
