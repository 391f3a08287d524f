/* SPDX-License-Identifier: MIT */
/*
 * What ThreadSanitizer, AddressSanitizer and Valgrind must be told when a thread changes its stack.
 * All hooks are here (cold parts: sanitizer.c); in a plain build each is empty.
 *
 * ThreadSanitizer has two builds, because it can look at Weft from two sides:
 *
 *   WEFT_TSAN_USER       checks programs that use Weft. The library itself is not instrumented
 *                        (-fno-sanitize=thread), or the acquire and release of its own queues would order strangers and
 *                        hide their races. Fibers are switched without an edge; edges are made by san_acquire() and
 *                        san_release() only, where the public contract promises one. Each coroutine has a base fiber
 *                        and each task a fiber of its own (san_task_begin()) above it.
 *   WEFT_TSAN_SCHEDULER  finds Weft's own races. Everything is instrumented, each coroutine has one
 *   fiber, and a
 *                        switch orders what was before it with what comes after.
 *
 * In both a suspended coroutine records the fiber that suspended it, and that is the one resumed.
 */
#ifndef WEFT_SRC_SANITIZER_H
#define WEFT_SRC_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(WEFT_TSAN_USER) || defined(WEFT_TSAN_SCHEDULER)
#define WEFT__TSAN 1
#else
#define WEFT__TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WEFT__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT__ASAN 1
#endif
#endif
#ifndef WEFT__ASAN
#define WEFT__ASAN 0
#endif

#ifdef WEFT_VALGRIND
#include <valgrind/valgrind.h>
#endif

/* Whether something must be done on the far side of a switch; the switch cannot be a tail jump
 * then. */
#define WEFT__SAN_AFTER WEFT__ASAN

/* A coroutine's part. Belongs to whoever runs the coroutine or may resume it. */
struct coro_sanitizer {
	unsigned stack_id; /* Valgrind's */
#if WEFT__TSAN
	/* lives as long as the coroutine; a leader's is its thread's own, NULL here */
	void *base_fiber;
	void *fiber; /* the one that suspended it, while it is suspended */
#endif
#if WEFT__ASAN
	/* while suspended: its frames on the heap (detect_stack_use_after_return) */
	void *fake_stack;
	/* the stack's bounds; the tool wants those of the stack that is switched to */
	const void *bottom;
	size_t size;
	void (*main)(void *value); /* to be called once the first switch to it has been completed */
#endif
};

#if WEFT__TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

void weft__san_fiber_enter(void *fiber);
void *weft__san_fiber_new(void);
void weft__san_fiber_free(void *fiber);
#endif

#ifdef WEFT_TSAN_USER
void __tsan_java_alloc(unsigned long addr, unsigned long size);
void __tsan_java_free(unsigned long addr, unsigned long size);
void __tsan_mutex_destroy(void *addr, unsigned flags);
void __tsan_func_entry(void *call);
void __tsan_func_exit(void *unused);
void __tsan_read_range(void *addr, long size);
void __tsan_write_range(void *addr, long size);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);

void weft__san_forget_stack(char *low, char *top);
void weft__san_neutral_lock(void);
void weft__san_neutral_unlock(void);
void *weft__san_task_begin(void);
void weft__san_task_end(void *previous);
#endif

#if WEFT__ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old,
				     size_t *size_old);
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);

void weft__san_leader_bounds(struct coro_sanitizer *san);
void weft__san_drop_fake_stack(struct coro_sanitizer *self, void *fake_stack);
#endif

/* For a function that is left by a jump out of its frame: AddressSanitizer would leave the poison
 * around its variables there for ever. */
#if WEFT__ASAN
#define WEFT__SAN_LEFT_BY_JUMP __attribute__((no_sanitize_address))
#else
#define WEFT__SAN_LEFT_BY_JUMP
#endif

/* What `addr` stands for is handed over: all before a san_release() happens before all after a
 * san_acquire(). */
static inline void san_release(void *addr)
{
#ifdef WEFT_TSAN_USER
	__tsan_release(addr);
#else
	(void)addr;
#endif
}

