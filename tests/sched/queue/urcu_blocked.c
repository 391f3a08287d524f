/* SPDX-License-Identifier: MIT */
/*
 * A consumer that is blocked by a producer between its two steps, while another consumer is turned
 * away. The interleaving, found by tests/models/inject.pml, is made in one thread, by a hook in
 * urcu.c's call of the library:
 *
 * 	producer                 holder of the trylock       a worker going to sleep
 * 	exchanges the tail
 * 	                         dequeue: would block
 * 	links; sees no sleeper
 * 	                                                     announces its sleep; take: turned away
 * 	                         finds the mark: must look again, or nobody takes the node
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <urcu/wfcqueue.h>

static struct cds_wfcq_node *hooked_dequeue(struct __cds_wfcq_head *head,
					    struct cds_wfcq_tail *tail);
#define __cds_wfcq_dequeue_nonblocking(head, tail) hooked_dequeue(head, tail)
#include "../../../sched/queue/urcu.c" /* not the test of that name */
#undef __cds_wfcq_dequeue_nonblocking

static struct weft__wfcq queue;
static struct weft__wfcq_node node;
static struct weft__wfcq_node *unlinked; /* the predecessor, which the producer has yet to link */
static unsigned sleeper_got;

static struct cds_wfcq_node *hooked_dequeue(struct __cds_wfcq_head *head,
					    struct cds_wfcq_tail *tail)
{
	struct cds_wfcq_node *got = (__cds_wfcq_dequeue_nonblocking)(head, tail);

	if (got == CDS_WFCQ_WOULDBLOCK && unlinked) {
		struct weft__wfcq_node *out;

		unlinked->opaque = &node;
		unlinked = NULL;
		sleeper_got = weft__wfcq_take(&queue, &out, 1, NULL);
	}
	return got;
}

static void test_blocked_consumer_looks_again_for_who_was_turned_away(void **state)
{
	struct weft__wfcq_node *out[4];

	(void)state;
	weft__wfcq_init(&queue);
	node.opaque = NULL;
	unlinked = queue.tail;
	queue.tail = &node;
	assert_int_equal(weft__wfcq_take(&queue, out, 4, NULL), 1);
	assert_ptr_equal(out[0], &node);
	assert_int_equal(sleeper_got, 0);
	assert_true(weft__wfcq_empty(&queue));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blocked_consumer_looks_again_for_who_was_turned_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
