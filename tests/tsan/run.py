#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs small programs that ThreadSanitizer is to judge, and says of each whether it judged right.

  run.py racy|clean --sources DIR --workers N [--repeat N] [--quiet] PROGRAM...

A program of racy/ has one race, between the functions that its source names: /* races: FUNCTION, FUNCTION */. It must
be reported, and nothing else: each report has two stacks, and the innermost frames of theirs that are in the program's
own source are these two functions. The exit status must be ThreadSanitizer's. A program of clean/ must print no report
and exit with 0. A source without a program is a failure too.
"""
import argparse
import os
import re
import subprocess
import sys
import time

EXIT_STATUS = 66
TIME_LIMIT = 600  # seconds: only for what hangs

# Not the caller's: reports do not stop the program, so that one that should not be there is seen after the one that
# should. Where there is no llvm-symbolizer, addr2line finds the functions' names. Without the sleep, for which nothing
# is left to wait for, a program that was reported would take a second longer.
TSAN_OPTIONS = ('halt_on_error=0:second_deadlock_stack=1:allow_addr2line=1:atexit_sleep_ms=0:exitcode=%d'
                % EXIT_STATUS)

RACES = re.compile(r'^/\* races: (\w+), (\w+) \*/$', re.MULTILINE)
REPORT = re.compile(r'^WARNING: ThreadSanitizer: (.*?)(?: \(pid=\d+\))?$\n(.*?)^==================$', re.MULTILINE | re.DOTALL)
ACCESS = re.compile(r'^  (?:Previous )?(?:atomic )?(?:read|write) of size .*\n((?:    #\d+ .*\n)*)', re.MULTILINE | re.IGNORECASE)
FRAME = re.compile(r'^    #\d+ (\w+)\S* (\S+?)(?::\d+)*(?: |$)', re.MULTILINE)


def run(program, workers):
    """Its exit status (None: it took too long) and all that it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('WEFT_')}
    environment['WEFT_WORKERS'] = str(workers)
    environment['TSAN_OPTIONS'] = TSAN_OPTIONS
    try:
        done = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIME_LIMIT)
        return done.returncode, done.stdout.decode(errors='replace')
    except subprocess.TimeoutExpired as expired:
        return None, (expired.stdout or b'').decode(errors='replace')


def racing(report, source):
    """The functions of the program that the report's stacks name; '?' where a stack has none."""
    names = []
    for stack in ACCESS.findall(report):
        own = [name for name, path in FRAME.findall(stack) if os.path.basename(path) == source]
        names.append(own[0] if own else '?')
    return sorted(names)


def judge_racy(path, status, said):
    with open(path) as f:
        declared = RACES.findall(f.read())
    if len(declared) != 1:
        return 'the source names %d races' % len(declared)
    expected = sorted(declared[0])
    reports = REPORT.findall(said)
    if not reports:
        return 'not reported'
    for what, report in reports:
        if what != 'data race':
            return 'reported as ' + what
        if racing(report, os.path.basename(path)) != expected:
            return 'reported: ' + ', '.join(racing(report, os.path.basename(path)))
    if status != EXIT_STATUS:
        return 'exit status %s' % status
    return None


def judge_clean(said, status):
    if 'ThreadSanitizer' in said:
        return 'reported'
    if status != 0:
        return 'exit status %s' % status
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('kind', choices=['racy', 'clean'])
    parser.add_argument('--sources', required=True)
    parser.add_argument('--workers', type=int, required=True)
    parser.add_argument('--repeat', type=int, default=1)
    parser.add_argument('--quiet', action='store_true', help='only the failures')
    parser.add_argument('programs', nargs='+')
    args = parser.parse_args()

    failed = 0
    programs = {re.sub('^tsan-%s-' % args.kind, '', os.path.basename(p)): p for p in args.programs}
    sources = {f[:-2] for f in os.listdir(args.sources) if f.endswith('.c')}
    for name in sorted(sources - programs.keys()):
        failed += 1
        print('%-26s NOT BUILT' % name)
    for name, program in programs.items():
        path = os.path.join(args.sources, name + '.c')
        for _ in range(args.repeat):
            started = time.monotonic()
            status, said = run(program, args.workers)
            took = time.monotonic() - started
            if status is None:
                wrong = 'did not end'
            elif args.kind == 'racy':
                wrong = judge_racy(path, status, said)
            else:
                wrong = judge_clean(said, status)
            if wrong:
                failed += 1
                print('%-26s WRONG: %s (%.2f s)' % (name, wrong, took))
                print(re.sub('^', '  | ', said, flags=re.MULTILINE))
            elif not args.quiet:
                how = '%d reported' % len(REPORT.findall(said)) if args.kind == 'racy' else 'silent'
                print('%-26s %s (%.2f s)' % (name, how, took))
            sys.stdout.flush()
    print('%s, WEFT_WORKERS=%d: %d programs, %d wrong' % (args.kind, args.workers, len(programs), failed))
    return failed > 0


if __name__ == '__main__':
    sys.exit(main())
