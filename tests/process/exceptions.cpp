// SPDX-License-Identifier: MIT
//
// C++ exceptions in tasks. For each thread the C++ runtime keeps the exceptions that are being
// handled, and the number in flight. That state must travel with a task when it hops. An exception
// that leaves a task ends the process, like one that leaves a thread. Before that, one line names
// the task.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/scale.h"

#include <weft/weft.h>

namespace
{

std::atomic<unsigned> failures{0};
std::atomic<unsigned> hops{0};

#define CHECK(condition)                                                                     \
	do {                                                                                 \
		if (!(condition) && failures++ < 5)                                          \
			std::fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
	} while (0)

// Suspends, and perhaps hops, while other tasks throw on this thread.
void hop()
{
	int before = weft_worker_id();

	weft_yield();
	if (before != weft_worker_id())
		hops++;
}

struct numbered : std::runtime_error {
	explicit numbered(unsigned n) : std::runtime_error("numbered"), number(n)
	{
	}
	unsigned number;
};

// Waits while the exception is in flight, and throws and catches others meanwhile.
struct waits_when_unwound {
	explicit waits_when_unwound(int other) : others(other)
	{
	}
	~waits_when_unwound()
	{
		CHECK(std::uncaught_exceptions() == others + 1);
		hop();
		CHECK(std::uncaught_exceptions() == others + 1);
		try {
			hop();
			throw 1;
		} catch (int) {
			hop();
			CHECK(std::uncaught_exceptions() == others + 1);
		}
		CHECK(std::uncaught_exceptions() == others + 1);
	}
	int others;
};

void throw_through(unsigned number)
{
	waits_when_unwound guard{std::uncaught_exceptions()};

	hop();
	throw numbered{number};
}

unsigned number_of(std::exception_ptr pointer)
{
	try {
		std::rethrow_exception(pointer);
	} catch (const numbered &e) {
		return e.number;
	} catch (...) {
		return ~0u;
	}
}

void *throw_and_catch(void *arg)
{
	unsigned mine = *static_cast<unsigned *>(arg);

	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		unsigned number = mine * 1000 + i;

		CHECK(std::uncaught_exceptions() == 0);
		CHECK(!std::current_exception());
		try {
			try {
				throw_through(number);
				CHECK(!"reached");
			} catch (const numbered &e) {
				CHECK(e.number == number);
				hop();
				CHECK(e.number == number);
				CHECK(number_of(std::current_exception()) == number);
				// Nested: the handlers' stack is the task's.
				try {
					throw std::string("inner");
				} catch (const std::string &inner) {
					hop();
					CHECK(inner == "inner");
				}
				hop();
				CHECK(number_of(std::current_exception()) == number);
				throw;
			}
		} catch (const numbered &again) {
			hop();
			CHECK(again.number == number);
		}
	}
	return nullptr;
}

// Each inline fork catches its own exception while its parent handles another.
void *fork_in_handler(void *arg)
{
	unsigned mine = *static_cast<unsigned *>(arg);

	try {
		throw numbered{mine};
	} catch (const numbered &e) {
		weft_forked storage;
		weft_fork(&storage, throw_and_catch, arg);
		hop();
		weft_fork_join(&storage);
		CHECK(e.number == mine);
		CHECK(number_of(std::current_exception()) == mine);
	}
	CHECK(!std::current_exception());
	return nullptr;
}

// A fork is a task. It must not see its parent's exceptions, however it runs.
void *see_nothing(void *arg)
{
	bool may_hop = arg != nullptr;

	CHECK(std::uncaught_exceptions() == 0);
	CHECK(!std::current_exception());
	if (may_hop)
		hop();
	try {
		throw 1;
	} catch (int) {
		if (may_hop)
			hop();
		CHECK(std::uncaught_exceptions() == 0);
	}
	CHECK(!std::current_exception());
	return arg;
}

// A fork that has a handler of its own, and forks in it.
void *see_own(void *arg)
{
	see_nothing(arg);
	try {
		throw numbered{7};
	} catch (const numbered &) {
		weft_forked inner;
		weft_fork(&inner, see_nothing, arg);
		weft_fork_join(&inner);
		CHECK(number_of(std::current_exception()) == 7);
	}
	return arg;
}

void fork_and_join(weft_fn *fn, void *arg)
{
	weft_forked fork;

	weft_fork(&fork, fn, arg);
	weft_fork_join(&fork);
}

struct forks_when_unwound {
	void *arg;

	~forks_when_unwound()
	{
		// The first join finds out that the stack is large enough for inlining. The second
		// one knows it.
		fork_and_join(see_nothing, arg);
		fork_and_join(see_own, arg);
		CHECK(std::uncaught_exceptions() == 1);
		CHECK(!std::current_exception());
	}
};

