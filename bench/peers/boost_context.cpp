/* SPDX-License-Identifier: MIT */
/*
 * boost_context ROW WORKERS COUNT: two coroutines hand over to each other on one thread. `fiber` is
 * the interface for users, `fcontext` the assembly beneath it.
 */
#include "../bench.h"

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fiber.hpp>

namespace ctx = boost::context;

static long switches;

static void fiber(long count)
{
	ctx::fiber other{[](ctx::fiber &&caller) {
		for (;;) {
			switches++;
			caller = std::move(caller).resume();
		}
		return std::move(caller);
	}};
	int64_t start = 0;

	for (long i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		other = std::move(other).resume();
	}
	bench_report("context", double(bench_now() - start) / double(count) / 2, "ns");
	bench_check(switches == count + count / 10, "the count of switches");
}

static void jumper(ctx::detail::transfer_t transfer)
{
	for (;;) {
		switches++;
		transfer = ctx::detail::jump_fcontext(transfer.fctx, nullptr);
	}
}

static void fcontext(long count)
{
	alignas(64) static char stack[65536];
	ctx::detail::transfer_t transfer = {
		ctx::detail::make_fcontext(stack + sizeof stack, sizeof stack, jumper), nullptr};
	int64_t start = 0;

	for (long i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		transfer = ctx::detail::jump_fcontext(transfer.fctx, nullptr);
	}
	bench_report("context", double(bench_now() - start) / double(count) / 2, "ns");
	bench_check(switches == count + count / 10, "the count of switches");
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 3);

	if (strcmp(argv[1], "fiber") == 0)
		fiber(count);
	else if (strcmp(argv[1], "fcontext") == 0)
		fcontext(count);
	else
		return 2;
	return 0;
}
