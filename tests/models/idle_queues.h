/* SPDX-License-Identifier: MIT */
/*
 * What a worker of idle.pml takes from its own queues and from the injection queue, each in one
 * step. These are from_slot() of sched/core/pick.h, and weft__from_ring(), weft__from_inbox() and
 * weft__from_injection() of pick.c.
 */
/* Each sets t to what it took: 1 for an unpinned task, 2 for the pinned one. */
inline from_slot()
{
	atomic
	{
		DRAINED(me)->if ::cell[SLOT(me)]->cell[SLOT(me)] = 0;
		t = 1 ::else fi
	}
}

inline from_ring()
{
	atomic
	{
		DRAINED(me)->if ::head[me] != mytail->head[me]++;
		t = 1 ::else fi
	}
}

inline from_inbox()
{
#ifdef PINNED
	d_step
	{
		if
			::t == 0 && me == PIN &&cell[INBOX] &&!inbox_taken->inbox_taken = true;
		t = 2 ::else fi
	}
#else
	skip
#endif
}

inline from_injection(batch)
{
	if
		::t == 0 && inj_head != inj_tail->atomic
		{
			DRAINED(me)->if ::inj_head != inj_tail &&cell[LINK(inj_head)]->inj_head++;
			t = 1 ::else fi;
			if
				::batch &&t &&inj_head !=
					inj_tail &&cell[LINK(inj_head)]->inj_head++;
			mytail++;
			STORE(me, TAIL(me), mytail);
			i = 1 ::else fi
		}
	if
		::t && (i || inj_head != inj_tail)->i = 0;
	announce(me)::else fi ::else fi
}
