/* SPDX-License-Identifier: MIT */
/* Reserves of coroutines (reserve.h). */
#include "reserve.h"

#include "coros.h"
#include "execute.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"

#include <errno.h>
#include <stdlib.h>

static struct coro *new_coro(struct weft_runtime *rt, size_t stack_size)
{
	return weft__coro_new(stack_size, rt->config.guard, weft__task_main);
}

static void free_reserve(struct reserve *reserve)
{
	san_ignore_begin();
	free(reserve);
	san_ignore_end();
}

static struct reserve *find_locked(struct weft_runtime *rt, size_t stack_size)
{
	struct reserve *reserve = rt->uncommon;

	while (reserve && reserve->stack_size != stack_size)
		reserve = reserve->next;
	return reserve;
}

/* Counts a task of that size if its reserve is full, or can be filled with *co. Otherwise returns
 * NULL. What is used of *fresh and *co no longer belongs to the caller. */
static struct reserve *try_enter(struct weft_runtime *rt, size_t stack_size, struct reserve **fresh,
				 struct coro **co)
{
	weft__lock(&rt->starved_lock);
	struct reserve *reserve = find_locked(rt, stack_size);
	if (!reserve && *fresh && *co) {
		reserve = *fresh;
		*fresh = NULL;
		reserve->next = rt->uncommon;
		rt->uncommon = reserve;
	}
	if (reserve && !reserve->coro) {
		reserve->coro = *co;
		*co = NULL;
	}
	if (reserve && !reserve->coro)
		reserve = NULL;
	if (reserve)
		reserve->tasks++;
	weft__unlock(&rt->starved_lock);
	return reserve;
}

int weft__reserve_enter(struct weft_runtime *rt, struct worker *w, size_t stack_size,
			struct reserve **ret_reserve)
{
	struct reserve *fresh = NULL;
	struct coro *co = NULL;
	struct reserve *reserve = try_enter(rt, stack_size, &fresh, &co);

	if (!reserve) {
		san_ignore_begin();
		fresh = weft__calloc(1, sizeof *fresh);
		san_ignore_end();
		co = new_coro(rt, stack_size);
		if (!co && w) {
			weft__drop_idle_coros(w);
			co = new_coro(rt, stack_size);
		}
		if (fresh)
			fresh->stack_size = stack_size;
		/* Try it even without memory: a task of that size may have ended meanwhile. */
		reserve = try_enter(rt, stack_size, &fresh, &co);
		free_reserve(fresh);
		if (co)
			weft__coro_free(co);
	}
	if (!reserve)
		return -ENOMEM;
	*ret_reserve = reserve;
	return 0;
}

void weft__reserve_leave(struct weft_runtime *rt, struct reserve *reserve, struct coro *co)
{
	struct reserve *over = NULL;
	struct coro *unused = co;

	if (co)
		weft__coro_renew(co, weft__task_main);
	weft__lock(&rt->starved_lock);
	if (--reserve->tasks == 0) {
		struct reserve **link = &rt->uncommon;
		while (*link != reserve)
			link = &(*link)->next;
		*link = reserve->next;
		over = reserve;
	} else if (!reserve->coro) {
		reserve->coro = co;
		unused = NULL;
	}
	weft__unlock(&rt->starved_lock);

	if (unused)
		weft__coro_free_lazily(unused);
	if (over && over->coro)
		weft__coro_free_lazily(over->coro);
	free_reserve(over);
}

struct coro *weft__reserve_take(struct weft_runtime *rt, struct reserve *reserve)
{
	weft__lock(&rt->starved_lock);
	struct coro *co = reserve->coro;
	reserve->coro = NULL;
	/* relaxed, here and below: it changes under the lock, and is a hint to readers without the
	 * lock. */
	bool begins = co && reserve == &rt->common && !exchange_relaxed(&rt->starving, 1);
	weft__unlock(&rt->starved_lock);
	/* Sleepers give back what they keep (starve.c). */
	if (begins)
		weft__wake_all(rt);
	return co;
}

bool weft__reserve_fill(struct weft_runtime *rt, struct coro *co)
{
	weft__lock(&rt->starved_lock);
	bool empty = !rt->common.coro;
	if (empty)
		rt->common.coro = co;
	weft__unlock(&rt->starved_lock);
	return empty;
}

bool weft__reserve_ensure(struct weft_runtime *rt)
{
	weft__lock(&rt->starved_lock);
	bool full = rt->common.coro;
	weft__unlock(&rt->starved_lock);
	if (full)
		return true;
	struct coro *co = new_coro(rt, rt->config.stack_size);
	if (co && !weft__reserve_fill(rt, co))
		weft__coro_free(co);
	return co;
}

int weft__reserve_init(struct weft_runtime *rt)
{
	return weft__reserve_ensure(rt) ? 0 : -ENOMEM;
}

void weft__reserve_fini(struct weft_runtime *rt)
{
	if (rt->common.coro)
		weft__coro_free(rt->common.coro);
}
