/* SPDX-License-Identifier: MIT */
/*
 * What each waiting call returns: each cell of the table in weft-waits(7) is tried.
 * docs/man/check.py compares the two tables.
 */
#include "chan_peek.h"

#include <weft/fork.h>

#include <string.h>

#define SHORTLY ((int64_t)1000 * 1000)

/* What the calls wait for. It comes only after the gate was opened. */
struct stage {
	weft_mutex mutex, held;
	weft_cond cond;
	weft_rwlock written, read;
	weft_sem sem;
	weft_barrier barrier;
	weft_once once;
	weft_latch latch;
	weft_event event, gate;
	weft_waitgroup waitgroup;
	weft_chan *empty, *full;
	weft_timer timer;
	weft_group group, results;
	weft_task *sleeper, *runner, *blocker;
	flag blocks, opened;
};

typedef int call(struct stage *s, int64_t deadline);

/* Opens the gate a little later, independent of the caller. */
static void *open_gate(void *arg)
{
	struct stage *s = arg;

	CHECK(weft_sleep(SHORTLY) == 0);
	raise_flag(&s->opened);
	weft_event_set(&s->gate);
	return arg;
}

static void open_gate_later(struct stage *s)
{
	CHECK(weft_spawn(open_gate, s, NULL) == 0);
}

/* The result for calls that have no result and no deadline: 0 if they have waited. */
static int has_waited(struct stage *s)
{
	return is_raised(&s->opened, 1) ? 0 : -ECANCELED;
}

static void *wait_for_gate(void *arg)
{
	struct stage *s = arg;

	weft_cancel_mask();
	CHECK(weft_event_wait(&s->gate) == 0);
	weft_cancel_unmask();
	return NULL;
}

static void *block(void *arg)
{
	struct stage *s = arg;

	raise_flag(&s->blocks);
	return wait_for_gate(arg);
}

static int call_sleep(struct stage *s, int64_t deadline)
{
	(void)s;
	return weft_sleep_until(deadline);
}

static int call_join(struct stage *s, int64_t deadline)
{
	return weft_join_until(s->sleeper, NULL, deadline);
}

static int call_fork_join(struct stage *s, int64_t deadline)
{
	weft_forked forked;

	(void)deadline;
	open_gate_later(s);
	weft_fork(&forked, wait_for_gate, s);
	weft_fork_join(&forked);
	return has_waited(s);
}

static int call_group_wait(struct stage *s, int64_t deadline)
{
	return weft_group_wait_until(&s->group, deadline);
}

static int call_group_wait_or_cancel(struct stage *s, int64_t deadline)
{
	return weft_group_wait_or_cancel_until(&s->group, deadline);
}

static int call_group_next(struct stage *s, int64_t deadline)
{
	return weft_group_next_until(&s->results, NULL, deadline);
}

static int call_group_spawn(struct stage *s, int64_t deadline)
{
	return weft_group_spawn_until(&s->group, give_back, NULL, deadline);
}

static int try_group_spawn(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_group_try_spawn(&s->group, give_back, NULL);
}

static int call_group_submit(struct stage *s, int64_t deadline)
{
	return weft_group_submit_until(&s->group, NULL, give_back, NULL, deadline);
}

static int call_mutex(struct stage *s, int64_t deadline)
{
	return weft_mutex_lock_until(&s->held, deadline);
}

static int try_mutex(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_mutex_try_lock(&s->held);
}

static int call_cond(struct stage *s, int64_t deadline)
{
	weft_mutex_lock(&s->mutex);
	int rc = weft_cond_wait_until(&s->cond, &s->mutex, deadline);
	weft_mutex_unlock(&s->mutex);
	return rc;
}

static int call_rdlock(struct stage *s, int64_t deadline)
{
	return weft_rwlock_rdlock_until(&s->written, deadline);
}

static int try_rdlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_rwlock_try_rdlock(&s->written);
}

