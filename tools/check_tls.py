#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks in the machine code that nothing which belongs to a thread is obtained before a switch and used after it: a coroutine
may have hopped to another thread in between, and the compiler does not know (src/tls.c).

    check_tls.py [--objdump OBJDUMP] [--planted LIBRARY]... LIBRARY...

    LIBRARY             static or shared, for x86-64 or aarch64, with its symbols
    --planted LIBRARY   tools/check_tls_broken.c, in which each function has a mistake that must be found. It calls the
                        first of the other libraries.

Prints each breach and exits with 1 if there is one, with 2 if it could not look. What has to hold:

  - The functions that read thread-local storage, and those that switch, are there as functions of their own.
  - Nothing else accesses the thread pointer or asks for a thread-local address. (The stack protector's canary is the
    same in all threads.)
  - A call may switch if the switch can be reached from it by direct calls and jumps, or a call or tail call through a
    pointer, which is taken for a user's function. A function that may switch has the mark WEFT__MAY_HOP in the sources, and
    one that has the mark may switch. A function with the mark WEFT__STAYS does not switch, whatever it calls.
  - Where such an address is a call's result (READERS), or where the result is the worker after a hop, it is not used after a
    call that may switch. It is followed through registers and stack slots.
  - Who may switch does not ask for errno's address, which is constant, says glibc.

