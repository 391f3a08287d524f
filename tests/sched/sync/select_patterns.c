/* SPDX-License-Identifier: MIT */
/*
 * The patterns that break channels:
 *  - selects that face each other;
 *  - one channel in several cases of a select;
 *  - sends and receives on one channel in one select;
 *  - selects on the same channels in opposite order;
 *  - tries beside waits.
 *
 * In all of them each value is received exactly once.
 */
#include "chan_peek.h"

#define EACH 3000

/*
 * Each peer sends its own values and receives the values of the others, through selects over the
 * same channels. They go on until all values have been received.
 *
 *   each peer   select { send own value on a or b; receive on a or b }
 *
 * A pair of selects must claim both sides as one. A select must not receive its own value.
 */
#define PEERS 4

struct arena {
	weft_chan *chans[2];
	unsigned each;
	bool threads, deadlines;
	_Atomic unsigned all; /* received; relaxed: only a count */
	_Atomic unsigned received[PEERS * EACH];
};

struct peer {
	struct arena *arena;
	unsigned nth;
};

static void note_received(struct peer *peer, uint64_t value)
{
	struct arena *arena = peer->arena;

	CHECK(value / arena->each != peer->nth); /* never the peer's own value */
	if (CHECK(value < (uint64_t)PEERS * arena->each))
		atomic_fetch_add_explicit(&arena->received[value], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&arena->all, 1, memory_order_relaxed);
}

static void *exchange(void *arg)
{
	struct peer *peer = arg;
	struct arena *arena = peer->arena;
	unsigned sent = 0, all = PEERS * arena->each;

	while (atomic_load_explicit(&arena->all, memory_order_relaxed) < all) {
		uint64_t out = (uint64_t)peer->nth * arena->each + sent, in[2];
		/* Half of the peers name the channels in the opposite order. */
		unsigned x = peer->nth % 2, y = 1 - x;
		struct weft_case cases[] = {
			{.op = WEFT_RECV,
			 .chan = arena->chans[x],
			 .elem = &in[0],
			 .ret_status = 77},
			{.op = WEFT_RECV,
			 .chan = arena->chans[y],
			 .elem = &in[1],
			 .ret_status = 77},
			{.op = WEFT_SEND, .chan = arena->chans[x], .elem = &out, .ret_status = 77},
			{.op = WEFT_SEND, .chan = arena->chans[y], .elem = &out, .ret_status = 77},
			{.op = WEFT_RECV, .elem = &in[0], .ret_status = 77}};
		if (sent == arena->each)
			cases[2].chan = cases[3].chan = NULL;
		int64_t deadline = weft_after(arena->deadlines ? 20 * 1000 : 1000 * 1000);
		int i = weft_select(cases, 5, deadline);
		if (i == -ETIMEDOUT)
			continue;
		if (!CHECK(i >= 0 && i < 4 && cases[i].ret_status == 0))
			break;
		if (i >= 2)
			sent++;
		else
			note_received(peer, in[i]);
	}
	return NULL;
}

static void *exchange_all(void *arg)
{
	struct arena *arena = arg;
	struct peer peers[PEERS];
	struct hand hands[PEERS];

	for (unsigned i = 0; i < PEERS; i++) {
		peers[i] = (struct peer){arena, i};
		start(&hands[i], arena->threads && i % 2, exchange, &peers[i]);
	}
	for (unsigned i = 0; i < PEERS; i++)
		finish(&hands[i]);
	return NULL;
}

static void test_selects_face_each_other(void **state)
{
	static struct arena arena;

	(void)state;
	for (unsigned variant = 0; variant < 12; variant++) {
		memset(&arena, 0, sizeof(arena));
		arena.each = weft_test_scale(EACH);
		arena.threads = variant % 4 >= 2;
		arena.deadlines = variant % 2;
		arena.chans[0] = new_chan(sizeof(uint64_t), 0);
		arena.chans[1] = new_chan(sizeof(uint64_t), 0);
		assert_run(1 + variant / 4, exchange_all, &arena);
		for (unsigned i = 0; i < PEERS * arena.each; i++)
			assert_int_equal(arena.received[i], 1);
		weft_chan_destroy(arena.chans[0]);
		weft_chan_destroy(arena.chans[1]);
	}
}

