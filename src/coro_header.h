/* SPDX-License-Identifier: MIT */
/*
 * The header of a coroutine: the struct alone. Its fields are used by the switch (coro.c), by the
 * caches of idle coroutines (spare.h, depot.h) and by each thread's leader (tls.c).
 */
#ifndef WEFT_SRC_CORO_HEADER_H
#define WEFT_SRC_CORO_HEADER_H

#include "context.h"
#include "src/base/fpwords.h"
#include "src/base/sanitizer.h"
#include "src/stack/stack.h"

#include <stdbool.h>

/*
 * A coroutine's header lies in the topmost used page of its own stack. A leader's header lies in
 * its thread's TLS. All fields belong to the thread that runs the coroutine or, while it is
 * suspended, to the thread that may resume it.
 */
struct coro {
	struct context context; /* valid while suspended */
	struct fpwords fpwords; /* the control words while suspended */
	int saved_errno;        /* the value of errno while suspended */
	unsigned eh_uncaught;   /* the C++ runtime's per-thread state while suspended */
	void *eh_caught;
	struct coro *caller; /* the enterer; non-NULL only for a weft_coro that runs */
	struct stack stack;  /* .low and .top bound the usable bytes; 0 for a leader */
	struct coro *next;   /* a link for the owner of the suspended coroutine */
	struct coro *chain;  /* another such link, from the first of one list to the next list */
	bool cool;           /* its worker's: only the uppermost pages of the stack have memory */
	struct coro_sanitizer sanitizer;
};

#endif
