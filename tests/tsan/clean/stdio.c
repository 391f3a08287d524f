/* SPDX-License-Identifier: MIT */
/* All write to one stream, which the C library locks. */
#include "../tsan.h"

static FILE *out;

static void *write_lines(void *arg)
{
	for (int i = 0; i < 20; i++) {
		fprintf(out, "line %d of %s\n", i, (const char *)arg);
		fflush(out);
		weft_yield();
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(write_lines, "one"), *second = spawn(write_lines, "two");

	fputs("begin\n", out);
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	out = fopen("/dev/null", "w");
	MUST(out);
	run(start);
	return fclose(out) != 0;
}
