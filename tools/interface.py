#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Reads the functions that the public headers declare, inline ones included. Scripts import this file. As a program it checks each
prototype against the interface's conventions (weft(7)).

Usage: interface.py INCLUDE_DIR          checks
       interface.py --list INCLUDE_DIR   prints the names of the functions
       interface.py --macro INCLUDE_DIR  prints a macro PUBLIC(X), which is X(name) for each function

Arguments stand in this order: the object, options, the function to be run and its argument, other values, outputs, the
deadline. A script cannot tell an object from another value. So it checks these rules:
(1) Outputs, which are named ret_..., are followed by outputs, sizes and a deadline only.
(2) A deadline is the last argument.
(3) A function that is to be run is followed by its argument, or by another function that has the same argument.
(4) A size follows the argument whose size it is, and is named after it.
(5) Every call that returns an int or a count of bytes is WEFT_MUST_CHECK, except for those of MAY_BE_IGNORED. So the compiler warns if a caller
    does not notice that it lacks what it asked for.
(6) weft_x_until() has the parameters of weft_x() and a deadline. weft_x_sized() has them and sizes, and weft_x_with() has them
    and options. weft_x_try_y() has the parameters of weft_x_y().
(7) weft.h includes each header, and meson.build installs it.
"""
import collections
import os
import re
import sys

COMMENT = re.compile(r'/\*.*?\*/', re.S)
FUNCTION = re.compile(r'^((?:WEFT_(?:API|INLINE|MUST_CHECK)\s)+)([^;{=()]*?)\b(weft_\w+)\(([^;{]*)\)[^;{()]*[;{]', re.M)
PARAMETER = re.compile(r'(?:(.*?)\(\*(\w+)\)\((.*)\)|(.*?)(\w+))$')

# type and name of each parameter; a pointer to a function has the type 'function'
# They return no failure to a correct program, or one that leaves nothing to be done.
MAY_BE_IGNORED = {'weft_blocking', 'weft_cancel', 'weft_close', 'weft_coro_enter', 'weft_detach', 'weft_fd_forget', 'weft_for',
                  'weft_local_delete', 'weft_runtime_destroy', 'weft_scope_end', 'weft_sleep', 'weft_sleep_until', 'weft_trim',
                  'weft_version', 'weft_worker_id'}

# Without a deadline it would be this.
PLAIN = {'weft_group_wait_or_cancel': 'weft_group_wait'}

Function = collections.namedtuple('Function', 'name result parameters prototype header must_check inline')
Parameter = collections.namedtuple('Parameter', 'type name')


def normal(text):
    """Without differences in blanks."""
    return re.sub(r'\s*([*(),])\s*', r'\1', ' '.join(text.split()))


def split(parameters):
    """At the commas outside of parentheses."""
    parts, depth = [''], 0
    for c in parameters:
        depth += {'(': 1, ')': -1}.get(c, 0)
        if c == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += c
    return [p for p in parts if p not in ('', 'void')]


def functions(include):
    """All public functions by their names."""
    found = {}
    for header in sorted(os.listdir(os.path.join(include, 'weft'))):
        if not header.endswith('.h'):
            continue
        with open(os.path.join(include, 'weft', header), encoding='utf-8') as file:
            text = COMMENT.sub('', file.read())
        for marks, result, name, parameters in FUNCTION.findall(text):
            result, parsed = normal(result), []
            for parameter in split(normal(parameters)):
                match = PARAMETER.match(parameter)
                if match[2]:
                    parsed.append(Parameter('function', match[2]))
                else:
                    parsed.append(Parameter('function' if match[4] == 'weft_fn*' else match[4].strip(), match[5]))
            found[name] = Function(name, result, parsed, normal('%s %s(%s)' % (result, name, parameters)), header,
                                   'WEFT_MUST_CHECK' in marks, 'WEFT_INLINE' in marks)
    return found


def is_size(parameters, i):
    name = parameters[i].name
    return name.endswith('_size') and i > 0 and parameters[i - 1].name in (name[:-5], 'ret_' + name[:-5], name[:-5] + 's')


def check_order(function):
    p = function.parameters
    names, types = [x.name for x in p], [x.type for x in p]
    outputs = [i for i, name in enumerate(names) if name.startswith('ret_')]
    if outputs:
        for i in range(outputs[0], len(p)):
            if not (names[i].startswith('ret_') or names[i] == 'deadline' or is_size(p, i)):
                yield '%s follows an output' % names[i]
    if 'deadline' in names[:-1]:
        yield 'the deadline is not the last one'
    for i, parameter in enumerate(p):
        # A function that is called later, with arguments of its own, is not the function that is to be run.
        if parameter.type == 'function' and parameter.name in ('fn', 'body') and function.name != 'weft_coro_create' and \
                [n for n, t in zip(names[i:], types[i:]) if t != 'function'][:1] != ['arg']:
            yield '%s is not followed by arg' % parameter.name
        if parameter.name.endswith('_size') and parameter.type == 'size_t' and function.name.endswith('_sized') and \
                not is_size(p, i):
            yield '%s does not follow what it is the size of' % parameter.name


def check_marks(function):
    if function.must_check != (function.result in ('int', 'ssize_t') and function.name not in MAY_BE_IGNORED):
        yield 'has WEFT_MUST_CHECK' if function.must_check else 'has no WEFT_MUST_CHECK'


def check_family(function, known):
    """What a name derives from another one promises about the parameters."""
    name, p = function.name, function.parameters
    if name.endswith('_sized'):
        plain, common = name[:-6], [x for i, x in enumerate(p) if not is_size(p, i)]
    elif name.endswith('_until'):
        plain, common = name[:-6], p[:-1]
    elif name.endswith('_with'):
        plain, common = name[:-5], [x for x in p if x.name != 'opt']
    elif '_try_' in name:
        plain, common = name.replace('_try_', '_'), p
    else:
        return
    plain = PLAIN.get(plain, plain)
    if plain not in known:
        yield 'there is no %s()' % plain
    # The deadline stands in place of a duration.
    elif common != [x for x in known[plain].parameters if x != Parameter('int64_t', 'ns')]:
        yield 'its parameters are not those of %s(), with what the name adds' % plain


def check_headers(include):
    """weft.h includes each header, and meson.build installs it."""
    directory = os.path.join(include, 'weft')
    headers = {name for name in os.listdir(directory) if name.endswith('.h')}
    with open(os.path.join(directory, 'weft.h'), encoding='utf-8') as file:
        included = set(re.findall(r'^#include <weft/(\S+)>', file.read(), re.M)) | {'weft.h'}
    with open(os.path.join(directory, 'meson.build'), encoding='utf-8') as file:
        installed = set(re.findall(r"'(\w+\.h)'", file.read()))
    for name in sorted(headers - included):
        yield '%s: weft.h does not include it' % name
    for name in sorted(headers - installed):
        yield '%s: meson.build does not install it' % name


def main():
    include = sys.argv[-1]
    known, wrong = functions(include), []
    if sys.argv[1] == '--list':
        print('\n'.join(sorted(known)))
        return 0
    if sys.argv[1] == '--macro':
        print('#define PUBLIC(X) ' + ' '.join('X(%s)' % name for name in sorted(known)))
        return 0
    for function in known.values():
        for complaint in [*check_order(function), *check_marks(function), *check_family(function, known)]:
            wrong.append('%s: %s: %s' % (function.header, function.prototype, complaint))
    wrong += check_headers(include)
    for line in wrong:
        print(line)
    print('%d functions' % len(known))
    return 1 if wrong or not known else 0


if __name__ == '__main__':
    sys.exit(main())
