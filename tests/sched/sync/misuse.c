/* SPDX-License-Identifier: MIT */
/* Misuse of sync.h. It prints one line that names the call, the object and the caller, then
 * aborts. */
#include "crew.h"
#include "tests/sched/core/task_peek.h"

static weft_mutex mutex = WEFT_MUTEX_INIT, other_mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;
static weft_rwlock rwlock = WEFT_RWLOCK_INIT;
static weft_sem sem = WEFT_SEM_INIT(0);
static weft_barrier barrier = WEFT_BARRIER_INIT(2);
static weft_once once = WEFT_ONCE_INIT;
static weft_latch latch = WEFT_LATCH_INIT(2);
static weft_event event = WEFT_EVENT_INIT, auto_event = WEFT_EVENT_INIT_AUTO;
static weft_waitgroup waitgroup = WEFT_WAITGROUP_INIT;

/* Lets another task act until it waits or has ended. */
static void beside(weft_fn *fn)
{
	weft_task *task = NULL;

	if (weft_spawn(fn, NULL, &task) != 0 || !await_waiting(task))
		_exit(99);
}

#define BESIDE(name, statement)      \
	static void *name(void *arg) \
	{                            \
		statement;           \
		return arg;          \
	}

BESIDE(lock_mutex, weft_mutex_lock(&mutex))
BESIDE(wait_cond, {
	weft_mutex_lock(&mutex);
	child_got(weft_cond_wait(&cond, &mutex));
})
BESIDE(write_lock, weft_rwlock_wrlock(&rwlock))
BESIDE(read_lock, weft_rwlock_rdlock(&rwlock))
BESIDE(acquire, child_got(weft_sem_acquire(&sem)))
BESIDE(wait_barrier, child_got(weft_barrier_wait(&barrier)))
BESIDE(wait_latch, child_got(weft_latch_wait(&latch)))
BESIDE(wait_event, child_got(weft_event_wait(&event)))
BESIDE(wait_auto_event, child_got(weft_event_wait(&auto_event)))
BESIDE(wait_waitgroup, child_got(weft_waitgroup_wait(&waitgroup)))

static void nothing(void *arg)
{
	(void)arg;
}

static void sleep_long(void *arg)
{
	(void)arg;
	weft_sleep_until(WEFT_FOREVER);
}

static void call_again(void *arg)
{
	weft_once_call(&once, nothing, arg);
}

BESIDE(call_long, weft_once_call(&once, sleep_long, NULL))

/* Misuse that needs no other task: in a task and on a thread. */
static void unlock_free(void)
{
	weft_mutex_unlock(&mutex);
}
static void relock(void)
{
	weft_mutex_lock(&mutex);
	weft_mutex_lock(&mutex);
}
static void relock_until(void)
{
	weft_mutex_lock(&mutex);
	child_got(weft_mutex_lock_until(&mutex, lost()));
}
static void fini_held(void)
{
	weft_mutex_lock(&mutex);
	weft_mutex_fini(&mutex);
}
static void wait_unheld(void)
{
	child_got(weft_cond_wait(&cond, &mutex));
}
static void wait_until_unheld(void)
{
	child_got(weft_cond_wait_until(&cond, &mutex, 0));
}
static void rw_unlock_free(void)
{
	weft_rwlock_unlock(&rwlock);
}
static void rw_unlock_twice(void)
{
	weft_rwlock_rdlock(&rwlock);
	weft_rwlock_unlock(&rwlock);
	weft_rwlock_unlock(&rwlock);
}
static void rw_rewrite(void)
{
	weft_rwlock_wrlock(&rwlock);
	weft_rwlock_wrlock(&rwlock);
}
static void rw_reread(void)
{
	weft_rwlock_wrlock(&rwlock);
	child_got(weft_rwlock_rdlock_until(&rwlock, lost()));
}
static void rw_downgrade_reader(void)
{
	weft_rwlock_rdlock(&rwlock);
	weft_rwlock_downgrade(&rwlock);
}
static void rw_fini_held(void)
{
	weft_rwlock_rdlock(&rwlock);
	weft_rwlock_fini(&rwlock);
}
static void rw_upgrade_free(void)
{
	(void)!weft_rwlock_upgrade(&rwlock);
}
static void rw_upgrade_writer(void)
{
	weft_rwlock_wrlock(&rwlock);
	(void)!weft_rwlock_upgrade_until(&rwlock, lost());
}
static void waitgroup_below(void)
{
	weft_waitgroup wg = WEFT_WAITGROUP_INIT;

	weft_waitgroup_add(&wg, 1);
	weft_waitgroup_done(&wg);
	weft_waitgroup_done(&wg);
}
static void waitgroup_beyond(void)
{
	weft_waitgroup wg = WEFT_WAITGROUP_INIT;

	weft_waitgroup_add(&wg, 0xffffffff);
	weft_waitgroup_add(&wg, 1);
}
static void sem_overflow(void)
{
	weft_sem_release(&sem, 0xffffffff);
	weft_sem_release(&sem, 1);
}
static void barrier_of_none(void)
{
	weft_barrier_init(&barrier, 0);
}
static void wait_for_none(void)
{
	weft_barrier none = WEFT_BARRIER_INIT(0);

	child_got(weft_barrier_wait(&none));
}
static void wait_until_none(void)
{
	weft_barrier none = WEFT_BARRIER_INIT(0);

	weft_barrier_break(&none);
	child_got(weft_barrier_wait_until(&none, 0));
}
static void once_in_once(void)
{
	weft_once_call(&once, call_again, NULL);
}
static void once_without(void)
{
	weft_once_call(&once, NULL, NULL);
}
static int refuse(void *arg)
{
	(void)arg;
	return -1;
}
static int try_again(void *arg)
{
	return weft_once_try(&once, refuse, arg);
}
static void try_in_try(void)
{
	child_got(weft_once_try(&once, refuse, NULL));
	child_got(weft_once_try(&once, try_again, NULL));
}
static void try_without(void)
{
	child_got(weft_once_try(&once, NULL, NULL));
}
static void latch_below(void)
{
	weft_latch_count_down(&latch, 1);
	weft_latch_count_down(&latch, 2);
}

