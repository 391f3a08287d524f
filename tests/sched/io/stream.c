/* SPDX-License-Identifier: MIT */
/* Reading and writing: what is transferred, and what ends a wait. */
#include "../core/harness.h"

#include <weft/io.h>
#include <weft/scope.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES 300000

enum kind { PIPE, LOCAL, TCP, KINDS };

struct pair {
	int in, out; /* what is written to `out` is read from `in` */
};

static void tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(listener, (struct sockaddr *)&addr, sizeof addr) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&addr, &len) == 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fds[0], (struct sockaddr *)&addr, sizeof addr) == 0);
	fds[1] = accept(listener, NULL, NULL);
	CHECK(fds[1] >= 0);
	close(listener);
}

static struct pair open_pair(enum kind kind)
{
	int fds[2];

	if (kind == PIPE)
		CHECK(pipe(fds) == 0);
	else if (kind == LOCAL)
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	else
		tcp_pair(fds);
	return (struct pair){fds[0], fds[1]};
}

static void close_pair(struct pair p)
{
	CHECK(weft_close(p.in) == 0);
	CHECK(weft_close(p.out) == 0);
}

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 7 + i / 251);
}

static void *write_all(void *arg)
{
	struct pair *p = arg;
	unsigned char buf[1777];
	size_t n;

	for (size_t done = 0; done < BYTES; done += n) {
		n = BYTES - done < sizeof buf ? BYTES - done : sizeof buf;
		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(done + i);
		CHECK(weft_write_full(p->out, buf, n, NULL, WEFT_FOREVER) == 0);
	}
	return arg;
}

static void *read_all(void *arg)
{
	struct pair *p = arg;
	unsigned char buf[4096];
	ssize_t n;

	for (size_t done = 0; done < BYTES; done += (size_t)n) {
		n = weft_read(p->in, buf, sizeof buf);
		CHECK(n > 0);
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			CHECK(buf[i] == byte_at(done + (size_t)i));
	}
	return arg;
}

static void *transfer_kinds(void *arg)
{
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		weft_task *writer;

		CHECK(weft_spawn(write_all, &p, &writer) == 0);
		read_all(&p);
		CHECK(weft_join(writer, NULL) == 0);
		CHECK(fcntl(p.in, F_GETFL) == (kind == PIPE ? O_RDONLY : O_RDWR));
		close_pair(p);
	}
	return arg;
}

static void test_stream_transfers_all_bytes(void **state)
{
	(void)state;
	assert_run(1, transfer_kinds, NULL);
	assert_run(3, transfer_kinds, NULL);
}

static void test_thread_transfers_all_bytes(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		pthread_t writer;

		assert_int_equal(pthread_create(&writer, NULL, write_all, &p), 0);
		read_all(&p);
		pthread_join(writer, NULL);
		close_pair(p);
	}
	assert_int_equal(checks_failed(), 0);
}

/* A worker runs the writer while the reader waits. */
static void *read_one_byte(void *arg)
{
	struct pair *p = arg;
	char byte = 0;

	CHECK(weft_read(p->in, &byte, 1) == 1);
	CHECK(byte == 'x');
	return arg;
}

static void *read_beside_writer(void *arg)
{
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		weft_task *reader;

		CHECK(weft_spawn(read_one_byte, &p, &reader) == 0);
		weft_yield();
		CHECK(weft_write(p.out, "x", 1) == 1);
		CHECK(weft_join(reader, NULL) == 0);
		close_pair(p);
	}
	return arg;
}

static void test_reader_gives_way_to_writer(void **state)
{
	(void)state;
	assert_run(1, read_beside_writer, NULL);
	assert_run(2, read_beside_writer, NULL);
}

/* --- what ends a wait ------------------------------------------------------------------------- */

static void *read_until_end(void *arg)
{
	struct pair *p = arg;
	char buf[8];

	return (void *)(intptr_t)weft_read(p->in, buf, sizeof buf);
}

static void *end_waits(void *arg)
{
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		weft_task *reader;
		void *result;
		char byte;

		CHECK(weft_read_until(p.in, &byte, 1, 0) == -ETIMEDOUT);
		CHECK(weft_read_until(p.in, &byte, 1, weft_after(1000000)) == -ETIMEDOUT);
		CHECK(weft_spawn(read_until_end, &p, &reader) == 0);
		weft_yield();
		weft_cancel(reader);
		CHECK(weft_join(reader, &result) == 0);
		CHECK((intptr_t)result == -ECANCELED);

		CHECK(weft_spawn(read_until_end, &p, &reader) == 0);
		weft_yield();
		CHECK(weft_close(p.out) == 0);
		CHECK(weft_join(reader, &result) == 0);
		CHECK((intptr_t)result == 0);
		CHECK(weft_read_full(p.in, &byte, 1, NULL, WEFT_FOREVER) == -ENODATA);

		CHECK(weft_close(p.in) == 0);
		CHECK(weft_read(p.in, &byte, 1) == -EBADF);
		CHECK(weft_close(p.in) == -EBADF);

		p = open_pair(kind);
		CHECK(weft_spawn(read_until_end, &p, &reader) == 0);
		weft_yield();
		CHECK(weft_close(p.in) == 0);
		CHECK(weft_join(reader, &result) == 0);
		CHECK((intptr_t)result == -EBADF);
		CHECK(weft_close(p.out) == 0);
	}
	return arg;
}

