/* SPDX-License-Identifier: MIT */
/* What a program can ask of a runtime while it lives. */
#include "runtime.h"

#include "src/base/atomic.h"
#include "src/base/orphan.h"
#include "tls.h"
#include "visit.h"
#include "workers.h"

#include <errno.h>

weft_runtime *weft_runtime_self(void)
{
	struct worker *w = weft__worker();

	return w ? w->rt : weft__blocking_for();
}

unsigned weft_runtime_workers(const weft_runtime *rt)
{
	if (!rt)
		rt = weft_runtime_self();
	/* relaxed: a number that may change at any time. */
	return rt ? load_relaxed(&rt->target) : 0;
}

int weft_worker_id(void)
{
	struct worker *w = weft__worker();

	return w ? w->id : -1;
}

int weft_runtime_set_workers(weft_runtime *rt, unsigned n)
{
	if (n < 1 || n > WORKERS_MAX)
		return -EINVAL;
	if (!rt)
		rt = weft_runtime_self();
	if (!rt || weft__is_orphan())
		return -EPERM;
	if (rt->config.chaos.virtual_time && n > 1)
		return -EINVAL;
	visit_begin(rt);
	int rc = weft__workers_set(rt, n);
	visit_end(rt);
	return rc;
}
