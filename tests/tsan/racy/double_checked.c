/* SPDX-License-Identifier: MIT */
/* Initialises once by the double-checked lock, without weft_once: the first look is not ordered by
 * anything. */
/* races: settings_get, settings_load */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static const char *settings;

KEPT static const char *settings_load(void)
{
	weft_mutex_lock(&mutex);
	RACE(settings = "loaded");
	weft_mutex_unlock(&mutex);
	return "loaded";
}

KEPT static const char *settings_get(void)
{
	const char *found;

	RACE(found = settings);
	return found ? found : settings_load();
}

static void *user(void *arg)
{
	MUST(*settings_get() == 'l');
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(user, NULL), *second = spawn(user, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
