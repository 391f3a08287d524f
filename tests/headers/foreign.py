#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Uses the library as another language does: by the names of its functions, and by what weft(7) says about types. It reads no
header, except to compare the sizes that the page gives with the true ones.

Usage: foreign.py LIBRARY PAGE INCLUDE_DIR COMPILER...
"""
import ctypes
import errno
import os
import re
import subprocess
import sys

FOREVER = 2**63 - 1
SEND, RECV = 0, 1


class RuntimeOptions(ctypes.Structure):
    _fields_ = [('workers', ctypes.c_uint), ('stack_size', ctypes.c_size_t), ('hooks', ctypes.c_void_p * 4),
                ('hooks_arg', ctypes.c_void_p)]


class Case(ctypes.Structure):
    _fields_ = [('op', ctypes.c_int), ('chan', ctypes.c_void_p), ('elem', ctypes.c_void_p), ('ret_status', ctypes.c_int)]


class LaterCase(ctypes.Structure):
    _fields_ = [('known', Case), ('priority', ctypes.c_uint64)]


def sizes_of(page):
    """Type to its bytes: the page's table."""
    with open(page, encoding='utf-8') as file:
        return {name: int(size) for name, size in re.findall(r'^\.It Vt (weft_\w+) Ta (\d+)$', file.read(), re.M)}


def check_sizes(sizes, include, compiler):
    """What is wrong with the page's table."""
    opaque = set()
    for header in os.listdir(os.path.join(include, 'weft')):
        if header.endswith('.h'):
            with open(os.path.join(include, 'weft', header), encoding='utf-8') as file:
                opaque.update(re.findall(r'\bstruct (weft_\w+) \{\s*uint64_t weft_opaque_', file.read()))
    for name in sorted(opaque ^ set(sizes)):
        yield '%s: %s' % (name, 'not in the table' if name in opaque else 'no type of the headers')
    for name in sorted(opaque & set(sizes)):
        text = '#include <weft/weft.h>\n_Static_assert(sizeof(%s) == %d, "");\n' % (name, sizes[name])
        if subprocess.run(compiler + ['-fsyntax-only', '-I', include, '-x', 'c', '-'], input=text, text=True,
                          stderr=subprocess.DEVNULL, timeout=120).returncode != 0:
            yield '%s has not %d bytes' % (name, sizes[name])


class Wrong(Exception):
    pass


def must(condition, what):
    if not condition:
        raise Wrong(what)


def storage(sizes, name):
    """Of an object that is as a static one: all bytes are 0."""
    return (ctypes.c_uint64 * (sizes[name] // 8))()


def use(weft, sizes):
    pointer, libc = ctypes.c_void_p, ctypes.CDLL(None)
    weft.weft_version_string.restype = ctypes.c_char_p
    must(re.fullmatch(rb'\d+\.\d+\.\d+', weft.weft_version_string()), 'the version')

    # A runtime, by the function that a header defines, and by the one behind it, which may be given less.
    rt = pointer()
    for create, size in ((weft.weft_runtime_create, ()), (weft.weft_runtime_create_sized, (ctypes.c_size_t(16),))):
        must(create(ctypes.byref(RuntimeOptions(workers=2)), *size, ctypes.byref(rt)) == 0, 'weft_runtime_create')
        must(weft.weft_runtime_workers(rt) == 2, 'the options')
        if size == ():
            must(weft.weft_runtime_destroy(rt) == 0, 'weft_runtime_destroy')

    # Tasks that run functions of C: strdup(), and one that wakes this thread.
    task, result = pointer(), pointer()
    must(weft.weft_submit(rt, libc.strdup, b'woven', ctypes.byref(task)) == 0, 'weft_submit')
    must(weft.weft_join_until(task, ctypes.byref(result), ctypes.c_int64(FOREVER)) == 0, 'weft_join_until')
    must(ctypes.string_at(result) == b'woven', 'the result')
    libc.free(result)
    event = storage(sizes, 'weft_event')
    must(weft.weft_submit(rt, weft.weft_event_set, event, None) == 0, 'weft_submit')
    must(weft.weft_event_wait(event) == 0, 'weft_event_wait')

    # A select, with this version's cases and a later one's.
    chan, number, got = pointer(), ctypes.c_int(7), ctypes.c_int()
    must(weft.weft_chan_create(ctypes.c_size_t(4), ctypes.c_size_t(1), ctypes.byref(chan)) == 0, 'weft_chan_create')
    must(weft.weft_chan_send(chan, ctypes.byref(number)) == 0, 'weft_chan_send')
    cases = (LaterCase * 2)()
    for case, op in zip(cases, (SEND, RECV)):
        case.known = Case(op, chan, ctypes.cast(ctypes.byref(got), pointer), 77)
    must(weft.weft_select_sized(cases, ctypes.c_size_t(ctypes.sizeof(LaterCase)), ctypes.c_size_t(2),
                                ctypes.c_int64(FOREVER)) == 1, 'weft_select_sized')
    must(got.value == 7 and cases[1].known.ret_status == 0 and cases[0].known.ret_status == 77, 'the case')
    case = Case(RECV, chan, None, 0)
    must(weft.weft_select(ctypes.byref(case), ctypes.c_size_t(1), ctypes.c_int64(0)) == -errno.ETIMEDOUT, 'weft_select')
    weft.weft_chan_destroy(chan)
    must(weft.weft_runtime_destroy(rt) == 0, 'weft_runtime_destroy')


def main():
    library, page, include, compiler = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    sizes = sizes_of(page)
    wrong = list(check_sizes(sizes, include, compiler))
    if not wrong:
        try:
            use(ctypes.CDLL(library), sizes)
        except Wrong as what:
            wrong.append('not as it should be: %s' % what)
    print('\n'.join(wrong + ['%d types' % len(sizes)]))
    return 1 if wrong else 0


sys.exit(main())
