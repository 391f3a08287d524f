/* SPDX-License-Identifier: MIT */
/* Stack overflow: one line that names the stack's owner, and then the normal effect of the fault.
 * Other faults are left alone. */
#include "harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <weft/coro.h>

/* Sanitized code gets no stack smaller than half of this. */
#define STACK_SIZE ((size_t)256 << 10)

static volatile bool for_ever = true;
static volatile unsigned char sink;

static __attribute__((noinline)) unsigned dive(volatile unsigned char *above)
{
	volatile unsigned char here[1000];

	here[0] = above ? above[0] : 1;
	return for_ever ? dive(here) + here[0] : here[0];
}

static void *dive_task(void *arg)
{
	sink = (unsigned char)dive(NULL);
	return arg;
}

/* Touches only the ends of its frame, which are more than a page apart, and less than the guard.
 * Not sanitized: AddressSanitizer would check addresses beyond the stack before they fault. */
static __attribute__((noinline, no_sanitize_address)) unsigned stride(volatile char *above)
{
	volatile char here[40000];

	here[0] = above ? above[0] : 1;
	return for_ever ? stride(here) + (unsigned)here[0] : (unsigned)here[0];
}

static void *stride_task(void *arg)
{
	sink = (unsigned char)stride(NULL);
	return arg;
}

/* Not sanitized: the fault is what this task is for. */
static __attribute__((no_sanitize("undefined"))) void *null_task(void *arg)
{
	volatile char *volatile null = NULL;

	*null = 1;
	return arg;
}

/* Reaches into the guard, but not by growing. */
static __attribute__((no_sanitize_address)) void *stray_task(void *arg)
{
	volatile char *here = __builtin_frame_address(0);

	for (size_t below = 0; below < STACK_SIZE + (64 << 10); below += 4096)
		sink = (unsigned char)here[-(ptrdiff_t)below];
	return arg;
}

static void *kill_task(void *arg)
{
	raise(SIGSEGV);
	return arg;
}

static void *forking_task(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, dive_task, arg);
	fprintf(stderr, "fork %" PRIu64 "\n", weft_task_number((weft_task *)&fork));
	weft_fork_join(&fork);
	return arg;
}

static void *generating_task(void *arg)
{
	weft_coro *co = NULL;

	if (weft_coro_create(dive_task, STACK_SIZE, &co) == 0)
		weft_coro_enter(co, NULL, NULL);
	return arg;
}

/* A task with that name and stack, on a worker that is a thread of the pool. */
static void in_a_pool(void *fn)
{
	struct weft_runtime_options options = {.workers = 1, .stack_size = STACK_SIZE};
	weft_runtime *rt = NULL;
	weft_task *task = NULL;

	child_needs(weft_runtime_create(&options, &rt));
	child_needs(weft_submit(rt, *(weft_fn **)fn, NULL, &task));
	child_got(weft_join(task, NULL));
	weft_runtime_destroy(rt);
}

static void *spawn_named(void *fn)
{
	const struct weft_task_options options = {.name = "deep\nthroat", .stack_size = STACK_SIZE};
	weft_task *task = NULL;

	child_needs(weft_spawn_with(&options, *(weft_fn **)fn, NULL, &task));
	fprintf(stderr, "task %" PRIu64 "\n", weft_task_number(task));
	child_got(weft_join(task, NULL));
	return NULL;
}

static void named(void *fn)
{
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(spawn_named, fn, NULL));
}

static void in_a_run(void *fn)
{
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(*(weft_fn **)fn, NULL, NULL));
}

static struct child child;

/* The one line of the child that begins with "weft: ". */
static const char *line_of_child(void)
{
	const char *line = child.said;

	while (line && strncmp(line, "weft: ", 6) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

static int note_base(struct dl_phdr_info *info, size_t size, void *ret_base)
{
	(void)size;
	*(uintptr_t *)ret_base = info->dlpi_addr;
	return 1; /* the program comes first */
}

/* Checks the function on that line: its address, its file, and its place in that file. */
static void assert_names(weft_fn *fn)
{
	uintptr_t address = (uintptr_t)fn, base = 0;
	char text[256];

	dl_iterate_phdr(note_base, &base);
#ifdef DLFO_STRUCT_HAS_EH_DBASE /* defined where the library can look the file up */
	snprintf(text, sizeof text, ", function 0x%" PRIxPTR " (%s+0x%" PRIxPTR "), stack of ",
		 address, program_invocation_short_name, address - base);
#else
	snprintf(text, sizeof text, ", function 0x%" PRIxPTR ", stack of ", address);
#endif
	if (!strstr(line_of_child(), text))
		fprintf(stderr, "no '%s' in: %s\n", text, line_of_child());
	assert_non_null(strstr(line_of_child(), text));
}

static void assert_overflows(void (*how)(void *), weft_fn *fn)
{
	child_run(&child, how, &fn);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(line_of_child(), "weft: stack overflow in "));
	assert_non_null(strstr(line_of_child(), "WEFT_STACK_SIZE"));
	assert_names(fn);
}

static void assert_silent(void (*how)(void *), weft_fn *fn)
{
	child_run(&child, how, &fn);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 0);
}

