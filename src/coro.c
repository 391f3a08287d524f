/* SPDX-License-Identifier: MIT */
/*
 * The coroutine: the switch with all the state that travels along, and the asymmetric pair (enter,
 * yield) built on it.
 *
 * The switch does its bookkeeping before the stack pointer changes. The bookkeeping covers errno,
 * `current`, the floating-point words and the C++ runtime's state. The switch then ends in a tail
 * jump to weft__context_switch(), so a resumed coroutine returns straight to the caller of
 * weft__coro_switch(). Work after the jump would have two costs:
 *
 *  (a) a mispredicted return for each switch (11.8 instead of 5.8 ns);
 *  (b) a frame that is live across the switch, which could hold a thread-local address (tls.c).
 *
 * So the outgoing coroutine does the bookkeeping for both coroutines. Both are at hand, on the
 * same thread.
 *
 * weft_coro_enter() and weft_coro_yield() end in the same jump. The yielder's switch passes the
 * value 0, which is what enter returns. The yielder writes *ret_out before the switch.
 */
#include "coro.h"

#include "spare.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/holder.h"
#include "src/base/lockcheck.h"
#include "src/stack/stack_env.h"

#include <errno.h>
#include <stdint.h>

/*
 * Each state is set by one party:
 *
 *   STATE_CREATED                the creator
 *   STATE_RUNNING                the enterer
 *   STATE_SUSPENDED, STATE_DONE  the coroutine itself
 *   STATE_GONE                   the destroyer; visible until the header is used again
 */
enum state {
	STATE_CREATED,
	STATE_RUNNING, /* also while a task that runs inside it is suspended */
	STATE_SUSPENDED,
	STATE_DONE,
	STATE_GONE,
};

struct weft_coro {
	struct coro coro; /* first: a struct coro with a caller is one of these */
	weft_fn *fn;
	void **ret_out; /* of the weft_coro_enter() that runs it; may be NULL */
	uintptr_t kind; /* of its stack (spare.h) */
	/* Relaxed everywhere. Correct programs order their calls themselves. For incorrect programs
	 * this field is a best effort to report the mistake. It is atomic only to keep that check
	 * free of races of our own. */
	_Atomic int state;
};

/* Every coroutine's header has this size, which lets code that walks the arenas find the
 * headers. */
#define HEADER_SIZE sizeof(struct weft_coro)

/* For weft__holder_check(): the room above `place` on the current coroutine's stack. 0 on a leader,
 * whose bounds are not known. */
static size_t room_above(uintptr_t place)
{
	const struct coro *self = weft__thread()->current;
	bool within = self && place - (uintptr_t)self->stack.low <
				      (size_t)(self->stack.top - self->stack.low);

	return within ? (uintptr_t)self->stack.top - place : 0;
}

/* Not inlined, and returns its argument: the callers then keep nothing over the call. */
static __attribute__((noinline, cold)) struct weft__thread *set_up(struct weft__thread *th)
{
	weft__holder_ask(room_above);
	weft__thread_init(th);
	san_leader_init(&th->leader->sanitizer);
	return th;
}

/* The calling thread's state, already set up. The pointer must not be kept across a switch. */
static inline struct weft__thread *thread(void)
{
	struct weft__thread *th = weft__thread();

	return likely(th->current) ? th : set_up(th);
}

void weft__coro_thread_init(void)
{
	thread();
}

static inline void load_errno(struct weft__thread *th, struct coro *to)
{
	*th->errno_location = to->saved_errno;
	san_errno_passes_on(th->errno_location);
}

static inline void exchange_eh(struct eh_globals *eh, struct coro *from, struct coro *to)
{
	if (!eh)
		return;
	from->eh_caught = eh->caught;
	from->eh_uncaught = eh->uncaught;
	eh->caught = to->eh_caught;
	eh->uncaught = to->eh_uncaught;
}

