/* SPDX-License-Identifier: MIT */
#include "orphan.h"

#include "fatal.h"

#include <unistd.h>

_Atomic bool weft__orphaned;

_Noreturn void weft__orphan_refuse(void)
{
	weft__fatal("process %ld was forked while a Weft runtime was alive, whose threads it does "
		    "not have: only "
		    "_exit(), exit() and exec() work in it",
		    (long)getpid());
}
