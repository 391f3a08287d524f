/* SPDX-License-Identifier: MIT */
/* Joining: see join.c. */
#ifndef WEFT_CORE_JOIN_H
#define WEFT_CORE_JOIN_H

struct task;

/* As weft_join(), for a task that nobody else can join, that is about to end and waits for
 * nothing more. Does not suspend. Any thread may call it. The runtime must exist until the
 * return. */
void weft__join_ending(struct task *t, void **ret_result);

#endif
