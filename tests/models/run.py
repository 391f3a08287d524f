#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Checks the models of this folder exhaustively with SPIN, and that SPIN rejects the broken twins of each.

  run.py [--cc CC] [--keep DIR] [MODEL ...]      without a name: all models
  run.py --long [MODEL ...]                      within larger bounds, without the twins
  run.py --list                                  prints the models' names

The opening comment of a model must name files and functions that exist. It must list exactly the BROKEN_ twins that the file has
and that MODELS below runs. SPIN must verify the model within each of its bounds, and visit every state. It must reject each
twin, by an assertion, or by a state in which nobody can go on (a lost wake). A twin differs from the model by one preprocessor
definition.

Prints a table. Exit status: 0 if all is as it should be, 1 if not, 77 if spin is not installed.
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

# A search ends by what there is to look at, and is bound by memory and by depth. It takes as long as it takes.
MEMORY_MIB = 900
DEPTH = 200000

# A twin is rejected at the first state that shows its bug. These have the search take steps, or actors, in the opposite order,
# where the bug then shows sooner.
STEPS_BACK = ' -DT_REVERSE'
ALL_BACK = ' -DT_REVERSE -DREVERSE'

# Per model: the bounds in which it must be verified, then those in which its twins must be rejected (in which --long verifies it,
# where they are others).
IDLE = {
    'ring': 'PUT=0',
    'again': 'PUT=3 OUTSIDE=0',
    'closing': 'WORKERS=2 OUTSIDE=0 PINNED CLOSING',
    'idle': 'IDLE WORKERS=2',
}
MODELS = {
    'idle': (IDLE.values(), {
        IDLE['ring']: 'NO_HEAVY ANNOUNCE_FIRST NO_LOOK_FENCE HAND_COUNTED HAND_UNSETTLED',
        IDLE['ring'] + STEPS_BACK: 'NO_RECHECK LOOK_FIRST LEAVE_LATE NO_LOOK_AROUND',
        IDLE['ring'] + ALL_BACK: 'NO_RECHECK_INBOX',
        'PUT=1': 'BETWEEN_FOR_GOOD',
        'PUT=1' + STEPS_BACK: 'KEEP_WATCHING',
        'PUT=1' + ALL_BACK: 'HAND_WATCHES',
        'PUT=2': 'HAND_DROPPED',
        IDLE['again']: 'NO_WATCH WATCH_NO_LOOK',
        'PUT=3' + STEPS_BACK: 'WATCH_STOPS_LATE',
        'OUTSIDE=0 SEARCHERS=2 PINNED': 'NUDGE_FIRST',
        IDLE['closing']: 'NOT_OVER',
        IDLE['idle']: 'OUTSIDE_LIGHT',
    }),
    'due': ([''], {'': 'LIGHT LOOK_FIRST NO_LEFT NO_LOOK FORGET SET_ANYWAY KEEP'}),
    'keeper': (['', 'ARMS=1 OUTSIDE=1', 'ARMS=1 RETIRE', 'ARMS=1 RETIRE ARMER=2'], {
        '': 'NO_HEAVY LOOK_FIRST ANNOUNCE_FIRST NO_ANNOUNCE ONLY_IF_UNKEPT NO_KEEP_AGAIN NO_LOOK_AROUND',
        'ARMS=1 OUTSIDE=1': 'NO_RESET KEEP_ROUSED HAND_KEEPER HAND_UNSETTLED',
        'ARMS=1 RETIRE ARMER=2': 'NO_SIGN_OFF',
    }),
    'timekeeper': (['', 'TWO CALM'], {
        '': 'NO_ENGAGE NO_POST KEEPER_SILENT CALLER_SILENT SLEEPER_SILENT WOKEN_SILENT POST_LIGHT START_LIGHT '
            'ARMED_SILENT',
        'OTHERS=2': 'POST_FIRST',
        'TWO CALM': 'NO_HEAVY LOOK_FIRST NO_PLAN NO_RETURN',
    }),
    'retire': (['', 'RING', 'AGAIN'], {
        'RING': 'NO_HAND_OVER',
        '': 'NO_DRAIN NO_SYNCHRONIZE NO_STOP NO_LOOK_AROUND NO_NUDGE NUDGE_FIRST NO_RECHECK NUDGE_LIGHT',
        'PINNED': 'NO_PINNED',
        'AGAIN': 'LEAVE_ANYWAY NO_NUDGE_BACK AS_IT_IS_NOW',
    }),
    'sem': (['', 'ACQUIRERS=2 RELEASERS=2', 'ACQUIRERS=2 RELEASERS=2 WANT=2', 'ACQUIRERS=2 FIRST=1 WANT=2'], {
        '': 'BOTH_WIN GIVE_ANYWAY NO_DROP NO_REMOVE NO_AWAIT CLAIM_LATE LOCK_STORES TAKE_STORES TAKE_LOCKED NEXT_LATE '
            'REST_LATE REST_LOST',
        'ACQUIRERS=2 FIRST=1 WANT=2': 'LEAVE_ONLY',
    }),
    'cond': (['SIGNALLERS=1'], {
        'SIGNALLERS=1': 'OVERWRITE FILE_EARLY LOOK_ORDER STAYS FRESH_FIRST',
        '': 'TAKE_UNLOCKED',
    }),
    'select': (['', 'CAPACITY=1'], {
        '': 'ONE_BY_ONE NO_SECOND_LOOK LOCK_AS_GIVEN LEAVE_NODE NO_CLAIM GIVE_UP_ANYWAY CLAIM_LATE COPY_LATE',
        'CAPACITY=1': 'NO_REFILL',
    }),
    'waitgroup': (['', 'OUTSIDER'], {'': 'ZERO_UNLOCKED NO_AWAIT NO_RECHECK', 'OUTSIDER': 'STORE_ZERO'}),
    'timer': (['RESETS=1'], {'RESETS=1': 'SILENT TWICE READ_EARLY NO_SECOND_LOOK RETIMED_IS_TAKEN', '': 'STALE'}),
    'end': ([''], {'': 'STARTS_FIRST STALE_COUNT COUNT_LATE NO_HEAVY'}),
    'inject': ([''], {'': 'BLOCKED_IS_ENOUGH NO_LOOK_AGAIN NO_ANNOUNCE NO_HEAVY NO_MARK'}),
    'deque': (['OPS=3', 'OPS=6 STEALS_1=2 STEALS_2=0'], {
        'OPS=3': 'NO_HEAVY NO_LIGHT BOTTOM_FIRST NO_CLAIM BACK_TO_ZERO NO_CUT PUBLISH_EARLY BUFFER_LATE FREE_OLD NO_COPY NO_CAS '
            'READ_LATE READ_EARLY OVERWRITE',
    }),
    'ring': (['', 'GROWS STEALS_1=0 STEALS_2=2'], {
        '': 'NO_HEAVY NO_LIGHT LOOK_FIRST IGNORE_TAKING OWN_STORES PUBLISH_EARLY READ_LATE OVERWRITE POP_STORES STEAL_STORES',
        'GROWS STEALS_1=0 STEALS_2=2': 'BUFFER_LATE NO_COPY FREE_OLD',
    }),
    'slot': ([''], {'': 'NO_HEAVY LOOK_FIRST IGNORE_TAKING PLAIN RAIDED_EARLY TAKING_EARLY'}),
    'wait': (['', 'THREAD'], {
        '': 'PUBLISH_EARLY PARK_EARLY CLAIM_LATE NO_UNLINK NO_DISARM NO_UNWATCH UNWATCH_NO_WAIT NO_RECHECK WATCH_LATE '
            'NO_HEAVY BUSY_EARLY TWO_CLAIMS WAKE_ANYWAY WANTED_LATE NO_LOOK NO_WANTED SELF_NO_HEAVY LONE_TIMED '
            'EARLY_NO_HEAVY EARLY_LOOK_FIRST EARLY_NO_LOOK EARLY_NO_RECHECK EARLY_TWICE',
        'THREAD': 'SIGNAL_LATE CLAIM_LATE NO_UNLINK TWO_CLAIMS NO_UNWATCH UNWATCH_NO_WAIT NO_RECHECK WATCH_LATE NO_HEAVY '
                  'BUSY_EARLY',
    }),
    'family': (['', 'LISTED'], {
        '': 'NO_LOOK LOOK_FIRST UNLOCKED ONE_UP NO_HEAVY NO_LEAVE POLL_NO_WAIT POLL_NEAR POLL_ROOT UNLOCK_EARLY',
    }),
    'scope': (['', 'CANCELLED'], {
        '': 'NO_ARM NO_CLOCK ARM_ONLY NO_DISARM NO_AWAIT FIRING_LATE UNFIRE_EARLY KEEP_UNLOCKED NO_REASON',
    }),
    'branch': (['', 'CANCELLERS=2'], {
        '': 'NO_HOLD_WAIT NO_CUT NO_LOCK NO_CHECK LET_GO_EARLY IN_ORDER LEAVE_UNLOCKED AWAIT_LOCKED',
    }),
    'lookout': ([''], {'': 'WAKER_LIGHT SLEEPER_LIGHT LOOK_FIRST RING_FIRST TWO ALL_SILENCE'}),
    'descriptor': (['', 'CLOSE'], {
        '': 'CLEAR_LATE NO_PASS_ON LOOK_UNLOCKED EDGE_NO_TAKE CANCEL_EATS',
        'CLOSE': 'NO_GENERATION NO_CALLS EXPEL_ONCE',
    }),
    'join': ([''], {'': 'NO_HEAVY LOOK_FIRST NO_AWAIT DONE_EARLY GIVE_UP_STORES END_STORES JOIN_STORES RESULT_LATE '
                    'TOUCH_LATE'}),
}

