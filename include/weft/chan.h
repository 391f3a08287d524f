/* SPDX-License-Identifier: MIT */
/*
 * Channels: queues of elements of one size, copied in and out, between any number of senders and
 * receivers. With capacity 0 a send and a receive meet (rendezvous): neither returns before the
 * other has come. With a capacity a send waits only while the channel holds that many elements.
 * weft_select() waits for the first of several sends and receives that can go on.
 *
 * Order. The elements of one sender arrive in the order in which it sends them. Callers that wait
 * are served in the order in which they came. An element of more than 4096 bytes counts as sent
 * when it has been copied. So elements that others send meanwhile do not wait for it. While it is
 * copied, in or out, nobody can receive it, and its place stays taken.
 *
 * All calls are made from tasks (which may suspend and hop) and from plain threads (which block),
 * with or without a runtime.
 *
 * Memory order. A send happens before the matching receive returns. With capacity k the n-th
 * receive happens before the (n + k)-th send returns; so with capacity 0 each of the two happens
 * before the other returns. The close happens before each call that returns -EPIPE.
 *
 * Every call that would wait is a cancellation point. A call that is cancelled has sent or taken
 * nothing.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_chan weft_chan;

/*
 * Creates a channel.
 *
 * @elem_size  bytes of an element; 0: elements are signals without content.
 * @capacity   how many elements it holds before a send waits; 0: rendezvous. The memory is
 *             allocated at once.
 * @ret_chan   the channel, owned by the caller until weft_chan_destroy(). Must not be NULL.
 *
 * From any thread or task. Does not suspend.
 *
 * Returns 0, or:
 *   -EINVAL  ret_chan is NULL
 *   -ENOMEM  no memory, or elem_size times capacity is too large a number
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_create(size_t elem_size, size_t capacity,
					      weft_chan **ret_chan);

/* Returns how many bytes weft_chan_create_in() needs for such a channel; 0: too large a number. It
 * may differ from version to version. From any thread or task. Does not suspend. */
WEFT_API size_t weft_chan_memory_size(size_t elem_size, size_t capacity);

/*
 * As weft_chan_create(), but the channel lies in the caller's memory. Nothing is allocated.
 *
 * @memory  at least weft_chan_memory_size() bytes, aligned as malloc() does it. They are the
 *          channel's until it is destroyed, by weft_chan_destroy() or the last weft_chan_unref(),
 *          which do not free them. A call on the channel that is over no longer touches them.
 *
 * Returns 0, or:
 *   -EINVAL  memory or ret_chan is NULL, or memory is too small or not aligned
 *   -ENOMEM  under ThreadSanitizer only, which needs memory of its own
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_create_in(void *memory, size_t memory_size, size_t elem_size,
						 size_t capacity, weft_chan **ret_chan);

/*
 * Frees the channel, closed or not, with the elements in it. NULL is ignored. If somebody waits in
 * the channel the call aborts. No call on the channel may run any more:
 *
 *   (a) A plain send is over as soon as its element has been received. So the receiver of the last
 *       element may destroy the channel.
 *   (b) With capacity 0 a plain receive is over as soon as its send has returned.
 *   (c) A weft_select() uses all its channels until it returns.
 *
 * From any thread or task. Does not suspend.
 */
WEFT_API void weft_chan_destroy(weft_chan *ch);

/*
 * References, for a channel whose last user is not known beforehand. weft_chan_create() makes the
 * first one. Each user that may outlive the others has one; take it with weft_chan_ref() before you
 * hand the channel over. The last weft_chan_unref() destroys the channel, in place of
 * weft_chan_destroy(), which is misuse while there are more. An unref does not close the channel.
 * NULL is ignored.
 *
 * weft_chan_unref() returns whether it destroyed the channel. Then memory of the caller's, in which
 * the channel lay, is the caller's again.
 *
 * Do not suspend. Everything before an unref happens before the channel is freed.
 */
WEFT_API void weft_chan_ref(weft_chan *ch);
WEFT_API bool weft_chan_unref(weft_chan *ch);

/*
 * Closes the channel: later sends fail. The waits in it end with -EPIPE. Elements in it can still
 * be received. Either side may close it, or both: a second close does nothing.
 *
 * From any thread or task. Does not suspend.
 */
WEFT_API void weft_chan_close(weft_chan *ch);

