/* SPDX-License-Identifier: MIT */
/*
 * Groups: tasks that begin and end together (structured concurrency). One call waits for all tasks
 * of a group. When one of them fails the others are cancelled.
 *
 *   weft_group g;
 *   weft_group_init(&g);
 *   for (i = 0; i < n; i++)
 *           rc = weft_group_spawn(&g, fetch, &urls[i]);
 *   rc = weft_group_wait(&g);
 *   weft_group_fini(&g);
 *
 * A task of a group fails by returning a negative errno value: (void *)(intptr_t)-EIO. Every other
 * result, NULL or not, is success. Results are dropped, unless the group is told to keep them
 * (weft_group_keep_results()).
 *
 * A limit on the tasks that run at a time makes a group a pool for any number of jobs: a spawn
 * beyond the limit waits (weft_group_set_limit()).
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <weft/task.h>

WEFT_BEGIN_DECLS

/* A group: complete, so that it can be placed anywhere. Its content is Weft's. */
typedef struct weft_group {
	uint64_t weft_opaque_[32];
} weft_group;

/*
 * Makes g an empty group. From any thread or task.
 *
 * The group belongs to the calling task, and to the scope that it is in (scope.h). When these are
 * cancelled the group is cancelled too, as by weft_group_cancel(). Its tasks learn of it at once,
 * wherever the calling task is: in a mutex, in a blocking call, in a masked region. This begins
 * when the calling task, or a fork of it, first spawns into the group: a group into which only
 * others have spawned does not learn of it. Once the scope or the task has ended, the group belongs
 * to nobody.
 */
WEFT_API void weft_group_init(weft_group *g);

/*
 * Ends the life of g. No task of it may run (that aborts): call weft_group_wait() first. Results
 * that nobody has received are dropped; in that case the runtimes of their tasks must still be
 * there. From any thread or task.
 */
WEFT_API void weft_group_fini(weft_group *g);

/*
 * Limits how many tasks of the group run at a time. 0 means no limit, and is the initial value. A
 * spawn beyond the limit waits until a task of the group has ended, first come, first served. A
 * task counts from its spawn on, whether it has started or not.
 *
 * A limit below the number of running tasks ends none of them. A higher limit lets spawns that wait
 * go on.
 *
 * From any thread or task, at any time; does not suspend.
 */
WEFT_API void weft_group_set_limit(weft_group *g, size_t n);

/*
 * Makes fn a task of the caller's runtime and of the group, which must live until the task has been
 * waited for. If the group has been cancelled, or a task of it has failed, the new one starts
 * cancelled.
 *
 * From a task, perhaps one of the group. Suspends (and may hop) only if the group has a limit and
 * has reached it; then it is a cancellation point. Everything before the call happens before fn
 * starts. So does everything in the task whose end has made room. If all running tasks of a group
 * wait to spawn into it, they wait for ever; such tasks should use weft_group_try_spawn().
 *
 * Returns 0, or:
 *   -EINVAL     g or fn is NULL
 *   -EPERM      not in a task
 *   -ENOMEM     no memory, or tasks are already waiting for stacks (task.h)
 *   -ECANCELED  the caller was cancelled while it would have waited
 * On failure fn will not run.
 */
WEFT_API WEFT_MUST_CHECK int weft_group_spawn(weft_group *g, weft_fn *fn, void *arg);

/* As weft_group_spawn(), but gives up at the deadline. -ETIMEDOUT: the limit is still reached. */
WEFT_API WEFT_MUST_CHECK int weft_group_spawn_until(weft_group *g, weft_fn *fn, void *arg,
						    int64_t deadline);

/* As weft_group_spawn(), but does not wait. -EAGAIN: the limit is reached. */
WEFT_API WEFT_MUST_CHECK int weft_group_try_spawn(weft_group *g, weft_fn *fn, void *arg);

/* The call behind weft_group_spawn_with(). */
WEFT_API WEFT_MUST_CHECK int weft_group_spawn_with_sized(weft_group *g,
							 const struct weft_task_options *opt,
							 size_t opt_size, weft_fn *fn, void *arg);

/* As weft_group_spawn(), with options (task.h; borrowed for the call; NULL is the same as {0}).
 * -EINVAL also: stack_size is out of range. */
WEFT_INLINE WEFT_MUST_CHECK int
weft_group_spawn_with(weft_group *g, const struct weft_task_options *opt, weft_fn *fn, void *arg)
{
	return weft_group_spawn_with_sized(g, opt, WEFT_SIZE(weft_task_options), fn, arg);
}

