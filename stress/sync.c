/* SPDX-License-Identifier: MIT */
/*
 * Locks and the other primitives under everything at once: tasks and plain threads, and waits that
 * are woken, time out and are cancelled at about the same moment.
 *
 *   exclusion      The data under a mutex or a read-write lock is consistent while the lock is
 *                  held. A reader sees no change.
 *   conservation   Each of a semaphore's counts, and each token behind a condition, is in exactly
 *                  one place. None is missing in the end, whichever wait gave up.
 *   no lost wake   A lost wake-up shows as a hang.
 *   lifetime       A woken waiter immediately frees a short-lived latch, event or `once`.
 *
 * The threads and tasks are the actors. In each round an actor does one thing with a table, which
 * it shares with a few others. Some tasks are replaced now and then: their director cancels them
 * and starts new ones.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TABLES      4
#define DIRECTORS   12
#define THREADS     3
#define PERMITS     3
#define TOKENS      2
#define WAIT_MAX_NS 40000
#define SPIN_MAX    500

struct table {
	weft_mutex mutex;
	unsigned long count, twin; /* under mutex */

	weft_rwlock rwlock;
	unsigned long words[4]; /* under rwlock; all words are equal */

	weft_sem sem;       /* it has PERMITS counts */
	_Atomic int inside; /* relaxed: only checked against bounds */

	weft_mutex token_mutex;
	weft_cond token_free;
	unsigned tokens; /* under token_mutex */
};

static struct table tables[TABLES];

static void spin(struct weft__random *random)
{
	for (uint32_t i = weft__random_below(random, SPIN_MAX); i > 0; i--)
		__asm__ volatile("");
}

/* Lets some time pass while something is held. */
static void dawdle(struct weft__random *random)
{
	switch (weft__random_below(random, 16)) {
	case 0:
		weft_yield();
		break;
	case 1:
		weft_cancel_mask();
		weft_sleep(1 + weft__random_below(random, WAIT_MAX_NS));
		weft_cancel_unmask();
		break;
	case 2:
	case 3:
		spin(random);
		break;
	default:
		break;
	}
}

static int64_t some_deadline(struct weft__random *random)
{
	switch (weft__random_below(random, 4)) {
	case 0:
		return 0;
	case 1:
		return WEFT_FOREVER;
	default:
		return weft_after(weft__random_below(random, WAIT_MAX_NS));
	}
}

static void use_mutex(struct table *t, struct weft__random *random)
{
	int64_t deadline = some_deadline(random);
	int rc = stress_one_in(random, 4)   ? weft_mutex_try_lock(&t->mutex)
		 : stress_one_in(random, 2) ? weft_mutex_lock_until(&t->mutex, deadline)
					    : (weft_mutex_lock(&t->mutex), 0);

	stress_check(rc == 0 || rc == -EBUSY || (rc == -ETIMEDOUT && deadline != WEFT_FOREVER),
		     "locking a mutex: %s", strerror(-rc));
	if (rc < 0)
		return;
	stress_check(t->count == t->twin, "two hold a mutex");
	t->count++;
	dawdle(random);
	t->twin++;
	weft_mutex_unlock(&t->mutex);
}

static void check_words(struct table *t, unsigned long word)
{
	for (unsigned i = 0; i < 4; i++)
		stress_check(t->words[i] == word, "a read-write lock's words differ");
}

static void use_rwlock(struct table *t, struct weft__random *random)
{
	bool write = stress_one_in(random, 3);
	int64_t deadline = some_deadline(random);
	int rc = 0;

	if (stress_one_in(random, 4))
		rc = write ? weft_rwlock_try_wrlock(&t->rwlock)
			   : weft_rwlock_try_rdlock(&t->rwlock);
	else if (stress_one_in(random, 2))
		rc = write ? weft_rwlock_wrlock_until(&t->rwlock, deadline)
			   : weft_rwlock_rdlock_until(&t->rwlock, deadline);
	else if (write)
		weft_rwlock_wrlock(&t->rwlock);
	else
		weft_rwlock_rdlock(&t->rwlock);
	stress_check(rc == 0 || rc == -EBUSY || (rc == -ETIMEDOUT && deadline != WEFT_FOREVER),
		     "locking a read-write lock: %s", strerror(-rc));
	if (rc < 0)
		return;
	unsigned long word = t->words[0];
	check_words(t, word);
	if (write) {
		word++;
		for (unsigned i = 0; i < 4; i++) {
			t->words[i]++;
			if (i == 1)
				dawdle(random);
		}
		if (stress_one_in(random, 2)) {
			weft_rwlock_downgrade(&t->rwlock);
			dawdle(random);
		}
	} else {
		dawdle(random);
	}
	check_words(t, word);
	weft_rwlock_unlock(&t->rwlock);
}

