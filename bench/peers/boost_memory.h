/* SPDX-License-Identifier: MIT */
/*
 * The row memory of boost_fiber.cpp, of which this is a part: so many fibers that wait, see
 * bench/weft/memory.c.
 */

class gate
{
	fibers::mutex mutex;
	fibers::condition_variable opened;
	bool is_open = false;

      public:
	void wait()
	{
		lock held(mutex);
		opened.wait(held, [this] { return is_open; });
	}

	void open()
	{
		lock held(mutex);
		is_open = true;
		opened.notify_all();
	}
};

/* A count that one waits for. */
class latch
{
	std::atomic<long> left;
	gate reached;

      public:
	explicit latch(long count) : left(count)
	{
	}

	void count_down()
	{
		if (left.fetch_sub(1) == 1)
			reached.open();
	}

	void wait()
	{
		reached.wait();
	}
};

static void memory(long, char **argv)
{
	struct figures {
		double create, resume, end, bytes;
	} figures[2];
	long count = atol(argv[0]);
	std::vector<fibers::fiber> all(count);
	double before = bench_memory();

	for (struct figures &f : figures) {
		gate gates[2];
		latch arrivals[2] = {latch(count), latch(count)};
		std::atomic<long> sum{0};

		int64_t start = bench_now();
		for (long i = 0; i < count; i++)
			all[i] = make([&gates, &arrivals, &sum, i] {
				for (int g = 0; g < 2; g++) {
					arrivals[g].count_down();
					gates[g].wait();
				}
				sum += i;
			});
		arrivals[0].wait();
		f.create = double(bench_now() - start) / double(count);
		f.bytes = (bench_memory() - before) / double(count);

		start = bench_now();
		gates[0].open();
		arrivals[1].wait();
		f.resume = double(bench_now() - start) / double(count);

		start = bench_now();
		gates[1].open();
		for (auto &fiber : all)
			fiber.join();
		f.end = double(bench_now() - start) / double(count);
		bench_check(sum == count * (count - 1) / 2, "the sum");
	}
	boost::this_fiber::sleep_for(std::chrono::seconds(1));
	double held = bench_memory() - before;
	bench_report("memory_bytes", figures[0].bytes, "bytes");
	bench_report("memory_create_cold", figures[0].create, "ns");
	bench_report("memory_create_warm", figures[1].create, "ns");
	bench_report("memory_resume", figures[1].resume, "ns");
	bench_report("memory_end_cold", figures[0].end, "ns");
	bench_report("memory_end_warm", figures[1].end, "ns");
	bench_report("memory_held", 100.0 * held / (figures[0].bytes * double(count)), "%");
}
