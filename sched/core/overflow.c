/* SPDX-License-Identifier: MIT */
/*
 * Stack overflow. A task that runs off its stack hits the guard below it. The resulting SIGSEGV
 * does not say which of a million tasks it was, or that it was an overflow at all. So while there
 * are runtimes a handler looks at each SIGSEGV. It checks two things. The address must lie in the
 * guard of the stack that this thread runs on. The stack pointer must show that it got there by
 * growing. If both hold, it writes one line:
 *
 *   weft: stack overflow in task 4711 "parser", function 0x55... (server+0x1234), stack of
 *   262144 bytes; ...
 *
 * Then every fault takes the course that it would take without us. Either the handler runs that the
 * program or a sanitizer had installed before. Or the default action follows at the faulting
 * instruction, so that a core dump shows the place. An earlier handler cannot make room. If it
 * returns from an overflow, the default action follows.
 *
 * A handler that the program installs later replaces ours. If it calls the handler that it
 * replaced, which is ours, the line is still written. It may also keep our address for longer than
 * the runtimes live. Ours then only passes signals on. The next runtime does not install it on top
 * again, as the two would call each other for ever.
 *
 * An overflow is not seen in these cases:
 *   - There is no guard (WEFT_GUARD=off).
 *   - A frame is larger than the guard, and begins below it.
 *   - A plain thread has no alternative signal stack.
 *   - The kernel itself makes the access (-EFAULT).
 *
 * The handler only does what is async-signal-safe: it takes no lock, allocates nothing, and uses no
 * stdio. It needs little stack, as the alternative stack may be the program's and small.
 */
#include "overflow.h"

#include "identity.h"
#include "run.h"
#include "runtime.h"
#include "src/base/alloc.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"
#include "src/stack/arena.h"
#include "src/tls.h"
#include "tls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* Room for the handler's frames and for those of the functions that it calls, which may print a
 * backtrace. */
#define SIGNAL_STACK ((size_t)64 << 10)

/* How far below the stack pointer a growing stack is touched, by the red zone and the probes of
 * -fstack-check. */
#define PROBE_DISTANCE ((uintptr_t)16 << 10)

/* Changed only while the handler is not installed, so the handler may read it. */
static struct sigaction previous;
static size_t page_size;
/* Under the caller's lock. Our handler is installed, or the installed handler calls ours. */
static bool installed;

/* A line that is put together without stdio. Control characters become question marks, as in
 * fatal.c. */
struct line {
	size_t used;
	char text[512];
};

static void put_char(struct line *line, char c)
{
	if (line->used < sizeof line->text - 1)
		line->text[line->used++] = (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
}

static void put(struct line *line, const char *text)
{
	while (*text)
		put_char(line, *text++);
}

static void put_number(struct line *line, uintptr_t number, unsigned base)
{
	char digits[24];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	if (base == 16)
		put(line, "0x");
	while (count > 0)
		put_char(line, digits[--count]);
}

static void say(struct line *line)
{
	ssize_t written;

	line->text[line->used++] = '\n';
	do {
		written = write(STDERR_FILENO, line->text, line->used);
	} while (written < 0 && errno == EINTR);
}

/*
 * Writes " (program+0x1234)": the file that holds `address`, and the place in it that addr2line
 * takes. So tools can find the line even if the file was loaded at a random address. There is no
 * safe way to get a symbol's name: dladdr() takes the loader's lock, and knows few of a program's
 * functions. _dl_find_object() takes no lock. C libraries without it get no such text.
 */
static void put_module(struct line *line, uintptr_t address)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE /* defined where <dlfcn.h> has _dl_find_object() */
	struct dl_find_object found;

	if (_dl_find_object((void *)address, &found) != 0)
		return;
	const char *path = found.dlfo_link_map->l_name;
	const char *slash = strrchr(path, '/');
	/* The loader has no name for the program itself. */
	const char *name = *path ? path : program_invocation_short_name;
	put(line, " (");
	put(line, slash ? slash + 1 : name);
	put(line, "+");
	put_number(line, address - found.dlfo_link_map->l_addr, 16);
	put(line, ")");
#else
	(void)line;
	(void)address;
#endif
}

/* Whether the stack pointer was near `address`, or beyond it. */
static bool grew_to(uintptr_t address, const void *context)
{
	const ucontext_t *uc = context;
	uintptr_t sp;

#if defined(__x86_64__)
	sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
	sp = (uintptr_t)uc->uc_mcontext.sp;
#else
	(void)uc;
	sp = address; /* not known: a stray pointer into the guard is reported as an overflow */
#endif
	return sp <= address || sp - address <= PROBE_DISTANCE;
}

static bool in_guard_of(const struct coro *co, uintptr_t address)
{
	uintptr_t low;

	/* There is none, or it is a leader, whose stack the kernel watches. */
	if (!co || !co->stack.arena)
		return false;
	low = (uintptr_t)co->stack.low;
	return address < low && low - address <= co->stack.arena->guard_bytes;
}

/* Returns the coroutine that has this guard, and its task (NULL: no task's), among those that may
 * be running here. */
