/* SPDX-License-Identifier: MIT */
/* onetbb ROW WORKERS ARGUMENT...: oneTBB's task groups, and its reductions. */
#include "../kernels.h"

#include <atomic>
#include <memory>
#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_invoke.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <vector>

static void spawn(char **argv)
{
	long count = atol(argv[0]), sum = 0;
	int64_t start = 0;
	tbb::task_group group;

	for (long i = -count / 10; i < count; i++) {
		long value = 0;
		if (i == 0)
			start = bench_now();
		group.run([&value, i] { value = i; });
		group.wait();
		if (i >= 0)
			sum += value;
	}
	bench_report("spawn", double(bench_now() - start) / double(count), "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
}

static void million(char **argv)
{
	long count = atol(argv[0]), sum = 0;
	std::vector<long> results(count);
	tbb::task_group group;

	int64_t start = bench_now();
	for (long i = 0; i < count; i++)
		group.run([&results, i] { results[i] = i; });
	group.wait();
	for (long value : results)
		sum += value;
	bench_report("million", double(bench_now() - start) / double(count), "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
	bench_report("million_peak", bench_status("VmHWM") / (1 << 20), "MiB");
}

static long fib_task(long n)
{
	if (n < 2)
		return n;
	long a, b;
	tbb::task_group group;
	group.run([&a, n] { a = fib_task(n - 1); });
	b = fib_task(n - 2);
	group.wait();
	return a + b;
}

static void fib(char **argv)
{
	long n = atol(argv[0]);

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		fib_task(n - 4);
	int64_t start = bench_now();
	long result = fib_task(n);
	bench_report("fib", double(bench_now() - start) / double(fib_tasks(n)), "ns");
	bench_check(result == fib_expected(n), "fib");
}

static long place(const board &board, int row, int n)
{
	long solutions[QUEENS_MAX] = {}, sum = 0;

	if (row == n)
		return 1;
	tbb::task_group group;
	for (int column = 0; column < n; column++) {
		if (!board_safe(&board, row, column))
			continue;
		struct board next = board;
		next.column[row] = (signed char)column;
		long *solution = &solutions[column];
		group.run([=] { *solution = place(next, row + 1, n); });
	}
	group.wait();
	for (long s : solutions)
		sum += s;
	return sum;
}

static void queens(char **argv)
{
	int n = atoi(argv[0]);
	board board = {};

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		place(board, 0, n - 1);
	int64_t start = bench_now();
	long solutions = place(board, 0, n);
	bench_report("queens", double(bench_now() - start) / 1e6, "ms");
	bench_check(solutions == queens_expected(n), "the count of solutions");
}

static void sort_task(int *a, size_t n)
{
	if (n <= SORT_CUTOFF) {
		sort_serial(a, n);
		return;
	}
	size_t left = sort_partition(a, n);
	tbb::parallel_invoke([=] { sort_task(a, left); }, [=] { sort_task(a + left, n - left); });
}

static void sort(char **argv)
{
	size_t n = size_t(atol(argv[0]));
	uint64_t sum;
	int *a = sort_input(n, &sum);

	int64_t start = bench_now();
	sort_task(a, n);
	bench_report("sort", double(bench_now() - start) / 1e6, "ms");
	sort_check(a, n, sum);
	free(a);
}

static long sum_task(long number, long size)
{
	if (size == 1)
		return number;
	long sums[10], total = 0;
	tbb::task_group group;
	for (int i = 0; i < 10; i++) {
		long *sum = &sums[i];
		group.run([=] { *sum = sum_task(number + i * (size / 10), size / 10); });
	}
	group.wait();
	for (long sum : sums)
		total += sum;
	return total;
}

static void skynet(char **argv)
{
	long leaves = atol(argv[0]);

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum_task(0, leaves);
	int64_t start = bench_now();
	long result = sum_task(0, leaves);
	bench_report("skynet", double(bench_now() - start) / 1e6, "ms");
	bench_check(result == leaves * (leaves - 1) / 2, "the sum");
}

static void wake(char **argv)
{
	size_t count = size_t(atol(argv[0]));
	std::vector<int64_t> samples(count);
	std::atomic<size_t> done{0};
	tbb::task_arena arena(2, 0);

	arena.enqueue([] {});
	bench_sleep(200 * 1000000);
	int64_t cpu = bench_cpu_time(), start = bench_now();
	for (size_t i = 0; i < count; i++) {
		int64_t submitted = bench_now();
		arena.enqueue([&samples, &done, i, submitted] {
			samples[i] = bench_now() - submitted;
			done.fetch_add(1, std::memory_order_release);
		});
		do
			bench_sleep(1000000);
		while (done.load(std::memory_order_acquire) <= i);
	}
	cpu = bench_cpu_time() - cpu;
	start = bench_now() - start;
	bench_report_latency(samples.data(), count);
	bench_report("wake_cpu", 100.0 * double(cpu) / double(start), "%");
}

static double sum_of(const double *x, size_t n)
{
	return tbb::parallel_reduce(
		tbb::blocked_range<size_t>(0, n), 0.0,
		[=](const tbb::blocked_range<size_t> &part, double sum) {
			return sum + squares(x, part.begin(), part.end());
		},
		[](double left, double right) { return left + right; });
}

static void reduce(char **argv)
{
	size_t count = size_t(atol(argv[0]));
	long rounds = atol(argv[1]) / long(count);
	double *x = squares_input(count), sum = 0;

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum = sum_of(x, count);
	int64_t start = bench_now();
	for (long i = 0; i < rounds; i++)
		sum = sum_of(x, count);
	bench_report("reduce", double(bench_now() - start) / double(rounds) / 1e3, "us");
	squares_check(x, count, sum);
	free(x);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **argv);
		int outside; /* threads that are not workers */
	} rows[] = {
		{"spawn", spawn, 0},   {"million", million, 0}, {"fib", fib, 0},
		{"queens", queens, 0}, {"sort", sort, 0},       {"skynet", skynet, 0},
		{"wake", wake, 1},     {"reduce", reduce, 0},
	};

	for (const auto &row : rows) {
		if (argc < 4 || strcmp(row.name, argv[1]) != 0)
			continue;
		int workers = atoi(argv[2]);
		tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
					  size_t(workers + row.outside));
		if (row.outside) {
			row.run(argv + 3);
		} else {
			tbb::task_arena arena(workers);
			arena.execute([&] { row.run(argv + 3); });
		}
		return 0;
	}
	fprintf(stderr, "usage: onetbb ROW WORKERS ARGUMENT...\n");
	return 2;
}
