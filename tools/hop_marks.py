# SPDX-License-Identifier: MIT
"""
Reads the marks WEFT__MAY_HOP and WEFT__STAYS (src/base/compiler.h) from the declarations in src/ and sched/.
"""
import os
import re

FOLDERS = ('src', 'sched')
# The machine code of a switch. Nothing below these can be marked, and they have no source that could be read.
SWITCHES = ('weft__context_switch', 'weft__context_switch_alike', 'weft__context_switch_int', 'weft__context_enter',
            'weft__context_jump', 'weft__context_start')

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|^[ \t]*#(?:\\\n|[^\n])*', re.DOTALL | re.MULTILINE)
ATTRIBUTE = re.compile(r'__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)')
MARK = re.compile(r'\bWEFT__(?:MAY_HOP|STAYS)\b')
DECLARATION = re.compile(r'([\w\s*]*?)(\w+)\s*\(')


class Mark:
    def __init__(self, file, line, words, name):
        self.file, self.line, self.name = file, line, name
        self.stays = 'WEFT__STAYS' in words
        self.must_use = 'WEFT__MUST_USE' in words
        self.returns_worker = bool(re.search(r'\bstruct worker \*$', words))


def blank(match):
    return re.sub(r'[^\n]', ' ', match.group(0))


def read_file(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        text = ATTRIBUTE.sub(blank, NOISE.sub(blank, file.read()))
    for found in MARK.finditer(text):
        begin = max(text.rfind(c, 0, found.start()) for c in ';{}') + 1
        declaration = DECLARATION.match(text, begin)
        line = text.count('\n', 0, found.start()) + 1
        if not declaration or declaration.end() < found.end():
            raise SystemExit('%s:%d: the mark belongs to no declaration of a function' % (path, line))
        words = ' '.join(declaration.group(1).split()).replace('* ', '*')
        yield Mark(path, line, words, declaration.group(2))


def read(root):
    """All Marks. A function that is declared twice may have two."""
    marks = []
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(root, folder)):
            for name in sorted(names):
                if name.endswith(('.c', '.h')):
                    marks += read_file(root, os.path.relpath(os.path.join(where, name), root))
    return marks
