#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks that Weft reports a mismatch between the program's sanitizer and its own (src/base/sanitizer_match.c).

usage: sanitizer_match.py [--aborts] TEXT PROGRAM

Each first use of Weft must print exactly one line of Weft's, which contains TEXT. With an empty TEXT there must be no
line. A program that does not use Weft prints nothing. With --aborts the process must also abort.
"""
import os
import platform
import shutil
import signal
import subprocess
import sys

LIMIT = 600 # a hang is a failure


def lines_of(program, uses):
    # The sanitizer's run-time library needs addresses without randomisation.
    command = ['setarch', platform.machine(), '-R'] if shutil.which('setarch') else []
    # Leaks do not matter here, and the search for them would need a tracer.
    env = {**os.environ, 'ASAN_OPTIONS': 'detect_leaks=0'}
    done = subprocess.run(command + [program] + uses, stderr=subprocess.PIPE, text=True, timeout=LIMIT, env=env, check=False)
    return done.returncode, [line for line in done.stderr.splitlines() if line.startswith('weft: ')]


def main():
    aborts = sys.argv[1] == '--aborts'
    text, program = sys.argv[1 + aborts:]
    wrong = 0
    for uses in [], ['coroutine'], ['runtime'], ['coroutine', 'runtime', 'runtime', 'coroutine']:
        status, lines = lines_of(program, uses)
        expected = 1 if uses and text else 0
        right = status == (-signal.SIGABRT if expected and aborts else 0)
        if not right or len(lines) != expected or any(text not in line for line in lines):
            print('%s %s: expected %d lines with "%s"; status %d, said: %s' %
                  (program, uses, expected, text, status, lines))
            wrong += 1
    return wrong > 0


if __name__ == '__main__':
    sys.exit(main())
