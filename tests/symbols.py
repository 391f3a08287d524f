#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Looks at the names that the libraries define: a program that has a function of such a name would not link, or call ours.

usage: symbols.py NM LIBRARY...

A static library defines what begins with weft_, which includes what our files share, weft__. A shared one exports what
begins with weft_ and not with weft__, and the name of its version. Both refer to at least one function, so that an nm which
understands nothing of the file (link-time optimization without its plugin) fails here.
"""
import re
import subprocess
import sys

STATIC = re.compile(r'weft_')
SHARED = re.compile(r'weft_(?!_)|WEFT_')
# The compiler's own, with instrumentation: weak, or of one file each.
COMPILERS = re.compile(r'__(asan|tsan|ubsan|odr_asan|gcov|llvm|start_|stop_|sanitizer|x86\.|covrec|gcda)|_ITM_|DW\.ref\.|'
                       r'__gnu_lto|\.')


def defined(nm, library):
    dynamic = ['--dynamic'] if '.so' in library else []
    output = subprocess.run([nm, '--defined-only', '--extern-only', *dynamic, library], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return [line.split()[2].partition('@')[0] for line in output.splitlines() if len(line.split()) == 3]


def main():
    nm, libraries, wrong = sys.argv[1], sys.argv[2:], []
    for library in libraries:
        names = defined(nm, library)
        allowed = SHARED if '.so' in library else STATIC
        if 'weft_run' not in names:
            wrong.append('%s: no weft_run' % library)
        wrong += ['%s: %s' % (library, name) for name in names
                  if not allowed.match(name) and not COMPILERS.match(name)]
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == '__main__':
    sys.exit(main())
