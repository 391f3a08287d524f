#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks what documents and comments refer to. references.py ROOT prints each broken reference as file:line and exits with 1 if there
is one.

  - A file or folder that is named exists. Its name is a path from the root or from the folder of the page, or the end of a path.
  - A function that is named, such as weft__find(), stands in the code of some file, or is a function of the C library. If a file is
    named with it, as in "settle() in execute.c", "settle() (execute.c)" or "execute.c settle()", that file has it.
  - Every other name weft__... stands in the code of some file as well.
  - A test that a page runs exists: what stands behind "meson test -C build/..." and "models/run.py", and each stress program.
  - A link of a Markdown page leads to a file, and to a heading of that file if it names one.
  - A picture x.svg was drawn from x.dot as that is now: each has all words of the other.
  - No placeholder is left over: an address that belongs to nobody, or a note of something that is still to be done.

It looks at Markdown pages, manual pages and pictures, except for blocks of code, and at the comments of all other files. Pages that
tell the past may name what was there then.
"""
import ctypes
import html
import io
import os
import re
import sys
import tokenize

KINDS = {'.c': 'c', '.h': 'c', '.S': 'c', '.cpp': 'c', '.pml': 'c', '.go': 'c', '.rs': 'c', '.py': 'python', '.sh': 'hash',
         '.build': 'hash', '.ini': 'hash', '.md': 'text', '.dot': 'text', '.svg': 'text', '.1': 'text', '.3': 'text', '.7': 'text'}
PAST = ('docs/log/', 'docs/decisions.md', 'CHANGELOG.md')
# Quotes lines of the sources, also lines that are gone (stress/mutants/run.py checks them).
QUOTING = ('stress/mutants/',)
# Functions of other libraries than the C library, which nothing here calls.
ELSEWHERE = {'__tsan_java_init', 'Drain', 'spawn_local'}
# In a pattern for names these words stand for any name.
ANY = re.compile(r'(?:^|[_/-])(?:x|name|NAME|program)(?:[_.]|$)')
# What a command writes is there only afterwards.
WRITTEN = ('bench/results/',)

EXTENSIONS = 'c|h|S|cpp|pml|py|sh|md|build|ini|dot|svg|map|abi'
FILE = re.compile(r'(?<![\w./<*$}{-])(?:\.\./)*((?:[\w-]+/)*[\w-]+\.(?:%s))\b(?![./>*-])' % EXTENSIONS)
FOLDER = re.compile(r'(?<![\w./<*$}{-])((?:src|sched|tests|stress|bench|docs|examples|include|tools)/[\w/-]*)(?![\w.*<$-])')
FUNCTION = re.compile(r'(?<![\w.>$-])([A-Za-z_]\w+)\(\)')
OWN = re.compile(r'\b(weft__\w*[a-z0-9])\b(?![_*])')
IN_FILE = (re.compile(r'(?<![\w.>])([A-Za-z_]\w+)\(\)`?,? +(?:in +|\()`?((?:[\w-]+/)*[\w-]+\.[chS])\b'),
           re.compile(r'((?:[\w-]+/)*[\w-]+\.[chS]) +(\w+)\(\)'))
RUN = (re.compile(r'meson test -C build/\w+((?: +[a-z][\w-]*)+)'), re.compile(r'tests/models/run\.py((?: +[a-z]\w*)+)'),
       re.compile(r'(?<![\w.-])(stress-[a-z]+)\b'))
INCLUDE = re.compile(r'^\s*#\s*include\s*<([^>]+)>', re.M)
LINK = re.compile(r'\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)')
HEADING = re.compile(r'^#+ (.*)$', re.M)
PLACEHOLDER = re.compile(r'\bexample\.(?:org|com|net)\b|\b(?:T[O]DO|F[I]XME|T[B]D)\b')

C_COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
HASH_COMMENT = re.compile(r'(?<![\w$\'"{(\[\\])#[^\n]*')
CODE_BLOCK = re.compile(r'^```.*?^```$|^\.Bd .*?^\.Ed$', re.M | re.DOTALL)
LINE_BREAK = re.compile(r'\n[ \t]*(?:\*(?!/)|#)?[ \t]*')


def blank(text):
    return re.sub(r'[^\n]', ' ', text)


def python_comments(text):
    """The places of comments and of strings that are statements."""
    starts = [0]
    for line in text.splitlines(True):
        starts.append(starts[-1] + len(line))
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        place = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.COMMENT or \
           token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING):
            yield place
        if token.type not in (tokenize.COMMENT, tokenize.NL):
            before = token.type


def split(text, kind):
    """The text of comments and the code, each with the other one blanked out."""
    if kind == 'text':
        text = re.sub(r'\\[nlr]', '  ', text)  # a line break in a picture's label
        return CODE_BLOCK.sub(lambda match: blank(match.group(0)), text), ''
    if kind == 'python':
        places = list(python_comments(text))
    else:
        pattern = C_COMMENT if kind == 'c' else HASH_COMMENT
        places = [match.span() for match in pattern.finditer(text) if match.group(0)[0] not in '"\'']
    comments, code, end = [], [], 0
    for start, stop in places + [(len(text), len(text))]:
        comments += [blank(text[end:start]), text[start:stop]]
        code += [text[end:start], blank(text[start:stop])]
        end = stop
    return ''.join(comments), ''.join(code)


def slug(heading):
    heading = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


class Tree:
    def __init__(self, root):
        self.root, self.files, self.folders = root, [], set()
        self.prose, self.code, self.texts, included = {}, {}, {}, set()
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if f not in ('.git', 'build', '__pycache__', 'results', 'target'))
            self.folders.add(os.path.relpath(folder, root).replace(os.sep, '/'))
            for name in sorted(names):
                self.files.append(os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/'))
        for path in self.files:
            kind = 'hash' if path == 'dev' else KINDS.get(os.path.splitext(path)[1])
            if kind:
                with open(os.path.join(root, path), encoding='utf-8') as file:
                    self.texts[path] = file.read()
                self.prose[path], self.code[path] = split(self.texts[path], kind)
                included.update(INCLUDE.findall(self.code[path]))
        self.ends = {}
        for path in self.files:
            parts = path.split('/')
            for i in range(len(parts)):
                self.ends.setdefault('/'.join(parts[i:]), []).append(path)
        self.ends.update((name, []) for name in included if name not in self.ends)
        self.words = {path: set(re.findall(r'[A-Za-z_]\w+', code)) for path, code in self.code.items()}
        self.all_words = set().union(*(words for path, words in self.words.items() if not path.startswith(QUOTING)))
        self.headings = {path: {slug(h) for h in HEADING.findall(text)}
                         for path, text in self.prose.items() if path.endswith('.md')}
        self.library = ctypes.CDLL(None)
        # A unit test is named by its path, a stress program and a model by its file; the others are named in a meson.build.
        self.tests = {re.sub('[/_]', '-', os.path.splitext(path)[0].removeprefix('tests/')) for path in self.files
                      if path.startswith(('tests/', 'stress/'))}
        self.tests |= {os.path.basename(path)[:-len('.pml')] for path in self.files if path.endswith('.pml')}
        for path, code in self.code.items():
            if path.endswith('meson.build'):
                self.tests.update(re.findall(r"\btest\('([\w-]+)'[,)]", code))

    def exists(self, name, page):
        near = os.path.normpath(os.path.join(os.path.dirname(page), name))
        return name in self.ends or near in self.folders or os.path.isfile(os.path.join(self.root, near)) or \
            name.strip('/') in self.folders or name in WRITTEN

    def function_exists(self, name):
        return name in self.all_words or name in ELSEWHERE or hasattr(self.library, name)


def check_names(tree, page, text):
    for pattern, what in (FILE, 'file'), (FOLDER, 'file or folder'):
        for match in pattern.finditer(text):
            if not tree.exists(match.group(1), page) and not ANY.search(match.group(1)):
                yield match.start(), 'there is no %s %s' % (what, match.group(1))
    for match in FUNCTION.finditer(text):
        if not tree.function_exists(match.group(1)) and not ANY.search(match.group(1)):
            yield match.start(), 'there is no function %s()' % match.group(1)
    for match in OWN.finditer(text):
        if match.group(1) not in tree.all_words and text[match.end():match.end() + 2] != '()':
            yield match.start(), 'there is no %s' % match.group(1)
    for pattern in IN_FILE:
        for match in pattern.finditer(text):
            name, function = sorted(match.groups(), key=lambda group: '.' not in group)
            paths = tree.ends.get(name)
            if paths and not any(function in tree.words.get(path, ()) for path in paths):
                yield match.start(), '%s has no %s()' % (name, function)


def check_tests(tree, text):
    for pattern in RUN:
        for match in pattern.finditer(text):
            for name in match.group(1).split():
                if name not in tree.tests and name.removeprefix('model-') not in tree.tests:
                    yield match.start(), 'there is no test %s' % name


def check_links(tree, page, text):
    for match in LINK.finditer(text):
        target, anchor = match.groups()
        path = os.path.normpath(os.path.join(os.path.dirname(page), target)) if target else page
        if not os.path.exists(os.path.join(tree.root, path)):
            yield match.start(), 'the link to %s leads nowhere' % target
        elif anchor and anchor not in tree.headings.get(path, ()):
            yield match.start(), '%s has no heading #%s' % (path, anchor)


def check_picture(tree, page):
    drawn = re.findall(r'<text[^>]*>([^<]*)</text>', tree.texts[page])
    labels = re.findall(r'(?<!\w)label="((?:\\.|[^"\\])*)"', tree.texts[page[:-len('svg')] + 'dot'])
    lines = [line.strip() for label in labels for line in re.split(r'\\[nlr]', label)]
    for line in sorted(set(map(lambda text: html.unescape(text).replace('\xa0', ' ').strip(), drawn)) ^ set(filter(None, lines))):
        yield 0, 'draw it again: "%s"' % line


def check(tree, page):
    text = LINE_BREAK.sub(lambda match: ' ' * len(match.group(0)), tree.prose[page])
    if not page.startswith(PAST):
        yield from check_names(tree, page, text)
    if page.endswith('.md'):
        yield from check_links(tree, page, tree.prose[page])
        if not page.startswith(PAST):
            yield from check_tests(tree, tree.texts[page])
    if page.endswith('.svg') and page[:-len('svg')] + 'dot' in tree.texts:
        yield from check_picture(tree, page)
    for match in PLACEHOLDER.finditer(tree.texts[page]):
        yield match.start(), 'a placeholder is left over: %s' % match.group(0)


def main():
    tree = Tree(sys.argv[1] if len(sys.argv) > 1 else '.')
    wrong = 0
    for page, text in tree.texts.items():
        for at, what in check(tree, page):
            print('%s:%d: %s' % (page, text.count('\n', 0, at) + 1, what))
            wrong += 1
    print('%d files, %d broken references' % (len(tree.texts), wrong))
    return 1 if wrong or not tree.texts else 0


sys.exit(main())
