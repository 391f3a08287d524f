/* SPDX-License-Identifier: MIT */
/* weft_run(): see run.c. */
#ifndef WEFT_CORE_RUN_H
#define WEFT_CORE_RUN_H

#include <weft/task.h>

struct task;

/* The function that the program wants the task to run. The task of weft_run() begins with a function
 * of run.c instead. */
weft_fn *weft__task_function(const struct task *t);

#endif
