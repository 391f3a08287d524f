/* SPDX-License-Identifier: MIT */
/* Hooks see what was done before the runtime was made, and what they do is seen when it has
 * ended. */
#include "../tsan.h"

enum { WORKERS = 3 };

struct slots {
	int begin;
	int of_worker[WORKERS];
};

static void begin(int worker, void *arg)
{
	struct slots *s = arg;

	s->of_worker[worker] = s->begin;
}

static void end(int worker, void *arg)
{
	struct slots *s = arg;

	s->of_worker[worker] += worker;
}

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	struct slots s = {.begin = 7, .of_worker = {0}};
	struct weft_runtime_options options = {
		.workers = WORKERS, .worker_start = begin, .worker_stop = end, .worker_arg = &s};
	weft_runtime *rt;

	MUST(weft_run_with(&options, nothing, NULL, NULL) == 0);
	for (int i = 0; i < WORKERS; i++)
		MUST(s.of_worker[i] == 7 + i);
	s.begin = 8;
	MUST(weft_runtime_create(&options, &rt) == 0);
	MUST(weft_runtime_destroy(rt) == 0);
	for (int i = 0; i < WORKERS; i++)
		MUST(s.of_worker[i] == 8 + i);
	return 0;
}
