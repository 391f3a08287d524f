/* SPDX-License-Identifier: MIT */
/*
 * The mutant "TLS address cached in the switch". One translation unit contains the reader of
 * thread-local storage, the switch, and the callers of both. So the compiler inlines the first two
 * into the callers even without LTO. It is compiled with -DWEFT_MUTANT_TLS, which removes the
 * defence against that (src/tls.h).
 */
#ifndef WEFT_MUTANT_TLS
#error "This is not a part of the library."
#endif

#include "sched/core/tls.c"
#include "sched/core/execute.c"
#include "sched/core/fork.c"
#include "src/coro.c"
#include "src/tls.c"
