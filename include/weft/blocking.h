/* SPDX-License-Identifier: MIT */
/*
 * Calls that block their thread: reading a file or a socket, fsync(), getaddrinfo(), a library that
 * waits in its own way. Such a call in a task would keep its worker from running other tasks.
 * weft_blocking() lets a thread of a separate pool make the call.
 */
#ifndef WEFT_BLOCKING_H
#define WEFT_BLOCKING_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/*
 * Runs fn(arg) on a thread that may block. The task waits meanwhile, and its worker runs other
 * tasks. Each runtime has up to WEFT_BLOCKING_THREADS such threads (512). They start when they are
 * needed, and end when they have been idle for ten seconds. When all are busy the call waits its
 * turn, first come, first served. The first time, one line on stderr says so.
 *
 * @ret_result  receives what fn returned; may be NULL.
 *
 * From a task (which may suspend and hop), or any other thread, which runs fn itself. Everything
 * before the call happens before fn starts, and everything in fn before the return. Not a
 * cancellation point.
 *
 * fn is not a task: in it weft_self() is NULL, weft_spawn() returns -EPERM, and Weft's waits block
 * the thread. weft_runtime_self() is the runtime of the calling task, and weft_submit() to it
 * works. errno, thread-local variables, the rounding mode and the signal mask are those of the
 * thread. So fn must return the errno that the caller needs, and leave the others as it found them.
 * If there is no such thread and none can be started, fn runs on the caller's worker, as part of
 * the task.
 *
 * Returns 0, or -EINVAL if fn is NULL.
 */
WEFT_API int weft_blocking(weft_fn *fn, void *arg, void **ret_result);

/*
 * As weft_blocking(), but a call that still waits its turn gives up at the deadline, or when the
 * calling task is cancelled. Once fn has started, the call returns when fn has returned.
 *
 * A cancellation point. A plain thread runs fn itself unless the deadline has passed.
 *
 * Returns 0, or:
 *   -EINVAL     fn is NULL
 *   -ETIMEDOUT  the deadline has passed
 *   -ECANCELED  the caller is cancelled (which wins, if both hold when the call is made, unless the
 *               deadline is 0)
 * On failure fn will not run.
 */
WEFT_API WEFT_MUST_CHECK int weft_blocking_until(weft_fn *fn, void *arg, void **ret_result,
						 int64_t deadline);

WEFT_END_DECLS

#endif
