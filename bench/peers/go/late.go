// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// probe calls once again and again, which returns when it was due, and reports how late it was.
func probe(count int, stop *atomic.Bool, once func() time.Time) {
	late := make([]int64, count)
	for i := range late {
		late[i] = time.Since(once()).Nanoseconds()
	}
	stop.Store(true)
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	report("late_median", float64(late[count/2])/1e6, "ms")
	report("late_p99", float64(late[count*99/100])/1e6, "ms")
}

func sleepOnce() time.Time {
	due := time.Now().Add(2 * time.Millisecond)
	time.Sleep(time.Until(due))
	return due
}

func blockOnce() time.Time {
	nap := syscall.Timespec{Nsec: 1000000}
	begin := time.Now()
	syscall.Nanosleep(&nap, nil)
	return begin.Add(time.Millisecond)
}

func besideTasks(count int, once func() time.Time) {
	var stop atomic.Bool
	var all sync.WaitGroup

	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			for !stop.Load() {
				for start := time.Now(); time.Since(start) < time.Millisecond; {
				}
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	probe(count, &stop, once)
	all.Wait()
}

func lateSleep(args []int)    { besideTasks(args[0], sleepOnce) }
func lateBlocking(args []int) { besideTasks(args[0], blockOnce) }

func lateForks(args []int) {
	var stop atomic.Bool
	var all sync.WaitGroup

	all.Add(1)
	go func() {
		for !stop.Load() {
			fibTask(20)
		}
		all.Done()
	}()
	probe(args[0], &stop, sleepOnce)
	all.Wait()
}
