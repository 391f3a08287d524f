#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks in the sources that nothing which belongs to a thread lives over a call that may return on another thread.

    check_hops.py [--verbose] BUILD           a build folder of meson, of any compiler; needs gcc

Prints each breach as file:line and exits with 1 if there is one, with 2 if it could not look. What has to hold:

  - Who may hop says so. A function that calls one with the mark WEFT__MAY_HOP, or calls through a pointer, has that mark
    itself, or the mark WEFT__STAYS. A function with a mark needs it. The mark of a function that several files share
    stands in their header.
  - A hopping function that returns the worker on which its caller goes on is WEFT__MUST_USE as well.
  - A pointer to a worker or to a thread's state (BOUND), errno's address or pthread_self() is not used after a call that
    may hop, if it is from before that call. To copy it, to compare it and to overwrite it are no uses. The result of
    unhopped() is new.
  - A hopping function does not use errno or pthread_self() at all, because gcc takes them for constants.

The compiler's own mistakes are tools/check_tls.py's, which reads the machine code. Here gcc only translates the sources
into simple statements, before it inlines anything (gimple.py). So static and inlined functions are looked at as well. Each
function is checked by itself against the marks of those it calls.

tools/check_hops_broken.c has the mistakes that must be found. It is checked each time as well: in a function broken_* there
must be a breach, and in a function sound_* none.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

import gimple
import hop_marks

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLANTED = 'tools/check_hops_broken.c'

# Also the parts of a worker.
BOUND = re.compile(r'\bstruct (worker(_\w+)?|weft__thread|eh_globals|thread_scopes) \*$')
BOUND_FIELD = re.compile(r'(->|\.)errno_location$')
BOUND_RESULTS = {'__errno_location': 'errno', 'pthread_self': 'pthread_self()'}
# Returns its argument, and asserts that the caller has not hopped.
FRESH = 'unhopped'

NAME = re.compile(r'(?<![\w.])(?:[A-Za-z][\w.]*_\d+|_\d+)(?![\w.])')
MEMORY = re.compile(r'^[A-Za-z_]\w*(\.\w+)*$')  # a variable in memory, or a member of one
NEAR = [re.compile(p) for p in (
    r'^(?:\([^()]*(?:\([^()]*\)[^()]*)*\) )?([\w.]+)$',  # a copy or a cast
    r'^&([\w.]+)->[\w.\[\]]+$',  # the address of a member
    r'^([\w.]+) \+ \S+$')]
COMPARISON = re.compile(r'^(?:if \()?([\w.]+) (?:==|!=) ([\w.]+)\)?$')


def die(message):
    print('check_hops.py: ' + message, file=sys.stderr)
    sys.exit(2)


def dump(command):
    """The gcc dump of a source. command: (compiler, flags, folder, file)"""
    compiler, flags, folder, file = command
    try:
        return subprocess.run([compiler, *flags, '-w', '-O0', '-S', '-o', '/dev/null',
                               '-fdump-tree-ssa-lineno=/dev/stdout', file],
                              cwd=folder, check=True, text=True, stdout=subprocess.PIPE).stdout
    except OSError as error:
        die(str(error))
    except subprocess.CalledProcessError:
        die('%s: %s cannot compile it' % (file, compiler))


def commands(build):
    """How the library's sources, and the planted one, are compiled."""
    try:
        with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as file:
            entries = [e for e in json.load(file) if re.search(r'(^|/)libweft\.so', e['output'])]
    except OSError as error:
        die(str(error))
    for entry in entries:
        words = shlex.split(entry['command'])
        flags = [w for w in words if w.startswith(('-I', '-D', '-std='))]
        compiler = next((w for w in words if re.search(r'gcc(-\d+)?$', w)), 'gcc')
        if entry['file'].endswith('.c'):
            yield compiler, flags, entry['directory'], entry['file']
    if not entries:
        die(build + ': has no library')
    yield compiler, flags, entries[-1]['directory'], os.path.join(ROOT, PLANTED)


class Source:
    """A source with its headers, as gcc sees it."""

    def __init__(self, command, text):
        _, _, folder, file = command
        self.folder = folder
        self.file = self.relative(file)
        self.functions = [f for f in gimple.read(text) if f.blocks]
        for function in self.functions:
            function.file = self.relative(function.file or file)
        self.named = {f.name: f for f in self.functions}

    def relative(self, file):
        return os.path.relpath(os.path.join(self.folder, file), ROOT)


