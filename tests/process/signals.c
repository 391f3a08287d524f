/* SPDX-License-Identifier: MIT */
/*
 * Signals that arrive all the time, on every thread, without SA_RESTART. Each system call that can
 * be interrupted is interrupted. Nothing is lost, repeated or returned too early. In another test
 * the process is stopped and continued at any moment.
 */
#include "work.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define ROUNDS weft_test_scale(60)
#define STOPS  weft_test_scale(60)

/* relaxed everywhere: only counts */
static _Atomic unsigned arrived, on_workers;
static _Atomic bool pestering;

/* The signal may arrive in the middle of a task, and errno is the task's. */
static void on_signal(int sig)
{
	int saved = errno;

	(void)sig;
	atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
	if (weft_worker_id() >= 0)
		atomic_fetch_add_explicit(&on_workers, 1, memory_order_relaxed);
	errno = saved + 1;
	errno = saved;
}

/* The timer's signals mostly go to the main thread. This covers the other threads. */
static void *pester(void *arg)
{
	pid_t self = (pid_t)syscall(SYS_gettid);
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	while (atomic_load_explicit(&pestering, memory_order_relaxed)) {
		DIR *dir = opendir("/proc/self/task");
		struct dirent *entry;
		while (dir && (entry = readdir(dir))) {
			long thread = strtol(entry->d_name, NULL, 10);
			if (thread > 0 && thread != self)
				syscall(SYS_tgkill, getpid(), thread, SIGALRM);
		}
		if (dir)
			closedir(dir);
		usleep(1000); /* the rate of the signals; nothing waits for it */
	}
	return arg;
}

static void test_signals_disturb_nothing(void **state)
{
	const struct itimerval often = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
	const struct itimerval never = {0};
	struct sigaction action = {.sa_handler = on_signal}, before;
	pthread_t thread;

	(void)state;
	sigaction(SIGALRM, &action, &before);
	atomic_store_explicit(&pestering, true, memory_order_relaxed);
	assert_int_equal(pthread_create(&thread, NULL, pester, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	bool well;
	do /* until the test has tested something */
		well = work_all(ROUNDS);
	while (well && (atomic_load_explicit(&arrived, memory_order_relaxed) <= 10 ||
			atomic_load_explicit(&on_workers, memory_order_relaxed) == 0));
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	atomic_store_explicit(&pestering, false, memory_order_relaxed);
	pthread_join(thread, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_true(well);
}

/* Works until its parent has seen enough, for at least one round. */
static void work_on(void *ends)
{
	int *pipe_ends = ends;
	unsigned rounds = 0;
	char c;

	close(pipe_ends[1]);
	do {
		if (!work_all(1))
			_exit(1);
		rounds++;
	} while (read(pipe_ends[0], &c, 1) < 0); /* EAGAIN: nothing yet; 0: closed */
	_exit(0);
}

/* Like child_run(), but the parent stops the child again and again. */
static void test_a_stopped_process_goes_on(void **state)
{
	int ends[2], status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child_limit();
		work_on(ends);
	}
	for (unsigned i = 0; i < STOPS; i++) {
		assert_int_equal(kill(pid, SIGSTOP), 0);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(kill(pid, SIGCONT), 0);
		/* Long enough that the child gets somewhere, each time somewhere else. */
		usleep(500 + i * 137 % 3000);
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static _Atomic bool handled;

static void note(int number)
{
	(void)number;
	atomic_store_explicit(&handled, true, memory_order_relaxed);
}

static void *tell_thread(void *thread)
{
	*(pthread_t *)thread = pthread_self();
	return thread;
}

/* Waits until workers have gone to sleep more than `before` times. Returns that number. */
static uint64_t await_sleep(weft_runtime *rt, uint64_t before)
{
	int64_t lost = weft_after(LOST_NS);
	struct weft_stats stats;

	do {
		assert_true(weft_now() < lost);
		sched_yield();
		assert_int_equal(weft_runtime_stats(rt, &stats), 0);
	} while (stats.sleeps <= before);
	return stats.sleeps;
}

/* A runtime without work. Its worker sleeps, and only the signal wakes it. If the signal comes
 * earlier, ThreadSanitizer keeps it with the fiber that runs then, which is the task's. */
static void test_a_sleeping_worker_runs_a_handler(void **state)
{
	const struct sigaction act = {.sa_handler = note};
	struct sigaction old;
	weft_runtime *rt = assert_create(1);
	weft_task *task;
	pthread_t worker;

	(void)state;
	assert_int_equal(sigaction(SIGUSR2, &act, &old), 0);
	uint64_t sleeps = await_sleep(rt, 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(weft_submit(rt, tell_thread, &worker, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		sleeps = await_sleep(rt, sleeps);
		atomic_store_explicit(&handled, false, memory_order_relaxed);
		assert_int_equal(pthread_kill(worker, SIGUSR2), 0);
		int64_t lost = weft_after(LOST_NS);
		while (!atomic_load_explicit(&handled, memory_order_relaxed)) {
			assert_true(weft_now() < lost);
			sched_yield();
		}
	}
	assert_int_equal(sigaction(SIGUSR2, &old, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: under ThreadSanitizer a process that had threads may not fork and start
		 * new ones. */
		cmocka_unit_test(test_a_stopped_process_goes_on),
		cmocka_unit_test(test_signals_disturb_nothing),
		cmocka_unit_test(test_a_sleeping_worker_runs_a_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
