/* SPDX-License-Identifier: MIT */
#include "thread.h"

#include "src/base/alloc.h"
#include "src/base/fpwords.h"
#include "src/base/sanitizer.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The nice value of the calling thread: in Linux each thread has its own. -1 is a value like any
 * other. */
static bool get_nice(int *ret)
{
	weft__set_errno(0);
	int nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));

	if (weft__errno() != 0)
		return false;
	*ret = nice;
	return true;
}

static void take(struct weft__thread_traits *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->has_cpus = sched_getaffinity(0, sizeof ret->cpus, &ret->cpus) == 0 &&
			CPU_COUNT(&ret->cpus) > 0;
	pthread_sigmask(SIG_BLOCK, NULL, &ret->signals);
	ret->policy = sched_getscheduler(0);
	if (ret->policy >= 0 && (sched_getparam(0, &ret->param) != 0 || !get_nice(&ret->nice)))
		ret->policy = -1;
	if (ret->policy < 0 || !(ret->policy & SCHED_RESET_ON_FORK))
		return;
	/* The kernel starts the threads of such a thread without its privileges. */
	ret->policy &= ~SCHED_RESET_ON_FORK;
	if (ret->policy == SCHED_FIFO || ret->policy == SCHED_RR || ret->nice < 0)
		ret->nice = 0;
	if (ret->policy == SCHED_FIFO || ret->policy == SCHED_RR) {
		ret->policy = SCHED_OTHER;
		ret->param.sched_priority = 0;
	}
}

void weft__thread_traits_take(struct weft__thread_traits *ret)
{
	int saved = weft__errno();

	take(ret);
	weft__set_errno(saved);
}

static void apply_class(const struct weft__thread_traits *traits)
{
	struct sched_param param;
	int nice;

	if (traits->policy < 0 || sched_getparam(0, &param) != 0)
		return;
	if (sched_getscheduler(0) != traits->policy ||
	    param.sched_priority != traits->param.sched_priority)
		sched_setscheduler(0, traits->policy, &traits->param);
	if (get_nice(&nice) && nice != traits->nice)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), traits->nice);
}

void weft__thread_traits_apply(const struct weft__thread_traits *traits)
{
	struct fpwords fpwords;
	cpu_set_t cpus;

	fpwords_default(&fpwords);
	fpwords_restore(&fpwords);
	/* ThreadSanitizer sees the C library read what the creator wrote, and sees no order between
	 * the two. */
	san_ignore_begin();
	if (traits->has_cpus && sched_getaffinity(0, sizeof cpus, &cpus) == 0 &&
	    !CPU_EQUAL(&cpus, &traits->cpus))
		sched_setaffinity(0, sizeof traits->cpus, &traits->cpus);
	apply_class(traits);
	pthread_sigmask(SIG_SETMASK, &traits->signals, NULL);
	san_ignore_end();
}

void weft__thread_bind(const struct weft__thread_traits *traits, unsigned nth)
{
	cpu_set_t one;

	if (!traits->has_cpus)
		return;
	nth %= (unsigned)CPU_COUNT(&traits->cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &traits->cpus) || nth-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof one, &one);
		return;
	}
}

int weft__thread_start(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
	int saved = weft__errno();
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	san_ignore_begin();
	int err = pthread_create(ret, NULL, fn, arg);
	san_ignore_end();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	weft__set_errno(saved);
	return -err;
}
