/* SPDX-License-Identifier: MIT */
/* What a process with runtimes has, however many there are: its fork handler and its fault
 * handler. */
#ifndef WEFT_CORE_PROCESS_H
#define WEFT_CORE_PROCESS_H

#include "src/orphan.h"

/*
 * A runtime is about to be made, before it has threads. 0; -EPERM: the process is an orphan
 * (src/orphan.h); -ENOMEM. After 0, weft__process_leave() must follow once its threads have ended.
 */
int weft__process_enter(void);
void weft__process_leave(void);

#endif
