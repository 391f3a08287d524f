/* SPDX-License-Identifier: MIT */
/*
 * The digest of a file, which is read in pieces.
 *
 * If a file is in the page cache, the task's worker reads and hashes it. A file that is not cached
 * would keep a worker waiting. With two workers the disk would then have only two requests. So a
 * thread for blocking calls reads and hashes such a file. In both cases nothing suspends between
 * opening a file and closing it. So the number of open files is at most that of workers and such
 * threads, however many tasks there are.
 *
 * A hasher is libcrypto's context and the buffer. It is made when it is needed, and kept for the
 * next file. Each worker has a shelf for one, and all other threads share a shelf. So two threads
 * seldom meet there. A shelf does not order two tasks of one worker, so a hasher is taken and put
 * back by atomic exchanges. If two do meet, one makes a new hasher, or frees one too many.
 */
#include "treesum.h"

#include <weft/weft.h>

#include <openssl/evp.h>

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_SIZE ((size_t)128 << 10)
#define SHELVES   1024

enum { NOT_REGULAR = -1, NOT_CACHED = -2 };

struct hasher {
	EVP_MD_CTX *context;
	unsigned char buffer[READ_SIZE];
};

static struct shelf {
	alignas(64) _Atomic(struct hasher *) spare; /* owned; taken and put back by exchange */
} shelves[SHELVES + 1]; /* the last one is for threads that are not workers */

static EVP_MD *sha256; /* set before the first task */

static _Atomic(struct hasher *) *my_shelf(void)
{
	int id = weft_worker_id();

	return &shelves[id >= 0 ? id % SHELVES : SHELVES].spare;
}

static void hasher_destroy(struct hasher *h)
{
	if (h)
		EVP_MD_CTX_free(h->context);
	free(h);
}

static struct hasher *hasher_create(void)
{
	struct hasher *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	h->context = EVP_MD_CTX_new();
	if (!h->context || !EVP_DigestInit_ex2(h->context, sha256, NULL)) {
		hasher_destroy(h);
		return NULL;
	}
	return h;
}

static struct hasher *hasher_take(void)
{
	/* acquire: pairs with hasher_give(), which any other task may have called */
	struct hasher *h = atomic_exchange_explicit(my_shelf(), NULL, memory_order_acquire);

	return h ? h : hasher_create();
}

static void hasher_give(struct hasher *h)
{
	/* release: publishes the last task's work on it. acquire: sees the hasher that was there,
	 * which is then ours. */
	hasher_destroy(atomic_exchange_explicit(my_shelf(), h, memory_order_acq_rel));
}

/* Does not block, in case a pipe has taken the file's place since it was listed. Returns 0 or the
 * error. */
static int open_file(const char *path, int *ret_fd)
{
	do
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	while (*ret_fd < 0 && errno == EINTR);
	return *ret_fd < 0 ? errno : 0;
}

/* Like read(), but fails with EAGAIN if nothing can be read without waiting and the system can
 * tell. */
static ssize_t read_cached(int fd, void *buffer, size_t size)
{
	struct iovec piece = {buffer, size};
	ssize_t n = preadv2(fd, &piece, 1, -1, RWF_NOWAIT);

	return n < 0 && errno != EAGAIN ? read(fd, buffer, size) : n;
}

/* Computes the digest of an open file. With `cached` it does so only if the file begins in the
 * cache. Returns 0, the error, NOT_REGULAR or NOT_CACHED. */
static int hash_fd(struct hasher *h, int fd, bool cached, unsigned char *ret_digest)
{
	uint64_t left;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return NOT_REGULAR;
	left = (uint64_t)st.st_size;
	/* NULL means the same algorithm again, which saves an allocation. */
	if (!EVP_DigestInit_ex2(h->context, NULL, NULL))
		return ENOMEM;
	for (;;) {
		ssize_t n = cached ? read_cached(fd, h->buffer, READ_SIZE)
				   : read(fd, h->buffer, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && cached && errno == EAGAIN)
			return NOT_CACHED;
		cached = false; /* the system reads ahead from now on */
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		if (!EVP_DigestUpdate(h->context, h->buffer, (size_t)n))
			return ENOMEM;
		count_hashed(0, (size_t)n);
		progress_draw();
		/* A short read that ends at fstat()'s size is the end, and saves one call. Files of
		 * /proc have size 0. */
		if ((size_t)n < READ_SIZE && (uint64_t)n == left)
			break;
		left -= (uint64_t)n < left ? (uint64_t)n : left;
	}
	return EVP_DigestFinal_ex(h->context, ret_digest, NULL) ? 0 : ENOMEM;
}

static int hash_path(const char *path, bool cached, unsigned char *ret_digest)
{
	struct hasher *h = hasher_take();
	int err = ENOMEM;
	int fd;

	if (h) {
		err = open_file(path, &fd);
		if (!err) {
			err = hash_fd(h, fd, cached, ret_digest);
			close(fd);
		}
		hasher_give(h);
	}
	return err;
}

static void *hash_from_disk(void *arg)
{
	struct entry *entry = arg;
	int err = hash_path(entry->path, false, entry->digest);

	count_hashed(1, 0);
	return (void *)(intptr_t)err;
}

void hash_file(struct entry *entry)
{
	int err = hash_path(entry->path, true, entry->digest);

	if (err == NOT_CACHED) {
		void *result;
		err = -weft_blocking(hash_from_disk, entry, &result);
		if (!err)
			err = (int)(intptr_t)result;
	} else {
		count_hashed(1, 0);
	}
	entry->kind = KIND_FAILED;
	if (err)
		report(entry->path,
		       err == NOT_REGULAR ? "no regular file any more" : strerror(err));
	else
		entry->kind = KIND_HASHED;
	progress_draw();
}

bool hash_init(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	return sha256 != NULL;
}

void hash_fini(void)
{
	for (size_t i = 0; i <= SHELVES; i++)
		/* acquire: sees its last task's work on it */
		hasher_destroy(atomic_load_explicit(&shelves[i].spare, memory_order_acquire));
	EVP_MD_free(sha256);
}
