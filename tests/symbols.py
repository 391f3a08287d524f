#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Looks at the names that the libraries define. If a library defined a name that a program uses as well, the program would not
link, or would call the library's function.

usage: symbols.py NM INCLUDE_DIR LIBRARY...

A static library defines every function of the public headers, inline ones too. Its other names begin with weft__. A shared
library exports every function of the public headers and the name of its version, and nothing else. If tools/interface.py
overlooks a function in the headers, that function counts as one too many here.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools'))
import interface  # noqa: E402

STATIC = re.compile(r'weft__')
SHARED = re.compile(r'WEFT_')
# The compiler's own, with instrumentation: weak, or of one file each.
COMPILERS = re.compile(r'__(asan|tsan|ubsan|odr_asan|gcov|llvm|start_|stop_|sanitizer|x86\.|covrec|gcda)|_ITM_|DW\.ref\.|'
                       r'__gnu_lto|\.')


def defined(nm, library):
    dynamic = ['--dynamic'] if '.so' in library else []
    output = subprocess.run([nm, '--defined-only', '--extern-only', *dynamic, library], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return [line.split()[2].partition('@')[0] for line in output.splitlines() if len(line.split()) == 3]


def main():
    nm, include, libraries, wrong = sys.argv[1], sys.argv[2], sys.argv[3:], []
    public = set(interface.functions(include))
    for library in libraries:
        names = defined(nm, library)
        others = SHARED if '.so' in library else STATIC
        wrong += ['%s: no %s' % (library, name) for name in sorted(public - set(names))]
        wrong += ['%s: %s' % (library, name) for name in names
                  if name not in public and not others.match(name) and not COMPILERS.match(name)]
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