static void test_send_and_receive_never_meet_in_one_select(void **state)
{
	weft_chan *ch = new_chan(4, 0);
	int in = 1, out = 2;
	struct weft_case cases[] = {{.op = WEFT_SEND, .chan = ch, .elem = &out, .ret_status = 77},
				    {.op = WEFT_RECV, .chan = ch, .elem = &in, .ret_status = 77}};

	(void)state;
	assert_int_equal(weft_select(cases, 2, 0), -ETIMEDOUT);
	assert_int_equal(weft_select(cases, 2, weft_after(1000 * 1000)), -ETIMEDOUT);
	assert_int_equal(in, 1);
	assert_int_equal(chan_waiters(ch, WEFT_SEND), 0);
	assert_int_equal(chan_waiters(ch, WEFT_RECV), 0);
	weft_chan_destroy(ch);

	/* With a buffer a peer's own value can come back, one select later. */
	ch = new_chan(4, 1);
	cases[0].chan = cases[1].chan = ch;
	assert_int_equal(weft_select(cases, 2, WEFT_FOREVER), 0);
	assert_int_equal(in, 1);
	assert_int_equal(weft_select(cases, 2, WEFT_FOREVER), 1);
	assert_int_equal(in, 2);
	weft_chan_destroy(ch);
}

/* The same channel in all cases. Exactly one case takes the element, and all nodes are gone
 * afterwards. */
#define SAME 20

static void *receive_in_many_cases(void *arg)
{
	weft_chan *ch = arg;
	uint64_t values[SAME], sum = 0;
	struct weft_case cases[SAME];
	unsigned taken[SAME] = {0};
	int i;

	for (;;) {
		for (i = 0; i < SAME; i++) {
			values[i] = UINT64_MAX;
			cases[i] = (struct weft_case){
				.op = WEFT_RECV, .chan = ch, .elem = &values[i], .ret_status = 77};
		}
		int got = weft_select(cases, SAME, WEFT_FOREVER);
		if (!CHECK(got >= 0) || cases[got].ret_status == -EPIPE)
			break;
		taken[got]++;
		for (i = 0; i < SAME; i++) {
			CHECK((values[i] != UINT64_MAX) == (i == got));
			CHECK((cases[i].ret_status == 0) == (i == got));
		}
		sum += values[got];
	}
	return (void *)(uintptr_t)sum;
}

static void *send_in_many_cases(void *arg)
{
	weft_chan *ch = arg;
	uint64_t value, count = weft_test_scale(EACH);
	struct weft_case cases[SAME];
	weft_task *receivers[3];
	uintptr_t sum = 0;
	void *result = NULL;

	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_spawn(receive_in_many_cases, ch, &receivers[i]) == 0);
	for (value = 1; value <= count; value++) {
		for (unsigned i = 0; i < SAME; i++)
			cases[i] = (struct weft_case){
				.op = WEFT_SEND, .chan = ch, .elem = &value, .ret_status = 77};
		int i = weft_select(cases, SAME, WEFT_FOREVER);
		CHECK(i >= 0 && cases[i].ret_status == 0);
	}
	weft_chan_close(ch);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(weft_join(receivers[i], &result) == 0);
		sum += (uintptr_t)result;
	}
	CHECK(sum == count * (count + 1) / 2);
	CHECK(chan_waiters(ch, WEFT_RECV) == 0 && chan_waiters(ch, WEFT_SEND) == 0);
	return NULL;
}

static void test_same_channel_in_all_cases(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		for (unsigned workers = 1; workers <= 4; workers++) {
			weft_chan *ch = new_chan(sizeof(uint64_t), capacity);
			assert_run(workers, send_in_many_cases, ch);
			weft_chan_destroy(ch);
		}
	}
}

/*
 * Four kinds of receivers side by side: one waits in a select, one tries in a loop, one waits
 * plainly, and one selects with deadlines that pass. There are four kinds of senders, too. Then the
 * channels are closed.
 */
struct mix {
	weft_chan *chans[3];
	unsigned each;
	_Atomic unsigned sent, received; /* sums; relaxed: read after the join */
};

struct mixer {
	struct mix *mix;
	unsigned nth;
};

static int mixed_step(const struct mixer *m, enum weft_op op, uint64_t *value, unsigned round)
{
	struct weft_case cases[3];
	int i = -ETIMEDOUT;

	for (unsigned k = 0; k < 3; k++)
		cases[k] = (struct weft_case){.op = op,
					      .chan = m->mix->chans[(k + round) % 3],
					      .elem = value,
					      .ret_status = 77};
	switch (m->nth) {
	case 0:
		i = weft_select(cases, 3, WEFT_FOREVER);
		break;
	case 1:
		while ((i = weft_select(cases, 3, 0)) == -ETIMEDOUT)
			weft_yield();
		break;
	case 2:
		return op == WEFT_SEND ? weft_chan_send(cases[0].chan, value)
				       : weft_chan_recv(cases[0].chan, value);
	default:
		while ((i = weft_select(cases, 3, weft_after(3000))) == -ETIMEDOUT)
			;
	}
	return CHECK(i >= 0) ? cases[i].ret_status : -EINVAL;
}

