/* SPDX-License-Identifier: MIT */
/*
 * Channels: queues of elements of one size, copied in and out, between any number of senders and
 * receivers. With capacity 0 a send and a receive meet (rendezvous): neither returns before the
 * other has come. With a capacity a send waits only while so many elements are in the channel.
 * weft_select() waits for the first of several sends and receives that can go on.
 *
 * What one sender sends arrives in that order; those who wait are served in the order in which they
 * came. An element of more than 4096 bytes counts as sent when it has been copied, so that others,
 * which are sent meanwhile, do not wait for it; while it is copied in or out, neither can it be
 * received nor can another one have its place.
 *
 * All calls are made from tasks (which may suspend and hop) and from plain threads (which block),
 * with or without a runtime. Memory order: a send happens before the matching receive returns; with
 * capacity k the n-th receive happens before the (n + k)-th send returns, so that with capacity 0
 * each of the two happens before the other returns; the close happens before each call that returns
 * -EPIPE.
 *
 * Cancellation points: every call that would wait. One that is cancelled has sent or taken nothing.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

/*
 * Creates a channel.
 *
 * @elem_size  bytes of an element; 0: elements are mere signals.
 * @capacity   how many elements it holds before a send waits; 0: rendezvous. The memory is
 *             allocated at once.
 * @ret_chan   the channel, owned by the caller until weft_chan_destroy(). Must not be NULL.
 *
 * From any thread or task. Does not suspend.
 *
 * 0; -EINVAL: ret_chan is NULL; -ENOMEM: no memory, or elem_size times capacity is more than there
 * can be.
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_create(size_t elem_size, size_t capacity,
					      weft_chan **ret_chan);

/*
 * Frees the channel, closed or not, with the elements in it. NULL is ignored. Nobody may wait in it
 * (that aborts) or call anything on it any more. A weft_select() uses all its channels until it
 * returns; a plain send counts as over as soon as its element has been received, so the receiver of
 * the last one may destroy the channel, and with capacity 0 a plain receive counts as over as soon
 * as its send has returned.
 *
 * From any thread or task. Does not suspend.
 */
WEFT_API void weft_chan_destroy(weft_chan *ch);

/*
 * References, for a channel whose last user is not known beforehand. weft_chan_create() makes the
 * first one. Each user that may outlive the others has one: somebody who has one takes another for
 * it. The last weft_chan_unref() destroys the channel, in place of weft_chan_destroy(), which is
 * misuse while there is more than one. A reference does not close the channel. NULL is ignored.
 *
 * Do not suspend. Everything before an unref happens before the channel is freed.
 */
WEFT_API void weft_chan_ref(weft_chan *ch);
WEFT_API void weft_chan_unref(weft_chan *ch);

/*
 * Closes the channel: no more sends. Those who wait in it are woken with -EPIPE; what is in it can
 * still be received. Either side may close, also both: closing a closed channel does nothing.
 *
 * From any thread or task. Does not suspend.
 */
WEFT_API void weft_chan_close(weft_chan *ch);

/*
 * Sends one element, waiting while the channel is full (capacity 0: until a receiver is there).
 *
 * @elem  elem_size bytes, copied before return; borrowed for the call. NULL only with elem_size 0.
 *
 * 0; -EINVAL: ch or elem is NULL; -EPIPE: the channel is or becomes closed, nothing was sent;
 * -ECANCELED: the task was cancelled while it waited, nothing was sent.
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_send(weft_chan *ch, const void *elem);

/* As weft_chan_send(), but gives up at the deadline. -ETIMEDOUT: nothing was sent. */
WEFT_API WEFT_MUST_CHECK int weft_chan_send_until(weft_chan *ch, const void *elem,
						  int64_t deadline);

/* As weft_chan_send(), but does not wait or suspend. -EAGAIN: it would have to wait, nothing was
 * sent. */
