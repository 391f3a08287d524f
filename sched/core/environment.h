/* SPDX-License-Identifier: MIT */
/*
 * Warns of variables that begin with WEFT_ but that Weft does not know. Without a warning a
 * mistyped variable has no effect, and nobody knows why.
 */
#ifndef WEFT_CORE_ENVIRONMENT_H
#define WEFT_CORE_ENVIRONMENT_H

/*
 * Prints one line for each such variable, which names the known variable that is most like it. Does
 * so once in the life of a process, and nothing afterwards. Weft's own tests use the prefix
 * WEFT_TEST_, which is left out.
 *
 * Any thread may call it, while no other thread changes the environment.
 */
void weft__environment_check(void);

/* Returns the known name that is most like this one, or NULL if none is alike. For tests. */
const char *weft__environment_nearest(const char *name);

#endif
