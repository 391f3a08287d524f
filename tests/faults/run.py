#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs a workload once for every n. In each run the n-th call of one kind fails. Prints a table.

  run.py --preload faults.so --program workload WORKLOAD             every kind, every n
  run.py ... --only malloc:ENOMEM WORKLOAD                           one row of the table
  run.py ... --only malloc:ENOMEM --nth 17 WORKLOAD                  one run, with its output
  run.py ... --long --workers 8 WORKLOAD                             no n left out, another number of workers
  run.py ... --always WORKLOAD...                                    with kinds that never work
  run.py ... --always --launcher seccomp_exec WORKLOAD...            by a filter in the kernel

Each run must end with status 0. The only errors are those that go with the fault, from calls that document them. Afterwards
Weft holds no more than without a fault. It holds the same once the workload has been run again without a fault. As many files
are open as before.

n rises until the workload makes no n-th call of the kind any more, three times in a row. Three times, because threads do not do
the same in each run.
"""
import argparse
import collections
import os
import resource
import subprocess
import sys
import time

TIMEOUT = 600  # seconds: only for what hangs
LAST_N = 600   # beyond it every tenth, with a note
UNREACHED = 3

# kind, how, how many calls in a row, the only errors that public calls may then return, and what always fails besides.
FAULTS = (
    ('malloc', 'ENOMEM', 1, ('ENOMEM',), ''),
    ('malloc', 'ENOMEM', 4, ('ENOMEM',), ''),
    ('mmap', 'ENOMEM', 1, ('ENOMEM',), ''),
    ('mmap', 'ENOMEM', 30, ('ENOMEM',), ''),
    ('mmap', 'ENOMEM', 300, ('ENOMEM',), ''),
    ('madvise', 'EINVAL', 1, (), ''),
    ('madvise', 'ENOMEM', 8, (), ''),
    ('process_madvise', 'EINVAL', 1, (), ''),
    ('process_madvise', 'short', 1, (), ''),
    ('mprotect', 'ENOMEM', 1, ('ENOMEM',), 'madvise=EINVAL'),
    ('mprotect', 'ENOMEM', 8, ('ENOMEM',), 'madvise=EINVAL'),
    ('thread', 'EAGAIN', 1, ('EAGAIN',), ''),
    ('thread', 'EAGAIN', 3, ('EAGAIN',), ''),
    ('membarrier', 'ENOSYS', 1, (), ''),
    ('membarrier', 'EPERM', 2, (), ''),
    ('futex', 'stray', 1, (), ''),
    ('futex', 'stray', 100, (), ''),
    ('futex', 'EINTR', 1, (), ''),
    ('futex', 'EINTR', 100, (), ''),
    ('futex', 'EAGAIN', 1, (), ''),
    ('futex', 'EAGAIN', 100, (), ''),
    ('open', 'EMFILE', 1, (), ''),
    ('read', 'EIO', 1, (), ''),
    ('fopen', 'EMFILE', 1, (), ''),
    ('getline', 'EIO', 1, (), ''),
)

# What must be reached in a run without faults, or the library that is preloaded does not do its work.
REACHED = ('malloc', 'mmap', 'madvise', 'membarrier')

# What never works, and what says that the fallback was taken.
ALWAYS = ('membarrier=ENOSYS', 'membarrier=EPERM', 'madvise=EINVAL', 'process_madvise=ENOSYS',
          'process_madvise=EPERM', 'membarrier=EPERM,madvise=EINVAL,process_madvise=EPERM')

MEMBARRIER_GONE = 'membarrier() worked at start and fails now'
MEMBARRIERS_AT_START = 2  # what there is, and registering: from then on it must work
MAPPING_LIMIT = 'cannot guard another stack'
TASKS_WAIT = 'tasks wait for stacks'  # as they may where memory is refused
CALLS_WAIT = 'threads for weft_blocking() are busy'  # a workload has only one


class Run:
    """One run of a workload: its output, taken apart."""

    def __init__(self, options, workload, nth='', always='', launcher=()):
        env = {k: v for k, v in os.environ.items() if not k.startswith(('WEFT_', 'FAULTS_', 'LD_'))}
        env.update(WEFT_WORKERS=options.workers, LD_PRELOAD=options.preload)
        if nth:
            env['FAULTS_NTH'] = nth
        if always:
            env['FAULTS_ALWAYS'] = always
        self.env = env
        self.command = [*launcher, options.program, workload]
        self.calls = collections.Counter()
        self.denied = collections.Counter()
        self.refused = collections.Counter()
        self.held = {}
        self.failed = self.expedited = 0
        self.files = ()
        try:
            done = subprocess.run(self.command, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=TIMEOUT, check=False, preexec_fn=small_main_stack)
            self.status, self.stdout, self.stderr = done.returncode, text(done.stdout), text(done.stderr)
        except subprocess.TimeoutExpired as expired:
            self.status, self.stdout, self.stderr = 'hangs', text(expired.stdout), text(expired.stderr)
        self.stderr = ''.join(line for line in self.stderr.splitlines(True) if CALLS_WAIT not in line)
        for line in self.stdout.splitlines():
            self.take(line.split())

    def take(self, words):
        if words[0] == 'failed':
            self.failed = int(words[1])
        elif words[0] == 'calls':
            self.calls[words[1]] = int(words[2])
        elif words[0] == 'denied':
            self.denied[words[1]] = int(words[2])
        elif words[0] == 'expedited':
            self.expedited = int(words[1])
        elif words[0] == 'refused':
            self.refused.update({words[i]: int(words[i + 1]) for i in (1, 3)})
        elif words[0] == 'held':
            self.held[words[1], words[2]] = collections.Counter(map(int, words[3:]))
        elif words[0] == 'files':
            self.files = tuple(words[1:])

    def complaints(self, clean, errors=()):
        """What is wrong with it, compared to a run without faults (None: this is that run)."""
        if self.status != 0:
            return ['hangs' if self.status == 'hangs' else 'exit status %s' % self.status]
        wrong = ['a public call returned %s' % error for error, n in self.refused.items()
                 if n > 0 and error not in errors]
        expected = (clean or self).held
        for what in ('blocks', 'mappings', 'threads'):
            last = expected['last', what]
            more = self.held['fault', what] - last
            if more:
                wrong.append('holds %s afterwards: %s' % (what, dict(more)))
            again = self.held['again', what]
            if again != last:
                wrong.append('holds %s when run again: %s instead of %s' % (what, dict(again), dict(last)))
            if what != 'blocks' and last:
                wrong.append('holds %s %s at the end' % (what, dict(last)))
        if len(self.files) != 2 or self.files[0] != self.files[1]:
            wrong.append('open files: %s' % (self.files,))
        return wrong

    def shown(self):
        variables = ' '.join('%s=%s' % (k, self.env[k]) for k in sorted(self.env)
                             if k.startswith(('WEFT_', 'FAULTS_', 'LD_PRELOAD')))
        return '(ulimit -s 376; %s %s)\n%s%s' % (variables, ' '.join(self.command), self.stdout, self.stderr)


def text(data):
    return (data or b'').decode(errors='replace')


def small_main_stack():
    """The first task's stack is as large as the limit says: as twice a common one it needs no sizes of its own."""
    resource.setrlimit(resource.RLIMIT_STACK, (376 << 10, resource.getrlimit(resource.RLIMIT_STACK)[1]))


