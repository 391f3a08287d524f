/* SPDX-License-Identifier: MIT */
/* Hooks of the program: see hooks.h. */
#include "hooks.h"

#include "runtime.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"
#include "tls.h"
#include "unwind.h"
#include "workers.h"

__attribute__((cold)) WEFT__STAYS void weft__call_hook(struct worker *w, weft_worker_fn *fn)
{
	/* A thread that runs weft_run() may serve another runtime, because of a blocking call. */
	struct weft_runtime *blocking_for = weft__blocking_for();
	bool is_worker = weft__worker() == w; /* false before w's start and after its end */
	int saved_errno = *w->errno_location;

	weft__worker_set(NULL, false);
	weft__set_blocking_for(w->rt);
	WEFT__NO_EXCEPTION_LEAVES();
	san_acquire(&w->rt->hooks.start);
	fn(w->id, w->rt->hooks.arg);
	san_release(&w->rt->hooks.stop);
	weft__set_blocking_for(blocking_for);
	if (is_worker)
		weft__worker_appear(w);
	*w->errno_location = saved_errno;
}
