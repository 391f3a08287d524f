/* SPDX-License-Identifier: MIT */
/*
 * Task-local values. A key is a slot's number and the slot's generation, which changes whenever a
 * key is created or deleted there: an old key finds nothing. A task's values are an array with one
 * place for each slot, made at its first weft_local_set(); each says of which key it is, so that
 * deleting a key need not look for its values.
 *
 * The generation is odd while the slot is in use. Creating and deleting are under the lock; the
 * rest only reads.
 */
#include "sched/core/task.h"
#include "sched/core/worker.h"
#include "src/alloc.h"
#include "src/process_locks.h"

#include <weft/local.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BITS    16
#define SLOT_OF(key) ((size_t)((key) & (((uint64_t)1 << SLOT_BITS) - 1)))
#define ROUNDS       4
#define FIRST_VALUES 8

static_assert(WEFT_LOCAL_MAX <= 1 << SLOT_BITS, "a key has room for its slot");

typedef void destructor_fn(void *value);

struct slot {
	/* stored under the lock; read relaxed, where it matters after an acquire of destructor */
	_Atomic uint64_t generation;
	/* stored under the lock, while the generation is even */
	_Atomic(destructor_fn *) destructor;
};

static struct slot slots[WEFT_LOCAL_MAX];

struct value {
	weft_local key;
	void *value;
};

/* A task's values. The task's alone. */
struct locals {
	struct task_end end;
	size_t count;
	struct value values[];
};

static inline weft_local key_of(size_t slot, uint64_t generation)
{
	return generation << SLOT_BITS | slot;
}

static inline bool is_key(weft_local key)
{
	size_t slot = SLOT_OF(key);

	/* relaxed: the caller got the key from its creator, who ordered that. */
	return slot < WEFT_LOCAL_MAX && (key >> SLOT_BITS) % 2 == 1 &&
	       key == key_of(slot,
			     atomic_load_explicit(&slots[slot].generation, memory_order_relaxed));
}

/* The task's place for the key's value; NULL: it has none. */
static struct value *find(struct locals *locals, weft_local key)
{
	size_t slot = SLOT_OF(key);

	if (!locals || slot >= locals->count || locals->values[slot].key != key)
		return NULL;
	return &locals->values[slot];
}

/* The key's destructor; NULL also if it is none any more. */
static destructor_fn *destructor_of(weft_local key)
{
	struct slot *slot = &slots[SLOT_OF(key)];

	/* acquire: the generation below is read after it. If what we read is the destructor of a
	 * later key in the slot, then we see that ours was deleted before, by its generation. */
	destructor_fn *fn = atomic_load_explicit(&slot->destructor, memory_order_acquire);
	return is_key(key) ? fn : NULL;
}

static void run_destructors(struct task *t)
{
	uint16_t mask = t->mask;
	bool again = true;

	/* A destructor may wait, also in a task that was cancelled: what it has to put back may
	 * need a lock or an answer. */
	t->mask = 1;
	/* t->end anew each time: a destructor that sets a value may move the array. */
	for (unsigned round = 0; round < ROUNDS && again; round++) {
		again = false;
		for (size_t i = 0; i < ((struct locals *)t->end)->count; i++) {
			struct value *v = &((struct locals *)t->end)->values[i];
			void *value = v->value;
			if (!value)
				continue;
			v->value = NULL;
			destructor_fn *destructor = destructor_of(v->key);
			if (destructor) {
				destructor(value);
				again = true;
			}
		}
	}
	t->mask = mask;
	free(t->end);
	t->end = NULL;
}

/* Makes room for the slot in the task's values. false: no memory. */
static bool grow(struct task *t, size_t slot)
{
	struct locals *old = (struct locals *)t->end;
	size_t count = old ? old->count : FIRST_VALUES;

	while (count <= slot)
		count *= 2;
	struct locals *new = weft__calloc(1, sizeof *new + count * sizeof new->values[0]);
	if (!new)
		return false;
	new->end.run = run_destructors;
	new->count = count;
	if (old)
		memcpy(new->values, old->values, old->count * sizeof old->values[0]);
	free(old);
	t->end = &new->end;
	return true;
}

int weft_local_create(void (*destructor)(void *value), weft_local *ret_key)
{
	int rc = -EAGAIN;

	if (!ret_key)
		return -EINVAL;
	weft__lock_process(WEFT__LOCK_LOCAL_KEYS);
	for (size_t i = 0; i < WEFT_LOCAL_MAX && rc < 0; i++) {
		uint64_t generation =
			atomic_load_explicit(&slots[i].generation, memory_order_relaxed);
		if (generation % 2 == 1)
			continue;
		/* release, both: see destructor_of(). */
		atomic_store_explicit(&slots[i].destructor, destructor, memory_order_release);
		atomic_store_explicit(&slots[i].generation, generation + 1, memory_order_release);
		*ret_key = key_of(i, generation + 1);
		rc = 0;
	}
	weft__unlock_process(WEFT__LOCK_LOCAL_KEYS);
	return rc;
}

int weft_local_delete(weft_local key)
{
	int rc = -EINVAL;

	weft__lock_process(WEFT__LOCK_LOCAL_KEYS);
	if (is_key(key)) {
		struct slot *slot = &slots[SLOT_OF(key)];
		uint64_t generation = key >> SLOT_BITS;
		/* release: see destructor_of(). */
		atomic_store_explicit(&slot->generation, generation + 1, memory_order_release);
		rc = 0;
	}
	weft__unlock_process(WEFT__LOCK_LOCAL_KEYS);
	return rc;
}

void *weft_local_get(weft_local key)
{
	struct worker *w = weft__worker();
	struct value *v = w && is_key(key) ? find((struct locals *)w->task->end, key) : NULL;

	return v ? v->value : NULL;
}

int weft_local_set(weft_local key, void *value)
{
	struct worker *w = weft__worker();

	if (!w)
		return -EPERM;
	if (!is_key(key))
		return -EINVAL;
	struct task *t = w->task;
	struct locals *locals = (struct locals *)t->end;
	size_t slot = SLOT_OF(key);
	if (!locals || slot >= locals->count) {
		if (!value)
			return 0;
		if (!grow(t, slot))
			return -ENOMEM;
	}
	((struct locals *)t->end)->values[slot] = (struct value){key, value};
	return 0;
}
