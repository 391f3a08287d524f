/* SPDX-License-Identifier: MIT */
/*
 * The check of the order of locks (lockcheck.h, lock_ranks.h).
 *
 * The record of a thread has one entry for each rank, not one for each lock. A thread may hold any
 * number of locks of one rank: a select locks all its channels. The rules for several locks of one
 * rank need only their number and the one that was taken last.
 */
#include "lockcheck.h"

#include "compiler.h"
#include "fatal.h"

#include <stddef.h>

#define IN(rank)    (UINT32_C(1) << WEFT__RANK_##rank)
#define UNDER(rank) IN(rank)
#define NEVER       UINT32_C(0)
#define RISING      UINT32_C(1) /* bit 0 and bit 31 belong to no rank */
#define NESTS       (UINT32_C(1) << 31)
#define MAPS        1u
#define WAKES       2u

struct rule {
	const char *lock;
	uint32_t next;  /* the ranks of which a lock may be taken next */
	uint32_t again; /* RISING, NESTS, or one of these ranks must be held */
	unsigned may;
};

#define RANK(rank, name, next_, again_, may_, protects) \
	[WEFT__RANK_##rank] = {.lock = (name), .next = (next_), .again = (again_), .may = (may_)},
static const struct rule rules[WEFT__RANKS] = {WEFT__LOCK_RANKS(RANK)};
#undef RANK

_Static_assert(WEFT__RANKS <= 31, "a word has a bit for each rank");

/* Each rank comes before those that may be taken next. So the list is an order. */
#define RANK(rank, name, next, again, may, protects)                        \
	_Static_assert(((next) & ((IN(rank) << 1) - 1)) == 0 && (may) <= 3, \
		       "what may be taken inside comes later");
WEFT__LOCK_RANKS(RANK)
#undef RANK

/* Constant once the library is loaded. NULL before, and in a program that was linked with so little
 * of the static library that it has no coroutines: nothing is checked then. */
static struct weft__locks_held *(*ask)(void);

void weft__lockcheck_begin(struct weft__locks_held *(*thread_locks)(void))
{
	ask = thread_locks;
}

/* Stays: the pointer is to thread_locks() of src/tls.c. */
static WEFT__STAYS struct weft__locks_held *held_locks(void)
{
	return ask ? ask() : NULL;
}

/* The highest rank in a set that is not empty. */
static unsigned highest(uint32_t ranks)
{
	return 31 - (unsigned)__builtin_clz(ranks);
}

static _Noreturn void refuse(const struct weft__held *held, const struct rule *rule,
			     const char *what, const char *file, int line)
{
	weft__fatal("lock order: %s at %s:%d, while the thread holds %s (%p), taken at %s:%d", what,
		    file, line, rule->lock, held->lock, held->file, held->line);
}

static _Noreturn void refuse_lock(const struct weft__locks_held *h, unsigned held, const void *lock,
				  unsigned rank, const char *file, int line)
{
	weft__fatal("lock order: %s (%p) is taken at %s:%d, while the thread holds %s (%p), taken "
		    "at %s:%d%s",
		    rules[rank].lock, lock, file, line, rules[held].lock, h->of[held].lock,
		    h->of[held].file, h->of[held].line,
		    h->of[held].lock == lock
			    ? ": perhaps a signal handler calls Weft, and the interrupted code "
			      "holds the lock"
			    : "");
}

/* Returns whether another lock of a rank may be taken. */
static bool may_take_again(const struct weft__locks_held *h, unsigned rank, const void *lock)
{
	uint32_t again = rules[rank].again;

	if (again == RISING)
		return (uintptr_t)lock > (uintptr_t)h->of[rank].lock;
	return again == NESTS || (h->ranks & again && lock != h->of[rank].lock);
}

static void check(const struct weft__locks_held *h, const void *lock, unsigned rank,
		  const char *file, int line)
{
	uint32_t others = h->ranks & ~(UINT32_C(1) << rank);

	if (h->ranks != others && !may_take_again(h, rank, lock))
		refuse_lock(h, rank, lock, rank, file, line);
	if (!others)
		return;
	/* The others are in order, or they were taken by an attempt that did not wait. */
	unsigned outer = highest(others);
	if (outer > rank || (!h->forks && !(rules[outer].next & UINT32_C(1) << rank)))
		refuse_lock(h, outer, lock, rank, file, line);
}

static void note(struct weft__locks_held *h, const void *lock, unsigned rank, const char *file,
		 int line)
{
	h->ranks |= UINT32_C(1) << rank;
	h->of[rank].count++;
	h->of[rank].lock = lock;
	h->of[rank].file = file;
	h->of[rank].line = line;
}

static void check_rank(const void *lock, unsigned rank, const char *file, int line)
{
	if (rank == WEFT__RANK_NONE || rank >= WEFT__RANKS)
		weft__fatal("lock order: %s:%d takes a lock (%p) that has no rank", file, line,
			    lock);
}

void weft__lockcheck_takes(const void *lock, unsigned rank, const char *file, int line)
{
	struct weft__locks_held *h = held_locks();

	check_rank(lock, rank, file, line);
	if (!h)
		return;
	if (h->ranks)
		check(h, lock, rank, file, line);
	note(h, lock, rank, file, line);
}

void weft__lockcheck_tried(const void *lock, unsigned rank, const char *file, int line)
{
	struct weft__locks_held *h = held_locks();

	check_rank(lock, rank, file, line);
	if (h)
		note(h, lock, rank, file, line);
}

void weft__lockcheck_gives(const void *lock, unsigned rank, const char *file, int line)
{
	struct weft__locks_held *h = held_locks();

	check_rank(lock, rank, file, line);
	if (!h)
		return;
	if (h->of[rank].count == 0)
		weft__fatal("lock order: %s:%d gives back %s (%p), which the thread does not hold",
			    file, line, rules[rank].lock, lock);
	if (--h->of[rank].count == 0)
		h->ranks &= ~(UINT32_C(1) << rank);
}

/* may: the bit that allows it in a rule; 0: nothing does. */
static void check_act(unsigned may, const char *what, const char *file, int line)
{
	const struct weft__locks_held *h = held_locks();

	for (uint32_t left = h ? h->ranks : 0; left; left &= left - 1) {
		unsigned rank = (unsigned)__builtin_ctz(left);

		if (!(rules[rank].may & may))
			refuse(&h->of[rank], &rules[rank], what, file, line);
	}
}

void weft__lockcheck_maps(const char *file, int line)
{
	check_act(MAPS, "memory is allocated, mapped or given back", file, line);
}

void weft__lockcheck_wakes(const char *file, int line)
{
	check_act(WAKES, "a thread is woken", file, line);
}

void weft__lockcheck_sleeps(const char *file, int line)
{
	check_act(0, "the thread goes to sleep", file, line);
}

void weft__lockcheck_switches(const char *file, int line)
{
	check_act(0, "a coroutine is switched", file, line);
}

void weft__lockcheck_forks(bool forks)
{
	struct weft__locks_held *h = held_locks();

	if (h)
		h->forks = forks;
}
