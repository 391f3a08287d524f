#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The table's interface for meson.build.

  mutate.py --list ...         prints a line for each mutant that replaces a text: name|source|includers|program. The
                               program is empty if a model's twin stands for the mutant.
  mutate.py NAME SOURCE OUT    writes the source with the bug
"""
import sys

sys.dont_write_bytecode = True  # do not write to the source folder
from table import Command, all_mutants


def main():
    mutants = [mutant for mutant in all_mutants() if not mutant.programs]
    if sys.argv[1] == '--list':
        for m in mutants:
            program = m.caught_by.program if isinstance(m.caught_by, Command) else ''
            print('|'.join([m.name, m.source, ' '.join(m.includers), program]))
        return 0
    name, source, out = sys.argv[1:]
    mutant = next(m for m in mutants if m.name == name)
    with open(source, encoding='utf-8') as file:
        text = file.read()
    try:
        text = mutant.apply(text)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    with open(out, 'w', encoding='utf-8') as file:
        file.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
