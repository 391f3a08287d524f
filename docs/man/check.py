#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Holds the manual pages against the headers: each public function stands in the synopsis of exactly one page, with the
header's prototype, and in that page's NAME (so that `man weft_join` finds it); no page has others. No page, no header's
comment, and neither README nor guide nor design names a function that does not exist. If there is a mandoc, it has nothing to
complain about either.

The table of weft-waits(7) says the same as the one in the test that tries each of its cells, and has a line for each call with
a deadline.

Usage: check.py INCLUDE_DIR TEST_OF_RETURNS PAGE...
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools'))
import interface  # noqa: E402

# What inline functions are made of; not for users.
HIDDEN = re.compile(r'_sized$')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def declared(include):
    """Function to prototype, of all headers."""
    return {name: function.prototype for name, function in interface.functions(include).items() if not HIDDEN.search(name)}


def stale(include, texts):
    """Names that a text uses and no header declares."""
    headers = [os.path.join(include, 'weft', name) for name in os.listdir(os.path.join(include, 'weft')) if name.endswith('.h')]
    known = {'weft_dep'}  # meson's
    for path in headers:
        known.update(re.findall(r'\bweft_\w+', interface.COMMENT.sub('', read(path))))
    for path in headers + texts:
        for name in sorted(set(re.findall(r'(?<![\w/.-])weft_[a-z0-9]\w*', read(path))) - known):
            if not name.startswith('weft_noun_'):  # stands for any
                yield '%s: there is no %s' % (path, name)


def documented(page):
    """Function to prototype, of a page's synopsis; and the names in its NAME."""
    functions, names = {}, set()
    section, result, parts = '', '', None
    for line in read(page).splitlines():
        words = shlex.split(line.replace("'", '')) if line.startswith('.') else ['']
        macro, rest = words[0], [w for w in words[1:] if w != ',']
        if macro == '.Sh':
            section = rest[0]
        elif macro == '.Nm' and section == 'NAME':
            names.update(rest)
        elif section != 'SYNOPSIS':
            continue
        elif macro == '.Ft':
            result = ' '.join(rest)
        elif macro == '.Fn':
            functions[rest[0]] = interface.normal('%s %s(%s)' % (result, rest[0], ','.join(rest[1:])))
        elif macro == '.Fo':
            parts = [rest[0]]
        elif macro == '.Fa' and parts:
            parts.append(rest[0])
        elif macro == '.Fc':
            functions[parts[0]] = interface.normal('%s %s(%s)' % (result, parts[0], ','.join(parts[1:])))
            parts = None
    return functions, names


def table_of_test(test):
    """Call to cells, of the rows of the test: {"weft_call", function, function or NULL, cell, ...}."""
    text = ' '.join(interface.COMMENT.sub('', read(test)).split())
    rows = re.findall(r'\{ ?"(weft_\w+)", \w+, \w+((?:, (?:"[^"]*"|NONE))+) ?\}', text)
    return {name: [c.strip('"').replace('NONE', '-') for c in cells.split(', ')[1:]] for name, cells in rows}


def table_of_page(page):
    """The same, of the page's column list."""
    rows = {}
    for line in read(page).splitlines():
        match = re.match(r'\.It Fn (weft_\w+) Ta (.*)', line)
        if match:
            rows[match[1]] = [re.sub(r'^Er ', '', cell) for cell in match[2].split(' Ta ')]
    return rows


def check_waits(headers, test, page):
    """What is wrong with the table of waiting calls."""
    tried, said = table_of_test(test), table_of_page(page)
    wrong = ['%s: %s\n  page: %s\n  test: %s' % (page, name, said.get(name), tried.get(name))
             for name in sorted(set(tried) | set(said)) if tried.get(name) != said.get(name)]
    wrong += ['%s: %s is in no line' % (page, name)
              for name in sorted(headers) if name.endswith('_until') and name not in said]
    return wrong + ['%s: %s is no function' % (page, name) for name in sorted(set(said) - set(headers))]


def main():
    include, test, pages = sys.argv[1], sys.argv[2], sys.argv[3:]
    headers, where, wrong = declared(include), {}, []
    for page in pages:
        functions, names = documented(page)
        for name, prototype in functions.items():
            if name in where:
                wrong.append('%s: %s is in %s already' % (page, name, where[name]))
            where[name] = page
            if headers.get(name) != prototype:
                wrong.append('%s: %s\n  page:   %s\n  header: %s' % (page, name, prototype, headers.get(name)))
        if functions and set(functions) != names:
            wrong.append('%s: NAME and SYNOPSIS differ: %s' % (page, ' '.join(sorted(names ^ set(functions)))))
    wrong += ['%s is in no page' % name for name in sorted(set(headers) - set(where))]
    for page in pages:
        if os.path.basename(page) == 'weft-waits.7':
            wrong += check_waits(headers, test, page)
    root = os.path.join(include, '..')
    texts = [os.path.join(root, name) for name in ('README.md', 'docs/guide.md', 'docs/architecture.md', 'docs/glossary.md',
                                                   'docs/decisions.md')]
    texts += sorted(glob.glob(os.path.join(root, 'docs', 'internals', '*.md')))
    wrong += stale(include, pages + texts)
    mandoc = shutil.which('mandoc')
    if mandoc:
        lint = subprocess.run([mandoc, '-Tlint', '-Wwarning'] + pages, capture_output=True, text=True)
        if lint.returncode != 0:
            wrong.append(lint.stdout + lint.stderr)
    for line in wrong:
        print(line)
    print('%d functions in %d pages%s' % (len(where), len(pages), '' if mandoc else '; no mandoc to check the markup'))
    return 1 if wrong or not headers else 0


sys.exit(main())
