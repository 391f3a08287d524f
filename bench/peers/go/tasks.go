// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

func yield(args []int) {
	tasks := args[0]
	rounds := args[1] / tasks
	var started, ended sync.WaitGroup
	var yields int64
	var goOn int32

	started.Add(tasks)
	ended.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			started.Done()
			for atomic.LoadInt32(&goOn) == 0 {
				runtime.Gosched()
			}
			for r := 0; r < rounds; r++ {
				runtime.Gosched()
			}
			atomic.AddInt64(&yields, int64(rounds))
			ended.Done()
		}()
	}
	started.Wait()
	start := time.Now()
	atomic.StoreInt32(&goOn, 1)
	ended.Wait()
	report("yield", since(start, tasks*rounds), "ns")
	check(yields == int64(tasks*rounds), "the count of yields")
}

func spawn(args []int) {
	count := args[0]
	sum := 0
	result := make(chan int)
	var start time.Time

	for i := -count / 10; i < count; i++ {
		if i == 0 {
			start = time.Now()
		}
		go func(i int) { result <- i }(i)
		if value := <-result; i >= 0 {
			sum += value
		}
	}
	report("spawn", since(start, count), "ns")
	check(sum == count*(count-1)/2, "the sum of the results")
}

func million(args []int) {
	count := args[0]
	results := make([]int, count)
	sum := 0
	var ended sync.WaitGroup

	start := time.Now()
	ended.Add(count)
	for i := 0; i < count; i++ {
		go func(i int) {
			results[i] = i
			ended.Done()
		}(i)
	}
	ended.Wait()
	for _, value := range results {
		sum += value
	}
	report("million", since(start, count), "ns")
	check(sum == count*(count-1)/2, "the sum of the results")
	report("million_peak", status("VmHWM")/(1<<20), "MiB")
}

// A million goroutines that wait, twice; see bench/weft/memory.c.
func memory(args []int) {
	count := args[0]
	var bytes, create, resume, end [2]float64

	held := func() float64 { return status("VmRSS") + status("VmPTE") }
	before := held()
	for round := 0; round < 2; round++ {
		gates := [2]chan bool{make(chan bool), make(chan bool)}
		var arrivals [2]sync.WaitGroup
		var ended sync.WaitGroup
		var sum int64

		start := time.Now()
		arrivals[0].Add(count)
		arrivals[1].Add(count)
		ended.Add(count)
		for i := 0; i < count; i++ {
			go func(i int) {
				for g := range gates {
					arrivals[g].Done()
					<-gates[g]
				}
				atomic.AddInt64(&sum, int64(i))
				ended.Done()
			}(i)
		}
		arrivals[0].Wait()
		create[round] = since(start, count)
		bytes[round] = (held() - before) / float64(count)

		start = time.Now()
		close(gates[0])
		arrivals[1].Wait()
		resume[round] = since(start, count)

		start = time.Now()
		close(gates[1])
		ended.Wait()
		end[round] = since(start, count)
		check(sum == int64(count)*int64(count-1)/2, "the sum")
	}
	time.Sleep(time.Second)
	report("memory_bytes", bytes[0], "bytes")
	report("memory_create_cold", create[0], "ns")
	report("memory_create_warm", create[1], "ns")
	report("memory_resume", resume[1], "ns")
	report("memory_end_cold", end[0], "ns")
	report("memory_end_warm", end[1], "ns")
	report("memory_held", 100*(held()-before)/(bytes[0]*float64(count)), "%")
}
