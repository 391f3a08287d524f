/* SPDX-License-Identifier: MIT */
/*
 * fork() in a process with a runtime. In the child _exit(), exit() and exec() work, and any Weft
 * call returns or aborts with one line. The parent notices nothing. Without a live runtime the
 * child is a process like any other, whatever the parent's other threads were doing at the fork.
 */
#include "leaks.h"
#include "tests/sched/core/harness.h"

#include "src/base/lock.h"
#include "src/stack/stack.h"
#include "src/stack/stack_trim.h"

#include <pthread.h>
#include <weft/coro.h>
#include <weft/local.h>
#include <weft/sync.h>

#define EXITED(code)   (code)
#define KILLED(signal) (100 + (signal))

/* The action of the forked process. It returns the result of the task or thread that forked. */
static void (*act)(void);
static weft_runtime *runtime;
static weft_task *stuck;
static weft_coro *generator;
static weft_mutex held = WEFT_MUTEX_INIT;
static flag holding;

static void forked_and_awaited(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		child_limit();
		expect_leaks();
		act();
		return;
	}
	if (waitpid(pid, &status, 0) != pid)
		_exit(99);
	/* The runtime is still intact. */
	weft_task *task = NULL;
	if (weft_submit(runtime, give_back, NULL, &task) != 0 || weft_join(task, NULL) != 0)
		_exit(98);
	_exit(WIFEXITED(status) ? EXITED(WEXITSTATUS(status)) : KILLED(WTERMSIG(status)));
}

static void *fork_in_task(void *arg)
{
	forked_and_awaited();
	return arg;
}

static void *fork_in_inline_fork(void *arg)
{
	weft_forked storage;

	weft_fork(&storage, fork_in_task, arg);
	return weft_fork_join(&storage);
}

static void *fork_in_scope(void *arg)
{
	weft_scope scope;

	weft_scope_begin(&scope, WEFT_FOREVER);
	forked_and_awaited();
	(void)weft_scope_end(&scope);
	return arg;
}

static void *return_from_scope(void *arg)
{
	weft_scope scope;

	weft_scope_begin(&scope, WEFT_FOREVER);
	forked_and_awaited();
	return arg;
}

static void *generate(void *in)
{
	return weft_coro_yield(in);
}

static void *hold(void *arg)
{
	weft_mutex_lock(&held);
	raise_flag(&holding);
	weft_sleep_until(WEFT_FOREVER);
	return arg;
}

/* Something must be in the way: a task that never ends and holds a mutex. */
static void with_runtime(void)
{
	struct weft_runtime_options options = {.workers = 3};

	child_needs(weft_runtime_create(&options, &runtime));
	child_needs(weft_submit(runtime, hold, NULL, &stuck));
	spin_for(&holding, 1);
	child_needs(weft_coro_create(generate, 0, &generator));
}

static void in_task(void *fn)
{
	weft_task *task = NULL;

	with_runtime();
	child_needs(weft_submit(runtime, *(weft_fn **)fn, NULL, &task));
	child_got(weft_join(task, NULL));
	_exit(97);
}

static void on_thread(void *unused)
{
	(void)unused;
	with_runtime();
	forked_and_awaited();
	_exit(96);
}

static struct child child;

static void assert_works(void (*how)(void), int code)
{
	weft_fn *fn = fork_in_task;

	act = how;
	child_run(&child, in_task, &fn);
	assert_true(child_exited_with(&child, code));
	assert_int_equal(child_lines(&child), 0);
	child_run(&child, on_thread, NULL);
	assert_true(child_exited_with(&child, code));
	assert_int_equal(child_lines(&child), 0);
}

static void assert_refused_here(void (*where)(void *), weft_fn *fn, void (*how)(void))
{
	act = how;
	child_run(&child, where, &fn);
	assert_true(child_exited_with(&child, KILLED(SIGABRT)));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "was forked while a Weft runtime was alive"));
	/* As test_exit_and_exec_work() sees, and runtime.h says. */
	assert_non_null(strstr(child.said, "it may only call _exit(), exit() or exec()"));
}

static void assert_refused(void (*how)(void))
{
	assert_refused_here(in_task, fork_in_task, how);
	assert_refused_here(on_thread, NULL, how);
}

static void exit_at_once(void)
{
	_exit(7);
}

static void exit_in_order(void)
{
	exit(8);
}

static void execute(void)
{
	execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
}

static void test_exit_and_exec_work(void **state)
{
	(void)state;
	assert_works(exit_at_once, 7);
	assert_works(exit_in_order, 8);
	assert_works(execute, 9);
}