/* One test covers all the cases that few threads need. */
static inline void exchange_words(struct weft__thread *th, struct coro *from, struct coro *to)
{
	if (likely(th->plain)) {
		fpwords_exchange_plainly(&from->fpwords, &to->fpwords);
		return;
	}
	fpwords_save(&from->fpwords);
	fpwords_load(&to->fpwords, &from->fpwords);
	exchange_eh(th->eh_globals, from, to);
}

/* Does everything except the switch itself. From here on the thread is `to`'s, still on from's
 * stack. */
static inline void prepare(struct weft__thread *th, struct coro *from, struct coro *to)
{
	WEFT__SWITCHES();
	/* This comes first: reading mxcsr waits for earlier instructions. */
	exchange_words(th, from, to);
	from->saved_errno = *th->errno_location;
	load_errno(th, to);
	th->current = to;
	san_switch_begin(&from->sanitizer, &to->sanitizer);
#if WEFT__TSAN
#if defined(WEFT_CONTEXT_UCONTEXT)
	to->context.fiber = to->sanitizer.fiber;
#else
	weft__san_fiber_enter(to->sanitizer.fiber);
#endif
#endif
}

/* Makes the saved environment that of a new coroutine. */
static inline void save_default_environment(struct coro *co)
{
	co->saved_errno = 0;
	fpwords_default(&co->fpwords);
}

/* The whole switch. In a plain build the callers do nothing after it, which makes the call a
 * jump. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) void *
switch_to(struct weft__thread *th, struct coro *from, struct coro *to, void *value,
	  void *(*context_switch)(struct context *from, struct context *to, void *value))
{
	prepare(th, from, to);
#if WEFT__SAN_AFTER
	value = context_switch(&from->context, &to->context, value);
	san_switch_end(&from->sanitizer);
	return value;
#else
	return context_switch(&from->context, &to->context, value);
#endif
}

WEFT__REREAD void *weft__coro_switch(struct coro *to, void *value)
{
	struct weft__thread *th = weft__thread();

	return switch_to(th, th->current, to, value, weft__context_switch_alike);
}

WEFT__REREAD void *weft__coro_switch_on(struct weft__thread *th, struct coro *to, void *value)
{
	return switch_to(th, th->current, to, value, weft__context_switch_alike);
}

#if WEFT__CONTEXT_JUMPS

WEFT__REREAD void *weft__coro_start(struct weft__thread *th, struct coro *co, void *value,
				    weft__coro_main *main)
{
	struct coro *from = th->current;
	char *top = co->stack.top;

	prepare(th, from, co);
	return weft__context_enter(&from->context, top - ((uintptr_t)top & 15), value, main);
}

WEFT__REREAD void *weft__coro_jump(struct weft__thread *th, struct coro *to, void *value)
{
	struct coro *from = th->current;

	WEFT__SWITCHES();
	/* Like prepare(), but it does not read what it need not save: reading mxcsr is slow. */
	load_errno(th, to);
	if (likely(th->plain)) {
		fpwords_restore_plainly(&to->fpwords, &from->fpwords);
	} else {
		fpwords_restore_by(&to->fpwords, &from->fpwords);
		exchange_eh(th->eh_globals, from, to);
	}
	/* from's words served as scratch space above. */
	save_default_environment(from);
	th->current = to;
	san_switch_begin(&from->sanitizer, &to->sanitizer);
	return weft__context_jump(&to->context, value);
}

#else

WEFT__REREAD void *weft__coro_start(struct weft__thread *th, struct coro *co, void *value,
				    weft__coro_main *main)
{
	(void)main;
	return switch_to(th, th->current, co, value, weft__context_switch_alike);
}

WEFT__REREAD void *weft__coro_jump(struct weft__thread *th, struct coro *to, void *value)
{
	struct coro *from = th->current;

	prepare(th, from, to);
	save_default_environment(from);
#if WEFT__SAN_AFTER
	value = weft__context_switch(&from->context, &to->context, value);
	san_switch_end(&from->sanitizer);
	return value;
#else
	return weft__context_switch_alike(&from->context, &to->context, value);
#endif
}

#endif

