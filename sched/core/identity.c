/* SPDX-License-Identifier: MIT */
/* Identities of tasks and threads: see identity.h. */
#include "identity.h"

#include "run.h"
#include "src/base/atomic.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>

/* A worker takes this many numbers at a time. It is small, so the numbers stay readable. */
#define BLOCK 1024

/* The last numbers that were given to tasks and to threads. */
static _Atomic uint64_t last_task, last_thread;

/* Returns the next number for a task. w is the caller's worker, or NULL. */
static uint64_t next_number(struct worker *w)
{
	if (!w)
		return fetch_add_relaxed(&last_task, 1) + 1;
	if (w->numbers.next == w->numbers.end) {
		w->numbers.next = fetch_add_relaxed(&last_task, BLOCK) + 1;
		w->numbers.end = w->numbers.next + BLOCK;
		if (w->numbers.base == 0)
			w->numbers.base = w->numbers.next;
	}
	return w->numbers.next++;
}

uint64_t weft__new_identity(void)
{
	return next_number(weft__worker()) << IDENTITY_SHIFT;
}

uint64_t weft__identify(struct task *t)
{
	uint64_t mine = weft__new_identity(), none = 0;

	return cas_relaxed(&t->identity, &none, mine) ? mine : none;
}

uint64_t weft__new_thread_identity(void)
{
	uint64_t number = fetch_add_relaxed(&last_thread, 1) + 1;

	return number << IDENTITY_SHIFT | IDENTITY_THREAD;
}

void weft__describe_task(struct task *t, char text[WEFT__TASK_TEXT])
{
	uint64_t number = identity_number(task_identity(t));
	uintptr_t fn = (uintptr_t)weft__task_function(t);
	Dl_info info;

	if (task_name(t)[0]) {
		snprintf(text, WEFT__TASK_TEXT, "task %" PRIu64 " \"%s\"", number, task_name(t));
	} else if (!dladdr((void *)fn, &info) || !info.dli_fname) {
		snprintf(text, WEFT__TASK_TEXT, "task %" PRIu64 " function %#" PRIxPTR, number, fn);
	} else if (info.dli_sname && (uintptr_t)info.dli_saddr == fn) {
		snprintf(text, WEFT__TASK_TEXT, "task %" PRIu64 " %s()", number, info.dli_sname);
	} else { /* a static function has no symbol at run time, but addr2line finds it */
		const char *file = strrchr(info.dli_fname, '/');
		snprintf(text, WEFT__TASK_TEXT, "task %" PRIu64 " %s+%#" PRIxPTR, number,
			 file ? file + 1 : info.dli_fname, fn - (uintptr_t)info.dli_fbase);
	}
}
