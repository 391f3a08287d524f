/* SPDX-License-Identifier: MIT */
/*
 * Runtimes: a pool of worker threads that runs tasks. Most programs call weft_run() once, from
 * main(). A program that has a main loop of its own creates a runtime beside it and submits tasks
 * from any thread. Several runtimes may coexist; a task belongs to the one it was spawned in.
 *
 * Lifetimes. A runtime lives from its creation until weft_run() or weft_runtime_destroy() returns.
 * A handle lives until it is joined or detached, and no longer than its runtime, whose end frees
 * the handles that are left. A thread that is not a worker of the runtime may call weft_cancel(),
 * weft_submit(), weft_join() and the like only while something keeps the runtime alive. That is a
 * task of it that has not ended, or the fact that weft_runtime_destroy() has not been called yet.
 * It must hold until the call takes effect:
 *
 *   weft_cancel()   the task learns of the request
 *   weft_submit()   the new task starts
 *   any other call  it begins
 *
 * The task may end because of that very effect. A call that has begun in time ends safely, as the
 * task or the end of the runtime waits for it. If a thread cannot know all this, let a task wait
 * until that thread no longer uses its handles. To wake a task by a semaphore, a channel or the
 * like a thread needs to know nothing of its runtime.
 *
 * fork(). Suppose that a child is forked while its parent has a runtime (from its creation until
 * weft_run() or weft_runtime_destroy() has returned). None of the worker threads exists in that
 * child. _exit(), exec and exit() work there, and nothing else is promised. No call waits for a
 * thread that does not exist:
 *
 *   (a) weft_run(), weft_runtime_create(), weft_runtime_destroy(), weft_submit(), weft_spawn() and
 *       weft_runtime_set_workers() return -EPERM.
 *   (b) The forking thread is not a worker any more, even if it was in a task: weft_self() is NULL.
 *   (c) A wait without a deadline aborts with one line. So does the return of the task that forked.
 *
 * A child that is forked at any other time may have runtimes of its own. Coroutines without a
 * runtime (weft/coro.h) work in every child. An object of yours that another thread was using at
 * the fork is in an unknown state in the child, as a pthread mutex is.
 *
 * Threads. All threads of a runtime, also those that are started later, get the CPU mask, the
 * signal mask, the scheduling class and the nice value of the thread that creates the runtime. If a
 * task creates it, they get those of the task's runtime. A thread that your task creates by
 * pthread_create() inherits from the worker instead, which WEFT_PIN=cores binds to one CPU. Create
 * such a thread in weft_blocking(), or set its mask.
 *
 * Stack overflow. While there is a runtime, a handler of SIGSEGV looks whether the fault is the
 * overflow of a task's stack. If so it writes one line to stderr that names the task, its function,
 * its stack's size and WEFT_STACK_SIZE. In any case it then calls the handler that the program had
 * installed before, or else takes the default action. Workers get an alternative signal stack of 64
 * KiB if they have none, so a handler that was installed without SA_ONSTACK runs there too. Without
 * guards (WEFT_GUARD=off, or more stacks than guards on kernels before 6.13) an overflow is not
 * noticed: it damages whatever lies below.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <weft/task.h>

WEFT_BEGIN_DECLS

/* A hook: see below. `worker` is the worker's number. */
typedef void weft_worker_fn(int worker, void *arg);

/*
 * A member that is 0 takes its value from the environment, or else the default.
 *
 * Hooks. Each worker's thread calls worker_start() before its first task, and worker_stop() after
 * its last one. It calls worker_sleep() when it has found nothing to do and is about to sleep, and
 * worker_wake() after each sleep. They set up and take down the state that libraries keep for a
 * thread: the current GPU, an allocator's arena, a NUMA policy. Worker 0 of weft_run() is the
 * calling thread, and calls them too; the threads of weft_blocking() do not. A worker that was
 * removed by weft_runtime_set_workers() and added again has a new thread. A runtime that could not
 * be created may have started and stopped some workers.
 *
 * A hook runs on the thread's own stack, outside of all tasks, and no lock is held. It counts as a
 * plain thread, and may make the same calls: weft_self() is NULL, weft_worker_id() is -1, and a
 * wait blocks the worker. weft_runtime_self() is its runtime. There are three exceptions: a hook
 * must not call weft_run(), worker_stop() must not hand tasks to its runtime, and no C++ exception
 * may leave a hook. While it runs, tasks wait for the worker unless another one takes them, so it
 * should be short. errno is restored after it, and tasks do not see changes that it makes to the
 * floating-point modes.
 *
 * Everything before the creation of the runtime happens before each hook, and everything in the
 * hooks before the return of weft_run() or weft_runtime_destroy(). ThreadSanitizer knows that
 * worker_start() comes before the tasks of its worker and worker_stop() after them. It sees no
 * order between these tasks and worker_sleep() or worker_wake().
 */
