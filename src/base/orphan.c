/* SPDX-License-Identifier: MIT */
#include "orphan.h"

#include "fatal.h"

#include <unistd.h>

_Atomic bool weft__orphaned;

_Noreturn void weft__orphan_refuse(void)
{
	weft__fatal("process %ld was forked while a Weft runtime was alive: it has none of the "
		    "runtime's threads, so it may only call _exit(), exit() or exec()",
		    (long)getpid());
}
