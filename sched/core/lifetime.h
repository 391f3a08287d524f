/* SPDX-License-Identifier: MIT */
/* Creating and destroying runtimes: see lifetime.c. */
#ifndef WEFT_CORE_LIFETIME_H
#define WEFT_CORE_LIFETIME_H

#include "src/base/compiler.h"

#include <weft/runtime.h>

#include <stdbool.h>

/*
 * Makes a runtime and starts its workers.
 *
 * @opt       its members are all known; NULL: the defaults.
 * @borrowed  worker 0 is the calling thread, which calls weft__worker_loop().
 *
 * Returns 0, or the error of weft_runtime_create().
 */
int weft__runtime_new(const struct weft_runtime_options *opt, bool borrowed, weft_runtime **ret_rt);

/* Waits for the threads of a runtime that has stopped, and frees it. Stays: the end of an attachment
 * blocks the thread, if it waits for something. */
WEFT__STAYS void weft__runtime_free(struct weft_runtime *rt);

#endif
