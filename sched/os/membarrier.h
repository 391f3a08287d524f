/* SPDX-License-Identifier: MIT */
/*
 * An asymmetric pair of fences for store-load races where one side is hot and the other is rare:
 *
 * 	hot side                      cold side
 * 	store X                       store Y
 * 	weft__fence_light()           weft__fence_heavy()
 * 	load Y                        load X
 *
 * At least one side sees the other's store. The light fence costs nothing: it only stops the
 * compiler. The heavy one (1 µs) asks the kernel to run a full barrier on every CPU that runs a
 * thread of this process (membarrier, private expedited): each hot thread has then either not
 * reached its load yet, and will see Y, or its store has left the store buffer, and the cold side
 * will see X. Threads that do not run now passed a full barrier when they were switched out.
 *
 * Where the kernel has no private expedited membarrier, both are full fences. The mode is the same
 * for both, is chosen once, and never changes, since a compiler barrier on the one side does not
 * pair with a fence on the other. Two light fences do not pair with each other in the first mode.
 *
 * ThreadSanitizer does not model fences: nothing may rely on these for the order of data, only for
 * which of two sides notices the other. What is then read must be ordered by an acquire that meets
 * a release. Code instrumented by it always uses full fences, and so does the whole library in a
 * scheduler build.
 *
 * fork(): the child inherits the kernel's registration with the address space, hence the mode stays
 * right in it. exec() drops both. A seccomp filter must be there when the program is loaded
 * (liburcu decides then, and ends the process where membarrier() fails later), or must allow
 * membarrier().
 */
#ifndef WEFT_SCHED_OS_MEMBARRIER_H
#define WEFT_SCHED_OS_MEMBARRIER_H

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define WEFT__FENCE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT__FENCE_TSAN 1
#endif
#endif

enum weft__fence_mode {
	WEFT__FENCE_UNKNOWN = 0, /* before weft__fence_init(); both fences are full */
	WEFT__FENCE_ASYMMETRIC,  /* compiler barrier and membarrier */
	WEFT__FENCE_SYMMETRIC,   /* both are full fences */
};

/*
 * Read-mostly: written once, by weft__fence_init(). relaxed loads are enough, because whoever
 * starts threads that use the fences calls weft__fence_init() first. Tests store a mode before any
 * use to force it.
 */
__attribute__((visibility("hidden"))) extern _Atomic int weft__fence_mode;

/* Chooses the mode, once; afterwards does nothing. Any thread, also several at once. Before any use
 * of the fences. */
void weft__fence_init(void);

/* A full fence, which orders earlier stores before later loads; gcc's -Wtsan rejects C's own. */
static inline void weft__fence_full(void)
{
	/* seq_cst: the store-load race in the comment above; both sides come here in the symmetric
	 * mode. */
#if defined(__x86_64__)
	/* What gcc makes of a seq_cst fence. clang makes an mfence, which takes four times as
	 * long. */
	__asm__ volatile("lock orq $0, (%%rsp)" ::: "memory", "cc");
#elif !defined(WEFT__FENCE_TSAN)
	atomic_thread_fence(memory_order_seq_cst);
#elif defined(__aarch64__)
	/* A seq_cst read-modify-write would let a later load overtake an earlier plain store
	 * there. */
	__asm__ volatile("dmb ish" ::: "memory");
#else
	/* On a variable of its own, so that it tells ThreadSanitizer of no edge. */
	_Atomic int dummy = 0;

	atomic_fetch_add_explicit(&dummy, 1, memory_order_seq_cst);
#endif
}

/* Whether weft__fence_light() only stops the compiler. Does not change after weft__fence_init(). */
static inline bool weft__fence_light_is_free(void)
{
#if defined(WEFT__FENCE_TSAN)
	return false;
#else
	/* relaxed: see weft__fence_mode */
	return atomic_load_explicit(&weft__fence_mode, memory_order_relaxed) ==
	       WEFT__FENCE_ASYMMETRIC;
#endif
}

/* The hot side. Any thread. */
static inline void weft__fence_light(void)
{
	if (__builtin_expect(weft__fence_light_is_free(), 1))
		atomic_signal_fence(memory_order_seq_cst);
	else
		weft__fence_full();
}

/* The hot side, by a caller that perhaps knows that it only stops the compiler. */
static inline void weft__fence_light_if(bool is_free)
{
	if (is_free)
		atomic_signal_fence(memory_order_seq_cst);
	else
		weft__fence_light();
}

/* The cold side. Any thread. A full fence for the caller in either mode. */
void weft__fence_heavy(void);

/*
 * The rest of weft__fence_heavy() where the expedited membarrier has returned rc, a negative errno.
 * The kernel may lack the memory for it (-ENOMEM), for a moment. Then the slow kind does, or the
 * expedited one later. Any other failure ends the process.
 *
 * @call  makes a membarrier, and returns what it did: for tests.
 */
void weft__fence_insist(long rc, long (*call)(int command));

#endif