void weft__coro_reset_environment(struct weft__thread *th)
{
	struct fpwords scratch;

	*th->errno_location = 0;
	if (likely(th->plain))
		fpwords_reset_plainly(&scratch);
	else
		fpwords_reset(&scratch);
}

struct coro *weft__coro_boundary_begin(void)
{
	struct coro *self = weft__thread()->current;
	struct coro *saved;

	if (!self)
		return NULL;
	saved = self->caller;
	self->caller = NULL;
	return saved;
}

void weft__coro_boundary_end(struct coro *saved)
{
	/* Read again: this is the same coroutine as at the beginning, perhaps on another thread. */
	struct coro *self = weft__thread()->current;

	if (self)
		self->caller = saved;
}

#if WEFT__SAN_AFTER
/* The bottom frame of a build in which the far side of the first switch has work to do. */
static void sanitized_main(void *value)
{
	struct coro_sanitizer *san = &weft__thread()->current->sanitizer;

	san_switch_end(san);
	san->main(value);
}
#endif

#if WEFT__SAN_AFTER
#define BOTTOM(main) sanitized_main
#else
#define BOTTOM(main) (main)
#endif

struct coro *weft__coro_new(size_t stack_size, bool guard, weft__coro_main *main)
{
	struct stack stack;
	struct coro *co;

	if (weft__stack_alloc(san_stack_size(stack_size), guard, HEADER_SIZE, &stack) < 0)
		return NULL;
	co = (struct coro *)stack.top;
	*co = (struct coro){.stack = stack};
	fpwords_default(&co->fpwords);
	san_coro_init(&co->sanitizer, stack.low, stack.top, main);
	weft__context_make(&co->context, stack.low, stack.top, BOTTOM(main));
	return co;
}

void weft__coro_renew(struct coro *co, weft__coro_main *main)
{
#if WEFT__CONTEXT_JUMPS
	weft__context_make(&co->context, co->stack.low, co->stack.top, main);
#else
	(void)co, (void)main; /* weft__coro_jump() returns into main */
#endif
}

/* Makes a spare as good as new, with the main that it was made with. */
static void renew(struct coro *co, weft__coro_main *main)
{
	save_default_environment(co);
	co->eh_uncaught = 0;
	co->eh_caught = NULL;
	co->caller = NULL;
	san_coro_init(&co->sanitizer, co->stack.low, co->stack.top, main);
	weft__context_make_again(&co->context, co->stack.low, co->stack.top, BOTTOM(main));
}

void weft__coro_free(struct coro *co)
{
	san_coro_fini(&co->sanitizer, &thread()->current->sanitizer);
	weft__stack_free(&co->stack);
}

void weft__coro_free_lazily(struct coro *co)
{
	san_coro_fini(&co->sanitizer, &thread()->current->sanitizer);
	weft__stack_free_lazily(&co->stack);
}

/* Switches from the generator `co` to its enterer, with `out`. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) void *
go_back(struct weft__thread *th, struct weft_coro *co, void *out, int state)
{
	struct coro *caller = co->coro.caller;

	co->coro.caller = NULL;
	if (co->ret_out)
		*co->ret_out = out;
	store_relaxed(&co->state, state);
	san_release(co);
	return switch_to(th, &co->coro, caller, NULL, weft__context_switch);
}

/* A generator's bottom frame. */
static WEFT__MAY_HOP void generator_main(void *in)
{
	/* weft_coro_enter() made the first switch to this coroutine, so current is a generator. */
	struct weft_coro *co = (struct weft_coro *)weft__thread()->current;
	void *out;

	san_acquire(co);
	out = co->fn(in);
	go_back(weft__thread(), co, out, STATE_DONE);
	__builtin_trap();
}

