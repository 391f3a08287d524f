#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Runs the mutants of table.py, and prints what caught each of them.

  run.py --build DIR [--only NAME]... [--jobs N] [--runs N] [--output FILE]

First each command runs once with the real library, and must pass. Then it runs with each mutant, again and again. A mutant
is caught when a run fails, crashes or hangs. It has survived if all N runs pass. SPIN must reject a model's twin.

No time limit decides, because the machine may be busy. If a mutant takes much longer than the real program did, the real
program runs beside it again, several times. If the mutant still runs after that, it hangs: it has had the same time on the
same machine.

Exit status: 0 if all are caught, 1 if one has survived or the real library fails.
"""
import argparse
import importlib.util
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # do not write to the source folder
from table import Twin, all_mutants

HERE = os.path.dirname(os.path.abspath(__file__))
REAL_LIMIT = 1800  # seconds; only a hang reaches it
PATIENCE_LEAST = 3  # seconds until the real program runs beside a mutant
PATIENCE_TIMES = 2  # times the duration of the real program
BESIDE = 3  # how often the real program passes before the mutant counts as hanging
OUTPUT_MAX = 1 << 20

# The first message of a failed program, and the name of that failure.
SAID = [
    (r'FAILED: (nothing was done) for', 'hang: %s'),
    (r'exception: ([^\n]*)', '%s'),
    (r'\[  FAILED  \] (?:\w+: )?(test_\w+)', 'failed: %s'),
    (r'FAILED: ([^\n]*)', 'failed: %s'),
    (r'(?:^|\n)weft: ([^\n]*)', 'aborts: %s'),
]


RUNNING = set()  # process groups


class Run:
    """
    One run of a program: how it failed (None if it passed), and how long it took.

    hangs()  decides about a program that still runs after `patience` seconds. If it returns true, the program is ended.
    """

    def __init__(self, path, command, patience=REAL_LIMIT, hangs=lambda program: True):
        self.path = path
        self.how = None
        self.wrong = False  # no verdict: the program did not even start
        environment = {name: value for name, value in os.environ.items() if not name.startswith('WEFT_')}
        environment.update(assignment.split('=', 1) for assignment in command.variables())
        begin = time.monotonic()
        with tempfile.TemporaryFile() as out:
            with subprocess.Popen([path, *command.arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  env=environment, start_new_session=True, preexec_fn=limit_output) as program:
                RUNNING.add(program.pid)
                try:
                    status = program.wait(patience)
                except subprocess.TimeoutExpired:
                    status = None if hangs(program) else program.wait()
                finally:
                    end_group(program.pid)
                    RUNNING.discard(program.pid)
            self.seconds = time.monotonic() - begin
            out.seek(0)
            self.output = out.read().decode(errors='replace')
        if status != 0:
            self.how = self.failure(status)
            self.wrong = status in (125, 126, 127)

    def failure(self, status):
        """status: None if the program had to be ended."""
        for pattern, how in SAID:
            found = re.search(pattern, self.output)
            if found:
                return how % found.group(1).strip()
        # The test that has begun and not ended.
        tests = re.findall(r'\[ RUN      \] (\w+)(?!.*\] \1)', self.output, re.DOTALL)
        where = ', in ' + tests[-1] if tests else ''
        if status is None:
            return 'hang' + where
        return (signal.Signals(-status).name if status < 0 else 'exit status %d' % status) + where


def limit_output():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_MAX, OUTPUT_MAX))


def end_group(leader):
    """Ends a program and its children. They have a session of their own, so this ends nothing else."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all(number, _):
    for leader in list(RUNNING):
        end_group(leader)
    os._exit(128 + number)


class Result:
    def __init__(self, mutant, how, seconds, caught):
        self.mutant, self.how, self.seconds, self.caught = mutant, how, seconds, caught


def real_path(build, mutant):
    program = mutant.caught_by.program
    if program.startswith('stress-'):
        return os.path.join(build, 'stress', program)
    return os.path.join(build, 'tests', 'test-' + program)


def mutant_paths(build, mutant):
    names = mutant.programs or ('mutant-' + mutant.name,)
    return [os.path.join(build, 'stress', 'mutants', name) for name in names]


class RealFails(Exception):
    """The real program has failed beside a mutant. The message says how."""


def outlasts(build, mutant, program):
    """Returns whether a slow mutant's program still runs after the real one has passed BESIDE times."""
    for _ in range(BESIDE):
        real = Run(real_path(build, mutant), mutant.caught_by)
        if real.how:
            raise RealFails(real.how)
        if program.poll() is not None:
            return False
    return True


