/* SPDX-License-Identifier: MIT */
/*
 * The injection queue: order, what take says while a producer or another consumer is at work, that
 * no wake-up is lost. RCU: nothing is freed under a reader.
 */
#include "sched/queue/urcu.h"

#include "crew.h"
#include "src/base/futex.h"
#include "tests/scale.h"

#include <dlfcn.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct element {
	struct weft__wfcq_node node;
	unsigned number;
	unsigned producer;
	struct item item;
};

static struct element *element_of(struct weft__wfcq_node *node)
{
	return (struct element *)((char *)node - offsetof(struct element, node));
}

/* --- alone
 * ---------------------------------------------------------------------------------------- */

static void test_wfcq_agrees_with_model(void **state)
{
	(void)state;
	unsigned steps = weft_test_scale(50000);
	struct element *elements = calloc(steps, sizeof(*elements));
	unsigned head = 0, tail = 0; /* the model: numbers [head, tail) */
	struct weft__random random;
	struct weft__wfcq q;

	assert_non_null(elements);
	weft__random_seed(&random, crew_seed(__func__));
	weft__wfcq_init(&q);
	for (unsigned i = 0; i < steps; i++) {
		if (weft__random_below(&random, 3)) {
			assert_int_equal(weft__wfcq_enqueue(&q, &elements[tail].node),
					 tail != head);
			tail++;
		} else {
			struct weft__wfcq_node *out[9];
			unsigned max = weft__random_below(&random, 9);
			bool blocked = true;
			unsigned n;

			out[max] = NULL;
			n = weft__wfcq_take(&q, out, max, max & 1 ? &blocked : NULL);
			assert_int_equal(n, tail - head < max ? tail - head : max);
			assert_int_equal(blocked, !(max & 1));
			for (unsigned k = 0; k < n; k++)
				assert_ptr_equal(out[k], &elements[head + k].node);
			assert_null(out[max]);
			head += n;
		}
		assert_int_equal(weft__wfcq_empty(&q), head == tail);
	}
	free(elements);
}

/* The first of a producer's two steps by hand; returns what the second one links. */
static struct weft__wfcq_node *half_enqueue(struct weft__wfcq *q, struct weft__wfcq_node *node)
{
	struct weft__wfcq_node *predecessor = q->tail;

	node->opaque = NULL;
	q->tail = node;
	return predecessor;
}

static void test_wfcq_preempted_producer_blocks_take(void **state)
{
	(void)state;
	struct weft__wfcq q;
	struct weft__wfcq_node a, b, c, *out[4];
	bool blocked = false;

	weft__wfcq_init(&q);

	/* The queue was empty. */
	struct weft__wfcq_node *predecessor = half_enqueue(&q, &a);

	assert_false(weft__wfcq_empty(&q));
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 0);
	assert_true(blocked);
	weft__wfcq_enqueue(&q, &b);
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 0);
	assert_true(blocked);
	predecessor->opaque = &a;

	/* In the middle: a is taken, b, its predecessor, is hidden with it. */
	predecessor = half_enqueue(&q, &c);
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 1);
	assert_true(blocked);
	assert_ptr_equal(out[0], &a);
	predecessor->opaque = &c;
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 2);
	assert_false(blocked);
	assert_ptr_equal(out[0], &b);
	assert_ptr_equal(out[1], &c);
	assert_true(weft__wfcq_empty(&q));
}

static void test_wfcq_second_consumer_is_turned_away_and_leaves_a_mark(void **state)
{
	(void)state;
	struct weft__wfcq q;
	struct weft__wfcq_node a, *out[4];
	bool blocked = false;

	weft__wfcq_init(&q);
	weft__wfcq_enqueue(&q, &a);
	atomic_store_explicit(&q.consumers, 1, memory_order_relaxed);
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 0);
	assert_true(blocked);
	assert_int_equal(atomic_load_explicit(&q.consumers, memory_order_relaxed), 2);
	atomic_store_explicit(&q.consumers, 0, memory_order_relaxed);
	assert_int_equal(weft__wfcq_take(&q, out, 4, &blocked), 1);
	assert_false(blocked);
	assert_int_equal(atomic_load_explicit(&q.consumers, memory_order_relaxed), 0);
}

/*
 * Takes the place of liburcu's function for the library that is linked into this test: calls it
 * and, when it finds the end of the queue, then calls at_the_end once. The consumer holds the
 * trylock at that moment.
 */
struct weft__wfcq_node *__cds_wfcq_dequeue_nonblocking(void *head, void *tail);

