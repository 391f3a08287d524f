/* SPDX-License-Identifier: MIT */
/*
 * Parallel loops: weft_for() and weft_reduce(). A range is halved until it is no larger than the
 * grain. The upper half is a fork, and the lower half a call.
 *
 * A reduction has one accumulator for each range that is not split, and allocates nothing. The
 * lower half takes over the accumulator of the whole range. The upper half gets one in the frame
 * that splits the range, which outlives the fork. So the stack holds one accumulator per level of
 * splitting, and the number of levels is known before the loop begins. A loop that would need too
 * much stack is refused.
 *
 *   [0, 8)    acc of the caller ─┬───────────────┐
 *   [0, 4)    the same          ─┬───────┐   [4, 8)    acc in the frame of [0, 8)
 *   [0, 2)    the same           │   [2, 4)    acc in the frame of [0, 4)
 *
 * A range that is not split copies the identity itself, on the worker that is about to write there.
 * Accumulators have their own cache lines, since different workers write to them.
 *
 * The halves, and hence the order in which their accumulators are joined, follow from the range and
 * the grain alone. Rejected: a fork that runs inline goes on with its left neighbour's accumulator.
 * It would save a join and a copy for each range. But a sum of floating-point numbers would then
 * depend on what was stolen.
 */
#include "runtime.h"
#include "src/base/compiler.h"
#include "src/stack/stack.h"
#include "src/stack/stack_env.h"
#include "unwind.h"

#include <weft/fork.h>

#include <errno.h>
#include <string.h>

/* How many ranges each worker gets if the caller chooses no grain. Several, so that uneven ranges
 * even out. */
#define RANGES_PER_WORKER 16

typedef void for_body(size_t lo, size_t hi, void *arg);
typedef void reduce_body(size_t lo, size_t hi, void *acc, void *arg);
typedef void reduce_join(void *acc, const void *right, void *arg);

/* What all ranges of a loop share. Immutable. */
struct loop {
	size_t grain;
	void *arg;
	for_body *body; /* for weft_for() */

	/* for weft_reduce() */
	reduce_body *reduce;
	reduce_join *join;
	const void *identity; /* NULL: all bytes are 0 */
	size_t size;          /* of an accumulator */
};

struct range {
	size_t begin, end;
	const struct loop *loop;
	void *acc; /* for weft_reduce(): where the range's result goes */
};

static void set_to_identity(void *acc, const struct loop *loop)
{
	/* memmove: for an empty range acc may be the caller's result, which may be the identity. */
	if (loop->identity)
		memmove(acc, loop->identity, loop->size);
	else
		memset(acc, 0, loop->size);
}

/* The stack space of an accumulator. */
static inline size_t acc_room(const struct loop *loop)
{
	return (loop->size + WEFT__CACHE_LINE - 1) & ~(size_t)(WEFT__CACHE_LINE - 1);
}

/* Makes an accumulator in the caller's frame. */
#define NEW_ACC(loop) __builtin_alloca_with_align(acc_room(loop), WEFT__CACHE_LINE * 8)

static weft_fn for_range, reduce_range;

/* The body is called once in each fork. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) void run_range(struct range range,
									  bool reduces)
{
	const struct loop *loop = range.loop;

	WEFT__NO_EXCEPTION_LEAVES();
	if (range.end - range.begin <= loop->grain) {
		if (reduces) {
			set_to_identity(range.acc, loop);
			loop->reduce(range.begin, range.end, range.acc, loop->arg);
		} else {
			loop->body(range.begin, range.end, loop->arg);
		}
		return;
	}
	struct range upper = range;
	weft_forked fork;
	upper.begin = range.begin + (range.end - range.begin) / 2;
	range.end = upper.begin;
	if (reduces)
		upper.acc = NEW_ACC(loop);
	weft_fork(&fork, reduces ? reduce_range : for_range, &upper);
	(reduces ? reduce_range : for_range)(&range);
	weft_fork_join(&fork);
	if (reduces)
		loop->join(range.acc, upper.acc, loop->arg);
}

static WEFT__MAY_HOP void *for_range(void *arg)
{
	run_range(*(const struct range *)arg, false);
	return NULL;
}

static WEFT__MAY_HOP void *reduce_range(void *arg)
{
	run_range(*(const struct range *)arg, true);
	return NULL;
}

/* Makes the whole range a fork too, so that the body finds the same in its task for every range. */
static WEFT__MAY_HOP void run_whole(weft_fn *fn, struct range *whole)
{
	weft_forked fork;

	weft_fork(&fork, fn, whole);
	weft_fork_join(&fork);
}

/* The grain if the caller has chosen none. count is not 0. */
static size_t default_grain(size_t count)
{
	unsigned workers = weft_runtime_workers(NULL);

	return count / ((workers ? workers : 1) * RANGES_PER_WORKER) + 1;
}

WEFT__MAY_HOP int weft_for(size_t begin, size_t end, size_t grain,
			   void (*body)(size_t lo, size_t hi, void *arg), void *arg)
{
	if (!body || end < begin)
		return -EINVAL;
	if (begin == end)
		return 0;
	struct loop loop = {
		.grain = grain ? grain : default_grain(end - begin),
		.arg = arg,
		.body = body,
	};
	struct range whole = {begin, end, &loop, NULL};
	run_whole(for_range, &whole);
	return 0;
}

/* Copies the result out of an accumulator on the stack. The caller's memory cannot serve as the
 * accumulator: the bodies may read it, or it may be the identity. */
static WEFT__MAY_HOP void *reduce_whole(void *arg)
{
	struct range whole = *(const struct range *)arg;
	void *ret_acc = whole.acc;

	whole.acc = NEW_ACC(whole.loop);
	reduce_range(&whole);
	memcpy(ret_acc, whole.acc, whole.loop->size);
	return NULL;
}

/* How often a range of count indices is halved until no part is larger than the grain. */
static unsigned levels(size_t count, size_t grain)
{
	unsigned n = 0;

	for (size_t most = (count - 1) / grain; most > 0; most /= 2)
		n++;
	return n;
}

/* Whether the accumulators leave the body a quarter of a stack, out of the three quarters that a
 * fork has. */
static bool fits_stack(const struct loop *loop, size_t count)
{
	const weft_runtime *rt = weft_runtime_self();
	size_t room =
		(rt ? rt->config.stack_size : weft__stack_within(WEFT__STACK_RESERVED, true)) / 2;

	return loop->size <= room && (levels(count, loop->grain) + 1) * acc_room(loop) <= room;
}

WEFT__MAY_HOP int weft_reduce(size_t begin, size_t end, size_t grain,
			      void (*body)(size_t lo, size_t hi, void *acc, void *arg),
			      void (*join)(void *acc, const void *right, void *arg), void *arg,
			      const void *identity, size_t size, void *ret_acc)
{
	if (!body || !join || !ret_acc || size == 0 || end < begin)
		return -EINVAL;
	struct loop loop = {
		.grain = grain ? grain : default_grain(end - begin),
		.arg = arg,
		.reduce = body,
		.join = join,
		.identity = identity,
		.size = size,
	};
	if (begin == end) {
		set_to_identity(ret_acc, &loop);
		return 0;
	}
	if (!fits_stack(&loop, end - begin))
		return -E2BIG;
	struct range whole = {begin, end, &loop, ret_acc};
	run_whole(reduce_whole, &whole);
	return 0;
}
