/* SPDX-License-Identifier: MIT */
/* The table of descriptors, their directions and their end. descriptor.h has the protocol. */
#include "descriptor.h"

#include "src/base/alloc.h"
#include "src/base/pause.h"
#include "src/base/process_locks.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* The table has two levels, so that a descriptor does not move, and small numbers cost little. */
#define CHUNK_BITS 9
#define CHUNK      (1 << CHUNK_BITS)
#define CHUNKS     (1 << 15) /* 16 million descriptors; the system's usual limit is a million */

static _Atomic(struct descriptor *) chunks[CHUNKS];

/* No chunk above is made so far. Raised by add_chunk(). */
static _Atomic int chunks_end;

static struct descriptor *chunk_of(int fd)
{
	/* acquire: the chunk, released by add_chunk(). */
	return load_acquire(&chunks[fd >> CHUNK_BITS]);
}

static void init_chunk(struct descriptor *chunk)
{
	for (int i = 0; i < CHUNK; i++) {
		chunk[i] = (struct descriptor){0};
		for (unsigned way = 0; way < IO_WAYS; way++) {
			weft__list_init(&chunk[i].way[way].waiters);
			weft__list_init(&chunk[i].way[way].watchers);
			weft__list_init(&chunk[i].way[way].threads);
		}
	}
}

/* In the child of a fork, which has one thread: the pollers, the calls and the waiters are its
 * parent's. */
static void forget_all(void)
{
	for (int i = 0; i < load_relaxed(&chunks_end); i++) {
		struct descriptor *chunk = load_relaxed(&chunks[i]);

		if (chunk)
			init_chunk(chunk);
	}
}

static void forget_in_child(bool in_child)
{
	if (in_child)
		forget_all();
}

static struct descriptor *add_chunk(int fd)
{
	weft__lock_process(WEFT__LOCK_POLLERS);
	weft__process_lock_covers(WEFT__LOCK_POLLERS, NULL, forget_in_child);
	weft__unlock_process(WEFT__LOCK_POLLERS);

	struct descriptor *chunk =
		weft__aligned_alloc(alignof(struct descriptor), CHUNK * sizeof *chunk);
	struct descriptor *there = NULL;

	if (!chunk)
		return NULL;
	init_chunk(chunk);
	int end = load_relaxed(&chunks_end);

	/* relaxed: only a fork reads it, whose child sees what the forking thread saw. */
	while (end <= fd >> CHUNK_BITS &&
	       !cas_weak_relaxed(&chunks_end, &end, (fd >> CHUNK_BITS) + 1))
		;
	/* release: the chunk. acquire: another thread's. */
	if (cas_release_else_acquire(&chunks[fd >> CHUNK_BITS], &there, chunk))
		return chunk;
	free(chunk);
	return there;
}

struct descriptor *weft__descriptor(int fd, int *ret_rc)
{
	if (fd < 0 || fd >> CHUNK_BITS >= CHUNKS) {
		*ret_rc = -EBADF;
		return NULL;
	}
	struct descriptor *chunk = chunk_of(fd);
	if (unlikely(!chunk)) {
		chunk = add_chunk(fd);
		if (!chunk) {
			*ret_rc = -ENOMEM;
			return NULL;
		}
	}
	return &chunk[fd & (CHUNK - 1)];
}

struct descriptor *weft__descriptor_if_known(int fd)
{
	struct descriptor *chunk = fd < 0 || fd >> CHUNK_BITS >= CHUNKS ? NULL : chunk_of(fd);

	return chunk ? &chunk[fd & (CHUNK - 1)] : NULL;
}

void weft__descriptor_enter_slow(struct descriptor *d)
{
	unsigned looks = 0;

	do {
		descriptor_leave(d);
		/* relaxed: the next attempt to enter acquires. */
		while (load_relaxed(&d->state) & IO_CLOSING)
			weft__pause(looks++);
		/* acquire: as in descriptor_enter(). */
	} while (fetch_add_acquire(&d->state, IO_CALL) & IO_CLOSING);
}

void weft__descriptor_alone_begin(struct descriptor *d)
{
	/* acquire: what the last one has found, released in weft__descriptor_alone_end(). */
	for (unsigned looks = 0; exchange_acquire(&d->alone, true); looks++)
		weft__pause(looks);
}

void weft__descriptor_alone_end(struct descriptor *d)
{
	/* release: pairs with weft__descriptor_alone_begin(). */
	store_release(&d->alone, false);
}

/* --- a direction ----------------------------------------------------------------------------- */

bool weft__direction_try(struct io_direction *way, bool clears, uint32_t *ret_edges)
{
	sync_lock(&way->lock);
	bool ready = way->ready;
	if (clears)
		way->ready = false;
	*ret_edges = way->edges;
	sync_unlock(&way->lock);
	return ready;
}

bool weft__direction_join(struct io_direction *way, struct io_node *node)
{
	sync_lock(&way->lock);
	bool joins = !way->ready;
	if (joins)
		weft__list_push_last(&way->waiters, &node->link);
	sync_unlock(&way->lock);
	return joins;
}

