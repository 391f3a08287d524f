#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Compiles and runs the programs of docs/guide.md, and compares what they print with the page.

A ```c block with a main() is a program. If a ```text block follows it, that is what the program prints. A block that begins with
/* NAME.h */ is a header for the other blocks. A comment before a block says what is special about it:

  <!-- tests/guide.py: aborts -->  It ends by SIGABRT, and the text is what it says on stderr. Hexadecimal numbers may differ.
  <!-- tests/guide.py: races -->   ThreadSanitizer has to find a race. Without ThreadSanitizer the program just runs.

The tables "If you know ..." are compared with examples/patterns/. Each line names a program there. Each program is named in a
line, is built and run by examples/meson.build, says in its opening comment what it is in Go and tokio, and is short.

Every other link of the page leads to a file. Every name weft_... of the page, of the README and of the examples is in a header.

Usage: guide.py GUIDE INCLUDE_DIR LIBRARY SANITIZE COMPILER...
"""
import difflib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

# A pattern is read at a glance.
PATTERN_LINES = 80

FENCE = re.compile(r'(?:^<!-- tests/guide\.py: (\w+) -->\n)?^```(\w*)\n(.*?)^```$', re.M | re.S)


def blocks(guide):
    """The blocks with their line numbers: (line, mark, language, text)."""
    with open(guide, encoding='utf-8') as file:
        text = file.read()
    for match in FENCE.finditer(text):
        yield text.count('\n', 0, match.start(3)), match[1], match[2], match[3]


def programs(guide, work):
    """Writes the headers to the folder; yields the programs: (line, mark, code, expected or None)."""
    found = list(blocks(guide))
    for i, (line, mark, language, text) in enumerate(found):
        header = re.match(r'/\* (\w+\.h) \*/\n', text)
        if language != 'c':
            continue
        if header:
            with open(os.path.join(work, header[1]), 'w', encoding='utf-8') as file:
                file.write(text)
        elif re.search(r'^int main\(', text, re.M):
            after = found[i + 1] if i + 1 < len(found) else (0, None, '', '')
            yield line, mark, text, after[3] if after[2] == 'text' else None


def mask(text):
    """Without what differs from run to run: addresses, and the numbers that workers give to tasks."""
    return re.sub(r'\btask [0-9]+', 'task N', re.sub(r'0x[0-9a-f]+', '0x...', text))


def problem(mark, expected, sanitize, result):
    """What is wrong with how the program ended, or None."""
    if mark == 'races' and sanitize == 'thread':
        return None if 'WARNING: ThreadSanitizer: data race' in result.stderr else 'shows no race'
    if mark == 'aborts':
        # A wrapper, an emulator for instance, reports it as a shell does.
        if result.returncode not in (-signal.SIGABRT, 128 + signal.SIGABRT):
            return 'exit status %d instead of SIGABRT' % result.returncode
        printed = ''.join(l for l in result.stderr.splitlines(True) if l.startswith('weft: '))
    else:
        if result.returncode != 0:
            return 'exit status %d' % result.returncode
        printed = result.stdout
    if expected is not None and mask(printed) != mask(expected):
        return 'prints something else\n' + ''.join(
            difflib.unified_diff(expected.splitlines(True), printed.splitlines(True), 'guide', 'program'))
    return None


def without(text, names):
    """The names that do not stand in the text as words of their own."""
    return [name for name in names if not re.search(r"'%s'" % re.escape(name), text)]


def tables(guide):
    """What is wrong with the tables "If you know ..." and with the page's links: a list of lines."""
    with open(guide, encoding='utf-8') as file:
        text = file.read()
    here = os.path.dirname(os.path.abspath(guide))
    examples = os.path.join(here, '..', 'examples')
    programs = {f[:-2] for f in os.listdir(os.path.join(examples, 'patterns')) if f.endswith('.c')}
    wrong, named, rows = [], set(), 0
    for title, section in re.findall(r'^## (If you know \w+)\n(.*?)(?=^## |\Z)', text, re.M | re.S):
        # Without the heading and the line below it.
        for row in re.findall(r'^\|.*\|$', section, re.M)[2:]:
            links = re.findall(r'\[(\w+)\]\(\.\./examples/patterns/(\w+)\.c\)', row.split('|')[-2])
            rows += 1
            if not links or any(a != b for a, b in links):
                wrong.append('%s: this line names no pattern: %s' % (title, row))
            named.update(b for _, b in links)
    if rows == 0:
        wrong.append('there are no tables "If you know ..."')
    wrong += ['examples/patterns/%s.c does not exist' % name for name in sorted(named - programs)]
    wrong += ['examples/patterns/%s.c is in no table' % name for name in sorted(programs - named)]
    with open(os.path.join(examples, 'meson.build'), encoding='utf-8') as file:
        build = re.search(r'^pattern_names = \[(.*?)\]', file.read(), re.M | re.S)
    wrong += ['examples/meson.build does not run the pattern %s' % name
              for name in without(build[1] if build else '', sorted(programs))]
    for name in sorted(programs):
        with open(os.path.join(examples, 'patterns', name + '.c'), encoding='utf-8') as file:
            code = file.read()
        if code.count('\n') > PATTERN_LINES:
            wrong.append('examples/patterns/%s.c has more than %d lines' % (name, PATTERN_LINES))
        if not re.search(r'^ \* Go: +\S', code, re.M) or not re.search(r'^ \* tokio: +\S', code, re.M):
            wrong.append('examples/patterns/%s.c does not say what it is in Go and tokio' % name)
    wrong += ['the link %s leads nowhere' % link for link in re.findall(r'\]\((?!https?:|#)([^)#]+)', text)
              if not os.path.exists(os.path.join(here, link))]
    return wrong


