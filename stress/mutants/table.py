# SPDX-License-Identifier: MIT
"""
What a mutant is, and all of them: the library with one deliberate bug each, which the tests must notice.

A mutant is a text of one source file, which must be there exactly once (so that none can become stale unnoticed), and
another one in its place. White space counts as one blank on both sides, so that formatting alone changes nothing. What
catches it is one command: a unit test or a stress, with environment and arguments, that passes with the real library;
or, where only a machine of weaker ordering than this one would show it, a broken twin of a model.

A header's mutant is a header that is included before everything else, so that its guard keeps the real one away: in the
unit test, and in those sources of the library that are named as its includers.
"""
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A program of the build folder, as tests/meson.build or stress/meson.build names it."""
    program: str  # 'sched-core-fork', 'stress-hop'
    environment: tuple = ()  # 'NAME=value'
    arguments: tuple = ()

    def __str__(self):
        return ' '.join(self.environment + (self.program,) + self.arguments)


@dataclass(frozen=True)
class Twin:
    """A broken twin of a model in tests/models/."""
    model: str
    name: str

    def __str__(self):
        return '%s.pml %s' % (self.model, self.name)


@dataclass(frozen=True)
class Mutant:
    name: str
    bug: str
    source: str
    old: str
    new: str
    caught_by: object  # Command or Twin
    includers: tuple = ()
    programs: tuple = ()  # made elsewhere (meson.build); else `source`, `old` and `new` say how it is made

    def apply(self, text):
        """The source's text with the bug in it. ValueError if it is not made for this source."""
        pattern = r'\s+'.join(re.escape(word) for word in self.old.split())
        found = len(re.findall(pattern, text))
        if found != 1:
            raise ValueError('mutant %s: this must be in %s once, but is there %d times:\n%s' %
                             (self.name, self.source, found, self.old))
        return re.sub(pattern, lambda match: self.new, text)


def unit(name, *environment, **rest):
    return Command(name, environment, **rest)


# What a stress does in a second or two of a quiet machine. A number of rounds and not of seconds: on a busy machine a
# mutant gets as much work to show itself in, and more time for it.
ROUNDS = {
    'hop': 400000, 'hop-shared': 400000, 'workers': 200000, 'steal': 300, 'submit': 8000, 'cancel': 400000, 'sync': 4000000,
}


def stress(name, *environment):
    """--hang: so many seconds without any progress are a hang."""
    return Command('stress-' + name, environment, ('--rounds', str(ROUNDS[name]), '--seed', '1', '--hang', '20'))


def twin(model, name):
    return Twin(model, name)


def all_mutants():
    # Here, because these files need what is above.
    import table_core
    import table_queue
    import table_sync
    mutants = table_core.MUTANTS + table_queue.MUTANTS + table_sync.MUTANTS
    assert len({mutant.name for mutant in mutants}) == len(mutants), 'two mutants have one name'
    return mutants
