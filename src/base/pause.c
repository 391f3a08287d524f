/* SPDX-License-Identifier: MIT */
#include "src/base/pause.h"

#include "src/base/clock.h"
#include "src/base/cpu_relax.h"
#include "src/base/futex.h"
#include "src/base/orphan.h"

#include <sched.h>

#undef weft__futex_wait /* a pause is no sleep for lockcheck.h */

#define PAUSES_FIRST 4
#define PAUSES_MAX   64 /* about a microsecond: dozens of steps of the other thread (measured) */
#define LOOKS        20
#define YIELDS       20
#define NAP_NS       100000

void weft__pause(unsigned looks)
{
	_Atomic uint32_t nobody_wakes = 0;

	if (looks < LOOKS) {
		unsigned pauses = looks < WEFT__PAUSES_GROW ? PAUSES_FIRST << looks : PAUSES_MAX;
		for (unsigned i = 0; i < pauses; i++)
			weft__cpu_relax();
	} else if (looks < LOOKS + YIELDS) {
		sched_yield();
	} else {
		weft__orphan_check();
		weft__futex_wait(&nobody_wakes, 0, weft__clock_real() + NAP_NS);
	}
}
