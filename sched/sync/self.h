/* SPDX-License-Identifier: MIT */
/* Reports misuse: prints a line that names the caller (sched/core/identity.h), and aborts. */
#ifndef WEFT_SYNC_SELF_H
#define WEFT_SYNC_SELF_H

#include "sched/core/identity.h"

/*
 * Prints `CALL: NOUN OBJECT WHAT (task NUMBER "NAME")`, or "(thread ID)" at the end, and aborts.
 */
_Noreturn void weft__sync_misuse(const char *call, const char *noun, const void *object,
				 const char *what) __attribute__((cold));

/* The same for a caller that should own the object and does not. The line also says who does:
 * nobody (owner is 0), the task with that number, or some thread. */
_Noreturn void weft__sync_not_owner(const char *call, const char *noun, const void *object,
				    const char *what, uint64_t owner) __attribute__((cold));

#endif
