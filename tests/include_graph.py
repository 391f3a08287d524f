#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks the sources for circles with tools/include_graph.py, and that this tool finds each kind of circle where one is planted.
include_graph.py ROOT exits with 1 if not.
"""
import os
import subprocess
import sys
import tempfile

CLEAN = {
    'src/base/low.h': 'void weft__low(void);\nvoid weft__ask(void (*fn)(void));\n',
    'src/base/low.c': '#include "low.h"\nvoid weft__low(void)\n{\n\t/* weft__high() is above */\n}\n',
    'src/high.h': '#include "src/base/low.h"\nvoid weft__high(void);\n',
    'src/high.c': '#include "high.h"\nstatic void answer(void)\n{\n}\n\nvoid weft__high(void)\n{\n\tweft__low();\n\tweft__ask(answer);\n}\n',
    'sched/core/a.h': '#include "b.h"\n',
    'sched/core/b.h': '#include "a.h"\n',
}
# What is planted, and what the report must say.
PLANTED = (
    ('an include of a higher folder', {'src/base/low.c': '#include "src/high.h"\n'},
     ('a circle of folders', 'src/base/low.c includes src/high.h')),
    ('a call of a higher folder', {'src/base/low.c': 'void weft__high(void);\nvoid weft__low(void)\n{\n\tweft__high();\n}\n'},
     ('a circle of folders', 'src/base/low.c: weft__low() calls weft__high() of src/high')),
    ('headers that include each other', {'src/base/low.h': '#include "other.h"\n', 'src/base/other.h': '#include "low.h"\n'},
     ('a circle of files', 'src/base/low.h includes src/base/other.h')),
    ('files that call each other',
     {'src/other.c': '#include "high.h"\nvoid weft__other(void)\n{\n\tweft__high();\n}\n',
      'src/high.c': 'void weft__high(void)\n{\n\tweft__other();\n}\n'},
     ('a circle of files', 'src/high.c: weft__high() calls weft__other() of src/other')),
    ('a call through an inline function of a public header',
     {'include/weft/x.h': 'static inline void weft_x(void)\n{\n\tweft__high();\n}\n',
      'src/base/low.c': 'void weft__low(void)\n{\n\tweft_x();\n}\n'},
     ('a circle of folders', 'src/base/low.c: weft__low() calls weft__high() of src/high')),
)


def run(tool, root):
    return subprocess.run([sys.executable, tool, '--check', root], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300)


def run_on(tool, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write(text)
        return run(tool, root)


def main():
    root = sys.argv[1]
    tool = os.path.join(root, 'tools', 'include_graph.py')
    found = run(tool, root)
    print(found.stdout, end='')
    bad = found.returncode != 0

    found = run_on(tool, CLEAN)
    if found.returncode != 0:
        bad = True
        print('sources without a forbidden circle fail:\n' + found.stdout)
    for what, files, expected in PLANTED:
        found = run_on(tool, {**CLEAN, **files})
        if found.returncode != 1 or not all(line in found.stdout for line in expected):
            bad = True
            print('%s: not found, exit code %d:\n%s' % (what, found.returncode, found.stdout))
    return 1 if bad else 0


sys.exit(main())
