/* SPDX-License-Identifier: MIT */
/* The end of a runtime's work: see stop.c. */
#ifndef WEFT_CORE_STOP_H
#define WEFT_CORE_STOP_H

#include <stdbool.h>

struct weft_runtime;

/* Whether no task is live. */
bool weft__all_ended(struct weft_runtime *rt);

/* Lets all workers end. No task is live, and none will be. */
void weft__stop(struct weft_runtime *rt);

/* Calls weft__stop() if the runtime is closing and no task is live. A worker that ceases to be
 * active calls it after its heavy fence. */
void weft__stop_if_over(struct weft_runtime *rt);

#endif
