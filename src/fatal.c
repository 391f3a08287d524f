/* SPDX-License-Identifier: MIT */
/*
 * See fatal.h. No stdio stream is touched: its lock may be held by the very code that misused us.
 *
 * What is printed may hold text that is not ours: a variable's bad value, a task's name. A newline
 * there would make two lines of one, and an escape sequence would speak to the terminal; so control
 * characters become question marks here, once for all callers. Bytes above 0x7f pass: they are
 * UTF-8 as a rule, and its C1 controls are two bytes.
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
	/* One byte stays free for the newline, which takes the place of the terminator. */
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