typedef struct weft__wfcq_node *dequeue_fn(void *head, void *tail);

static void (*at_the_end)(void);

struct weft__wfcq_node *__cds_wfcq_dequeue_nonblocking(void *head, void *tail)
{
	static _Atomic(void *) real; /* a function's address, as dlsym() has it */
	void *symbol = atomic_load_explicit(&real, memory_order_relaxed);
	dequeue_fn *dequeue;

	if (!symbol) {
		symbol = dlsym(RTLD_NEXT, "__cds_wfcq_dequeue_nonblocking");
		atomic_store_explicit(&real, symbol, memory_order_relaxed);
	}
	memcpy(&dequeue, &symbol, sizeof(dequeue));

	struct weft__wfcq_node *node = dequeue(head, tail);

	if (!node && at_the_end) {
		void (*call)(void) = at_the_end;

		at_the_end = NULL;
		call();
	}
	return node;
}

static struct late {
	struct weft__wfcq q;
	struct weft__wfcq_node a, b;
	unsigned taken;
	bool blocked;
} late;

static void enqueue_and_turn_one_away(void)
{
	struct weft__wfcq_node *out[4];

	weft__wfcq_enqueue(&late.q, &late.b);
	late.taken = weft__wfcq_take(&late.q, out, 4, &late.blocked);
}

/*
 *	A: take                 producer        B: take
 *	takes a, sees the end
 *	                        enqueues b
 *	                                        turned away, may sleep
 *	must look again
 */
static void test_wfcq_holder_looks_again_for_those_it_turned_away(void **state)
{
	(void)state;
	struct weft__wfcq_node *out[4];
	bool blocked = true;

	weft__wfcq_init(&late.q);
	weft__wfcq_enqueue(&late.q, &late.a);
	at_the_end = enqueue_and_turn_one_away;
	assert_int_equal(weft__wfcq_take(&late.q, out, 4, &blocked), 2);
	assert_null(at_the_end);
	assert_false(blocked);
	assert_int_equal(late.taken, 0);
	assert_true(late.blocked);
	assert_ptr_equal(out[0], &late.a);
	assert_ptr_equal(out[1], &late.b);
	assert_true(weft__wfcq_empty(&late.q));
}

/* --- producers and consumers
 * ---------------------------------------------------------------------- */

#define PRODUCERS 3
#define CONSUMERS 3
#define BATCH     4

struct traffic {
	struct weft__wfcq q;
	struct element *elements[PRODUCERS];
	unsigned count; /* of each producer */
	uint64_t seed;
	_Atomic unsigned taken;
	_Atomic unsigned wrong;
};

static void take_element(struct traffic *t, struct element *e, int64_t last[PRODUCERS])
{
	bool right = e->item.payload == ITEM_PAYLOAD(e->number) &&
		     (int64_t)e->number > last[e->producer];

	if (!right)
		atomic_fetch_add_explicit(&t->wrong, 1, memory_order_relaxed);
	last[e->producer] = e->number;
	atomic_fetch_add_explicit(&e->item.taken, 1, memory_order_relaxed);
}

static void produce(struct traffic *t, unsigned producer, unsigned i)
{
	struct element *e = &t->elements[producer][i];

	e->number = i;
	e->producer = producer;
	e->item.payload = ITEM_PAYLOAD(i);
	weft__wfcq_enqueue(&t->q, &e->node);
}

static void busy_traffic(unsigned id, void *ctx)
{
	struct traffic *t = ctx;
	int64_t last[PRODUCERS] = {-1, -1, -1};
	struct weft__random random;

	if (id < PRODUCERS) {
		for (unsigned i = 0; i < t->count; i++)
			produce(t, id, i);
		return;
	}

	weft__random_seed(&random, t->seed + id);
	/* relaxed: only says when to stop. */
	while (atomic_load_explicit(&t->taken, memory_order_relaxed) < PRODUCERS * t->count) {
		struct weft__wfcq_node *out[BATCH];
		unsigned n =
			weft__wfcq_take(&t->q, out, 1 + weft__random_below(&random, BATCH), NULL);

		for (unsigned k = 0; k < n; k++)
			take_element(t, element_of(out[k]), last);
		atomic_fetch_add_explicit(&t->taken, n, memory_order_relaxed);
		if (!n)
			sched_yield();
	}
}

static void traffic_init(struct traffic *t, unsigned count)
{
	*t = (struct traffic){.count = count};
	weft__wfcq_init(&t->q);
	for (unsigned p = 0; p < PRODUCERS; p++) {
		t->elements[p] = calloc(count, sizeof(struct element));
		if (!t->elements[p])
			exit(99);
	}
}

