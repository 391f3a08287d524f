#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Whether Weft says that it was not built for the program's sanitizer, or the program not for Weft's (src/sanitizer_match.c).

usage: sanitizer_match.py [--aborts] TEXT PROGRAM

Each way to use Weft for the first time must print exactly one line of Weft's, with TEXT in it. With an empty TEXT there
must be none. A program that does not use Weft prints nothing. With --aborts the line is also the process's end.
"""
import os
import platform
import shutil
import signal
import subprocess
import sys

LIMIT = 600 # a hang is a failure


def lines_of(program, uses):
    # Its run-time library needs the usual addresses.
    command = ['setarch', platform.machine(), '-R'] if shutil.which('setarch') else []
    # What leaks is not what is looked for here, and a tracer would be needed.
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