static void *mix_send(void *arg)
{
	const struct mixer *m = arg;

	for (unsigned i = 0; i < m->mix->each; i++) {
		uint64_t value = m->nth * 100000 + i;
		if (CHECK(mixed_step(m, WEFT_SEND, &value, i) == 0))
			atomic_fetch_add_explicit(&m->mix->sent, (unsigned)value,
						  memory_order_relaxed);
	}
	return NULL;
}

static void *mix_recv(void *arg)
{
	const struct mixer *m = arg;
	uint64_t value;
	unsigned closed = 0;

	/* The plain receiver goes around the channels. It is done when three in a row are
	 * closed. */
	for (unsigned i = 0; closed < 3; i++) {
		int rc = mixed_step(m, WEFT_RECV, &value, i);
		closed = rc == 0 ? 0 : closed + 1;
		if (rc == 0)
			atomic_fetch_add_explicit(&m->mix->received, (unsigned)value,
						  memory_order_relaxed);
	}
	return NULL;
}

static void *run_mix(void *arg)
{
	struct mix *mix = arg;
	struct mixer mixers[4];
	weft_task *senders[4], *receivers[4];
	uint64_t value;

	for (unsigned i = 0; i < 4; i++) {
		mixers[i] = (struct mixer){mix, i};
		CHECK(weft_spawn(mix_send, &mixers[i], &senders[i]) == 0);
		CHECK(weft_spawn(mix_recv, &mixers[i], &receivers[i]) == 0);
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_join(senders[i], NULL) == 0);
	for (unsigned i = 0; i < 3; i++)
		weft_chan_close(mix->chans[i]);
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_join(receivers[i], NULL) == 0);
	/* A receiver may have seen three closed channels while one of them still held something. */
	for (unsigned i = 0; i < 3; i++) {
		while (weft_chan_recv(mix->chans[i], &value) == 0)
			mix->received += (unsigned)value;
	}
	CHECK(mix->sent == mix->received);
	return NULL;
}

static void test_tries_beside_waits(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 8; variant++) {
		struct mix mix = {.each = weft_test_scale(EACH)};
		for (unsigned i = 0; i < 3; i++)
			mix.chans[i] = new_chan(sizeof(uint64_t), variant % 2 ? i : 0);
		assert_run(1 + variant / 2, run_mix, &mix);
		for (unsigned i = 0; i < 3; i++)
			weft_chan_destroy(mix.chans[i]);
	}
}

/* So many channels that sorting them matters. Selects that face each other name them in every
 * order. */
#define WIDE 300

static void *select_wide(void *arg)
{
	const struct mixer *m = arg;
	weft_chan **chans = (weft_chan **)m->mix;
	static const unsigned strides[] = {1, 7, 299, 211};
	struct weft_case *cases = calloc(WIDE, sizeof(*cases));
	uint64_t value = 0;

	if (!CHECK(cases != NULL))
		return NULL;
	for (unsigned i = 0; i < WIDE; i++)
		cases[i] = (struct weft_case){.op = m->nth % 2 ? WEFT_SEND : WEFT_RECV,
					      .chan = chans[i * strides[m->nth] % WIDE],
					      .elem = &value,
					      .ret_status = 77};
	for (unsigned i = 0; i < weft_test_scale(EACH); i++)
		CHECK(weft_select(cases, WIDE, WEFT_FOREVER) >= 0);
	free(cases);
	return NULL;
}

static void *run_wide(void *arg)
{
	struct mixer mixers[4];
	weft_task *tasks[4];

	for (unsigned i = 0; i < 4; i++) {
		mixers[i] = (struct mixer){arg, i};
		CHECK(weft_spawn(select_wide, &mixers[i], &tasks[i]) == 0);
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return NULL;
}

static void test_hundreds_of_channels(void **state)
{
	weft_chan *chans[WIDE];

	(void)state;
	for (unsigned i = 0; i < WIDE; i++)
		chans[i] = new_chan(sizeof(uint64_t), 0);
	assert_run(1, run_wide, chans);
	assert_run(4, run_wide, chans);
	for (unsigned i = 0; i < WIDE; i++)
		weft_chan_destroy(chans[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selects_face_each_other),
		cmocka_unit_test(test_send_and_receive_never_meet_in_one_select),
		cmocka_unit_test(test_same_channel_in_all_cases),
		cmocka_unit_test(test_tries_beside_waits),
		cmocka_unit_test(test_hundreds_of_channels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