/* Misuse that needs another task. */
static void unlock_others(void)
{
	beside(lock_mutex);
	weft_mutex_unlock(&mutex);
}
static void wait_others(void)
{
	beside(lock_mutex);
	child_got(weft_cond_wait(&cond, &mutex));
}
static void fini_waited(void)
{
	weft_mutex_lock(&mutex);
	beside(lock_mutex);
	weft_mutex_fini(&mutex);
}
static void wait_two_mutexes(void)
{
	beside(wait_cond);
	weft_mutex_lock(&other_mutex);
	child_got(weft_cond_wait(&cond, &other_mutex));
}
static void cond_fini_waited(void)
{
	beside(wait_cond);
	weft_cond_fini(&cond);
}
static void rw_unlock_others(void)
{
	beside(write_lock);
	weft_rwlock_unlock(&rwlock);
}
static void rw_downgrade_others(void)
{
	beside(write_lock);
	weft_rwlock_downgrade(&rwlock);
}
static void rw_fini_waited(void)
{
	weft_rwlock_wrlock(&rwlock);
	beside(read_lock);
	weft_rwlock_fini(&rwlock);
}
static void sem_fini_waited(void)
{
	beside(acquire);
	weft_sem_fini(&sem);
}
static void barrier_fini_waited(void)
{
	beside(wait_barrier);
	weft_barrier_fini(&barrier);
}
static void once_fini_called(void)
{
	beside(call_long);
	weft_once_fini(&once);
}
static void latch_fini_waited(void)
{
	beside(wait_latch);
	weft_latch_fini(&latch);
}
static void event_fini_waited(void)
{
	beside(wait_event);
	weft_event_fini(&event);
}
static void auto_event_fini_waited(void)
{
	beside(wait_auto_event);
	weft_event_fini(&auto_event);
}
static void waitgroup_fini_waited(void)
{
	weft_waitgroup_add(&waitgroup, 1);
	beside(wait_waitgroup);
	weft_waitgroup_fini(&waitgroup);
}