static unsigned traffic_check(struct traffic *t)
{
	unsigned wrong = atomic_load_explicit(&t->wrong, memory_order_relaxed);

	for (unsigned p = 0; p < PRODUCERS; p++) {
		for (unsigned i = 0; i < t->count; i++)
			wrong += atomic_load_explicit(&t->elements[p][i].item.taken,
						      memory_order_relaxed) != 1;
		free(t->elements[p]);
	}
	return wrong;
}

static void test_wfcq_elements_are_taken_once_and_in_order(void **state)
{
	(void)state;
	struct traffic t;

	traffic_init(&t, weft_test_scale(300000));
	t.seed = crew_seed(__func__);
	crew_run(PRODUCERS + CONSUMERS, busy_traffic, &t);
	assert_int_equal(traffic_check(&t), 0);
	assert_true(weft__wfcq_empty(&t.q));
}

/*
 * Consumers that sleep by the rules of urcu.h. Now and then one that has taken something stays busy
 * until all that was there has been taken by the others, as a worker that runs a long task does:
 *
 *	A                     producer                   B
 *	take: sees the end
 *	                      enqueues x
 *	                      sees no sleeper
 *	                                                 announces its sleep
 *	                                                 take: turned away by A, sleeps
 *	unlocks; must look again, or x waits for the end of A's long task, which here is for ever
 */
struct sleepy {
	struct traffic t;
	_Atomic uint32_t asleep; /* announced */
	_Atomic uint32_t word;   /* what they sleep on: changes with each wake */
	_Atomic uint32_t enqueued;
	_Atomic bool busy; /* a consumer is at its long task */
	_Atomic bool lost;
};

static void wake_one(struct sleepy *s)
{
	/* seq_cst in this test where the scheduler may do with less; the pair that is tested are
	 * the fences. */
	if (atomic_load_explicit(&s->asleep, memory_order_relaxed) == 0)
		return;
	atomic_fetch_add_explicit(&s->word, 1, memory_order_seq_cst);
	weft__futex_wake(&s->word, 1);
}

static bool all_taken(struct sleepy *s)
{
	return atomic_load_explicit(&s->t.taken, memory_order_acquire) == PRODUCERS * s->t.count;
}

/* Waits until what has been enqueued by now is taken. Gives up, and says so, after a time that no
 * machine needs. */
static void long_task(struct sleepy *s)
{
	uint32_t goal = atomic_load_explicit(&s->enqueued, memory_order_acquire);
	int64_t deadline = weft__clock_now() + INT64_C(60000000000);

	while (atomic_load_explicit(&s->t.taken, memory_order_acquire) < goal) {
		if (weft__clock_now() > deadline) {
			atomic_store_explicit(&s->lost, true, memory_order_relaxed);
			return;
		}
		sched_yield();
	}
}

static void consume(struct sleepy *s, struct weft__wfcq_node **out, unsigned n,
		    int64_t last[PRODUCERS])
{
	bool idle = false;

	for (unsigned k = 0; k < n; k++)
		take_element(&s->t, element_of(out[k]), last);

	if (n == BATCH) {
		/* There may be more. */
		weft__fence_light();
		if (!weft__wfcq_empty(&s->t.q))
			wake_one(s);
	}
	/* One at a time may be busy, so that somebody is left for the rest. */
	if (atomic_compare_exchange_strong_explicit(&s->busy, &idle, true, memory_order_acq_rel,
						    memory_order_relaxed)) {
		atomic_fetch_add_explicit(&s->t.taken, n, memory_order_acq_rel);
		long_task(s);
		atomic_store_explicit(&s->busy, false, memory_order_release);
	} else {
		atomic_fetch_add_explicit(&s->t.taken, n, memory_order_acq_rel);
	}
}

