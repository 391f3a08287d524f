#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks in the machine code that no thread-local address is computed before a switch and used after it: a coroutine may
have hopped to another thread in between, and the compiler does not know (src/tls.c).

    check_tls.py [--objdump OBJDUMP] LIBRARY...     static or shared, x86-64 or aarch64, with its symbols

Prints each breach and exits with 1 if there is one, with 2 if it could not look. What has to hold:

  - The functions that read thread-local storage, and those that switch, are there as functions of their own.
  - Nothing else accesses the thread pointer or asks for a thread-local address. (The stack protector's canary is the
    same in all threads.)
  - Where such an address is a call's result (READERS), it is not used after a call that may switch, followed through
    registers and stack slots. A call may switch if the switch can be reached from it by direct calls and jumps, or a
    call or tail call through a pointer, which is taken for a user's function.
  - Who may switch does not ask for errno's address (which is constant, says glibc), but for a few REVIEWED functions.
"""
import argparse
import collections
import re
import subprocess
import sys

# The last two read the worker and pass it on, once.
ACCESSORS = ('weft__thread', 'weft__worker', 'weft__worker_set', 'weft__thread_identity', 'weft__blocking_for',
             'weft__set_blocking_for', 'weft__thread_scopes', 'weft_fork', 'weft_fork_join')
# Other ways in and out, which only the assembly backends have, or that of x86-64.
ASSEMBLY = ('weft__context_switch_alike', 'weft__context_enter', 'weft__context_jump')
SWITCHES = ('weft__context_switch', 'weft__coro_switch', 'weft__coro_switch_on', 'weft__coro_start', 'weft__coro_jump',
            'weft_coro_enter', 'weft_coro_yield') + ASSEMBLY
READERS = {
    '__errno_location': "errno's address",
    'weft__thread': "the thread's state",
    'weft__thread_scopes': "the thread's scopes",
    'weft__worker': 'the worker',
}
# Functions that need no check, and why.
REVIEWED = {
    'weft__cpus_usable': "the pointer is to functions of src/base/cpus.c, which switch nothing",
    'on_fault': 'a signal handler: what it calls by pointer is another one, which returns on the same thread',
    'weft__call_hook': 'during a hook the thread is no worker, so the hook returns on the same thread',
    'weft__config_load': 'link-time optimization puts weft__cpus_usable() into it',
}
# Functions that call through a pointer which is never a user's function, and why it does not switch.
POINTERS_STAY = {
    'weft__fence_insist': "the pointer is to the membarrier call, or to a test's",
    'weft__cpus_usable_within': 'the pointer is to functions of src/base/cpus.c',
    'weft__depots_each': 'the pointer is to wake_workers() of sched/core/trim.c',
    'weft__call_hook': 'the pointer is to a hook, in which the thread is no worker',
    'weft__reach_branches': 'the pointer is to reach() of sched/sync/group.c',
    'after_fork_in_child': 'the pointer is to in_child() of sched/core/process.c',
}
NO_RETURN = ('weft__fatal', 'weft__orphan_refuse', 'abort', '__stack_chk_fail', '__assert_fail')

X86_CANARY = '%fs:0x28'
TLS_RELOCATION = re.compile(r'_TLS|TPOFF|DTPMOD|DTPOFF')
TARGET_RELOCATION = re.compile(r'PLT|PC32|GOTPCREL|CALL|JUMP|CONDBR|TSTBR')
SECTION = re.compile(r'^Disassembly of section (\S+):$')
OBJECT = re.compile(r'^(\S+):\s+file format (\S+)$')
LABEL = re.compile(r'^([0-9a-f]+) <(.+)>:$')
INSTRUCTION = re.compile(r'^\s*([0-9a-f]+):\t(.*)$')
RELOCATION = re.compile(r'^\s+[0-9a-f]+:\s+(R_\w+)\s+(\S+?)([+-]0x[0-9a-f]+)?$')
TARGET = re.compile(r'^([0-9a-f]+) <([^>+]+?)(@plt)?(\+0x[0-9a-f]+)?>$')


class Instruction:
    def __init__(self, address, text):
        text = re.split(r'\s+(?:#|//)\s', text)[0].strip()
        words = text.split(None, 1)
        while len(words) > 1 and words[0] in ('notrack', 'bnd', 'data16', 'rex.W', 'lock', 'rep', 'repz', 'ds', 'cs'):
            words = words[1].split(None, 1)
        self.address = address
        self.text = text
        self.name = words[0] if words else ''
        self.operands = split_operands(words[1]) if len(words) > 1 else []
        self.relocations = []


class Function:
    def __init__(self, where, name):
        self.where = where
        self.name = name
        self.code = []
        self.calls = set()  # the functions and the outside names that it calls or jumps to
        self.calls_pointer = False
        self.may_switch = False


def split_operands(text):
    operands, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in '([{':
            depth += 1
        elif c in ')]}':
            depth -= 1
        elif c == ',' and depth == 0:
            operands.append(text[start:i].strip())
            start = i + 1
    return operands + [text[start:].strip()]


class X86:
    """What has to be known of an instruction set. AT&T syntax: the last operand is the one written."""
    result = 'ax'
    kept = {'bx', 'bp', '12', '13', '14', '15'}
    alike = {'mov', 'movq', 'movl', 'lea', 'add', 'sub'}
    pc_bias = 4  # a relocated distance counts from the instruction's end
    only_writes = ('mov', 'lea', 'set', 'pop', 'cvt')

    @staticmethod
    def thread_pointer(insn):
        return any('%fs:' in o and not o.startswith(X86_CANARY) for o in insn.operands)

    @staticmethod
    def register(operand):
        """The register that an operand is, in one spelling for all its widths; None for other operands."""
        if not operand.startswith('%'):
            return None
        name = operand[1:]
        found = re.match(r'r(\d+)[bwd]?$', name)
        if found:
            return found.group(1)
        name = name.lstrip('re') if len(name) == 3 else name
        return {'al': 'ax', 'bl': 'bx', 'cl': 'cx', 'dl': 'dx', 'sil': 'si', 'dil': 'di', 'bpl': 'bp'}.get(name, name)

    @classmethod
    def mentioned(cls, operand):
        return {cls.register(r) for r in re.findall(r'%\w+', operand)}

    @classmethod
    def slots(cls, insn, depth):
        """[(register, stack slot)] of what is stored, and of what is loaded. depth: the stack pointer's, in bytes."""
        if not insn.name.startswith('mov') or len(insn.operands) != 2:
            return [], []
        source, target = insn.operands
        if cls.register(source) and cls.slot(target, depth):
            return [(cls.register(source), cls.slot(target, depth))], []
        if cls.register(target) and cls.slot(source, depth):
            return [], [(cls.register(target), cls.slot(source, depth))]
        return [], []

    @staticmethod
    def slot(operand, depth):
        found = re.match(r'(-?0x[0-9a-f]+)?\(%rsp\)$', operand)
        return found and 'slot %d' % (int(found.group(1) or '0', 16) - depth)

    @staticmethod
    def pushed(insn):
        """By how many bytes the stack grows."""
        if insn.name.startswith('push'):
            return 8
        if insn.name.startswith('pop'):
            return -8
        if insn.name in ('sub', 'add') and insn.operands[1:] == ['%rsp'] and insn.operands[0].startswith('$'):
            bytes = int(insn.operands[0][1:], 0)
            return bytes if insn.name == 'sub' else -bytes
        return 0

    @classmethod
    def effect(cls, insn):
        """The registers read, the ones written, and whether the written ones get the read value or one near it."""
        if not insn.operands:
            return set(), set(), False
        *sources, target = insn.operands
        written = {cls.register(target)} - {None}
        if insn.name.startswith(('cmp', 'test', 'push', 'j', 'ret')):
            written = set()
        if insn.name.startswith(('xor', 'sub')) and sources == [target]:
            return set(), written, False
        read = set().union(*[cls.mentioned(o) for o in sources]) if sources else set()
        if not (written and insn.name.startswith(cls.only_writes)):
            read |= cls.mentioned(target)
        alike = insn.name in cls.alike or insn.name.startswith('cmov')
        return read, written, alike and (insn.name == 'lea' or all('(' not in o for o in sources))

    @staticmethod
    def is_call(insn):
        return insn.name.startswith('call')

    @staticmethod
    def is_jump(insn):
        return insn.name == 'jmp' or insn.name == 'jmpq'

    @staticmethod
    def is_branch(insn):
        return insn.name.startswith('j')

    @staticmethod
    def is_end(insn):
        return insn.name.startswith(('ret', 'ud2', 'hlt'))

    @staticmethod
    def is_indirect(insn):
        return bool(insn.operands) and insn.operands[0].startswith('*')


