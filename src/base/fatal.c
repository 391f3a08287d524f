/* SPDX-License-Identifier: MIT */
/*
 * See fatal.h. This file touches no stdio stream, because the misusing code may hold that stream's
 * lock.
 *
 * A message may contain text from outside: a variable's bad value, or a task's name. A newline in
 * that text would break the line in two, and an escape sequence would reach the terminal. So this
 * file replaces control characters with question marks, for all callers. Bytes above 0x7f pass,
 * because they are UTF-8 as a rule. UTF-8's C1 controls are two bytes.
 */
#include "fatal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print_line(const char *fmt, va_list args)
{
	static const char prefix[] = "weft: ";
	char line[512];
	size_t used = sizeof(prefix) - 1;
	int length;
	ssize_t written;

	__builtin_memcpy(line, prefix, used);
	/* Leave one byte for the newline, which takes the place of the terminator. */
	length = vsnprintf(line + used, sizeof(line) - used, fmt, args);
	if (length > 0)
		used += (size_t)length;
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	for (size_t i = sizeof(prefix) - 1; i < used; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	}
	line[used++] = '\n';
	do {
		written = write(STDERR_FILENO, line, used);
	} while (written < 0 && errno == EINTR);
}

void weft__warn(const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
	errno = saved;
}

_Noreturn void weft__fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line(fmt, args);
	va_end(args);
	abort();
}
