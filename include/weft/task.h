/* SPDX-License-Identifier: MIT */
/*
 * Tasks: functions that the scheduler runs, each on a stack of its own from the moment it starts. A
 * task may block in any of Weft's calls; its worker then runs others, and the task may continue on
 * another thread.
 *
 * A handle is valid until it is joined or detached, and no longer than its runtime. A thread that
 * uses one while the runtime may end finds the rule in runtime.h, under Lifetimes.
 *
 * Memory. A task gets its stack when it starts, not when it is spawned. So a million short tasks
 * can be spawned, and they use a few stacks one after the other. If the system refuses a stack when
 * a task's turn comes, the task waits for one: it starts when another task has ended or memory is
 * free again. While tasks wait for stacks, and while no stack is left, weft_spawn(), weft_submit()
 * and weft_group_spawn() return -ENOMEM. A task with a stack size of its own is accepted only if
 * there is a stack of that size. So when an accepted task waits for a stack, another task has one
 * that it can get. But if tasks wait for each other, and there are not enough stacks for all of
 * them, they wait for ever. When a runtime's tasks wait for stacks for the first time, one line on
 * stderr says so.
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* With {0} a task is as weft_spawn() makes it. */
struct weft_task_options {
	const char *name;  /* copied, at most 31 bytes of it; for messages and dumps */
	size_t stack_size; /* usable bytes, 16384 to 1 GiB; 0: the runtime's */
	bool pinned;       /* stays on the worker that spawns it */
};

/*
 * Makes fn a task of the caller's runtime. It starts later, on any worker.
 *
 * @ret_task  receives the handle, to be joined or detached exactly once; NULL: the task is
 * detached.
 *
 * From a task. Does not suspend. Everything before the call happens before fn starts.
 *
 * Returns 0, or:
 *   -EINVAL  fn is NULL
 *   -EPERM   not in a task
 *   -ENOMEM  no memory, or tasks are already waiting for stacks
 */
WEFT_API WEFT_MUST_CHECK int weft_spawn(weft_fn *fn, void *arg, weft_task **ret_task);

/* The call behind weft_spawn_with(). */
WEFT_API WEFT_MUST_CHECK int weft_spawn_with_sized(const struct weft_task_options *opt,
						   size_t opt_size, weft_fn *fn, void *arg,
						   weft_task **ret_task);

/* As weft_spawn(), with options (borrowed for the call; NULL is the same as {0}). -EINVAL also:
 * stack_size is out of range. */
WEFT_INLINE WEFT_MUST_CHECK int weft_spawn_with(const struct weft_task_options *opt, weft_fn *fn,
						void *arg, weft_task **ret_task)
{
	return weft_spawn_with_sized(opt, WEFT_SIZE(weft_task_options), fn, arg, ret_task);
}

/*
 * Waits until the task has ended, and frees its handle. Everything the task did happens before the
 * return.
 *
 * @task        a handle. Only a join that succeeds consumes it. One caller may join it. A second
 *              join aborts, unless another task has the memory by then.
 * @ret_result  receives the result of its function; may be NULL.
 *
 * From a task (which may suspend and hop) or any thread (which blocks).
 *
 * Returns 0, or:
 *   -EINVAL     task is NULL
 *   -EDEADLK    it is the caller's own
 *   -ECANCELED  the caller was cancelled while it would have waited, the handle is still valid
 */
WEFT_API WEFT_MUST_CHECK int weft_join(weft_task *task, void **ret_result);

/* As weft_join(), but gives up at the deadline. -ETIMEDOUT: the task has not ended, the handle is
 * still valid. */
WEFT_API WEFT_MUST_CHECK int weft_join_until(weft_task *task, void **ret_result, int64_t deadline);

/*
 * Gives up the handle: the task runs on and frees itself. From any thread or task; does not
 * suspend.
 *
 * Returns 0, or -EINVAL if task is NULL.
 */
WEFT_API int weft_detach(weft_task *task);

/*
 * Puts the caller at the end of its worker's queue of runnable tasks that have run before. Each of
 * them has its turn first. A task that has not started yet, or that waits in another worker's
 * queue, has its turn after a bounded number of yields. So a loop over weft_yield() starves nobody.
 * On a plain thread it is sched_yield(). Not a cancellation point.
 */
WEFT_API void weft_yield(void);

/* Returns the calling task; NULL outside of a task. For a task without a handle the pointer is
 * valid until it ends. */
WEFT_API weft_task *weft_self(void);

/*
 * Returns the task's number (NULL: the caller's own), which no other task of the process has or
 * will have; 0 outside of a task. Messages print it. A task gets its number when somebody asks for
 * it, so the number does not say which task is older.
 *
 * @task  as for weft_cancel().
 *
 * From any thread or task. Does not suspend.
 */
WEFT_API uint64_t weft_task_number(const weft_task *task);

/* Returns the task's name (NULL: the caller's own); "" if it has none. The string is valid as long
 * as the task. */
WEFT_API const char *weft_task_name(const weft_task *task);

/*
 * Asks the task to stop. Its function always runs, even if the task has not started yet. From now
 * on every cancellation point in it that would wait returns -ECANCELED, outside of masked regions.
 * It lets other tasks have their turn first, as weft_yield() does.
 *
 * The task's forks and groups are cancelled with it, and so are the forks and groups of these. They
 * learn of it at once, wherever the task itself is: in a mutex, in a blocking call, in a masked
 * region.
 *
 * These waits are cancellation points:
 *   - a sleep, and the join of a task;
 *   - the send, the receive and the select of channels;
 *   - the wait for a semaphore, condition, barrier, latch, event, timer or wait group;
 *   - the wait for a group, for a place in it, and for a result of it;
 *   - the wait of weft_blocking_until() for a thread.
 *
 * @task  a handle, or the caller's own task. The handle must be valid until the task learns of the
 *        request. From then on the task may end, and be joined: this call no longer uses the
 *        handle.
 *
 * From any thread or task. Does not suspend.
 *
 * Returns 0 (also if it was cancelled before or has ended), or:
 *   -EINVAL  task is NULL
 */
WEFT_API int weft_cancel(weft_task *task);

/* Returns whether the calling task has been asked to stop, or the scope in which it is (scope.h),
 * in masked regions too. false outside of a task, except in a scope. */
WEFT_API bool weft_cancelled(void);

/* Begin and end a masked region, in which the calling task's waits are not cancellation points.
 * Regions nest. On a plain thread they matter in a scope only (scope.h). */
WEFT_API void weft_cancel_mask(void);
WEFT_API void weft_cancel_unmask(void);

WEFT_END_DECLS

#endif