static void test_wait_ends_by_deadline_cancel_end_and_close(void **state)
{
	(void)state;
	assert_run(1, end_waits, NULL);
	assert_run(2, end_waits, NULL);
}

static void *read_in_thread(void *arg)
{
	return read_until_end(arg);
}

static void test_thread_wait_ends_by_deadline_end_and_close(void **state)
{
	(void)state;
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		pthread_t reader;
		void *result;
		char byte;
		weft_scope scope;

		assert_int_equal(weft_read_until(p.in, &byte, 1, 0), -ETIMEDOUT);
		assert_int_equal(weft_read_until(p.in, &byte, 1, weft_after(1000000)), -ETIMEDOUT);
		weft_scope_begin(&scope, weft_after(1000000));
		assert_int_equal(weft_read(p.in, &byte, 1), -ECANCELED);
		assert_int_equal(weft_scope_end(&scope), -ETIMEDOUT);
		assert_int_equal(pthread_create(&reader, NULL, read_in_thread, &p), 0);
		assert_int_equal(weft_close(p.out), 0);
		pthread_join(reader, &result);
		assert_int_equal((intptr_t)result, 0);
		assert_int_equal(weft_close(p.in), 0);

		p = open_pair(kind);
		assert_int_equal(pthread_create(&reader, NULL, read_in_thread, &p), 0);
		assert_int_equal(weft_close(p.in), 0);
		pthread_join(reader, &result);
		assert_int_equal((intptr_t)result, -EBADF);
		assert_int_equal(weft_close(p.out), 0);
	}
}

/* --- many on one descriptor ------------------------------------------------------------------- */

#define READERS 20

static void *read_some(void *arg)
{
	struct pair *p = arg;
	char byte;

	return (void *)(intptr_t)weft_read(p->in, &byte, 1);
}

static void *share_descriptor(void *arg)
{
	for (enum kind kind = PIPE; kind < KINDS; kind++) {
		struct pair p = open_pair(kind);
		weft_task *readers[READERS];
		intptr_t sum = 0;

		for (int i = 0; i < READERS; i++)
			CHECK(weft_spawn(read_some, &p, &readers[i]) == 0);
		weft_yield();
		/* One edge for many readers. */
		CHECK(weft_write(p.out, "0123456789abcdefghijklmn", READERS) == READERS);
		for (int i = 0; i < READERS; i++) {
			void *result;

			CHECK(weft_join(readers[i], &result) == 0);
			sum += (intptr_t)result;
		}
		CHECK(sum == READERS);
		close_pair(p);
	}
	return arg;
}

static void test_one_edge_serves_many_readers(void **state)
{
	(void)state;
	assert_run(1, share_descriptor, NULL);
	assert_run(3, share_descriptor, NULL);
}

static void *read_file(void *arg)
{
	char buf[64] = {0};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = weft_read(fd, buf, sizeof buf);

	CHECK(n == sizeof buf && memcmp(buf, "\177ELF", 4) == 0);
	CHECK(weft_close(fd) == 0);
	CHECK(weft_read(-1, buf, 1) == -EBADF);
	CHECK(weft_write(1 << 29, buf, 1) == -EBADF);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CHECK(weft_write(fd, buf, sizeof buf) == sizeof buf);
	CHECK(weft_close(fd) == 0);
	return arg;
}

static void test_files_are_always_ready(void **state)
{
	(void)state;
	assert_run(1, read_file, NULL);
	assert_run(2, read_file, NULL);
	read_file(NULL);
}

static void *write_to_nobody(void *arg)
{
	struct pair p = open_pair(TCP);
	ssize_t n;

	CHECK(weft_close(p.in) == 0);
	do
		n = weft_write(p.out, "x", 1);
	while (n == 1);
	CHECK(n == -EPIPE || n == -ECONNRESET);
	CHECK(weft_close(p.out) == 0);
	return arg;
}

static void test_socket_raises_no_signal(void **state)
{
	(void)state;
	assert_run(1, write_to_nobody, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream_transfers_all_bytes),
		cmocka_unit_test(test_thread_transfers_all_bytes),
		cmocka_unit_test(test_reader_gives_way_to_writer),
		cmocka_unit_test(test_wait_ends_by_deadline_cancel_end_and_close),
		cmocka_unit_test(test_thread_wait_ends_by_deadline_end_and_close),
		cmocka_unit_test(test_one_edge_serves_many_readers),
		cmocka_unit_test(test_files_are_always_ready),
		cmocka_unit_test(test_socket_raises_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