/*
 * As weft_group_spawn(), but from any thread or task. fn becomes a task of any runtime.
 *
 * @rt  NULL: the caller's own, see weft_runtime_self(). As for weft_submit(), something must keep
 *      it alive until fn starts, also while the call waits because of the limit. A plain thread
 *      that waits blocks.
 *
 * This does not change the task that the group belongs to (weft_group_init()).
 *
 * Returns as weft_group_spawn(), except:
 *   -EPERM  rt is NULL and the caller has none, or the process was forked from one with a runtime
 */
WEFT_API WEFT_MUST_CHECK int weft_group_submit(weft_group *g, weft_runtime *rt, weft_fn *fn,
					       void *arg);

/* As weft_group_submit(), but gives up at the deadline. -ETIMEDOUT: the limit is still reached. */
WEFT_API WEFT_MUST_CHECK int weft_group_submit_until(weft_group *g, weft_runtime *rt, weft_fn *fn,
						     void *arg, int64_t deadline);

/* The call behind weft_group_submit_with(). */
WEFT_API WEFT_MUST_CHECK int weft_group_submit_with_sized(weft_group *g, weft_runtime *rt,
							  const struct weft_task_options *opt,
							  size_t opt_size, weft_fn *fn, void *arg);

/* As weft_group_submit(), with options, as weft_submit_with(). */
WEFT_INLINE WEFT_MUST_CHECK int weft_group_submit_with(weft_group *g, weft_runtime *rt,
						       const struct weft_task_options *opt,
						       weft_fn *fn, void *arg)
{
	return weft_group_submit_with_sized(g, rt, opt, WEFT_SIZE(weft_task_options), fn, arg);
}

/*
 * Makes the group keep the results of tasks that end from now on, for weft_group_next(). Call it
 * before the first spawn. A result needs no memory of its own: it stays in the control block of its
 * task until weft_group_next() receives it or weft_group_fini() drops it. It lives no longer than
 * the runtime of its task.
 *
 * From any thread or task; does not suspend.
 */
WEFT_API void weft_group_keep_results(weft_group *g);

/*
 * Receives the result of a task of the group, in the order in which the tasks end. Waits if no task
 * has ended since the last call. Everything that task did, the destructors of its local values
 * included, happens before the return.
 *
 * A negative errno value is received like every other result. The group has failed all the same:
 * see weft_group_wait(), which waits for all tasks and leaves the results where they are.
 *
 * @ret_result  receives the result of the task's function; may be NULL.
 *
 * From a task that is not of the group (which may suspend and hop), or any thread (which blocks). A
 * cancellation point.
 *
 * Returns 0, or:
 *   -ECHILD     no result is left, and no task of the group is running
 *   -EINVAL     g is NULL, or keeps no results
 *   -EDEADLK    the caller is a task of the group
 *   -ECANCELED  the caller was cancelled while it would have waited
 */
WEFT_API WEFT_MUST_CHECK int weft_group_next(weft_group *g, void **ret_result);

/* As weft_group_next(), but gives up at the deadline. -ETIMEDOUT: no task has ended. */
WEFT_API WEFT_MUST_CHECK int weft_group_next_until(weft_group *g, void **ret_result,
						   int64_t deadline);

/*
 * Waits until no task of the group is running. Everything they did, the destructors of their local
 * values included, happens before the return. Afterwards more may be spawned.
 *
 * From a task that is not of the group (which may suspend and hop), or any thread (which blocks).
 * In a task that is cancelled while it waits, the group is cancelled too, and the wait goes on.
 *
 * Returns 0, the error of the first task that has failed since weft_group_init(), or:
 *   -EINVAL     g is NULL
 *   -EDEADLK    the caller is a task of the group
 *   -ECANCELED  the caller was cancelled while it waited, and no task has failed
 */
WEFT_API WEFT_MUST_CHECK int weft_group_wait(weft_group *g);

/* As weft_group_wait(), but gives up at the deadline. -ETIMEDOUT: tasks of the group are still
 * running. */
WEFT_API WEFT_MUST_CHECK int weft_group_wait_until(weft_group *g, int64_t deadline);

/*
 * As weft_group_wait(), but cancels the group at the deadline, and waits on until its tasks have
 * ended. So nothing of the group runs after the return.
 *
 * Returns as weft_group_wait(), or -ETIMEDOUT if the deadline has passed and no task had failed
 * before. Tasks that fail because the deadline has cancelled them do not change that.
 */
WEFT_API WEFT_MUST_CHECK int weft_group_wait_or_cancel_until(weft_group *g, int64_t deadline);

/*
 * Cancels all tasks of the group, as weft_cancel() does, and those that will be spawned into it. A
 * task that then returns -ECANCELED fails as with any other error: weft_group_wait() returns it,
 * unless another task had failed before. From any thread or task; does not suspend. The caller must
 * know that the group is still there.
 */
WEFT_API void weft_group_cancel(weft_group *g);

WEFT_END_DECLS

#endif