static void sleepy_traffic(unsigned id, void *ctx)
{
	struct sleepy *s = ctx;
	int64_t last[PRODUCERS] = {-1, -1, -1};
	struct weft__wfcq_node *out[BATCH];
	unsigned n;

	if (id < PRODUCERS) {
		for (unsigned i = 0; i < s->t.count; i++) {
			produce(&s->t, id, i);
			weft__fence_light();
			wake_one(s);
			atomic_fetch_add_explicit(&s->enqueued, 1, memory_order_release);
			if (i % 8 == 0)
				sched_yield();
		}
		return;
	}

	while (!all_taken(s) && !atomic_load_explicit(&s->lost, memory_order_relaxed)) {
		n = weft__wfcq_take(&s->t.q, out, BATCH, NULL);
		if (n) {
			consume(s, out, n, last);
			continue;
		}

		uint32_t word = atomic_load_explicit(&s->word, memory_order_seq_cst);

		atomic_fetch_add_explicit(&s->asleep, 1, memory_order_seq_cst);
		weft__fence_heavy();
		n = weft__wfcq_take(&s->t.q, out, BATCH, NULL);
		/* The end is announced by a wake of all. */
		if (!n && !all_taken(s))
			weft__futex_wait(&s->word, word, weft__clock_now() + INT64_C(90000000000));
		atomic_fetch_sub_explicit(&s->asleep, 1, memory_order_seq_cst);
		if (n)
			consume(s, out, n, last);
	}
	atomic_fetch_add_explicit(&s->word, 1, memory_order_seq_cst);
	weft__futex_wake(&s->word, CREW_MAX);
}

static void check_sleepy(int mode)
{
	struct sleepy s = {0};

	if (!crew_force_fences(mode))
		skip();
	traffic_init(&s.t, weft_test_scale(100000));
	crew_run(PRODUCERS + CONSUMERS, sleepy_traffic, &s);
	assert_false(atomic_load_explicit(&s.lost, memory_order_relaxed));
	assert_int_equal(traffic_check(&s.t), 0);
}

static void test_wfcq_no_wake_up_is_lost_with_asymmetric_fences(void **state)
{
	(void)state;
	check_sleepy(WEFT__FENCE_ASYMMETRIC);
}

static void test_wfcq_no_wake_up_is_lost_with_symmetric_fences(void **state)
{
	(void)state;
	check_sleepy(WEFT__FENCE_SYMMETRIC);
}

/* --- RCU
 * ------------------------------------------------------------------------------------------ */

#define READERS 3
#define ALIVE   UINT64_C(0x600d600d600d600d)

struct record {
	uint64_t alive, number, number_again;
};

struct table {
	_Atomic(void *) current;
	_Atomic bool done;
	_Atomic unsigned wrong;
	unsigned count;
};

static struct record *record_new(uint64_t number)
{
	struct record *record = malloc(sizeof(*record));

	if (!record)
		exit(99);
	*record = (struct record){ALIVE, number, number};
	return record;
}

static void readers_and_writer(unsigned id, void *ctx)
{
	struct table *t = ctx;

	if (id > 0) {
		uint64_t newest = 0;

		weft__rcu_register();
		/* relaxed: only says when to stop. */
		while (!atomic_load_explicit(&t->done, memory_order_relaxed)) {
			weft__rcu_lock();
			struct record *record = weft__rcu_load(&t->current);
			uint64_t number = record->number;

			weft__rcu_lock(); /* sections nest */
			weft__rcu_unlock();
			if (record->alive != ALIVE || record->number_again != number ||
			    number < newest)
				atomic_fetch_add_explicit(&t->wrong, 1, memory_order_relaxed);
			newest = number;
			weft__rcu_unlock();
		}
		weft__rcu_unregister();
		return;
	}

	for (unsigned i = 1; i <= t->count; i++) {
		struct record *old = weft__rcu_load(&t->current);

		weft__rcu_store(&t->current, record_new(i));
		weft__rcu_synchronize();
		*old = (struct record){0, 0, 1};
		free(old);
	}
	atomic_store_explicit(&t->done, true, memory_order_relaxed);
}

static void test_rcu_nothing_is_freed_under_a_reader(void **state)
{
	(void)state;
	struct table t = {.count = weft_test_scale(20000)};

	weft__rcu_store(&t.current, record_new(0));
	crew_run(1 + READERS, readers_and_writer, &t);
	free(weft__rcu_load(&t.current));
	assert_int_equal(atomic_load_explicit(&t.wrong, memory_order_relaxed), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wfcq_agrees_with_model),
		cmocka_unit_test(test_wfcq_preempted_producer_blocks_take),
		cmocka_unit_test(test_wfcq_second_consumer_is_turned_away_and_leaves_a_mark),
		cmocka_unit_test(test_wfcq_holder_looks_again_for_those_it_turned_away),
		cmocka_unit_test(test_wfcq_elements_are_taken_once_and_in_order),
		cmocka_unit_test(test_wfcq_no_wake_up_is_lost_with_asymmetric_fences),
		cmocka_unit_test(test_wfcq_no_wake_up_is_lost_with_symmetric_fences),
		cmocka_unit_test(test_rcu_nothing_is_freed_under_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