def try_mutant(build, mutant, real, runs):
    """Runs the mutant until one of its programs fails, or each has passed `runs` times."""
    patience = max(PATIENCE_LEAST, PATIENCE_TIMES * real.seconds)
    begin = time.monotonic()
    for _ in range(runs):
        for path in mutant_paths(build, mutant):
            try:
                run = Run(path, mutant.caught_by, patience, lambda program: outlasts(build, mutant, program))
            except RealFails as failure:
                return Result(mutant, 'without a bug: %s' % failure, time.monotonic() - begin, False)
            if run.how:
                return Result(mutant, run.how, time.monotonic() - begin, not run.wrong)
    return Result(mutant, 'SURVIVED %d runs' % runs, time.monotonic() - begin, False)


def load(name, path):
    """Loads a Python file of another folder as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def try_twin(mutant):
    """Checks a twin. Without SPIN the twin counts as caught, and the result says that it was not run."""
    model, name = mutant.caught_by.model, mutant.caught_by.name
    begin = time.monotonic()
    if not shutil.which('spin'):
        return Result(mutant, 'not run: there is no spin', 0, True)
    models = load('models', os.path.join(HERE, '..', '..', 'tests', 'models', 'run.py'))
    for bounds, names in models.MODELS[model][1].items():
        if name in names.split():
            with tempfile.TemporaryDirectory(prefix='weft-mutant-') as folder:
                verdict, rejected, _ = models.check(model, bounds, name, False, shlex.split(os.environ.get('CC', 'cc')), folder)
            verdict = ('rejected: ' if rejected else 'SURVIVED: ') + verdict
            return Result(mutant, verdict, time.monotonic() - begin, rejected)
    return Result(mutant, 'there is no such twin', 0, False)


def print_table(results, file):
    width = max(len(r.mutant.name) for r in results)
    command = max(len(str(r.mutant.caught_by)) for r in results)
    print('%-*s  %-*s  %7s  %s' % (width, 'mutant', command, 'caught by', 'seconds', 'how'), file=file)
    for r in results:
        how = r.how if len(r.how) <= 90 else r.how[:87] + '...'
        print('%-*s  %-*s  %7.1f  %s%s' % (width, r.mutant.name, command, r.mutant.caught_by, r.seconds, how,
                                          '' if r.caught else '   <-- WRONG'), file=file)
    caught = sum(r.caught for r in results)
    print('%d mutants, %d caught, %d not' % (len(results), caught, len(results) - caught), file=file, flush=True)


def run_all(build, mutants, jobs, runs):
    """Returns the results in the mutants' order, or None if the real library fails."""
    commands = {}
    for m in mutants:
        if not isinstance(m.caught_by, Twin):
            commands[real_path(build, m), m.caught_by] = None
    with ThreadPoolExecutor(jobs) as pool:
        print('%d commands with the real library' % len(commands), flush=True)
        for key, run in zip(commands, pool.map(lambda key: Run(*key), commands)):
            commands[key] = run
            if run.how:
                print('%s: %s: without a bug, %s\n%s' % (*key, run.how, run.output[-4000:]), flush=True)
        if any(run.how for run in commands.values()):
            return None

        def seconds(m):
            return 0 if isinstance(m.caught_by, Twin) else commands[real_path(build, m), m.caught_by].seconds

        def one(m):
            if isinstance(m.caught_by, Twin):
                result = try_twin(m)
            else:
                result = try_mutant(build, m, commands[real_path(build, m), m.caught_by], runs)
            print('%s: %s, %.1f s' % (m.name, result.how, result.seconds), flush=True)
            return result
        # The longest begin first, so no processor idles at the end.
        in_order = sorted(mutants, key=lambda m: -seconds(m))
        results = dict(zip(in_order, pool.map(one, in_order)))
        return [results[m] for m in mutants]


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n')[0])
    parser.add_argument('--build', required=True, help='the build folder')
    parser.add_argument('--only', action='append', metavar='NAME', help='this mutant (may be given more than once)')
    parser.add_argument('--jobs', type=int, default=2 * len(os.sched_getaffinity(0)),
                        help='how many run at a time (default: two for each processor, because many only hang)')
    parser.add_argument('--runs', type=int, default=100, help='the number of passed runs after which a mutant has survived')
    parser.add_argument('--output', help='a file for the table')
    parser.add_argument('--list', action='store_true', help='lists the mutants')
    options = parser.parse_args()
    mutants = all_mutants()
    unknown = set(options.only or ()) - {m.name for m in mutants}
    if unknown:
        parser.error('no such mutant: ' + ', '.join(sorted(unknown)))
    mutants = [m for m in mutants if not options.only or m.name in options.only]
    if options.list:
        for m in mutants:
            print('%-26s %-28s %s' % (m.name, m.source, m.bug))
        return 0

    signal.signal(signal.SIGTERM, end_all)
    signal.signal(signal.SIGINT, end_all)
    results = run_all(options.build, mutants, options.jobs, options.runs)
    if results is None:
        return 1
    print_table(results, sys.stdout)
    if options.output:
        with open(options.output, 'w', encoding='utf-8') as file:
            print_table(results, file)
    return 0 if all(r.caught for r in results) else 1


if __name__ == '__main__':
    sys.exit(main())
