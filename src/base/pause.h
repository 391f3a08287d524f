/* SPDX-License-Identifier: MIT */
/*
 * How a thread waits for a short step of another thread, which takes some ten nanoseconds. The
 * other thread does not know whether a thread waits: an unlock by a plain store costs half as much
 * as one that must know about sleepers. So nobody wakes the waiter. The waiter goes through three
 * stages:
 *
 *  1. It looks again after pauses that grow. During a pause the other thread can take many steps
 *     with the line in its own cache.
 *  2. It gives the processor away.
 *  3. It sleeps for a short time, because the other thread has been preempted for long. A thread of
 *     lower priority can run meanwhile.
 */
#ifndef WEFT_SRC_BASE_PAUSE_H
#define WEFT_SRC_BASE_PAUSE_H

/* After this many looks the pauses no longer grow. They then take about a microsecond. */
#define WEFT__PAUSES_GROW 4

/* One pause between two looks. `looks` is the number of looks so far. Any thread. errno is
 * unchanged. */
void weft__pause(unsigned looks);

#endif