void *fork_in_flight(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(100); i++) {
		try {
			forks_when_unwound guard{arg};
			throw numbered{i};
		} catch (const numbered &) {
			fork_and_join(see_nothing, arg);
			fork_and_join(see_own, arg);
			CHECK(number_of(std::current_exception()) == i);
		}
		CHECK(!std::current_exception());
		CHECK(std::uncaught_exceptions() == 0);
	}
	return arg;
}

void *inline_alone(void *)
{
	struct weft_stats before, after;

	CHECK(weft_runtime_stats(nullptr, &before) == 0);
	fork_in_flight(nullptr);
	CHECK(weft_runtime_stats(nullptr, &after) == 0);
	CHECK(after.inlined - before.inlined == after.forked - before.forked);
	CHECK(after.hops == before.hops);
	return nullptr;
}

void *inside_generator(void *arg)
{
	fork_in_flight(arg);
	return nullptr;
}

void *fork_in_generator(void *arg)
{
	weft_coro *co = nullptr;

	CHECK(weft_coro_create(inside_generator, 0, &co) == 0);
	try {
		throw numbered{9};
	} catch (const numbered &) {
		CHECK(weft_coro_enter(co, arg, nullptr) == 0);
		CHECK(number_of(std::current_exception()) == 9);
	}
	weft_coro_destroy(co);
	return nullptr;
}

void test_forks_see_no_exceptions()
{
	int hops_wanted;

	// Outside of a runtime a fork runs at once.
	fork_in_flight(nullptr);
	setenv("WEFT_WORKERS", "1", 1);
	CHECK(weft_run(inline_alone, nullptr, nullptr) == 0);
	CHECK(weft_run(fork_in_generator, nullptr, nullptr) == 0);
	setenv("WEFT_WORKERS", "4", 1);
	CHECK(weft_run(fork_in_flight, &hops_wanted, nullptr) == 0); // some are stolen
	setenv("WEFT_CHAOS", "1,hop", 1);
	CHECK(weft_run(fork_in_flight, &hops_wanted, nullptr) == 0);
	CHECK(weft_run(fork_in_generator, &hops_wanted, nullptr) == 0);
	unsetenv("WEFT_CHAOS");
}

void *generate(void *in)
{
	unsigned number = *static_cast<unsigned *>(in);

	try {
		throw numbered{number + 1};
	} catch (const numbered &e) {
		weft_coro_yield(nullptr);
		CHECK(e.number == number + 1);
		CHECK(number_of(std::current_exception()) == number + 1);
	}
	CHECK(!std::current_exception());
	return nullptr;
}

// The handler's state belongs to a coroutine, not to the task. One handler is suspended in a
// generator, and the task has another.
void *generator_in_handler(void *arg)
{
	unsigned mine = *static_cast<unsigned *>(arg);
	weft_coro *co = nullptr;

	CHECK(weft_coro_create(generate, 0, &co) == 0);
	try {
		throw numbered{mine};
	} catch (const numbered &e) {
		CHECK(weft_coro_enter(co, arg, nullptr) == 0);
		CHECK(number_of(std::current_exception()) == mine);
		hop();
		CHECK(e.number == mine);
	}
	CHECK(!std::current_exception());
	CHECK(weft_coro_enter(co, arg, nullptr) == 0);
	CHECK(weft_coro_done(co));
	weft_coro_destroy(co);
	return nullptr;
}

void *spawn_all(void *)
{
	weft_fn *const kinds[] = {throw_and_catch, fork_in_handler, generator_in_handler};
	constexpr unsigned count = 24;
	weft_task *tasks[count];
	unsigned numbers[count];

	for (unsigned i = 0; i < count; i++) {
		numbers[i] = i;
		if (weft_spawn(kinds[i % 3], &numbers[i], &tasks[i]) != 0)
			std::abort();
	}
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_join(tasks[i], nullptr) == 0);
	return nullptr;
}

void test_caught_across_hops()
{
	hops = 0;
	setenv("WEFT_WORKERS", "1", 1);
	CHECK(weft_run(spawn_all, nullptr, nullptr) == 0);
	setenv("WEFT_WORKERS", "4", 1);
	setenv("WEFT_CHAOS", "1,hop", 1);
	CHECK(weft_run(spawn_all, nullptr, nullptr) == 0);
	unsetenv("WEFT_CHAOS");
	CHECK(hops > 0);
}

// --- what leaves a task ---------------------------------------------------------------------

void *escape(void *)
{
	hop();
	throw numbered{1};
}

