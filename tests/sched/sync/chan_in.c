/* SPDX-License-Identifier: MIT */
/* Channels in the caller's own memory: how much they need, that they stay inside it, and when it is
 * free again. */
#include "chan_peek.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define FENCE 64 /* bytes behind the channel, which it must not touch */

struct kind {
	size_t elem_size, capacity;
};

static const struct kind kinds[] = {{0, 0}, {0, 3},   {1, 1},    {8, 0},
				    {8, 5}, {100, 7}, {5000, 0}, {5000, 3}};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void test_size_grows_with_the_channel(void **state)
{
	(void)state;
	assert_true(weft_chan_memory_size(0, 0) > 0);
	for (unsigned i = 0; i < KINDS; i++)
		assert_true(weft_chan_memory_size(kinds[i].elem_size, kinds[i].capacity) >=
			    weft_chan_memory_size(0, 0) + kinds[i].elem_size * kinds[i].capacity);
	assert_int_equal(weft_chan_memory_size(SIZE_MAX, 2), 0);
	assert_int_equal(weft_chan_memory_size(SIZE_MAX, 1), 0);
	assert_int_equal(weft_chan_memory_size(1, SIZE_MAX - 8), 0);
	assert_int_equal(weft_chan_memory_size(8192, SIZE_MAX / 8192), 0);
}

static void test_bad_memory_is_refused(void **state)
{
	alignas(max_align_t) char memory[1024];
	size_t size = weft_chan_memory_size(8, 4);
	weft_chan *untouched = (weft_chan *)(void *)memory, *ch = untouched;

	(void)state;
	assert_true(size + 16 <= sizeof memory);
	assert_int_equal(weft_chan_create_in(NULL, size, 8, 4, &ch), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory, size, 8, 4, NULL), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory, size - 1, 8, 4, &ch), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory, 0, 0, 0, &ch), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory + 8, size, 8, 4, &ch), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory + 1, size, 8, 4, &ch), -EINVAL);
	assert_int_equal(weft_chan_create_in(memory, SIZE_MAX, SIZE_MAX, 2, &ch), -EINVAL);
	assert_ptr_equal(ch, untouched);
}

static void *send_some(void *arg)
{
	weft_chan *ch = arg;
	char value[5000];

	for (int i = 0; i < 20; i++) {
		memset(value, i, sizeof value);
		CHECK(weft_chan_send(ch, value) == 0);
	}
	weft_chan_close(ch);
	return arg;
}

static void *use_each_kind(void *arg)
{
	/* One block of memory for all, one after the other. */
	size_t most = weft_chan_memory_size(5000, 3) + FENCE;
	char *memory = malloc(most);

	for (unsigned i = 0; i < KINDS; i++) {
		size_t size = weft_chan_memory_size(kinds[i].elem_size, kinds[i].capacity);
		size_t elem_size = kinds[i].elem_size;
		weft_chan *ch = NULL;
		weft_task *task;
		char value[5000];
		int count = 0, rc = 0;

		memset(memory, 0xa5, most);
		if (!CHECK(weft_chan_create_in(memory, size, elem_size, kinds[i].capacity, &ch) ==
			   0))
			break;
		CHECK(weft_chan_cap(ch) == kinds[i].capacity && weft_chan_len(ch) == 0);
		CHECK(weft_spawn(send_some, ch, &task) == 0);
		struct weft_case one = {.op = WEFT_RECV, .chan = ch, .elem = value};
		while (count % 2 == 0 ? (rc = weft_chan_recv(ch, value)) == 0
				      : weft_select(&one, 1, WEFT_FOREVER) == 0 &&
						(rc = one.ret_status) == 0) {
			for (size_t k = 0; k < elem_size; k++)
				CHECK(value[k] == count);
			count++;
		}
		CHECK(rc == -EPIPE && count == 20);
		CHECK(weft_join(task, NULL) == 0);
		if (i % 2)
			CHECK(weft_chan_unref(ch));
		else
			weft_chan_destroy(ch);
		for (size_t k = size; k < most; k++)
			CHECK((unsigned char)memory[k] == 0xa5);
	}
	free(memory);
	return arg;
}

static void test_each_kind_works_in_the_same_memory(void **state)
{
	(void)state;
	assert_run(1, use_each_kind, NULL);
	assert_run(3, use_each_kind, NULL);
}

/* The caller that gives up the last reference uses the memory at once. The others may still be
 * inside their calls. */
struct share {
	weft_chan *ch;
	void *memory;
	size_t size;
	_Atomic unsigned last;
};

static void *use_and_give_up(void *arg)
{
	struct share *s = arg;
	int value = 1;

	CHECK(weft_chan_try_send(s->ch, &value) != -EINVAL);
	CHECK(weft_chan_try_recv(s->ch, &value) != -EINVAL);
	if (weft_chan_unref(s->ch)) {
		memset(s->memory, 0xff, s->size);
		atomic_fetch_add_explicit(&s->last, 1, memory_order_relaxed);
	}
	return arg;
}

static void *share_memory(void *arg)
{
	struct share s = {.size = weft_chan_memory_size(sizeof(int), 2)};

	s.memory = malloc(s.size);
	for (unsigned round = 0; round < weft_test_scale(2000); round++) {
		weft_task *tasks[3];
		CHECK(weft_chan_create_in(s.memory, s.size, sizeof(int), 2, &s.ch) == 0);
		s.last = 0;
		for (unsigned i = 0; i < 3; i++) {
			if (i < 2)
				weft_chan_ref(s.ch);
			CHECK(weft_spawn(use_and_give_up, &s, &tasks[i]) == 0);
		}
		for (unsigned i = 0; i < 3; i++)
			CHECK(weft_join(tasks[i], NULL) == 0);
		CHECK(s.last == 1);
	}
	free(s.memory);
	return arg;
}

static void test_last_reference_gives_the_memory_back(void **state)
{
	(void)state;
	assert_false(weft_chan_unref(NULL));
	assert_run(1, share_memory, NULL);
	assert_run(2, share_memory, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_grows_with_the_channel),
		cmocka_unit_test(test_bad_memory_is_refused),
		cmocka_unit_test(test_each_kind_works_in_the_same_memory),
		cmocka_unit_test(test_last_reference_gives_the_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
