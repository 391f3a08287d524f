/* SPDX-License-Identifier: MIT */
/* Runs part of a test in a child process that may die, and keeps its output on stderr. */
#ifndef WEFT_TESTS_SRC_CHILD_H
#define WEFT_TESTS_SRC_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define CHILD_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_TSAN 1
#endif
#endif
#ifndef CHILD_TSAN
#define CHILD_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define CHILD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHILD_ASAN 1
#endif
#endif
#ifndef CHILD_ASAN
#define CHILD_ASAN 0
#endif

/* Valgrind's search for leaks reads whole arenas, with a fault for each page of a guard. */
static inline void child_no_leak_check(void)
{
#ifdef VALGRIND_CLO_CHANGE
	VALGRIND_CLO_CHANGE("--leak-check=no");
#endif
}

/* The time after which a hanging child fails with SIGALRM. It is long, because a busy machine may
 * need all of it. */
#define CHILD_SECONDS 300

static inline void child_limit(void)
{
	signal(SIGALRM, SIG_DFL);
	alarm(CHILD_SECONDS);
}

/* In a child: a call that must succeed before the call that the test is about. */
static inline void child_needs(int rc)
{
	if (rc < 0) {
		fprintf(stderr, "child: a call that it needs failed: %s\n", strerror(-rc));
		_exit(98);
	}
}

/* In a child: reports the result of a call that should not have returned. */
static inline void child_got(int rc)
{
	fprintf(stderr, "child: a call returned %d\n", rc);
}

struct child {
	int status; /* the status of waitpid() */
	char said[8192];
};

/* Runs fn(arg) in a child with default signal handling and a time limit. A return of fn is exit(0).
 * If there is no child, .status is -1. */
static inline void child_run(struct child *child, void (*fn)(void *arg), void *arg)
{
	struct rlimit no_core = {0};
	size_t used = 0;
	ssize_t got;
	int ends[2];
	pid_t pid;

	child->status = -1;
	child->said[0] = '\0';
	if (pipe(ends) != 0) {
		perror("child_run: pipe");
		return;
	}
	pid = fork();
	if (pid < 0)
		perror("child_run: fork");
	if (pid == 0) {
		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		child_no_leak_check(); /* the child is about to die */
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		child_limit();
		fn(arg);
		exit(0);
	}
	close(ends[1]);
	while (pid > 0 && used < sizeof(child->said) - 1 &&
	       (got = read(ends[0], child->said + used, sizeof(child->said) - 1 - used)) > 0)
		used += (size_t)got;
	child->said[used] = '\0';
	close(ends[0]);
	if (pid > 0 && waitpid(pid, &child->status, 0) != pid)
		perror("child_run: waitpid");
}

/* If the child ended unexpectedly, prints everything that is known. Such an end is hard to
 * reproduce. */
static inline int child_ended(const struct child *child, int as_expected)
{
	if (!as_expected)
		fprintf(stderr, "child: status 0x%x, said:\n%s\n", (unsigned)child->status,
			child->said);
	return as_expected;
}

static inline int child_died_of(const struct child *child, int signal_number)
{
	return child_ended(child, child->status != -1 && WIFSIGNALED(child->status) &&
					  WTERMSIG(child->status) == signal_number);
}

static inline int child_exited_with(const struct child *child, int code)
{
	return child_ended(child, child->status != -1 && WIFEXITED(child->status) &&
					  WEXITSTATUS(child->status) == code);
}

/* The number of its output lines that begin with "weft: ". The lines of tools and of the loader do
 * not count. */
static inline int child_lines(const struct child *child)
{
	int lines = 0;

	for (const char *at = child->said; at && *at;) {
		lines += strncmp(at, "weft: ", 6) == 0;
		at = strchr(at, '\n');
		if (at)
			at++;
	}
	return lines;
}

#endif