bool weft__direction_watch(struct io_direction *way, struct io_node *node, uint32_t edges)
{
	sync_lock(&way->lock);
	bool joins = way->edges == edges;
	if (joins)
		weft__list_push_last(&way->watchers, &node->link);
	sync_unlock(&way->lock);
	return joins;
}

void weft__direction_list(struct io_direction *way, struct io_node *node)
{
	sync_lock(&way->lock);
	weft__list_push_last(&way->threads, &node->link);
	sync_unlock(&way->lock);
}

void weft__direction_quit(struct io_direction *way, struct io_node *node)
{
	sync_lock(&way->lock);
	if (weft__link_is_in_list(&node->link))
		weft__list_remove(&node->link);
	sync_unlock(&way->lock);
}

/* Takes out and claims up to `most` nodes that have not given up. They are linked by .next, and
 * are the caller's until it has woken them. Returns where the list ends. */
static struct io_node **take_locked(struct weft__list *list, unsigned most, int status,
				    struct io_node **end)
{
	struct weft__link *link;

	while (most > 0 && (link = weft__list_first(list))) {
		struct io_node *node = container_of(link, struct io_node, link);

		weft__list_remove(link);
		/* If the claim fails, a deadline, a canceller or another descriptor was first. */
		if (!weft__wait_take(node->waiter))
			continue;
		node->status = status;
		*end = node;
		end = &node->next;
		most--;
	}
	*end = NULL;
	return end;
}

static void wake_all(struct io_node *list)
{
	while (list) {
		struct io_node *next = list->next; /* read before the node's frame may end */
		weft__wait_wake(weft__wakeup_of(list->waiter));
		list = next;
	}
}

void weft__direction_edge(struct descriptor *d, enum io_way which, uint32_t generation,
			  bool hung_up)
{
	struct io_direction *way = &d->way[which];
	struct io_node *claimed = NULL, **end;

	sync_lock(&way->lock);
	/* relaxed: a closer adds 1 before it takes this lock to forget everything. */
	if (load_relaxed(&d->generation) == generation) {
		way->ready = true;
		way->edges++;
		way->hung_up |= hung_up;
		end = take_locked(&way->waiters, 1, 0, &claimed);
		take_locked(&way->watchers, UINT_MAX, 0, end);
	}
	sync_unlock(&way->lock);
	wake_all(claimed);
}

void weft__direction_pass_on(struct io_direction *way, bool was_short)
{
	struct io_node *claimed = NULL;

	sync_lock(&way->lock);
	if (!was_short || way->hung_up) {
		way->ready = true;
		take_locked(&way->waiters, 1, 0, &claimed);
	}
	sync_unlock(&way->lock);
	wake_all(claimed);
}

void weft__direction_hang_up(struct io_direction *way)
{
	sync_lock(&way->lock);
	way->hung_up = true;
	sync_unlock(&way->lock);
}

/* Wakes everybody with -EBADF. */
static void expel(struct io_direction *way)
{
	struct io_node *claimed, **end;

	sync_lock(&way->lock);
	end = take_locked(&way->waiters, UINT_MAX, -EBADF, &claimed);
	end = take_locked(&way->watchers, UINT_MAX, -EBADF, end);
	take_locked(&way->threads, UINT_MAX, -EBADF, end);
	sync_unlock(&way->lock);
	wake_all(claimed);
}

void weft__descriptor_begin_close(struct descriptor *d)
{
	unsigned looks = 0;

	/* Another closer may have closed the number, which is another file's by now, and not be done
	 * here. acquire: its changes. */
	while (fetch_or_acquire(&d->state, IO_CLOSING) & IO_CLOSING)
		weft__pause(looks++);
	looks = 0;
	for (;;) {
		/* Calls that are inside may join a queue before they leave. */
		expel(&d->way[IO_IN]);
		expel(&d->way[IO_OUT]);
		/* acquire: the ends of the system calls, released in descriptor_leave(). */
		if (IO_CALLS(load_acquire(&d->state)) == 0)
			break;
		weft__pause(looks++);
	}
	expel(&d->way[IO_IN]);
	expel(&d->way[IO_OUT]);
	san_acquire(d);
}

void weft__descriptor_end_close(struct descriptor *d)
{
	for (unsigned i = 0; i < IO_POLLERS; i++)
		store_relaxed(&d->pollers[i], 0);
	store_relaxed(&d->kind, IO_KIND_UNKNOWN);
	fetch_add_relaxed(&d->generation, 1);
	for (unsigned i = 0; i < IO_WAYS; i++) {
		sync_lock(&d->way[i].lock);
		d->way[i].ready = d->way[i].hung_up = false;
		sync_unlock(&d->way[i].lock);
	}
	/* release: all of this, for the next caller that enters. */
	fetch_and_release(&d->state, ~IO_CLOSING);
}

void weft__descriptor_is_new(int fd)
{
	struct descriptor *d = weft__descriptor_if_known(fd);

	/* relaxed: nobody else can use the number yet, unless the program has closed it by close(),
	 * which made no change here. */
	if (!d || (load_relaxed(&d->kind) == IO_KIND_UNKNOWN && !load_relaxed(&d->pollers[0])))
		return;
	weft__descriptor_begin_close(d);
	weft__descriptor_end_close(d);
}
