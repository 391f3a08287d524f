/* SPDX-License-Identifier: MIT */
/*
 * Matrix multiplication with weft_for(): it computes the rows of the result in parallel. Outside of
 * a runtime weft_for() is a loop. So the same function, called before weft_run(), is the serial
 * program to compare with.
 *
 * The elements are small whole numbers. Every sum is therefore exact, and does not depend on the
 * order of the additions. The product is checked with Freivalds' method. If C = AB, then C x = A (B
 * x) for every vector x. A wrong product fails that test for a random x with probability one half
 * at least. Each further vector makes the check more certain.
 */
#include "example.h"

#include <weft/weft.h>

#include <getopt.h>
#include <stdbool.h>

#define TILE   64 /* columns of B at a time: a row's part of B then stays in the cache */
#define ROUNDS 8  /* a wrong product passes with probability 2^-8 at most per set */

struct product {
	size_t n;
	const double *a, *b;
	double *c;
};

static size_t grain;

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static double *new_matrix(size_t n, uint32_t seed)
{
	double *m = calloc(n * n, sizeof(*m));

	CHECK(m);
	for (size_t i = 0; seed != 0 && i < n * n; i++)
		m[i] = (double)(next_random(&seed) % 19) - 9;
	return m;
}

/* Computes rows lo to hi of the product. */
static void multiply_rows(size_t lo, size_t hi, void *ctx)
{
	const struct product *p = ctx;
	size_t n = p->n;

	for (size_t i = lo; i < hi; i++) {
		for (size_t j = 0; j < n; j++)
			p->c[i * n + j] = 0;
	}
	for (size_t tile = 0; tile < n; tile += TILE) {
		size_t end = tile + TILE < n ? tile + TILE : n;

		for (size_t i = lo; i < hi; i++) {
			for (size_t k = tile; k < end; k++) {
				double a = p->a[i * n + k];

				for (size_t j = 0; j < n; j++)
					p->c[i * n + j] += a * p->b[k * n + j];
			}
		}
	}
}

static void *multiply(void *arg)
{
	struct product *p = arg;

	CHECK(weft_for(0, p->n, grain, multiply_rows, p) == 0);
	return NULL;
}

static void apply(size_t n, const double *m, const double *x, double *y)
{
	for (size_t i = 0; i < n; i++) {
		y[i] = 0;
		for (size_t j = 0; j < n; j++)
			y[i] += m[i * n + j] * x[j];
	}
}

static bool is_product(const struct product *p)
{
	double *x = calloc(4 * p->n, sizeof(*x)), *bx = x + p->n, *abx = bx + p->n,
	       *cx = abx + p->n;
	uint32_t seed = 20231;
	bool same = true;

	CHECK(x);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < p->n; i++)
			x[i] = next_random(&seed) & 1;
		apply(p->n, p->b, x, bx);
		apply(p->n, p->a, bx, abx);
		apply(p->n, p->c, x, cx);
		for (size_t i = 0; i < p->n; i++)
			same = same && abx[i] == cx[i];
	}
	free(x);
	return same;
}

static double report(const char *how, size_t n, int64_t started)
{
	double seconds = (double)(weft_now() - started) / 1e9;

	printf("%-9s %.3f s, %.2f GFLOP/s\n", how, seconds,
	       2.0 * (double)n * (double)n * (double)n / seconds / 1e9);
	return seconds;
}

static const char help[] =
	"Usage: matmul [OPTION...]\n"
	"Multiplies two square matrices, rows in parallel, and checks the product.\n"
	"\n"
	"  -n, --size N     rows and columns (512)\n"
	"  -g, --grain N    rows that one task does without splitting (0: chosen)\n"
	"  -c, --compare    multiplies serially as well, and compares\n"
	"  -h, --help       prints this\n"
	"\n"
	"WEFT_WORKERS sets the number of threads.\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"size", required_argument, NULL, 'n'},
		{"grain", required_argument, NULL, 'g'},
		{"compare", no_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct product p = {.n = 512};
	bool compare = false;
	double serial = 0, parallel;
	int64_t started;
	int option;

	while ((option = getopt_long(argc, argv, "n:g:ch", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			p.n = read_number("--size", optarg, 1, 16384);
			break;
		case 'g':
			grain = read_number("--grain", optarg, 0, 16384);
			break;
		case 'c':
			compare = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	double *a = new_matrix(p.n, 1), *b = new_matrix(p.n, 2);
	p.a = a;
	p.b = b;
	p.c = new_matrix(p.n, 0);

	if (compare) {
		started = weft_now();
		multiply(&p);
		serial = report("serial", p.n, started);
		CHECK(is_product(&p));
	}
	started = weft_now();
	CHECK(weft_run(multiply, &p, NULL) == 0);
	parallel = report("parallel", p.n, started);
	CHECK(is_product(&p));
	if (compare)
		printf("faster by a factor of %.2f\n", serial / parallel);
	printf("the product is right\n");
	free(p.c);
	free(b);
	free(a);
	flush_output();
	return EXIT_SUCCESS;
}
