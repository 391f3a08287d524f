/* SPDX-License-Identifier: MIT */
#include "task_fiber.h"

#ifdef WEFT_TSAN_USER

#include "coro_header.h"
#include "src/base/sanitizer.h"
#include "tls.h"

__attribute__((noinline)) void *weft__san_task_begin(void)
{
	void *previous = __tsan_get_current_fiber();
	void *fiber = weft__san_fiber_new();
	char *low = weft__thread()->current->stack.low;
	char *frame = __builtin_frame_address(0);

	/* A leader's bounds are not known, and nothing starts on it. */
	if (low)
		weft__san_forget_stack(low, frame);
	san_errno_passes_on(weft__thread()->errno_location);
	weft__san_fiber_enter(fiber);
	return previous;
}

__attribute__((noinline)) void weft__san_task_end(void *previous)
{
	void *ended = __tsan_get_current_fiber();

	/* This thread's errno. The task may have begun on another thread. */
	san_errno_passes_on(weft__thread()->errno_location);
	weft__san_fiber_enter(previous);
	weft__san_fiber_free(ended);
}

#endif