static int own_value;

static void *store_value(void *arg)
{
	own_value++;
	return arg;
}

#define FAIL_UNLESS(condition)                                                          \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

/* As on a plain thread of a process that cannot have a runtime. */
static void call_what_returns(void)
{
	weft_runtime *rt = NULL;
	weft_mutex mutex = WEFT_MUTEX_INIT;
	weft_forked storage;
	void *out = NULL;

	FAIL_UNLESS(!weft_self() && weft_worker_id() == -1 && weft_runtime_workers(NULL) == 0);
	FAIL_UNLESS(weft_run(give_back, NULL, NULL) == -EPERM);
	FAIL_UNLESS(weft_runtime_create(NULL, &rt) == -EPERM && !rt);
	FAIL_UNLESS(weft_runtime_destroy(runtime) == -EPERM);
	FAIL_UNLESS(weft_submit(runtime, give_back, NULL, NULL) == -EPERM);
	FAIL_UNLESS(weft_submit(NULL, give_back, NULL, NULL) == -EPERM);
	FAIL_UNLESS(weft_spawn(give_back, NULL, NULL) == -EPERM);
	FAIL_UNLESS(weft_runtime_set_workers(runtime, 2) == -EPERM);
	FAIL_UNLESS(weft_runtime_set_workers(NULL, 2) == -EPERM);
	FAIL_UNLESS(weft_join_until(stuck, NULL, weft_after(1000)) == -ETIMEDOUT);
	FAIL_UNLESS(weft_sleep(1000) == 0);
	FAIL_UNLESS(!weft_cancelled());
	weft_yield();
	weft_mutex_lock(&mutex);
	weft_mutex_unlock(&mutex);
	FAIL_UNLESS(weft_mutex_try_lock(&held) == -EBUSY);
	weft_fork(&storage, store_value, &own_value);
	FAIL_UNLESS(weft_fork_join(&storage) == &own_value && own_value == 1);
	/* After such a fork ThreadSanitizer sees no edges, and every read of the coroutine is a
	 * race. */
	if (!CHILD_TSAN)
		FAIL_UNLESS(weft_coro_enter(generator, &own_value, &out) == 0 && out == &own_value);
	_exit(0);
}

static void test_calls_return(void **state)
{
	(void)state;
	assert_works(call_what_returns, 0);
}

static void join_what_never_ends(void)
{
	child_got(weft_join(stuck, NULL));
}

static void lock_what_is_held(void)
{
	weft_mutex_lock(&held);
}

/* A lock that another thread held at the fork. */
static void lock_inside(void)
{
	struct weft__lock lock = WEFT__LOCK_INIT(QUEUE);

	atomic_store_explicit(&lock.word, WEFT__LOCK_HELD, memory_order_relaxed);
	weft__lock(&lock);
}

static void nothing(void)
{
}

static void test_calls_that_would_wait_for_ever_abort(void **state)
{
	(void)state;
	assert_refused(join_what_never_ends);
	assert_refused(lock_what_is_held);
	assert_refused(lock_inside);
}

static void test_a_task_cannot_end_in_the_child(void **state)
{
	(void)state;
	assert_refused_here(in_task, fork_in_task, nothing);
	assert_refused_here(in_task, fork_in_inline_fork, nothing);
	assert_refused_here(in_task, fork_in_scope, nothing);
	assert_refused_here(in_task, return_from_scope, nothing);
}

