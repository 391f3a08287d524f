/* SPDX-License-Identifier: MIT */
/*
 * boost_fiber ROW WORKERS ARGUMENT...: Boost.Fiber. On several threads it has the algorithm
 * work_stealing, which suspends when idle. On one thread it has round_robin, because work_stealing
 * would find nobody to steal from and spin for ever.
 */
#include "../kernels.h"

#include <atomic>
#include <boost/fiber/all.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;
using lock = std::unique_lock<fibers::mutex>;

/*
 * 64 KiB come from malloc()'s heap, larger stacks from a mapping each: this is the faster
 * choice.
 */
static fibers::fixedsize_stack stacks{64 << 10};

template <typename Fn> static fibers::fiber make(Fn fn)
{
	return fibers::fiber(fibers::launch::post, std::allocator_arg, stacks, std::move(fn));
}

static void yield(long, char **argv)
{
	long tasks = atol(argv[0]), rounds = atol(argv[1]) / tasks, started = 0, yields = 0;
	bool go = false;
	std::vector<fibers::fiber> all;

	all.reserve(tasks);
	for (long i = 0; i < tasks; i++)
		all.push_back(make([&] {
			started++;
			while (!go)
				boost::this_fiber::yield();
			for (long r = 0; r < rounds; r++)
				boost::this_fiber::yield();
			yields += rounds;
		}));
	while (started < tasks)
		boost::this_fiber::yield();
	int64_t start = bench_now();
	go = true;
	for (auto &fiber : all)
		fiber.join();
	bench_report("yield", double(bench_now() - start) / double(tasks * rounds), "ns");
	bench_check(yields == tasks * rounds, "the count of yields");
}

static void spawn(long, char **argv)
{
	long count = atol(argv[0]), sum = 0;
	int64_t start = 0;

	for (long i = -count / 10; i < count; i++) {
		long value = 0;
		if (i == 0)
			start = bench_now();
		make([&value, i] { value = i; }).join();
		if (i >= 0)
			sum += value;
	}
	bench_report("spawn", double(bench_now() - start) / double(count), "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
}

static void million(long, char **argv)
{
	long count = atol(argv[0]), sum = 0;
	std::vector<fibers::fiber> all(count);
	std::vector<long> results(count);

	int64_t start = bench_now();
	for (long i = 0; i < count; i++)
		all[i] = make([&results, i] { results[i] = i; });
	for (long i = 0; i < count; i++) {
		all[i].join();
		sum += results[i];
	}
	bench_report("million", double(bench_now() - start) / double(count), "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
	bench_report("million_peak", bench_status("VmHWM") / (1 << 20), "MiB");
}

static long fib_task(long n)
{
	long a = 0, b;

	if (n < 2)
		return n;
	fibers::fiber fiber = make([&a, n] { a = fib_task(n - 1); });
	b = fib_task(n - 2);
	fiber.join();
	return a + b;
}

static void fib(long, char **argv)
{
	long n = atol(argv[0]);

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		fib_task(n > 10 ? 10 : n);
	int64_t start = bench_now();
	long result = fib_task(n);
	bench_report("fib", double(bench_now() - start) / double(fib_tasks(n)), "ns");
	bench_check(result == fib_expected(n), "fib");
}

static void pingpong(long, char **argv)
{
	long count = atol(argv[0]), turns = 0;
	fibers::unbuffered_channel<long> ping, pong;
	long value = 0;

	fibers::fiber partner = make([&] {
		long ball;
		while (ping.pop(ball) == fibers::channel_op_status::success)
			pong.push(ball + 1);
	});
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		ping.push(value);
		pong.pop(value);
		turns++;
	}
	bench_report("pingpong", double(bench_now() - start) / double(count), "ns");
	ping.close();
	partner.join();
	bench_check(turns == count && value == count, "the count of turns");
}

static void condition(long, char **argv)
{
	long count = atol(argv[0]), turns = 0;
	fibers::mutex mutex;
	fibers::condition_variable changed;
	bool theirs = false;

	fibers::fiber partner = make([&] {
		for (long i = 0; i < count; i++) {
			lock held(mutex);
			changed.wait(held, [&] { return theirs; });
			theirs = false;
			turns++;
			changed.notify_one();
		}
	});
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		lock held(mutex);
		theirs = true;
		changed.notify_one();
		changed.wait(held, [&] { return !theirs; });
	}
	bench_report("condition", double(bench_now() - start) / double(count), "ns");
	partner.join();
	bench_check(turns == count, "the count of turns");
}

static void counter(long, char **argv)
{
	long tasks = atol(argv[0]), each = atol(argv[1]) / tasks, counter = 0;
	fibers::mutex mutex;
	std::vector<fibers::fiber> all;

	int64_t start = bench_now();
	for (long i = 0; i < tasks; i++)
		all.push_back(make([&] {
			for (long n = 0; n < each; n++) {
				lock held(mutex);
				counter++;
			}
		}));
	for (auto &fiber : all)
		fiber.join();
	bench_report("counter", double(bench_now() - start) / double(tasks * each), "ns");
	bench_check(counter == tasks * each, "the counter");
}