WEFT_API WEFT_MUST_CHECK int weft_chan_try_send(weft_chan *ch, const void *elem);

/*
 * Receives one element, waiting until there is one.
 *
 * @ret_elem  receives elem_size bytes; NULL: the element is dropped.
 *
 * 0; -EINVAL: ch is NULL; -EPIPE: the channel is closed and empty; -ECANCELED: the task was
 * cancelled while it waited, nothing was taken.
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_recv(weft_chan *ch, void *ret_elem);

/* As weft_chan_recv(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. */
WEFT_API WEFT_MUST_CHECK int weft_chan_recv_until(weft_chan *ch, void *ret_elem, int64_t deadline);

/* As weft_chan_recv(), but does not wait or suspend. -EAGAIN: it would have to wait, nothing was
 * taken. There was a moment during the call at which nothing could be received. */
WEFT_API WEFT_MUST_CHECK int weft_chan_try_recv(weft_chan *ch, void *ret_elem);

/*
 * How many elements are in the channel just now; how many it can hold; whether it is closed. What
 * they say may no longer be so at the return, except that a channel stays closed. NULL: 0 and
 * false.
 *
 * Any context. Do not suspend.
 */
WEFT_API size_t weft_chan_len(const weft_chan *ch);
WEFT_API size_t weft_chan_cap(const weft_chan *ch);
WEFT_API bool weft_chan_closed(const weft_chan *ch);

/* What a case does. Later versions may add others. */
enum weft_op { WEFT_SEND, WEFT_RECV };

/* One of the operations that weft_select() chooses from. Members that are not given are 0: later
 * versions may add some. */
struct weft_case {
	enum weft_op op;
	weft_chan *chan; /* NULL: never ready */
	void *elem;      /* as for weft_chan_send() (not written through) or weft_chan_recv() */
	int ret_status;  /* of the case taken: 0, or -EPIPE: closed. Else as it was */
};

/* The calls behind weft_select() and weft_select_ordered(). A case has case_size bytes. */
WEFT_API WEFT_MUST_CHECK int weft_select_sized(struct weft_case *cases, size_t case_size, size_t n,
					       int64_t deadline);
WEFT_API WEFT_MUST_CHECK int weft_select_ordered_sized(struct weft_case *cases, size_t case_size,
						       size_t n, int64_t deadline);

/*
 * Carries out exactly one of the cases: the first that can go on without waiting, or one of those
 * that can, chosen at random and each as likely. A closed channel is ready: a send on it, and a
 * receive once it is empty, with ret_status -EPIPE. A program that wants to wait for the others
 * only sets that case's chan to NULL.
 * Where several cases wait on one channel for the same operation, each is as likely to be taken.
 *
 * @cases     n of them, borrowed for the call. The same channel may stand in several, for both
 *            operations: they never meet each other. n may be 0.
 * @deadline  0: does not wait or suspend. -ETIMEDOUT then means that there was a moment during the
 *            call at which none of the cases could go on.
 *
 * The index of the case taken; -ETIMEDOUT: no case could go on before the deadline; -ECANCELED: the
 * task was cancelled while it waited; in both nothing was sent or taken; -EINVAL: an op is none, a
 * send's elem is NULL (and elem_size is not 0), cases is NULL (and n is not 0), or n is more than
 * INT_MAX; -ENOMEM: no memory to wait for more than 16 cases.
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_select(struct weft_case *cases, size_t n, int64_t deadline)
{
	return weft_select_sized(cases, sizeof(struct weft_case), n, deadline);
}

/*
 * As weft_select(), but of the cases that can go on it carries out the first in the array: earlier
 * cases have priority. A case that can always go on keeps later ones from ever being taken.
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_select_ordered(struct weft_case *cases, size_t n,
						    int64_t deadline)
{
	return weft_select_ordered_sized(cases, sizeof(struct weft_case), n, deadline);
}

WEFT_END_DECLS

#endif
