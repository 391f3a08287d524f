# SPDX-License-Identifier: MIT
"""
Reads the functions of a library from its disassembly, for x86-64 and aarch64: their instructions, what these do to registers
and stack slots, and who calls whom.
"""
import collections
import re
import subprocess
import sys

# What the C library's objects add to a shared library. They call through pointers, before and after the program.
STARTUP = ('_init', '_fini', '__do_global_dtors_aux', 'frame_dummy', 'register_tm_clones', 'deregister_tm_clones',
           'call_weak_fn')

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
        self.stays = False  # returns on the same thread, whatever it calls
        self.may_switch = False

    @property
    def source_name(self):
        """Without what a compiler appends to the names of its variants of a function."""
        return re.sub(r'\.(constprop|isra|part|llvm)\b.*$', '', self.name)


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
    arguments = {'di', 'si', 'dx', 'cx', '8', '9'}
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
    arguments = {str(n) for n in range(8)}
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

    def link(self, switches, stays):
        """Finds out what may switch. switches: names that do. stays: names that do not, whatever they call."""
        for function in self.functions:
            function.stays = function.source_name in stays or function.name in STARTUP or function.name.endswith('@plt')
            for place, insn in function.code:
                if not (self.cpu.is_call(insn) or self.cpu.is_branch(insn)):
                    continue
                target = self.target(place, insn)
                if target is None and self.cpu.is_indirect(insn):
                    function.calls_pointer = True
                elif target is not None and target is not function:
                    function.calls.add(target)
        todo = [f for f in self.functions if f.calls_pointer or f.name in switches]
        callers = collections.defaultdict(set)
        for function in self.functions:
            for callee in function.calls:
                callers[callee].add(function)
        while todo:
            function = todo.pop()
            if not function.may_switch and not function.stays:
                function.may_switch = True
                todo += callers[function]


def die(message):
    print('disassembly: ' + message, file=sys.stderr)
    sys.exit(2)


def disassemble(objdump, path):
    try:
        return subprocess.run([objdump, '-dr', '--no-show-raw-insn', path], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        die(str(error))


def read(objdump, paths):
    """The Program that the libraries make up."""
    program, obj, section, function = None, None, None, None
    for line in ''.join(disassemble(objdump, path) for path in paths).split('\n'):
        found = OBJECT.match(line)
        if found:
            obj = found.group(1)
            cpu = {'elf64-x86-64': X86, 'elf64-littleaarch64': Aarch64}.get(found.group(2))
            if not cpu:
                die('%s: it is %s, which is not known here' % (obj, found.group(2)))
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
        die('%s: nothing to disassemble' % ' '.join(paths))
    return program
