/* SPDX-License-Identifier: MIT */
#include "self.h"

#include "src/base/fatal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void describe_caller(char text[WEFT__TASK_TEXT])
{
	const struct worker *w = weft__worker();

	if (w && w->task)
		weft__describe_task(w->task, text);
	else
		snprintf(text, WEFT__TASK_TEXT, "thread %d", (int)gettid());
}

_Noreturn void weft__sync_misuse(const char *call, const char *noun, const void *object,
				 const char *what)
{
	char caller[WEFT__TASK_TEXT];

	describe_caller(caller);
	weft__fatal("%s: %s %p %s (%s)", call, noun, object, what, caller);
}

_Noreturn void weft__sync_not_owner(const char *call, const char *noun, const void *object,
				    const char *what, uint64_t owner)
{
	char caller[WEFT__TASK_TEXT];

	describe_caller(caller);
	if (owner == 0)
		weft__fatal("%s: %s %p %s, nor by anybody (%s)", call, noun, object, what, caller);
	if (owner & IDENTITY_THREAD)
		weft__fatal("%s: %s %p %s, but by a thread (%s)", call, noun, object, what, caller);
	weft__fatal("%s: %s %p %s, but by task %" PRIu64 " (%s)", call, noun, object, what,
		    identity_number(owner), caller);
}