static void test_a_task_of_the_pool_is_named(void **state)
{
	(void)state;
	assert_overflows(in_a_pool, dive_task);
	assert_non_null(strstr(line_of_child(), "overflow in task "));
	assert_non_null(strstr(line_of_child(), ", stack of 262144 bytes; "));
	assert_non_null(strstr(line_of_child(), "weft_task_options.stack_size makes it larger\n"));
}

static void test_its_name_is_printed(void **state)
{
	char number[32] = "", task[64];

	(void)state;
	assert_overflows(named, dive_task);
	assert_int_equal(sscanf(child.said, "task %20s", number), 1);
	snprintf(task, sizeof(task), "task %s \"deep?throat\"", number);
	assert_non_null(strstr(line_of_child(), task));
	assert_non_null(strstr(line_of_child(), " \"deep?throat\", function "));
}

static void test_the_first_task_is_named(void **state)
{
	(void)state;
	assert_overflows(in_a_run, dive_task);
}

static void test_a_large_frame_does_not_jump_over_the_guard(void **state)
{
	(void)state;
	assert_overflows(in_a_pool, stride_task);
}

static void test_an_inline_fork_is_the_one_named(void **state)
{
	weft_fn *fn = forking_task;
	char number[32] = "", fork[64];

	(void)state;
	child_run(&child, in_a_pool, &fn);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 1);
	assert_int_equal(sscanf(child.said, "fork %20s", number), 1);
	snprintf(fork, sizeof(fork), "task %s, function ", number);
	assert_non_null(strstr(line_of_child(), fork));
	assert_names(dive_task);
}

static void test_a_coroutine_is_named_with_its_task(void **state)
{
	(void)state;
	assert_overflows(in_a_pool, generating_task);
	assert_non_null(strstr(line_of_child(), "overflow in coroutine 0x"));
	assert_non_null(strstr(line_of_child(), " of task "));
	assert_non_null(strstr(line_of_child(), "weft_coro_create()"));
}

static void test_other_faults_are_left_alone(void **state)
{
	(void)state;
	assert_silent(in_a_pool, null_task);
	assert_silent(in_a_run, null_task);
	assert_silent(in_a_pool, kill_task);
	assert_silent(in_a_pool, stray_task);
}

/* The program's own handler. */
/* Ends the process in a way that tells why it was called. Valgrind makes any exit status its
 * own. */
static void end_in_handler(int sig, siginfo_t *info, void *context)
{
	sigset_t all;

	(void)context;
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	if (sig == SIGSEGV && info->si_code > 0)
		raise(info->si_addr ? SIGUSR2 : SIGUSR1);
	_exit(43);
}

static void return_from_handler(int sig)
{
	static const char said[] = "the program's handler\n";

	(void)sig;
	if (write(STDERR_FILENO, said, sizeof said - 1) < 0)
		_exit(1);
}

static weft_fn *act;

static void with_handler(void *unused)
{
	struct sigaction action = {.sa_sigaction = end_in_handler, .sa_flags = SA_SIGINFO};

	(void)unused;
	sigaction(SIGSEGV, &action, NULL);
	in_a_pool(&act);
}

static void with_returning_handler(void *unused)
{
	struct sigaction action = {.sa_handler = return_from_handler};

	(void)unused;
	sigaction(SIGSEGV, &action, NULL);
	in_a_pool(&act);
}

static void with_ignored(void *unused)
{
	(void)unused;
	signal(SIGSEGV, SIG_IGN);
	in_a_pool(&act);
	_exit(42);
}

