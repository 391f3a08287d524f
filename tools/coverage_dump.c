/* SPDX-License-Identifier: MIT */
/*
 * Linked to every program and library of a coverage build: a process that ends by abort(), _exit()
 * or a fault writes its counts first, which gcov does at exit() only. The tests of misuse,
 * overflows and forks end their children so.
 *
 * The linker leads the calls here (--wrap). A fault ends a process once its handler, on the signal
 * stack, has put the default action back, so that is where its counts are written; they are set
 * back, so that what comes after, if anything, is added and not lost.
 */
#include <signal.h>
#include <stdlib.h>

void __gcov_dump(void);
void __gcov_reset(void);

_Noreturn void __real_abort(void);
_Noreturn void __real__exit(int status);
int __real_sigaction(int sig, const struct sigaction *action, struct sigaction *ret_old);

_Noreturn void __wrap_abort(void);
_Noreturn void __wrap__exit(int status);
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *ret_old);

/* gcov does not survive a malloc() that fails: that fault is none to write counts for. */
static volatile sig_atomic_t dumping;

static void dump(void)
{
	if (dumping)
		return;
	dumping = 1;
	__gcov_dump();
	__gcov_reset();
	dumping = 0;
}

void __wrap_abort(void)
{
	dump();
	__real_abort();
}

void __wrap__exit(int status)
{
	dump();
	__real__exit(status);
}

int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *ret_old)
{
	stack_t stack;

	if (sig == SIGSEGV && action && action->sa_handler == SIG_DFL &&
	    sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK)) {
		dump();
	}
	return __real_sigaction(sig, action, ret_old);
}
