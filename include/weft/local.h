/* SPDX-License-Identifier: MIT */
/*
 * Task-local values: what thread-local variables are to threads, for tasks. A key stands for one
 * value in each task; the value moves with the task from thread to thread. A task starts without
 * values. So does a fork, even if it runs as a call on its parent's stack.
 */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A key; never 0. */
typedef uint64_t weft_local;

/* How many keys there can be at a time. */
#define WEFT_LOCAL_MAX 1024

/*
 * Creates a key, whose value is NULL in every task.
 *
 * @destructor  called with each value that is not NULL when its task ends; may be NULL. It runs in
 *              the task, on its stack, after the task's function has returned and before a join of
 *              the task returns. It runs in a masked region (weft_cancel_mask()), so it may wait,
 *              even if the task was cancelled. It may hop. It may set values; their destructors run
 *              in another round, of which there are at most 4. Within a round the order is not
 *              defined.
 * @ret_key     the key, the caller's until weft_local_delete(). Must not be NULL.
 *
 * From any thread or task. Does not suspend.
 *
 * Returns 0, or:
 *   -EINVAL  ret_key is NULL
 *   -EAGAIN  there are WEFT_LOCAL_MAX keys
 */
WEFT_API WEFT_MUST_CHECK int weft_local_create(void (*destructor)(void *value),
					       weft_local *ret_key);

/*
 * Deletes a key. The values that it still has in tasks are dropped without a call of the
 * destructor. From any thread or task.
 *
 * Returns 0, or -EINVAL if the key is invalid or was deleted.
 */
WEFT_API int weft_local_delete(weft_local key);

/* Returns the calling task's value; NULL if it has set none, outside of a task, and if the key is
 * invalid. */
WEFT_API void *weft_local_get(weft_local key);

/*
 * Sets the calling task's value. No destructor is called for the value before. Does not suspend.
 *
 * Each value of a task takes 16 to 64 bytes of heap memory, and all of them at least 152, whatever
 * their keys are.
 *
 * Returns 0, or:
 *   -EPERM   outside of a task
 *   -EINVAL  the key is invalid
 *   -ENOMEM  no memory for one value more
 * On failure the value stays what it was.
 */
WEFT_API WEFT_MUST_CHECK int weft_local_set(weft_local key, void *value);

WEFT_END_DECLS

#endif
