/* SPDX-License-Identifier: MIT */
/* See stack_env.h. A value that this file does not understand is an error, never a silent
 * default. */
#include "stack_env.h"

#include "guard.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/digits.h"
#include "src/base/fatal.h"
#include "stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int weft__parse_size(const char *text, size_t *ret)
{
	uint64_t digits;
	size_t value;
	size_t unit = 1;

	if (!weft__read_digits(&text, &digits))
		return -EINVAL;
	if (*text == 'K' || *text == 'k')
		unit = (size_t)1 << 10;
	else if (*text == 'M' || *text == 'm')
		unit = (size_t)1 << 20;
	if (unit != 1)
		text++;
	if (*text != '\0' || __builtin_mul_overflow(digits, unit, &value))
		return -EINVAL;
	*ret = value;
	return 0;
}

int weft__parse_guard(const char *text, bool *ret_guard, bool *ret_always)
{
	bool always = strcmp(text, "always") == 0;
	bool guard = always || strcmp(text, "on") == 0;

	if (!guard && strcmp(text, "off") != 0)
		return -EINVAL;
	*ret_guard = guard;
	*ret_always = always;
	return 0;
}

int weft__stack_env(size_t *ret_size, bool *ret_guard)
{
	const char *text = getenv("WEFT_STACK_SIZE");
	size_t size = 0;
	bool guard = true, always = false;

	if (text && (weft__parse_size(text, &size) < 0 || size < WEFT__STACK_MIN ||
		     size > WEFT__STACK_MAX)) {
		weft__warn(
			"WEFT_STACK_SIZE=\"%.100s\": expected bytes from 16K to 1024M, with K or "
			"M (or k, m) as suffix",
			text);
		return -EINVAL;
	}
	text = getenv("WEFT_GUARD");
	if (text && weft__parse_guard(text, &guard, &always) < 0) {
		weft__warn("WEFT_GUARD=\"%.100s\": expected " WEFT__GUARD_VALUES, text);
		return -EINVAL;
	}
	weft__stack_guard_insist(always);
	*ret_size = size ? size : weft__stack_within(WEFT__STACK_RESERVED, guard);
	*ret_guard = guard;
	return 0;
}

int weft__stack_env_once(size_t *ret_size, bool *ret_guard)
{
	/* The size, shifted by one, and the guard. 0 means not read yet. relaxed: the word is the
	 * only data, and two threads that read the environment at the same time find the same. */
	static _Atomic size_t known;
	size_t word = load_relaxed(&known);

	if (unlikely(!word)) {
		size_t size;
		bool guard;
		int err = weft__stack_env(&size, &guard);

		if (err < 0)
			return err;
		word = size << 1 | guard;
		store_relaxed(&known, word);
	}
	*ret_size = word >> 1;
	*ret_guard = word & 1;
	return 0;
}