static inline void san_acquire(void *addr)
{
#ifdef WEFT_TSAN_USER
	__tsan_acquire(addr);
#else
	(void)addr;
#endif
}

/*
 * The memory will be used for something else: the edges that were made with addresses in it are
 * gone. Accesses are not forgotten. Both arguments are multiples of 8. It may lie on the heap.
 * (Rejected: __tsan_java_free(). At the beginning of a block of malloc() it makes the tool forget
 * that there is one: realloc() then copies nothing, and free() forgets no edges.)
 */
static inline void san_forget(void *addr, size_t size)
{
#ifdef WEFT_TSAN_USER
	/* Each would count as a write to what is destroyed. */
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
	for (size_t i = 0; i < size; i += 8)
		__tsan_mutex_destroy((char *)addr + i, 0);
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#else
	(void)addr;
	(void)size;
#endif
}

/*
 * errno is memory of the thread, but what it holds is the coroutine's. Where another one takes over
 * it begins a new life, or two strangers that set it one after the other on one thread would be
 * said to race. The tool's unit is 8 bytes. (What else travels so, the C++ runtime's state, is
 * touched only by code that the tool does not see.)
 */
static inline void san_errno_passes_on(int *location)
{
#ifdef WEFT_TSAN_USER
	__tsan_java_alloc((unsigned long)location & ~7UL, 8);
#else
	(void)location;
#endif
}

/*
 * Around calls of malloc, free, mmap and the like for the library's own objects. ThreadSanitizer
 * takes each of these for a write by the calling fiber; two of them on the same block, ordered by a
 * lock that it does not see, would be reported. The same goes for the C library's functions that
 * read or write the library's memory, such as memcmp(). Also around calls that lock or make and
 * join threads, liburcu's among them: these would order strangers. Must not span a switch.
 */
static inline void san_ignore_begin(void)
{
#ifdef WEFT_TSAN_USER
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
	AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
#endif
}

static inline void san_ignore_end(void)
{
#ifdef WEFT_TSAN_USER
	AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}

/*
 * The program reads or writes memory, or uses an object of the library as one that nobody else may
 * use meanwhile, in a call that it makes. `call` is where: SAN_CALL in the public function. It is
 * what a report shows of the program, since the library's own frames are not instrumented.
 */
#ifdef WEFT_TSAN_USER
#define SAN_CALL __builtin_return_address(0)
#else
#define SAN_CALL NULL
#endif

static inline void san_reads(const void *addr, size_t size, void *call)
{
#ifdef WEFT_TSAN_USER
	__tsan_func_entry(call);
	__tsan_read_range((void *)(unsigned long)addr, (long)size);
	__tsan_func_exit(NULL);
#else
	(void)addr;
	(void)size;
	(void)call;
#endif
}

static inline void san_writes(void *addr, size_t size, void *call)
{
#ifdef WEFT_TSAN_USER
	__tsan_func_entry(call);
	__tsan_write_range(addr, (long)size);
	__tsan_func_exit(NULL);
#else
	(void)addr;
	(void)size;
	(void)call;
#endif
}

/* Around a fork: nobody is on the neutral fiber, whose lock the child would find held. */
static inline void san_fork_begin(void)
{
#ifdef WEFT_TSAN_USER
	weft__san_neutral_lock();
#endif
}

static inline void san_fork_end(void)
{
#ifdef WEFT_TSAN_USER
	weft__san_neutral_unlock();
#endif
}

/* Says so, once, if the program is built for a sanitizer and the library is not, or the reverse
 * (sanitizer_match.c). By whoever uses the library for the first time. */
void weft__san_check_program(void);

/* Whether Valgrind runs the program. */
static inline bool san_under_valgrind(void)
{
#ifdef WEFT_VALGRIND
	return RUNNING_ON_VALGRIND != 0;
#else
	return false;
#endif
}

/* Around a system call that gets, on purpose, an address whose memory may be gone: Valgrind looks
 * at it. */
