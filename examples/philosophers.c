/* SPDX-License-Identifier: MIT */
/*
 * The dining philosophers. Each sits between two forks, which it shares with its neighbours, and
 * needs both to eat. If all take their left fork first, each may hold one fork and wait for the
 * other for ever. There are two solutions:
 *
 *   order   Each philosopher takes the fork with the lower number first, so no circle of waiting
 *           can close.
 *   waiter  A semaphore lets all but one sit down at a time.
 *
 * A philosopher is a task, and a fork is a mutex. The fork's counter is protected by its mutex, so
 * ThreadSanitizer detects two tasks that hold the same fork. Without that tool the program checks
 * for it itself, and compares the counts at the end.
 */
#include "example.h"

#include <weft/weft.h>

#include <getopt.h>
#include <stdbool.h>
#include <string.h>

#define MICROSECOND INT64_C(1000)

struct fork {
	weft_mutex mutex;
	unsigned uses; /* under mutex */
	bool in_use;   /* under mutex */
};

struct philosopher {
	struct fork *first, *second; /* in the order in which the philosopher takes them */
	unsigned seat;
	unsigned meals;  /* the philosopher's own, until it is joined */
	unsigned waited; /* how often another philosopher held the fork */
};

static unsigned seats = 5, meals = 100, thinking = 50;
static bool with_waiter;
static weft_sem chairs;

/* A number that looks random, and differs for each philosopher and each meal. */
static unsigned dice(const struct philosopher *p)
{
	uint32_t n = (p->seat + 1) * UINT32_C(2654435761) + p->meals * UINT32_C(2246822519);

	n ^= n >> 15;
	n *= UINT32_C(2246822519);
	return n ^ n >> 13;
}

static void think(const struct philosopher *p)
{
	if (thinking == 0)
		weft_yield();
	else
		CHECK(weft_sleep(dice(p) % thinking * MICROSECOND) == 0);
}

static void take(struct philosopher *p, struct fork *fork)
{
	if (weft_mutex_try_lock(&fork->mutex) != 0) {
		p->waited++;
		weft_mutex_lock(&fork->mutex);
	}
	CHECK(!fork->in_use);
	fork->in_use = true;
	fork->uses++;
}

static void put_down(struct fork *fork)
{
	fork->in_use = false;
	weft_mutex_unlock(&fork->mutex);
}

static void *dine(void *arg)
{
	struct philosopher *p = arg;

	while (p->meals < meals) {
		think(p);
		if (with_waiter)
			CHECK(weft_sem_acquire(&chairs) == 0);
		take(p, p->first);
		take(p, p->second);
		weft_yield(); /* It eats: it keeps the forks while others run. */
		p->meals++;
		put_down(p->second);
		put_down(p->first);
		if (with_waiter)
			weft_sem_release(&chairs, 1);
	}
	return NULL;
}

static void seat(struct philosopher *p, unsigned i, struct fork *forks)
{
	unsigned left = i, right = (i + 1) % seats;
	bool swap = !with_waiter && right < left;

	*p = (struct philosopher){
		.first = &forks[swap ? right : left],
		.second = &forks[swap ? left : right],
		.seat = i,
	};
}

/* The first task. It lays the table, and counts afterwards. */
static void *dinner(void *arg)
{
	struct fork *forks = calloc(seats, sizeof(*forks));
	struct philosopher *guests = calloc(seats, sizeof(*guests));
	weft_task **tasks = calloc(seats, sizeof(weft_task *));
	uint64_t waited = 0;

	CHECK(forks && guests && tasks);
	weft_sem_init(&chairs, seats - 1);
	for (unsigned i = 0; i < seats; i++) {
		weft_mutex_init(&forks[i].mutex);
		seat(&guests[i], i, forks);
	}
	for (unsigned i = 0; i < seats; i++)
		CHECK(weft_spawn(dine, &guests[i], &tasks[i]) == 0);
	for (unsigned i = 0; i < seats; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);

	for (unsigned i = 0; i < seats; i++) {
		if (seats <= 16)
			printf("philosopher %u: %u meals, waited for a fork %u times\n", i,
			       guests[i].meals, guests[i].waited);
		waited += guests[i].waited;
		CHECK(guests[i].meals == meals);
		CHECK(forks[i].uses == 2 * meals); /* two neighbours */
		weft_mutex_fini(&forks[i].mutex);
	}
	printf("%u philosophers ate %u times each; a fork was busy %llu times\n", seats, meals,
	       (unsigned long long)waited);
	weft_sem_fini(&chairs);
	free(tasks);
	free(guests);
	free(forks);
	return arg;
}

static const char help[] =
	"Usage: philosophers [OPTION...]\n"
	"Dining philosophers: each needs two forks, which are mutexes, to eat.\n"
	"\n"
	"  -n, --seats N      how many philosophers, and forks (5)\n"
	"  -m, --meals N      how often each eats (100)\n"
	"  -t, --think US     thinks for up to so many microseconds before a meal (50)\n"
	"  -w, --way WAY      what prevents a deadlock: order (the lower fork first) or\n"
	"                     waiter (a semaphore keeps one chair free); default order\n"
	"  -h, --help         prints this\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seats", required_argument, NULL, 'n'}, {"meals", required_argument, NULL, 'm'},
		{"think", required_argument, NULL, 't'}, {"way", required_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},        {0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "n:m:t:w:h", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			seats = read_number("--seats", optarg, 2, 1000000);
			break;
		case 'm':
			meals = read_number("--meals", optarg, 0, 1000000);
			break;
		case 't':
			thinking = read_number("--think", optarg, 0, 1000000);
			break;
		case 'w':
			with_waiter = strcmp(optarg, "waiter") == 0;
			if (with_waiter || strcmp(optarg, "order") == 0)
				break;
			fprintf(stderr, "--way: '%s' is not known: expected order or waiter\n",
				optarg);
			return EXIT_USAGE;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE;
		}
	}
	CHECK(weft_run(dinner, NULL, NULL) == 0);
	flush_output();
	return EXIT_SUCCESS;
}
