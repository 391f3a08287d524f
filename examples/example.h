/* SPDX-License-Identifier: MIT */
/*
 * Shared code of the examples: a check that exists in every build, and numbers from the command
 * line.
 */
#ifndef WEFT_EXAMPLES_EXAMPLE_H
#define WEFT_EXAMPLES_EXAMPLE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

/* Ends the program with status 1 if the condition is false. From a task or any thread. */
#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
			exit(EXIT_FAILURE);                                                     \
		}                                                                               \
	} while (0)

/* Returns the option's value. Ends the program with status 2 if it is not a number from min to
 * max. */
static inline unsigned read_number(const char *option, const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || n < min || n > max) {
		fprintf(stderr, "%s: '%s' is not a number from %u to %u\n", option, text, min, max);
		exit(EXIT_USAGE);
	}
	return (unsigned)n;
}

/* Ends the program unless everything it printed has been written. */
static inline void flush_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("standard output");
		exit(EXIT_FAILURE);
	}
}

#endif
