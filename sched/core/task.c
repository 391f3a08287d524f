/* SPDX-License-Identifier: MIT */
/* Tasks as their users see them: yielding, and what a task can ask about itself. */
#include "task.h"

#include "identity.h"
#include "pick.h"
#include "scope.h"
#include "src/base/compiler.h"
#include "tls.h"

#include <weft/task.h>

#include <sched.h>

WEFT__MAY_HOP void weft_yield(void)
{
	struct worker *w = weft__worker();

	if (!w) {
		sched_yield();
		return;
	}
	counter_add(&w->counters.yields, 1);
	w = give_way(w);
}

weft_task *weft_self(void)
{
	struct worker *w = weft__worker();

	return w ? task_handle(task_outside_scopes(w->task)) : NULL;
}

const char *weft_task_name(const weft_task *task)
{
	const struct task *t = (const struct task *)(task ? task : weft_self());

	return t ? task_name(t) : "";
}

uint64_t weft_task_number(const weft_task *task)
{
	const struct worker *w = task ? NULL : weft__worker();
	/* Not const: a task gets its number when it is first asked for. */
	struct task *t = task ? (struct task *)(uintptr_t)task : w ? w->task : NULL;

	return t ? identity_number(task_identity(t)) : 0;
}
