# SPDX-License-Identifier: MIT
"""The rows of the table: which programs do the same work, with which arguments, and what Weft is to reach."""

# How much work: {name} in a command -> (in full, with --quick).
SIZES = {
    'switches': (20_000_000, 5_000_000),
    'lives': (5_000_000, 1_000_000),
    'yields': (4_000_000, 1_000_000),
    'spawns': (1_000_000, 200_000),
    'slow_spawns': (20_000, 5_000),
    'million': (1_000_000, 200_000),
    'slow_million': (200_000, 50_000),
    'fib': (35, 32),
    'go_fib': (28, 25),
    'boost_fib': (20, 17),
    'queens': (12, 12),
    'ints': (10_000_000, 2_000_000),
    'leaves': (1_000_000, 1_000_000),
    'squares': (1_000_000_000, 100_000_000),
    'turns': (1_000_000, 200_000),
    'thread_turns': (20_000, 5_000),
    'wakes': (2_000, 400),
    'additions': (8_000_000, 1_000_000),
    'coroutines': (1_000_000, 100_000),
    'messages': (4_000_000, 500_000),
    'locks': (20_000_000, 5_000_000),
    'sleepers': (1_000_000, 50_000),
    'boost_sleepers': (100_000, 50_000),
    'sleep_ms': (12_000, 2_000),
    'probes': (1_000, 200),
}

LABELS = {
    'weft': 'Weft', 'weft-join': 'Weft, by joins', 'weft-coro': 'Weft, weft_coro', 'go': 'Go', 'tokio': 'Tokio',
    'boost-fiber': 'Boost.Fiber', 'onetbb': 'oneTBB', 'openmp': 'OpenMP', 'threads': 'threads', 'serial': 'serial',
    'context': 'Weft, bare context', 'coro': 'Weft, weft_coro', 'coro-inexact': 'Weft, weft_coro, one side inexact',
    'uc-context': 'Weft ucontext, bare',
    'uc-coro': 'Weft ucontext, weft_coro', 'boost-context': 'Boost.Context fiber', 'fcontext': 'Boost fcontext',
    'swapcontext': 'swapcontext', 'uc-life': 'Weft ucontext', 'ucontext-pool': 'ucontext, pooled', 'sigsetjmp': 'sigsetjmp',
    'sigsetjmp-call': 'sigsetjmp, in a call', 'stacks': 'the misses alone', 'lock': 'CAS, exchange',
}


class Target:
    """who's median is at most factor times other's; without another, at most the number itself."""

    def __init__(self, factor, other=None, who='weft', workers=None, other_workers=None):
        self.factor, self.other, self.who = factor, other, who
        self.workers, self.other_workers = workers, other_workers

    def applies(self, workers):
        return self.workers is None or workers in self.workers

    def judge(self, median, workers):
        """median(label, workers) is a number or None. Returns (text, whether it is met), None without figures."""
        mine = median(self.who, workers)
        other_workers = self.other_workers or workers
        other = median(self.other, other_workers) if self.other else 1
        if mine is None or other is None:
            return None
        text = LABELS[self.who]
        if self.other:
            text += f' at most {self.factor:.3g} of {LABELS[self.other]}'
            if self.other_workers:
                text += f' with {self.other_workers} worker' + 's' * (self.other_workers > 1)
        else:
            text += f' at most {self.factor:g}'
        reached = mine / other if other else 0.0
        return f'{text}: {reached:.3g}', reached <= self.factor


class Metric:
    def __init__(self, name, title, unit, *targets):
        self.name, self.title, self.unit, self.targets = name, title, unit, targets


class Row:
    def __init__(self, name, metrics, commands, workers=(1,), scaling=True):
        self.name, self.metrics, self.commands = name, metrics, commands
        self.workers, self.scaling, self.cpus = list(workers), scaling, None
        self.depends_on_workers = any('{w}' in c for c in commands.values())


def row(name, title, unit, commands, targets=(), metric=None, **rest):
    return Row(name, [Metric(metric or name.split('-')[0], title, unit, *targets)], commands, **rest)


