/* SPDX-License-Identifier: MIT */
/*
 * Where C++ exceptions end. No exception may leave a task's function: below it are the scheduler's
 * frames and, for a fork that runs inline, its parent's, which must not be unwound while others of
 * its forks point into them. The end of the stack alone would see to std::terminate(), but for the
 * inline forks, and would not say whose exception it was.
 *
 * So the functions that call the program's are, to the unwinder, like a C++ function that is
 * noexcept: they have a personality routine. It is asked in the first phase, the search for a
 * handler, before any frame is undone; it writes a line that names the task, and gives up the
 * search, whereupon the C++ runtime calls std::terminate(), in the frame of the throw. That costs
 * nothing while nothing is thrown, and needs neither a C++ compiler nor its runtime: the routine's
 * name in the unwind table is all there is. An exception that is caught within the task never comes
 * here.
 */
#ifndef WEFT_CORE_UNWIND_H
#define WEFT_CORE_UNWIND_H

#include <unwind.h>

/*
 * Only the unwinder calls it. Declared hidden, which -fvisibility does for definitions only: its
 * address is a constant then, also in a shared library.
 */
__attribute__((visibility("hidden"))) _Unwind_Reason_Code
weft__exception_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
			    struct _Unwind_Exception *exception, struct _Unwind_Context *context);

/*
 * Right before the call, in the function that makes it (or that it is inlined in). 0x1b: the
 * address is relative and has 32 bits. It is an operand, so that link-time optimization and
 * archives know of the reference. Elsewhere the end of the stack is the end.
 */
#if defined(__x86_64__) && defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define WEFT__NO_EXCEPTION_LEAVES() \
	__asm__ volatile(".cfi_personality 0x1b, %c0" : : "i"(weft__exception_personality))
#elif defined(__aarch64__) && defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define WEFT__NO_EXCEPTION_LEAVES() \
	__asm__ volatile(".cfi_personality 0x1b, %c0" : : "S"(weft__exception_personality))
#else
#define WEFT__NO_EXCEPTION_LEAVES() ((void)0)
#endif

#endif
