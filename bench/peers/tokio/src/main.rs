// SPDX-License-Identifier: MIT

//! tokio-bench ROW WORKERS ARGUMENT...: Tokio's multi-threaded scheduler. Its tasks have no stacks.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::*};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex, Notify};
use tokio::task::{spawn, yield_now};

fn report(name: &str, value: f64, unit: &str) {
    println!("{name} {value:.9} {unit}");
}

fn check(right: bool, what: &str) {
    if !right {
        eprintln!("wrong result: {what}");
        std::process::exit(1);
    }
}

fn since(start: Instant, count: usize) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Whether to warm up once more, for a fifth of a second in all: a kernel may leave the threads of a
/// new program on one CPU for 150 ms, while others are idle.
fn still_cold(start: Instant) -> bool {
    start.elapsed().as_millis() < 200
}

/// A field of /proc/self/status in bytes.
fn status(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

async fn yields(tasks: usize, total: usize) {
    let rounds = total / tasks;
    let started = Arc::new(AtomicUsize::new(0));
    let go = Arc::new(AtomicBool::new(false));
    let mut all = Vec::with_capacity(tasks);
    for _ in 0..tasks {
        let (started, go) = (started.clone(), go.clone());
        all.push(spawn(async move {
            started.fetch_add(1, Relaxed);
            while !go.load(Relaxed) {
                yield_now().await;
            }
            for _ in 0..rounds {
                yield_now().await;
            }
            rounds
        }));
    }
    while started.load(Relaxed) < tasks {
        yield_now().await;
    }
    let start = Instant::now();
    go.store(true, Relaxed);
    let mut sum = 0;
    for task in all {
        sum += task.await.unwrap();
    }
    report("yield", since(start, tasks * rounds), "ns");
    check(sum == tasks * rounds, "the count of yields");
}

async fn spawns(count: usize) {
    let mut sum = 0;
    let mut start = Instant::now();
    for i in 0..count + count / 10 {
        if i == count / 10 {
            start = Instant::now();
            sum = 0;
        }
        sum += spawn(async move { i }).await.unwrap();
    }
    report("spawn", since(start, count), "ns");
    check(sum == count * (count - 1) / 2 + count * (count / 10), "the sum of the results");
}

async fn million(count: usize) {
    let mut all = Vec::with_capacity(count);
    let mut sum = 0;
    let start = Instant::now();
    for i in 0..count {
        all.push(spawn(async move { i }));
    }
    for task in all {
        sum += task.await.unwrap();
    }
    report("million", since(start, count), "ns");
    check(sum == count * (count - 1) / 2, "the sum of the results");
    report("million_peak", status("VmHWM:") / (1 << 20) as f64, "MiB");
}

fn fib_task(n: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let a = spawn(fib_task(n - 1));
        let b = fib_task(n - 2).await;
        a.await.unwrap() + b
    })
}

async fn fib(n: usize) {
    let (mut a, mut b, mut c, mut d) = (0, 1, 1, 1);
    for _ in 0..n {
        (a, b) = (b, a + b);
        (c, d) = (d, c + d);
    }
    let tasks = c - 1;
    let warm = Instant::now();
    while still_cold(warm) {
        fib_task(n - 4).await;
    }
    let start = Instant::now();
    let result = fib_task(n).await;
    report("fib", since(start, tasks), "ns");
    check(result == a, "fib");
}

fn sum_task(number: usize, size: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return number;
        }
        let part = size / 10;
        let children: Vec<_> =
            (0..10).map(|i| spawn(sum_task(number + i * part, part))).collect();
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
        }
        sum
    })
}

async fn skynet(leaves: usize) {
    let warm = Instant::now();
    while still_cold(warm) {
        sum_task(0, leaves).await;
    }
    let start = Instant::now();
    let sum = spawn(sum_task(0, leaves)).await.unwrap();
    report("skynet", since(start, 1) / 1e6, "ms");
    check(sum == leaves * (leaves - 1) / 2, "the sum");
}

async fn pingpong(count: usize) {
    let (ping, mut pings) = mpsc::channel::<usize>(1);
    let (pong, mut pongs) = mpsc::channel::<usize>(1);
    spawn(async move {
        while let Some(ball) = pings.recv().await {
            pong.send(ball + 1).await.unwrap();
        }
    });
    let mut value = 0;
    let start = Instant::now();
    for _ in 0..count {
        ping.send(value).await.unwrap();
        value = pongs.recv().await.unwrap();
    }
    report("pingpong", since(start, count), "ns");
    check(value == count, "the count of turns");
}

