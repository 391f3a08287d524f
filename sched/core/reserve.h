/* SPDX-License-Identifier: MIT */
/*
 * Reserves of coroutines: a task that was accepted can always start.
 *
 * The problem. A task gets its stack when it starts, long after its spawn has returned 0. If the
 * system refuses a stack then, the task waits for one (starve.c). It waits for ever if no task of
 * its runtime has a stack that could come back.
 *
 * So each runtime owns at least one coroutine of the common stack size, from its creation to its
 * end. It also owns one of each other size while accepted tasks of that size have not ended. The
 * reserve holds that coroutine while no task has it.
 *
 *   runtime created               a coroutine is made for the reserve, or the creation fails
 *   task accepted, other size     a coroutine is made if the reserve is empty, or the spawn fails
 *   the system refuses a stack    the worker takes the reserve; runtime.starving is set
 *   spawn while starving is set   a coroutine is made if the reserve is empty, or the spawn fails
 *   a coroutine is given up       the worker first fills the reserve if that is empty
 *
 * Invariants:
 *
 *  1. A runtime owns a coroutine of the common size outside of its depot. A worker frees one, or
 *     puts it into the depot, only after it has found the reserve full or has filled it. What was
 *     in the reserve before is then in another worker's hands, and that worker obeys the same rule.
 *  2. If the common reserve is empty, runtime.starving is set. Both change under starved_lock. A
 *     worker that has the last coroutine sees the flag, which was set before it got that coroutine.
 *  3. The same holds for another size, from the acceptance of its first task to the end of its
 *     last.
 *
 * Hence a task that waits for a stack waits either for another task, which has one, or for its
 * worker. Whether that other task ever ends is up to the program. If tasks wait for each other, and
 * there are fewer stacks than tasks, they wait for ever. One line on stderr says that tasks wait.
 *
 * Rejected designs.
 *   - A stack for each task when it is accepted. A million short tasks would need a million stacks
 *     instead of a few.
 *   - A look at the system's memory at each spawn. It costs a system call, and says nothing about
 *     the moment in which the task starts.
 */
#ifndef WEFT_CORE_RESERVE_H
#define WEFT_CORE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

struct coro;
struct weft_runtime;
struct worker;

struct reserve {
	size_t stack_size; /* immutable; unused for the common size */
	/* under runtime.starved_lock */
	struct coro *coro;    /* NULL: a worker or a task has it */
	unsigned long tasks;  /* tasks accepted and not ended; not counted for the common size */
	struct reserve *next; /* the next reserve of another size */
};

/* Fills the common reserve of a new runtime. Returns 0 or -ENOMEM. */
int weft__reserve_init(struct weft_runtime *rt);

/* Frees the common reserve. No task is left, so there is no other reserve. */
void weft__reserve_fini(struct weft_runtime *rt);

/*
 * Accepts a task whose stack size is not the common one. weft__reserve_leave() must follow.
 *
 * @w  the caller's worker, which may have to give up what it keeps; or NULL.
 *
 * Returns 0, or -ENOMEM if there is no stack of that size.
 */
int weft__reserve_enter(struct weft_runtime *rt, struct worker *w, size_t stack_size,
			struct reserve **ret_reserve);

/* Notes that a task of that size has ended. Its coroutine goes to the reserve or is freed. co: NULL
 * if the task had none. */
void weft__reserve_leave(struct weft_runtime *rt, struct reserve *reserve, struct coro *co);

/* Takes the coroutine out of the reserve, or returns NULL. Taking the common one sets
 * runtime.starving. */
struct coro *weft__reserve_take(struct weft_runtime *rt, struct reserve *reserve);

/* Puts co into the common reserve if that is empty. co is of the common size. If it returns false
 * co is still the caller's. */
bool weft__reserve_fill(struct weft_runtime *rt, struct coro *co);

/* Makes a coroutine for the common reserve if that is empty. Returns false if there is no
 * memory. */
bool weft__reserve_ensure(struct weft_runtime *rt);

#endif
