/* SPDX-License-Identifier: MIT */
/* Who calls (sched/core/identity.h), and the line that is printed for misuse. */
#ifndef WEFT_SYNC_SELF_H
#define WEFT_SYNC_SELF_H

#include "sched/core/identity.h"

/*
 * Prints "CALL: NOUN OBJECT WHAT (task NUMBER "NAME")", or "(thread ID)", and aborts.
 */
_Noreturn void weft__sync_misuse(const char *call, const char *noun, const void *object,
				 const char *what) __attribute__((cold));

/* The same where the caller is not the owner that it should be: adds that nobody owns the object
 * (owner is 0), or the number of the task, or that some thread does. */
_Noreturn void weft__sync_not_owner(const char *call, const char *noun, const void *object,
				    const char *what, uint64_t owner) __attribute__((cold));

#endif
