/* SPDX-License-Identifier: MIT */
/*
 * Fork and join: parallel recursion at the price of a function call. The caller provides the
 * storage of a fork, usually on its own stack, so a fork cannot fail. The task that forked it must
 * join it before this task ends, and while the storage exists. If no worker has stolen the fork by
 * then, it runs as a call on the parent's stack. So joins in the reverse order of the forks are
 * fast. Outside of a runtime a fork runs at once, serially.
 *
 * Stack. A fork runs on its parent's stack only if at least three quarters of the runtime's stack
 * size are left there when it is joined. Otherwise, or if it was stolen, it has a stack of its own.
 * So a fork and all that it calls may use three quarters of WEFT_STACK_SIZE, 141 KiB by default,
 * whatever its parent has used. Do not fork a function that needs more, nor make it the body of a
 * loop: spawn it, or set WEFT_STACK_SIZE to four thirds of its need.
 *
 * Wherever it runs, a fork starts as any task does: with errno 0, the default rounding mode, and no
 * C++ exception in flight. Its caller does not see the values that it leaves.
 *
 * A fork has task-local values and masked regions of its own, and begins without any. It is
 * cancelled when its parent is: weft_cancel() reaches all forks below the task, also those that are
 * made later.
 */
#ifndef WEFT_FORK_H
#define WEFT_FORK_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The storage of a fork: 160 bytes. It is complete, so that the caller can place it anywhere. Its
 * content is Weft's, with room for a later version. It is aligned to 16 bytes, as what malloc()
 * returns and stack frames are. (A frame that must be aligned to 64 costs fork and join 3 %.) */
typedef struct weft_forked {
	uint64_t weft_opaque_[20];
} __attribute__((aligned(16))) weft_forked;

/*
 * Makes fn(arg) a fork. It runs in weft_fork_join(storage) at the latest; another worker may run it
 * sooner.
 *
 * @storage  borrowed until it is joined; uninitialised is fine.
 *
 * From any thread or task. Does not suspend. Everything before the call happens before fn starts.
 */
WEFT_API void weft_fork(weft_forked *storage, weft_fn *fn, void *arg);

/*
 * Waits until the fork has ended and returns its result. May run it right here, on the caller's
 * stack. May suspend and hop. Not a cancellation point.
 *
 * Misuse. A second join aborts with one line. So does the join of memory that holds no fork, where
 * Weft can see that. If a fork is never joined, the end of the task that forked it aborts, unless
 * another worker has taken the fork. In that case the fork runs on, in memory that may be in use
 * for something else.
 */
WEFT_API void *weft_fork_join(weft_forked *storage);

/*
 * Splits [begin, end) into disjoint ranges, and calls body(lo, hi, arg) for each of them, in
 * parallel. Returns when all calls have returned.
 *
 * Each range runs in a fork, however it was split off: the body is cancelled if the caller is, and
 * begins without task-local values.
 *
 * @grain  a range of at most this many indices is not split; 0: chosen from the size and the worker
 * count.
 *
 * From any thread or task; serial outside of a runtime. May suspend and hop.
 *
 * Returns 0, or -EINVAL if body is NULL or end < begin.
 */
WEFT_API int weft_for(size_t begin, size_t end, size_t grain,
		      void (*body)(size_t lo, size_t hi, void *arg), void *arg);

/*
 * Reduces a range to one value, in parallel: a sum, a minimum, a histogram.
 *
 * The range is split as by weft_for(). Each part has an accumulator of its own. It begins as a copy
 * of the identity, and body(lo, hi, acc, arg) adds the part to it. Then join(acc, right, arg) adds
 * `right` to acc, again and again, until one is left. `right` is always the accumulator of the part
 * just behind the part of acc. So join() must be associative, and need not be commutative.
 *
 * The parts, and the order in which they are joined, follow from the range and the grain alone; for
 * grain 0 also from the number of workers. So with a grain of your own a sum of floating-point
 * numbers is the same bit for bit, on whichever worker each part ran.
 *
 * The accumulators lie on the stacks of the forks, aligned to 64 bytes; nothing is allocated. If an
 * accumulator is large, use a pointer to it: NULL is the identity, body() allocates, join() frees.
 *
 * body() and join() run in forks, as the body of weft_for() does, and may suspend. A cancellation
 * does not cut the loop short: all of the calls are made, and can see it by weft_cancelled().
 *
 * @identity  the accumulator of an empty range, of `size` bytes: joined to any other one it leaves
 *            that as it is. Borrowed for the call. NULL: all bytes are 0.
 * @size      of an accumulator. All of them are copied as bytes.
 * @ret_acc   receives the result: of an empty range the identity. It may be where the identity is.
 *
 * From any thread or task; serial outside of a runtime. May suspend and hop.
 *
 * Returns 0, or:
 *   -EINVAL  body, join or ret_acc is NULL, size is 0 or end < begin
 *   -E2BIG   the accumulators of one stack would take more than half of the runtime's stack size
 *            (94 KiB by default, and outside of a runtime)
 * A stack holds one accumulator, rounded up to 64 bytes, for each time that the range is halved,
 * and one more.
 */
WEFT_API WEFT_MUST_CHECK int weft_reduce(size_t begin, size_t end, size_t grain,
					 void (*body)(size_t lo, size_t hi, void *acc, void *arg),
					 void (*join)(void *acc, const void *right, void *arg),
					 void *arg, const void *identity, size_t size,
					 void *ret_acc);

WEFT_END_DECLS

#endif
