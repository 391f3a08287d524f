/* SPDX-License-Identifier: MIT */
/*
 * Fork-join storms. The forks of a recursion are inlined, stolen, suspended and moved to other
 * threads, while their parents' frames lie below them. Joins come in any order. There are loops and
 * generators inside. Every result is checked.
 */
#include "stress.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define FIB_MAX    22
#define FIB_SMALL  12 /* under a sanitizer, where a task costs up to 0.4 ms */
#define DEEP_MAX   20000
#define FORKS_MAX  6
#define LOOP_MAX   200
#define YIELDS_MAX 4

/* A node of a recursion, in its parent's frame. */
struct node {
	unsigned n;
	uint64_t stream;
};

static void *fib(void *arg);

static void disturb(struct weft__random *random)
{
	uint32_t dice = weft__random_below(random, 512);

	if (dice < 2)
		weft_sleep(1 + weft__random_below(random, 50000));
	else if (dice < 24)
		weft_yield();
}

static uint64_t plain_fib(unsigned n)
{
	uint64_t a = 0, b = 1;

	while (n-- > 0) {
		uint64_t c = a + b;
		a = b;
		b = c;
	}
	return a;
}

static void add_range(size_t lo, size_t hi, void *ctx)
{
	_Atomic uint64_t *sum = ctx;
	uint64_t part = 0;

	for (size_t i = lo; i < hi; i++)
		part += i;
	if ((lo & 15) == 0)
		weft_yield();
	/* relaxed: weft_for() orders it before its return */
	atomic_fetch_add_explicit(sum, part, memory_order_relaxed);
}

static void loop(struct weft__random *random)
{
	size_t n = weft__random_below(random, LOOP_MAX) + 1;
	size_t grain = weft__random_below(random, 2) ? 0 : 1 + weft__random_below(random, 50);
	_Atomic uint64_t sum = 0;
	int rc = weft_for(0, n, grain, add_range, &sum);
	uint64_t is = atomic_load_explicit(&sum, memory_order_relaxed);

	stress_check(rc == 0, "weft_for: %s", strerror(-rc));
	stress_check(is == n * (n - 1) / 2, "weft_for up to %zu: the sum is %llu", n,
		     (unsigned long long)is);
}

/* A run of numbers. Only the run behind it can be joined to it. */
struct run {
	uint64_t begin, end;
	bool whole;
};

static void take_run(size_t lo, size_t hi, void *acc, void *arg)
{
	struct run *run = acc;

	(void)arg;
	if ((lo & 15) == 0)
		weft_yield();
	stress_check(!run->whole && run->begin == 0, "an accumulator is not as the identity");
	*run = (struct run){lo, hi, true};
}

static void join_runs(void *acc, const void *right, void *arg)
{
	struct run *run = acc;
	const struct run *next = right;

	(void)arg;
	if ((run->end & 31) == 0)
		weft_yield();
	run->whole &= next->whole && run->end == next->begin;
	run->end = next->end;
}

static void reduction(struct weft__random *random)
{
	size_t n = weft__random_below(random, LOOP_MAX) + 1;
	size_t grain = weft__random_below(random, 2) ? 0 : 1 + weft__random_below(random, 50);
	struct run all;
	int rc = weft_reduce(0, n, grain, take_run, join_runs, NULL, NULL, sizeof all, &all);

	stress_check(rc == 0, "weft_reduce: %s", strerror(-rc));
	stress_check(all.whole && all.begin == 0 && all.end == n,
		     "weft_reduce up to %zu: not joined in order", n);
}

static void *echo(void *arg)
{
	struct node *node = arg;
	struct weft__random random;

	weft__random_seed(&random, node->stream);
	disturb(&random);
	stress_check(!weft_coro_inside(), "a fork is inside of a generator");
	stress_did(1);
	return arg;
}

/* Makes several forks and joins them in any order. */
static void unordered(struct weft__random *random)
{
	weft_forked forks[FORKS_MAX];
	struct node nodes[FORKS_MAX];
	bool joined[FORKS_MAX] = {false};
	unsigned n = 2 + weft__random_below(random, FORKS_MAX - 1);

	for (unsigned i = 0; i < n; i++) {
		nodes[i] = (struct node){.stream = weft__random_next(random)};
		weft_fork(&forks[i], echo, &nodes[i]);
		disturb(random);
	}
	for (unsigned left = n; left > 0; left--) {
		unsigned i = weft__random_below(random, n);
		while (joined[i])
			i = (i + 1) % n;
		joined[i] = true;
		void *result = weft_fork_join(&forks[i]);
		stress_check(result == &nodes[i], "fork %u of %u: the result is %p, not %p", i, n,
			     result, (void *)&nodes[i]);
	}
}

