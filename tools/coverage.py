#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Prints which lines and branches of src/ and sched/ a coverage build has run: coverage.py [--minimum PERCENT] [--brief] BUILD

./dev coverage makes such a build, runs its tests and calls this program. Everything that was compiled counts together: the
libraries, and the code of headers that tests and stresses compile. A line is covered if it ran in one of them, and so is a
branch. The branches of a line are told apart by their order. Then the files follow, and every run of more than 3 lines that
nothing reached.

Exit status: 1 if less than the minimum is covered.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys

TOPS = ('src/', 'sched/')
LONG_RUN = 3
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def gcov(path):
    """What gcov says of one object: a list of files."""
    done = subprocess.run(['gcov', '--json-format', '--stdout', '--branch-probabilities', path], cwd=os.path.dirname(path),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    files = []
    for line in done.stdout.splitlines():
        report = json.loads(line)
        files += [(os.path.join(report['current_working_directory'], file['file']), file['lines'])
                  for file in report['files']]
    return files


class File:
    def __init__(self):
        self.lines = collections.Counter()     # number to count
        self.branches = collections.Counter()  # (number, which of the line's) to count
        self.functions = {}                    # line to function

    def add(self, lines):
        for line in lines:
            number = line['line_number']
            self.lines[number] += line['count']
            self.functions.setdefault(number, line.get('function_name', '?'))
            for nth, branch in enumerate(line['branches']):
                self.branches[number, nth] += branch['count']

    def unreached(self):
        """Yields (first line, last line, how many of code) of the runs of lines that nothing reached."""
        begin, count, last = None, 0, None
        for number in sorted(self.lines) + [None]:
            if number is not None and self.lines[number] == 0:
                begin, count, last = begin or number, count + 1, number
            elif begin:
                yield begin, last, count
                begin, count = None, 0


def read(build):
    objects = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.abspath(build)) for name in names if name.endswith('.gcno')]
    files = collections.defaultdict(File)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for reports in pool.map(gcov, sorted(objects)):
            for path, lines in reports:
                name = os.path.relpath(os.path.realpath(path), ROOT)
                if name.startswith(TOPS):
                    files[name].add(lines)
    return files


def part(counts):
    """(how many are covered, of how many)"""
    return sum(count > 0 for count in counts.values()), len(counts)


def shown(of):
    covered, total = of
    return '%d of %d, %.1f %%' % (covered, total, 100 * covered / total) if total else '-'


def together(parts):
    return tuple(map(sum, zip(*parts)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minimum', type=float, default=0, help='per cent of the lines')
    parser.add_argument('--brief', action='store_true', help='one line with the totals')
    parser.add_argument('build')
    options = parser.parse_args()

    files = read(options.build)
    if not files:
        sys.exit('there is nothing of %s in %s' % (' or '.join(TOPS), options.build))
    lines = together([part(file.lines) for file in files.values()])
    branches = together([part(file.branches) for file in files.values()])
    if options.brief:
        print('lines %s; branches %s' % (shown(lines), shown(branches)))
        return 0

    row = '%-32s %-24s %s'
    print(row % ('', 'lines', 'branches'))
    for name in sorted(files):
        print(row % (name, shown(part(files[name].lines)), shown(part(files[name].branches))))
    for top in TOPS:
        of = [file for name, file in files.items() if name.startswith(top)]
        print(row % (top + ' together', shown(together([part(file.lines) for file in of])),
                     shown(together([part(file.branches) for file in of]))))
    print(row % ('all', shown(lines), shown(branches)))
    print()
    print('More than %d lines together that nothing reached:' % LONG_RUN)
    for name in sorted(files):
        for begin, last, count in files[name].unreached():
            if count > LONG_RUN:
                print('  %s:%d-%d, %s() (%d)' % (name, begin, last, files[name].functions[begin], count))
    if 100 * lines[0] < options.minimum * lines[1]:
        print('less than %g %% of the lines' % options.minimum)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
