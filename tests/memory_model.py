#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks docs/memory-model.md against the sources. memory_model.py ROOT prints what is wrong, and exits with 1 if anything is.

It knows the tables of the document by their heads. It checks these rules for the document:
  - A function that is named with a file (`rouse.c rouse()`, or `rouse()` behind another function of that file in the same cell)
    is in that file of src/ or sched/. The last part of the file's path is enough if it is unique.
  - In a table of pairs, each function of the column "release" has a release, and each of "acquire" an acquire. An ordering that
    another library has is marked (liburcu). Of the functions of each side of a race, at least one has a fence or a sequentially
    consistent operation.
  - Each row has a guard: a test (`tests/.../x.c test_name()`), a stress (`stress/x.c`), or a model with the broken twins that
    must be rejected (`x.pml TWIN`). The guard exists and is run, and a model names a function of its row.

It checks these rules for the functions of src/ and sched/:
  - A function with a release is in a column "release".
  - One with an acquire is in a column "acquire", or among the acquires that only order loads.
  - One with a fence or a sequentially consistent operation is among the races.
  - One with an acq_rel operation is in one of these columns.
So an ordering that nobody has paired fails here.
"""
import os
import re
import sys

DOCUMENT = 'docs/memory-model.md'

# What a column is, by its title.
COLUMNS = {'release': 'release', 'acquire': 'acquire', 'reads in order': 'loads', 'hot side': 'race', 'cold side': 'race',
           'guarded by': 'guard'}

# What a source can do, and the columns that account for it. The short names are those of src/base/atomic.h.
SHORT = r'\b(?:load|store|exchange|fetch_(?:add|sub|and|or)|cas|cas_weak)_'
ORDERINGS = {
    'release': (re.compile(SHORT + r'release(?:_else_acquire)?\('), {'release'}),
    'acquire': (re.compile(SHORT + r'(?:\w+_else_)?acquire\(|\bmemory_order_(acquire|consume)\b'), {'acquire', 'loads'}),
    'acq_rel': (re.compile(SHORT + r'acq_rel(?:_else_acquire)?\('), {'release', 'acquire'}),
    'seq_cst': (re.compile(SHORT + r'seq_cst\(|\bmemory_order_seq_cst\b'), {'race'}),
    'fence': (re.compile(r'\bweft__fence_(light|light_if|heavy|full)\s*\(|\batomic_thread_fence\s*\(memory_order_seq_cst'), {'race'}),
}
# Orderings are written by their short names, where the table above finds them.
SPELLED_OUT = re.compile(r'\batomic_(load|store|exchange|fetch_\w+|compare_exchange_\w+)_explicit\s*\(')
IMPLICIT = re.compile(r'\b(atomic_(load|store|exchange|fetch_\w+|compare_exchange_\w+?|flag_\w+)(?<!_explicit)\s*\(|'
                      r'__atomic_\w+\s*\(|__sync_\w+\s*\()')

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
ATTRIBUTE = re.compile(r'__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)')
SPAN = re.compile(r'`([^`]+)`( \(liburcu\))?')
NAMED = re.compile(r'^(?:([\w/.-]+\.[chS]) )?(\w+)\(\)$')


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


def code_of(text):
    """The text without comments, strings and preprocessor lines, its line numbers kept."""
    text = COMMENT_OR_STRING.sub(lambda match: re.sub(r'[^\n]', ' ', match.group(0)), text)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', lambda match: '\n' * match.group(0).count('\n'), text, flags=re.M)


def functions_of(text):
    """
    Function to body, and what is outside of all functions. The house style puts a function's braces into the first column, and
    nothing else's opening one; so what the preprocessor chooses in a body does not matter.
    """
    bodies, outside, head, name, body = {}, [], [], None, []
    for line in code_of(text).split('\n'):
        if name:
            body.append(line)
            if line.startswith('}'):
                bodies[name] = bodies.get(name, '') + '\n'.join(body)
                name, body = None, []
        elif line.startswith('{'):
            found = re.search(r'\b(\w+)\s*\(', ATTRIBUTE.sub(' ', ' '.join(head)))
            name, head = (found.group(1) if found else '?'), []
            if line.rstrip().endswith('}'):
                bodies[name], name = line, None
        else:
            outside.append(line)
            head.append(line)
            if re.search(r'[;}]\s*$', line) or not line.strip():
                head = []
    return bodies, '\n'.join(outside)


class Sources:
    """The functions of src/ and sched/, and what orderings each has."""

    def __init__(self, root):
        self.files = {}  # path to {function: set of orderings}
        self.wrong = []
        for top in ('src', 'sched'):
            for folder, _, names in os.walk(os.path.join(root, top)):
                for name in sorted(names):
                    if name.endswith(('.c', '.h')):
                        self.add(root, os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/'))

    def add(self, root, path):
        bodies, outside = functions_of(read(root, path))
        self.files[path] = {}
        for name, body in bodies.items():
            self.files[path][name] = {what for what, (pattern, _) in ORDERINGS.items() if pattern.search(body)}
            if IMPLICIT.search(body):
                self.wrong.append('%s: %s(): an atomic operation that does not say its order' % (path, name))
            if SPELLED_OUT.search(body):
                self.wrong.append('%s: %s(): an atomic operation without its short name of src/base/atomic.h' % (path, name))
        # Fences are declared there.
        if any(ORDERINGS[what][0].search(outside) for what in ORDERINGS if what != 'fence'):
            self.wrong.append('%s: an ordering outside of every function' % path)

    def paths(self, name):
        return [path for path in self.files if path == name or path.endswith('/' + name)]

    def find(self, name, function):
        """The path, or None, with why."""
        paths = self.paths(name)
        if len(paths) != 1:
            return None, 'there is no %s in src/ or sched/' % name if not paths else '%s is ambiguous' % name
        if function not in self.files[paths[0]]:
            return None, 'there is no function %s() in %s' % (function, paths[0])
        return paths[0], None


def tables(text):
    """Yields (line number, {title: cell}) of each row of a table that has a known column."""
    titles = None
    for number, line in enumerate(text.split('\n'), 1):
        if not line.startswith('|'):
            titles = None
            continue
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if titles is None:
            titles = cells
        elif not set(line) <= set('|-: ') and set(titles) & set(COLUMNS):
            yield number, dict(zip(titles, cells)), len(cells) == len(titles)


class Checker:
    def __init__(self, root):
        self.root, self.wrong = root, []
        self.sources = Sources(root)
        self.text = read(root, DOCUMENT)
        self.named = {}  # (path, function) to the columns that it is in
        self.rows = self.guards = 0

    def complain(self, number, text):
        self.wrong.append('%s:%d: %s' % (DOCUMENT, number, text))

    def functions_in(self, number, cell):
        """Yields (path, function, whether another library does it) of a cell."""
        name = None
        for span, elsewhere in SPAN.findall(cell):
            match = NAMED.match(span)
            if not match:
                continue
            name = match.group(1) or name
            if not name:
                self.complain(number, 'of which file is %s()?' % match.group(2))
                continue
            path, why = self.sources.find(name, match.group(2))
            if path:
                yield path, match.group(2), bool(elsewhere)
            else:
                self.complain(number, why)

    def check_side(self, number, title, cell):
        kind = COLUMNS[title]
        found = list(self.functions_in(number, cell))
        fits = False
        if not found:
            self.complain(number, 'the column "%s" names no function' % title)
        for path, function, elsewhere in found:
            self.named.setdefault((path, function), set()).add(kind)
            has = self.sources.files[path][function]
            right = elsewhere or any(kind in ORDERINGS[what][1] for what in has)
            fits = fits or right
            if kind != 'race' and not right:
                self.complain(number, '%s() in %s has no %s' % (function, path, 'acquire' if kind == 'loads' else kind))
        if kind == 'race' and found and not fits:
            self.complain(number, 'no function of the %s has a fence or a sequentially consistent operation' % title)
        return {function for _, function, _ in found}

    def check_run(self, number, path):
        """A file that nothing builds or runs guards nothing."""
        folder = os.path.dirname(path)
        while folder and not os.path.isfile(os.path.join(self.root, folder, 'meson.build')):
            folder = os.path.dirname(folder)
        stem = os.path.splitext(os.path.basename(path))[0]
        if not re.search(r'\b%s\b' % re.escape(stem), read(self.root, os.path.join(folder, 'meson.build'))):
            self.complain(number, '%s/meson.build does not mention %s' % (folder, path))

    def check_model(self, number, name, twins, functions):
        path = 'tests/models/' + name
        if not os.path.isfile(os.path.join(self.root, path)):
            self.complain(number, 'there is no %s' % path)
            return
        text = read(self.root, path)
        for twin in twins:
            if not re.search(r'\bBROKEN_%s\b' % twin, text):
                self.complain(number, '%s has no broken twin %s' % (path, twin))
        if not any(re.search(r'\b%s\(\)' % function, text) for function in functions):
            self.complain(number, '%s mirrors none of this row\'s functions' % path)
        if not re.search(r"^\s+'%s':" % name[:-len('.pml')], read(self.root, 'tests/models/run.py'), re.M):
            self.complain(number, 'tests/models/run.py does not run %s' % name)

    def check_guards(self, number, cell, functions):
        path, count = None, 0
        for span, _ in SPAN.findall(cell):
            words = span.split()
            if words[0].endswith('.pml'):
                self.check_model(number, words[0], words[1:], functions)
                path = None
                count += 1
                continue
            match = re.match(r'^(?:((?:tests|stress)/\S+))?(?: ?(\w+)\(\))?$', span)
            if not match or not (match.group(1) or match.group(2)):
                self.complain(number, 'what is the guard `%s`?' % span)
                continue
            path = match.group(1) or path
            count += 1
            if not path or not os.path.isfile(os.path.join(self.root, path)):
                self.complain(number, 'there is no %s' % (path or 'file for ' + span))
                continue
            if match.group(1):
                self.check_run(number, path)
            if match.group(2) and not re.search(r'\b%s\(' % match.group(2), read(self.root, path)):
                self.complain(number, 'there is no %s() in %s' % (match.group(2), path))
        self.guards += count
        if count == 0:
            self.complain(number, 'nothing guards this')

    def check_document(self):
        for number, row, whole in tables(self.text):
            self.rows += 1
            if not whole:
                self.complain(number, 'a row with another number of cells than its head')
                continue
            functions = set()
            for title, cell in row.items():
                if COLUMNS.get(title, 'guard') != 'guard':
                    functions |= self.check_side(number, title, cell)
            if 'guarded by' in row:
                self.check_guards(number, row['guarded by'], functions)
            elif 'reads in order' not in row:
                self.complain(number, 'a table without a column "guarded by"')
        for number, line in enumerate(self.text.split('\n'), 1):
            if not line.startswith('|'):
                for span, _ in SPAN.findall(line):
                    match = NAMED.match(span)
                    if match and match.group(1) and not match.group(1).startswith(('tests/', 'stress/')):
                        _, why = self.sources.find(match.group(1), match.group(2))
                        if why:
                            self.complain(number, why)

    def check_sources(self):
        checked = 0
        for path, functions in self.sources.files.items():
            for function, orderings in functions.items():
                checked += bool(orderings)
                for what in sorted(orderings):
                    wanted = ORDERINGS[what][1]
                    if not wanted & self.named.get((path, function), set()):
                        self.wrong.append('%s: %s() has %s, and is in no column of the kind %s of %s' % (
                            path, function, 'a fence' if what == 'fence' else what, ' or '.join(sorted(wanted)), DOCUMENT))
        return checked


def main():
    checker = Checker(sys.argv[1] if len(sys.argv) > 1 else '.')
    checker.check_document()
    ordered = checker.check_sources()
    wrong = checker.sources.wrong + checker.wrong
    for line in wrong:
        print(line)
    if not checker.rows or not ordered:
        wrong.append('nothing to check')
        print('no table in the document, or no ordering in the sources')
    print('%d functions with orderings, %d rows, %d guards, %d wrong' % (ordered, checker.rows, checker.guards, len(wrong)))
    return 1 if wrong else 0


sys.exit(main())
