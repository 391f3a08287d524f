#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Misuse that the types make a compile error, and failures that a caller ignores. Each case is a function's body that must not compile, beside a twin that must.

Usage: refused.py INCLUDE_DIR COMPILER...
"""
import os
import subprocess
import sys

PROGRAM = '#include <weft/weft.h>\nvoid *f(weft_task *task, weft_forked *forked, weft_fn *fn, void *arg);\n' \
          'void *f(weft_task *task, weft_forked *forked, weft_fn *fn, void *arg)\n' \
          '{\n\t(void)task; (void)forked; (void)fn; (void)arg;\n\t%s\n\treturn arg;\n}\n'

# what is refused, and the twin that is not
CASES = [
    ('if (weft_join(forked, &arg)) return 0;', 'return weft_fork_join(forked);'),
    ('return weft_fork_join(task);', 'if (weft_join(task, &arg)) return 0;'),
    ('weft_fork(task, fn, arg);', 'weft_fork(forked, fn, arg);'),
    ('weft_detach(forked);', 'weft_detach(task);'),
    ('weft_cancel(forked);', 'weft_cancel(task);'),
    ('weft_task t; (void)t;', 'weft_forked t; (void)t;'),
    ('weft_spawn(fn, arg, &task);', 'return weft_spawn(fn, arg, &task) < 0 ? NULL : task;'),
]


def compiles(compiler, include, language, body):
    command = compiler + ['-x', language, '-c', '-o', os.devnull, '-I' + include, '-']
    command.insert(-1, '-Werror=unused-result')
    if language == 'c':
        command.insert(-1, '-Werror=incompatible-pointer-types')
    return subprocess.run(command, input=PROGRAM % body, capture_output=True, text=True, timeout=60).returncode == 0


def main():
    include, compiler = sys.argv[1], sys.argv[2:]
    wrong = []
    # A compiler without C++ says nothing about it.
    languages = [x for x in ('c', 'c++') if compiles(compiler, include, x, '')]
    if 'c' not in languages:
        wrong.append('c: the empty program does not compile')
    for language in languages:
        for refused, accepted in CASES:
            if compiles(compiler, include, language, refused):
                wrong.append('%s: compiles: %s' % (language, refused))
            if not compiles(compiler, include, language, accepted):
                wrong.append('%s: does not compile: %s' % (language, accepted))
    for line in wrong:
        print(line)
    print('%d cases in %s' % (len(CASES), ' and '.join(languages)))
    return 1 if wrong else 0


sys.exit(main())