def switch_row():
    return Row('switch', [Metric(
        'context', 'one switch between two coroutines', 'ns',
        Target(0.9, 'boost-context', who='context'),
        Target(1.3, 'boost-context', who='coro'),
        Target(1.15, 'sigsetjmp', who='uc-context'))], {
            'context': 'weft-switch context {switches}',
            'coro': 'weft-switch coro {switches}',
            'coro-inexact': 'weft-switch coro-inexact {switches}',
            'uc-context': 'weft-switch-ucontext context {switches}',
            'uc-coro': 'weft-switch-ucontext coro {switches}',
            'boost-context': 'boost-context fiber 1 {switches}',
            'fcontext': 'boost-context fcontext 1 {switches}',
            'sigsetjmp': 'floor sigsetjmp 1 {switches}',
            'sigsetjmp-call': 'floor sigsetjmp-call 1 {switches}',
            'swapcontext': 'floor swapcontext 1 {switches}',
        }, scaling=False)


def life_row():
    """Made once and pooled, a coroutine of the classic kind can run again only after it has ended: hence two enters."""
    return Row('life', [
        Metric('life', 'create, enter, yield, enter, end, destroy', 'ns',
               Target(0.8, 'ucontext-pool'), Target(0.8, 'ucontext-pool', who='uc-life')),
        Metric('life_short', 'create, enter, end, destroy', 'ns'),
        Metric('life_cut', 'create, enter, yield, destroy', 'ns'),
    ], {
        'weft': 'weft-life {lives}',
        'uc-life': 'weft-life-ucontext {lives}',
        'ucontext-pool': 'ucontext-pool life 1 {lives}',
    }, scaling=False)


def scope_row():
    return Row('scope', [
        Metric('scope', 'begin, end', 'ns'),
        Metric('scope_deadline', 'with a deadline', 'ns'),
        Metric('scope_look', 'with a deadline, and weft_cancelled()', 'ns'),
        Metric('scope_fork', 'with a deadline, and a fork that is joined', 'ns'),
    ], {'weft': 'weft-scope {lives}'}, scaling=False)


def yield_row(tasks):
    commands = {'weft': f'weft-yield {{w}} {tasks} {{yields}}', 'go': f'go yield {{w}} {tasks} {{yields}}',
                'boost-fiber': f'boost-fiber yield {{w}} {tasks} {{yields}}',
                'tokio': f'tokio yield {{w}} {tasks} {{yields}}'}
    targets = [Target(0.3, 'go'), Target(0.4, 'boost-fiber')]
    if tasks == 100000:
        commands['stacks'] = f'floor stacks 1 {tasks} {{yields}}'
        targets = []
    return row(f'yield-{tasks}', f'a yield, {tasks} runnable', 'ns', commands, targets)


