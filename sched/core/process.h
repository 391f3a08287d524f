/* SPDX-License-Identifier: MIT */
/* What a process has once, however many runtimes it has: the fork handler and the fault handler. */
#ifndef WEFT_CORE_PROCESS_H
#define WEFT_CORE_PROCESS_H

#include "src/base/orphan.h"

/*
 * Call it before a runtime is made, and before that has threads. Returns 0, -EPERM if the process
 * is an orphan (src/base/orphan.h), or -ENOMEM. After 0, weft__process_leave() must follow once the
 * runtime's threads have ended.
 */
int weft__process_enter(void);
void weft__process_leave(void);

#endif