class Aarch64:
    """The first operand is the one written, but for stores and comparisons."""
    result = '0'
    kept = {str(n) for n in range(19, 30)}
    alike = {'mov', 'add', 'sub', 'csel'}
    pc_bias = 0

    @staticmethod
    def thread_pointer(insn):
        return insn.name in ('mrs', 'msr') and any('tpidr' in o.lower() for o in insn.operands)

    @staticmethod
    def register(operand):
        found = re.match(r'[xw](\d+)$', operand)
        return found.group(1) if found else None

    @classmethod
    def mentioned(cls, operand):
        return set(re.findall(r'\b[xw](\d+)\b', operand))

    @classmethod
    def slots(cls, insn, depth):
        found = re.match(r'\[(?:sp|x29)(?:, #(\d+))?\]$', insn.operands[-1]) if insn.operands else None
        if not found or insn.name not in ('str', 'stp', 'ldr', 'ldp'):
            return [], []
        base = insn.operands[-1][1:].split(',')[0].rstrip(']')
        pairs = [(cls.register(o), 'slot %s%+d' % (base, int(found.group(1) or 0) + 8 * i - depth))
                 for i, o in enumerate(insn.operands[:-1])]
        return (pairs, []) if insn.name.startswith('st') else ([], pairs)

    @staticmethod
    def pushed(insn):
        return 0  # only at a function's begin and end

    @classmethod
    def effect(cls, insn):
        name, operands = insn.name, insn.operands
        if not operands:
            return set(), set(), False
        if name.startswith(('st', 'cmp', 'cmn', 'tst', 'ccmp', 'cb', 'tb', 'b', 'msr', 'prfm')):
            return set().union(*[cls.mentioned(o) for o in operands]), set(), False
        count = 2 if name.startswith(('ldp', 'ldxp', 'ldaxp')) else 1
        written = {cls.register(o) for o in operands[:count]} - {None}
        read = set().union(*[cls.mentioned(o) for o in operands[count:]]) if operands[count:] else set()
        return read, written, name in cls.alike

    @staticmethod
    def is_call(insn):
        return insn.name in ('bl', 'blr', 'blraaz', 'blraa')

    @staticmethod
    def is_jump(insn):
        return insn.name in ('b', 'br')

    @staticmethod
    def is_branch(insn):
        return insn.name in ('b', 'br') or insn.name.startswith(('b.', 'cb', 'tb'))

    @staticmethod
    def is_end(insn):
        return insn.name.startswith(('ret', 'udf', 'brk'))

    @staticmethod
    def is_indirect(insn):
        return insn.name in ('br', 'blr', 'blraa', 'blraaz')


