/* SPDX-License-Identifier: MIT */
/*
 * Whether program and library were built for the same sanitizer.
 *
 * A program built with -fsanitize=thread or address works with a Weft that was not. But
 * ThreadSanitizer then takes all tasks of a worker for one thread, and AddressSanitizer knows
 * neither the tasks' stacks nor what pools keep. Both miss what they were asked to find, and say
 * nothing. So the first use of Weft looks, and prints one line. It finds a tool by a weak reference
 * to its initialisation, which the tool's run-time library defines.
 *
 * The reverse ends the process with one line. A Weft that was built for ThreadSanitizer brings the
 * run-time library along, but only a program that was linked for it has its pthread_create(), and
 * the first thread would be a SIGSEGV. Such a Weft looks for a loaded object besides itself that
 * needs the run-time library, or for a program that holds it. It cannot see a program that was
 * linked for the tool and compiled without. (AddressSanitizer itself refuses to start under a plain
 * program.)
 */
#include "sanitizer.h"

#include "fatal.h"

#include <stdatomic.h>

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
	bool found;      /* an object that is instrumented, or we cannot tell */
	bool past_first; /* the program, which comes first, has been looked at */
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

/* Before the library's other constructors, which use the tool: an instrumented program has started
 * it by now, and another one is to get as far as the line above. */
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

	/* relaxed: no more than one caller may see false, which the exchange alone ensures. */
	if (!atomic_load_explicit(&looked, memory_order_relaxed) &&
	    !atomic_exchange_explicit(&looked, true, memory_order_relaxed))
		look();
}