def all_rows():
    rows = [switch_row(), life_row(), scope_row(), yield_row(2), yield_row(1000), yield_row(100000)]
    rows.append(row('spawn', 'spawn and join, one at a time', 'ns', {
        'weft': 'weft-spawn {w} {spawns}', 'onetbb': 'onetbb spawn {w} {spawns}', 'go': 'go spawn {w} {spawns}',
        'tokio': 'tokio spawn {w} {spawns}', 'openmp': 'openmp spawn {w} {spawns}',
        'boost-fiber': 'boost-fiber spawn {w} {spawns}', 'threads': 'threads spawn {w} {slow_spawns}',
    }, [Target(0.5, 'onetbb'), Target(0.12, 'go')], workers=(1, 2)))
    rows.append(Row('million', [
        Metric('million', 'a million spawned, then joined, each', 'ns', Target(0.6, 'onetbb', workers=(2,))),
        Metric('million_peak', 'a million spawned, then joined, peak memory', 'MiB',
               Target(1.1, 'onetbb', workers=(2,))),
    ], {
        'weft': 'weft-million {w} {million}', 'onetbb': 'onetbb million {w} {million}',
        'go': 'go million {w} {million}', 'tokio': 'tokio million {w} {million}', 'openmp': 'openmp million {w} {million}',
        'boost-fiber': 'boost-fiber million {w} {slow_million}',
    }, workers=(1, 2)))
    rows.append(row('fib', 'fib(35), a task a call, each', 'ns', {
        'weft': 'weft-fib {w} {fib}', 'onetbb': 'onetbb fib {w} {fib}', 'openmp': 'openmp fib {w} {fib}',
        'go': 'go fib {w} {go_fib}', 'tokio': 'tokio fib {w} {go_fib}',
        'boost-fiber': 'boost-fiber fib {w} {boost_fib}', 'serial': 'floor serial-fib 1 {fib}',
    }, [Target(0.1, 'onetbb'), Target(0.55, 'weft', workers=(2,), other_workers=1)], workers=(1, 2)))
    for name, title, size in (('queens', 'N-queens 12, a task a placement', 'queens'),
                              ('sort', 'quicksort of 10 million ints', 'ints')):
        commands = {peer: f'{program} {{w}} {{{size}}}' for peer, program in (
            ('weft', f'weft-{name}'), ('onetbb', f'onetbb {name}'), ('openmp', f'openmp {name}'), ('go', f'go {name}'))}
        commands['serial'] = f'floor serial-{name} 1 {{{size}}}'
        rows.append(row(name, title, 'ms', commands, [
            Target(1.1, 'serial', workers=(1,)),
            Target(1 / 1.9, 'weft', workers=(2,), other_workers=1)], workers=(1, 2)))
    # Half a microsecond of work, and more and more. Where each steal is an interrupt, little work is not worth sharing.
    for count, shared in ((1000, False), (100_000, False), (1_000_000, True)):
        rows.append(row(f'reduce-{count}', f'the sum of {count} squares, a reduction', 'us', {
            'weft': f'weft-reduce {{w}} {count} {{squares}}', 'openmp': f'openmp reduce {{w}} {count} {{squares}}',
            'onetbb': f'onetbb reduce {{w}} {count} {{squares}}', 'serial': f'floor serial-reduce 1 {count} {{squares}}',
        }, [Target(1.1, 'openmp', workers=(1, 2) if shared else (1,))], workers=(1, 2), scaling=False))
    rows.append(row('skynet', 'skynet, a million leaves', 'ms', {
        'weft': 'weft-skynet {w} {leaves}', 'onetbb': 'onetbb skynet {w} {leaves}',
        'openmp': 'openmp skynet {w} {leaves}', 'tokio': 'tokio skynet {w} {leaves}', 'go': 'go skynet {w} {leaves}',
    }, [Target(0.5, 'onetbb', workers=(2,)), Target(0.02, 'go', workers=(2,))], workers=(1, 2)))
    rows.append(row('pingpong', 'a round trip: semaphores (Go, Boost, Tokio: channels)', 'ns', {
        'weft': 'weft-pingpong {w} {turns}', 'weft-join': 'weft-pingpong-join {w} {turns}',
        'go': 'go pingpong {w} {turns}', 'tokio': 'tokio pingpong {w} {turns}',
        'boost-fiber': 'boost-fiber pingpong {w} {turns}', 'threads': 'threads pingpong {w} {thread_turns}',
    }, [Target(0.25, 'go'), Target(1.3, 'weft', workers=(2,), other_workers=1)], workers=(1, 2)))
    # To wake a CPU that sleeps takes many times longer than a switch of threads, and the kernel chooses which it is.
    # On one CPU it has no choice.
    for name, cpus, where in (('wake', None, ''), ('wake-here', 1, ', all on one CPU')):
        rows.append(Row(name, [
            Metric('wake_median', f'wake from a plain thread{where}, median', 'us', Target(1.4, 'threads')),
            Metric('wake_p99', f'wake from a plain thread{where}, 99 %', 'us'),
            Metric('wake_cpu', f'wake from a plain thread{where}, CPU used', '%', Target(6)),
        ], {
            'weft': 'weft-wake {w} {wakes}', 'threads': 'threads wake {w} {wakes}', 'go': 'go wake {w} {wakes}',
            'tokio': 'tokio wake {w} {wakes}', 'boost-fiber': 'boost-fiber wake {w} {wakes}',
            'onetbb': 'onetbb wake {w} {wakes}',
        }, workers=(2,), scaling=False))
        rows[-1].cpus = cpus
    rows.append(row('counter', '8 tasks, one mutex, an addition', 'ns', {
        'weft': 'weft-counter {w} 8 {additions}', 'go': 'go counter {w} 8 {additions}',
        'tokio': 'tokio counter {w} 8 {additions}', 'boost-fiber': 'boost-fiber counter {w} 8 {additions}',
        'threads': 'threads counter {w} 8 {additions}',
    }, [Target(1 / 1.5, 'go', workers=(2,))], workers=(1, 2)))
    rows.append(Row('memory', [
        Metric('memory_bytes', 'a million suspended, each', 'bytes', Target(4800), Target(4800, who='weft-coro')),
        Metric('memory_create_cold', 'a million suspended, create, cold', 'ns', Target(1.6, 'go')),
        Metric('memory_create_warm', 'a million suspended, create, warm', 'ns', Target(0.4, 'go')),
        Metric('memory_resume', 'a million suspended, resume', 'ns'),
        Metric('memory_end_cold', 'a million suspended, end, cold', 'ns'),
        Metric('memory_end_warm', 'a million suspended, end, warm', 'ns'),
        Metric('memory_held', 'a million suspended, still held after 1 s', '%', Target(5), Target(5, who='weft-coro')),
    ], {
        'weft': 'weft-memory {w} {coroutines}', 'weft-coro': 'weft-memory-coro {coroutines}',
        'go': 'go memory {w} {coroutines}', 'tokio': 'tokio memory {w} {coroutines}',
        'boost-fiber': 'boost-fiber memory {w} {coroutines}',
    }, workers=(1, 2), scaling=False))
    return rows + sync_rows()


