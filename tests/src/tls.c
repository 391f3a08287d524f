/* SPDX-License-Identifier: MIT */
/*
 * Thread-local storage is the running thread's, before and after a switch. The second test fails in
 * the build whose library has lost WEFT__REREAD, with LTO.
 */
#include "src/coro.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void *look(void *arg)
{
	struct weft__thread **ret = arg;

	weft__coro_thread_init();
	weft__coro_thread_init();
	ret[0] = weft__thread();
	return (void *)(intptr_t)(ret[0]->current && ret[0]->current == ret[0]->leader &&
				  ret[0]->leader != ret[1]->leader);
}

static void test_each_thread_has_its_own(void **state)
{
	struct weft__thread *theirs[2];
	pthread_t thread;
	void *ok;

	(void)state;
	weft__coro_thread_init();
	theirs[1] = weft__thread();
	assert_ptr_equal(theirs[1]->current, theirs[1]->leader);
	assert_int_equal(pthread_create(&thread, NULL, look, theirs), 0);
	pthread_join(thread, &ok);
	assert_true((intptr_t)ok);
	assert_ptr_not_equal(theirs[0], theirs[1]);
	assert_ptr_equal(theirs[1], weft__thread());
}

static struct coro *walker;
static int wrong;

/* Each resumer passes its own struct. A remembered address would still belong to the previous
 * thread. */
static void walk(void *value)
{
	for (;;) {
		struct weft__thread *resumer = value;

		if (weft__thread() != resumer || weft__thread()->current != walker)
			wrong++;
		value = weft__coro_switch(resumer->leader, NULL);
		if (weft__thread() != value || weft__thread()->current != walker)
			wrong++;
	}
}

static void *resume(void *arg)
{
	struct weft__thread *own;

	(void)arg;
	weft__coro_thread_init();
	own = weft__thread();
	weft__coro_switch(walker, own);
	return (void *)(intptr_t)(weft__thread() == own && own->current == own->leader);
}

static void test_address_is_read_anew_after_a_switch(void **state)
{
	(void)state;
#ifdef WEFT_TSAN_USER
	print_message("skipped: the scheduler's own switch makes no edge in this build\n");
	skip();
#endif
	walker = weft__coro_new(64 << 10, true, walk);
	assert_non_null(walker);
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		void *ok;

		assert_true((intptr_t)resume(NULL));
		assert_int_equal(pthread_create(&thread, NULL, resume, NULL), 0);
		pthread_join(thread, &ok);
		assert_true((intptr_t)ok);
	}
	assert_int_equal(wrong, 0);
	weft__coro_free(walker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_thread_has_its_own),
		cmocka_unit_test(test_address_is_read_anew_after_a_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
