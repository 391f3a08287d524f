/* SPDX-License-Identifier: MIT */
/* A task reads what another one wrote before it cancelled the scope. A cancellation is no message. */
/* races: write_it, read_it */
#include "../tsan.h"

static weft_scope scope;
static long reason;

KEPT static void write_it(void)
{
	RACE(reason = 5);
}

KEPT static long read_it(void)
{
	long seen;

	RACE(seen = reason);
	return seen;
}

static void *cancel_it(void *arg)
{
	write_it();
	weft_scope_cancel(&scope);
	return arg;
}

static void *start(void *arg)
{
	weft_scope_begin(&scope, WEFT_FOREVER);
	weft_task *task = spawn(cancel_it, NULL);
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	MUST(weft_scope_end(&scope) == -ECANCELED);
	MUST(read_it() >= 0);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