struct weft_runtime_options {
	/* 1 to 1024 threads (WEFT_WORKERS; default: the CPUs this process may use) */
	unsigned workers;
	/* usable bytes of a task's stack, at least 16384 (WEFT_STACK_SIZE; default 188 KiB) */
	size_t stack_size;
	/* hooks; each may be NULL */
	weft_worker_fn *worker_start, *worker_stop, *worker_sleep, *worker_wake;
	void *worker_arg; /* for all of them */
};

/*
 * Runs fn as the first task of a new runtime and returns when it and every task have ended. The
 * calling thread is worker 0 meanwhile. The first task's stack is as large as the process's stack
 * limit.
 *
 * @ret_result  receives fn's result; may be NULL.
 *
 * From a plain thread that has not registered itself with liburcu-memb.
 *
 * Returns 0, or:
 *   -EINVAL           fn is NULL, or a WEFT_ variable holds a bad value (one line on stderr says
 *                     which)
 *   -EDEADLK          called from a task
 *   -ENOMEM, -EAGAIN  no memory, no first stack, or no threads
 *   -EPERM            in a child that was forked from a process with a runtime
 */
WEFT_API WEFT_MUST_CHECK int weft_run(weft_fn *fn, void *arg, void **ret_result);

/* The call behind weft_run_with(). */
WEFT_API WEFT_MUST_CHECK int weft_run_with_sized(const struct weft_runtime_options *opt,
						 size_t opt_size, weft_fn *fn, void *arg,
						 void **ret_result);

/* As weft_run(), with options (borrowed for the call; NULL is the same as {0}). -EINVAL also: an
 * option is out of range. */
WEFT_INLINE WEFT_MUST_CHECK int weft_run_with(const struct weft_runtime_options *opt, weft_fn *fn,
					      void *arg, void **ret_result)
{
	return weft_run_with_sized(opt, WEFT_SIZE(weft_runtime_options), fn, arg, ret_result);
}

/* The call behind weft_runtime_create(): opt_size lets the struct grow without breaking compiled
 * programs. */
WEFT_API WEFT_MUST_CHECK int weft_runtime_create_sized(const struct weft_runtime_options *opt,
						       size_t opt_size, weft_runtime **ret_rt);

/*
 * Creates a runtime and starts its workers.
 *
 * @opt     borrowed for the call; NULL is the same as {0}.
 * @ret_rt  the runtime, owned by the caller until weft_runtime_destroy(). Must not be NULL.
 *
 * From any thread or task. Does not suspend.
 *
 * Returns 0, or:
 *   -EINVAL           an option or a WEFT_ variable is out of range (one line on stderr names the
 *                     variable)
 *   -ENOMEM, -EAGAIN  no memory, no first stack, or no threads
 *   -EPERM            in a child that was forked from a process with a runtime
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_runtime_create(const struct weft_runtime_options *opt,
						    weft_runtime **ret_rt)
{
	return weft_runtime_create_sized(opt, WEFT_SIZE(weft_runtime_options), ret_rt);
}

/*
 * Waits until every task of the runtime has ended, stops and joins its threads, and frees it.
 * Handles that were not joined or detached are freed with it. Nobody may submit to it or join its
 * tasks once this has been called.
 *
 * From a plain thread, or from a task of another runtime. Such a task blocks its worker.
 *
 * Returns 0 (also for NULL), or:
 *   -EDEADLK  called from one of its own tasks, or from a blocking call of one
 *   -EPERM    in a child that was forked while there was a runtime
 */
WEFT_API int weft_runtime_destroy(weft_runtime *rt);

