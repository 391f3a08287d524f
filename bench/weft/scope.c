/* SPDX-License-Identifier: MIT */
/*
 * scope COUNT: begins and ends a scope, COUNT times.
 *
 * scope_deadline: with a deadline. scope_look: with a deadline, at which weft_cancelled() looks.
 * scope_fork: with a deadline, and with a fork that is made and joined in the scope.
 */
#include "weft_bench.h"

#include <weft/fork.h>
#include <weft/scope.h>

struct run {
	const char *name;
	int64_t deadline;
	bool looks, forks;
};

static void *nothing(void *arg)
{
	return arg;
}

static void measure(const struct run *run, long count)
{
	int64_t start = 0;
	int rc = 0;

	for (long i = -count / 10; i < count; i++) {
		weft_scope s;
		weft_forked fork;

		if (i == 0)
			start = bench_now();
		weft_scope_begin(&s, run->deadline);
		if (run->looks)
			rc |= weft_cancelled();
		if (run->forks) {
			weft_fork(&fork, nothing, NULL);
			weft_fork_join(&fork);
		}
		rc |= weft_scope_end(&s);
	}
	bench_report(run->name, (double)(bench_now() - start) / (double)count, "ns");
	bench_check(rc == 0, "the results");
}

static void *run_all(void *arg)
{
	int64_t later = bench_now() + INT64_C(3600000000000);
	const struct run runs[] = {
		{"scope", WEFT_FOREVER, false, false},
		{"scope_deadline", later, false, false},
		{"scope_look", later, true, false},
		{"scope_fork", later, false, true},
	};

	for (unsigned i = 0; i < sizeof runs / sizeof runs[0]; i++)
		measure(&runs[i], *(long *)arg);
	return NULL;
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1);

	bench_check(weft_run(run_all, &count, NULL) == 0, "weft_run");
	return 0;
}