# With --long: larger bounds in which the model must be verified as well, each within minutes.
LONG = {
    'idle': ['PUT=1', 'PUT=2', 'PUT=3', 'OUTSIDE=0 SEARCHERS=2 PINNED'],
    'due': [],
    'keeper': ['ARMS=2 SEARCHERS=2'],
    'timekeeper': ['OTHERS=2'],
    'retire': ['PINNED', 'RING SENDER', 'RING SENDER PINNED'],
    'sem': ['ACQUIRERS=3 RELEASERS=2', 'ACQUIRERS=3 FIRST=1 RELEASERS=2 WANT=2'],
    'cond': [''],
    'select': ['FOURTH=2', 'FOURTH=2 CAPACITY=1'],
    'end': [],
    'inject': [],
    'deque': ['', 'OPS=5 STEALS_1=1'],
    'ring': ['PUSHES=4', 'GROWS PUSHES=4 STEALS_1=1'],
    'slot': ['TASKS=4 RAIDS=4'],
    'wait': ['ROUNDS=3', 'THREAD ROUNDS=4'],
    'family': ['ROUNDS=4', 'LISTED ROUNDS=4'],
    'branch': ['CANCELLERS=3'],
    'scope': [],
    'descriptor': [],
    'lookout': [],
    'join': ['ATTEMPTS=5'],
}

