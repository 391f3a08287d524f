/* SPDX-License-Identifier: MIT */
/* Waiting for readiness: weft_poll() and weft_fd_wait(). */
#include "../core/harness.h"

#include <weft/io.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MANY 30

static void *ring_last(void *arg)
{
	uint64_t one = 1;

	CHECK(weft_write(((int *)arg)[MANY - 1], &one, sizeof one) == sizeof one);
	return arg;
}

static void *poll_many(void *arg)
{
	struct pollfd fds[MANY];
	int bells[MANY];
	weft_task *ringer;

	for (int i = 0; i < MANY; i++) {
		bells[i] = eventfd(0, EFD_CLOEXEC);
		fds[i] = (struct pollfd){.fd = bells[i], .events = POLLIN};
	}
	CHECK(weft_poll(fds, MANY, 0) == -ETIMEDOUT);
	CHECK(weft_poll(fds, MANY, weft_after(1000000)) == -ETIMEDOUT);
	for (int round = 0; round < 10; round++) {
		uint64_t count;

		CHECK(weft_spawn(ring_last, bells, &ringer) == 0);
		CHECK(weft_poll(fds, MANY, WEFT_FOREVER) == 1);
		CHECK(fds[MANY - 1].revents == POLLIN && fds[0].revents == 0);
		/* Still ready: nobody has read. */
		CHECK(weft_poll(fds, MANY, WEFT_FOREVER) == 1);
		CHECK(weft_read(bells[MANY - 1], &count, sizeof count) == sizeof count);
		CHECK(weft_join(ringer, NULL) == 0);
	}
	for (int i = 0; i < MANY; i++)
		CHECK(weft_close(bells[i]) == 0);
	fds[0].fd = -1;
	CHECK(weft_poll(fds, 2, WEFT_FOREVER) == 1);
	CHECK(fds[1].revents == POLLNVAL && fds[0].revents == 0);
	return arg;
}

static void test_poll_waits_for_any_of_many(void **state)
{
	(void)state;
	assert_run(1, poll_many, NULL);
	assert_run(3, poll_many, NULL);
}

static void *poll_one(void *arg)
{
	struct pollfd one = {.fd = *(int *)arg, .events = POLLIN | POLLOUT};
	int rc = weft_poll(&one, 1, WEFT_FOREVER);

	return (void *)(intptr_t)(rc < 0 ? rc : one.revents);
}

/* A reader and two that poll wait for the same descriptor. */
static void *read_one(void *arg)
{
	char byte;

	return (void *)(intptr_t)weft_read(*(int *)arg, &byte, 1);
}

static void *wait_readable(void *arg)
{
	return (void *)(intptr_t)weft_fd_wait(*(int *)arg, POLLIN, WEFT_FOREVER);
}

static void *watch_beside_reader(void *arg)
{
	int fds[2];
	weft_task *watchers[2], *readers[2];
	void *result;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	for (int i = 0; i < 2; i++) {
		CHECK(weft_spawn(wait_readable, &fds[0], &watchers[i]) == 0);
		CHECK(weft_spawn(read_one, &fds[0], &readers[i]) == 0);
	}
	weft_yield();
	/* One byte more than is read: a watcher that is late still sees it. */
	CHECK(weft_write(fds[1], "abc", 3) == 3);
	for (int i = 0; i < 2; i++) {
		CHECK(weft_join(watchers[i], &result) == 0);
		CHECK((intptr_t)result == POLLIN);
		CHECK(weft_join(readers[i], &result) == 0);
		CHECK((intptr_t)result == 1);
	}
	CHECK(weft_spawn(poll_one, &fds[0], &watchers[0]) == 0);
	CHECK(weft_join(watchers[0], &result) == 0);
	CHECK((intptr_t)result == (POLLIN | POLLOUT));

	CHECK(weft_read(fds[0], (char[1]){0}, 1) == 1);
	CHECK(weft_spawn(wait_readable, &fds[0], &watchers[0]) == 0);
	CHECK(weft_spawn(wait_readable, &fds[0], &watchers[1]) == 0);
	weft_yield();
	weft_cancel(watchers[0]);
	CHECK(weft_join(watchers[0], &result) == 0);
	CHECK((intptr_t)result == -ECANCELED);
	CHECK(weft_close(fds[0]) == 0);
	CHECK(weft_join(watchers[1], &result) == 0);
	CHECK((intptr_t)result == -EBADF);
	CHECK(weft_close(fds[1]) == 0);
	return arg;
}

static void test_watchers_use_up_nothing(void **state)
{
	(void)state;
	assert_run(1, watch_beside_reader, NULL);
	assert_run(3, watch_beside_reader, NULL);
}

static void *wait_for_timer(void *arg)
{
	struct itimerspec soon = {.it_value.tv_nsec = 1000000};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t count = 0;

	CHECK(timerfd_settime(fd, 0, &soon, NULL) == 0);
	CHECK(weft_fd_wait(fd, POLLIN, WEFT_FOREVER) == POLLIN);
	CHECK(weft_read(fd, &count, sizeof count) == sizeof count && count == 1);
	CHECK(weft_fd_wait(fd, POLLIN, 0) == -ETIMEDOUT);
	CHECK(weft_close(fd) == 0);
	CHECK(weft_fd_wait(fd, POLLIN, WEFT_FOREVER) == -EBADF);
	CHECK(weft_fd_wait(-1, POLLIN, WEFT_FOREVER) == -EBADF);
	CHECK(weft_poll(NULL, 1, WEFT_FOREVER) == -EFAULT);
	CHECK(weft_poll(NULL, 0, weft_after(1000000)) == -ETIMEDOUT);
	return arg;
}

static void test_timer_is_waited_for(void **state)
{
	(void)state;
	assert_run(1, wait_for_timer, NULL);
	assert_run(2, wait_for_timer, NULL);
	wait_for_timer(NULL);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll_waits_for_any_of_many),
		cmocka_unit_test(test_watchers_use_up_nothing),
		cmocka_unit_test(test_timer_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
