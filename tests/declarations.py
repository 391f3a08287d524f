#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks that a function is declared where a reader looks for it. declarations.py ROOT prints each breach as file:line and
exits with 1 if there is one.

  - A function weft__name() that a source of sched/core/ shares with other sources is declared in the header of the same
    name as that source, and in no other header.
  - A source of sched/core/ includes the header of each such function that it calls. An include by its own header
    suffices.
"""
import os
import re
import sys

CORE = 'sched/core/'
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
# A definition's body begins in a line of its own, and the definition of a shared function begins in the first column.
DEFINITION = re.compile(r'^(?!static\b)\w[^;{}=#]*?\b(weft__\w+)\([^;{}]*\)\n\{', re.MULTILINE)
BODY = re.compile(r'^\{.*?^\}', re.MULTILINE | re.DOTALL)
# A prototype says the return type: a word or a star comes before the name.
PROTOTYPE = re.compile(r'^\w[^;{}=#]*?[\w)][ *\n]+\b(weft__\w+)\([^;{}]*\)[^;{}]*;', re.MULTILINE)


def without_comments(text):
    return COMMENT_OR_STRING.sub(lambda match: re.sub(r'[^\n]', ' ', match.group(0)), text)


def read_all(root):
    """Path -> (text, text without comments and strings) for all sources of sched/."""
    found = {}
    for folder, _, names in os.walk(os.path.join(root, 'sched')):
        for name in names:
            if name.endswith(('.c', '.h')):
                path = os.path.join(folder, name)
                with open(path, encoding='utf-8') as file:
                    text = file.read()
                found[os.path.relpath(path, root).replace(os.sep, '/')] = (text, without_comments(text))
    return found


def line_of(text, at):
    return text.count('\n', 0, at) + 1


def includes(files, path):
    """The headers of sched/ that the file includes."""
    folder = os.path.dirname(path)
    for name in INCLUDE.findall(files[path][0]):
        for candidate in (os.path.normpath(os.path.join(folder, name)).replace(os.sep, '/'), name):
            if candidate in files:
                yield candidate
                break


def sees(files, path):
    """The headers that count as included by a source."""
    own = path[:-2] + '.h'
    direct = set(includes(files, path))
    return direct.union(includes(files, own)) if own in direct else direct


def check_headers(files, home):
    """Each prototype of a core's function is in the header of its source."""
    declared = set()
    for path in sorted(path for path in files if path.endswith('.h')):
        # A semicolon for the body of an inline function: what follows is another declaration.
        text = BODY.sub(lambda match: ';' + '\n' * match.group(0).count('\n'), files[path][1])
        for match in PROTOTYPE.finditer(text):
            name = match.group(1)
            if name not in home:
                continue
            declared.add(name)
            if home[name] != path:
                yield '%s:%d: %s() belongs into %s' % (path, line_of(text, match.start(1)), name, home[name])
    for name in sorted(set(home) - declared):
        yield '%s: %s() is declared in no header' % (home[name], name)


def check_calls(files, home, path):
    text = files[path][1]
    seen = sees(files, path)
    told = set()
    for match in re.finditer(r'\bweft__\w+', text):
        header = home.get(match.group(0))
        if header and header != path[:-2] + '.h' and header not in seen | told:
            told.add(header)
            yield '%s:%d: %s() needs an include of %s' % (path, line_of(text, match.start()), match.group(0), header)


def main():
    files = read_all(sys.argv[1] if len(sys.argv) > 1 else '.')
    home = {}
    for path, (_, text) in files.items():
        if path.startswith(CORE) and path.endswith('.c'):
            for match in DEFINITION.finditer(text):
                home[match.group(1)] = path[:-2] + '.h'
    breaches = list(check_headers(files, home))
    for path in sorted(path for path in files if path.startswith(CORE) and path.endswith('.c')):
        breaches += check_calls(files, home, path)
    for breach in breaches:
        print(breach)
    if not home:
        breaches.append('no functions')
    print('%d functions, %d breaches' % (len(home), len(breaches)))
    return 1 if breaches else 0


sys.exit(main())
