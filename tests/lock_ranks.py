#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Compares the tables of locks in docs/architecture.md with src/base/lock_ranks.h. lock_ranks.py ROOT prints each difference and
exits with 1 if there is one.

  - Each rank has one row, in the order of the ranks. The first column names the lock.
  - The column "protects" has the header's text.
  - The column "may be taken inside it" names the locks of the ranks that may come next, and the lock itself if several may be
    held. Text in parentheses may name any lock.
  - The column "also allowed" says "memory" and "wakes" as the header does.
"""
import os
import re
import sys

HEADER = 'src/base/lock_ranks.h'
DOCUMENT = 'docs/architecture.md'
TITLES = ['lock', 'protects', 'may be taken inside it', 'also allowed']
ALLOWED = {'MAPS': 'memory', 'WAKES': 'wakes'}

ENTRY = re.compile(r'\bRANK\((\w+), "([^"]+)", ([^,"]+), ([^,"]+), ([^,"]+), "([^"]+)"\)')
RANK = re.compile(r'\bIN\((\w+)\)')
SPAN = re.compile(r'`([^`]+)`')


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


def ranks(text):
    """Yields the expected row of each rank: name of the lock, and the four cells' content."""
    entries = ENTRY.findall(re.sub(r'\s*\\\n\s*', ' ', text).replace(' " "', ' '))
    lock_of = {entry[0]: entry[1] for entry in entries}
    for _, lock, following, again, may, protects in entries:
        inside = {lock_of.get(rank, rank) for rank in RANK.findall(following)}
        if again != 'NEVER':
            inside.add(lock)
        yield lock, protects, inside, {ALLOWED.get(word, word) for word in may.replace('|', ' ').split() if word != '0'}


def rows(text):
    """Yields line number and cells of each row of the tables of locks."""
    titles = None
    for number, line in enumerate(text.split('\n'), 1):
        if not line.startswith('|'):
            titles = None
            continue
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if titles is None:
            titles = cells
        elif titles == TITLES and not set(line) <= set('|-: '):
            yield number, cells


def compare(header, document):
    expected, found = list(ranks(header)), list(rows(document))
    known = {lock for lock, _, _, _ in expected}
    if not expected:
        yield '%s: no ranks' % HEADER
    if len(found) != len(expected):
        yield '%s: %d locks; %s has %d' % (DOCUMENT, len(found), HEADER, len(expected))
    for (number, cells), (lock, protects, inside, allowed) in zip(found, expected):
        if len(cells) != len(TITLES):
            yield '%s:%d: not %d cells' % (DOCUMENT, number, len(TITLES))
            continue
        named = set(SPAN.findall(re.sub(r'\((?:[^()]|\(\))+\)', '', cells[2]))) & known
        if lock not in SPAN.findall(cells[0]):
            yield '%s:%d: the lock here is `%s`' % (DOCUMENT, number, lock)
        if cells[1] != protects:
            yield '%s:%d: `%s` protects: %s' % (DOCUMENT, number, lock, protects)
        if named != inside:
            yield '%s:%d: inside `%s` may be taken: %s' % (DOCUMENT, number, lock, ', '.join(sorted(inside)) or 'nothing')
        if set(re.findall(r'\w+', cells[3])) != (allowed or {'nothing'}):
            yield '%s:%d: `%s` also allows: %s' % (DOCUMENT, number, lock, ', '.join(sorted(allowed)) or 'nothing')


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    header, document = read(root, HEADER), read(root, DOCUMENT)
    wrong = list(compare(header, document))
    for line in wrong:
        print(line)
    print('%d ranks, %d differences' % (len(list(ranks(header))), len(wrong)))
    return 1 if wrong else 0


sys.exit(main())
