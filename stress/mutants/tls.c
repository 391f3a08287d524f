/* SPDX-License-Identifier: MIT */
/*
 * The mutant "TLS address cached in the switch": what reads thread-local storage, the switch, and
 * those who call both, as one translation unit, so that the compiler inlines the first two into the
 * others even without LTO. Compiled with -DWEFT_MUTANT_TLS, which takes away what keeps it from
 * that (src/tls.h).
 */
#ifndef WEFT_MUTANT_TLS
#error "This is no part of the library."
#endif

#include "sched/core/tls.c"
#include "sched/core/execute.c"
#include "sched/core/fork.c"
#include "src/coro.c"
#include "src/tls.c"
