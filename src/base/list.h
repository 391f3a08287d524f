/* SPDX-License-Identifier: MIT */
/*
 * A doubly linked list of objects that embed their links.
 *
 * The links form a ring through the list's own link. So adding and removing need no case for the
 * ends, and a link is removed without knowing its list. The list is two pointers, and so is a link.
 * container_of() leads from a link to its object. A list must not be moved in memory. The user of a
 * list excludes other threads.
 *
 * Some lists of this project are of another kind, and stay by hand:
 *
 *  - The queues of waits, of channels and of families have a head of one pointer, which threads
 *    read as a hint without the lock. Some lie in public objects that may not grow.
 *  - Stacks and queues with a single link suffice where nothing is removed from the middle: spares,
 *    chains, slabs, idle threads, tables, results, and whatever is collected to be woken or freed
 *    after an unlock.
 *  - A worker that is taken off the list of sleepers was found by walking that list.
 *  - Lists that are read without a lock only grow: pools in a bucket.
 */
#ifndef WEFT_SRC_BASE_LIST_H
#define WEFT_SRC_BASE_LIST_H

#include "compiler.h"

#include <stdbool.h>
#include <stddef.h>

/* A link of an object that is in no list is all 0. */
struct weft__link {
	struct weft__link *next, *prev;
};

struct weft__list {
	struct weft__link ends; /* .next is the first link, .prev the last one */
};

/* An empty list with static storage. */
#define WEFT__LIST_INIT(list)                          \
	{                                              \
		.ends = { &(list).ends, &(list).ends } \
	}

static inline void weft__list_init(struct weft__list *list)
{
	list->ends.next = list->ends.prev = &list->ends;
}

static inline bool weft__list_is_empty(const struct weft__list *list)
{
	return list->ends.next == &list->ends;
}

static inline bool weft__link_is_in_list(const struct weft__link *link)
{
	return link->next != NULL;
}

/* The link after `link`, or NULL. */
static inline struct weft__link *weft__list_next(const struct weft__list *list,
						 const struct weft__link *link)
{
	return link->next != &list->ends ? link->next : NULL;
}

/* The first link, or NULL. */
static inline struct weft__link *weft__list_first(const struct weft__list *list)
{
	return weft__list_next(list, &list->ends);
}

/* The last link, or NULL. */
static inline struct weft__link *weft__list_last(const struct weft__list *list)
{
	return list->ends.prev != &list->ends ? list->ends.prev : NULL;
}

static inline void weft__list_insert_after(struct weft__link *place, struct weft__link *link)
{
	link->prev = place;
	link->next = place->next;
	place->next->prev = link;
	place->next = link;
}

static inline void weft__list_push_first(struct weft__list *list, struct weft__link *link)
{
	weft__list_insert_after(&list->ends, link);
}

static inline void weft__list_push_last(struct weft__list *list, struct weft__link *link)
{
	weft__list_insert_after(list->ends.prev, link);
}

/* Takes the link out of the list that it is in. */
static inline void weft__list_remove(struct weft__link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = link->prev = NULL;
}

#endif
