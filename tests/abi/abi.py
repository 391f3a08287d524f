#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Compares the binary interface that the public headers describe with the one in weft.abi, by abidiff (Debian's abigail-tools).
What a compiled program relies on must not change: functions, their parameters, sizes and members of structs, values of enums.
Additions are allowed. And it plants changes into copies of the headers, to see that abidiff finds each, or allows it.

Usage: abi.py INCLUDE_DIR COMPILER...           compares; exit status 77: it cannot, the last line says why
       abi.py --renew INCLUDE_DIR COMPILER...   writes weft.abi anew

abidiff reads debugging information. A release build of the library has none, and a second build would take long. So this
compiles a library of the headers alone: it defines each function that they declare, and none does anything. The headers bind
the true library's sources as well, and tests/symbols.py compares the names that it exports with theirs.
"""
import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'tools'))
import interface  # noqa: E402

MAP = os.path.join(HERE, '..', '..', 'weft.map')
DUMP = os.path.join(HERE, 'weft.abi')
# These structs travel with their size, so they may grow at the end.
GROWING = {'weft_runtime_options', 'weft_task_options', 'weft_stats', 'weft_case'}
DUMP_ARGUMENTS = ['--no-show-locs', '--no-corpus-path', '--no-comp-dir-path', '--no-write-default-sizes',
                  '--no-parameter-names', '--type-id-style', 'hash']

# What is planted: a header, or the linker's map, a text that stands there once, and what takes its place. A change breaks compiled programs.
BREAKS = {
    'a function is removed': ('runtime.h', r'WEFT_API int weft_trim\(void\);', ''),
    'a function is renamed': ('task.h', r'\bweft_task_name\(', 'weft_task_title('),
    'a type grows': ('sync.h', r'(?<=typedef struct weft_mutex \{\n\tuint64_t weft_opaque_\[)6', '7'),
    'a type shrinks': ('fork.h', r'(?<=typedef struct weft_forked \{\n\tuint64_t weft_opaque_\[)20', '16'),
    'a type is aligned otherwise': ('fork.h', r'aligned\(16\)', 'aligned(64)'),
    'an enum value changes': ('chan.h', r'(enum weft_op \{ )(\w+), (\w+)', r'\1\3, \2'),
    'an enum value comes before others': ('chan.h', r'(enum weft_op \{)', r'\1 WEFT_TICK,'),
    'a parameter is wider': ('sync.h', r'weft_sem_init\(weft_sem \*sem, unsigned count', 'weft_sem_init(weft_sem *sem, size_t count'),
    'a parameter is added': ('time.h', r'weft_sleep\(int64_t ns\)', 'weft_sleep(int64_t ns, int how)'),
    'parameters change places': ('task.h', r'void \*\*ret_result, int64_t deadline', 'int64_t deadline, void **ret_result'),
    'a result changes': ('chan.h', r'size_t weft_chan_len', 'unsigned weft_chan_len'),
    'members change places': ('chan.h', r'(\tunion \{\n(?s:.*?)\t\};\n)((?s:.*?);)', r'\2\1'),
    'a member is removed': ('stats.h', r'\tuint64_t hops;.*\n', ''),
    'a member comes before others': ('task.h', r'(struct weft_task_options \{\n)', r'\1\tint priority;\n'),
    'a member changes its type': ('runtime.h', r'\tunsigned workers;', '\tuint64_t workers;'),
    'symbols change their version': ('weft.map', r'WEFT_0\.1', 'WEFT_0.2'),
    'a symbol is not exported': ('weft.map', r'local:', 'local:\n\tweft_trim;'),
    'a typedef changes': ('local.h', r'typedef uint64_t weft_local', 'typedef uint32_t weft_local'),
}

# These do not.
ADDITIONS = {
    'nothing': ('time.h', r'', ''),
    'a function is added': ('runtime.h', r'WEFT_API int weft_trim\(void\);', r'\g<0>\nWEFT_API int weft_trim_all(int n);'),
    'options grow': ('task.h', r'(?<=struct weft_task_options \{)(?s:[^}]*)', r'\g<0>\tuint64_t priority;\n'),
    'a runtime\'s options grow': ('runtime.h', r'(?<=struct weft_runtime_options \{)(?s:[^}]*)', r'\g<0>\tuint64_t priority;\n'),
    'counters are added': ('stats.h', r'(?<=struct weft_stats \{)(?s:[^}]*)', r'\g<0>\tuint64_t scopes;\n'),
    'cases grow': ('chan.h', r'(?<=struct weft_case \{)(?s:.*?)(?=\n\};)', r'\g<0>\n\tuint64_t priority;'),
    'an enum value comes after others': ('chan.h', r'(enum weft_op \{[^}]*\w) ', r'\1, WEFT_TICK '),
    'a function is added in a version of its own': (
        'weft.map', r'\Z', 'WEFT_0.2 {\nglobal:\n\tweft_later;\n} WEFT_0.1;\n'),
    'a parameter is renamed': ('time.h', r'weft_sleep\(int64_t ns\)', 'weft_sleep(int64_t nanoseconds)'),
}


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def run(command, **more):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, **more)


def must(command, **more):
    done = run(command, **more)
    if done.returncode != 0:
        sys.exit('%s: %s' % (' '.join(command), done.stdout))


def compile_library(include, compiler, library):
    """Each function that the headers declare, defined; inline ones as they are."""
    known, copy = interface.functions(include).values(), os.path.join(include, 'weft', 'weft.map')
    text = '#define WEFT_INLINE extern inline __attribute__((visibility("default")))\n#include <weft/weft.h>\n'
    text += '\n'.join('%s\n{\n\t__builtin_trap();\n}' % f.prototype for f in known if not f.inline)
    must(compiler + ['-x', 'c', '-std=gnu11', '-g', '-O0', '-w', '-fPIC', '-shared', '-I', include, '-', '-o', library,
                     '-Wl,-soname,libweft.so.0', '-Wl,--version-script=' + (copy if os.path.exists(copy) else MAP)],
         input=text)


def structs(tree):
    """Those of GROWING by name."""
    return {x.get('name'): x for x in tree.iter('class-decl') if x.get('name') in GROWING and x.get('size-in-bits')}


def cut_growth(dump):
    """Takes what a growing struct has behind its size in weft.abi out of another dump. (abidiff can be told to ignore members that
    are added at the end, but then it ignores other changes of that struct as well.)"""
    old, tree = structs(xml.etree.ElementTree.parse(DUMP)), xml.etree.ElementTree.parse(dump)
    for name, struct in structs(tree).items():
        size = int(old[name].get('size-in-bits')) if name in old else 0
        if 0 < size < int(struct.get('size-in-bits')):
            struct.set('size-in-bits', str(size))
            for member in struct.findall('data-member'):
                if int(member.get('layout-offset-in-bits')) >= size:
                    struct.remove(member)
    tree.write(dump)


def compare(library):
    """Exit status and output of abidiff: 0 where nothing has changed that a compiled program relies on."""
    dump = library + '.abi'
    must(['abidw', *DUMP_ARGUMENTS, '--out-file', dump, library])
    cut_growth(dump)
    done = run(['abidiff', '--no-added-syms', DUMP, dump])
    return done.returncode, done.stdout


def grown(include, compiler, directory):
    """What is wrong with the library's own copies of the inline functions, once structs have grown: whoever calls them by name
    has structs of the first version."""
    copy, library = os.path.join(directory, 'include'), os.path.join(directory, 'inline.so')
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(include, copy)
    for what in ('options grow', 'a runtime\'s options grow', 'counters are added', 'cases grow'):
        plant(copy, *ADDITIONS[what])
    text = '#include "%s"\n' % os.path.join(HERE, '..', '..', 'sched', 'inline.c')
    for function in interface.functions(include).values():
        if function.name.endswith('_sized'):
            size = [p.name for i, p in enumerate(function.parameters) if interface.is_size(function.parameters, i)]
            text += '%s\n{\n\treturn (int)%s;\n}\n' % (function.prototype, size[0])
    must(compiler + ['-x', 'c', '-std=gnu11', '-w', '-fPIC', '-shared', '-I', copy, '-', '-o', library], input=text)
    inline = ctypes.CDLL(library)
    for name, size in (('weft_select', 32), ('weft_select_ordered', 32), ('weft_spawn_with', 24), ('weft_runtime_stats', 144),
                       ('weft_runtime_create', 56)):
        got = getattr(inline, name)(None, None, None, None, None)
        if got != size:
            yield '%s takes structs to have %d bytes, not %d, if it is called by name' % (name, got, size)


def plant(include, header, pattern, replacement):
    path = os.path.join(include, 'weft', header)
    with open(path, encoding='utf-8') as file:
        text = file.read()
    changed, count = re.subn(pattern, replacement, text, count=1)
    if count != 1:
        sys.exit('%s: there is no %s to plant a change in' % (header, pattern))
    with open(path, 'w', encoding='utf-8') as file:
        file.write(changed)


def planted(include, compiler, directory, change):
    """abidiff's answer to the headers with that change."""
    copy, library = os.path.join(directory, 'include'), os.path.join(directory, 'planted.so')
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(include, copy)
    shutil.copy(MAP, os.path.join(copy, 'weft'))
    plant(copy, *change)
    compile_library(copy, compiler, library)
    return compare(library)


