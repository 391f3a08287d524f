/* SPDX-License-Identifier: MIT */
/*
 * What each waiting call returns: each cell of the table in weft-waits(7) is tried, by tasks, forks
 * and plain threads, for each way in which a caller can be cancelled. docs/man/check.py compares
 * the two tables, and each public function is in them or in its list of those that never wait.
 */
#include "stage_io.h"

#include <string.h>

/*
 * The columns of the table:
 *  - would_block: what the try form returns.
 *  - deadline: the call, or its _until form, at its deadline or with deadline 0.
 *  - cancelled: in a cancelled task. "waits" means that the call is not a cancellation point.
 *  - both: in a cancelled task, with a deadline that has passed.
 *  - ended: what the call waits for will never come.
 */
struct row {
	const char *name;
	call *until, *plain, *try_call;
	const char *would_block, *deadline, *cancelled, *both, *ended;
};

#define NONE "-"

/* clang-format off */
static const struct row rows[] = {
	{"weft_sleep_until", until_sleep, plain_sleep, NULL, NONE, "0", "-ECANCELED", "0", NONE},
	{"weft_join_until", until_join, plain_join, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_fork_join", until_fork_join, NULL, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_group_wait_until", until_group_wait, plain_group_wait, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ETIMEDOUT", NONE},
	{"weft_group_wait_or_cancel_until", until_group_wait_or_cancel, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_group_next_until", until_group_next, plain_group_next, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-ECHILD"},
	{"weft_group_spawn_until", until_group_spawn, plain_group_spawn, try_group_spawn, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_group_submit_until", until_group_submit, plain_group_submit, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_mutex_lock_until", until_mutex, plain_mutex, try_mutex, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_cond_wait_until", until_cond, plain_cond, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_rwlock_rdlock_until", until_rdlock, plain_rdlock, try_rdlock, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_rwlock_wrlock_until", until_wrlock, plain_wrlock, try_wrlock, "-EBUSY", "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_rwlock_upgrade_until", until_upgrade, plain_upgrade, NULL, NONE, "-ETIMEDOUT", "waits", "-ETIMEDOUT", NONE},
	{"weft_sem_acquire_until", until_sem, plain_sem, try_sem, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_sem_acquire_n_until", until_sem_n, plain_sem_n, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_barrier_wait_until", until_barrier, plain_barrier, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_once_call", until_once, NULL, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_once_try", until_once_try, NULL, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_latch_wait_until", until_latch, plain_latch, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_event_wait_until", until_event, plain_event, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_waitgroup_wait_until", until_waitgroup, plain_waitgroup, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_chan_send_until", until_send, plain_send, try_send, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_chan_recv_until", until_recv, plain_recv, try_recv, "-EAGAIN", "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_select", until_select, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_select_ordered", until_select_ordered, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EPIPE"},
	{"weft_timer_wait_until", until_timer, plain_timer, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_blocking", until_blocking, NULL, NULL, NONE, NONE, "waits", NONE, NONE},
	{"weft_blocking_until", until_blocking_until, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
	{"weft_read_until", until_read, plain_read, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_readv_until", until_readv, plain_readv, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_write_until", until_write, plain_write, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_writev_until", until_writev, plain_writev, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_read_full", until_read_full, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_write_full", until_write_full, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_recv_until", until_recv_bytes, plain_recv_bytes, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_send_until", until_send_bytes, plain_send_bytes, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_recvmsg_until", until_recvmsg, plain_recvmsg, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_sendmsg_until", until_sendmsg, plain_sendmsg, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_accept_until", until_accept, plain_accept, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_connect_until", until_connect, plain_connect, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_fd_wait", until_fd_wait, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", "-EBADF"},
	{"weft_poll", until_poll, NULL, NULL, NONE, "-ETIMEDOUT", "-ECANCELED", "-ECANCELED", NONE},
};
/* clang-format on */
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* --- the stage --- */

static bool is_of_groups(const struct row *row)
{
	return strncmp(row->name, "weft_group_", strlen("weft_group_")) == 0;
}

static bool is_of_locks(const struct row *row)
{
	return row->try_call == try_mutex || row->try_call == try_rdlock ||
	       row->try_call == try_wrlock || row->until == until_upgrade;
}

static bool is_of_io(const struct row *row)
{
	static const char *const names[] = {"weft_read", "weft_write",  "weft_recv",    "weft_send",
					    "weft_poll", "weft_accept", "weft_connect", "weft_fd_"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strncmp(row->name, names[i], strlen(names[i])) == 0)
			return true;
	}
	return false;
}

static void spawn_actor(weft_fn *fn, struct stage *s, weft_task **ret_task, flag *ready)
{
	CHECK(weft_spawn(fn, s, ret_task) == 0);
	if (ready)
		CHECK(yield_for(ready, 1));
}

/* Only the actors that the call needs. */
static void set_stage(struct stage *s, const struct row *row, bool ended, bool stubborn)
{
	*s = (struct stage){.latch = WEFT_LATCH_INIT(1), .barrier = WEFT_BARRIER_INIT(2)};
	s->rt = weft_runtime_self();
	s->stubborn = stubborn;
	weft_waitgroup_add(&s->waitgroup, 1);
	weft_timer_init(&s->timer);
	CHECK(weft_chan_create(0, 0, &s->empty) == 0);
	CHECK(weft_chan_create(0, 0, &s->full) == 0);
	weft_group_init(&s->group);
	weft_group_init(&s->results);
	weft_group_set_limit(&s->group, 1);
	weft_group_keep_results(&s->results);
	CHECK(weft_spawn(sleep_for_ever, s, &s->sleeper) == 0);
	if (is_of_locks(row))
		spawn_actor(hold, s, &s->holder, &s->holds);
	if (row->until == until_blocking_until)
		spawn_actor(run_blocking, s, &s->blocker, &s->blocks);
	if (is_of_io(row))
		set_stage_io(s, ended);
	if (ended) {
		weft_barrier_break(&s->barrier);
		weft_chan_close(s->empty);
		weft_chan_close(s->full);
	} else if (is_of_groups(row)) {
		CHECK(weft_group_spawn(&s->group, member, s) == 0);
		CHECK(weft_group_spawn(&s->results, member, s) == 0);
	}
}

static void clear_stage(struct stage *s)
{
	weft_task *actors[] = {s->opener, s->holder, s->blocker, s->sleeper};

	open_gate(s);
	if (s->joined)
		actors[3] = NULL;
	else
		CHECK(weft_cancel(s->sleeper) == 0);
	for (size_t i = 0; i < sizeof(actors) / sizeof(actors[0]); i++) {
		if (actors[i])
			CHECK(weft_join(actors[i], NULL) == 0);
	}
	CHECK(weft_group_wait(&s->group) == 0);
	CHECK(weft_group_wait(&s->results) == 0);
	weft_group_fini(&s->group);
	weft_group_fini(&s->results);
	weft_timer_fini(&s->timer);
	weft_chan_destroy(s->empty);
	weft_chan_destroy(s->full);
	if (s->has_io)
		clear_stage_io(s);
}

/* --- one attempt --- */

enum caller { TASK, FORK, THREAD, CALLERS };

/* What has cancelled the caller before its call, or cancels it meanwhile. */
enum cause {
	NOTHING,
	CANCEL, /* of the task, or of the task above the fork */
	SCOPE,
	DEADLINE_OF_SCOPE,
	MEANWHILE, /* the causes that follow are no earlier than the wait, as a rule */
	CANCEL_MEANWHILE = MEANWHILE,
	SCOPE_MEANWHILE,
	DEADLINE_MEANWHILE,
	CAUSES
};

struct attempt {
	struct stage *stage;
	call *call;
	int64_t deadline;
	enum caller caller;
	enum cause cause;
	bool masked;
	weft_task *task; /* to be cancelled, or NULL */
	weft_scope scopes[2];
	weft_event done;
	int rc;
};

static void *make_call(void *arg)
{
	struct attempt *a = arg;

	if (a->masked)
		weft_cancel_mask();
	a->rc = a->call(a->stage, a->deadline);
	if (a->masked)
		weft_cancel_unmask();
	return arg;
}

static void *cancel_later(void *arg)
{
	struct attempt *a = arg;

	CHECK(weft_sleep(SHORTLY) == 0);
	if (a->cause == SCOPE_MEANWHILE)
		weft_scope_cancel(&a->scopes[0]);
	else
		CHECK(weft_cancel(a->task) == 0);
	return arg;
}

static void begin_scopes(struct attempt *a)
{
	bool now = a->cause == DEADLINE_OF_SCOPE, soon = a->cause == DEADLINE_MEANWHILE;

	weft_scope_begin(&a->scopes[0], now ? 1 : soon ? weft_after(SHORTLY) : WEFT_FOREVER);
	weft_scope_begin(&a->scopes[1], WEFT_FOREVER);
	if (a->cause == SCOPE)
		weft_scope_cancel(&a->scopes[a->caller == FORK ? 0 : 1]);
}

static bool has_scopes(enum cause cause)
{
	return cause != NOTHING && cause != CANCEL && cause != CANCEL_MEANWHILE;
}

static void *attempt(void *arg)
{
	struct attempt *a = arg;
	weft_task *canceller = NULL;
	weft_forked forked;

	a->task = weft_self();
	if (a->cause == CANCEL)
		CHECK(weft_cancel(weft_self()) == 0);
	if (has_scopes(a->cause))
		begin_scopes(a);
	if (a->cause == CANCEL_MEANWHILE || a->cause == SCOPE_MEANWHILE)
		CHECK(weft_submit(a->stage->rt, cancel_later, a, &canceller) == 0);
	if (a->caller == FORK) {
		weft_fork(&forked, make_call, a);
		CHECK(weft_fork_join(&forked) == a);
	} else {
		make_call(a);
	}
	weft_cancel_mask();
	if (canceller)
		CHECK(weft_join(canceller, NULL) == 0);
	weft_cancel_unmask();
	if (has_scopes(a->cause)) {
		weft_scope_end(&a->scopes[1]);
		weft_scope_end(&a->scopes[0]);
	}
	weft_event_set(&a->done);
	return arg;
}

/* Lets an actor, a task or a thread, make the attempt. */
static void run_attempt(struct attempt *a)
{
	weft_task *task;
	pthread_t thread;

	if (a->caller != THREAD) {
		CHECK(weft_spawn(attempt, a, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		return;
	}
	CHECK(pthread_create(&thread, NULL, attempt, a) == 0);
	/* The thread may wait for tasks of this worker. */
	CHECK(weft_event_wait(&a->done) == 0);
	pthread_join(thread, NULL);
}

/* --- the cells --- */

#define NOT_YET 4711

static bool is_none(const char *cell)
{
	return strcmp(cell, NONE) == 0;
}

static bool waits(const struct row *row)
{
	return strcmp(row->cancelled, "waits") == 0;
}

/* Calls that only tasks may make, and those that a thread makes without a wait. */
static bool is_for_tasks(const struct row *row)
{
	return row->until == until_group_spawn || row->until == until_blocking_until;
}

static bool can_be(enum caller caller, enum cause cause)
{
	return caller != THREAD || (cause != CANCEL && cause != CANCEL_MEANWHILE);
}

static const char *text(int rc)
{
	return rc == 0            ? "0"
	       : rc == -EAGAIN    ? "-EAGAIN"
	       : rc == -EBADF     ? "-EBADF"
	       : rc == -EBUSY     ? "-EBUSY"
	       : rc == -ECANCELED ? "-ECANCELED"
	       : rc == -ECHILD    ? "-ECHILD"
	       : rc == -EPIPE     ? "-EPIPE"
	       : rc == -ETIMEDOUT ? "-ETIMEDOUT"
				  : "something else";
}

struct cell {
	const char *name;
	call *call;
	int64_t deadline;
	bool ended;     /* what the call waits for will not come */
	weft_fn *comes; /* it comes later: by this actor */
	bool masked;
	const char *expected;
};

/* Tries one cell, and compares. */
static void try_cell(const struct row *row, const struct cell *cell, enum caller caller,
		     enum cause cause)
{
	struct stage stage;
	struct attempt a = {.stage = &stage,
			    .call = cell->call,
			    .deadline = cell->deadline,
			    .caller = caller,
			    .cause = cause,
			    .masked = cell->masked,
			    .rc = NOT_YET};

	if (!can_be(caller, cause) || (caller == THREAD && is_for_tasks(row)))
		return;
	/* A group whose members end at once is done, whatever the deadline is. */
	set_stage(&stage, row, cell->ended,
		  row->until == until_group_wait && strcmp(cell->expected, "-ETIMEDOUT") == 0);
	if (cell->comes)
		provide_later(&stage, cell->comes);
	run_attempt(&a);
	clear_stage(&stage);
	if (!CHECK(strcmp(cell->expected, text(a.rc)) == 0))
		fprintf(stderr, "%s, %s, caller %d, cause %d: %s, not %s\n", row->name, cell->name,
			caller, cause, text(a.rc), cell->expected);
}

/* For each caller. */
static void try_all(const struct row *row, struct cell cell, enum cause cause)
{
	for (enum caller caller = TASK; caller < CALLERS; caller++)
		try_cell(row, &cell, caller, cause);
}

static void *provide_bytes(void *arg)
{
	CHECK(weft_sleep(SHORTLY) == 0);
	open_gate(arg);
	provide_io(arg);
	return arg;
}

/* What lets the wait of a call end well, if it is not a partner that could come before the call. */
static weft_fn *provider(const struct row *row)
{
	return row->until == until_sleep || row->until == until_connect ? NULL
	       : is_of_io(row)                                          ? provide_bytes
	       : row->until == until_barrier                            ? meet_at_barrier
	       : row->until == until_send || row->until == until_recv ||
			       row->until == until_select || row->until == until_select_ordered
		       ? meet_in_channel
		       : provide;
}

static void try_uncancelled(const struct row *row)
{
	bool timed = !is_none(row->deadline);
	weft_fn *comes = provider(row);

	if (row->try_call)
		try_all(row,
			(struct cell){.name = "would block",
				      .call = row->try_call,
				      .expected = row->would_block},
			NOTHING);
	else
		CHECK(is_none(row->would_block));
	for (int i = 0; timed && i < 3; i++) {
		int64_t deadline = i == 0 ? 0 : i == 1 ? 1 : weft_after(SHORTLY);
		try_all(row,
			(struct cell){.name = "deadline",
				      .call = row->until,
				      .deadline = deadline,
				      .expected = row->deadline},
			NOTHING);
	}
	if (comes) {
		struct cell cell = {.name = "comes",
				    .call = row->until,
				    .deadline = timed ? weft_after(LOST_NS) : 0,
				    .comes = comes,
				    .expected = "0"};
		try_all(row, cell, NOTHING);
		cell.call = row->plain ? row->plain : row->until;
		try_all(row, cell, NOTHING);
		/* A masked region makes every call one that waits. */
		cell.masked = true;
		try_all(row, cell, CANCEL);
		try_all(row, cell, DEADLINE_OF_SCOPE);
	}
	for (int i = 0; !is_none(row->ended) && i < 3; i++) {
		if (i == 2 && !row->plain)
			break;
		try_all(row,
			(struct cell){.name = "ended",
				      .call = i == 2 ? row->plain : row->until,
				      .deadline = i == 0 ? 0 : WEFT_FOREVER,
				      .ended = true,
				      .expected = row->ended},
			i == 1 ? CANCEL : NOTHING);
	}
}

/* A call that is cancelled by a certain cause. */
static void try_cancelled(const struct row *row, enum cause cause)
{
	bool timed = !is_none(row->deadline);
	struct cell cell = {.name = "cancelled",
			    .call = row->until,
			    .deadline = WEFT_FOREVER,
			    .expected = row->cancelled};

	if (waits(row)) {
		cell.comes = provider(row);
		cell.expected = "0";
	}
	try_all(row, cell, cause);
	if (row->plain) {
		cell.call = row->plain;
		try_all(row, cell, cause);
	}
	if (!timed || cause >= MEANWHILE)
		return;
	try_all(row,
		(struct cell){
			.name = "both", .call = row->until, .deadline = 1, .expected = row->both},
		cause);
	try_all(row,
		(struct cell){.name = "deadline 0, cancelled",
			      .call = row->until,
			      .expected = row->deadline},
		cause);
}

/* arg: the causes to be tried. Where a task costs milliseconds, each row has every third of
 * them. */
static void *try_rows(void *arg)
{
	unsigned step = weft_test_scale(100) > 1 ? 1 : 3;

	for (unsigned i = 0; i < ROWS; i++) {
		try_uncancelled(&rows[i]);
		for (enum cause cause = CANCEL; cause < *(enum cause *)arg; cause++)
			if ((i + cause) % step == 0)
				try_cancelled(&rows[i], cause);
	}
	return arg;
}

static void test_each_cell_of_the_table(void **state)
{
	enum cause few = CANCEL + 1, all = CAUSES;

	(void)state;
	setenv("WEFT_BLOCKING_THREADS", "1", 1);
	assert_run(1, try_rows, &few);
	assert_run(2, try_rows, &all);
	unsetenv("WEFT_BLOCKING_THREADS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_cell_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
