/* SPDX-License-Identifier: MIT */
/*
 * Cancelling. A request is a sticky bit in the task; a wait that is under way is claimed through
 * struct task.waiting.
 *
 * CANCEL_BUSY is the lock of that pointer, for cancellers only: the waiting task takes no lock and
 * does no atomic read-modify-write, it stores, and reads after a light fence (cancel_watch() and
 * cancel_unwatch() in wait.c). Cancelling is the rare side and pays for both.
 *
 * It is also what keeps the task there for its canceller. A task that learns of the request may
 * return, and its joiner or the end of the runtime then frees it. So nobody learns of the request
 * before the canceller is done: a wait ends with cancel_unwatch(), which waits until BUSY is gone,
 * and so does weft_cancelled(). The request and BUSY are set by one store to one word, so whoever
 * sees the one finds the other, until it is taken back. After that a canceller touches the task
 * only if it has claimed the wait, and then the task lives until it is woken.
 *
 * (Rejected: the task's end waits for BUSY. That is a look for every task, also for forks that run
 * as a call, instead of one for those that are cancelled.)
 */
#include "identity.h"
#include "runtime.h"
#include "sched/os/membarrier.h"
#include "sched/os/pause.h"
#include "src/fatal.h"
#include "wait.h"

#include <weft/task.h>

#include <errno.h>

/* Marks t. true: it was not, and the caller, who has BUSY now, is to fence and to call claim(). */
static bool request(struct task *t)
{
	/* relaxed: the compare-and-swap below orders. */
	uint32_t cancel = atomic_load_explicit(&t->cancel, memory_order_relaxed);

	do {
		for (unsigned looks = 0; cancel & CANCEL_BUSY; looks++) {
			weft__pause(looks);
			cancel = atomic_load_explicit(&t->cancel, memory_order_relaxed);
		}
		if (cancel & CANCEL_REQUESTED)
			return false;
		/* acquire: the last canceller's section. */
	} while (!atomic_compare_exchange_weak_explicit(
		&t->cancel, &cancel, CANCEL_REQUESTED | CANCEL_BUSY, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

/*
 * After request() and a heavy fence: claims the wait that is under way. true: the caller must wake
 * it.
 *
 * Store-load races with cancel_watch(), cancel_unwatch() and weft__wait_take(): both bits are set,
 * then `waiting` and the waiter's `given` are read.
 */
static bool claim(struct task *t, struct wakeup *ret)
{
	chaos_at(weft__worker(), CHAOS_CANCEL);
	/* acquire: the waiter's fields, released by cancel_watch(). */
	struct waiter *waiter = atomic_load_explicit(&t->waiting, memory_order_acquire);
	bool wake = waiter && weft__wait_claim_cancelled(waiter, ret);

	/* release: our last look at the waiter and the task, for canceller_looks(). The task may
	 * end as soon as it is woken, or now, if it was not waiting. */
	atomic_fetch_and_explicit(&t->cancel, ~CANCEL_BUSY, memory_order_release);
	return wake;
}

int weft_cancel(weft_task *task)
{
	struct task *t = task_of_handle(task);
	struct wakeup wakeup;

	if (!t)
		return -EINVAL;
	if (!request(t))
		return 0;
	weft__fence_heavy();
	if (claim(t, &wakeup))
		weft__wait_wake(wakeup);
	return 0;
}

unsigned weft__cancel_some(struct task *const *tasks, unsigned n, struct wakeup *ret_wakeups)
{
	struct task *requested[WEFT__CANCEL_SOME];
	unsigned count = 0, claimed = 0;

	for (unsigned i = 0; i < n; i++) {
		if (request(tasks[i]))
			requested[count++] = tasks[i];
	}
	if (count > 0)
		weft__fence_heavy();
	for (unsigned i = 0; i < count; i++)
		claimed += claim(requested[i], &ret_wakeups[claimed]);
	return claimed;
}

bool weft_cancelled(void)
{
	struct worker *w = weft__worker();

	/* relaxed: a request, which publishes nothing. */
	if (!w ||
	    !(atomic_load_explicit(&w->task->cancel, memory_order_relaxed) & CANCEL_REQUESTED))
		return false;
	if (__builtin_expect(canceller_looks(w->task), 0))
		weft__await_canceller(w->task); /* see above */
	return true;
}

static _Noreturn __attribute__((cold)) void mask_misuse(struct task *t, const char *call,
							const char *what)
{
	char task[WEFT__TASK_TEXT];

	weft__describe_task(t, task);
	weft__fatal("%s: %s %s", call, task, what);
}

void weft_cancel_mask(void)
{
	struct worker *w = weft__worker();

	if (!w)
		return;
	if (w->task->mask == UINT16_MAX)
		mask_misuse(w->task, "weft_cancel_mask", "nests regions too deep");
	w->task->mask++;
}

void weft_cancel_unmask(void)
{
	struct worker *w = weft__worker();

	if (!w)
		return;
	if (w->task->mask == 0)
		mask_misuse(w->task, "weft_cancel_unmask", "is in no masked region");
	w->task->mask--;
}