async fn counter(tasks: usize, total: usize) {
    let each = total / tasks;
    let n = Arc::new(Mutex::new(0));
    let start = Instant::now();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            let n = n.clone();
            spawn(async move {
                for _ in 0..each {
                    *n.lock().await += 1;
                }
            })
        })
        .collect();
    for task in all {
        task.await.unwrap();
    }
    report("counter", since(start, tasks * each), "ns");
    check(*n.lock().await == tasks * each, "the counter");
}

async fn memory(count: usize) {
    let held = || status("VmRSS:") + status("VmPTE:");
    let mut tasks = Vec::with_capacity(count);
    let before = held();
    let (mut create, mut resume, mut end, mut bytes) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
    for round in 0..2 {
        let gates = Arc::new([Notify::new(), Notify::new()]);
        let left = Arc::new([AtomicUsize::new(count), AtomicUsize::new(count)]);
        let all_wait = Arc::new(Notify::new());
        let sum = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        for i in 0..count {
            let (gates, left, all_wait, sum) =
                (gates.clone(), left.clone(), all_wait.clone(), sum.clone());
            tasks.push(spawn(async move {
                for g in 0..2 {
                    let opened = gates[g].notified();
                    tokio::pin!(opened);
                    opened.as_mut().enable();
                    if left[g].fetch_sub(1, AcqRel) == 1 {
                        all_wait.notify_one();
                    }
                    opened.await;
                }
                sum.fetch_add(i as u64, Relaxed);
            }));
        }
        all_wait.notified().await;
        create[round] = since(start, count);
        bytes[round] = (held() - before) / count as f64;

        let start = Instant::now();
        gates[0].notify_waiters();
        all_wait.notified().await;
        resume[round] = since(start, count);

        let start = Instant::now();
        gates[1].notify_waiters();
        for task in tasks.drain(..) {
            task.await.unwrap();
        }
        end[round] = since(start, count);
        check(sum.load(Relaxed) == (count * (count - 1) / 2) as u64, "the sum");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    report("memory_bytes", bytes[0], "bytes");
    report("memory_create_cold", create[0], "ns");
    report("memory_create_warm", create[1], "ns");
    report("memory_resume", resume[1], "ns");
    report("memory_end_cold", end[0], "ns");
    report("memory_end_warm", end[1], "ns");
    report("memory_held", 100.0 * (held() - before) / (bytes[0] * count as f64), "%");
}

fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let words: Vec<&str> = text[text.rfind(')').unwrap()..].split_whitespace().collect();
    (words[12].parse::<f64>().unwrap() + words[13].parse::<f64>().unwrap()) / 100.0
}

/// A plain thread spawns a task into the idle runtime.
fn wake(runtime: &tokio::runtime::Runtime, count: usize) {
    let samples: Arc<Vec<AtomicI64>> = Arc::new((0..count).map(|_| AtomicI64::new(0)).collect());
    let done = Arc::new(AtomicUsize::new(0));
    std::thread::sleep(Duration::from_millis(20));
    let (cpu, start) = (cpu_time(), Instant::now());
    for i in 0..count {
        let (samples, ran) = (samples.clone(), done.clone());
        let submitted = Instant::now();
        runtime.spawn(async move {
            samples[i].store(submitted.elapsed().as_nanos() as i64, Relaxed);
            ran.fetch_add(1, Release);
        });
        loop {
            std::thread::sleep(Duration::from_millis(1));
            if done.load(Acquire) > i {
                break;
            }
        }
    }
    let (cpu, wall) = (cpu_time() - cpu, start.elapsed().as_secs_f64());
    let mut sorted: Vec<i64> = samples.iter().map(|s| s.load(Relaxed)).collect();
    sorted.sort();
    report("wake_median", sorted[count / 2] as f64 / 1e3, "us");
    report("wake_p99", sorted[count * 99 / 100] as f64 / 1e3, "us");
    report("wake_cpu", 100.0 * cpu / wall, "%");
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let n: Vec<usize> = words.iter().skip(2).map(|w| w.parse().unwrap()).collect();
    check(n.len() >= 2, "usage: tokio-bench ROW WORKERS ARGUMENT...");
    let (workers, a, b) = (n[0], n[1], *n.get(2).unwrap_or(&0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_time()
        .build()
        .unwrap();
    let row = words[1].clone();
    if row == "wake" {
        wake(&runtime, a);
        return;
    }
    // In a task of a worker: block_on's own future runs on the calling thread.
    let task = runtime.spawn(async move {
        match row.as_str() {
            "yield" => yields(a, b).await,
            "spawn" => spawns(a).await,
            "million" => million(a).await,
            "fib" => fib(a).await,
            "skynet" => skynet(a).await,
            "pingpong" => pingpong(a).await,
            "counter" => counter(a, b).await,
            "memory" => memory(a).await,
            _ => check(false, "no such row"),
        }
    });
    runtime.block_on(task).unwrap();
}
