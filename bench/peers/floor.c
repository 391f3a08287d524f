/* SPDX-License-Identifier: MIT */
/*
 * floor ROW WORKERS ARGUMENT...: what the machine, the kernel and the C library do without any
 * scheduler. It has the serial programs, swapcontext(), sigsetjmp() and siglongjmp(), a lock that
 * is only an atomic variable, and the memory of stacks. Only kernel-stacks has threads.
 */
#undef _FORTIFY_SOURCE /* its longjmp() refuses to go to another stack */

#include "../kernels.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/* --- serial programs --- */

static __attribute__((noinline)) long fib(long n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void serial_fib(char **argv)
{
	volatile long n = atol(argv[0]);
	int64_t start = bench_now();
	long result = fib(n);

	bench_report("fib", (double)(bench_now() - start) / (double)fib_tasks(n), "ns");
	bench_check(result == fib_expected(n), "fib");
}

static long place(struct board *board, int row, int n)
{
	long solutions = 0;

	if (row == n)
		return 1;
	for (int column = 0; column < n; column++) {
		if (!board_safe(board, row, column))
			continue;
		board->column[row] = (signed char)column;
		solutions += place(board, row + 1, n);
	}
	return solutions;
}

static void serial_queens(char **argv)
{
	volatile int n = atoi(argv[0]);
	struct board board = {{0}};

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		place(&board, 0, n - 1);
	int64_t start = bench_now();
	long solutions = place(&board, 0, n);
	bench_report("queens", (double)(bench_now() - start) / 1e6, "ms");
	bench_check(solutions == queens_expected(n), "the count of solutions");
}

static void serial_sort(char **argv)
{
	size_t n = (size_t)atol(argv[0]);
	uint64_t sum;
	int *a = sort_input(n, &sum);

	int64_t start = bench_now();
	sort_serial(a, n);
	bench_report("sort", (double)(bench_now() - start) / 1e6, "ms");
	sort_check(a, n, sum);
	free(a);
}

static void serial_reduce(char **argv)
{
	size_t count = (size_t)atol(argv[0]);
	long rounds = atol(argv[1]) / (long)count;
	double *x = squares_input(count), sum = 0;

	int64_t start = bench_now();
	for (long i = 0; i < rounds; i++) {
		atomic_signal_fence(memory_order_seq_cst);
		sum = squares(x, 0, count);
	}
	bench_report("reduce", (double)(bench_now() - start) / (double)rounds / 1e3, "us");
	squares_check(x, count, sum);
	free(x);
}

/* --- switches --- */

static ucontext_t caller, callee;
static long switches;

static void swapper(void)
{
	for (;;) {
		switches++;
		swapcontext(&callee, &caller);
	}
}

static void switch_swapcontext(char **argv)
{
	static char stack[65536];
	volatile long count = atol(argv[0]) / 20 + 1;
	volatile int64_t start = 0;
	volatile long i;

	getcontext(&callee);
	callee.uc_stack.ss_sp = stack;
	callee.uc_stack.ss_size = sizeof stack;
	makecontext(&callee, swapper, 0);
	for (i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		swapcontext(&caller, &callee);
	}
	bench_report("context", (double)(bench_now() - start) / (double)count / 2, "ns");
	bench_check(switches == count + count / 10, "the count of switches");
}

static sigjmp_buf caller_env, callee_env;

static void jumper(void)
{
	if (sigsetjmp(callee_env, 0) == 0)
		swapcontext(&callee, &caller);
	for (;;) {
		switches++;
		if (sigsetjmp(callee_env, 0) == 0)
			siglongjmp(caller_env, 1);
	}
}

static void switch_sigsetjmp(char **argv)
{
	static char stack[65536];
	volatile long count = atol(argv[0]);
	volatile int64_t start = 0;
	volatile long i;

	getcontext(&callee);
	callee.uc_stack.ss_sp = stack;
	callee.uc_stack.ss_size = sizeof stack;
	makecontext(&callee, jumper, 0);
	swapcontext(&caller, &callee);
	for (i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		if (sigsetjmp(caller_env, 0) == 0)
			siglongjmp(callee_env, 1);
	}
	bench_report("context", (double)(bench_now() - start) / (double)count / 2, "ns");
	bench_check(switches == count + count / 10, "the count of switches");
}

/*
 * The same through one function that both call, as anything must that is not to be inlined: its
 * return goes to where the other one called it, which no processor's return stack foresees.
 */
static __attribute__((noinline)) void call_switch(sigjmp_buf from, sigjmp_buf to)
{
	if (sigsetjmp(from, 0) == 0)
		siglongjmp(to, 1);
}

static void call_jumper(void)
{
	if (sigsetjmp(callee_env, 0) == 0)
		swapcontext(&callee, &caller);
	for (;;) {
		switches++;
		call_switch(callee_env, caller_env);
	}
}

static void switch_sigsetjmp_call(char **argv)
{
	static char stack[65536];
	long count = atol(argv[0]);
	int64_t start = 0;

	getcontext(&callee);
	callee.uc_stack.ss_sp = stack;
	callee.uc_stack.ss_size = sizeof stack;
	makecontext(&callee, call_jumper, 0);
	swapcontext(&caller, &callee);
	for (long i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		call_switch(caller_env, callee_env);
	}
	bench_report("context", (double)(bench_now() - start) / (double)count / 2, "ns");
	bench_check(switches == count + count / 10, "the count of switches");
}

/* --- what touching so many stacks costs, whoever schedules them --- */

/*
 * The cache misses of a yield that nobody can avoid when the stacks do not fit into the caches: a
 * line of the task, one of the suspended frame, on stacks 256 KiB apart (other pages, hence TLB
 * misses too), one after the other; the next one's address is known early. Prefetching by a
 * scheduler would only hide what this loop already overlaps.
 */
static void stacks(char **argv)
{
	size_t n = (size_t)atol(argv[0]), size = 256 << 10;
	long rounds = atol(argv[1]) / (long)n;
	char **order = malloc(n * sizeof *order);
	char *base = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int64_t start = 0;

	bench_check(order && base != MAP_FAILED && rounds > 0, "out of memory");
	for (size_t i = 0; i < n; i++) {
		order[i] = base + i * size + size - 4096 + i % 48 * 64;
		memset(order[i], 0, 192);
	}
	for (long r = -1; r < rounds; r++) {
		if (r == 0)
			start = bench_now();
		for (size_t i = 0; i < n; i++) {
			atomic_signal_fence(memory_order_seq_cst);
			order[i][0]++;
			order[i][128] = (char)(order[i][64] + order[i][0]);
		}
	}
	bench_report("yield", (double)(bench_now() - start) / (double)((long)n * rounds), "ns");
	bench_check(order[n - 1][0] == (char)(rounds + 1), "the count of rounds");
	munmap(base, n * size);
	free(order);
}

/* --- what the kernel takes for the memory of stacks --- */

/*
 * kernel-stacks 1 THREADS COUNT HOW: so many stacks of 256 KiB with a guard of 64 KiB: guarded
 * in batches of 64, touched, given back. Each thread has its part, and waits for the others after
 * each phase; what a phase takes is divided by COUNT. HOW: 0: unmapped in arenas of 256; 1: their
 * memory discarded first; 2: as 0, and populated in batches before they are touched.
 */
#define ARENA_STACKS 256
#define CALL_STACKS  64

static struct {
	size_t threads, arenas;
	long how;
	char **arena;
	int64_t phase;
	pthread_barrier_t barrier;
} kernel;

static void phase_ends(size_t thread, const char *name)
{
	pthread_barrier_wait(&kernel.barrier);
	if (thread == 0) {
		int64_t now = bench_now();
		double count = (double)(kernel.arenas * ARENA_STACKS);
		if (name)
			bench_report(name, (double)(now - kernel.phase) / count, "ns");
		kernel.phase = now;
	}
	pthread_barrier_wait(&kernel.barrier);
}

/* One advice for `bytes` at the same offset of every stack of an arena. */
static void advise_all(char *arena, size_t offset, size_t bytes, int advice)
{
	struct iovec areas[CALL_STACKS];

	for (size_t first = 0; first < ARENA_STACKS; first += CALL_STACKS) {
		for (size_t i = 0; i < CALL_STACKS; i++)
			areas[i] = (struct iovec){arena + ((first + i) << 18) + offset, bytes};
		/* -10000: PIDFD_SELF_THREAD */
		long done =
			syscall(SYS_process_madvise, -10000, areas, (long)CALL_STACKS, advice, 0);
		bench_check(done == (long)(CALL_STACKS * bytes), "process_madvise");
	}
}

static void *kernel_stacks_thread(void *number)
{
	const size_t page = 4096, stack = 256 << 10, guard = 64 << 10, bytes = stack * ARENA_STACKS;
	size_t self = (size_t)(intptr_t)number;
	size_t begin = kernel.arenas * self / kernel.threads;
	size_t end = kernel.arenas * (self + 1) / kernel.threads;
	char **arena = kernel.arena;

	phase_ends(self, NULL);
	for (size_t a = begin; a < end; a++) {
		arena[a] = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		bench_check(arena[a] != MAP_FAILED, "mmap");
		madvise(arena[a], bytes, MADV_NOHUGEPAGE);
		advise_all(arena[a], 0, guard, 102 /* MADV_GUARD_INSTALL */);
	}
	phase_ends(self, "kernel_guard");
	if (kernel.how == 2) {
		for (size_t a = begin; a < end; a++)
			advise_all(arena[a], stack - page, page, 23 /* MADV_POPULATE_WRITE */);
		phase_ends(self, "kernel_populate");
	}
	for (size_t a = begin; a < end; a++) {
		for (size_t i = 1; i <= ARENA_STACKS; i++)
			arena[a][i * stack - 512] = 1;
	}
	phase_ends(self, "kernel_touch");
	if (kernel.how == 1) {
		for (size_t a = begin; a < end; a++)
			madvise(arena[a], bytes, MADV_DONTNEED);
		phase_ends(self, "kernel_discard");
	}
	for (size_t a = begin; a < end; a++)
		munmap(arena[a], bytes);
	phase_ends(self, "kernel_unmap");
	return NULL;
}

static void kernel_stacks(char **argv)
{
	pthread_t threads[16];

	kernel.threads = (size_t)atol(argv[0]);
	kernel.arenas = (size_t)atol(argv[1]) / ARENA_STACKS;
	kernel.how = atol(argv[2]);
	kernel.arena = calloc(kernel.arenas, sizeof *kernel.arena);
	bench_check(kernel.arena && kernel.threads >= 1 && kernel.threads <= 16, "arguments");
	pthread_barrier_init(&kernel.barrier, NULL, (unsigned)kernel.threads);
	for (size_t i = 1; i < kernel.threads; i++)
		bench_check(pthread_create(&threads[i], NULL, kernel_stacks_thread,
					   (void *)(intptr_t)i) == 0,
			    "pthread_create");
	kernel_stacks_thread(NULL);
	for (size_t i = 1; i < kernel.threads; i++)
		pthread_join(threads[i], NULL);
	free(kernel.arena);
}

/* The least that a lock can do: a compare-and-swap and an exchange. */
static void lock(char **argv)
{
	static atomic_int word;
	static volatile long counter;
	long count = atol(argv[0]);

	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		int expected = 0;
		bool taken = atomic_compare_exchange_strong_explicit(
			&word, &expected, 1, memory_order_acquire, memory_order_relaxed);
		bench_check(taken, "nobody else wants it");
		counter = counter + 1;
		bench_check(atomic_exchange_explicit(&word, 0, memory_order_release) == 1,
			    "it was held");
	}
	bench_report("mutex", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(counter == count, "the counter");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **argv);
		int arguments;
	} rows[] = {
		{"serial-fib", serial_fib, 1},
		{"serial-queens", serial_queens, 1},
		{"serial-sort", serial_sort, 1},
		{"serial-reduce", serial_reduce, 2},
		{"swapcontext", switch_swapcontext, 1},
		{"sigsetjmp", switch_sigsetjmp, 1},
		{"sigsetjmp-call", switch_sigsetjmp_call, 1},
		{"stacks", stacks, 2},
		{"lock", lock, 1},
		{"kernel-stacks", kernel_stacks, 3},
	};

	for (size_t i = 0; argc > 2 && i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].name, argv[1]) == 0 && argc - 3 >= rows[i].arguments) {
			rows[i].run(argv + 3);
			return 0;
		}
	}
	fprintf(stderr, "usage: floor ROW WORKERS ARGUMENT...\n");
	return 2;
}