static const struct misuse {
	void (*act)(void);
	const char *call, *why;
	bool needs_a_task;
} misuses[] = {
	{unlock_free, "weft_mutex_unlock: mutex 0x", "is not held by the caller", false},
	{relock, "weft_mutex_lock: mutex 0x", "is held by the caller already", false},
	{relock_until, "weft_mutex_lock_until: mutex 0x", "is held by the caller already", false},
	{fini_held, "weft_mutex_fini: mutex 0x", "is held", false},
	{wait_unheld, "weft_cond_wait: mutex 0x", "is not held by the caller", false},
	{wait_until_unheld, "weft_cond_wait_until: mutex 0x", "is not held by the caller", false},
	{rw_unlock_free, "weft_rwlock_unlock: read-write lock 0x", "is not held", false},
	{rw_unlock_twice, "weft_rwlock_unlock: read-write lock 0x", "is not held", false},
	{rw_rewrite, "weft_rwlock_wrlock: read-write lock 0x", "is held for writing", false},
	{rw_reread, "weft_rwlock_rdlock_until: read-write lock 0x", "is held for writing", false},
	{rw_downgrade_reader, "weft_rwlock_downgrade: read-write lock 0x",
	 "is not held for writing", false},
	{rw_fini_held, "weft_rwlock_fini: read-write lock 0x", "is held", false},
	{sem_overflow, "weft_sem_release: semaphore 0x", "would count beyond", false},
	{barrier_of_none, "weft_barrier_init: barrier 0x", "has a count of 0", false},
	{wait_for_none, "weft_barrier_wait: barrier 0x", "has a count of 0", false},
	{wait_until_none, "weft_barrier_wait_until: barrier 0x", "has a count of 0", false},
	{once_in_once, "weft_once_call: once 0x", "is called by the function that runs for it",
	 false},
	{once_without, "weft_once_call: once 0x", "with NULL as its function", false},
	{try_in_try, "weft_once_try: once 0x", "is called by the function that runs for it", false},
	{try_without, "weft_once_try: once 0x", "with NULL as its function", false},
	{rw_upgrade_free, "weft_rwlock_upgrade: read-write lock 0x", "is not held for reading",
	 false},
	{rw_upgrade_writer, "weft_rwlock_upgrade_until: read-write lock 0x",
	 "is not held for reading", false},
	{waitgroup_below, "weft_waitgroup_done: wait group 0x", "would count below 0", false},
	{waitgroup_beyond, "weft_waitgroup_add: wait group 0x", "would count beyond", false},
	{latch_below, "weft_latch_count_down: latch 0x", "would count below 0", false},
	{unlock_others, "weft_mutex_unlock: mutex 0x", "is not held by the caller", true},
	{wait_others, "weft_cond_wait: mutex 0x", "is not held by the caller", true},
	{fini_waited, "weft_mutex_fini: mutex 0x", "still has waiters", true},
	{wait_two_mutexes, "weft_cond_wait: condition 0x", "has waiters with another mutex", true},
	{cond_fini_waited, "weft_cond_fini: condition 0x", "still has waiters", true},
	{rw_unlock_others, "weft_rwlock_unlock: read-write lock 0x", "is not held by the caller",
	 true},
	{rw_downgrade_others, "weft_rwlock_downgrade: read-write lock 0x",
	 "is not held for writing", true},
	{rw_fini_waited, "weft_rwlock_fini: read-write lock 0x", "still has waiters", true},
	{sem_fini_waited, "weft_sem_fini: semaphore 0x", "still has waiters", true},
	{barrier_fini_waited, "weft_barrier_fini: barrier 0x", "still has waiters", true},
	{once_fini_called, "weft_once_fini: once 0x", "is being called", true},
	{latch_fini_waited, "weft_latch_fini: latch 0x", "still has waiters", true},
	{event_fini_waited, "weft_event_fini: event 0x", "still has waiters", true},
	{auto_event_fini_waited, "weft_event_fini: event 0x", "still has waiters", true},
	{waitgroup_fini_waited, "weft_waitgroup_fini: wait group 0x", "still has waiters", true},
};

static const struct misuse *chosen;

static void *act(void *arg)
{
	chosen->act();
	return arg;
}

static void *start(void *arg)
{
	const struct weft_task_options options = {.name = "culprit"};
	weft_task *task = NULL;

	child_needs(weft_spawn_with(&options, act, NULL, &task));
	child_got(weft_join(task, NULL));
	return arg;
}

static void in_a_task(void *arg)
{
	set_number("WEFT_WORKERS", 2);
	child_got(weft_run(start, arg, NULL));
}

static void on_a_thread(void *arg)
{
	(void)arg;
	chosen->act();
}

static void test_misuse_aborts_with_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		chosen = &misuses[i];
		assert_aborts(in_a_task, chosen->call, chosen->why);
		assert_aborts(in_a_task, "(task ", "\"culprit\")");
		if (!chosen->needs_a_task) {
			assert_aborts(on_a_thread, chosen->call, chosen->why);
			assert_aborts(on_a_thread, "(thread ", ")");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_misuse_aborts_with_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