class Marks:
    def __init__(self, marks):
        self.all = marks
        self.headers = {m.name: m for m in marks if m.file.endswith('.h')}
        self.sources = {(m.file, m.name): m for m in marks if m.file.endswith('.c')}
        self.public = {m.name: m for m in marks if m.name.startswith('weft_')}

    def find(self, source, name):
        """The mark of the function that a name in a source means."""
        return self.headers.get(name) or self.sources.get((source.file, name)) or self.public.get(name)

    def may_hop(self, source, name):
        mark = self.find(source, name)
        if mark:
            return not mark.stays
        function = source.named.get(name)
        if function and function.file.startswith('include/'):
            # The inline functions of the public headers have no marks, and only pass on.
            return any(s.callee and self.may_hop(source, s.callee) for s in function.statements())
        return name in hop_marks.SWITCHES


class Checker:
    """Checks one function."""

    def __init__(self, marks, source, function):
        self.marks = marks
        self.source = source
        self.function = function
        self.mark = marks.find(source, function.name)
        self.stays = bool(self.mark and self.mark.stays)
        self.statements = list(function.statements())

    def hop(self, statement):
        """How the statement may hop, or None."""
        if statement.callee is None:
            return None
        if self.function.by_pointer(statement):
            return None if self.stays else 'a call through a pointer'
        return statement.callee + '()' if self.marks.may_hop(self.source, statement.callee) else None

    def breach(self, line, text):
        return self.function.file, line, '%s(): %s' % (self.function.name, text)

    def check_mark(self):
        hops = [(self.hop(s), s.line) for s in self.statements if self.hop(s)]
        pointers = any(self.function.by_pointer(s) for s in self.statements)
        name, mark = self.function.name, self.mark
        if self.function.file.startswith('include/'):
            return
        if hops and not mark:
            yield self.breach(hops[0][1], 'is not marked WEFT__MAY_HOP, but contains %s' % hops[0][0])
        if mark and not mark.stays and not hops and name not in hop_marks.SWITCHES:
            yield self.breach(self.function.line, 'is marked WEFT__MAY_HOP, but nothing that it calls may hop')
        if mark and mark.stays and not hops and not pointers:
            yield self.breach(self.function.line, 'is marked WEFT__STAYS, but nothing that it calls may hop')
        if mark and mark.file.endswith('.c') and name.startswith('weft__') and name not in self.marks.headers:
            yield self.breach(self.function.line, 'its mark belongs into its header')
        if mark and not mark.stays and mark.returns_worker and not mark.must_use:
            yield self.breach(self.function.line, 'returns the new worker, but is not WEFT__MUST_USE')
        if mark and not mark.stays:
            for statement in self.statements:
                if statement.callee in BOUND_RESULTS:
                    yield self.breach(statement.line, 'uses %s, and may hop' % BOUND_RESULTS[statement.callee])

    def near(self, statement):
        """The name whose value the statement copies, or whose address plus something, or None."""
        if statement.callee is not None or statement.target is None or not holds(statement.target):
            return None
        return next((m.group(1) for m in (p.match(statement.rest) for p in NEAR) if m), None)

    def bound(self):
        """The names whose values belong to a thread."""
        function = self.function
        names = set(function.types)
        for statement in self.statements:
            names.update(NAME.findall(statement.quiet))
        names.update(name for b in function.blocks for name, _ in b.phis)
        found = {n for n in names if any(BOUND.search(t) for t in function.types_of(n))}
        before = None
        while before != len(found):
            before = len(found)
            for s in self.statements:
                if s.target and (s.callee in BOUND_RESULTS or self.near(s) in found
                                 or (s.callee is None and BOUND_FIELD.search(s.rest))):
                    found.add(s.target)
            for block in function.blocks:
                found.update(name for name, values in block.phis if found.intersection(values.values()))
        # NULL is the same on every thread.
        return found - {s.target for s in self.statements
                        if s.callee is None and s.rest == '0B' and NAME.fullmatch(s.target)}

    def uses(self, statement):
        """The names whose values the statement uses, in ways in which a stale value must not be used."""
        if 'CLOBBER' in statement.quiet or statement.callee == FRESH:
            return set()
        text = statement.quiet if statement.rest is None else statement.rest
        found = COMPARISON.match(text)
        if found:
            return set()
        used = set(NAME.findall(text))
        if statement.target and not NAME.fullmatch(statement.target):
            used.update(NAME.findall(statement.target))
        used.discard(self.near(statement))
        return used

    def step(self, statement, stale, bound):
        """Notes in `stale` {name: (how it became stale, line)} what the statement does. Returns the stale uses."""
        uses = [(n, stale[n]) for n in sorted(self.uses(statement)) if n in stale]
        source = stale.get(self.near(statement))
        how = self.hop(statement)
        if how:
            stale.update({name: (how, statement.line) for name in bound})
        if statement.target:
            stale.pop(statement.target, None)
            if source:
                stale[statement.target] = source
        return uses

    def variable(self, name):
        """What the source calls a name, or else its type."""
        source = re.sub(r'(\.\d+)?_\d+$', '', name)
        types = self.function.types_of(name)
        return source or 'a ' + (types[0] if types else 'value').replace(' *', '')

    def check_stale(self):
        bound = self.bound()
        if not bound or not any(self.hop(s) for s in self.statements):
            return
        found = {}
        entries = {self.function.blocks[0]: {}}
        todo = [self.function.blocks[0]]
        while todo:
            block = todo.pop()
            stale = dict(entries[block])
            for statement in block.statements:
                for name, over in self.step(statement, stale, bound):
                    found.setdefault((self.variable(name), over), statement)
            for following in block.next:
                after = dict(stale)
                for name, values in following.phis:
                    after.pop(name, None)
                    if values.get(block.number) in stale:
                        after[name] = stale[values[block.number]]
                known = entries.get(following)
                if known is None or not after.keys() <= known.keys():
                    entries[following] = {**after, **(known or {})}
                    todo.append(following)
        for (name, (how, line)), statement in found.items():
            yield self.breach(statement.line, 'uses %s from before %s in line %d' % (name, how, line))


