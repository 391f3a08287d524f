/* SPDX-License-Identifier: MIT */
/*
 * The functions that fail, in place of those of the C library. See faults.h.
 *
 * They reach the C library's own malloc by the names that it exports for this, because dlsym() may
 * allocate.
 */
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

#define WEFTS faults_is_wefts(__builtin_return_address(0))

/* The function that ours hides. */
#define REAL(name)                                                           \
	((__typeof__(&name))(__atomic_load_n(&real_##name, __ATOMIC_RELAXED) \
				     ? real_##name                           \
				     : find_real(&real_##name, #name)))
#define REAL_OF(name) static void *real_##name

static void *find_real(void **slot, const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	__atomic_store_n(slot, function, __ATOMIC_RELAXED);
	return function;
}

/* --- memory
 * ----------------------------------------------------------------------------------------------- */

static void *booked(bool wefts, void *block, size_t size)
{
	if (wefts && block)
		held_add(HELD_BLOCK, (uintptr_t)block, size);
	return block;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

FAULTS_EXPORT void *malloc(size_t size)
{
	bool wefts = WEFTS;

	return faults_due(FAULTS_MALLOC, wefts) ? no_memory()
						: booked(wefts, __libc_malloc(size), size);
}

FAULTS_EXPORT void *calloc(size_t count, size_t size)
{
	bool wefts = WEFTS;

	if (faults_due(FAULTS_MALLOC, wefts))
		return no_memory();
	return booked(wefts, __libc_calloc(count, size), count * size);
}

FAULTS_EXPORT void free(void *block)
{
	if (block && faults_keeps_books())
		held_remove(HELD_BLOCK, (uintptr_t)block);
	__libc_free(block);
}

FAULTS_EXPORT void *realloc(void *old, size_t size)
{
	bool wefts = WEFTS;

	if (faults_due(FAULTS_MALLOC, wefts))
		return no_memory();
	size_t held = old && faults_keeps_books() ? held_remove(HELD_BLOCK, (uintptr_t)old) : 0;
	void *block = __libc_realloc(old, size);
	if (!block && size > 0)
		return booked(held > 0, old, held), NULL;
	return booked(wefts || held > 0, block, size);
}

FAULTS_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	bool wefts = WEFTS;

	if (faults_due(FAULTS_MALLOC, wefts))
		return no_memory();
	return booked(wefts, __libc_memalign(alignment, size), size);
}

FAULTS_EXPORT int posix_memalign(void **ret, size_t alignment, size_t size)
{
	bool wefts = WEFTS;
	void *block = faults_due(FAULTS_MALLOC, wefts) ? NULL : __libc_memalign(alignment, size);

	if (!block)
		return ENOMEM;
	*ret = booked(wefts, block, size);
	return 0;
}

FAULTS_EXPORT char *strdup(const char *text)
{
	bool wefts = WEFTS;
	size_t size = strlen(text) + 1;

	if (faults_due(FAULTS_MALLOC, wefts))
		return no_memory();
	char *copy = booked(wefts, __libc_malloc(size), size);
	return copy ? memcpy(copy, text, size) : NULL;
}

FAULTS_EXPORT int asprintf(char **ret, const char *format, ...)
{
	bool wefts = WEFTS;
	va_list list;

	if (faults_due(FAULTS_MALLOC, wefts)) {
		errno = ENOMEM;
		return -1;
	}
	va_start(list, format);
	int length = vasprintf(ret, format, list);
	va_end(list);
	if (length >= 0)
		booked(wefts, *ret, (size_t)length + 1);
	return length;
}

/* --- address space
 * ---------------------------------------------------------------------------------------- */

REAL_OF(mmap);
REAL_OF(munmap);
REAL_OF(madvise);
REAL_OF(mprotect);

FAULTS_EXPORT void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	bool wefts = WEFTS;
	int how = faults_due(FAULTS_MMAP, wefts);

	if (wefts && faults_mappings_refused())
		how = ENOMEM;
	if (how) {
		errno = how;
		return MAP_FAILED;
	}
	void *area = REAL(mmap)(at, length, prot, flags, fd, offset);
	if (wefts && area != MAP_FAILED)
		held_add(HELD_MAPPING, (uintptr_t)area, length);
	return area;
}

FAULTS_EXPORT int munmap(void *area, size_t length)
{
	/* Off the books first: afterwards another thread may get the same address. */
	if (WEFTS && held_remove(HELD_MAPPING, (uintptr_t)area) != length)
		faults_count_odd();
	return REAL(munmap)(area, length);
}

FAULTS_EXPORT int madvise(void *area, size_t length, int advice)
{
	int how = advice == MADV_GUARD_INSTALL ? faults_denied(FAULTS_MADVISE) : HOW_NOT;

	if (!how)
		how = faults_due(FAULTS_MADVISE, WEFTS);
	if (how) {
		errno = how;
		return -1;
	}
	return REAL(madvise)(area, length, advice);
}

FAULTS_EXPORT int mprotect(void *area, size_t length, int prot)
{
	int how = faults_due(FAULTS_MPROTECT, WEFTS);

	if (how) {
		errno = how;
		return -1;
	}
	return REAL(mprotect)(area, length, prot);
}

/* --- threads
 * ---------------------------------------------------------------------------------------------- */

REAL_OF(pthread_create);
REAL_OF(pthread_join);
REAL_OF(pthread_detach);

FAULTS_EXPORT int pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
				 void *arg)
{
	bool wefts = WEFTS;
	int how = faults_due(FAULTS_THREAD, wefts);
	int err = how ? how : REAL(pthread_create)(ret, attr, fn, arg);

	if (err == 0 && wefts)
		held_add(HELD_THREAD, (uintptr_t)*ret, 1);
	return err;
}

FAULTS_EXPORT int pthread_join(pthread_t thread, void **ret_result)
{
	if (faults_keeps_books())
		held_remove(HELD_THREAD, (uintptr_t)thread);
	return REAL(pthread_join)(thread, ret_result);
}

FAULTS_EXPORT int pthread_detach(pthread_t thread)
{
	if (faults_keeps_books())
		held_remove(HELD_THREAD, (uintptr_t)thread);
	return REAL(pthread_detach)(thread);
}

/* --- syscall(): futex, membarrier, process_madvise
 * -------------------------------------------------------- */

REAL_OF(syscall);

#define ARGUMENTS a[0], a[1], a[2], a[3], a[4], a[5]

static long refuse(int how)
{
	errno = how;
	return -1;
}

static long futex(const long a[6], bool wefts)
{
	int operation = (int)a[1] & FUTEX_CMD_MASK;
	int how = HOW_NOT;

	if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET)
		how = faults_due(FAULTS_FUTEX, wefts);
	if (how == HOW_STRAY)
		return 0;
	/* As the kernel: a signal does not hide that the word is another one by now. */
	if (how && __atomic_load_n((const uint32_t *)a[0], __ATOMIC_SEQ_CST) == (uint32_t)a[2])
		return refuse(how);
	return REAL(syscall)(SYS_futex, ARGUMENTS);
}

static long membarrier(const long a[6], bool wefts)
{
	int how = faults_denied(FAULTS_MEMBARRIER);

	if (!how)
		how = faults_due(FAULTS_MEMBARRIER, wefts);
	if (how)
		return refuse(how);
	long rc = REAL(syscall)(SYS_membarrier, ARGUMENTS);
	if (rc == 0 && (int)a[0] != MEMBARRIER_CMD_QUERY)
		faults_count_expedited();
	return rc;
}

#ifdef SYS_process_madvise
static long process_madvise_of(long a[6], bool wefts)
{
	int how = faults_denied(FAULTS_PROCESS_MADVISE);

	if (!how)
		how = faults_due(FAULTS_PROCESS_MADVISE, wefts);
	if (how == HOW_SHORT)
		a[2] = 1;
	else if (how)
		return refuse(how);
	return REAL(syscall)(SYS_process_madvise, ARGUMENTS);
}
#endif

FAULTS_EXPORT long syscall(long number, ...)
{
	bool wefts = WEFTS;
	va_list list;
	long a[6];

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	switch (number) {
	case SYS_futex:
		return futex(a, wefts);
	case SYS_membarrier:
		return membarrier(a, wefts);
#ifdef SYS_process_madvise
	case SYS_process_madvise:
		return process_madvise_of(a, wefts);
#endif
	default:
		return REAL(syscall)(number, ARGUMENTS);
	}
}

/* --- files
 * ------------------------------------------------------------------------------------------------ */

REAL_OF(open);
REAL_OF(read);
REAL_OF(fopen);
REAL_OF(__getdelim);

FAULTS_EXPORT int open(const char *path, int flags, ...)
{
	int how = faults_due(FAULTS_OPEN, WEFTS);
	mode_t mode = 0;

	if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) {
		va_list list;
		va_start(list, flags);
		mode = va_arg(list, mode_t);
		va_end(list);
	}
	return how ? (int)refuse(how) : REAL(open)(path, flags, mode);
}

FAULTS_EXPORT ssize_t read(int fd, void *buffer, size_t size)
{
	int how = faults_due(FAULTS_READ, WEFTS);

	return how ? refuse(how) : REAL(read)(fd, buffer, size);
}

FAULTS_EXPORT FILE *fopen(const char *path, const char *mode)
{
	int how = faults_due(FAULTS_FOPEN, WEFTS);

	return how ? refuse(how), NULL : REAL(fopen)(path, mode);
}

/* What stdio.h makes of getline() when it optimizes. */
FAULTS_EXPORT ssize_t __getdelim(char **line, size_t *size, int delimiter, FILE *file)
{
	int how = faults_due(FAULTS_GETLINE, WEFTS);

	return how ? refuse(how) : REAL(__getdelim)(line, size, delimiter, file);
}