/*
 * Hands fn to the runtime, as a task. Tasks start in no particular order.
 *
 * @rt        the runtime; NULL: the caller's own, see weft_runtime_self().
 * @ret_task  receives the handle, to be joined or detached exactly once; NULL: the task is
 * detached.
 *
 * From any thread or task. Does not suspend. Everything before the call happens before fn starts.
 *
 * Returns 0, or:
 *   -EINVAL  fn is NULL
 *   -EPERM   rt is NULL and the caller has none, or the process was forked from one with a runtime
 *   -ENOMEM  no memory, or tasks are already waiting for stacks (task.h)
 * On failure fn will not run.
 */
WEFT_API WEFT_MUST_CHECK int weft_submit(weft_runtime *rt, weft_fn *fn, void *arg,
					 weft_task **ret_task);

/* The call behind weft_submit_with(). */
WEFT_API WEFT_MUST_CHECK int weft_submit_with_sized(weft_runtime *rt,
						    const struct weft_task_options *opt,
						    size_t opt_size, weft_fn *fn, void *arg,
						    weft_task **ret_task);

/* As weft_submit(), with options (task.h; borrowed for the call; NULL is the same as {0}). -EINVAL
 * also: stack_size is out of range; or pinned is set, and the caller is not a task of the
 * runtime. */
WEFT_INLINE WEFT_MUST_CHECK int weft_submit_with(weft_runtime *rt,
						 const struct weft_task_options *opt, weft_fn *fn,
						 void *arg, weft_task **ret_task)
{
	return weft_submit_with_sized(rt, opt, WEFT_SIZE(weft_task_options), fn, arg, ret_task);
}

/*
 * Returns the caller's runtime: in a task the runtime of the task, in the function of a
 * weft_blocking() the runtime of the task that made the call; NULL elsewhere. From any thread or
 * task.
 *
 * You may hand it to other threads, which submit to it. For the runtime of weft_run() there is no
 * other way. Such a runtime lives until its last task has ended, others until
 * weft_runtime_destroy(). Each use must come before that. It is enough that a task of the runtime
 * waits for the thread that uses it.
 */
WEFT_API weft_runtime *weft_runtime_self(void);

/* Returns how many workers the runtime has been told to have. NULL: the caller's runtime, as
 * weft_runtime_self(); 0 if there is none. From any thread or task. */
WEFT_API unsigned weft_runtime_workers(const weft_runtime *rt);

/* Returns the number of the worker that runs the caller, from 0; -1 on a thread that is not a
 * worker. It may change whenever the task suspends. */
WEFT_API int weft_worker_id(void);

/*
 * Changes the number of workers while tasks run. Returns at once. If there are to be fewer, the
 * workers with the highest numbers are removed, never worker 0. A worker that is removed hands over
 * its tasks. It lives until the last task that is pinned to it has ended.
 *
 * @rt  NULL: the caller's runtime, see weft_runtime_self().
 * @n   1 to 1024.
 *
 * From any thread or task; concurrent calls are carried out one after the other.
 *
 * Returns 0, or:
 *   -EINVAL           n is out of range, or not 1 with the virtual time of WEFT_CHAOS
 *   -EPERM            rt is NULL and the caller has none, or the process was forked from one with a
 *                     runtime
 *   -EAGAIN, -ENOMEM  not all threads could be started, the count is what it was before the call
 */
WEFT_API WEFT_MUST_CHECK int weft_runtime_set_workers(weft_runtime *rt, unsigned n);

/*
 * Gives back to the system, at once, the memory that Weft keeps for later use in this process.
 *
 * Without this call Weft gives the memory back by time. While a runtime is alive it keeps the
 * stacks of a burst of tasks for a fifth of a second at most. After that it keeps about 400 KiB for
 * each worker, and a megabyte for each size of stack. When the last runtime has ended no free stack
 * has memory. The control blocks of tasks, about 100 bytes each, are kept until this call or the
 * runtime's end.
 *
 * The call wakes sleeping workers. They may still be freeing memory for a moment after the return.
 * A worker that then looks for tasks once more takes a stack for that. Workers that run tasks free
 * their memory when they next have nothing to do. Other threads that use weft_coro do so at their
 * next weft_coro_create() or weft_coro_destroy().
 *
 * From any thread or task; not from a signal handler. Does not suspend.
 *
 * Returns 0.
 */
WEFT_API int weft_trim(void);

WEFT_END_DECLS

#endif
