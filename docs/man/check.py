#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Compares the manual pages with the headers.

  - Each public function is in the synopsis of exactly one page, with the header's prototype. It is also in the NAME section of
    that page, so that `man weft_join` finds it. No page has other functions.
  - No page, no comment of a header, and neither the README nor docs/*.md names a function that does not exist.
  - mandoc, if it is installed, finds nothing wrong with the pages.
  - The table of weft-waits(7) is the same as the table in the test that tries each of its cells.
  - Each public function is in that table, by itself or by its _until form, or in one of the lists below. One list has the
    functions that never wait, and the other one those whose waits other tests try.

Usage: check.py INCLUDE_DIR TEST_OF_RETURNS PAGE...
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools'))
import interface  # noqa: E402

# What inline functions are made of; not for users.
HIDDEN = re.compile(r'_sized$')

# Public functions that never wait for somebody, by what they do instead.
NEVER_WAIT = {
    'make, end or set up an object': """
        weft_barrier_init weft_barrier_fini weft_chan_create weft_chan_create_in weft_chan_destroy weft_chan_ref
        weft_chan_unref weft_cond_init weft_cond_fini weft_coro_create weft_coro_destroy weft_event_init weft_event_init_auto
        weft_event_fini weft_group_init weft_group_fini weft_group_keep_results weft_group_set_limit weft_latch_init
        weft_latch_fini weft_local_create weft_local_delete weft_local_set weft_mutex_init weft_mutex_fini weft_once_init
        weft_once_fini weft_rwlock_init weft_rwlock_fini weft_scope_begin weft_scope_end weft_sem_init weft_sem_fini
        weft_timer_init weft_timer_fini weft_timer_reset weft_timer_stop weft_waitgroup_init weft_waitgroup_fini
        weft_waitgroup_add weft_cancel_mask weft_cancel_unmask weft_runtime_create weft_runtime_set_workers weft_trim""",
    'let others go on, or tell them': """
        weft_barrier_break weft_cancel weft_chan_close weft_close weft_cond_broadcast weft_cond_signal weft_event_reset weft_event_set
        weft_fd_forget
        weft_group_cancel weft_latch_count_down weft_mutex_unlock weft_rwlock_downgrade weft_rwlock_unlock
        weft_scope_cancel weft_sem_release weft_waitgroup_done""",
    'look at something': """
        weft_after weft_cancelled weft_chan_cap weft_chan_closed weft_chan_len weft_chan_memory_size weft_coro_done
        weft_coro_inside weft_coro_self weft_local_get weft_now weft_runtime_self weft_runtime_stats weft_runtime_workers
        weft_self weft_sem_value weft_task_name weft_task_number weft_version weft_version_string weft_worker_id
        weft_worker_stats""",
    'make or leave a task, which runs by itself': """
        weft_detach weft_fork weft_spawn weft_spawn_with weft_submit weft_submit_with""",
    'let others run, without a condition': """
        weft_coro_enter weft_coro_yield weft_yield""",
}

# Their waits cannot be cut short, so there is no line for them.
WAIT_OTHERWISE = {
    'wait for forks only, as weft_fork_join()': 'weft_for weft_reduce',
    'wait for every task of a runtime, outside of it': 'weft_run weft_run_with weft_runtime_destroy',
}

# With options: as the plain form.
PLAIN_OF = {'weft_group_spawn_with': 'weft_group_spawn', 'weft_group_submit_with': 'weft_group_submit'}


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def declared(include):
    """Function to prototype, of all headers."""
    return {name: function.prototype for name, function in interface.functions(include).items() if not HIDDEN.search(name)}


def stale(include, texts):
    """Names that a text uses and no header declares."""
    headers = [os.path.join(include, 'weft', name) for name in os.listdir(os.path.join(include, 'weft')) if name.endswith('.h')]
    known = {'weft_dep'}  # meson's
    for path in headers:
        known.update(re.findall(r'\bweft_\w+', interface.COMMENT.sub('', read(path))))
    for path in headers + texts:
        for name in sorted(set(re.findall(r'(?<![\w/.-])weft_[a-z0-9]\w*', read(path))) - known):
            if not name.startswith('weft_noun_'):  # stands for any
                yield '%s: there is no %s' % (path, name)


def documented(page):
    """Function to prototype, of a page's synopsis; and the names in its NAME."""
    functions, names = {}, set()
    section, result, parts = '', '', None
    for line in read(page).splitlines():
        words = shlex.split(line.replace("'", '')) if line.startswith('.') else ['']
        macro, rest = words[0], [w for w in words[1:] if w != ',']
        if macro == '.Sh':
            section = rest[0]
        elif macro == '.Nm' and section == 'NAME':
            names.update(rest)
        elif section != 'SYNOPSIS':
            continue
        elif macro == '.Ft':
            result = ' '.join(rest)
        elif macro == '.Fn':
            functions[rest[0]] = interface.normal('%s %s(%s)' % (result, rest[0], ','.join(rest[1:])))
        elif macro == '.Fo':
            parts = [rest[0]]
        elif macro == '.Fa' and parts:
            parts.append(rest[0])
        elif macro == '.Fc':
            functions[parts[0]] = interface.normal('%s %s(%s)' % (result, parts[0], ','.join(parts[1:])))
            parts = None
    return functions, names


def table_of_test(test):
    """Call to cells, of the rows of the test: {"weft_call", function, function or NULL, cell, ...}."""
    text = ' '.join(interface.COMMENT.sub('', read(test)).split())
    rows = re.findall(r'\{ ?"(weft_\w+)", until_\w+, \w+, (\w+)((?:, (?:"[^"]*"|NONE))+) ?\}', text)
    return {name: [c.strip('"').replace('NONE', '-') for c in cells.split(', ')[1:]] for name, _, cells in rows}


def table_of_page(page):
    """The same, of the page's column list."""
    rows = {}
    for line in read(page).splitlines():
        match = re.match(r'\.It Fn (weft_\w+) Ta (.*)', line)
        if match:
            rows[match[1]] = [re.sub(r'^Er ', '', cell) for cell in match[2].split(' Ta ')]
    return rows


def in_table(name, rows):
    """Whether a line of the table is of this function or of a form of it."""
    name = PLAIN_OF.get(name, name)
    return name in rows or name + '_until' in rows or name.replace('_try_', '_') + '_until' in rows


def check_lists(headers, rows):
    """Each function is in the table, or in exactly one of the lists."""
    listed = [name for names in [*NEVER_WAIT.values(), *WAIT_OTHERWISE.values()] for name in names.split()]
    for name in sorted(set(headers)):
        if listed.count(name) + in_table(name, rows) != 1:
            yield '%s: is in the table of waiting calls %d times, and in the lists of docs/man/check.py %d times' % (
                name, in_table(name, rows), listed.count(name))
    for name in sorted(set(listed) - set(headers)):
        yield 'docs/man/check.py: there is no %s' % name


def check_waits(headers, test, page):
    """What is wrong with the table of waiting calls."""
    tried, said = table_of_test(test), table_of_page(page)
    wrong = ['%s: %s\n  page: %s\n  test: %s' % (page, name, said.get(name), tried.get(name))
             for name in sorted(set(tried) | set(said)) if tried.get(name) != said.get(name)]
    wrong += check_lists(headers, said)
    return wrong + ['%s: %s is not a function' % (page, name) for name in sorted(set(said) - set(headers))]


def main():
    include, test, pages = sys.argv[1], sys.argv[2], sys.argv[3:]
    headers, where, wrong = declared(include), {}, []
    for page in pages:
        functions, names = documented(page)
        for name, prototype in functions.items():
            if name in where:
                wrong.append('%s: %s is in %s already' % (page, name, where[name]))
            where[name] = page
            if headers.get(name) != prototype:
                wrong.append('%s: %s\n  page:   %s\n  header: %s' % (page, name, prototype, headers.get(name)))
        if functions and set(functions) != names:
            wrong.append('%s: NAME and SYNOPSIS differ: %s' % (page, ' '.join(sorted(names ^ set(functions)))))
    wrong += ['%s is in no page' % name for name in sorted(set(headers) - set(where))]
    for page in pages:
        if os.path.basename(page) == 'weft-waits.7':
            wrong += check_waits(headers, test, page)
    root = os.path.join(include, '..')
    texts = [os.path.join(root, name) for name in ('README.md', 'docs/guide.md', 'docs/architecture.md', 'docs/glossary.md',
                                                   'docs/decisions.md')]
    texts += sorted(glob.glob(os.path.join(root, 'docs', 'internals', '*.md')))
    wrong += stale(include, pages + texts)
    mandoc = shutil.which('mandoc')
    if mandoc:
        lint = subprocess.run([mandoc, '-Tlint', '-Wwarning'] + pages, capture_output=True, text=True)
        if lint.returncode != 0:
            wrong.append(lint.stdout + lint.stderr)
    for line in wrong:
        print(line)
    print('%d functions in %d pages%s' % (len(where), len(pages), '' if mandoc else '; no mandoc to check the markup'))
    return 1 if wrong or not headers else 0


sys.exit(main())
