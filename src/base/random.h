/* SPDX-License-Identifier: MIT */
/*
 * The only source of randomness: splitmix64 (Steele, Lea, Flood 2014). Each owner has a state of
 * its own, so a seed repeats the owner's choices. Every seed is good, even 0, and neighbouring
 * seeds give unrelated sequences. Not for secrets.
 */
#ifndef WEFT_SRC_BASE_RANDOM_H
#define WEFT_SRC_BASE_RANDOM_H

#include <stdint.h>

struct weft__random {
	uint64_t state; /* owner only */
};

static inline void weft__random_seed(struct weft__random *r, uint64_t seed)
{
	r->state = seed;
}

static inline uint64_t weft__random_next(struct weft__random *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number from 0 to n - 1, or 0 if n is 0. It multiplies instead of dividing (Lemire). Its bias is
 * below n / 2^32. */
static inline uint32_t weft__random_below(struct weft__random *r, uint32_t n)
{
	return (uint32_t)(((weft__random_next(r) >> 32) * n) >> 32);
}

#endif
