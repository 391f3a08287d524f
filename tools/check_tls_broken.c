/* SPDX-License-Identifier: MIT */
/*
 * What check_tls.py has to find, one mistake in each function. The test adds this to the library's
 * functions. Compiled with optimization, each function but the last two obtains something of its
 * thread before a call that may hop, and uses it after.
 */
#include "sched/core/execute.h"
#include "sched/core/tls.h"
#include "src/coro.h"
#include "src/tls.h"

#include <errno.h>

WEFT__MAY_HOP int check_tls_broken_errno(void (*fn)(void));
WEFT__MAY_HOP int check_tls_broken_errno_by_yield(void);
WEFT__MAY_HOP void check_tls_broken_thread(struct coro *to);
WEFT__MAY_HOP WEFT__MUST_USE struct worker *check_tls_broken_worker(struct coro *to);
WEFT__MAY_HOP WEFT__MUST_USE struct worker *check_tls_broken_worker_of_hop(struct worker *w,
									   struct coro *to);
WEFT__MAY_HOP WEFT__MUST_USE struct worker *check_tls_broken_worker_in_frame(struct coro *to,
									     volatile long *n);
WEFT__MAY_HOP int check_tls_broken_needless_mark(int n);
void check_tls_broken_no_mark(struct coro *to);

/* glibc declares errno's address to be constant. */
int check_tls_broken_errno(void (*fn)(void))
{
	errno = 0;
	fn();
	return errno;
}

int check_tls_broken_errno_by_yield(void)
{
	errno = 0;
	while (errno == 0)
		weft_coro_yield(NULL);
	return 1;
}

void check_tls_broken_thread(struct coro *to)
{
	struct weft__thread *th = weft__thread();

	weft__coro_switch(to, NULL);
	th->current = to;
}

struct worker *check_tls_broken_worker(struct coro *to)
{
	struct worker *w = weft__worker();

	weft__coro_switch(to, NULL);
	return w;
}

struct worker *check_tls_broken_worker_of_hop(struct worker *w, struct coro *to)
{
	w = weft__suspend(w, FATE_QUEUE, NULL);
	weft__coro_switch(to, NULL);
	return w;
}

/* More values live over the switch than there are registers, so the worker lies in the frame. */
struct worker *check_tls_broken_worker_in_frame(struct coro *to, volatile long *n)
{
	struct worker *w = weft__worker();
	long a = n[0], b = n[1], c = n[2], d = n[3], e = n[4], f = n[5], g = n[6], h = n[7];
	long i = n[8], j = n[9], k = n[10], l = n[11];

	weft__coro_switch(to, NULL);
	n[0] = a, n[1] = b, n[2] = c, n[3] = d, n[4] = e, n[5] = f, n[6] = g, n[7] = h;
	n[8] = i, n[9] = j, n[10] = k, n[11] = l;
	return w;
}

int check_tls_broken_needless_mark(int n)
{
	return n + 1;
}

void check_tls_broken_no_mark(struct coro *to)
{
	weft__coro_switch(to, NULL);
}
