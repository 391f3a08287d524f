/* SPDX-License-Identifier: MIT */
/*
 * How to wait for what another thread will have done in some ten nanoseconds, where it cannot find
 * out whether somebody waits: an unlock by a plain store is half the price of one that must know of
 * sleepers. So nobody sleeps until woken: who has to wait looks again after pauses that grow,
 * during which the other one can take many steps with the line in its own cache; then gives the
 * processor away; and when the other one has been preempted for long, sleeps for a moment, so that
 * one of lower priority gets to run.
 */
#ifndef WEFT_SCHED_OS_PAUSE_H
#define WEFT_SCHED_OS_PAUSE_H

/* From so many looks on the pauses no longer grow: they take about a microsecond. */
#define WEFT__PAUSES_GROW 4

/* Between two looks, of which there have been so many before. Any thread. errno is unchanged. */
void weft__pause(unsigned looks);

#endif
