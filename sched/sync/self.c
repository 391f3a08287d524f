/* SPDX-License-Identifier: MIT */
#include "self.h"

#include "src/fatal.h"

#include <unistd.h>

_Noreturn void weft__sync_misuse(const char *call, const char *noun, const void *object,
				 const char *what)
{
	const struct worker *w = weft__worker();
	const struct task *t = w ? w->task : NULL;

	if (t)
		weft__fatal("%s: %s %p %s (task %p \"%s\")", call, noun, object, what,
			    (const void *)t, task_name(t));
	weft__fatal("%s: %s %p %s (thread %d)", call, noun, object, what, (int)gettid());
}