# tcc compiles a verifier in a fiftieth of gcc's time, and its code is as fast as that of gcc -O0. An optimised verifier
# needs a third less time for its search. That pays from about ten million states on.
LARGE = {('idle', '', 'PUT=0'), ('idle', 'HAND_COUNTED', 'PUT=0'), ('idle', 'HAND_UNSETTLED', 'PUT=0'),
         ('idle', 'HAND_DROPPED', 'PUT=2'), ('ring', '', ''), ('wait', '', ''), ('wait', 'WATCH_LATE', '')}

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def stale_comment(name):
    """What is wrong with the opening comment of a model: yields lines."""
    with open(os.path.join(HERE, name + '.pml'), encoding='utf-8') as file:
        text = file.read()
    comment = text[text.index('/*\n', text.index('SPDX')) + 3:]
    comment = comment[:comment.index(' */\n')]
    paragraphs = {}
    for paragraph in comment.split('\n *\n'):
        title, _, rest = re.sub(r'\s*\n \* ', ' ', paragraph).strip(' *').partition(':')
        paragraphs[title] = rest
    if 'Mirrors' not in paragraphs or 'Broken' not in paragraphs or 'Bounds' not in paragraphs:
        yield '%s: the opening comment lacks a paragraph Mirrors, Bounds or Broken' % name
        return

    path, source, named = None, '', 0
    for word in re.findall(r'sched/\S+\.[ch]|\w+\(\)', paragraphs['Mirrors']):
        if not word.endswith('()'):
            path = word
            with open(os.path.join(ROOT, path), encoding='utf-8') as file:
                source = file.read()
        elif not re.search(r'^(\w.*\b)?' + re.escape(word[:-1]), source, re.MULTILINE):
            yield '%s: there is no %s in %s' % (name, word, path)
        else:
            named += 1
    if named == 0:
        yield '%s: names nothing that it mirrors' % name

    in_file = set(re.findall(r'\bBROKEN_([A-Z_]+)', text))
    listed = set(re.findall(r'\b[A-Z][A-Z_]{2,}(?= \(THREAD\):|[:,])', paragraphs['Broken']))
    run = set(' '.join(MODELS[name][1].values()).split())
    for what, twins in (('in the comment', listed), ('run', run)):
        for twin in sorted(in_file ^ twins):
            yield '%s: BROKEN_%s is in the file or %s, but not both' % (name, twin, what)