def main():
    arguments = sys.argv[1:]
    renew = arguments[0] == '--renew'
    include, compiler = arguments[renew], arguments[renew + 1:]
    if platform.machine() != 'x86_64' or '__clang__' in run(compiler + ['-dM', '-E', '-x', 'c', os.devnull]).stdout:
        skip('weft.abi is what gcc makes on x86-64')
    if not shutil.which('abidw') or not shutil.which('abidiff'):
        skip("there is no abidiff (Debian's package abigail-tools)")
    with tempfile.TemporaryDirectory() as directory:
        library = os.path.join(directory, 'libweft.so')
        compile_library(include, compiler, library)
        if renew:
            must(['abidw', *DUMP_ARGUMENTS, '--out-file', DUMP, library])
            return 0
        wrong = []
        status, output = compare(library)
        if status != 0:
            wrong.append('the headers break compiled programs (CONTRIBUTING.md says what is promised):\n' + output)
        else:
            wrong += grown(include, compiler, directory)
            for what, change in BREAKS.items():
                if planted(include, compiler, directory, change)[0] == 0:
                    wrong.append('abidiff does not see that ' + what)
            for what, change in ADDITIONS.items():
                status, output = planted(include, compiler, directory, change)
                if status != 0:
                    wrong.append('abidiff says that it breaks programs that %s:\n%s' % (what, output))
    print('\n'.join(wrong + ['%d breaks and %d additions planted' % (len(BREAKS), len(ADDITIONS))]))
    return 1 if wrong else 0


sys.exit(main())
