/* SPDX-License-Identifier: MIT */
/* The personality routine of unwind.h. The types are the compiler's own. No function of the
 * unwinder's library is called. */
#include "unwind.h"

#include "identity.h"
#include "run.h"
#include "src/base/fatal.h"
#include "tls.h"
#include "worker.h"

#include <stdint.h>

_Unwind_Reason_Code weft__exception_personality(int version, _Unwind_Action actions,
						_Unwind_Exception_Class class,
						struct _Unwind_Exception *exception,
						struct _Unwind_Context *context)
{
	const struct worker *w = weft__worker();
	struct task *t = w ? w->task : NULL;
	void *fn = t ? (void *)(uintptr_t)weft__task_function(t) : NULL;
	char task[WEFT__TASK_TEXT] = "";

	if (t)
		weft__describe_task(t, task);

	(void)version, (void)class, (void)exception, (void)context;
	/* The C library ends a thread like this. But the thread is a worker, and the stack is not
	 * its own. */
	if (actions & _UA_FORCE_UNWIND)
		weft__fatal("pthread_exit() or pthread_cancel() in %s, function %p: only a return "
			    "may end it",
			    task, fn);
	if (t)
		weft__warn("an exception leaves %s, function %p, which calls std::terminate(): "
			   "catch it there",
			   task, fn);
	else
		weft__warn("an exception leaves a hook, or a part of a parallel loop, which calls "
			   "std::terminate(): catch it there");
	return _URC_FATAL_PHASE1_ERROR;
}