static void mutex_alone(long, char **argv)
{
	long count = atol(argv[0]), counter = 0;
	fibers::mutex mutex;

	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		lock held(mutex);
		counter++;
	}
	bench_report("mutex", double(bench_now() - start) / double(count), "ns");
	bench_check(counter == count, "the counter");
}

static void channel(long, char **argv)
{
	const long sides = 4;
	long total = atol(argv[0]), each = total / sides;
	std::atomic<long> sum{0};
	fibers::buffered_channel<long> channel{128};
	std::vector<fibers::fiber> producers, consumers;

	int64_t start = bench_now();
	for (long i = 0; i < sides; i++) {
		consumers.push_back(make([&] {
			long value, mine = 0;
			while (channel.pop(value) == fibers::channel_op_status::success)
				mine += value;
			sum += mine;
		}));
		producers.push_back(make([&] {
			for (long n = 1; n <= each; n++)
				channel.push(n);
		}));
	}
	for (auto &fiber : producers)
		fiber.join();
	channel.close();
	for (auto &fiber : consumers)
		fiber.join();
	bench_report("channel", double(bench_now() - start) / double(sides * each), "ns");
	bench_check(sum == sides * each * (each + 1) / 2, "the sum of what was received");
}

/* All sleep until the same time: how long until all sleep, and from then until all woke. */
static void sleepers(long, char **argv)
{
	long count = atol(argv[0]);
	std::atomic<long> armed{0};
	int64_t arm = 0;
	std::vector<fibers::fiber> all;

	all.reserve(count);
	int64_t start = bench_now(), when = start + atol(argv[1]) * 1000000;
	std::chrono::steady_clock::time_point wake_up{std::chrono::nanoseconds(when)};
	for (long i = 0; i < count; i++)
		all.push_back(make([&armed, &arm, count, wake_up] {
			if (armed.fetch_add(1) + 1 == count)
				arm = bench_now();
			boost::this_fiber::sleep_until(wake_up);
		}));
	for (auto &fiber : all)
		fiber.join();
	int64_t end = bench_now();
	bench_check(arm < when, "some came too late to sleep");
	bench_report("sleepers", double(arm - start + end - when) / double(count), "ns");
}

/* A plain thread wakes a fiber that waits for a condition. */
static void wake(long, char **argv)
{
	long count = atol(argv[0]);
	std::vector<int64_t> samples(count);
	fibers::mutex mutex;
	fibers::condition_variable changed;
	long sent = 0;
	std::atomic<long> done{0};
	int64_t submitted = 0, cpu = 0, wall = 0;

	std::thread outside([&] {
		bench_sleep(20 * 1000000);
		cpu = bench_cpu_time(), wall = bench_now();
		for (long i = 0; i < count; i++) {
			{
				lock held(mutex);
				submitted = bench_now();
				sent++;
			}
			changed.notify_one();
			do
				bench_sleep(1000000);
			while (done.load(std::memory_order_acquire) <= i);
		}
		cpu = bench_cpu_time() - cpu;
		wall = bench_now() - wall;
	});
	for (long i = 0; i < count; i++) {
		lock held(mutex);
		changed.wait(held, [&] { return sent > i; });
		samples[i] = bench_now() - submitted;
		done.fetch_add(1, std::memory_order_release);
	}
	outside.join();
	bench_report_latency(samples.data(), size_t(count));
	bench_report("wake_cpu", 100.0 * double(cpu) / double(wall), "%");
}

#include "boost_memory.h"

/* Runs row(argv) in a fiber of the calling thread, with workers - 1 further threads. */
static void run_with(long workers, void (*row)(long, char **), char **argv)
{
	fibers::mutex mutex;
	fibers::condition_variable_any ended;
	bool over = false;
	std::vector<std::thread> threads;

	if (workers == 1) {
		fibers::use_scheduling_algorithm<fibers::algo::round_robin>();
		row(workers, argv);
		return;
	}
	for (long i = 1; i < workers; i++)
		threads.emplace_back([&] {
			fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(
				uint32_t(workers), true);
			lock held(mutex);
			ended.wait(held, [&] { return over; });
		});
	fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(uint32_t(workers), true);
	fibers::fiber(row, workers, argv).join();
	{
		lock held(mutex);
		over = true;
	}
	ended.notify_all();
	for (auto &thread : threads)
		thread.join();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(long workers, char **argv);
	} rows[] = {
		{"yield", yield},     {"spawn", spawn},       {"million", million},
		{"fib", fib},         {"pingpong", pingpong}, {"condition", condition},
		{"counter", counter}, {"channel", channel},   {"sleepers", sleepers},
		{"wake", wake},       {"memory", memory},     {"mutex", mutex_alone},
	};

	for (const auto &row : rows) {
		if (argc < 4 || strcmp(row.name, argv[1]) != 0)
			continue;
		run_with(atol(argv[2]), row.run, argv + 3);
		return 0;
	}
	fprintf(stderr, "usage: boost_fiber ROW WORKERS ARGUMENT...\n");
	return 2;
}