def call(command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def verifier_compiler(large, cc):
    """Returns the command of the compiler for a verifier, and the size of its hash table as a power of two."""
    if large:
        return cc + ['-O1'], 24
    return (['tcc'] if shutil.which('tcc') else cc + ['-O0']), 21


def check(name, bounds, twin, large, cc, folder):
    """
    Runs SPIN once. Returns the verdict, whether it is the one wanted, and the number of states.

    bounds  Definitions for the model, and options for the compiler of its verifier.
    large   Whether to expect more states than those of the tests.
    """
    for entry in os.listdir(HERE):
        if entry.endswith(('.pml', '.h')):
            shutil.copy(os.path.join(HERE, entry), folder)
    search = [b for b in bounds.split() if b.startswith('-D')]
    defines = ['-D' + b for b in bounds.split() if b not in search] + (['-DBROKEN_' + twin] if twin else [])

    code, output = call(['spin', '-a'] + defines + [name + '.pml'], folder)
    if code != 0 or 'Error' in output:
        return 'spin: ' + output.strip(), False, 0
    # SAFETY: assertions and invalid end states. COLLAPSE: lossless compression of states; no hashing in their place.
    compiler, table = verifier_compiler(large or (name, twin, bounds) in LARGE, cc)
    code, output = call(compiler + search + ['-w', '-DSAFETY', '-DCOLLAPSE', '-DMEMLIM=%d' % MEMORY_MIB, '-o', 'pan', 'pan.c'],
                        folder)
    if code != 0:
        return 'cc: ' + output.strip(), False, 0
    code, output = call(['./pan', '-m%d' % DEPTH, '-w%d' % table], folder)

    states = re.search(r'^\s*([0-9.e+]+) states, stored', output, re.MULTILINE)
    errors = re.search(r'errors: (\d+)$', output, re.MULTILINE)
    count = int(float(states.group(1))) if states else 0
    complete = (code == 0 and errors and 'Full statespace search' in output and not
                re.search('not completed|max search depth|out of memory|MEMLIM bound|vector too large', output))
    failed = re.search(r'^pan:1: (.*?) \(at depth', output, re.MULTILINE)
    if failed:
        known = failed.group(1).startswith(('assertion violated', 'invalid end state'))
        return failed.group(1), bool(twin) and known, count
    if complete and errors.group(1) == '0':
        return 'verified', not twin, count
    return 'not finished:\n' + output, False, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n')[0])
    parser.add_argument('--cc', default=os.environ.get('CC', 'cc'), help='the C compiler for large verifiers, or for all if there is no tcc')
    parser.add_argument('--keep', help='a folder to leave each verifier and its trail in')
    parser.add_argument('--long', action='store_true', help='larger bounds, no twins')
    parser.add_argument('--list', action='store_true', help='print the names of the models')
    parser.add_argument('models', nargs='*', metavar='MODEL', help=', '.join(MODELS))
    options = parser.parse_args()
    if options.list:
        print('\n'.join(MODELS))
        return 0
    if not shutil.which('spin'):
        print('there is no spin (Debian package spin)')
        return 77
    unknown = [name for name in options.models if name not in MODELS]
    if unknown:
        parser.error('no such model: ' + ', '.join(unknown))

    wrong = 0
    print('%-8s %-18s %-30s %9s %7s  %s' % ('model', 'twin', 'bounds', 'states', 'seconds', 'verdict'))
    for name in options.models or MODELS:
        for line in stale_comment(name):
            print(line)
            wrong += 1
        verified, twins = MODELS[name]
        if options.long:
            verified, twins = LONG[name], {}
        runs = [(bounds, '') for bounds in verified]
        runs += [(bounds, twin) for bounds, list_ in twins.items() for twin in list_.split()]
        for bounds, twin in runs:
            if options.keep:
                folder = os.path.join(options.keep, '-'.join([name] + bounds.split() + twin.split()))
                os.makedirs(folder, exist_ok=True)
            else:
                folder = tempfile.mkdtemp(prefix='weft-model-')
            begin = time.monotonic()
            try:
                verdict, right, states = check(name, bounds, twin, options.long, shlex.split(options.cc), folder)
            finally:
                if not options.keep:
                    shutil.rmtree(folder)
            print('%-8s %-18s %-30s %9d %7.1f  %s%s' % (name, twin or '-', bounds or '-', states, time.monotonic() - begin,
                                                       verdict, '' if right else '   <-- WRONG'), flush=True)
            wrong += not right
    print('%s' % ('all as it should be' if wrong == 0 else '%d wrong' % wrong))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
