/* SPDX-License-Identifier: MIT */
/*
 * Variables that begin with WEFT_ and are none of Weft's: a mistyped one would have no effect, and
 * nobody would know why.
 */
#ifndef WEFT_CORE_ENVIRONMENT_H
#define WEFT_CORE_ENVIRONMENT_H

/*
 * Says one line for each such variable, which names the known one that is most like it. Once in the
 * life of a process; afterwards does nothing. WEFT_TEST_ is the prefix of Weft's own tests.
 *
 * Any thread, while no other changes the environment.
 */
void weft__environment_check(void);

/* The known name that is most like this one; NULL where none is alike. For tests. */
const char *weft__environment_nearest(const char *name);

#endif
