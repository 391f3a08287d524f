// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"time"
)

func fibSerial(n int) (fib, tasks int) {
	a, b := 0, 1
	c, d := 1, 1
	for i := 0; i < n; i++ {
		a, b = b, a+b
		c, d = d, c+d
	}
	return a, c - 1
}

func fibTask(n int) int {
	if n < 2 {
		return n
	}
	var a int
	var child sync.WaitGroup
	child.Add(1)
	go func() {
		a = fibTask(n - 1)
		child.Done()
	}()
	b := fibTask(n - 2)
	child.Wait()
	return a + b
}

func fib(args []int) {
	n := args[0]
	expected, tasks := fibSerial(n)

	for warm := time.Now(); stillCold(warm); {
		fibTask(n - 4)
	}
	start := time.Now()
	result := fibTask(n)
	report("fib", since(start, tasks), "ns")
	check(result == expected, "fib")
}

type board [16]int8

func (b *board) safe(row, column int) bool {
	for i := 0; i < row; i++ {
		d := int(b[i]) - column
		if d == 0 || d == row-i || d == i-row {
			return false
		}
	}
	return true
}

func place(b board, row, n int) int {
	if row == n {
		return 1
	}
	var solutions [16]int
	var children sync.WaitGroup
	for column := 0; column < n; column++ {
		if !b.safe(row, column) {
			continue
		}
		next := b
		next[row] = int8(column)
		children.Add(1)
		go func(solution *int) {
			*solution = place(next, row+1, n)
			children.Done()
		}(&solutions[column])
	}
	children.Wait()
	sum := 0
	for _, s := range solutions {
		sum += s
	}
	return sum
}

func queens(args []int) {
	n := args[0]
	expected := map[int]int{8: 92, 9: 352, 10: 724, 11: 2680, 12: 14200, 13: 73712}

	for warm := time.Now(); stillCold(warm); {
		place(board{}, 0, n-1)
	}
	start := time.Now()
	solutions := place(board{}, 0, n)
	report("queens", since(start, 1)/1e6, "ms")
	check(solutions == expected[n], "the count of solutions")
}

const (
	sortCutoff = 4096
	sortSmall  = 24
)

func median(a, b, c int32) int32 {
	if a < b {
		if b < c {
			return b
		} else if a < c {
			return c
		}
		return a
	}
	if a < c {
		return a
	} else if b < c {
		return c
	}
	return b
}

func partition(a []int32) int {
	s := len(a) / 8
	pivot := median(median(a[0], a[s], a[2*s]), median(a[3*s], a[4*s], a[5*s]),
		median(a[6*s], a[7*s], a[len(a)-1]))
	i, j := 0, len(a)-1
	for {
		for a[i] < pivot {
			i++
		}
		for a[j] > pivot {
			j--
		}
		if i >= j {
			if i > 0 {
				return i
			}
			return 1
		}
		a[i], a[j] = a[j], a[i]
		i++
		j--
	}
}

func sortSerial(a []int32) {
	for len(a) > sortSmall {
		left := partition(a)
		sortSerial(a[:left])
		a = a[left:]
	}
	for i := 1; i < len(a); i++ {
		value := a[i]
		j := i
		for ; j > 0 && a[j-1] > value; j-- {
			a[j] = a[j-1]
		}
		a[j] = value
	}
}

func sortTask(a []int32) {
	if len(a) <= sortCutoff {
		sortSerial(a)
		return
	}
	left := partition(a)
	var child sync.WaitGroup
	child.Add(1)
	go func() {
		sortTask(a[:left])
		child.Done()
	}()
	sortTask(a[left:])
	child.Wait()
}

func sortInts(args []int) {
	a := make([]int32, args[0])
	state := uint64(88172645463325252)
	sum := uint64(0)
	for i := range a {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		a[i] = int32(state >> 33)
		sum += uint64(a[i])
	}
	start := time.Now()
	sortTask(a)
	report("sort", since(start, 1)/1e6, "ms")
	for i := range a {
		sum -= uint64(a[i])
		check(i == 0 || a[i-1] <= a[i], "not sorted")
	}
	check(sum == 0, "other numbers than before")
}

func sumTask(result chan int, number, size int) {
	if size == 1 {
		result <- number
		return
	}
	children := make(chan int, 10)
	for i := 0; i < 10; i++ {
		go sumTask(children, number+i*(size/10), size/10)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-children
	}
	result <- sum
}

func skynet(args []int) {
	leaves := args[0]
	result := make(chan int, 1)

	for warm := time.Now(); stillCold(warm); {
		go sumTask(result, 0, leaves)
		<-result
	}
	start := time.Now()
	go sumTask(result, 0, leaves)
	sum := <-result
	report("skynet", since(start, 1)/1e6, "ms")
	check(sum == leaves*(leaves-1)/2, "the sum")
}
