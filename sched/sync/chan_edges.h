/* SPDX-License-Identifier: MIT */
/*
 * What ThreadSanitizer is told about channels in a user build. It is exactly what the interface
 * promises:
 *  - a send happens before the matching receive returns;
 *  - the n-th receive happens before the (n + capacity)-th send returns;
 *  - a close happens before a call that returns -EPIPE because of it.
 *
 * In other builds all of this is empty.
 *
 * Each slot of the buffer has two edges. `sent` leads from the call that filled the slot to the
 * call that empties it. `received` leads from the call that emptied it to the call that fills it
 * next. A caller that acts itself releases to the slot's own addresses.
 *
 * A caller that waits is served by its partner. The partner must not acquire the waiter's past on
 * the way, or it would be ordered after a stranger. So the waiter releases to a token of its own.
 * The partner puts that token into the slot, and the next caller at the slot acquires it. In the
 * other direction the partner releases to the waiter's node.
 *
 * Without a buffer the two callers meet. They exchange their pasts through the waiter's node.
 */
#ifndef WEFT_SYNC_CHAN_EDGES_H
#define WEFT_SYNC_CHAN_EDGES_H

#include "src/base/alloc.h"
#include "src/base/sanitizer.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef WEFT_TSAN_USER
#define SAN_EDGES 1
#else
#define SAN_EDGES 0
#endif

#if SAN_EDGES

/* One direction of a slot. It is exactly 8 bytes, since its address is released to and
 * forgotten. */
struct slot_edge {
	void *token; /* NULL: the edge's own address is used */
};

struct slot_edges {
	struct slot_edge sent, received;
};

struct chan_node_edges {
	void *token;     /* the waiter's past, if there is a buffer */
	uint64_t past;   /* the same without a buffer; only its address is used */
	uint64_t future; /* acquired by the woken waiter; only its address is used */
};

static inline struct slot_edges *slot_edges_new(size_t count)
{
	san_ignore_begin();
	struct slot_edges *edges = weft__calloc(count ? count : 1, sizeof *edges);
	san_ignore_end();
	return edges;
}

static inline void slot_edges_free(struct slot_edges *edges, size_t count)
{
	san_ignore_begin();
	for (size_t i = 0; i < count; i++) {
		free(edges[i].sent.token);
		free(edges[i].received.token);
	}
	free(edges);
	san_ignore_end();
}

static inline void edge_acquire(struct slot_edge *edge)
{
	if (edge->token) {
		san_acquire(edge->token);
		san_ignore_begin();
		free(edge->token);
		san_ignore_end();
		edge->token = NULL;
	} else {
		san_acquire(edge);
		san_forget(edge, sizeof *edge);
	}
}

/* The caller fills the slot (edges_send()) or empties it (edges_recv()). */
static inline void edges_send(struct slot_edges *edges, size_t slot)
{
	edge_acquire(&edges[slot].received);
	san_release(&edges[slot].sent);
}

static inline void edges_recv(struct slot_edges *edges, size_t slot)
{
	edge_acquire(&edges[slot].sent);
	san_release(&edges[slot].received);
}

/* The caller sends to a waiting receiver, as if through the slot. */
static inline void edges_send_to(struct slot_edges *edges, size_t slot,
				 struct chan_node_edges *peer)
{
	edge_acquire(&edges[slot].received);
	san_release(&peer->future);
	edges[slot].received.token = peer->token;
	peer->token = NULL;
}

/* The caller receives from the slot, and a waiting sender's element refills it. */
static inline void edges_recv_refill(struct slot_edges *edges, size_t slot,
				     struct chan_node_edges *peer)
{
	edge_acquire(&edges[slot].sent);
	san_release(&peer->future);
	edges[slot].sent.token = peer->token;
	peer->token = NULL;
}

/* The caller meets a waiter, without a buffer. */
static inline void edges_meet(struct chan_node_edges *peer)
{
	san_acquire(&peer->past);
	san_release(&peer->future);
}

/* The caller closes the channel in which the peer waits. */
static inline void edges_close(struct chan_node_edges *peer)
{
	san_release(&peer->future);
}

/* The caller is about to be enqueued. */
static inline void edges_wait(struct chan_node_edges *node, size_t capacity)
{
	node->token = NULL;
	san_forget(&node->past, 16);
	if (capacity == 0) {
		san_release(&node->past);
		return;
	}
	san_ignore_begin();
	node->token = weft__malloc(8);
	san_ignore_end();
	if (node->token)
		san_release(node->token);
}

/* The caller is in the queue no longer. taken: it was claimed there. */
static inline void edges_waited(struct chan_node_edges *node, bool taken)
{
	if (taken)
		san_acquire(&node->future);
	san_forget(&node->past, 16);
	san_ignore_begin();
	free(node->token);
	san_ignore_end();
}

#else

struct slot_edges;
struct chan_node_edges {
	char unused[0];
};

static inline struct slot_edges *slot_edges_new(size_t count)
{
	(void)count;
	return NULL;
}
static inline void slot_edges_free(struct slot_edges *edges, size_t count)
{
	(void)edges;
	(void)count;
}
static inline void edges_send(struct slot_edges *edges, size_t slot)
{
	(void)edges;
	(void)slot;
}
static inline void edges_recv(struct slot_edges *edges, size_t slot)
{
	(void)edges;
	(void)slot;
}
static inline void edges_send_to(struct slot_edges *edges, size_t slot,
				 struct chan_node_edges *peer)
{
	(void)edges;
	(void)slot;
	(void)peer;
}
static inline void edges_recv_refill(struct slot_edges *edges, size_t slot,
				     struct chan_node_edges *peer)
{
	(void)edges;
	(void)slot;
	(void)peer;
}
static inline void edges_meet(struct chan_node_edges *peer)
{
	(void)peer;
}
static inline void edges_close(struct chan_node_edges *peer)
{
	(void)peer;
}
static inline void edges_wait(struct chan_node_edges *node, size_t capacity)
{
	(void)node;
	(void)capacity;
}
static inline void edges_waited(struct chan_node_edges *node, bool taken)
{
	(void)node;
	(void)taken;
}

#endif

#endif