static int call_wrlock(struct stage *s, int64_t deadline)
{
	return weft_rwlock_wrlock_until(&s->read, deadline);
}

static int try_wrlock(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_rwlock_try_wrlock(&s->read);
}

static int call_upgrade(struct stage *s, int64_t deadline)
{
	weft_rwlock_rdlock(&s->read);
	int rc = weft_rwlock_upgrade_until(&s->read, deadline);
	weft_rwlock_unlock(&s->read);
	return rc;
}

static int call_sem(struct stage *s, int64_t deadline)
{
	return weft_sem_acquire_until(&s->sem, deadline);
}

static int call_sem_n(struct stage *s, int64_t deadline)
{
	return weft_sem_acquire_n_until(&s->sem, 3, deadline);
}

static int try_sem(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_sem_try_acquire(&s->sem);
}

static int call_barrier(struct stage *s, int64_t deadline)
{
	return weft_barrier_wait_until(&s->barrier, deadline);
}

static void run_once(void *arg)
{
	wait_for_gate(arg);
}

static int try_once(void *arg)
{
	wait_for_gate(arg);
	return 0;
}

static int call_once(struct stage *s, int64_t deadline)
{
	(void)deadline;
	open_gate_later(s);
	weft_once_call(&s->once, run_once, s);
	return has_waited(s);
}

static int call_once_try(struct stage *s, int64_t deadline)
{
	(void)deadline;
	open_gate_later(s);
	CHECK(weft_once_try(&s->once, try_once, s) == 0);
	return has_waited(s);
}

static int call_latch(struct stage *s, int64_t deadline)
{
	return weft_latch_wait_until(&s->latch, deadline);
}

static int call_event(struct stage *s, int64_t deadline)
{
	return weft_event_wait_until(&s->event, deadline);
}

static int call_waitgroup(struct stage *s, int64_t deadline)
{
	return weft_waitgroup_wait_until(&s->waitgroup, deadline);
}

static int call_send(struct stage *s, int64_t deadline)
{
	return weft_chan_send_until(s->full, NULL, deadline);
}

static int try_send(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_try_send(s->full, NULL);
}

static int call_recv(struct stage *s, int64_t deadline)
{
	return weft_chan_recv_until(s->empty, NULL, deadline);
}

static int try_recv(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_chan_try_recv(s->empty, NULL);
}

static int call_select(struct stage *s, int64_t deadline)
{
	struct weft_case cases[2] = {{.op = WEFT_SEND, .chan = s->full},
				     {.op = WEFT_RECV, .chan = s->empty}};
	int i = weft_select(cases, 2, deadline);

	return i < 0 ? i : cases[i].ret_status;
}

static int call_timer(struct stage *s, int64_t deadline)
{
	return weft_timer_wait_until(&s->timer, NULL, deadline);
}

static int call_blocking(struct stage *s, int64_t deadline)
{
	(void)deadline;
	open_gate_later(s);
	CHECK(weft_blocking(wait_for_gate, s, NULL) == 0);
	return has_waited(s);
}

static int call_blocking_until(struct stage *s, int64_t deadline)
{
	return weft_blocking_until(give_back, s, NULL, deadline);
}

/*
 * The columns of the table:
 *  - would_block: what the try form returns.
 *  - deadline: the call, or its _until form, at its deadline or with deadline 0.
 *  - cancelled: in a cancelled task. "waits" means that the call is no cancellation point.
 *  - both: in a cancelled task, with a deadline that has passed.
 *  - ended: what the call waits for will never come.
 */
struct row {
	const char *name;
	call *call, *try_call;
	const char *would_block, *deadline, *cancelled, *both, *ended;
};

#define NONE "-"