/*
 * Sends one element, waiting while the channel is full (capacity 0: until a receiver is there).
 *
 * @elem  elem_size bytes, copied before return; borrowed for the call. NULL only with elem_size 0.
 *
 * Returns 0, or:
 *   -EINVAL     ch or elem is NULL
 *   -EPIPE      the channel is or becomes closed, nothing was sent
 *   -ECANCELED  the task was cancelled while it waited, nothing was sent
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
 * Returns 0, or:
 *   -EINVAL     ch is NULL
 *   -EPIPE      the channel is closed and empty
 *   -ECANCELED  the task was cancelled while it waited, nothing was taken
 */
WEFT_API WEFT_MUST_CHECK int weft_chan_recv(weft_chan *ch, void *ret_elem);

/* As weft_chan_recv(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. */
WEFT_API WEFT_MUST_CHECK int weft_chan_recv_until(weft_chan *ch, void *ret_elem, int64_t deadline);

/* As weft_chan_recv(), but does not wait or suspend. -EAGAIN: it would have to wait, nothing was
 * taken. There was a moment during the call at which nothing could be received. */
WEFT_API WEFT_MUST_CHECK int weft_chan_try_recv(weft_chan *ch, void *ret_elem);

/*
 * Return how many elements are in the channel at present, how many it can hold, and whether it is
 * closed. The answer may be out of date at the return, except that a channel stays closed. NULL: 0
 * and false.
 *
 * From any thread or task. Do not suspend.
 */
WEFT_API size_t weft_chan_len(const weft_chan *ch);
WEFT_API size_t weft_chan_cap(const weft_chan *ch);
WEFT_API bool weft_chan_closed(const weft_chan *ch);

/* What a case does; WEFT_TIMER: takes the expiry of a timer (timer.h). Later versions may add
 * others. */
enum weft_op { WEFT_SEND, WEFT_RECV, WEFT_TIMER };

/* One of the operations that weft_select() chooses from. Members that are not given are 0: later
 * versions may add some. */
struct weft_case {
	enum weft_op op;
	union {
		weft_chan *chan;   /* NULL: never ready */
		weft_timer *timer; /* of WEFT_TIMER; likewise */
	};
	void *elem;     /* what weft_chan_send() sends (not written through), or where
			 * weft_chan_recv() or weft_timer_wait() puts what they receive */
	int ret_status; /* of the case taken: 0, or -EPIPE: closed. Others keep theirs */
};

/* The calls behind weft_select() and weft_select_ordered(). A case has case_size bytes. */
WEFT_API WEFT_MUST_CHECK int weft_select_sized(struct weft_case *cases, size_t case_size, size_t n,
					       int64_t deadline);
WEFT_API WEFT_MUST_CHECK int weft_select_ordered_sized(struct weft_case *cases, size_t case_size,
						       size_t n, int64_t deadline);

/*
 * Carries out exactly one of the cases: the first that can go on. If several can, each of them is
 * as likely to be taken; so are several cases that wait on one channel for the same operation. On a
 * closed channel a send can go on, and so can a receive once the channel is empty; ret_status is
 * then -EPIPE. To drop such a case set its chan to NULL.
 *
 * @cases     n of them, borrowed for the call. The same channel may stand in several, for both
 *            operations: they never meet each other. n may be 0.
 * @deadline  0: does not wait or suspend. -ETIMEDOUT then means that there was a moment during the
 *            call at which none of the cases could go on.
 *
 * Returns the index of the case taken, or, if nothing was sent or taken:
 *   -ETIMEDOUT  no case could go on before the deadline
 *   -ECANCELED  the task was cancelled while it waited
 *   -EINVAL     an op is unknown, a send's elem is NULL (and elem_size is not 0), cases is NULL
 *               (and n is not 0), or n is more than INT_MAX
 *   -ENOMEM     no memory to wait for more than 16 cases
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_select(struct weft_case *cases, size_t n, int64_t deadline)
{
	return weft_select_sized(cases, WEFT_SIZE(weft_case), n, deadline);
}

/*
 * As weft_select(), but of the cases that can go on it carries out the first in the array: earlier
 * cases have priority. A case that can always go on keeps later ones from ever being taken.
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_select_ordered(struct weft_case *cases, size_t n,
						    int64_t deadline)
{
	return weft_select_ordered_sized(cases, WEFT_SIZE(weft_case), n, deadline);
}

WEFT_END_DECLS

#endif
