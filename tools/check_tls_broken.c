/* SPDX-License-Identifier: MIT */
/*
 * What check_tls.py has to find, one function for each kind. The test adds this to the library's
 * objects. Compiled with optimization, each computes an address before a call that may hop and uses
 * it after.
 */
#include "sched/core/tls.h"
#include "src/coro.h"
#include "src/tls.h"

#include <errno.h>

int check_tls_broken_errno(void (*fn)(void));
int check_tls_broken_errno_by_yield(void);
void check_tls_broken_thread(struct coro *to);
struct worker *check_tls_broken_worker(struct coro *to);

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