def holds(target):
    """Whether an assignment to this overwrites a whole variable."""
    return bool(NAME.fullmatch(target) or MEMORY.match(target))


def check(marks, sources):
    breaches = set()
    seen = set()
    files = {s.file for s in sources}
    for source in sources:
        for function in source.functions:
            checker = Checker(marks, source, function)
            breaches.update(checker.check_mark())
            breaches.update(checker.check_stale())
            seen.add(function.name)
    for mark in marks.all:
        read = mark.file.endswith('.h') or mark.file in files
        if read and mark.name not in seen and mark.name not in hop_marks.SWITCHES:
            breaches.add((mark.file, mark.line, '%s(): is marked, but was not found' % mark.name))
    return breaches


def check_planted(source, breaches):
    """Each planted mistake must be among the breaches."""
    found = {text.split('(')[0] for file, _, text in breaches if file == PLANTED}
    for function in source.functions:
        if function.name.startswith('broken_') and function.name not in found:
            yield PLANTED, function.line, '%s(): the mistake was not found' % function.name
    for file, line, text in breaches:
        if file == PLANTED and not text.startswith('broken_'):
            yield file, line, text


def main():
    parser = argparse.ArgumentParser(description='Checks that nothing of a thread is kept over a hop.')
    parser.add_argument('--verbose', action='store_true', help='list the planted breaches as well')
    parser.add_argument('build')
    args = parser.parse_args()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        todo = list(commands(args.build))
        sources = [Source(c, text) for c, text in zip(todo, pool.map(dump, todo))]
    marks = Marks(hop_marks.read(ROOT) + list(hop_marks.read_file(ROOT, PLANTED)))
    breaches = check(marks, sources)
    wrong = {b for b in breaches if b[0] != PLANTED} | set(check_planted(sources[-1], breaches))
    for file, line, text in sorted(breaches if args.verbose else wrong):
        print('%s:%d: %s' % (file, line, text))
    functions = {(f.file, f.name) for s in sources for f in s.functions}
    print('%d functions, %d of which may hop, %d breaches' % (
        len(functions), len({m.name + m.file for m in marks.all if not m.stays}), len(wrong)))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
