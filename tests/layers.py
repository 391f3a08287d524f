#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks which file may use which. layers.py ROOT prints each breach as file:line, and exits with 1 if there is one.

  - A file includes only files of its own layer and of lower ones (LAYERS, lowest first; docs/architecture.md).
  - A public header includes only public headers, and those of C and POSIX.
  - Thread-local variables are declared in src/tls.c and sched/core/tls.c only. If another file kept the address of one over a
    switch, it would use another thread's variable.
  - A lock with static storage is one of those in src/base/process_locks.h, where the handlers of fork() find it.
  - Memory comes from src/base/alloc.c, which keeps errno, because errno belongs to the task. (src/base/cpus.c works at the start
    of a runtime, and keeps errno as a whole.)
  - Only sched/queue/urcu.c includes liburcu, so that ThreadSanitizer's view of liburcu is arranged in one place.
"""
import os
import re
import sys

# A file belongs to the first folder that its name begins with.
LAYERS = ('src/base/', 'src/stack/', 'src/', 'sched/queue/', 'sched/core/', 'sched/sync/', 'sched/blocking/', 'sched/io/', 'sched/')
THREAD_LOCAL_FILES = ('src/tls.c', 'sched/core/tls.c')
# The second has a spin lock of its own, which those handlers take as well.
STATIC_LOCK_FILES = ('src/base/process_locks.c', 'src/base/sanitizer.c')
ALLOCATING_FILES = ('src/base/alloc.c', 'src/base/cpus.c')
URCU_FILES = ('sched/queue/urcu.c',)

# Of POSIX, with types that public calls have, and no functions that a program may want to name otherwise.
POSIX_HEADERS = ('sys/types.h',)

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
THREAD_LOCAL = re.compile(r'\b(_Thread_local|__thread|thread_local)\b')
STATIC_LOCK = re.compile(r'\bstatic\b[^;(]*\bstruct weft__lock\b|^struct weft__lock\s+\w+\s*[=;\[]'
                         r'|\bATOMIC_FLAG_INIT\b|\bPTHREAD_(MUTEX|RWLOCK|COND)_INITIALIZER\b')
ALLOCATION = re.compile(r'(?<![\w.>])(malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup|asprintf)\s*\(')
URCU = re.compile(r'^(urcu\.h$|urcu/|urcu-|lttng/)')
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def layer_of(path):
    return next((number for number, folder in enumerate(LAYERS) if path.startswith(folder)), None)


def without_comments(text):
    """The text with comments blanked out, line numbers kept."""

    def blank(match):
        kept = match.group(0)
        return kept if kept[0] in '"\'' else re.sub(r'[^\n]', ' ', kept)

    return COMMENT_OR_STRING.sub(blank, text)


def resolve(root, path, name):
    """Where in the repository an include of `name` in `path` leads, or None if it leads out of it."""
    for candidate in (os.path.join(os.path.dirname(path), name), name, os.path.join('include', name)):
        candidate = os.path.normpath(candidate)
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate.replace(os.sep, '/')
    return None


def check_include(root, path, quoted, name):
    target = resolve(root, path, name) if quoted or name.startswith('weft/') else None
    layer = layer_of(path)

    if URCU.match(name) and target is None and path not in URCU_FILES:
        return 'only %s may include liburcu' % ', '.join(URCU_FILES)
    if path.startswith('include/'):
        if quoted or target is None and '/' in name and name not in POSIX_HEADERS:
            return 'a public header includes public headers only, as <weft/...>'
        return None
    if quoted and target is None:
        return 'there is no such file'
    if target is None or target.startswith('include/'):
        return None
    target_layer = layer_of(target)
    if target_layer is None:
        return 'it belongs to no layer'
    if target_layer > layer:
        return 'it is of a higher layer'
    return None


def check_file(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        text = without_comments(file.read())
    for number, line in enumerate(text.split('\n'), 1):
        include = INCLUDE.match(line)
        if include:
            breach = check_include(root, path, include.group(1) == '"', include.group(2))
            if breach:
                yield '%s:%d: %s: %s' % (path, number, include.group(2), breach)
        elif THREAD_LOCAL.search(line) and path not in THREAD_LOCAL_FILES:
            yield '%s:%d: thread-local variables are declared in %s only' % (
                path, number, ' and '.join(THREAD_LOCAL_FILES))
        elif STATIC_LOCK.search(line) and path not in STATIC_LOCK_FILES:
            yield '%s:%d: a lock of the process belongs into src/base/process_locks.h' % (path, number)
        elif ALLOCATION.search(line) and path not in ALLOCATING_FILES:
            yield '%s:%d: memory comes from src/base/alloc.h, which keeps errno' % (path, number)


def sources(root):
    for top in ('include', 'src', 'sched'):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(('.h', '.c', '.S')):
                    path = os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/')
                    if top == 'sched' and layer_of(path) is None:
                        yield path, '%s: belongs to no layer' % path
                    else:
                        yield path, None


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else '.'
    checked, breaches = 0, []
    for path, breach in sources(root):
        checked += 1
        breaches += [breach] if breach else check_file(root, path)
    for breach in breaches:
        print(breach)
    if checked == 0:
        breaches.append('no sources')
    print('%d files, %d breaches' % (checked, len(breaches)))
    return 1 if breaches else 0


sys.exit(main())
