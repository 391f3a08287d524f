/* SPDX-License-Identifier: MIT */
/* The program that sanitizer_match.py runs. It first uses Weft in one way or another, and then in
 * other ways. It makes no switch, because a tool that was not told of the switch may fail. */
#include <weft/weft.h>

#include <string.h>

static void *nothing(void *arg)
{
	return arg;
}

static int use_coroutine(void)
{
	weft_coro *co;

	if (weft_coro_create(nothing, 0, &co) < 0)
		return 1;
	weft_coro_destroy(co);
	return 0;
}

static int use_runtime(void)
{
	weft_runtime *rt;

	return weft_runtime_create(&(struct weft_runtime_options){.workers = 1}, &rt) < 0 ||
	       weft_runtime_destroy(rt) < 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "coroutine") == 0 ? use_coroutine() : use_runtime())
			return 1;
	}
	return 0;
}
