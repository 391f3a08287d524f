/* SPDX-License-Identifier: MIT */
/*
 * Groups: tasks that begin and end together (structured concurrency). What is spawned into a group
 * is waited for as a whole; the first of its tasks that fails has the others cancelled.
 *
 *   weft_group g;
 *   weft_group_init(&g);
 *   for (i = 0; i < n; i++)
 *           rc = weft_group_spawn(&g, fetch, &urls[i]);
 *   rc = weft_group_wait(&g);
 *   weft_group_fini(&g);
 *
 * A task of a group fails by returning a negative errno value: (void *)(intptr_t)-EIO. Every other
 * result, NULL or not, is success and is dropped.
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A group: complete, so that it can be placed anywhere. Its content is Weft's. */
typedef struct weft_group {
	uint64_t weft_opaque_[32];
} weft_group;

/*
 * Makes g an empty group. From any thread or task.
 *
 * The group belongs to the task that calls this. When that task is cancelled the group is, at once,
 * as by weft_group_cancel(), wherever the task is: in a mutex, in a blocking call, in a masked
 * region. It is for what the task itself spawns into it, or a fork of it; while others alone have
 * spawned, the group does not learn of it. Once the task has ended, the group belongs to nobody.
 */
WEFT_API void weft_group_init(weft_group *g);

/* Ends the life of g. Nothing of it may be running (that aborts): weft_group_wait() first. Any
 * context. */
WEFT_API void weft_group_fini(weft_group *g);

/*
 * Makes fn a task of the caller's runtime and of the group, which must live until the task has been
 * waited for. If the group has been cancelled, or a task of it has failed, the new one starts
 * cancelled.
 *
 * From a task, perhaps one of the group. Does not suspend. Everything before the call happens
 * before fn starts.
 *
 * 0; -EINVAL: g or fn is NULL; -EPERM: not in a task; -ENOMEM: no memory, or tasks are already
 * waiting for stacks (task.h). On failure fn will not run.
 */
WEFT_API WEFT_MUST_CHECK int weft_group_spawn(weft_group *g, weft_fn *fn, void *arg);

/*
 * Waits until no task of the group is running. Everything they did, the destructors of their local
 * values included, happens before the return. Afterwards more may be spawned.
 *
 * From a task that is not of the group (which may suspend and hop), or any thread (which blocks).
 * In a task that is cancelled while it waits, the group is cancelled too, and the wait goes on.
 *
 * 0; the error of the first task that failed, since weft_group_init(); -EINVAL: g is NULL;
 * -EDEADLK: the caller is a task of the group; -ECANCELED, if there is no such error: the caller
 * was cancelled while it waited.
 */
WEFT_API WEFT_MUST_CHECK int weft_group_wait(weft_group *g);

/* As weft_group_wait(), but gives up at the deadline. -ETIMEDOUT: tasks of the group are still
 * running. */
WEFT_API WEFT_MUST_CHECK int weft_group_wait_until(weft_group *g, int64_t deadline);

/*
 * Cancels all tasks of the group, as weft_cancel() does, and those that will be spawned into it.
 * From any thread or task; does not suspend. The caller sees to it that the group is still there.
 */
WEFT_API void weft_group_cancel(weft_group *g);

WEFT_END_DECLS

#endif
