# SPDX-License-Identifier: MIT
"""
The mutants. Each is the library with one deliberate bug, which the tests must notice.

A mutant replaces one text of one source file by another. The text must be in the file exactly once, so a stale mutant is
an error. White space counts as one blank on both sides, so formatting changes nothing.

One command catches a mutant, and it passes with the real library. It is a stress program with environment and arguments,
or one test function of a unit test. The others of that program would take more time and find nothing else. Some bugs show only on a machine with weaker ordering than this one. A broken twin of a model stands
for these.

A mutated header is included before everything else, so its include guard keeps the real header out. The unit test
includes it, and so do the library's sources that are named as its includers.
"""
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A program of the build folder, by its name in tests/meson.build or stress/meson.build."""
    program: str  # 'sched-core-fork', 'stress-hop'
    environment: tuple = ()  # 'NAME=value'
    arguments: tuple = ()
    test: str = ''  # the only test of a unit test's program that runs (tests/only.c)

    def variables(self):
        return self.environment + (('WEFT_TEST_ONLY=' + self.test,) if self.test else ())

    def __str__(self):
        return ' '.join(self.environment + (self.program,) + self.arguments + ((self.test,) if self.test else ()))


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
    programs: tuple = ()  # made by meson.build; if empty, made from `source`, `old` and `new`

    def apply(self, text):
        """Returns the source's text with the bug. Raises ValueError if the mutant does not fit this source."""
        pattern = r'\s+'.join(re.escape(word) for word in self.old.split())
        found = len(re.findall(pattern, text))
        if found != 1:
            raise ValueError('mutant %s: this must be in %s once, but is there %d times:\n%s' %
                             (self.name, self.source, found, self.old))
        return re.sub(pattern, lambda match: self.new, text)


def unit(name, test, *environment):
    return Command(name, environment, test=test)


# The rounds that a stress makes in half a second or so on a quiet machine. They are rounds and not seconds, so on a busy
# machine a mutant gets the same work, and more time.
ROUNDS = {
    'hop': 130000, 'hop-shared': 130000, 'workers': 70000, 'steal': 100, 'submit': 2500, 'cancel': 130000, 'sync': 1300000,
}


def stress(name, *environment):
    """--hang: after that many seconds without progress the program counts as hanging."""
    return Command('stress-' + name, environment, ('--rounds', str(ROUNDS[name]), '--seed', '1', '--hang', '20'))


def twin(model, name):
    return Twin(model, name)


def all_mutants():
    # Imported here, because these files need the names above.
    import table_core
    import table_queue
    import table_sync
    mutants = table_core.MUTANTS + table_queue.MUTANTS + table_sync.MUTANTS
    assert len({mutant.name for mutant in mutants}) == len(mutants), 'two mutants have one name'
    return mutants