class Program:
    """All functions of the libraries' objects, and who calls whom."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.functions = []
        self.inside = {}  # (object, section, address of an instruction) -> Function
        self.named = {}  # name -> Function; the last one of several static ones
        self.in_object = {}  # (object, name) -> Function

    def target(self, place, insn):
        """The Function that a direct call, jump or branch leads to, or a name from outside, or None for inner jumps."""
        obj, section = place
        for kind, symbol, addend in insn.relocations:
            if not TARGET_RELOCATION.search(kind):
                continue
            if symbol.startswith('.'):
                return self.inside.get((obj, symbol, addend + self.cpu.pc_bias))
            return self.in_object.get((obj, symbol)) or self.named.get(symbol) or symbol
        found = TARGET.match(insn.operands[-1]) if insn.operands else None
        if not found:
            return None
        address, symbol, plt = int(found.group(1), 16), found.group(2), found.group(3)
        if plt:
            return self.named.get(symbol) or symbol
        return self.inside.get((obj, section, address)) or symbol

    def link(self):
        for function in self.functions:
            for place, insn in function.code:
                if not (self.cpu.is_call(insn) or self.cpu.is_branch(insn)):
                    continue
                target = self.target(place, insn)
                if target is None and self.cpu.is_indirect(insn):
                    function.calls_pointer = function.name not in POINTERS_STAY
                elif target is not None and target is not function:
                    function.calls.add(target)
        todo = [f for f in self.functions if f.calls_pointer or f.name in SWITCHES]
        callers = collections.defaultdict(set)
        for function in self.functions:
            for callee in function.calls:
                callers[callee].add(function)
        while todo:
            function = todo.pop()
            if not function.may_switch:
                function.may_switch = True
                todo += callers[function]


def die(message):
    print('check_tls.py: ' + message, file=sys.stderr)
    sys.exit(2)


def disassemble(objdump, path):
    try:
        return subprocess.run([objdump, '-dr', '--no-show-raw-insn', path], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        die(str(error))


def read(objdump, path):
    program, obj, section, function = None, None, None, None
    for line in disassemble(objdump, path).split('\n'):
        found = OBJECT.match(line)
        if found:
            obj = found.group(1)
            cpu = {'elf64-x86-64': X86, 'elf64-littleaarch64': Aarch64}.get(found.group(2))
            if not cpu:
                die('%s: it is for %s, which this tool does not know' % (path, found.group(2)))
            program = program or Program(cpu)
            continue
        found = SECTION.match(line)
        if found:
            section = found.group(1)
            continue
        found = LABEL.match(line)
        if found:
            # What gcc has moved out of a function's way is still that function.
            label = re.sub(r'\.lto_priv\.\d+', '', found.group(2))
            name = re.sub(r'\.cold(\.\d+)?$', '', label)
            function = program.in_object.get((obj, name)) if name != label else None
            if not function:
                function = Function(obj, name)
                program.functions.append(function)
                program.named[name] = function
                program.in_object[obj, name] = function
            continue
        found = RELOCATION.match(line)
        if found and function and function.code:
            function.code[-1][1].relocations.append(
                (found.group(1), found.group(2), int(found.group(3) or '0', 16)))
            continue
        found = INSTRUCTION.match(line)
        if found and function and section != '.plt':
            insn = Instruction(int(found.group(1), 16), found.group(2))
            function.code.append(((obj, section), insn))
            program.inside[obj, section, insn.address] = function
    if not program or not program.functions:
        die('%s: nothing to disassemble' % path)
    program.link()
    return program


def check_accesses(program, function):
    for place, insn in function.code:
        direct = program.cpu.thread_pointer(insn) or any(TLS_RELOCATION.search(r[0]) for r in insn.relocations)
        asks = program.cpu.is_call(insn) and program.target(place, insn) == '__tls_get_addr'
        if (direct or asks) and function.name not in ACCESSORS:
            yield '%s: accesses thread-local storage: %s' % (function.name, insn.text)
            return


class Follower:
    """
    Follows the READERS' results along every path through a function. A state is a set of (register or stack slot, reader,
    the switching call that the value has outlived or None), a place an instruction's index, the stack's depth, a state.
    """

    def __init__(self, program, function):
        self.program = program
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
            read = self.cpu.effect(insn)[0]
            self.found.update({reader: over for r, reader, over in state if over and r in read})
        if self.cpu.is_end(insn):
            return []
        if self.cpu.is_call(insn):
            after = self.call(place, insn, state)
            return [] if after is None else [(i + 1, depth, after)]
        if self.cpu.is_branch(insn):
            after = [(k, depth, state) for k in self.branch_targets(place, insn, i)]
            return after if self.cpu.is_jump(insn) else after + [(i + 1, depth, state)]
        return [(i + 1, depth + self.cpu.pushed(insn), self.move(insn, stored, loaded, state))]

    def call(self, place, insn, state):
        target = self.program.target(place, insn)
        name = target.name if isinstance(target, Function) else target
        over = None
        if name in NO_RETURN:
            return None
        if isinstance(target, Function) and target.may_switch:
            over = name
        elif target is None and self.cpu.is_indirect(insn):
            over = 'a call through a pointer'
        after = {(r, reader, was or over) for r, reader, was in state if r in self.cpu.kept or r.startswith('slot')}
        if name in READERS:
            after.add((self.cpu.result, name, None))
        return frozenset(after)

    def branch_targets(self, place, insn, i):
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


def check_kept(program, function):
    if function.name in REVIEWED:
        return
    # Whether the compiler keeps errno's address over a call is its whim, so nobody may ask for it who may switch.
    if function.may_switch and '__errno_location' in function.calls:
        yield "%s: asks for errno's address, and may switch" % function.name
    for reader, over in Follower(program, function).run().items():
        yield '%s: uses %s from before %s' % (function.name, READERS[reader], over)


def main():
    parser = argparse.ArgumentParser(description='Checks that no thread-local address is kept over a switch.')
    parser.add_argument('--objdump', default='objdump')
    parser.add_argument('--verbose', action='store_true', help='list what may switch')
    parser.add_argument('library', nargs='+')
    args = parser.parse_args()
    failed = False
    for path in args.library:
        program = read(args.objdump, path)
        problems = ['%s: is not there as a function of its own' % name
                    for name in ACCESSORS + SWITCHES if name not in program.named and name not in ASSEMBLY]
        for function in program.functions:
            problems += check_accesses(program, function)
            problems += check_kept(program, function)
        if args.verbose:
            print('may switch: ' + ' '.join(sorted(f.name for f in program.functions if f.may_switch)))
        for problem in problems:
            print('%s: %s' % (path, problem))
        print('%s: %d functions, %d of which may switch, %d breaches' % (
            path, len(program.functions), sum(f.may_switch for f in program.functions), len(problems)))
        failed = failed or bool(problems)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
