/* SPDX-License-Identifier: MIT */
/*
 * The base of every public header of Weft: the names of the types, the function type of a coroutine
 * or task, and the marks for visibility.
 *
 * Functions return 0 or a count on success, and a negative errno value on failure. Outputs are the
 * last arguments, except for a deadline. An output may be NULL if the caller does not need it.
 * Outputs are untouched on failure. Each function says from where it may be called. None may be
 * called from a signal handler (weft(7)).
 *
 * Structs that a program fills in travel with their size. Inline functions pass the size on to the
 * functions whose names end in _sized. A member that only the library knows counts as 0. A member
 * that only the program knows must be 0: otherwise the call returns -E2BIG.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT_API __attribute__((visibility("default")))

/* A call that fails leaves the caller without what it asked for. Compilers warn if the result is
 * not looked at. */
#define WEFT_MUST_CHECK __attribute__((warn_unused_result))

/* A function that is defined in a header. The library exports it too, for programs that do not read
 * headers. */
#ifndef WEFT_INLINE
#define WEFT_INLINE static inline
#endif

/* The size with which a struct travels. */
#ifndef WEFT_SIZE
#define WEFT_SIZE(name) sizeof(struct name)
#endif

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS   }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

/* A deadline that never comes. Deadlines are absolute nanoseconds on CLOCK_MONOTONIC; 0 means: do
 * not wait. */
#define WEFT_FOREVER INT64_MAX

/* The function of a coroutine or a task. Both pointers are the caller's: Weft never follows
 * them. */
typedef void *weft_fn(void *arg);

typedef struct weft_coro weft_coro;
typedef struct weft_runtime weft_runtime;
/* A task: an incomplete type, behind the handles that weft_spawn() and the like return. */
typedef struct weft_task weft_task;
typedef struct weft_timer weft_timer;

#endif