static void *spawn_some(void *arg)
{
	weft_task *tasks[10];

	for (int i = 0; i < 10; i++)
		CHECK(weft_spawn(give_back, NULL, &tasks[i]) == 0);
	for (int i = 0; i < 10; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void run_some(void *nested)
{
	set_number("WEFT_WORKERS", 3);
	int rc = weft_run(spawn_some, NULL, NULL);
	/* And its children may, because it has ended. ThreadSanitizer refuses: there have been
	 * threads. */
	if (!nested && !CHILD_TSAN) {
		struct child grandchild;
		child_run(&grandchild, run_some, &own_value);
		if (!child_exited_with(&grandchild, 0))
			_exit(2);
	}
	exit(rc == 0 && checks_failed() == 0 ? 0 : 1);
}

static void assert_child_may_run(void)
{
	child_run(&child, run_some, NULL);
	assert_true(child_exited_with(&child, 0));
}

/* Must be the first test: there has been no runtime yet. */
static void test_a_child_without_a_runtime_may_have_its_own(void **state)
{
	(void)state;
	assert_child_may_run();
	if (CHILD_TSAN)
		return;
	assert_run(3, spawn_some, NULL);
	assert_child_may_run();
	weft_runtime *rt = assert_create(2);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_child_may_run();
}

/*
 * Forks beside threads that hold the process's locks most of the time.
 *
 * The sanitizers are left out. After such a fork ThreadSanitizer refuses to start threads, and says
 * that it does not support the rest. AddressSanitizer of gcc 12 and clang 14 has no fork handlers,
 * so a child can inherit a lock of its allocator that another thread held. About one child in
 * twenty then hangs in free() (Quarantine::Drain() spins). A program without Weft whose threads
 * only allocate hangs in the same way.
 */
#define FORKS    200
#define BATCH    40
#define CHURNERS 3

static flag churn_ends;

/* More coroutines at a time than any cache keeps, of a few sizes. */
static void churn_coroutines(unsigned round)
{
	weft_coro *coros[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		CHECK(weft_coro_create(generate, ((size_t)64 << 10) << (round % 4), &coros[i]) ==
		      0);
	for (unsigned i = 0; i < BATCH; i++)
		weft_coro_destroy(coros[i]);
}

static void *churn_stacks(void *arg)
{
	for (unsigned round = 0; !is_raised(&churn_ends, 1); round++) {
		churn_coroutines(round);
		if (round % 16 == 0)
			weft__stack_trim();
	}
	return arg;
}

static void *churn_keys(void *arg)
{
	while (!is_raised(&churn_ends, 1)) {
		weft_local key;

		CHECK(weft_local_create(NULL, &key) == 0);
		CHECK(weft_local_delete(key) == 0);
	}
	return arg;
}

static void *churn_runtimes(void *arg)
{
	while (!is_raised(&churn_ends, 1)) {
		struct weft_runtime_options options = {.workers = 1};
		weft_runtime *rt;

		CHECK(weft_runtime_create(&options, &rt) == 0);
		CHECK(weft_runtime_destroy(rt) == 0);
	}
	return arg;
}

/* In the child. Returns the child's exit code. `may_run`: no runtime was alive at the fork. */
static int use_everything(bool may_run)
{
	weft_coro *co = NULL;
	weft_local key;
	void *out = NULL;

	if (weft_coro_create(generate, 0, &co) != 0 || weft_coro_enter(co, &co, &out) != 0 ||
	    out != &co)
		return 1;
	weft_coro_destroy(co);
	churn_coroutines(2);
	weft__stack_trim();
	if (weft_local_create(NULL, &key) != 0)
		return 2;
	set_number("WEFT_WORKERS", 2);
	int rc = weft_run(spawn_some, NULL, NULL);
	if (rc != 0 && (may_run || rc != -EPERM))
		return 3;
	return checks_failed() == 0 ? 0 : 4;
}

static void fork_beside(weft_fn *const churners[CHURNERS], bool may_run)
{
	pthread_t threads[CHURNERS];
	unsigned forks = weft_test_scale(FORKS), right = 0;

	if (CHILD_TSAN || CHILD_ASAN)
		return;
	atomic_store_explicit(&churn_ends, 0, memory_order_relaxed);
	for (unsigned i = 0; i < CHURNERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churners[i], NULL), 0);
	for (unsigned i = 0; i < forks && right == i; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			child_limit();
			expect_leaks();
			_exit(use_everything(may_run));
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			fprintf(stderr, "fork %u: status %#x\n", i, (unsigned)status);
		else
			right++;
	}
	raise_flag(&churn_ends);
	for (unsigned i = 0; i < CHURNERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(right, forks);
	assert_int_equal(checks_failed(), 0);
}

static void test_a_child_finds_no_lock_held(void **state)
{
	static weft_fn *const churners[CHURNERS] = {churn_stacks, churn_stacks, churn_keys};

	(void)state;
	fork_beside(churners, true);
}

static void test_a_child_finds_no_lock_held_beside_runtimes(void **state)
{
	static weft_fn *const churners[CHURNERS] = {churn_stacks, churn_runtimes, churn_runtimes};

	(void)state;
	fork_beside(churners, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_child_without_a_runtime_may_have_its_own),
		cmocka_unit_test(test_a_child_finds_no_lock_held),
		cmocka_unit_test(test_a_child_finds_no_lock_held_beside_runtimes),
		cmocka_unit_test(test_exit_and_exec_work),
		cmocka_unit_test(test_calls_return),
		cmocka_unit_test(test_calls_that_would_wait_for_ever_abort),
		cmocka_unit_test(test_a_task_cannot_end_in_the_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
