# SPDX-License-Identifier: MIT
"""
Reads the functions of a C source as gcc sees them before it inlines anything: the dump -fdump-tree-ssa-lineno.

There each function of the source, also of an included header, is a graph of basic blocks. Each statement does one thing.
A variable has one name for each of its assignments (w_5, w_9), unless its address is taken.
"""
import re

FUNCTION = re.compile(r'^;; Function (\S+) \(')
BLOCK = re.compile(r'^  <bb (\d+)> ')
PLACE = re.compile(r'\[([^][ ]+):(\d+):\d+(?: discrim \d+)?\] ')
GOTO = re.compile(r'goto <bb (\d+)>;')
LABEL = re.compile(r'^(<L\d+>|\w+):$')
CASE = re.compile(r'(?:default|case [^:]*): (<L\d+>|\w+)')
PHI = re.compile(r'^# (\S+) = PHI <(.*)>$')
PHI_ARGUMENT = re.compile(r'(\S+?)\((\d+)\)(?:, |$)')
CALL = re.compile(r'^(?:(\S.*?) = )?([\w.]+)(?:\(D\))? \((.*)\)(?: \[[^]]*\])*;$')
ASSIGNMENT = re.compile(r'^(\S.*?) (?:={v} |= )(.*);$')
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
NAME = re.compile(r'[A-Za-z_][\w.]*')
DECLARATION = re.compile(r'^  (\S.*?)\b([A-Za-z_][\w.]*)((?:\[[^]]*\])*);$')


class Statement:
    """`text` without places and without the (D) of names. `target` = `callee` (`rest`), or `target` = `rest`."""

    def __init__(self, text):
        place = PLACE.search(text)
        self.file, self.line = (place.group(1), int(place.group(2))) if place else (None, 0)
        self.text = PLACE.sub('', text).replace('(D)', '').strip()
        self.target = self.callee = self.rest = None
        quiet = STRING.sub('""', self.text)
        self.quiet = quiet
        found = CALL.match(quiet)
        if found and not quiet.startswith(('if ', 'switch ', '__asm__')):
            self.target, self.callee, self.rest = found.groups()
        else:
            found = ASSIGNMENT.match(quiet)
            if found and not quiet.startswith('__asm__'):
                self.target, self.rest = found.groups()


class Block:
    def __init__(self, number):
        self.number = number
        self.phis = []  # (name, {number of the block before: value})
        self.statements = []
        self.labels = []
        self.next = []  # Blocks


class Function:
    def __init__(self, name):
        self.name = name
        self.file, self.line = None, 0
        self.types = {}  # variable -> its types; several if variables of inner scopes have one name
        self.blocks = []

    def statements(self):
        return (s for b in self.blocks for s in b.statements)

    def is_variable(self, name):
        return name in self.types or re.sub(r'_\d+$', '', name) in self.types

    def types_of(self, name):
        return self.types.get(name) or self.types.get(re.sub(r'_\d+$', '', name), ())

    def by_pointer(self, statement):
        """Whether the statement is a call through a pointer."""
        return statement.callee is not None and self.is_variable(statement.callee)


def split(text):
    """Splits at the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in '([{<') - (c in ')]}>')
        if c == ',' and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [p for p in parts + [text[start:].strip()] if p]


def declare(function, text):
    """Notes the variable that a declaration or a parameter declares."""
    pointer = re.match(r'^(.*\(\*)<\w+>(\).*) ([\w.]+)$', text)
    if pointer:
        function.types.setdefault(pointer.group(3), []).append(pointer.group(1) + pointer.group(2))
        return
    found = re.match(r'^(.*?)([A-Za-z_][\w.]*)((?:\[[^]]*\])*)$', text)
    if found and found.group(1).strip():
        function.types.setdefault(found.group(2), []).append(found.group(1).strip() + found.group(3))


def unfinished(line):
    """Whether a statement goes on in the next line: the text of an assembly statement may have several lines."""
    return '__asm__' in line and (STRING.sub('', line).count('"') % 2 == 1 or not line.endswith(';'))


def lines_of(text):
    pending = ''
    for line in text.split('\n'):
        line = pending + line
        pending = line + ' ' if unfinished(line) else ''
        if not pending:
            yield line


def connect(function, jumps):
    numbered = {b.number: b for b in function.blocks}
    labelled = {label: b for b in function.blocks for label in b.labels}
    for block, following in zip(function.blocks, function.blocks[1:] + [None]):
        gotos, cases, falls = jumps[block.number]
        block.next = [numbered[n] for n in gotos] + [labelled[label] for label in cases]
        if falls and following:
            block.next.append(following)


def read(text):
    """All Functions of a dump."""
    functions = []
    function = block = None
    jumps = {}
    for line in lines_of(text):
        found = FUNCTION.match(line)
        if found:
            function, block, jumps = Function(found.group(1)), None, {}
            functions.append(function)
            continue
        if function is None:
            continue
        if line == '}':
            connect(function, jumps)
            function = None
            continue
        found = BLOCK.match(line)
        if found:
            block = Block(int(found.group(1)))
            function.blocks.append(block)
            jumps[block.number] = ([], [], True)
            continue
        if block is None:
            if line.startswith('  '):
                declare(function, line.strip().rstrip(';'))
            elif re.search(r'\b%s \(.*\)$' % re.escape(function.name), line):
                for parameter in split(line[line.index(function.name + ' (') + len(function.name) + 2:-1]):
                    declare(function, parameter)
            continue
        read_line(function, block, line, jumps)
    return functions


def read_line(function, block, line, jumps):
    gotos, cases, falls = jumps[block.number]
    bare = PLACE.sub('', line).strip()
    if not bare or bare.startswith(('//', ';;', 'else')):
        return
    found = GOTO.search(bare)
    if found:
        gotos.append(int(found.group(1)))
        jumps[block.number] = (gotos, cases, False)
        return
    found = LABEL.match(re.sub(r' \[.*\]$', '', bare))
    if found:
        block.labels.append(found.group(1))
        return
    found = PHI.match(bare)
    if found:
        arguments = PHI_ARGUMENT.findall(found.group(2).replace('(D)', ''))
        block.phis.append((found.group(1), {int(n): value for value, n in arguments}))
        return
    statement = Statement(line)
    # The return of a value that was computed before has no place of its own.
    if not statement.line and block.statements:
        statement.line = block.statements[-1].line
    elif not statement.line and len(function.blocks) > 1 and function.blocks[-2].statements:
        statement.line = function.blocks[-2].statements[-1].line
    block.statements.append(statement)
    if function.file is None and statement.file:
        function.file, function.line = statement.file, statement.line
    if bare.startswith('switch '):
        cases += CASE.findall(bare[bare.index('<'):])
        jumps[block.number] = (gotos, cases, False)
    elif bare.startswith('return'):
        jumps[block.number] = (gotos, cases, False)