int weft_coro_create(weft_fn *fn, size_t stack_size, weft_coro **ret_coro)
{
	struct weft_coro *co;
	size_t default_size;
	bool guard;
	int err;

	if (!fn || !ret_coro)
		return -EINVAL;
	if (stack_size != 0 && (stack_size < WEFT__STACK_MIN || stack_size > WEFT__STACK_MAX))
		return -EINVAL;
	err = weft__stack_env_once(&default_size, &guard);
	if (err < 0)
		return err;
	if (!stack_size)
		stack_size = default_size;
	uintptr_t kind = spare_kind(stack_size, guard);
	co = (struct weft_coro *)weft__spare_take(thread(), kind);
	if (co) {
		renew(&co->coro, generator_main);
	} else {
		weft__san_check_program();
		weft__spares_look(thread());
		co = (struct weft_coro *)weft__coro_new(stack_size, guard, generator_main);
		if (!co)
			return -ENOMEM;
		co->kind = kind;
	}
	co->fn = fn;
	co->ret_out = NULL;
	atomic_init(&co->state, STATE_CREATED);
	san_release(co);
	*ret_coro = co;
	return 0;
}

__attribute__((noinline, cold)) static void refuse_enter(struct weft_coro *co, int state)
{
	if (!co)
		weft__fatal("weft_coro_enter: the coroutine is NULL");
	weft__fatal("weft_coro_enter: coroutine %p %s", (void *)co,
		    state == STATE_RUNNING ? "is running"
		    : state == STATE_DONE  ? "has ended"
					   : "has been destroyed");
}

WEFT__MAY_HOP WEFT__REREAD int weft_coro_enter(weft_coro *co, void *in, void **ret_out)
{
	struct weft__thread *th = thread();
	struct coro *from = th->current;
	int state = co ? load_relaxed(&co->state) : STATE_RUNNING;

	if (unlikely(state == STATE_RUNNING || state >= STATE_DONE))
		refuse_enter(co, state);
	/* Two threads that enter without any order between them race. The edges below would hide
	 * that race. */
	san_writes(co, 8, SAN_CALL);
	store_relaxed(&co->state, STATE_RUNNING);
	co->coro.caller = from;
	co->ret_out = ret_out;
	san_release(co);
#if defined(WEFT_CONTEXT_ASM) && !WEFT__SAN_AFTER && !WEFT__TSAN
	prepare(th, from, &co->coro);
	/* The yielder passes NULL, which becomes our 0. */
	return weft__context_switch_int(&from->context, &co->coro.context, in);
#else
	switch_to(th, from, &co->coro, in, weft__context_switch);
	san_acquire(co);
	return 0;
#endif
}

WEFT__MAY_HOP WEFT__REREAD void *weft_coro_yield(void *out)
{
	struct weft__thread *th = weft__thread();
	struct weft_coro *co = (struct weft_coro *)th->current;

	if (unlikely(!co || !co->coro.caller))
		weft__fatal(
			"weft_coro_yield: the caller is not inside a coroutine that was entered");
#ifdef WEFT_TSAN_USER
	void *in = go_back(th, co, out, STATE_SUSPENDED);

	san_acquire(co);
	return in;
#else
	return go_back(th, co, out, STATE_SUSPENDED);
#endif
}

weft_coro *weft_coro_self(void)
{
	struct coro *self = weft__thread()->current;

	return self && self->caller ? (struct weft_coro *)self : NULL;
}

bool weft_coro_inside(void)
{
	return weft_coro_self() != NULL;
}

bool weft_coro_done(const weft_coro *co)
{
	if (!co)
		weft__fatal("weft_coro_done: the coroutine is NULL");
	san_reads(co, 8, SAN_CALL);
	return load_relaxed(&co->state) == STATE_DONE;
}

void weft_coro_destroy(weft_coro *co)
{
	if (!co)
		return;
	int state = load_relaxed(&co->state);
	if (unlikely(state == STATE_RUNNING || state == STATE_GONE))
		weft__fatal("weft_coro_destroy: coroutine %p %s", (void *)co,
			    state == STATE_RUNNING ? "is running" : "has been destroyed");
	store_relaxed(&co->state, STATE_GONE);
	struct weft__thread *th = thread();

	san_coro_fini(&co->coro.sanitizer, &th->current->sanitizer);
	san_stack_free(co->coro.stack.low, (char *)(co + 1));
	if (!weft__spare_put(th, &co->coro, co->kind))
		weft__stack_free(&co->coro.stack);
}
