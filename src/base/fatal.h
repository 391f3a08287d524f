/* SPDX-License-Identifier: MIT */
/* The library's messages on stderr. Each message is one line and one write, so lines of several
 * threads do not mix. Control characters in a message become question marks. */
#ifndef WEFT_SRC_BASE_FATAL_H
#define WEFT_SRC_BASE_FATAL_H

/* Prints "weft: " and the message as one line, then aborts. For misuse that can only be a bug in
 * the program. */
_Noreturn void weft__fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

/* Prints "weft: " and the message as one line. errno is preserved. */
void weft__warn(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

#endif
