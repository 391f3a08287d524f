/* SPDX-License-Identifier: MIT */
/*
 * C11's atomic operations by short names: the operation, and then the memory ordering.
 *
 *     load_acquire(p)                  store_release(p, v)            exchange_relaxed(p, v)
 *     fetch_add_relaxed(p, v)          likewise fetch_sub, fetch_and and fetch_or
 *     cas_release(p, &old, v)          a strong compare-and-swap; relaxed when it fails
 *     cas_weak_release(p, &old, v)     the weak one, for loops
 *     cas_release_else_acquire(...)    release when it succeeds, acquire when it fails
 *
 * A compare-and-swap returns whether it stored v. If not, it sets `old` to the value that it found.
 * Only the names that the sources use are here.
 */
#ifndef WEFT_SRC_BASE_ATOMIC_H
#define WEFT_SRC_BASE_ATOMIC_H

#include <stdatomic.h>

#define load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit(p, memory_order_acquire)

#define store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit(p, v, memory_order_release)

#define exchange_relaxed(p, v) atomic_exchange_explicit(p, v, memory_order_relaxed)
#define exchange_acquire(p, v) atomic_exchange_explicit(p, v, memory_order_acquire)
#define exchange_release(p, v) atomic_exchange_explicit(p, v, memory_order_release)
#define exchange_acq_rel(p, v) atomic_exchange_explicit(p, v, memory_order_acq_rel)

#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit(p, v, memory_order_relaxed)
#define fetch_add_acquire(p, v) atomic_fetch_add_explicit(p, v, memory_order_acquire)
#define fetch_add_release(p, v) atomic_fetch_add_explicit(p, v, memory_order_release)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit(p, v, memory_order_acq_rel)
#define fetch_add_seq_cst(p, v) atomic_fetch_add_explicit(p, v, memory_order_seq_cst)

#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit(p, v, memory_order_relaxed)
#define fetch_sub_release(p, v) atomic_fetch_sub_explicit(p, v, memory_order_release)
#define fetch_sub_acq_rel(p, v) atomic_fetch_sub_explicit(p, v, memory_order_acq_rel)
#define fetch_sub_seq_cst(p, v) atomic_fetch_sub_explicit(p, v, memory_order_seq_cst)

#define fetch_and_relaxed(p, v) atomic_fetch_and_explicit(p, v, memory_order_relaxed)
#define fetch_and_release(p, v) atomic_fetch_and_explicit(p, v, memory_order_release)
#define fetch_and_seq_cst(p, v) atomic_fetch_and_explicit(p, v, memory_order_seq_cst)

#define fetch_or_relaxed(p, v) atomic_fetch_or_explicit(p, v, memory_order_relaxed)
#define fetch_or_acquire(p, v) atomic_fetch_or_explicit(p, v, memory_order_acquire)
#define fetch_or_release(p, v) atomic_fetch_or_explicit(p, v, memory_order_release)

#define cas_relaxed(p, old, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_relaxed, \
						memory_order_relaxed)
#define cas_acquire(p, old, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_acquire, \
						memory_order_relaxed)
#define cas_acquire_else_acquire(p, old, v)                                      \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_acquire, \
						memory_order_acquire)
#define cas_release(p, old, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_release, \
						memory_order_relaxed)
#define cas_release_else_acquire(p, old, v)                                      \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_release, \
						memory_order_acquire)
#define cas_acq_rel(p, old, v)                                                   \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_acq_rel, \
						memory_order_relaxed)
#define cas_acq_rel_else_acquire(p, old, v)                                      \
	atomic_compare_exchange_strong_explicit(p, old, v, memory_order_acq_rel, \
						memory_order_acquire)

#define cas_weak_relaxed(p, old, v) \
	atomic_compare_exchange_weak_explicit(p, old, v, memory_order_relaxed, memory_order_relaxed)
#define cas_weak_acquire(p, old, v) \
	atomic_compare_exchange_weak_explicit(p, old, v, memory_order_acquire, memory_order_relaxed)
#define cas_weak_release(p, old, v) \
	atomic_compare_exchange_weak_explicit(p, old, v, memory_order_release, memory_order_relaxed)
#define cas_weak_acq_rel_else_acquire(p, old, v) \
	atomic_compare_exchange_weak_explicit(p, old, v, memory_order_acq_rel, memory_order_acquire)
#define cas_weak_seq_cst(p, old, v) \
	atomic_compare_exchange_weak_explicit(p, old, v, memory_order_seq_cst, memory_order_relaxed)

#endif