/* clang-format off */
static const struct row rows[] = {
	{"weft_sleep_until", call_sleep, NULL, NONE, "0", "-ECANCELED", "0", NONE},
	{"weft_join_until", call_join, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_fork_join", call_fork_join, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_group_wait_until", call_group_wait, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ETIMEDOUT", NONE},
	{"weft_group_wait_or_cancel_until", call_group_wait_or_cancel, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_group_next_until", call_group_next, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-ECHILD"},
	{"weft_group_spawn_until", call_group_spawn, try_group_spawn, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_group_submit_until", call_group_submit, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_mutex_lock_until", call_mutex, try_mutex, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_cond_wait_until", call_cond, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_rwlock_rdlock_until", call_rdlock, try_rdlock, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_rwlock_wrlock_until", call_wrlock, try_wrlock, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_rwlock_upgrade_until", call_upgrade, NULL, NONE, "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_sem_acquire_until", call_sem, try_sem, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_sem_acquire_n_until", call_sem_n, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_barrier_wait_until", call_barrier, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_once_call", call_once, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_once_try", call_once_try, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_latch_wait_until", call_latch, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_event_wait_until", call_event, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_waitgroup_wait_until", call_waitgroup, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_chan_send_until", call_send, try_send, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_chan_recv_until", call_recv, try_recv, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_select", call_select, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_timer_wait_until", call_timer, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_blocking", call_blocking, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_blocking_until", call_blocking_until, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void *member(void *arg)
{
	struct stage *s = arg;

	CHECK(weft_event_wait(&s->gate) != -ETIMEDOUT);
	return NULL;
}

static void *run_blocking(void *arg)
{
	CHECK(weft_blocking(block, arg, NULL) == 0);
	return arg;
}

static void set_stage(struct stage *s, const struct row *row, bool ended)
{
	*s = (struct stage){.latch = WEFT_LATCH_INIT(1), .barrier = WEFT_BARRIER_INIT(2)};
	weft_waitgroup_add(&s->waitgroup, 1);
	weft_timer_init(&s->timer);
	CHECK(weft_chan_create(0, 0, &s->empty) == 0);
	CHECK(weft_chan_create(0, 0, &s->full) == 0);
	weft_group_init(&s->group);
	weft_group_init(&s->results);
	weft_group_set_limit(&s->group, 1);
	weft_group_keep_results(&s->results);
	CHECK(weft_group_spawn(&s->group, member, s) == 0);
	CHECK(weft_spawn(sleep_for_ever, s, &s->sleeper) == 0);
	weft_mutex_lock(&s->held);
	weft_rwlock_wrlock(&s->written);
	weft_rwlock_rdlock(&s->read);
	s->blocker = NULL;
	if (row->call == call_blocking_until) {
		CHECK(weft_spawn(run_blocking, s, &s->blocker) == 0);
		CHECK(yield_for(&s->blocks, 1));
	}
	if (ended) {
		weft_barrier_break(&s->barrier);
		weft_chan_close(s->empty);
		weft_chan_close(s->full);
	} else {
		CHECK(weft_group_spawn(&s->results, member, s) == 0);
	}
}

static void clear_stage(struct stage *s)
{
	raise_flag(&s->opened);
	weft_event_set(&s->gate);
	weft_mutex_unlock(&s->held);
	weft_rwlock_unlock(&s->written);
	weft_rwlock_unlock(&s->read);
	CHECK(weft_cancel(s->sleeper) == 0);
	CHECK(weft_join(s->sleeper, NULL) == 0);
	if (s->blocker)
		CHECK(weft_join(s->blocker, NULL) == 0);
	CHECK(weft_group_wait(&s->group) == 0);
	CHECK(weft_group_wait(&s->results) == 0);
	weft_group_fini(&s->group);
	weft_group_fini(&s->results);
	weft_timer_fini(&s->timer);
	weft_chan_destroy(s->empty);
	weft_chan_destroy(s->full);
}

struct attempt {
	struct stage *stage;
	call *call;
	int64_t deadline;
	bool cancelled;
	int rc;
};

static void *attempt(void *arg)
{
	struct attempt *a = arg;

	if (a->cancelled)
		CHECK(weft_cancel(weft_self()) == 0);
	a->rc = a->call(a->stage, a->deadline);
	return arg;
}

static bool is_none(const char *cell)
{
	return strcmp(cell, NONE) == 0;
}

/* Calls that only tasks may make, and calls that do not wait on a thread. */
static bool for_tasks(const struct row *row)
{
	return row->call == call_group_spawn || row->call == call_fork_join ||
	       row->call == call_blocking || row->call == call_blocking_until ||
	       row->call == call_group_submit || is_none(row->deadline);
}

enum who { TASK, CANCELLED_TASK, THREAD };

/* Tries one cell. */
static int try_it(const struct row *row, call *fn, int64_t deadline, enum who who, bool ended)
{
	struct stage stage;
	struct attempt a = {&stage, fn, deadline, who == CANCELLED_TASK, 1};
	struct hand hand;

	set_stage(&stage, row, ended);
	start(&hand, who == THREAD, attempt, &a);
	finish(&hand);
	clear_stage(&stage);
	return a.rc;
}

static const char *text(int rc)
{
	return rc == 0            ? "0"
	       : rc == -EAGAIN    ? "-EAGAIN"
	       : rc == -EBUSY     ? "-EBUSY"
	       : rc == -ECANCELED ? "-ECANCELED"
	       : rc == -ECHILD    ? "-ECHILD"
	       : rc == -EPIPE     ? "-EPIPE"
	       : rc == -ETIMEDOUT ? "-ETIMEDOUT"
				  : "something else";
}

static void expect(const struct row *row, const char *cell, const char *said, const char *is)
{
	if (!CHECK(strcmp(said, is) == 0))
		fprintf(stderr, "%s, %s: %s, not %s\n", row->name, cell, is, said);
}

static void try_row(const struct row *row)
{
	bool timed = !is_none(row->deadline), waits = strcmp(row->cancelled, "waits") == 0;

	if (row->try_call)
		expect(row, "would block", row->would_block,
		       text(try_it(row, row->try_call, 0, TASK, false)));
	else
		CHECK(is_none(row->would_block));
	for (enum who who = TASK; timed && who <= THREAD; who += 2) {
		if (who == THREAD && for_tasks(row))
			break;
		expect(row, "deadline", row->deadline,
		       text(try_it(row, row->call, weft_after(SHORTLY), who, false)));
		expect(row, "deadline in the past", row->deadline,
		       text(try_it(row, row->call, 1, who, false)));
		expect(row, "deadline 0", row->deadline,
		       text(try_it(row, row->call, 0, who, false)));
	}
	if (timed) {
		expect(row, "both", row->both,
		       text(try_it(row, row->call, 1, CANCELLED_TASK, false)));
		expect(row, "deadline 0, cancelled", row->deadline,
		       text(try_it(row, row->call, 0, CANCELLED_TASK, false)));
	}
	if (waits)
		expect(row, "cancelled", timed ? row->deadline : "0",
		       text(try_it(row, row->call, weft_after(SHORTLY), CANCELLED_TASK, false)));
	else
		expect(row, "cancelled", row->cancelled,
		       text(try_it(row, row->call, WEFT_FOREVER, CANCELLED_TASK, false)));
	if (is_none(row->ended))
		return;
	/* The call need not wait in this case. */
	for (enum who who = TASK; who <= THREAD; who++) {
		expect(row, "ended", row->ended,
		       text(try_it(row, row->call, WEFT_FOREVER, who, true)));
		expect(row, "ended, deadline 0", row->ended,
		       text(try_it(row, row->call, 0, who, true)));
	}
}

static void *try_rows(void *arg)
{
	for (size_t i = 0; i < ROWS; i++)
		try_row(&rows[i]);
	return arg;
}

static void test_each_cell_of_the_table(void **state)
{
	(void)state;
	setenv("WEFT_BLOCKING_THREADS", "1", 1);
	assert_run(1, try_rows, NULL);
	assert_run(2, try_rows, NULL);
	unsetenv("WEFT_BLOCKING_THREADS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cell_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
