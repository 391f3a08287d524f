// SPDX-License-Identifier: MIT

// Command go is the benchmarks' peer in Go: go ROW WORKERS ARGUMENT...
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

var rows = map[string]func(args []int){
	"yield": yield, "spawn": spawn, "million": million,
	"fib": fib, "queens": queens, "sort": sortInts, "skynet": skynet,
	"pingpong": pingpong, "counter": counter, "wake": wake, "memory": memory,
	"chan_pingpong": pingpong, "channel": channel, "select": selects, "mutex": mutex,
	"condition": condition, "sleepers": sleepers,
	"late_sleep": lateSleep, "late_blocking": lateBlocking, "late_forks": lateForks,
}

func report(name string, value float64, unit string) {
	fmt.Printf("%s %.9g %s\n", name, value, unit)
}

func check(right bool, what string) {
	if !right {
		fmt.Fprintln(os.Stderr, "wrong:", what)
		os.Exit(1)
	}
}

func since(start time.Time, count int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(count)
}

// stillCold says whether to warm up once more, for a fifth of a second in all: a kernel may leave the
// threads of a new program on one CPU for 150 ms, while others are idle.
func stillCold(start time.Time) bool {
	return time.Since(start) < time.Second/5
}

// status is a field of /proc/self/status in bytes.
func status(field string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	check(err == nil, "/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 1 && words[0] == field+":" {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib * 1024
		}
	}
	check(false, field)
	return 0
}

func main() {
	if len(os.Args) < 4 || rows[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: go ROW WORKERS ARGUMENT...")
		os.Exit(2)
	}
	var args []int
	for _, text := range os.Args[2:] {
		n, err := strconv.Atoi(text)
		check(err == nil, "an argument is not a number")
		args = append(args, n)
	}
	runtime.GOMAXPROCS(args[0])
	rows[os.Args[1]](args[1:])
}