static void use_sem(struct table *t, struct weft__random *random)
{
	int64_t deadline = some_deadline(random);
	int rc = stress_one_in(random, 4) ? weft_sem_try_acquire(&t->sem)
					  : weft_sem_acquire_until(&t->sem, deadline);

	stress_check(rc == 0 || rc == -EAGAIN || (rc == -ETIMEDOUT && deadline != WEFT_FOREVER) ||
			     (rc == -ECANCELED && weft_cancelled()),
		     "acquiring a semaphore: %s", strerror(-rc));
	if (rc < 0)
		return;
	stress_check(atomic_fetch_add_explicit(&t->inside, 1, memory_order_relaxed) < PERMITS,
		     "more hold a semaphore than it counts");
	dawdle(random);
	atomic_fetch_sub_explicit(&t->inside, 1, memory_order_relaxed);
	weft_sem_release(&t->sem, 1);
}

/* Takes a token if one comes in time. Gives it back and signals for it. A signal would be lost if a
 * wait that gave up had consumed it. */
static void use_cond(struct table *t, struct weft__random *random)
{
	int64_t deadline = some_deadline(random);
	int rc = 0;

	weft_mutex_lock(&t->token_mutex);
	while (t->tokens == 0 && rc == 0)
		rc = weft_cond_wait_until(&t->token_free, &t->token_mutex, deadline);
	stress_check(rc == 0 || (rc == -ETIMEDOUT && deadline != WEFT_FOREVER) ||
			     (rc == -ECANCELED && weft_cancelled()),
		     "waiting for a condition: %s", strerror(-rc));
	bool taken = rc == 0;
	if (taken)
		t->tokens--;
	weft_mutex_unlock(&t->token_mutex);
	if (!taken)
		return;
	dawdle(random);
	weft_mutex_lock(&t->token_mutex);
	t->tokens++;
	stress_check(t->tokens <= TOKENS, "tokens have become more");
	bool before = stress_one_in(random, 2);
	if (!before)
		weft_mutex_unlock(&t->token_mutex);
	if (stress_one_in(random, 8))
		weft_cond_broadcast(&t->token_free);
	else
		weft_cond_signal(&t->token_free);
	if (before)
		weft_mutex_unlock(&t->token_mutex);
}

static void use_any(struct weft__random *random)
{
	struct table *t = &tables[weft__random_below(random, TABLES)];

	switch (weft__random_below(random, 4)) {
	case 0:
		use_mutex(t, random);
		break;
	case 1:
		use_rwlock(t, random);
		break;
	case 2:
		use_sem(t, random);
		break;
	default:
		use_cond(t, random);
	}
	stress_did(1);
}

static void *actor(void *arg)
{
	struct weft__random random;

	stress_random(&random, (uintptr_t)arg);
	for (unsigned i = 20 + weft__random_below(&random, 200); i > 0 && !stress_over(); i--)
		use_any(&random);
	return NULL;
}

/* --- short lives --- */

struct brief {
	weft_latch latch;
	weft_event event;
	weft_once once;
	weft_barrier barrier;
	unsigned long prepared; /* written by the call that runs once */
	unsigned long result;   /* written before the event is set */
	uint64_t stream;
};

static void prepare(void *arg)
{
	struct brief *b = arg;

	weft_yield();
	b->prepared++;
}

static void *helper(void *arg)
{
	struct brief *b = arg;
	struct weft__random random;

	weft__random_seed(&random, b->stream);
	dawdle(&random);
	weft_once_call(&b->once, prepare, b);
	stress_check(b->prepared == 1, "what runs once ran %lu times", b->prepared);
	int rc = weft_barrier_wait(&b->barrier);
	stress_check(rc >= 0, "weft_barrier_wait: %s", strerror(-rc));
	weft_latch_count_down(&b->latch, 1);
	return NULL;
}

