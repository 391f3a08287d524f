/* SPDX-License-Identifier: MIT */
/*
 * ucontext-pool life 1 COUNT: the classic coroutine of C programs, as in emulators and databases.
 * makecontext() starts each stack once. The stack is kept in a pool of its thread, and sigsetjmp()
 * and siglongjmp() switch to it. Such a coroutine keeps neither errno nor floating-point control
 * words, does not inform tools, and has no guard. When it has ended it goes back to the pool, and
 * runs the next function.
 */
#undef _FORTIFY_SOURCE /* its longjmp() refuses to go to another stack */

#include "../bench.h"

#include <setjmp.h>
#include <stddef.h>
#include <ucontext.h>

#define STACK_SIZE ((size_t)64 << 10)
#define POOL_MAX   64

typedef void *function(void *arg);

struct coro {
	sigjmp_buf env;
	function *fn;
	void *value; /* passed by the switch, in either direction */
	struct coro *caller;
	struct coro *next; /* in the pool */
	bool done;
};

static __thread struct coro leader, *current;
static __thread struct coro *pool;
static __thread unsigned pooled;
static __thread ucontext_t starter;

static __attribute__((noinline)) void switch_to(struct coro *from, struct coro *to)
{
	current = to;
	if (sigsetjmp(from->env, 0) == 0)
		siglongjmp(to->env, 1);
}

static void trampoline(unsigned high, unsigned low)
{
	struct coro *co = (struct coro *)(uintptr_t)((uint64_t)high << 32 | low);
	ucontext_t here;

	if (sigsetjmp(co->env, 0) == 0)
		swapcontext(&here, &starter);
	for (;;) {
		co->value = co->fn(co->value);
		co->done = true;
		switch_to(co, co->caller);
	}
}

static struct coro *make(void)
{
	char *stack = malloc(STACK_SIZE);
	struct coro *co = malloc(sizeof *co);
	ucontext_t context;

	bench_check(stack && co, "out of memory");
	getcontext(&context);
	context.uc_stack.ss_sp = stack;
	context.uc_stack.ss_size = STACK_SIZE;
	context.uc_link = NULL;
	makecontext(&context, (void (*)(void))trampoline, 2, (unsigned)((uintptr_t)co >> 32),
		    (unsigned)(uintptr_t)co);
	swapcontext(&starter, &context);
	return co;
}

static __attribute__((noinline)) struct coro *create(function *fn)
{
	struct coro *co = pool;

	if (co) {
		pool = co->next;
		pooled--;
	} else {
		co = make();
	}
	co->fn = fn;
	co->done = false;
	return co;
}

static __attribute__((noinline)) void *enter(struct coro *co, void *value)
{
	if (!current)
		current = &leader;
	bench_check(!co->done, "entered after its end");
	co->caller = current;
	co->value = value;
	switch_to(current, co);
	return co->value;
}

static __attribute__((noinline)) void *yield(void *value)
{
	struct coro *self = current;

	self->value = value;
	switch_to(self, self->caller);
	return self->value;
}

static __attribute__((noinline)) void destroy(struct coro *co)
{
	bench_check(co->done && pooled < POOL_MAX, "only what has ended can be used again");
	co->next = pool;
	pool = co;
	pooled++;
}

static void *yields_once(void *in)
{
	return yield(in);
}

static void *returns(void *in)
{
	return in;
}

static void *life(function *fn, void *in)
{
	struct coro *co = create(fn);
	void *out;

	do
		out = enter(co, in);
	while (!co->done);
	destroy(co);
	return out;
}

static void measure(const char *name, function *fn, intptr_t count)
{
	intptr_t sum = 0;
	int64_t start = 0;

	for (intptr_t i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		sum += (intptr_t)life(fn, (void *)i) - i;
	}
	bench_report(name, (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == 0, "the results");
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 3);

	measure("life", yields_once, count);
	measure("life_short", returns, count);
	return 0;
}
