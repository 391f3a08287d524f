/* SPDX-License-Identifier: MIT */
/* Unknown variables that begin with WEFT_: see environment.h. */
#include "environment.h"

#include "config.h"
#include "src/base/atomic.h"
#include "src/base/fatal.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define PREFIX    "WEFT_"
#define OWN_TESTS "WEFT_TEST_"
#define NAME_MAX_ 48 /* no known name is like a longer one */
#define SHOWN_MAX 64

/* Names that other libraries use for such a setting. No small number of typing errors leads from
 * them to ours. */
static const struct {
	const char *name, *meant;
} habits[] = {
	{"WEFT_THREADS", "WEFT_WORKERS"},  {"WEFT_NUM_THREADS", "WEFT_WORKERS"},
	{"WEFT_CPUS", "WEFT_WORKERS"},     {"WEFT_PROCS", "WEFT_WORKERS"},
	{"WEFT_MAXPROCS", "WEFT_WORKERS"}, {"WEFT_MAX_PROCS", "WEFT_WORKERS"},
	{"WEFT_AFFINITY", "WEFT_PIN"},     {"WEFT_STACK", "WEFT_STACK_SIZE"},
};

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Returns how many characters must be inserted, removed or replaced to turn `a`, in capitals, into
 * b. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_ + 1];
	unsigned length = (unsigned)strlen(b);

	for (unsigned k = 0; k <= length; k++)
		row[k] = k;
	for (unsigned i = 1; *a; i++, a++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned k = 1; k <= length; k++) {
			unsigned replaced = diagonal + (upper(*a) != b[k - 1]);

			diagonal = row[k];
			row[k] = least(replaced, least(row[k], row[k - 1]) + 1);
		}
	}
	return row[length];
}

const char *weft__environment_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t length = strlen(name);

	if (length > NAME_MAX_)
		return NULL;
	for (size_t i = 0; i < sizeof habits / sizeof habits[0]; i++) {
		if (strcmp(name, habits[i].name) == 0)
			return habits[i].meant;
	}
	/* More than half of the characters behind the prefix must be right. */
	unsigned best = (unsigned)(length - strlen(PREFIX)) / 2 + 1;
	for (unsigned i = 0; i < WEFT__SETTING_COUNT; i++) {
		const char *known = weft__config_variable(i);
		unsigned d = strlen(known) > NAME_MAX_ ? best : distance(name, known);

		if (d < best) {
			best = d;
			nearest = known;
		}
	}
	return nearest;
}

static bool is_known(const char *name)
{
	for (unsigned i = 0; i < WEFT__SETTING_COUNT; i++) {
		if (strcmp(name, weft__config_variable(i)) == 0)
			return true;
	}
	return false;
}

static void check_one(const char *assignment)
{
	const char *end = strchr(assignment, '=');
	char name[SHOWN_MAX + 1];
	size_t length = end ? (size_t)(end - assignment) : strlen(assignment);

	if (strncmp(assignment, PREFIX, strlen(PREFIX)) != 0 ||
	    strncmp(assignment, OWN_TESTS, strlen(OWN_TESTS)) == 0)
		return;
	if (length > SHOWN_MAX)
		length = SHOWN_MAX;
	memcpy(name, assignment, length);
	name[length] = '\0';
	if (is_known(name))
		return;
	const char *nearest = weft__environment_nearest(name);
	if (nearest)
		weft__warn("%s is not a variable of Weft and has no effect: did you mean %s?", name,
			   nearest);
	else
		weft__warn("%s is not a variable of Weft and has no effect: weft-environment(7) "
			   "lists the variables",
			   name);
}

void weft__environment_check(void)
{
	static _Atomic bool checked;

	/* relaxed: it decides which caller does it, and publishes nothing. */
	if (exchange_relaxed(&checked, true))
		return;
	for (char **variable = environ; variable && *variable; variable++)
		check_one(*variable);
}
