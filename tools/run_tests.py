#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs `meson test`, and sums up its log.

  run_tests.py [--note TEXT] [--counts FILE] --log FILE DIR [-- ARGUMENT...]

Runs `meson test -C DIR ARGUMENT...` and writes its output to the log. Prints once a minute how many tests have ended.
At the end, prints TEXT and the counts in one line, then each failure with its output, then the reason of each skip.

The file of counts gets the line `PASSED FAILED SKIPPED`, and the name of each failed test in a line of its own.

Exit status: 0 if nothing failed, else 1.
"""
import argparse
import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

EVERY = 60  # seconds between two lines about the progress
OUTPUT_LINES = 200  # of a failed test
BUILD_LINES = 60  # of a failed build
BUILD_FAILED = 125  # what meson test exits with
TAIL = 1 << 14


def progress(log):
    """Returns how far meson is, from the last lines of its log. While it builds, these are lines of ninja."""
    with open(log, 'rb') as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        text = file.read().decode(errors='replace')
    for pattern, what in ((r'^ *(\d+)/(\d+) ', 'tests'), (r'^\[(\d+)/(\d+)\]', 'steps of the build')):
        found = re.findall(pattern, text, re.MULTILINE)
        if found:
            return '%s of %s %s' % (*found[-1], what)
    return 'nothing yet'


def run_meson(options):
    """Returns meson's exit status."""
    began = time.monotonic()
    with open(options.log, 'wb') as out, \
            subprocess.Popen(['meson', 'test', '-C', options.dir, *options.arguments],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out) as meson:
        while True:
            try:
                return meson.wait(EVERY)
            except subprocess.TimeoutExpired:
                print('  after %d s: %s' % (time.monotonic() - began, progress(options.log)), flush=True)
            except KeyboardInterrupt:
                # The terminal has told meson as well. The shell ends if this process ends by the signal.
                meson.wait()
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGINT)


def indent(lines):
    return ['    | ' + line for line in lines]


def end_of_log(log):
    """Returns a log from its first failed step of a build on. Without one, returns its last lines."""
    with open(log, errors='replace') as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines):
        if line.startswith('FAILED: '):
            return indent(lines[number:][:BUILD_LINES])
    return indent(lines[-BUILD_LINES:])


class Sum:
    """The results of the tests in a log of meson."""

    def __init__(self):
        self.passed = 0
        self.failed = []  # names
        self.skipped = 0
        self.failures = []  # lines to print
        self.skips = []

    def fail(self, name, how, output):
        self.failed.append(name)
        self.failures.append('  FAILED: %s%s' % (name, how))
        self.failures += output

    def add(self, test, log):
        lines = ((test.get('stdout') or '') + (test.get('stderr') or '')).rstrip('\n').split('\n')
        if test['result'] in ('OK', 'EXPECTEDFAIL'):
            self.passed += 1
        elif test['result'] in ('SKIP', 'IGNORED'):
            self.skipped += 1
            reason = next((line.strip() for line in reversed(lines) if line.strip()), 'no reason given')
            self.skips.append('  skipped: %s: %s' % (test['name'], reason.removeprefix('skipped: ')))
        else:
            output = indent(lines[-OUTPUT_LINES:])
            if len(lines) > OUTPUT_LINES:
                output.insert(0, '    | ... (%d lines before: %s)' % (len(lines) - OUTPUT_LINES, log))
            self.fail(test['name'], ': %s, exit status %s, %.1f s: %s' % (
                test['result'].lower(), test.get('returncode'), test.get('duration') or 0,
                ' '.join(test.get('command') or [])), output)


def main():
    parser = argparse.ArgumentParser(description='Runs meson test, and sums up its log.')
    parser.add_argument('--note', default='')
    parser.add_argument('--counts')
    parser.add_argument('--log', required=True)
    parser.add_argument('dir')
    parser.add_argument('arguments', nargs='*')
    options = parser.parse_args()
    sys.stdout.reconfigure(errors='replace')

    pattern = os.path.join(options.dir, 'meson-logs', 'testlog*')
    for old in glob.glob(pattern):
        os.remove(old)
    began = time.monotonic()
    status = run_meson(options)
    result = Sum()
    # The log says which tests failed. The exit status tells no more, unless meson did not even get there.
    for log in glob.glob(pattern + '.json'):
        with open(log, errors='replace') as file:
            for line in file:
                result.add(json.loads(line), log)
    if status == BUILD_FAILED:
        result.fail('the build', ' (%s)' % options.log, end_of_log(options.log))
    elif result.passed + len(result.failed) + result.skipped == 0:
        result.fail('no test ran', ' (%s)' % options.log, end_of_log(options.log))

    print('  %s%d passed, %d failed, %d skipped in %d s' % (
        options.note, result.passed, len(result.failed), result.skipped, time.monotonic() - began))
    for line in result.failures + result.skips:
        print(line)
    if options.counts:
        with open(options.counts, 'w', encoding='utf-8') as file:
            print(result.passed, len(result.failed), result.skipped, file=file)
            for name in result.failed:
                print(name, file=file)
    return 1 if result.failed else 0


if __name__ == '__main__':
    sys.exit(main())
