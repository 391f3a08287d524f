/* SPDX-License-Identifier: MIT */
/*
 * The prime sieve over channels, as known from Go. A task sends 2, 3, 4, ... into a chain of
 * filters. The first number that comes out of the chain is a prime. A new filter behind it then
 * drops that prime's multiples.
 *
 * The chain ends from its far end. A receiver that has enough closes the channel that it receives
 * from. The filter before it notices this when it sends (-EPIPE), and closes its own input. This
 * goes on up to the source. No task is left behind.
 */
#include "example.h"

#include <weft/weft.h>

#include <getopt.h>
#include <stdbool.h>

struct filter {
	weft_chan *in, *out;
	int prime;
};

static unsigned count = 100, buffer;

static void *send_numbers(void *arg)
{
	weft_chan *out = arg;

	for (int n = 2; weft_chan_send(out, &n) == 0; n++)
		;
	return NULL;
}

static void *drop_multiples(void *arg)
{
	struct filter *f = arg;
	int status = 0, n;

	while (status == 0 && weft_chan_recv(f->in, &n) == 0) {
		if (n % f->prime != 0)
			status = weft_chan_send(f->out, &n);
	}
	weft_chan_close(f->in);
	return NULL;
}

static bool is_prime(int n)
{
	for (int d = 2; d * d <= n; d++) {
		if (n % d == 0)
			return false;
	}
	return n >= 2;
}

/* The first task. */
static void *sieve(void *arg)
{
	struct filter *filters = calloc(count, sizeof(*filters));
	int before = 1, prime;
	weft_group chain;

	CHECK(filters);
	weft_group_init(&chain);
	for (unsigned i = 0; i < count; i++) {
		struct filter *f = &filters[i];

		/* Each filter's output is the next one's input. */
		CHECK(weft_chan_create(sizeof(int), buffer, &f->in) == 0);
		if (i == 0) {
			CHECK(weft_group_spawn(&chain, send_numbers, f->in) == 0);
		} else {
			f[-1].out = f->in;
			CHECK(weft_group_spawn(&chain, drop_multiples, &f[-1]) == 0);
		}
		CHECK(weft_chan_recv(f->in, &prime) == 0);
		f->prime = prime;
		printf("%d\n", prime);

		/* It is a prime, and none was left out. */
		for (int n = before + 1; n < prime; n++)
			CHECK(!is_prime(n));
		CHECK(is_prime(prime));
		before = prime;
	}
	weft_chan_close(filters[count - 1].in);
	CHECK(weft_group_wait(&chain) == 0);
	weft_group_fini(&chain);
	for (unsigned i = 0; i < count; i++)
		weft_chan_destroy(filters[i].in);
	free(filters);
	return arg;
}

static const char help[] =
	"Usage: sieve [OPTION...] [COUNT]\n"
	"Prints the first COUNT (100) prime numbers, found by a chain of tasks, one for each\n"
	"prime, that send numbers through channels.\n"
	"\n"
	"  -b, --buffer N  the channels hold N numbers (0: sender and receiver meet)\n"
	"  -h, --help      prints this\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"buffer", required_argument, NULL, 'b'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "b:h", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			buffer = read_number("--buffer", optarg, 0, 1000000);
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		count = read_number("COUNT", argv[optind++], 1, 100000);
	if (optind < argc) {
		fprintf(stderr, "sieve: expected at most one COUNT\n");
		return EXIT_USAGE;
	}
	CHECK(weft_run(sieve, NULL, NULL) == 0);
	flush_output();
	return EXIT_SUCCESS;
}