static const struct coro *find_culprit(uintptr_t address, struct task **ret_task)
{
	const struct worker *w = weft__worker();
	const struct coro *co = weft__thread()->current;

	*ret_task = w ? w->task : NULL;
	/* In the middle of a switch `current` is the next coroutine already, while the stack is
	 * still the old one's. */
	if (w && (w->outgoing.fate == FATE_PARK || w->outgoing.fate == FATE_QUEUE) &&
	    in_guard_of(w->outgoing.task->coro, address)) {
		*ret_task = w->outgoing.task;
		return w->outgoing.task->coro;
	}
	if (in_guard_of(co, address))
		return co;
	if (co && in_guard_of(co->caller, address))
		return co->caller;
	return NULL;
}

static void put_task(struct line *line, struct task *t)
{
	uintptr_t fn = (uintptr_t)weft__task_function(t);

	put(line, "task ");
	put_number(line, identity_number(task_identity(t)), 10);
	if (task_name(t)[0]) {
		put(line, " \"");
		put(line, task_name(t));
		put(line, "\"");
	}
	put(line, ", function ");
	put_number(line, fn, 16);
	put_module(line, fn);
}

/* Reports the fault if it is an overflow. Returns whether it is one. */
static bool report(const siginfo_t *info, const void *context)
{
	uintptr_t address = (uintptr_t)info->si_addr;
	struct line line = {.used = 0};
	struct task *t;
	int saved = errno;

	/* Other codes have no address, or come from kill(). */
	if (info->si_code != SEGV_MAPERR && info->si_code != SEGV_ACCERR)
		return false;
	const struct coro *co = find_culprit(address, &t);
	if (!co || !grew_to(address, context))
		return false;

	const struct arena *arena = co->stack.arena;
	put(&line, "weft: stack overflow in ");
	if (co->caller || !t) {
		put(&line, "coroutine ");
		put_number(&line, (uintptr_t)co, 16);
		put(&line, t ? " of " : "");
	}
	if (t)
		put_task(&line, t);
	put(&line, ", stack of ");
	/* The size that was asked for, in whole pages: the pool adds one (stack.c). */
	put_number(&line, arena->slot_bytes - arena->guard_bytes - page_size, 10);
	put(&line, " bytes; WEFT_STACK_SIZE or ");
	put(&line,
	    co->caller || !t ? "weft_coro_create()'s stack_size" : "weft_task_options.stack_size");
	put(&line, " makes it larger");
	say(&line);
	errno = saved;
	return true;
}

static void act_by_default(void)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};

	sigaction(SIGSEGV, &action, NULL);
}

/* Stays: it calls another signal handler, which returns on the same thread. */
static WEFT__STAYS void pass_on(int sig, siginfo_t *info, void *context, bool overflow)
{
	bool sent = info->si_code <= 0; /* by kill() or the like, not by an instruction */
	bool informed = previous.sa_flags & SA_SIGINFO;

	if (informed || (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)) {
		if (previous.sa_flags & (int)SA_RESETHAND)
			act_by_default();
		if (informed)
			previous.sa_sigaction(sig, info, context);
		else
			previous.sa_handler(sig);
		if (overflow)
			act_by_default();
		return;
	}
	if (sent && previous.sa_handler == SIG_IGN)
		return;
	act_by_default();
	/* A fault happens again when we return, and then ends the process. A signal must be sent
	 * again. It stays blocked until we return. */
	if (sent)
		raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	pass_on(sig, info, context, report(info, context));
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_fault;
}

void weft__overflow_install(void)
{
	struct sigaction ours = {.sa_sigaction = on_fault};

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	if (installed || sigaction(SIGSEGV, NULL, &previous) != 0)
		return;
	/* The program's handler finds the settings that it has asked for, except that it runs on
	 * another stack. */
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
	ours.sa_mask = previous.sa_mask;
	installed = sigaction(SIGSEGV, &ours, NULL) == 0;
}

void weft__overflow_uninstall(void)
{
	struct sigaction now;

	/* If the handler is not ours it may call ours, so nothing is changed. */
	if (installed && sigaction(SIGSEGV, NULL, &now) == 0 && is_ours(&now))
		installed = sigaction(SIGSEGV, &previous, NULL) != 0;
}

static void *give_signal_stack(void)
{
	stack_t own = {.ss_size = SIGNAL_STACK}, now;
	char *mapping;

	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
		return NULL;
	san_ignore_begin();
	mapping = mmap(NULL, page_size + SIGNAL_STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	san_ignore_end();
	if (mapping == MAP_FAILED)
		return NULL;
	/* Where the mapping limit is reached this guard is missing. A stack without it is still
	 * better than none. */
	(void)mprotect(mapping, page_size, PROT_NONE);
	own.ss_sp = mapping + page_size;
	if (sigaltstack(&own, NULL) != 0) {
		munmap(mapping, page_size + SIGNAL_STACK);
		return NULL;
	}
	return mapping;
}

void *weft__overflow_thread_begin(void)
{
	int saved = weft__errno();
	void *mapping = give_signal_stack();

	weft__set_errno(saved);
	return mapping;
}

void weft__overflow_thread_end(void *mapping)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t now;

	if (!mapping)
		return;
	/* A task may have given the thread another signal stack. */
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)mapping + page_size)
		sigaltstack(&none, NULL);
	san_ignore_begin();
	munmap(mapping, page_size + SIGNAL_STACK);
	san_ignore_end();
}
