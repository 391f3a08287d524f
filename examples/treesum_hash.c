/* SPDX-License-Identifier: MIT */
/*
 * The digest of a file, which is read in pieces.
 *
 * Hashing does not suspend its task, and it opens one file and closes it again: so a worker has at most one file open,
 * however many tasks there are.
 *
 * A hasher (libcrypto's context and the buffer) is made when it is needed and kept for the next file: on a shelf for
 * each worker, so that two of them seldom meet there. Two tasks of one worker are not ordered by that, so a hasher is
 * taken and put back by atomic exchanges; where two meet after all, one makes a new hasher, or frees one too many.
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
#include <unistd.h>

#define READ_SIZE ((size_t)128 << 10)
#define SHELVES   1024

enum { NOT_REGULAR = -1 };

struct hasher {
	EVP_MD_CTX *context;
	unsigned char buffer[READ_SIZE];
};

static struct shelf {
	alignas(64) _Atomic(struct hasher *) spare; /* taken and put back by exchange; owned */
} shelves[SHELVES];

static EVP_MD *sha256; /* set before the first task */

static _Atomic(struct hasher *) *my_shelf(void)
{
	int id = weft_worker_id();

	return &shelves[id > 0 ? id % SHELVES : 0].spare;
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
	/* acquire: pairs with hasher_give(), whose task may be any other. */
	struct hasher *h = atomic_exchange_explicit(my_shelf(), NULL, memory_order_acquire);

	return h ? h : hasher_create();
}

static void hasher_give(struct hasher *h)
{
	/* release: what the last task did to it. acquire: for the one that was there, which is then ours. */
	hasher_destroy(atomic_exchange_explicit(my_shelf(), h, memory_order_acq_rel));
}

/* Not blocking, in case that a pipe has taken the file's place since it was listed. 0 or the error. */
static int open_file(const char *path, int *ret_fd)
{
	do
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	while (*ret_fd < 0 && errno == EINTR);
	return *ret_fd < 0 ? errno : 0;
}

/* The digest of an open file. 0, the error, or NOT_REGULAR. */
static int hash_fd(struct hasher *h, int fd, unsigned char *ret_digest)
{
	uint64_t left;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return NOT_REGULAR;
	left = (uint64_t)st.st_size;
	/* NULL: the same algorithm again, which spares an allocation. */
	if (!EVP_DigestInit_ex2(h->context, NULL, NULL))
		return ENOMEM;
	for (;;) {
		ssize_t n = read(fd, h->buffer, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		if (!EVP_DigestUpdate(h->context, h->buffer, (size_t)n))
			return ENOMEM;
		count_hashed(0, (size_t)n);
		progress_draw();
		/* A short read that ends where fstat() said: that is the end, and one call spared. Files of /proc
		 * say 0. */
		if ((size_t)n < READ_SIZE && (uint64_t)n == left)
			break;
		left -= (uint64_t)n < left ? (uint64_t)n : left;
	}
	return EVP_DigestFinal_ex(h->context, ret_digest, NULL) ? 0 : ENOMEM;
}

void hash_file(struct entry *entry)
{
	struct hasher *h = hasher_take();
	int err = ENOMEM;
	int fd;

	entry->kind = KIND_FAILED;
	if (h) {
		err = open_file(entry->path, &fd);
		if (!err) {
			err = hash_fd(h, fd, entry->digest);
			close(fd);
		}
		hasher_give(h);
	}
	if (err)
		report(entry->path,
		       err == NOT_REGULAR ? "no regular file any more" : strerror(err));
	else
		entry->kind = KIND_HASHED;
	count_hashed(1, 0);
	progress_draw();
}

bool hash_init(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	return sha256 != NULL;
}

void hash_fini(void)
{
	for (size_t i = 0; i < SHELVES; i++)
		/* acquire: what its last task did to it. */
		hasher_destroy(atomic_load_explicit(&shelves[i].spare, memory_order_acquire));
	EVP_MD_free(sha256);
}
