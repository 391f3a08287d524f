/* SPDX-License-Identifier: MIT */
/*
 * The hooks that tell ThreadSanitizer, AddressSanitizer and Valgrind when a thread changes its
 * stack. All hooks are here, and their cold parts are in sanitizer.c. In a plain build each hook is
 * empty.
 *
 * ThreadSanitizer has two builds, because it can look at Weft from two sides:
 *
 *   WEFT_TSAN_USER        checks programs that use Weft. The library itself is not instrumented
 *                         (-fno-sanitize=thread). Otherwise the acquire and release of its own
 *                         queues would order strangers and hide their races. A switch of fibers
 *                         makes no edge. Only san_acquire() and san_release() make edges, where the
 *                         public contract promises one. Each coroutine has a base fiber. Each task
 *                         has a fiber of its own above it (src/task_fiber.h).
 *   WEFT_TSAN_SCHEDULER   finds Weft's own races. Everything is instrumented, and each coroutine
 *                         has one fiber. A switch orders what came before it with what comes after.
 *
 * In both builds a suspended coroutine records the fiber that suspended it, and resumes in that
 * fiber.
 */
#ifndef WEFT_SRC_BASE_SANITIZER_H
#define WEFT_SRC_BASE_SANITIZER_H

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

/* Whether the far side of a switch has work to do. The switch cannot be a tail jump then. */
#define WEFT__SAN_AFTER WEFT__ASAN

/* A coroutine's part. It belongs to the thread that runs the coroutine or may resume it. */
struct coro_sanitizer {
	unsigned stack_id; /* Valgrind's number */
#if WEFT__TSAN
	/* Lives as long as the coroutine. A leader uses its thread's own fiber, and this is
	 * NULL. */
	void *base_fiber;
	void *fiber; /* while suspended: the fiber that suspended it */
#endif
#if WEFT__ASAN
	/* While suspended: the coroutine's frames on the heap (detect_stack_use_after_return). */
	void *fake_stack;
	/* The stack's bounds. The tool wants the bounds of the stack that a switch goes to. */
	const void *bottom;
	size_t size;
	void (*main)(void *value); /* to call after the first switch to the coroutine */
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
#endif

#if WEFT__ASAN
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save, const void **bottom_old,
				     size_t *size_old);
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);

void weft__san_leader_bounds(struct coro_sanitizer *san);
void weft__san_drop_fake_stack(struct coro_sanitizer *self, void *fake_stack);
#endif

/* For a function that a jump leaves. AddressSanitizer would leave the poison around its variables
 * there for ever. */
#if WEFT__ASAN
#define WEFT__SAN_LEFT_BY_JUMP __attribute__((no_sanitize_address))
#else
#define WEFT__SAN_LEFT_BY_JUMP
#endif

/* Hand over what `addr` stands for. Everything before a san_release() happens before everything
 * after a san_acquire(). */
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
 * Prepares memory for another use: the edges that were made with addresses in it are gone. Accesses
 * are not forgotten. Both arguments are multiples of 8. The memory may lie on the heap.
 *
 * Rejected: __tsan_java_free(). At the beginning of a malloc() block it makes the tool forget the
 * block. realloc() then copies nothing, and free() forgets no edges.
 */
static inline void san_forget(void *addr, size_t size)
{
#ifdef WEFT_TSAN_USER
	/* Each call would count as a write to the destroyed object. */
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
 * errno is memory of the thread, but its content belongs to the coroutine. When another coroutine
 * takes over, errno begins a new life. Otherwise the tool would report a race between two strangers
 * that set errno on one thread, one after the other. The tool's unit is 8 bytes.
 *
 * The C++ runtime's state also travels like this, but only code that the tool does not see touches
 * it.
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
 * Enclose calls that would make ThreadSanitizer report false races or false order. They must not
 * span a switch. Three kinds of call need them:
 *
 *  1. malloc, free, mmap and the like, for the library's own objects. The tool counts each as a
 *     write by the calling fiber. It would report two of them on one block if only a lock that it
 *     does not see orders them.
 *  2. C library functions that read or write the library's memory, such as memcmp().
 *  3. Calls that lock, or that make and join threads, including liburcu's. They would order
 *     strangers.
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
 * Report an access by the program. The program reads or writes memory in a call, or uses a library
 * object in a way that excludes other users meanwhile. `call` is the place of that call: SAN_CALL
 * in the public function. A report shows it as the program's place, because the library's own
 * frames are not instrumented.
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

/* Around a fork(). They ensure that no thread is on the neutral fiber, because the child would find
 * its lock held. */
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

/* Prints one line, once, if the program is built for a sanitizer and the library is not, or the
 * reverse (sanitizer_match.c). The first use of the library calls it. */
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

/* Enclose a system call that gets, on purpose, an address whose memory may be gone. Valgrind checks
 * such addresses. */
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

/* Prepares a new coroutine on [low, top), which will run `main`. The stack may have been used
 * before. */
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

/* Drops the coroutine's frames, if any. `self` is the coroutine that runs here. */
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

/* The memory of a stack, its header included, is about to be used, perhaps not for the first
 * time. */
static inline void san_stack_alloc(char *low, char *top)
{
	(void)low;
	(void)top;
#ifdef WEFT_TSAN_USER
	weft__san_forget_stack(low, top);
#endif
}

/* The memory will be reused or unmapped, so the poison of its frames must not outlive them. */
static inline void san_stack_free(char *low, char *top)
{
	(void)low;
	(void)top;
#if WEFT__ASAN
	__asan_unpoison_memory_region(low, (size_t)(top - low));
#endif
}

/* The stack size that a program needs if it asked for `size`. Instrumented frames are larger, and
 * the tools' own frames use the same stack. */
static inline size_t san_stack_size(size_t size)
{
#if WEFT__TSAN || WEFT__ASAN
	const size_t least = (size_t)128 << 10;

	return size < least ? least : size;
#else
	return size;
#endif
}

/* Prepares a leader. Called once, on its thread. */
static inline void san_leader_init(struct coro_sanitizer *san)
{
	(void)san;
#if WEFT__ASAN
	weft__san_leader_bounds(san);
#endif
}

/*
 * Runs just before the context switch. It never gives up a fake stack, not even for a coroutine
 * that has nothing more to do. The frame that makes this call may lie on that fake stack, and so
 * may the frame of its main function below. san_coro_fini() frees the fake stack.
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

/* Runs first after the context switch, with WEFT__SAN_AFTER. */
static inline void san_switch_end(struct coro_sanitizer *self)
{
	(void)self;
#if WEFT__ASAN
	void *fake_stack = self->fake_stack;

	self->fake_stack = NULL;
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#endif
}

#endif