static void test_the_programs_handler_is_called(void **state)
{
	(void)state;
	act = null_task;
	child_run(&child, with_handler, NULL);
	assert_true(child_died_of(&child, SIGUSR1));
	assert_int_equal(child_lines(&child), 0);

	act = dive_task;
	child_run(&child, with_handler, NULL);
	assert_true(child_died_of(&child, SIGUSR2));
	assert_int_equal(child_lines(&child), 1);

	child_run(&child, with_returning_handler, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "\nthe program's handler\n"));

	act = kill_task;
	child_run(&child, with_ignored, NULL);
	assert_true(child_exited_with(&child, 42));
	act = dive_task;
	child_run(&child, with_ignored, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 1);
}

static struct sigaction replaced;
static volatile sig_atomic_t calls;

/* As in programs that want to be called in addition. */
static void call_the_replaced(int sig, siginfo_t *info, void *context)
{
	if (++calls > 1)
		_exit(44);
	if (replaced.sa_flags & SA_SIGINFO)
		replaced.sa_sigaction(sig, info, context);
	else
		_exit(45);
}

static void *install_in_task(void *arg)
{
	struct sigaction action = {.sa_sigaction = call_the_replaced,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaction(SIGSEGV, &action, &replaced);
	return arg;
}

static void replaced_between_runtimes(void *unused)
{
	weft_fn *install = install_in_task;

	(void)unused;
	in_a_pool(&install);
	in_a_pool(&act);
}

/* If our handler went on top of the program's again, the two would call each other for ever. */
static void test_a_handler_that_replaced_ours_calls_it(void **state)
{
	(void)state;
	act = null_task;
	child_run(&child, replaced_between_runtimes, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 0);
	act = dive_task;
	child_run(&child, replaced_between_runtimes, NULL);
	assert_true(child_died_of(&child, SIGSEGV));
	assert_int_equal(child_lines(&child), 1);
}

static void *look_at_stack(void *ret)
{
	sigaltstack(NULL, ret);
	return NULL;
}

static void test_the_thread_and_the_process_get_theirs_back(void **state)
{
	struct sigaction before = {.sa_handler = return_from_handler}, after, program, at_first;
	char own[65536];
	stack_t mine = {.ss_sp = own, .ss_size = sizeof own}, first, in_run, now;

	(void)state;
	/* A sanitizer has a handler and a stack of its own. */
	sigaction(SIGSEGV, &before, &at_first);
	const stack_t none = {.ss_flags = SS_DISABLE};
	sigaltstack(&none, &first);

	assert_run(1, look_at_stack, &in_run);
	assert_false(in_run.ss_flags & SS_DISABLE);
	sigaltstack(NULL, &now);
	assert_true(now.ss_flags & SS_DISABLE);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(after.sa_handler, return_from_handler);

	sigaltstack(&mine, NULL);
	assert_run(1, look_at_stack, &in_run);
	assert_ptr_equal(in_run.ss_sp, own);
	sigaltstack(NULL, &now);
	assert_ptr_equal(now.ss_sp, own);
	sigaltstack(first.ss_flags & SS_DISABLE ? &none : &first, NULL);

	/* A handler that the program has put in the place of ours stays. If another runtime is
	 * alive, ours stays. */
	weft_runtime *one = assert_create(1), *two = assert_create(1);
	assert_int_equal(weft_runtime_destroy(one), 0);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_not_equal(after.sa_handler, return_from_handler);
	program = (struct sigaction){.sa_handler = SIG_IGN};
	sigaction(SIGSEGV, &program, NULL);
	assert_int_equal(weft_runtime_destroy(two), 0);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(after.sa_handler, SIG_IGN);
	sigaction(SIGSEGV, &at_first, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_task_of_the_pool_is_named),
		cmocka_unit_test(test_its_name_is_printed),
		cmocka_unit_test(test_the_first_task_is_named),
		cmocka_unit_test(test_a_large_frame_does_not_jump_over_the_guard),
		cmocka_unit_test(test_an_inline_fork_is_the_one_named),
		cmocka_unit_test(test_a_coroutine_is_named_with_its_task),
		cmocka_unit_test(test_other_faults_are_left_alone),
		cmocka_unit_test(test_the_programs_handler_is_called),
		cmocka_unit_test(test_a_handler_that_replaced_ours_calls_it),
		cmocka_unit_test(test_the_thread_and_the_process_get_theirs_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
