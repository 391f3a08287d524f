/* SPDX-License-Identifier: MIT */
#include "process_locks.h"

#include "atomic.h"
#include "sanitizer.h"
#include "src/base/compiler.h"

#include <pthread.h>
#include <stdbool.h>

struct weft__padded_lock weft__process_locks[WEFT__PROCESS_LOCKS] = {
	[WEFT__LOCK_PROCESS] = {.lock = WEFT__LOCK_INIT(PROCESS)},
	[WEFT__LOCK_LOCAL_KEYS] = {.lock = WEFT__LOCK_INIT(LOCAL_KEYS)},
	[WEFT__LOCK_POLLERS] = {.lock = WEFT__LOCK_INIT(POLLERS)},
	[WEFT__LOCK_TRIM] = {.lock = WEFT__LOCK_INIT(TRIM)},
	[WEFT__LOCK_DEPOTS] = {.lock = WEFT__LOCK_INIT(DEPOTS)},
	[WEFT__LOCK_STACK_POOLS] = {.lock = WEFT__LOCK_INIT(STACK_POOLS)},
};
void (*weft__process_forked)(void);

/* These three stay: the pointers are to functions that take and release locks, and to in_child() of
 * sched/core/process.c. */
static WEFT__STAYS void before_fork(void)
{
	WEFT__FORKS(true);
	for (int i = 0; i < WEFT__PROCESS_LOCKS; i++) {
		weft__lock_process((enum weft__process_lock)i);
		if (weft__process_locks[i].lock_each)
			weft__process_locks[i].lock_each();
	}
	san_fork_begin();
}

static WEFT__STAYS void after_fork(bool in_child)
{
	san_fork_end();
	for (int i = WEFT__PROCESS_LOCKS - 1; i >= 0; i--) {
		if (weft__process_locks[i].unlock_each)
			weft__process_locks[i].unlock_each(in_child);
		weft__unlock_process((enum weft__process_lock)i);
	}
	WEFT__FORKS(false);
}

static void after_fork_in_parent(void)
{
	after_fork(false);
}

static WEFT__STAYS void after_fork_in_child(void)
{
	after_fork(true);
	if (weft__process_forked)
		weft__process_forked();
}

int weft__process_locks_register(void)
{
	static _Atomic bool registered;

	/* relaxed: only one caller may see false, and the exchange alone ensures that */
	if (exchange_relaxed(&registered, true))
		return 0;
	san_ignore_begin();
	int rc = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
	san_ignore_end();
	if (rc < 0)
		store_relaxed(&registered, false);
	return rc;
}

__attribute__((constructor)) static void register_at_load(void)
{
	weft__process_locks_register();
}
