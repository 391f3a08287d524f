#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Looks for each public function among the tests of each kind:

  unit       tests/src, tests/sched, tests/process
  faults     the workloads of tests/faults, under which the n-th system call or allocation fails
  chaos      programs that run with WEFT_CHAOS: the stress programs, and the unit tests that are named
  arguments  tests/sched/sync/arguments.c, if the header documents -EINVAL or -E2BIG
  order      tests/tsan, if the header says what happens before what

A function that is in none of a kind must be in one of the lists below, with the reason. (docs/man/check.py holds the waiting
calls against the test of what they return.)

Usage: calls.py ROOT CHAOTIC_TEST...           checks
       calls.py --table ROOT CHAOTIC_TEST...   prints the table
"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
import interface  # noqa: E402

# The kinds, and for each the functions that are not in it, by the reason.
EXCEPT = {
    'unit': {},
    'faults': {
        'reads or sets a few words of memory': """
            weft_cancel_mask weft_cancel_unmask weft_chan_cap weft_chan_closed weft_chan_len weft_coro_inside weft_coro_self
            weft_event_reset weft_self weft_sem_value weft_task_name weft_task_number weft_timer_stop weft_version
            weft_version_string weft_worker_id weft_worker_stats weft_worker_stats_sized""",
    },
    'chaos': {
        'does not depend on the schedule': 'weft_version weft_version_string',
    },
    'arguments': {},
    'order': {},
}

# For these kinds a form of a call stands for the others: they differ in the deadline or the options.
BY_FORM = ('faults', 'order')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def called(paths, functions):
    """The public functions whose names are in code of these files. An inline function calls what it is made of."""
    names = set()
    for path in paths:
        names |= set(re.findall(r'\bweft_\w+', interface.COMMENT.sub('', read(path))))
    return {name for name in functions if name in names or (name.endswith('_sized') and name[:-6] in names)}


def plain(name):
    """The form without a deadline, without options, and that may wait."""
    return re.sub(r'(_with)?(_sized)?$|_until$', '', name.replace('_try_', '_'), count=1)


def comments(include):
    """Each function's comment. One comment may stand above several functions."""
    found = {}
    for path in glob.glob(os.path.join(include, 'weft', '*.h')):
        comment = ''
        for part in re.split(r'(/\*.*?\*/)', read(path), flags=re.S):
            if part.startswith('/*'):
                comment = ' '.join(part.replace('\n *', ' ').split())
                continue
            for name in re.findall(r'^(?:WEFT_\w+\s)+[^;{=()]*?\b(weft_\w+)\(', part, re.M):
                found[name] = comment
    return found


def documents(name, what, texts):
    """Whether the comment of the function, or that of the one that it refers to, has this."""
    text = texts[name]
    if re.search(what, text):
        return True
    other = re.match(r'/\* (?:As|The calls? behind) (weft_\w+)\(\)', text)
    return bool(other) and other[1] != name and documents(other[1], what, texts)


def sources(root, chaotic):
    """The files of each kind."""
    def files(*patterns):
        return [path for pattern in patterns for path in glob.glob(os.path.join(root, pattern), recursive=True)]

    unit = files('tests/src/**/*.[ch]', 'tests/sched/**/*.[ch]', 'tests/process/*')
    with_chaos = [os.path.join(root, 'tests', *name.split('-', 2)[:2], name.split('-', 2)[2].replace('-', '_') + '.c')
                  for name in chaotic]
    return {
        'unit': unit,
        'faults': files('tests/faults/workload*.c'),
        'chaos': files('stress/*.[ch]') + with_chaos + [path for path in unit if path.endswith('.h')],
        'arguments': files('tests/sched/sync/arguments.c'),
        'order': files('tests/tsan/**/*.[ch]') + files('tests/sched/sync/edges.c'),
    }


def main():
    table = sys.argv[1] == '--table'
    root, chaotic = sys.argv[1 + table], sys.argv[2 + table:]
    include = os.path.join(root, 'include')
    functions, texts = interface.functions(include), comments(include)
    wanted = {
        'arguments': {name for name in functions if documents(name, '-EINVAL|-E2BIG', texts)},
        'order': {name for name in functions if documents(name, 'happen(s|ed)? before', texts)},
    }
    seen = {kind: called(paths, functions) for kind, paths in sources(root, chaotic).items()}
    for kind in BY_FORM:
        forms = {plain(name) for name in seen[kind]}
        seen[kind] = {name for name in functions if plain(name) in forms}
    wrong = []
    for kind, reasons in EXCEPT.items():
        listed = {name for names in reasons.values() for name in names.split()}
        missing = (wanted.get(kind, set(functions))) - seen[kind]
        wrong += ['%s is in no test of the kind "%s"' % (name, kind) for name in sorted(missing - listed)]
        wrong += ['%s need not be excepted from the kind "%s"' % (name, kind) for name in sorted(listed - missing)]
    if table:
        print('%-34s %s' % ('', ' '.join(EXCEPT)))
        for name in sorted(functions):
            print('%-34s %s' % (name, ' '.join(
                ('yes' if name in seen[kind] else 'no' if name in wanted.get(kind, functions) else '-').ljust(len(kind))
                for kind in EXCEPT)))
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