tools/check_hops.py does more in the sources. It knows which variables are workers, and sees inlined functions. This check
sees what the compiler has made of them.
"""
import argparse
import os
import re
import sys

import hop_marks
from disassembly import Function, TARGET, TLS_RELOCATION, read

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLANTED = 'tools/check_tls_broken.c'
BROKEN = 'check_tls_broken_'

# The last two read the worker and pass it on, once.
ACCESSORS = ('weft__thread', 'weft__worker', 'weft__worker_set', 'weft__thread_identity', 'weft__blocking_for',
             'weft__set_blocking_for', 'weft__thread_scopes', 'weft_fork', 'weft_fork_join')
# One more, which only a build with -Dlockcheck=true has.
DEBUG_ACCESSORS = ('thread_locks',)
# Only the assembly backends have these, or that of x86-64.
ASSEMBLY = [name for name in hop_marks.SWITCHES if name != 'weft__context_switch']
SWITCHES = ('weft__coro_switch', 'weft__coro_switch_on', 'weft__coro_start', 'weft__coro_jump', 'weft_coro_enter',
            'weft_coro_yield', *hop_marks.SWITCHES)
READERS = {
    '__errno_location': "errno's address",
    'weft__thread': "the thread's state",
    'weft__thread_scopes': "the thread's scopes",
    'weft__worker': 'the worker',
}
NO_RETURN = ('weft__fatal', 'weft__orphan_refuse', 'abort', '__stack_chk_fail', '__assert_fail')
PUBLIC_INLINE = re.compile(r'\bWEFT_INLINE\b[^;{}]*?\b(weft_\w+)\(')


def check_accesses(program, function):
    for place, insn in function.code:
        direct = program.cpu.thread_pointer(insn) or any(TLS_RELOCATION.search(r[0]) for r in insn.relocations)
        asks = program.cpu.is_call(insn) and program.target(place, insn) == '__tls_get_addr'
        if (direct or asks) and function.name not in ACCESSORS + DEBUG_ACCESSORS:
            yield function, 'accesses thread-local storage: %s' % insn.text
            return


class Follower:
    """
    Follows the readers' results along every path through a function. A state is a set of (register or stack slot, reader,
    the switching call that the value has outlived or None), a place an instruction's index, the stack's depth, a state.
    """

    def __init__(self, program, function, readers):
        self.program = program
        self.readers = readers
        self.cpu = program.cpu
        self.function = function
        self.index = {(place, insn.address): i for i, (place, insn) in enumerate(function.code)}
        self.found = {}  # reader -> the call that its result was used after

    def run(self):
        seen, todo = set(), [(0, 0, frozenset())]
        while todo:
            at = todo.pop()
            if at not in seen and at[0] < len(self.function.code):
                seen.add(at)
                todo += self.step(*at)
        return self.found

    def step(self, i, depth, state):
        """The places after this one."""
        place, insn = self.function.code[i]
        stored, loaded = self.cpu.slots(insn, depth)
        if not stored:  # to spill a value is not to use it
            read = self.cpu.effect(insn)[0] | self.handed_on(place, insn)
            self.found.update({reader: over for r, reader, over in state if over and r in read})
        if self.cpu.is_end(insn):
            return []
        if self.cpu.is_call(insn):
            after = self.call(place, insn, state)
            return [] if after is None else [(i + 1, depth, after)]
        if self.cpu.is_branch(insn):
            after = [(k, depth, state) for k in self.branch_targets(place, insn)]
            return after if self.cpu.is_jump(insn) else after + [(i + 1, depth, state)]
        return [(i + 1, depth + self.cpu.pushed(insn), self.move(insn, stored, loaded, state))]

    def handed_on(self, place, insn):
        """The registers in which the instruction may hand values on to another function."""
        if self.cpu.is_end(insn):
            return {self.cpu.result}
        if self.cpu.is_call(insn) or (self.cpu.is_jump(insn) and not self.branch_targets(place, insn)):
            return self.cpu.arguments
        return set()

    def call(self, place, insn, state):
        target = self.program.target(place, insn)
        name = target.name if isinstance(target, Function) else target
        over = None
        if name in NO_RETURN:
            return None
        if isinstance(target, Function) and target.may_switch:
            over = name
        elif target is None and self.cpu.is_indirect(insn) and not self.function.stays:
            over = 'a call through a pointer'
        after = {(r, reader, was or over) for r, reader, was in state if r in self.cpu.kept or r.startswith('slot')}
        if name in self.readers:
            after.add((self.cpu.result, name, None))
        return frozenset(after)

    def branch_targets(self, place, insn):
        if self.cpu.is_indirect(insn):
            return []  # a tail call through a pointer: the library has no jump tables (-fno-jump-tables)
        for _, symbol, addend in insn.relocations:
            there = self.index.get(((place[0], symbol), addend + self.cpu.pc_bias))
            return [] if there is None else [there]
        found = TARGET.match(insn.operands[-1])
        there = self.index.get((place, int(found.group(1), 16))) if found else None
        return [] if there is None else [there]

    def move(self, insn, stored, loaded, state):
        read, written, alike = self.cpu.effect(insn)
        pairs = [(slot, register) for register, slot in stored] + loaded
        if not pairs and alike:
            pairs = [(to, source) for to in written for source in read]
        overwritten = written | {to for to, _ in pairs}
        after = {value for value in state if value[0] not in overwritten}
        after |= {(to, reader, over) for to, source in pairs for r, reader, over in state if r == source}
        return frozenset(after)


def check_kept(program, function, readers):
    # Whether the compiler keeps errno's address over a call is its whim, so nobody may ask for it who may switch.
    if function.may_switch and '__errno_location' in function.calls:
        yield function, "asks for errno's address, and may switch"
    for reader, over in Follower(program, function, readers).run().items():
        yield function, 'uses %s from before %s' % (readers[reader], over)


class Marks:
    """
    What the sources say of the functions, by their names. Two static functions in different files may have one name, so only
    check_hops.py finds all needless marks.
    """

    def __init__(self):
        marks = hop_marks.read(ROOT) + list(hop_marks.read_file(ROOT, PLANTED))
        self.hops = {m.name for m in marks if not m.stays}
        self.stays = {m.name for m in marks if m.stays}
        self.return_worker = {m.name for m in marks if not m.stays and m.returns_worker}
        # The inline functions of the public headers have no marks, and only pass on.
        self.passes_on = set()
        headers = os.path.join(ROOT, 'include', 'weft')
        for name in os.listdir(headers):
            with open(os.path.join(headers, name), encoding='utf-8') as file:
                self.passes_on.update(PUBLIC_INLINE.findall(file.read()))


def calls_marked(function, marks):
    """Whether the function itself calls through a pointer or calls a marked one. Otherwise another one lacks the mark."""
    return function.calls_pointer or any(
        callee.may_switch and callee.source_name in marks.hops | marks.passes_on
        for callee in function.calls if isinstance(callee, Function))


def check_marks(program, marks):
    switching = set()
    for function in program.functions:
        name = function.source_name
        if function.may_switch:
            switching.add(name)
            if name not in marks.hops and name not in marks.passes_on and calls_marked(function, marks):
                yield function, 'may switch, but is not marked WEFT__MAY_HOP'
    for function in program.functions:
        name = function.source_name
        if name in marks.hops and name not in switching and name.startswith(('weft_', BROKEN)):
            yield function, 'is marked WEFT__MAY_HOP, but cannot switch'


def check(program, marks):
    """All breaches as pairs of a Function and a text."""
    readers = {**READERS, **{name: 'the worker' for name in marks.return_worker}}
    for function in program.functions:
        yield from check_accesses(program, function)
        yield from check_kept(program, function, readers)
    yield from check_marks(program, marks)


def judge(program, breaches):
    """What is wrong: the breaches without the planted ones, and those planted ones that were not found."""
    for name in ACCESSORS + SWITCHES:
        if name not in program.named and name not in ASSEMBLY:
            yield '%s: is not there as a function of its own' % name
    for function, text in breaches:
        if not function.name.startswith(BROKEN):
            yield '%s: %s' % (function.name, text)
    found = {function for function, _ in breaches}
    for function in program.functions:
        if function.name.startswith(BROKEN) and function not in found:
            yield '%s, %s: the mistake was not found' % (function.where, function.name)


def main():
    parser = argparse.ArgumentParser(description='Checks that no thread-local address is kept over a switch.')
    parser.add_argument('--objdump', default='objdump')
    parser.add_argument('--planted', action='append', default=[],
                        help='a static library of functions %s*, each with a mistake that has to be found' % BROKEN)
    parser.add_argument('--verbose', action='store_true', help='list what may switch, and the planted breaches')
    parser.add_argument('library', nargs='+')
    args = parser.parse_args()
    marks = Marks()
    failed = False
    for number, path in enumerate(args.library):
        program = read(args.objdump, [path] + (args.planted if number == 0 else []))
        program.link(SWITCHES, marks.stays)
        breaches = list(check(program, marks))
        wrong = list(judge(program, breaches))
        if args.verbose:
            print('may switch: ' + ' '.join(sorted(f.name for f in program.functions if f.may_switch)))
            print('\n'.join('%s, %s: %s' % (f.where, f.name, text) for f, text in breaches))
        for text in wrong:
            print('%s: %s' % (path, text))
        print('%s: %d functions, %d of which may switch, %d breaches' % (
            path, len(program.functions), sum(f.may_switch for f in program.functions), len(wrong)))
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
