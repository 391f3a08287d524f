/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a part of a task that can be cancelled, at a deadline or by hand, without the rest of the
 * task.
 *
 *   weft_scope s;
 *   weft_scope_begin(&s, weft_after(1000000000));
 *   rc = answer(request);                    // its waits are cut short at the deadline
 *   why = weft_scope_end(&s);                // 0, -ETIMEDOUT or -ECANCELED
 *
 * A scope is cancelled when its deadline passes, or by hand. Inside it, each cancellation point
 * then returns -ECANCELED, and weft_cancelled() is true, as in a task that weft_cancel() has
 * cancelled. After the scope has ended the task is as it was before. Masked regions work as usual.
 *
 * Scopes nest. A cancellation of an outer scope, or of the task, cancels the inner ones too.
 *
 * A scope also cancels the forks that are made in it, weft_for() included, and the members of the
 * groups that are begun in it (weft_group_init()). They learn of it at once, wherever the task is:
 * in a mutex, in a barrier, in a blocking call, in a masked region. A task of weft_spawn() may
 * outlive the scope, and belongs to no scope.
 *
 * A task that computes learns of a deadline by weft_cancelled(), which looks at the clock in a
 * scope.
 *
 * A plain thread may have scopes as well. They cut its own waits short. What it forks in a scope
 * runs at once, in the scope. A group is cancelled while the thread waits for it. If the thread
 * calls weft_run() in a scope, the tasks of that runtime are not in the scope.
 */
#ifndef WEFT_SCOPE_H
#define WEFT_SCOPE_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A scope: complete, so that the caller can place it anywhere. Its content is Weft's. */
typedef struct weft_scope {
	uint64_t weft_opaque_[32];
} __attribute__((aligned(16))) weft_scope;

/*
 * Begins a scope in the calling task. Everything that the task does until weft_scope_end() is in
 * it.
 *
 * @s         borrowed until the scope has ended; uninitialised is fine.
 * @deadline  when the scope is cancelled. WEFT_FOREVER: only weft_scope_cancel() cancels it. If the
 *            deadline has passed already, the scope is cancelled from the start.
 *
 * From any thread or task. Does not suspend, and cannot fail.
 *
 * Misuse. With NULL the call aborts with one line. A generator (coro.h) must not yield in a scope
 * that it has begun, which is not noticed.
 */
WEFT_API void weft_scope_begin(weft_scope *s, int64_t deadline);

/*
 * Cancels the scope, as weft_cancel() cancels a task. NULL is ignored.
 *
 * From any thread or task, inside the scope or not; does not suspend. The scope must live until the
 * call has returned, or until its task learns of the request. From then on the call no longer uses
 * the scope.
 */
WEFT_API void weft_scope_cancel(weft_scope *s);

/*
 * Ends the scope.
 *
 * The task must have joined all forks that it has made in the scope. A group that was begun in it
 * belongs to nobody from now on; wait for it before.
 *
 * From the task or thread that has begun the scope, which must be the innermost one. Does not
 * suspend.
 *
 * Misuse. If the scope is not the innermost one of the caller, the call aborts with one line. So
 * does a task, a fork or a blocking call that returns from its function inside a scope. A thread
 * that ends inside a scope is not noticed.
 *
 * Returns 0 (nothing has cut the scope short), or:
 *   -ETIMEDOUT  its deadline has cut it short
 *   -ECANCELED  weft_scope_cancel() has, or the cancellation of an outer scope or of the task
 * If there are several reasons, it is the first one that a call in the scope has noticed. A
 * deadline that no call has noticed has cut nothing short. After -ETIMEDOUT there may be time left
 * outside. After -ECANCELED the caller should look at the outer scope, or end.
 */
WEFT_API int weft_scope_end(weft_scope *s);

WEFT_END_DECLS

#endif