def ended_with_reason(run, kind, n):
    """Without membarrier after it has once worked there is no right way to go on: that is said and ends the process."""
    return (kind == 'membarrier' and n > MEMBARRIERS_AT_START and run.status == -6 and
            all(MEMBARRIER_GONE in line for line in run.stderr.splitlines() or ['']))


def membarrier_complaints(run, n):
    """What is used without its barrier, or goes on being asked for after it was refused."""
    if run.failed and n > MEMBARRIERS_AT_START:
        return ['went on without its barrier']
    if run.failed and run.calls['membarrier'] > n:
        return ['called again after it was refused']
    return []


def mmap_complaints(run, clean):
    """A shortage that passes must not decide how all later guards are made: those of mprotect() are mappings."""
    if run.calls['mprotect'] > 2 * clean.calls['mprotect'] + 16:
        return ['%d calls of mprotect' % run.calls['mprotect']]
    return []


def one_kind(options, workload, clean, fault):
    """Every n of one row of the table. Whether all was well."""
    kind, how, count, errors, always = fault
    runs = refused = ended = 0
    bad, unreached, skipped, n = [], 0, '', 0
    while unreached < UNREACHED:
        n += 1 if n < LAST_N or options.long else 10
        if n > LAST_N and not options.long:
            skipped = ', beyond %d only every tenth' % LAST_N
        run = Run(options, workload, '%s:%d:%d:%s' % (kind, n, count, how), always)
        if ended_with_reason(run, kind, n):
            ended += 1
            runs += 1
            # One line of code makes all of these calls.
            if ended == 3:
                skipped = ', later n skipped'
                break
            continue
        wrong = run.complaints(clean, errors)
        if kind == 'membarrier':
            wrong += membarrier_complaints(run, n)
        if kind == 'mmap' and count == 1:
            wrong += mmap_complaints(run, clean)
        waits = kind in ('malloc', 'mmap', 'mprotect') and TASKS_WAIT in run.stderr
        if run.stderr and not wrong and not waits and MAPPING_LIMIT not in run.stderr:
            wrong = ['says: ' + run.stderr.strip()]
        if wrong:
            bad.append((n, wrong, run))
            if len(bad) == 3:
                break
        if run.failed == 0 and not wrong:
            unreached += 1
            continue
        unreached = 0
        runs += 1
        refused += any(run.refused.values())
    label = '%s:%s' % (kind, how) + (' x%d' % count if count > 1 else '')
    result = 'FAILED' if bad else 'ok' if runs else 'not reached'
    print('%-9s %-24s %5d runs %5d returned an error%s  %s%s' % (
        workload, label, runs, refused, ' %d ended' % ended if ended else '', result, skipped), flush=True)
    for number, wrong, run in bad:
        print('  n = %d: %s' % (number, '; '.join(wrong)))
        print('    | ' + run.shown().rstrip().replace('\n', '\n    | '), flush=True)
    return not bad