static void *setter(void *arg)
{
	struct brief *b = arg;

	b->result = 5;
	weft_event_set(&b->event);
	return NULL;
}

static void live_briefly(struct weft__random *random)
{
	struct brief *b = malloc(sizeof(*b));
	weft_task *task = NULL;
	unsigned helpers = 0;

	if (!b)
		return;
	*b = (struct brief){.stream = weft__random_next(random)};
	weft_event_init(&b->event);
	weft_once_init(&b->once);
	weft_barrier_init(&b->barrier, 3);
	weft_latch_init(&b->latch, 4);
	while (helpers < 3 && weft_spawn(helper, b, NULL) == 0)
		helpers++;
	while (helpers++ < 3)
		helper(b); /* never happens: there is memory */
	weft_latch_count_down(&b->latch, 1);
	while (weft_latch_wait_until(&b->latch, some_deadline(random)) < 0)
		weft_yield();
	stress_check(b->prepared == 1, "a latch opened early");

	if (weft_spawn(setter, b, &task) == 0) {
		while (weft_event_wait_until(&b->event, some_deadline(random)) < 0)
			weft_yield();
		stress_check(b->result == 5, "an event is set early");
	}
	weft_event_fini(&b->event);
	weft_once_fini(&b->once);
	weft_barrier_fini(&b->barrier);
	weft_latch_fini(&b->latch);
	free(b);
	if (task)
		stress_joined(weft_join(task, NULL));
	stress_did(1);
}

static void play(struct weft__random *random)
{
	weft_task *tasks[2];
	unsigned started = 0;

	while (started < 2 && weft_spawn(actor, (void *)(uintptr_t)weft__random_next(random),
					 &tasks[started]) == 0)
		started++;
	if (stress_one_in(random, 2))
		live_briefly(random);
	else
		use_any(random);
	if (started > 0 && stress_one_in(random, 2))
		weft_cancel(tasks[0]);
	while (started > 0)
		stress_joined(weft_join(tasks[--started], NULL));
}

static void *thread_main(void *arg)
{
	struct weft__random random;

	stress_random(&random, (uintptr_t)arg);
	while (!stress_over())
		use_any(&random);
	return NULL;
}

static void check_end(struct table *t)
{
	stress_check(t->count == t->twin, "the last one left a mutex too early");
	for (unsigned i = 0; i < PERMITS; i++)
		stress_check(weft_sem_try_acquire(&t->sem) == 0,
			     "a count of a semaphore is missing");
	stress_check(weft_sem_try_acquire(&t->sem) == -EAGAIN, "a semaphore has a count too many");
	stress_check(t->tokens == TOKENS, "there are %u tokens", t->tokens);
	weft_mutex_fini(&t->mutex);
	weft_rwlock_fini(&t->rwlock);
	weft_sem_fini(&t->sem);
	weft_mutex_fini(&t->token_mutex);
	weft_cond_fini(&t->token_free);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	uintptr_t started = 0, wanted;

	stress_begin(argc, argv,
		     "Locks, conditions, semaphores and the like, from tasks and threads.");
	for (unsigned i = 0; i < TABLES; i++) {
		weft_mutex_init(&tables[i].mutex);
		weft_rwlock_init(&tables[i].rwlock);
		weft_sem_init(&tables[i].sem, PERMITS);
		weft_mutex_init(&tables[i].token_mutex);
		weft_cond_init(&tables[i].token_free);
		tables[i].tokens = TOKENS;
	}
	wanted = stress_alone() ? 0 : THREADS;
	while (started < wanted &&
	       pthread_create(&threads[started], NULL, thread_main, (void *)(started + 1000)) == 0)
		started++;
	stress_check(started == wanted, "not all threads could be started");
	stress_direct(DIRECTORS, play);
	while (started-- > 0)
		pthread_join(threads[started], NULL);
	for (unsigned i = 0; i < TABLES; i++)
		check_end(&tables[i]);
	return stress_end();
}