/* Yields a sum computed with forks, several times. */
static void *generator(void *in)
{
	const struct node *node = in;
	struct weft__random random;

	weft__random_seed(&random, node->stream);
	for (unsigned i = 0; i < node->n; i++) {
		struct node part = {.n = 3 + weft__random_below(&random, 4),
				    .stream = weft__random_next(&random)};
		uint64_t is = (uintptr_t)fib(&part);
		stress_check(is == plain_fib(part.n), "fib(%u) in a generator is %llu", part.n,
			     (unsigned long long)is);
		unordered(&random);
		weft_coro_yield((void *)(uintptr_t)i);
		stress_check(weft_coro_inside(), "a generator is not inside of itself");
	}
	return (void *)(uintptr_t)node->n;
}

static void generate(struct weft__random *random)
{
	struct node node = {.n = weft__random_below(random, YIELDS_MAX),
			    .stream = weft__random_next(random)};
	weft_coro *co;
	void *out;

	if (weft_coro_create(generator, 0, &co) < 0)
		return;
	for (uintptr_t i = 0; i <= node.n; i++) {
		weft_coro_enter(co, &node, &out);
		stress_check((uintptr_t)out == i, "a generator's output is %lu, not %lu",
			     (unsigned long)(uintptr_t)out, (unsigned long)i);
		disturb(random);
	}
	stress_check(weft_coro_done(co), "a generator has not ended");
	weft_coro_destroy(co);
}

static void *fib(void *arg)
{
	const struct node *node = arg;
	const weft_task *self = weft_self();
	struct weft__random random;

	stress_did(1);
	if (node->n < 2)
		return (void *)(uintptr_t)node->n;
	weft__random_seed(&random, node->stream);

	struct node left = {.n = node->n - 1, .stream = weft__random_next(&random)};
	struct node right = {.n = node->n - 2, .stream = weft__random_next(&random)};
	weft_forked fork;
	weft_fork(&fork, fib, &left);
	disturb(&random);
	uintptr_t sum = (uintptr_t)fib(&right);
	/* Rarely, and in small subtrees, because each of these is a recursion of its own. */
	if (node->n > 8 && stress_one_in(&random, 64)) {
		switch (weft__random_below(&random, 4)) {
		case 0:
			loop(&random);
			break;
		case 1:
			unordered(&random);
			break;
		case 2:
			reduction(&random);
			break;
		default:
			generate(&random);
			break;
		}
	}
	sum += (uintptr_t)weft_fork_join(&fork);
	stress_check(weft_self() == self, "after a join the task is %p, not %p",
		     (void *)weft_self(), (const void *)self);
	return (void *)sum;
}

/* A chain: each link forks the next one and joins it at once. */
static void *deep(void *arg)
{
	const struct node *node = arg;
	struct node next = {.n = node->n - 1, .stream = node->stream};
	weft_forked fork;

	if (node->n == 0)
		return NULL;
	weft_fork(&fork, deep, &next);
	if (node->n % 1024 == 0)
		weft_yield();
	uintptr_t depth = (uintptr_t)weft_fork_join(&fork) + 1;
	if (node->n % 512 == 0)
		weft_yield();
	return (void *)depth;
}

/* One recursion. Several run at a time. */
static void *recursion(void *arg)
{
	const struct node *node = arg;
	struct weft__random random;

	weft__random_seed(&random, node->stream);
	while (!stress_over()) {
		unsigned n =
			weft__random_below(&random, (STRESS_SANITIZED ? FIB_SMALL : FIB_MAX) + 1);
		struct node part = {.n = n, .stream = weft__random_next(&random)};
		uint64_t is = (uintptr_t)fib(&part);
		stress_check(is == plain_fib(n), "fib(%u) is %llu, not %llu", n,
			     (unsigned long long)is, (unsigned long long)plain_fib(n));
		unordered(&random);
		loop(&random);
		reduction(&random);
		generate(&random);
		if (stress_one_in(&random, 8)) {
			part.n = weft__random_below(&random, weft_test_scale(DEEP_MAX)) / node->n;
			uintptr_t depth = (uintptr_t)deep(&part);
			stress_check(depth == part.n, "a chain of %u forks is %lu deep", part.n,
				     (unsigned long)depth);
			stress_did(1);
		}
	}
	return NULL;
}

static void *storm(void *unused)
{
	enum { RECURSIONS = 4 };
	struct node nodes[RECURSIONS];
	weft_task *tasks[RECURSIONS];

	(void)unused;
	for (unsigned i = 0; i < RECURSIONS; i++) {
		struct weft__random random;
		stress_random(&random, i);
		nodes[i] = (struct node){.n = RECURSIONS, .stream = weft__random_next(&random)};
		int rc = weft_spawn(recursion, &nodes[i], &tasks[i]);
		stress_check(rc == 0, "weft_spawn: %s", strerror(-rc));
		if (rc < 0)
			tasks[i] = NULL;
	}
	for (unsigned i = 0; i < RECURSIONS; i++) {
		int rc = tasks[i] ? weft_join(tasks[i], NULL) : 0;
		stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv,
		     "Recursive forks that yield, sleep, loop and generate inside; every result is "
		     "checked.");
	stress_run(storm, NULL);
	return stress_end();
}
