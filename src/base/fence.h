/* SPDX-License-Identifier: MIT */
/*
 * An asymmetric pair of fences for store-load races in which one side is hot and the other is rare:
 *
 * 	hot side                      cold side
 * 	store X                       store Y
 * 	weft__fence_light()           weft__fence_heavy()
 * 	load Y                        load X
 *
 * At least one side sees the other's store. The light fence costs nothing, because it stops only
 * the compiler. The heavy fence takes 1 µs. It asks the kernel for a full barrier on every CPU that
 * runs a thread of this process (membarrier, private expedited). Each hot thread is then in one of
 * three cases:
 *
 *  (a) It has not reached its load yet, and will see Y.
 *  (b) Its store has left the store buffer, and the cold side will see X.
 *  (c) It is not running. It passed a full barrier when it was switched out.
 *
 * If the kernel has no private expedited membarrier, both fences are full fences. Both fences have
 * the same mode. The mode is chosen once and never changes, because a compiler barrier on one side
 * does not pair with a fence on the other. Two light fences do not pair with each other in the
 * asymmetric mode.
 *
 * ThreadSanitizer does not model fences. So no code may rely on these fences for the order of data,
 * only for which of two sides notices the other. An acquire that meets a release must order what is
 * then read. Code that the tool instruments always uses full fences. So does the whole library in a
 * scheduler build.
 *
 * fork(): the child inherits the kernel's registration with the address space, so the mode stays
 * right in it. exec() drops both. A seccomp filter must allow membarrier(), or must exist when the
 * program is loaded. liburcu decides at that time, and ends the process if membarrier() fails
 * later.
 */
#ifndef WEFT_SRC_BASE_FENCE_H
#define WEFT_SRC_BASE_FENCE_H

#include "atomic.h"
#include "src/base/compiler.h"

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
 * Written once, by weft__fence_init(). relaxed loads are enough, because a thread calls
 * weft__fence_init() before it starts threads that use the fences. Tests force a mode by storing it
 * before any use.
 */
__attribute__((visibility("hidden"))) extern _Atomic int weft__fence_mode;

/* Chooses the mode, once. Later calls do nothing. Any thread, even several at once. Must come
 * before any use of the fences. */
void weft__fence_init(void);

/* A full fence, which orders earlier stores before later loads. gcc's -Wtsan rejects C's own
 * fence. */
static inline void weft__fence_full(void)
{
	/* seq_cst: the store-load race in the comment above. Both sides use this in the symmetric
	 * mode. */
#if defined(__x86_64__)
	/* gcc compiles a seq_cst fence to this. clang uses an mfence, which takes four times as
	 * long. */
	__asm__ volatile("lock orq $0, (%%rsp)" ::: "memory", "cc");
#elif !defined(WEFT__FENCE_TSAN)
	atomic_thread_fence(memory_order_seq_cst);
#elif defined(__aarch64__)
	/* A seq_cst read-modify-write would let a later load overtake an earlier plain store
	 * here. */
	__asm__ volatile("dmb ish" ::: "memory");
#else
	/* On a variable of its own, so ThreadSanitizer sees no edge. */
	_Atomic int dummy = 0;

	fetch_add_seq_cst(&dummy, 1);
#endif
}

/* Whether weft__fence_light() only stops the compiler. Does not change after weft__fence_init(). */
static inline bool weft__fence_light_is_free(void)
{
#if defined(WEFT__FENCE_TSAN)
	return false;
#else
	/* relaxed: see weft__fence_mode */
	return load_relaxed(&weft__fence_mode) == WEFT__FENCE_ASYMMETRIC;
#endif
}

/* The hot side. Any thread. */
static inline void weft__fence_light(void)
{
	if (likely(weft__fence_light_is_free()))
		atomic_signal_fence(memory_order_seq_cst);
	else
		weft__fence_full();
}

/* The hot side, for a caller that may know already that the fence only stops the compiler. */
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
 * The rest of weft__fence_heavy(), for an expedited membarrier that has returned rc, a negative
 * errno. The kernel may lack the memory for it for a moment (-ENOMEM). Then this function uses the
 * slow kind, or retries the expedited one. Any other failure ends the process.
 *
 * @call  makes a membarrier and returns its result. For tests. It does not switch, so this stays.
 */
WEFT__STAYS void weft__fence_insist(long rc, long (*call)(int command));

#endif
