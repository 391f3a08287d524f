/* SPDX-License-Identifier: MIT */
/* Two tasks format into one static buffer: the C library writes for them. */
/* races: format, format */
#include "../tsan.h"

static char buffer[32];

KEPT static const char *format(long number)
{
	RACE(snprintf(buffer, sizeof buffer, "number %ld", number));
	return buffer;
}

static void *user(void *arg)
{
	format((long)arg);
	return NULL;
}

static void *start(void *arg)
{
	weft_task *first = spawn(user, (void *)1), *second = spawn(user, (void *)2);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	printf("%s\n", buffer);
	return 0;
}
