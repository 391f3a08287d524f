/* SPDX-License-Identifier: MIT */
/*
 * Checks whether the program and the library were built for the same sanitizer.
 *
 * A program built with -fsanitize=thread or address works with a Weft that was not. But
 * ThreadSanitizer then takes all tasks of a worker for one thread. AddressSanitizer knows neither
 * the tasks' stacks nor the memory that pools keep. Both miss the errors that they were meant to
 * find, and say nothing. So the first use of Weft checks, and prints one line. It detects a tool by
 * a weak reference to the tool's initialisation, which its run-time library defines.
 *
 * The reverse ends the process with one line. A Weft that was built for ThreadSanitizer brings the
 * run-time library along. But only a program that was linked for the tool has its pthread_create(),
 * and in another program the first thread would cause a SIGSEGV. So such a Weft looks for a loaded
 * object, other than itself, that needs the run-time library, or for a program that contains it. It
 * cannot detect a program that was linked for the tool and compiled without it.
 *
 * AddressSanitizer itself refuses to start under a plain program.
 */
#include "sanitizer.h"

#include "atomic.h"
#include "fatal.h"

#if !WEFT__TSAN && !WEFT__ASAN

extern void __tsan_init(void) __attribute__((weak));
extern void __asan_init(void) __attribute__((weak));

static void look(void)
{
	if (__tsan_init)
		weft__warn("the program is built with -fsanitize=thread, Weft is not: races "
			   "between tasks "
			   "are missed; build Weft with meson setup build -Db_sanitize=thread");
	if (__asan_init)
		weft__warn("the program is built with -fsanitize=address, Weft is not: errors on "
			   "tasks' "
			   "stacks are missed; build Weft with meson setup build "
			   "-Db_sanitize=address");
}

#elif WEFT__TSAN

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

extern void __tsan_init(void);

struct search {
	bool found;      /* there is an instrumented object, or we cannot tell */
	bool past_first; /* the program, which comes first, has been checked */
};

static bool holds(const struct dl_phdr_info *object, uintptr_t address)
{
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type == PT_LOAD &&
		    address - (object->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			return true;
	}
	return false;
}

static bool needs_the_tool(const struct dl_phdr_info *object)
{
	const ElfW(Dyn) *dynamic = NULL;
	const char *names = NULL;

	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(object->dlpi_addr + segment->p_vaddr);
	}
	for (const ElfW(Dyn) *d = dynamic; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_STRTAB)
			names = (const char *)d->d_un.d_ptr; /* the loader made it an address */
	}
	for (const ElfW(Dyn) *d = dynamic; names && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_NEEDED && (strstr(names + d->d_un.d_val, "libtsan.so") ||
					      strstr(names + d->d_un.d_val, "libclang_rt.tsan")))
			return true;
	}
	return false;
}

static int look_at(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct search *search = arg;
	bool program = !search->past_first;

	(void)size;
	search->past_first = true;
	if (holds(object, (uintptr_t)look_at))
		search->found |= program; /* a static Weft: the program was linked for the tool */
	else if ((program && holds(object, (uintptr_t)__tsan_init)) || needs_the_tool(object))
		search->found = true;
	return search->found;
}

static void look(void)
{
	struct search search = {0};

	dl_iterate_phdr(look_at, &search);
	if (!search.found)
		weft__fatal("Weft is built for ThreadSanitizer, the program is not: compile and "
			    "link it with -fsanitize=thread");
}

/* Runs before the library's other constructors, which use the tool. An instrumented program has
 * started the tool by now. A plain program must get as far as the line above. */
__attribute__((constructor(101))) static void start_tool(void)
{
	__tsan_init();
}

#else

static void look(void)
{
}

#endif

void weft__san_check_program(void)
{
	static _Atomic bool looked;

	/* relaxed: only one caller may see false, and the exchange alone ensures that */
	if (!load_relaxed(&looked) && !exchange_relaxed(&looked, true))
		look();
}
