/* SPDX-License-Identifier: MIT */
/* Blocks that one task frees are allocated by others; and one that is handed over with a spawn. */
#include "../tsan.h"

static void *finish(void *arg)
{
	char *text = arg;

	MUST(strcmp(text, "text") == 0);
	memset(text, 0, 5);
	free(text);
	return NULL;
}

static void *work(void *arg)
{
	for (int i = 0; i < 10; i++) {
		char *block = malloc(48);
		memset(block, i, 48);
		if (i % 3 == 0)
			weft_yield();
		free(block);
	}
	char *text = strdup("text");
	spawn_detached(finish, text);
	return arg;
}

static void *start(void *arg)
{
	for (int i = 0; i < 4; i++)
		spawn_detached(work, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
