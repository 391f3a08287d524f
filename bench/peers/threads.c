/* SPDX-License-Identifier: MIT */
/*
 * threads ROW WORKERS ARGUMENT...: plain threads with semaphores, mutexes and conditions;
 * WORKERS does not matter.
 */
#include "../bench.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static long count, total;
static sem_t ping, pong;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *child(void *arg)
{
	return arg;
}

static void spawn(char **argv)
{
	intptr_t sum = 0;

	count = atol(argv[0]);
	int64_t start = bench_now();
	for (intptr_t i = 0; i < count; i++) {
		pthread_t thread;
		void *result;
		bench_check(pthread_create(&thread, NULL, child, (void *)i) == 0, "pthread_create");
		pthread_join(thread, &result);
		sum += (intptr_t)result;
	}
	bench_report("spawn", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
}

static void *partner(void *unused)
{
	for (long i = 0; i < count; i++) {
		sem_wait(&ping);
		total++;
		sem_post(&pong);
	}
	return unused;
}

static void pingpong(char **argv)
{
	pthread_t thread;

	count = atol(argv[0]);
	sem_init(&ping, 0, 0);
	sem_init(&pong, 0, 0);
	bench_check(pthread_create(&thread, NULL, partner, NULL) == 0, "pthread_create");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		sem_post(&ping);
		sem_wait(&pong);
		total++;
	}
	bench_report("pingpong", (double)(bench_now() - start) / (double)count, "ns");
	pthread_join(thread, NULL);
	bench_check(total == 2 * count, "the count of turns");
}

static int64_t posted;
static int64_t *samples;
static atomic_long done;

static void *sleeper(void *unused)
{
	for (long i = 0; i < count; i++) {
		sem_wait(&ping);
		samples[i] = bench_now() - posted;
		atomic_fetch_add_explicit(&done, 1, memory_order_release);
	}
	return unused;
}

static void wake(char **argv)
{
	pthread_t thread;

	count = atol(argv[0]);
	samples = malloc((size_t)count * sizeof *samples);
	bench_check(samples != NULL, "out of memory");
	sem_init(&ping, 0, 0);
	bench_check(pthread_create(&thread, NULL, sleeper, NULL) == 0, "pthread_create");
	bench_sleep(20 * 1000000);
	int64_t cpu = bench_cpu_time(), start = bench_now();
	for (long i = 0; i < count; i++) {
		posted = bench_now();
		sem_post(&ping);
		do
			bench_sleep(1000000);
		while (atomic_load_explicit(&done, memory_order_acquire) <= i);
	}
	cpu = bench_cpu_time() - cpu;
	start = bench_now() - start;
	pthread_join(thread, NULL);
	bench_report_latency(samples, (size_t)count);
	bench_report("wake_cpu", 100.0 * (double)cpu / (double)start, "%");
	free(samples);
}

static void *adder(void *unused)
{
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&mutex);
		total++;
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

static void counter(char **argv)
{
	long tasks = atol(argv[0]);
	pthread_t threads[64];

	bench_check(tasks >= 1 && tasks <= 64, "at most 64 threads");
	count = atol(argv[1]) / tasks;
	int64_t start = bench_now();
	for (long i = 0; i < tasks; i++)
		bench_check(pthread_create(&threads[i], NULL, adder, NULL) == 0, "pthread_create");
	for (long i = 0; i < tasks; i++)
		pthread_join(threads[i], NULL);
	bench_report("counter", (double)(bench_now() - start) / (double)(tasks * count), "ns");
	bench_check(total == tasks * count, "the counter");
}

static void mutex_alone(char **argv)
{
	pthread_t thread;

	/* As long as there has been one thread only, the C library locks without atomic
	 * operations. */
	bench_check(pthread_create(&thread, NULL, child, NULL) == 0, "pthread_create");
	count = atol(argv[0]);
	int64_t start = bench_now();
	adder(NULL);
	bench_report("mutex", (double)(bench_now() - start) / (double)count, "ns");
	pthread_join(thread, NULL);
	bench_check(total == count, "the counter");
}

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool theirs;

static void *condition_partner(void *unused)
{
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&mutex);
		while (!theirs)
			pthread_cond_wait(&changed, &mutex);
		theirs = false;
		total++;
		pthread_cond_signal(&changed);
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

static void condition(char **argv)
{
	pthread_t thread;

	count = atol(argv[0]);
	bench_check(pthread_create(&thread, NULL, condition_partner, NULL) == 0, "pthread_create");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&mutex);
		theirs = true;
		pthread_cond_signal(&changed);
		while (theirs)
			pthread_cond_wait(&changed, &mutex);
		pthread_mutex_unlock(&mutex);
	}
	bench_report("condition", (double)(bench_now() - start) / (double)count, "ns");
	pthread_join(thread, NULL);
	bench_check(total == count, "the count of turns");
}

/* A bounded buffer, as textbooks have it. */
#define SIDES 4
#define SLOTS 128

static long slots[SLOTS];
static unsigned head, used;
static bool closed;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;

static void *producer(void *unused)
{
	for (long n = 1; n <= count; n++) {
		pthread_mutex_lock(&mutex);
		while (used == SLOTS)
			pthread_cond_wait(&not_full, &mutex);
		slots[(head + used++) % SLOTS] = n;
		pthread_cond_signal(&not_empty);
		pthread_mutex_unlock(&mutex);
	}
	return unused;
}

static void *consumer(void *unused)
{
	long mine = 0;

	for (;;) {
		pthread_mutex_lock(&mutex);
		while (used == 0 && !closed)
			pthread_cond_wait(&not_empty, &mutex);
		if (used == 0)
			break;
		mine += slots[head];
		head = (head + 1) % SLOTS;
		used--;
		pthread_cond_signal(&not_full);
		pthread_mutex_unlock(&mutex);
	}
	total += mine;
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void channel(char **argv)
{
	pthread_t producers[SIDES], consumers[SIDES];

	count = atol(argv[0]) / SIDES;
	int64_t start = bench_now();
	for (int i = 0; i < SIDES; i++) {
		bench_check(pthread_create(&consumers[i], NULL, consumer, NULL) == 0,
			    "pthread_create");
		bench_check(pthread_create(&producers[i], NULL, producer, NULL) == 0,
			    "pthread_create");
	}
	for (int i = 0; i < SIDES; i++)
		pthread_join(producers[i], NULL);
	pthread_mutex_lock(&mutex);
	closed = true;
	pthread_cond_broadcast(&not_empty);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < SIDES; i++)
		pthread_join(consumers[i], NULL);
	bench_report("channel", (double)(bench_now() - start) / (double)(SIDES * count), "ns");
	bench_check(total == SIDES * count * (count + 1) / 2, "the sum of what was received");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **argv);
		int arguments;
	} rows[] = {
		{"spawn", spawn, 1},     {"pingpong", pingpong, 1}, {"wake", wake, 1},
		{"counter", counter, 2}, {"mutex", mutex_alone, 1}, {"condition", condition, 1},
		{"channel", channel, 1},
	};

	for (size_t i = 0; argc > 2 && i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].name, argv[1]) == 0 && argc - 3 >= rows[i].arguments) {
			rows[i].run(argv + 3);
			return 0;
		}
	}
	fprintf(stderr, "usage: threads ROW WORKERS ARGUMENT...\n");
	return 2;
}