def old_names(guide, include):
    """The names weft_... that no header has: a list of lines. weft__... and weft_dep are not for C programs."""
    name = re.compile(r'\b(?:weft_(?!_|dep\b)|WEFT_(?=FOREVER|SEND|RECV|TIMER))\w+\b')
    root = os.path.join(os.path.dirname(os.path.abspath(guide)), '..')
    headers = [os.path.join(include, 'weft', f) for f in os.listdir(os.path.join(include, 'weft')) if f.endswith('.h')]
    pages = [guide, os.path.join(root, 'README.md')]
    for folder in 'examples', 'examples/patterns':
        pages += [os.path.join(root, folder, f) for f in os.listdir(os.path.join(root, folder)) if f.endswith('.c')]
    known, wrong = set(), []
    for path in headers:
        with open(path, encoding='utf-8') as file:
            known.update(name.findall(file.read()))
    for path in pages:
        with open(path, encoding='utf-8') as file:
            wrong += ['%s names %s, which no header has' % (os.path.relpath(path, root), old)
                      for old in sorted(set(name.findall(file.read())) - known)]
    return wrong


def main():
    guide, include, library, sanitize = sys.argv[1:5]
    library = os.path.abspath(library)
    compiler = sys.argv[5:]
    wrapper = shlex.split(os.environ.get('MESON_EXE_WRAPPER', ''))
    flags = ['-std=c11', '-O1', '-g', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-I' + include]
    if sanitize != 'none':
        flags.append('-fsanitize=' + sanitize)
    environment = dict(os.environ, LC_ALL='C')
    ran, failed = 0, 0
    wrong_tables = tables(guide) + old_names(guide, include)
    for line in wrong_tables:
        print('%s: %s' % (guide, line))
    with tempfile.TemporaryDirectory() as work:
        for line, mark, code, expected in programs(guide, work):
            name = os.path.join(work, 'line-%d' % line)
            with open(name + '.c', 'w', encoding='utf-8') as file:
                file.write(code)
            command = compiler + flags + ['-I' + work, name + '.c', library, '-pthread',
                                          '-Wl,-rpath,' + os.path.dirname(library), '-o', name]
            result = subprocess.run(command, capture_output=True, text=True)
            wrong = 'does not compile' if result.returncode != 0 else None
            if not wrong:
                try:
                    # With one worker the race is there as well, and certain to be seen.
                    environment['WEFT_WORKERS'] = '1' if mark == 'races' else '4'
                    result = subprocess.run(wrapper + [name], capture_output=True, text=True, timeout=600,
                                            env=environment, cwd=work)
                    wrong = problem(mark, expected, sanitize, result)
                except subprocess.TimeoutExpired:
                    wrong = 'does not end'
            ran += 1
            if wrong:
                failed += 1
                print('%s:%d: the program %s\n%s%s' % (guide, line + 1, wrong, result.stdout, result.stderr))
    print('%d programs, %d failed' % (ran, failed))
    return 1 if failed or ran == 0 or wrong_tables else 0


sys.exit(main())
