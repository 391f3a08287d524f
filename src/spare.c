/* SPDX-License-Identifier: MIT */
#include "spare.h"

#include "src/base/atomic.h"
#include "src/base/sanitizer.h"
#include "src/stack/stack.h"
#include "src/stack/stack_trim.h"

#include <pthread.h>

_Atomic unsigned weft__spare_epoch;

/* A key whose value is the thread's record, once the thread keeps a spare. Its destructor frees the
 * spares. The key is made when the library is loaded, and never changes while spares can exist. */
static pthread_key_t at_end;
static bool at_end_works;

static void free_one(struct weft__thread *th)
{
	struct coro *co = th->spares;

	th->spares = co->next;
	weft__stack_free(&co->stack);
}

static void free_all(struct weft__thread *th)
{
	while (th->spares)
		free_one(th);
	th->spare_kind = 0; /* no kind: the next put begins anew */
	th->spare_room = 0;
}

/* Runs when the thread ends. The destructors of other keys may still use coroutines. This
 * destructor then runs again. */
static void thread_ends(void *record)
{
	struct weft__thread *th = record;

	th->spares_end = false;
	free_all(th);
}

__attribute__((constructor)) static void spares_begin(void)
{
	static struct stack_cache cache = {.empty = weft__spares_drop};

	weft__stack_cache_add(&cache);
	at_end_works = pthread_key_create(&at_end, thread_ends) == 0;
}

/* The library may be unloaded while threads live on. Their spares are lost then. */
__attribute__((destructor)) static void spares_end(void)
{
	if (at_end_works)
		pthread_key_delete(at_end);
	at_end_works = false;
}

/* Returns whether the end of the thread will free its spares. */
static bool will_end(struct weft__thread *th)
{
	if (!th->spares_end && at_end_works) {
		san_ignore_begin();
		th->spares_end = pthread_setspecific(at_end, th) == 0;
		san_ignore_end();
	}
	return th->spares_end;
}

void weft__spares_look(struct weft__thread *th)
{
	if (spares_are_current(th))
		return;
	free_all(th);
	th->spare_epoch = load_relaxed(&weft__spare_epoch);
}

bool weft__spare_put_slow(struct weft__thread *th, struct coro *co, uintptr_t kind)
{
	weft__spares_look(th);
	if (th->spare_kind != kind) {
		size_t most = SPARE_BYTES / (kind >> 1);

		if (th->spares)
			free_one(th);
		if (th->spares)
			return false;
		th->spare_kind = kind;
		th->spare_room = most < SPARE_MAX ? (unsigned)most : SPARE_MAX;
	}
	if (th->spare_room == 0 || !will_end(th))
		return false;
	th->spare_room--;
	co->next = th->spares;
	th->spares = co;
	return true;
}

void weft__spares_drop(void)
{
	struct weft__thread *th = weft__thread();

	free_all(th);
	th->spare_epoch = fetch_add_relaxed(&weft__spare_epoch, 1) + 1;
}
