#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Holds the manual pages against the headers: each public function stands in the synopsis of exactly one page, with the
header's prototype, and in that page's NAME (so that `man weft_join` finds it); no page has others. If there is a mandoc, it
has nothing to complain about either.

Usage: check.py INCLUDE_DIR PAGE...
"""
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


def main():
    include, pages = sys.argv[1], sys.argv[2:]
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
