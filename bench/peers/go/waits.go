// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func pingpong(args []int) {
	count := args[0]
	ping, pong := make(chan int), make(chan int)
	value := 0

	go func() {
		for ball := range ping {
			pong <- ball + 1
		}
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		ping <- value
		value = <-pong
	}
	report("pingpong", since(start, count), "ns")
	close(ping)
	check(value == count, "the count of turns")
}

func counter(args []int) {
	tasks := args[0]
	each := args[1] / tasks
	n := 0
	var lock sync.Mutex
	var ended sync.WaitGroup

	start := time.Now()
	ended.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < each; j++ {
				lock.Lock()
				n++
				lock.Unlock()
			}
			ended.Done()
		}()
	}
	ended.Wait()
	report("counter", since(start, tasks*each), "ns")
	check(n == tasks*each, "the counter")
}

func mutex(args []int) {
	count := args[0]
	n := 0
	var lock sync.Mutex

	start := time.Now()
	for i := 0; i < count; i++ {
		lock.Lock()
		n++
		lock.Unlock()
	}
	report("mutex", since(start, count), "ns")
	check(n == count, "the counter")
}

func condition(args []int) {
	count := args[0]
	turns := 0
	var lock sync.Mutex
	changed := sync.NewCond(&lock)
	theirs := false
	var ended sync.WaitGroup

	ended.Add(1)
	go func() {
		for i := 0; i < count; i++ {
			lock.Lock()
			for !theirs {
				changed.Wait()
			}
			theirs = false
			turns++
			changed.Signal()
			lock.Unlock()
		}
		ended.Done()
	}()
	start := time.Now()
	for i := 0; i < count; i++ {
		lock.Lock()
		theirs = true
		changed.Signal()
		for theirs {
			changed.Wait()
		}
		lock.Unlock()
	}
	report("condition", since(start, count), "ns")
	ended.Wait()
	check(turns == count, "the count of turns")
}

func channel(args []int) {
	const sides = 4
	each := args[0] / sides
	values := make(chan int, 128)
	var sum int64
	var producers, consumers sync.WaitGroup

	start := time.Now()
	producers.Add(sides)
	consumers.Add(sides)
	for i := 0; i < sides; i++ {
		go func() {
			mine := 0
			for value := range values {
				mine += value
			}
			atomic.AddInt64(&sum, int64(mine))
			consumers.Done()
		}()
		go func() {
			for n := 1; n <= each; n++ {
				values <- n
			}
			producers.Done()
		}()
	}
	producers.Wait()
	close(values)
	consumers.Wait()
	report("channel", since(start, sides*each), "ns")
	check(sum == int64(sides*each*(each+1)/2), "the sum of what was received")
}

// A producer for each of 2 or 16 unbuffered channels, and one goroutine that selects over all of them.
func selects(args []int) {
	channels := args[0]
	each := args[1] / channels
	var c [16]chan int
	sum := 0

	for i := 0; i < channels; i++ {
		c[i] = make(chan int)
		go func(c chan int) {
			for n := 1; n <= each; n++ {
				c <- n
			}
		}(c[i])
	}
	start := time.Now()
	for i := 0; i < channels*each; i++ {
		if channels == 2 {
			select {
			case v := <-c[0]:
				sum += v
			case v := <-c[1]:
				sum += v
			}
			continue
		}
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		case v := <-c[2]:
			sum += v
		case v := <-c[3]:
			sum += v
		case v := <-c[4]:
			sum += v
		case v := <-c[5]:
			sum += v
		case v := <-c[6]:
			sum += v
		case v := <-c[7]:
			sum += v
		case v := <-c[8]:
			sum += v
		case v := <-c[9]:
			sum += v
		case v := <-c[10]:
			sum += v
		case v := <-c[11]:
			sum += v
		case v := <-c[12]:
			sum += v
		case v := <-c[13]:
			sum += v
		case v := <-c[14]:
			sum += v
		case v := <-c[15]:
			sum += v
		}
	}
	report("select", since(start, channels*each), "ns")
	check(sum == channels*each*(each+1)/2, "the sum of what was received")
}

// All sleep until the same time, args[1] ms from the start: how long until all sleep, and from then until all woke.
func sleepers(args []int) {
	count := args[0]
	var armed, woken sync.WaitGroup

	start := time.Now()
	when := start.Add(time.Duration(args[1]) * time.Millisecond)
	armed.Add(count)
	woken.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			armed.Done()
			time.Sleep(time.Until(when))
			woken.Done()
		}()
	}
	armed.Wait()
	arm := since(start, count)
	check(time.Now().Before(when), "some came too late to sleep")
	woken.Wait()
	report("sleepers", arm+since(when, count), "ns")
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// A thread outside of the scheduler's reach writes to a pipe that a goroutine reads: the network poller wakes it.
func wake(args []int) {
	count := args[0]
	samples := make([]int, count)
	reader, writer, err := os.Pipe()
	check(err == nil, "pipe")
	var done, submitted int64
	var finished sync.WaitGroup

	fd := int(writer.Fd())
	start := time.Now()
	finished.Add(1)
	go func() {
		runtime.LockOSThread()
		interval := syscall.Timespec{Nsec: 1000000}
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
		cpu, begun := cpuTime(), time.Now()
		for i := 0; i < count; i++ {
			atomic.StoreInt64(&submitted, int64(time.Since(start)))
			syscall.Write(fd, []byte{1})
			for {
				syscall.Syscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
				if atomic.LoadInt64(&done) > int64(i) {
					break
				}
			}
		}
		wall := time.Since(begun)
		cpu = cpuTime() - cpu
		report("wake_cpu", 100*float64(cpu)/float64(wall), "%")
		finished.Done()
	}()
	one := make([]byte, 1)
	for i := 0; i < count; i++ {
		_, err := reader.Read(one)
		samples[i] = int(int64(time.Since(start)) - atomic.LoadInt64(&submitted))
		check(err == nil, "read")
		atomic.AddInt64(&done, 1)
	}
	finished.Wait()
	sort.Ints(samples)
	report("wake_median", float64(samples[count/2])/1e3, "us")
	report("wake_p99", float64(samples[count*99/100])/1e3, "us")
}
