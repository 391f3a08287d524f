/* SPDX-License-Identifier: MIT */
/*
 * Task-local values.
 *
 * A key is the number of a slot and the slot's generation. The generation changes whenever a key is
 * created or deleted there, so an old key finds nothing. It is odd while the slot is in use.
 * Creating and deleting a key take the lock. All else only reads.
 *
 * A task's values are a hash table, made at its first weft_local_set(). Each place names its key,
 * so deleting a key need not search for its values. The hash of a key is its slot, and a search
 * that meets another slot's place goes on to the next place. So the first keys of a program, which
 * most tasks use, are found where the search begins. The table is at most three quarters full, so a
 * search ends. It grows with the number of values, whatever their keys are.
 *
 * A slot has at most one place: a new value replaces the value of an older key there. Places are
 * not emptied until the table grows. Growing drops the values of deleted keys.
 *
 * Rejected: an array with a place for each slot. One value under the thousandth key costs 16 KiB.
 */
#include "sched/core/task.h"
#include "sched/core/tls.h"
#include "sched/core/worker.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/process_locks.h"

#include <weft/local.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_BITS    16
#define SLOT_OF(key) ((size_t)((key) & (((uint64_t)1 << SLOT_BITS) - 1)))
#define ROUNDS       4
#define FIRST_PLACES 8 /* a power of two */

static_assert(WEFT_LOCAL_MAX <= 1 << SLOT_BITS, "a key has room for its slot");

typedef void destructor_fn(void *value);

struct local_key {
	/* Stored under the lock. Read relaxed; where the order matters, after an acquire of
	 * destructor. */
	_Atomic uint64_t generation;
	/* stored under the lock, while the generation is even */
	_Atomic(destructor_fn *) destructor;
};

static struct local_key slots[WEFT_LOCAL_MAX];

struct local_value {
	weft_local key;
	void *value;
};

/* The values of a task. Only that task uses them. */
struct locals {
	struct task_end end;
	size_t mask;    /* the number of places, minus 1 */
	unsigned taken; /* places whose key is not 0 */
	/* while destructors run: the table has moved since their round began */
	bool moved;
	struct local_value values[]; /* key 0: the place is free */
};

/* The table of a task; NULL if it has none. */
static inline struct locals *locals_of(const struct task *t)
{
	return (struct locals *)task_end(t);
}

static inline weft_local key_of(size_t slot, uint64_t generation)
{
	return generation << SLOT_BITS | slot;
}

static inline bool is_key(weft_local key)
{
	size_t slot = SLOT_OF(key);

	/* relaxed: the caller got the key from its creator, and that was ordered. */
	return slot < WEFT_LOCAL_MAX && (key >> SLOT_BITS) % 2 == 1 &&
	       key == key_of(slot, load_relaxed(&slots[slot].generation));
}

/* The place of the key's slot, or the free place where it would be. */
static inline struct local_value *place_of(struct locals *locals, weft_local key)
{
	size_t i = SLOT_OF(key) & locals->mask;

	while (locals->values[i].key != key && locals->values[i].key != 0 &&
	       SLOT_OF(locals->values[i].key) != SLOT_OF(key))
		i = (i + 1) & locals->mask;
	return &locals->values[i];
}

/* The task's place for the key's value; NULL if it has none. */
static inline struct local_value *find(struct locals *locals, weft_local key)
{
	if (!locals)
		return NULL;
	struct local_value *v = place_of(locals, key);
	return v->key == key ? v : NULL;
}

/* The key's destructor; NULL if it has none, or if the key was deleted. */
static destructor_fn *destructor_of(weft_local key)
{
	struct local_key *slot = &slots[SLOT_OF(key)];

	/* acquire: the generation below is read after this. If this is the destructor of a later
	 * key in the slot, we see in the generation that our key was deleted. */
	destructor_fn *fn = load_acquire(&slot->destructor);
	return is_key(key) ? fn : NULL;
}

static WEFT__MAY_HOP void run_destructors(struct task *t)
{
	uint16_t mask = t->mask;
	bool again = true;

	/* A destructor may wait, even in a cancelled task: it may need a lock or an answer to put
	 * something back. */
	t->mask = 1;
	for (unsigned round = 0; round < ROUNDS && again;) {
		again = false;
		locals_of(t)->moved = false;
		/* The table is looked up again each time: a destructor that sets a value may move
		 * it. */
		for (size_t i = 0; i <= locals_of(t)->mask; i++) {
			struct local_value *v = &locals_of(t)->values[i];
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
		/* If the table has moved, the loop may have missed a value. Then the round does not
		 * count. The table moves a few times at most. */
		if (!locals_of(t)->moved)
			round++;
	}
	t->mask = mask;
	struct task_end *end = task_end(t);
	task_set_end(t, NULL);
	free(end);
}

/* Makes room for one more value of the task. Returns false if there is no memory. */
static bool grow(struct task *t)
{
	struct locals *old = locals_of(t);
	size_t places = FIRST_PLACES, live = 1;

	for (size_t i = 0; old && i <= old->mask; i++)
		live += old->values[i].value != NULL && is_key(old->values[i].key);
	/* At most half of the table is then taken. */
	while (places < 2 * live)
		places *= 2;
	struct locals *new = weft__calloc(1, sizeof *new + places * sizeof new->values[0]);
	if (!new)
		return false;
	new->end.run = run_destructors;
	new->mask = places - 1;
	new->moved = true;
	for (size_t i = 0; old && i <= old->mask; i++) {
		const struct local_value *v = &old->values[i];
		if (!v->value || !is_key(v->key))
			continue;
		*place_of(new, v->key) = *v;
		new->taken++;
	}
	task_set_end(t, &new->end);
	free(old);
	return true;
}

int weft_local_create(void (*destructor)(void *value), weft_local *ret_key)
{
	int rc = -EAGAIN;

	if (!ret_key)
		return -EINVAL;
	weft__lock_process(WEFT__LOCK_LOCAL_KEYS);
	for (size_t i = 0; i < WEFT_LOCAL_MAX && rc < 0; i++) {
		uint64_t generation = load_relaxed(&slots[i].generation);
		if (generation % 2 == 1)
			continue;
		/* release, both: see destructor_of(). */
		store_release(&slots[i].destructor, destructor);
		store_release(&slots[i].generation, generation + 1);
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
		struct local_key *slot = &slots[SLOT_OF(key)];
		uint64_t generation = key >> SLOT_BITS;
		/* release: see destructor_of(). */
		store_release(&slot->generation, generation + 1);
		rc = 0;
	}
	weft__unlock_process(WEFT__LOCK_LOCAL_KEYS);
	return rc;
}

void *weft_local_get(weft_local key)
{
	struct worker *w = weft__worker();
	struct local_value *v = w && is_key(key) ? find(locals_of(w->task), key) : NULL;

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
	struct locals *locals = locals_of(t);
	struct local_value *v = locals ? place_of(locals, key) : NULL;
	if (!v || v->key == 0) {
		if (!value)
			return 0;
		if (!locals || locals->taken >= (locals->mask + 1) / 4 * 3) {
			if (!grow(t))
				return -ENOMEM;
			locals = locals_of(t);
			v = place_of(locals, key);
		}
		locals->taken++;
	}
	*v = (struct local_value){key, value};
	return 0;
}