def sync_rows():
    both = {'workers': (1, 2)}
    return [
        row('chan-pingpong', 'a round trip over two rendezvous channels', 'ns', {
            'weft': 'weft-chan pingpong {w} {turns}', 'go': 'go pingpong {w} {turns}',
            'boost-fiber': 'boost-fiber pingpong {w} {turns}',
        }, [Target(0.25, 'go')], metric='pingpong', **both),
        row('chan-many', '4 producers, 4 consumers, channel of 128, a message', 'ns', {
            'weft': 'weft-chan many {w} {messages}', 'go': 'go channel {w} {messages}',
            'boost-fiber': 'boost-fiber channel {w} {messages}', 'threads': 'threads channel {w} {messages}',
        }, [Target(0.5, 'go')], metric='channel', **both),
        row('select-2', 'select over 2 channels, a message', 'ns', {
            'weft': 'weft-select {w} 2 {turns}', 'go': 'go select {w} 2 {turns}'}, [Target(0.4, 'go')], **both),
        row('select-16', 'select over 16 channels, a message', 'ns', {
            'weft': 'weft-select {w} 16 {turns}', 'go': 'go select {w} 16 {turns}'}, [Target(0.5, 'go')], **both),
        row('mutex', 'a mutex that nobody else wants, lock and unlock', 'ns', {
            'weft': 'weft-mutex {w} {locks}', 'lock': 'floor lock 1 {locks}', 'go': 'go mutex {w} {locks}',
            'boost-fiber': 'boost-fiber mutex {w} {locks}', 'threads': 'threads mutex {w} {locks}',
        }, [Target(1.6, 'lock')]),
        row('condition', 'a round trip over a condition', 'ns', {
            'weft': 'weft-condition {w} {turns}', 'go': 'go condition {w} {turns}',
            'boost-fiber': 'boost-fiber condition {w} {turns}', 'threads': 'threads condition {w} {thread_turns}',
        }, [Target(0.2, 'boost-fiber')], **both),
        row('sleepers', 'a million sleepers, armed and fired, each', 'ns', {
            'weft': 'weft-sleepers {w} {sleepers} {sleep_ms}', 'go': 'go sleepers {w} {sleepers} {sleep_ms}',
            'boost-fiber': 'boost-fiber sleepers {w} {boost_sleepers} {sleep_ms}',
        }, [Target(0.5, 'go')], **both, scaling=False),
    ] + lateness_rows(**both)


def lateness_row(kind, title, limit, go=None, **rest):
    """The limit of the 99th percentile: what the busy tasks run between two yields, and 0.2 ms."""
    commands = {'weft': f'weft-lateness {kind} {{w}} {{probes}}'}
    if go:
        commands['go'] = f'go {go} {{w}} {{probes}}'
    return Row('late-' + kind, [
        Metric('late_median', title, 'ms'),
        Metric('late_p99', title + ': 99th percentile', 'ms', Target(limit)),
    ], commands, scaling=False, **rest)


def lateness_rows(**rest):
    return [
        lateness_row('sleep', 'beside tasks of 1 ms, a sleep is late by', 1.2, 'late_sleep', **rest),
        lateness_row('wake', 'beside tasks of 1 ms, a task that a thread outside wakes is late by', 1.2, **rest),
        lateness_row('blocking', 'beside tasks of 1 ms, the return of a blocking call is late by', 1.2, 'late_blocking', **rest),
        lateness_row('forks', 'beside a recursion of forks, a sleep is late by', 0.2, 'late_forks', **rest),
    ]


def scaling_rows(rows):
    """Weft alone with many workers on two CPUs: more workers than CPUs must not cost."""
    result = []
    for base in rows:
        if not base.scaling or not base.depends_on_workers or base.name == 'yield-2':
            continue
        metric = base.metrics[0]
        new = Row('scaling-' + base.name, [Metric(
            metric.name, metric.title, metric.unit, Target(1.5, 'weft', workers=(16, 64), other_workers=2))],
                  {'weft': base.commands['weft']}, workers=(1, 2, 4, 8, 16, 64))
        new.cpus = 2
        result.append(new)
    return result