void *escape_named(void *arg)
{
	const weft_task_options options = {"thrower", 0, false};
	weft_task *task = nullptr;

	CHECK(weft_spawn_with(&options, escape, arg, &task) == 0);
	CHECK(weft_join(task, nullptr) == 0);
	return nullptr;
}

// The parent's handler must not see it, because the fork must not unwind the parent's frames.
void *escape_inline(void *arg)
{
	weft_forked storage;

	try {
		weft_fork(&storage, escape, arg);
		weft_fork_join(&storage);
	} catch (...) {
		std::fputs("caught by the parent\n", stderr);
	}
	return nullptr;
}

void *escape_range(void *)
{
	try {
		weft_for(
			0, 100, 1, [](size_t, size_t, void *) { throw 1; }, nullptr);
	} catch (...) {
		std::fputs("caught by the parent\n", stderr);
	}
	return nullptr;
}

void *escape_reduction(void *)
{
	long sum;

	try {
		if (weft_reduce(
			    0, 100, 1, [](size_t, size_t, void *, void *) {},
			    [](void *, const void *, void *) { throw 1; }, nullptr, nullptr,
			    sizeof sum, &sum) != 0)
			std::fputs("refused\n", stderr);
	} catch (...) {
		std::fputs("caught by the parent\n", stderr);
	}
	return nullptr;
}

void *end_thread(void *)
{
	hop();
	pthread_exit(nullptr);
}

void say_terminating()
{
	std::fputs(std::current_exception() ? "terminating, with an exception\n" : "terminating\n",
		   stderr);
	std::abort();
}

struct child {
	int status;
	std::string said;

	bool has(const char *text) const
	{
		return said.find(text) != std::string::npos;
	}
	unsigned lines() const
	{
		unsigned count = 0;

		for (size_t at = 0; at != std::string::npos && at < said.size();) {
			count += said.compare(at, 6, "weft: ") == 0;
			at = said.find('\n', at);
			at += at != std::string::npos;
		}
		return count;
	}
	bool aborted() const
	{
		return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	}
};

child in_child(weft_fn *fn)
{
	int ends[2];
	child result{-1, ""};

	if (pipe(ends) != 0)
		return result;
	pid_t pid = fork();
	if (pid == 0) {
		const rlimit no_core{0, 0};

		close(ends[0]);
		dup2(ends[1], STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &no_core);
		std::signal(SIGABRT, SIG_DFL);
		alarm(300); // a hang is a failure
		std::set_terminate(say_terminating);
		setenv("WEFT_WORKERS", "1", 1);
		_exit(weft_run(fn, nullptr, nullptr) == 0 ? 0 : 98);
	}
	close(ends[1]);
	char buffer[4096];
	for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
		result.said.append(buffer, static_cast<size_t>(got));
	close(ends[0]);
	waitpid(pid, &result.status, 0);
	return result;
}

void test_escapes(const char *what, weft_fn *fn, const char *text, bool terminates)
{
	child child = in_child(fn);
	unsigned before = failures;

	CHECK(child.aborted());
	CHECK(child.lines() == 1);
	CHECK(child.has(text));
	CHECK(!child.has("caught by the parent"));
	// Still in the frame of the throw, so the handler can see the exception.
	CHECK(child.has("terminating, with an exception\n") == terminates);
	if (failures != before)
		std::fprintf(stderr, "%s: status %#x, said:\n%s", what,
			     static_cast<unsigned>(child.status), child.said.c_str());
}

} // namespace

int main()
{
	char function[64];

	// First, before this process has had threads.
	std::snprintf(function, sizeof function, "\"thrower\", function %p, which ",
		      reinterpret_cast<void *>(escape));
	test_escapes("a task", escape_named, "an exception leaves task ", true);
	test_escapes("a task's name", escape_named, function, true);
	test_escapes("the first task", escape, "an exception leaves task ", true);
	test_escapes("an inline fork", escape_inline, "an exception leaves task ", true);
	test_escapes("a range", escape_range, "an exception leaves ", true);
	test_escapes("a reduction", escape_reduction, "an exception leaves ", true);
#if !defined(__SANITIZE_THREAD__) && !defined(WEFT_TEST_SCALE_TSAN)
	// ThreadSanitizer fails on the spot.
	test_escapes("pthread_exit", end_thread, "pthread_exit() or pthread_cancel() in task ",
		     false);
#endif
	test_caught_across_hops();
	test_forks_see_no_exceptions();
	if (failures > 0)
		std::fprintf(stderr, "%u checks failed\n", failures.load());
	else
		std::puts("ok");
	return failures > 0;
}
