/* SPDX-License-Identifier: MIT */
/*
 * Where C++ exceptions end.
 *
 * No exception may leave a task's function. Below that function are the scheduler's frames. Below a
 * fork that runs inline are also its parent's frames, which must not be unwound while other forks
 * of that parent point into them. The end of the stack alone would lead to std::terminate(), but
 * not for inline forks. It would not say whose exception it was either.
 *
 * So a function that calls the program's function has a personality routine. To the unwinder it
 * looks like a C++ function that is noexcept. The unwinder asks the routine in the first phase, the
 * search for a handler, before any frame is undone. The routine prints a line that names the task,
 * and gives up the search. The C++ runtime then calls std::terminate() in the frame of the throw.
 *
 * This costs nothing while nothing is thrown. It needs neither a C++ compiler nor the C++ runtime:
 * the routine's name in the unwind table is enough. An exception that is caught within the task
 * never gets here.
 */
#ifndef WEFT_CORE_UNWIND_H
#define WEFT_CORE_UNWIND_H

#include <unwind.h>

/*
 * Only the unwinder calls it. It is declared hidden here because -fvisibility affects definitions
 * only. Its address is then a constant, in a shared library as well.
 */
__attribute__((visibility("hidden"))) _Unwind_Reason_Code
weft__exception_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
			    struct _Unwind_Exception *exception, struct _Unwind_Context *context);

/*
 * Put it right before the call, in the function that makes the call or into which that function is
 * inlined. 0x1b: the address is relative and has 32 bits. The routine is an operand, so that
 * link-time optimization and archives know of the reference. On other machines an exception ends at
 * the end of the stack.
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
