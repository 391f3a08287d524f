# SPDX-License-Identifier: MIT
"""Mutants of the containers: sched/queue/."""
from table import Mutant, twin, unit

MUTANTS = [
    Mutant('deque-pop-no-fence', 'the owner reads top before its lower bottom can be seen',
           'sched/queue/deque.h',
           'weft__fence_light();',
           '',
           unit('sched-queue-deque')),
    Mutant('deque-steal-no-fence', 'a thief reads bottom without having seen what the owner lowered',
           'sched/queue/deque.c',
           'weft__fence_heavy();',
           '',
           unit('sched-queue-deque')),
    Mutant('deque-bottom-acquire', 'the acquire of bottom is weakened: the slot may be read before it',
           'sched/queue/deque.c',
           'int64_t bottom = atomic_load_explicit(&d->bottom, memory_order_acquire);',
           'int64_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed);',
           twin('deque', 'READ_EARLY')),
    Mutant('deque-buffer-freed', 'an outgrown buffer is freed at once',
           'sched/queue/deque.c',
           'd->full = top + capacity;',
           'free(buffer->older); buffer->older = NULL; d->full = top + capacity;',
           unit('sched-queue-deque', 'MALLOC_PERTURB_=165')),  # glibc fills what is freed
    Mutant('deque-last-taken-twice', 'the owner takes the last element without asking the thieves',
           'sched/queue/deque.c',
           '''if (!atomic_compare_exchange_strong_explicit(
           &d->front, &front, next, memory_order_relaxed, memory_order_relaxed))
           continue;''',
           'atomic_store_explicit(&d->front, next, memory_order_relaxed);',
           unit('sched-queue-deque')),
    Mutant('ring-pop-stores', 'the owner takes the oldest of the ring without asking the thieves',
           'sched/queue/ring.h',
           '''if (atomic_compare_exchange_weak_explicit(
           &r->head, &head, head + 1, memory_order_relaxed, memory_order_relaxed))
           return element;''',
           'atomic_store_explicit(&r->head, head + 1, memory_order_relaxed); return element;',
           unit('sched-queue-ring')),
    Mutant('ring-steal-release', 'the release of head is weakened: a slot may be read after it was reused',
           'sched/queue/ring.c',
           '&r->head, &head, head + n, memory_order_release, memory_order_relaxed',
           '&r->head, &head, head + n, memory_order_relaxed, memory_order_relaxed',
           twin('ring', 'READ_LATE')),
    Mutant('queue-no-second-look', 'a consumer does not look again for whom it turned away',
           'sched/queue/urcu.c',
           'look_again = atomic_exchange_explicit(&q->consumers, 0, memory_order_acq_rel) > 1;',
           'look_again = atomic_exchange_explicit(&q->consumers, 0, memory_order_acq_rel) > 99;',
           unit('sched-queue-urcu')),
    Mutant('rcu-no-grace-period', 'what readers may hold is freed without waiting for them',
           'sched/queue/urcu.c',
           'urcu_memb_synchronize_rcu();',
           '',
           unit('sched-queue-urcu')),
]
