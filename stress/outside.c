/* SPDX-License-Identifier: MIT */
/*
 * inside.h for a program linked with the shared library, which hides everything that is not public.
 * It answers what the public interface can answer, and NULL for the rest.
 */
#include "inside.h"

#include <weft/coro.h>

void inside_look(struct inside *ret)
{
	*ret = (struct inside){
		.coro = weft_coro_self(), /* a generator; NULL for a task's own coroutine */
		.task = weft_self(),
		.worker = weft_worker_id(),
	};
}

weft_runtime *inside_runtime(void)
{
	return NULL;
}

bool inside_kept(uint64_t *ret)
{
	(void)ret;
	return false;
}

void inside_dump(weft_runtime *rt)
{
	(void)rt;
}
