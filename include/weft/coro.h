/* SPDX-License-Identifier: MIT */
/*
 * The coroutine alone: a stack and a saved context that can be entered and that can yield. It needs
 * no pool and starts no thread. Each enter of a coroutine may come from another thread, provided
 * that one enter has returned before the next begins. An ordinary happens-before between the two
 * calls is enough.
 *
 * Coroutines nest: one that is entered may enter others. They also work inside of tasks. A task may
 * hop to another thread between two enters. Code inside the coroutine may sleep, lock, join or call
 * weft_yield(). Such a call suspends the whole task, and the coroutine counts as running meanwhile.
 *
 * errno and the floating-point control words (rounding, masks) belong to the coroutine. The signal
 * mask stays the thread's. The sticky exception flags belong to neither: after a switch they may
 * come from another coroutine or task.
 *
 * Misuse prints one line and aborts: an enter of a coroutine that runs or has ended, a yield
 * outside of a coroutine, or the destruction of a coroutine that runs.
 */
#ifndef WEFT_CORO_H
#define WEFT_CORO_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/*
 * Creates a coroutine that will run fn; nothing runs yet.
 *
 * @fn          its function; the first enter's `in` is its argument, its result the last `out`.
 * @stack_size  usable bytes, without the guard; 0: 188 KiB (252 without a guard), or
 *              WEFT_STACK_SIZE. Rounded up; at least 16 KiB. Only touched pages take memory.
 *              The process reads WEFT_STACK_SIZE and WEFT_GUARD at its first call; a later change
 *              of the environment has no effect here.
 * @ret_coro    the coroutine, owned by the caller until weft_coro_destroy(). Must not be NULL.
 *
 * From any thread or task. Does not suspend.
 *
 * Returns 0, or:
 *   -EINVAL  fn or ret_coro is NULL, stack_size is below 16 KiB or above 1 GiB, or WEFT_STACK_SIZE
 *            or WEFT_GUARD holds a bad value
 *   -ENOMEM  no stack could be had
 */
WEFT_API WEFT_MUST_CHECK int weft_coro_create(weft_fn *fn, size_t stack_size, weft_coro **ret_coro);

/*
 * Runs the coroutine until it yields or ends.
 *
 * @in       fn's argument at the first enter, afterwards the result of weft_coro_yield() inside.
 * @ret_out  receives the value of the yield, or fn's result; may be NULL. Written before the call
 *           returns.
 *
 * From any thread or task. Inside a task the call may return on another thread than it was made on.
 *
 * Returns 0, both when it yielded and when it ended (see weft_coro_done()).
 */
WEFT_API int weft_coro_enter(weft_coro *co, void *in, void **ret_out);

/*
 * Suspends the current coroutine: the weft_coro_enter() that runs it returns, with `out`. Returns
 * the `in` of the next enter, possibly on another thread. Call it only where weft_coro_inside() is
 * true.
 */
WEFT_API void *weft_coro_yield(void *out);

/* Returns the coroutine that runs here, or NULL outside of one (in a task's own function too). */
WEFT_API weft_coro *weft_coro_self(void);

/* Returns whether weft_coro_yield() may be called here. A task's start is a boundary: false
 * there. */
WEFT_API bool weft_coro_inside(void);

/* Returns whether fn has returned. The caller must be ordered after the last enter. */
WEFT_API bool weft_coro_done(const weft_coro *co);

/*
 * Frees the coroutine. It must not be running: it has ended, never started, or is suspended in a
 * yield. In the last case its frames are dropped, and none of their destructors or cleanup handlers
 * runs. NULL is ignored. The thread keeps up to eight stacks, of one size and 768 KiB in all, for
 * its next weft_coro_create(); the others are free for all threads.
 */
WEFT_API void weft_coro_destroy(weft_coro *co);

WEFT_END_DECLS

#endif