static inline void san_stray_address_begin(void)
{
#ifdef WEFT_VALGRIND
	VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

static inline void san_stray_address_end(void)
{
#ifdef WEFT_VALGRIND
	VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

/* A new coroutine on [low, top), perhaps a used stack, which will run `main`. */
static inline void san_coro_init(struct coro_sanitizer *san, char *low, char *top,
				 void (*main)(void *value))
{
	san->stack_id = 0;
	(void)low;
	(void)top;
	(void)main;
#ifdef WEFT_VALGRIND
	san->stack_id = VALGRIND_STACK_REGISTER(low, top);
#endif
#if WEFT__TSAN
	san->base_fiber = weft__san_fiber_new();
	san->fiber = san->base_fiber;
#endif
#if WEFT__ASAN
	san->fake_stack = NULL;
	san->bottom = low;
	san->size = (size_t)(top - low);
	san->main = main;
#endif
}

/* The coroutine's frames, if any, are dropped. `self` is the one that runs here. */
static inline void san_coro_fini(struct coro_sanitizer *san, struct coro_sanitizer *self)
{
	(void)san;
	(void)self;
#ifdef WEFT_VALGRIND
	VALGRIND_STACK_DEREGISTER(san->stack_id);
#endif
#if WEFT__TSAN
	weft__san_fiber_free(san->base_fiber);
#endif
#if WEFT__ASAN
	if (san->fake_stack)
		weft__san_drop_fake_stack(self, san->fake_stack);
#endif
}

/* The memory of a stack (its header included) is about to be used, perhaps not for the first
 * time. */
static inline void san_stack_alloc(char *low, char *top)
{
	(void)low;
	(void)top;
#ifdef WEFT_TSAN_USER
	weft__san_forget_stack(low, top);
#endif
}

/* It will be reused or unmapped: what its frames had poisoned must not outlive them. */
static inline void san_stack_free(char *low, char *top)
{
	(void)low;
	(void)top;
#if WEFT__ASAN
	__asan_unpoison_memory_region(low, (size_t)(top - low));
#endif
}

/* How large a stack must be for a program that asked for `size`: instrumented frames are larger,
 * and the tools' own run on the same stack. */
static inline size_t san_stack_size(size_t size)
{
#if WEFT__TSAN || WEFT__ASAN
	const size_t least = (size_t)128 << 10;

	return size < least ? least : size;
#else
	return size;
#endif
}

/* A leader: called once on its thread. */
static inline void san_leader_init(struct coro_sanitizer *san)
{
	(void)san;
#if WEFT__ASAN
	weft__san_leader_bounds(san);
#endif
}

/*
 * Just before the context switch. A fake stack is never given up here, not even by a coroutine that
 * has nothing more to do: the frame that makes this call, and its main function's below, may lie on
 * it. san_coro_fini() frees it.
 */
static inline void san_switch_begin(struct coro_sanitizer *from, struct coro_sanitizer *to)
{
	(void)from;
	(void)to;
#if WEFT__TSAN
	from->fiber = __tsan_get_current_fiber();
#endif
#if WEFT__ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->size);
#endif
}

/* First thing after the context switch, with WEFT__SAN_AFTER. */
static inline void san_switch_end(struct coro_sanitizer *self)
{
	(void)self;
#if WEFT__ASAN
	void *fake_stack = self->fake_stack;

	self->fake_stack = NULL;
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

/*
 * A task starts on the current stack: from here on the accesses are the task's, and those that
 * earlier tasks made to the part of the stack below the caller's frame are forgotten. Returns what
 * san_task_end() wants. The task has no edge from anywhere: the caller makes one with
 * san_acquire(). It may hop: its fiber moves with the stack.
 */
static inline void *san_task_begin(void)
{
#ifdef WEFT_TSAN_USER
	return weft__san_task_begin();
#else
	return NULL;
#endif
}

static inline void san_task_end(void *previous)
{
#ifdef WEFT_TSAN_USER
	weft__san_task_end(previous);
#else
	(void)previous;
#endif
}

#endif