def every_n(options, workload):
    clean = Run(options, workload)
    wrong = clean.complaints(None)
    wrong += ['no call of %s is seen' % kind for kind in REACHED if clean.calls[kind] == 0]
    if wrong:
        print('%s: without faults: %s\n%s' % (workload, '; '.join(wrong), clean.shown()))
        return False
    good = True
    for fault in FAULTS:
        if not options.only or '%s:%s' % fault[:2] == options.only:
            good = one_kind(options, workload, clean, fault) and good
    return good


def one_n(options, workload):
    good = True
    clean = Run(options, workload)
    for fault in FAULTS:
        if '%s:%s' % fault[:2] == options.only:
            run = Run(options, workload, '%s:%d:%d:%s' % (fault[0], options.nth, fault[2], fault[1]), fault[4])
            wrong = run.complaints(clean, fault[3])
            print('%s\n%s' % (run.shown(), '; '.join(wrong) or 'ok'))
            good = good and not wrong
    return good


def never_works(options, workload):
    good = True
    clean = Run(options, workload)
    for always in ALWAYS if not options.launcher else ('ENOSYS', 'EPERM'):
        if options.launcher:
            run = Run(options, workload, launcher=(options.launcher, always))
            if run.status == 77:
                print('no filters here: ' + run.stderr.strip())
                sys.exit(77)
            denied = ('membarrier', 'madvise', 'process_madvise')
        else:
            run = Run(options, workload, always=always)
            denied = [one.split('=')[0] for one in always.split(',')]
        wrong = run.complaints(clean)
        if not options.launcher:
            # A kernel without MADV_GUARD_INSTALL has no need of the call for many.
            wrong += ['%s was never tried' % kind for kind in denied if run.denied[kind] == 0 and not (
                kind == 'process_madvise' and (clean.calls[kind] == 0 or 'madvise' in denied))]
        if 'membarrier' in denied and run.expedited:
            wrong.append('%d membarriers all the same' % run.expedited)
        if 'madvise' in denied and run.calls['mprotect'] <= clean.calls['mprotect']:
            wrong.append('no guards by mprotect()')
        if run.stderr:
            wrong.append('says: ' + run.stderr.strip())
        print('%-9s never %-58s %s' % (workload, ', '.join(denied) + ' (filter, %s)' % always
              if options.launcher else always, 'FAILED' if wrong else 'ok'), flush=True)
        if wrong:
            good = False
            print('  %s\n    | %s' % ('; '.join(wrong), run.shown().rstrip().replace('\n', '\n    | ')), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--preload', required=True)
    parser.add_argument('--program', required=True)
    parser.add_argument('--only')
    parser.add_argument('--nth', type=int)
    parser.add_argument('--always', action='store_true')
    parser.add_argument('--launcher')
    parser.add_argument('--long', action='store_true', help='every n, however large')
    parser.add_argument('--workers', default='3', metavar='N', help='WEFT_WORKERS')
    parser.add_argument('workloads', nargs='+')
    options = parser.parse_args()
    started = time.monotonic()
    act = never_works if options.always else one_n if options.nth else every_n
    results = [act(options, workload) for workload in options.workloads]
    print('%s in %.1f s' % ('all well' if all(results) else 'FAILED', time.monotonic() - started))
    sys.exit(0 if all(results) else 1)


if __name__ == '__main__':
    main()
