#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Compiles each public header alone, in every standard that it is for: a header includes what it needs, and a pedantic compiler
has nothing to say. So do a program of each language's own kind, which uses what headers define: macros, initialisers, inline
functions.

Usage: standards.py INCLUDE_DIR COMPILER...
"""
import concurrent.futures
import os
import subprocess
import sys

# The first of each that the compiler knows; C23 was C2x for long.
STANDARDS = {
    'c': [('c11',), ('c17',), ('c23', 'c2x')],
    'c++': [('c++11',), ('c++14',), ('c++17',), ('c++20', 'c++2a')],
}

STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Wundef', '-Wcast-qual', '-Wmissing-declarations',
          '-Wwrite-strings', '-Werror']

NO_PROGRAM = 'extern int x;\n'
ALONE = '#include <weft/%s>\n#include <weft/%s>\n'

PROGRAM = '''
#include <weft/weft.h>

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;
static weft_rwlock rwlock = WEFT_RWLOCK_INIT;
static weft_sem sem = WEFT_SEM_INIT(3);
static weft_barrier barrier = WEFT_BARRIER_INIT(2);
static weft_once once = WEFT_ONCE_INIT;
static weft_latch latch = WEFT_LATCH_INIT(1);
static weft_event event = WEFT_EVENT_INIT, next = WEFT_EVENT_INIT_AUTO;
static weft_waitgroup group = WEFT_WAITGROUP_INIT;

#if WEFT_VERSION < WEFT_VERSION_NUMBER(0, 1, 0)
#error "older than any"
#endif

void *start(void *arg);

void *start(void *arg)
{
	struct weft_task_options options = NOTHING;
	struct weft_runtime_options more = NOTHING;
	struct weft_case cases[2] = {NOTHING, NOTHING};
	struct weft_stats stats;
	weft_runtime *rt;
	weft_forked fork;
	weft_task *task;

	weft_fork(&fork, start, arg);
	weft_mutex_lock(&mutex);
	weft_cond_signal(&cond);
	weft_rwlock_rdlock(&rwlock);
	weft_sem_release(&sem, weft_sem_value(&sem));
	weft_barrier_break(&barrier);
	weft_once_fini(&once);
	weft_latch_count_down(&latch, 1);
	weft_event_set(&event);
	weft_event_set(&next);
	weft_waitgroup_done(&group);
	cases[0].op = WEFT_RECV;
	if (weft_runtime_create(&more, &rt) < 0 || weft_runtime_stats(rt, &stats) < 0 ||
	    weft_spawn_with(&options, start, arg, &task) < 0 || weft_join_until(task, &arg, weft_after(1)) < 0 ||
	    weft_select(cases, 2, WEFT_FOREVER) < 0 || weft_version() < WEFT_VERSION)
		return 0;
	return weft_fork_join(&fork);
}
'''


def compile_text(compiler, include, language, standard, text):
    """What the compiler says; '' if it accepts the text."""
    command = compiler + ['-x', language, '-std=' + standard, '-fsyntax-only', *STRICT, '-I', include, '-']
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return '' if done.returncode == 0 else done.stdout or 'exit status %d' % done.returncode


def main():
    include, compiler = sys.argv[1], sys.argv[2:]
    headers = [h for h in sorted(os.listdir(os.path.join(include, 'weft'))) if h.endswith('.h')]
    texts = [ALONE % (h, h) for h in headers]
    wrong, used, jobs = [], [], []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for language, standards in STANDARDS.items():
            if compile_text(compiler, include, language, standards[0][0], NO_PROGRAM):
                wrong += ['there is no C'] if language == 'c' else []
                continue
            for names in standards:
                name = next((n for n in names if not compile_text(compiler, include, language, n, NO_PROGRAM)), None)
                if not name:
                    continue
                used.append(name)
                program = PROGRAM.replace('NOTHING', '{0}' if language == 'c' else '{}')
                for text in texts + [program]:
                    jobs.append((name, text, pool.submit(compile_text, compiler, include, language, name, text)))
        for name, text, job in jobs:
            if job.result():
                wrong.append('as %s: %s\n%s' % (name, text.split('\n')[0] or 'the program', job.result()))
    print('\n'.join(wrong + ['%d headers: %s' % (len(headers), ' '.join(used))]))
    return 1 if wrong or not headers else 0


sys.exit(main())
