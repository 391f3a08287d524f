/* SPDX-License-Identifier: MIT */
/*
 * A channel in memory of the program's, which goes with the last reference. Nobody knows who is
 * last. The last one has everything that the others did before their unrefs.
 */
#include "../tsan.h"

#define USERS 4

struct box {
	weft_chan *chan;
	long used[USERS];
	void *memory;
};

struct user {
	struct box *box;
	int nth;
};

static void drop(struct box *box)
{
	long sum = 0;

	if (!weft_chan_unref(box->chan))
		return;
	for (int i = 0; i < USERS; i++)
		sum += box->used[i];
	MUST(sum == 5L * USERS);
	free(box->memory);
	free(box);
}

static void *use(void *arg)
{
	struct user *user = arg;
	struct box *box = user->box;
	int number = 0;

	MUST(weft_chan_recv(box->chan, &number) == 0 && number == 5);
	box->used[user->nth] = number;
	drop(box);
	free(user);
	return NULL;
}

static void *start(void *arg)
{
	size_t size = weft_chan_memory_size(sizeof(int), USERS);
	struct box *box = calloc(1, sizeof *box);
	pthread_t thread;

	box->memory = malloc(size);
	MUST(weft_chan_create_in(box->memory, size, sizeof(int), USERS, &box->chan) == 0);
	for (int i = 0; i < USERS; i++)
		weft_chan_ref(box->chan);
	for (int i = 0; i < USERS; i++) {
		struct user *user = malloc(sizeof *user);
		*user = (struct user){box, i};
		if (i == 0)
			thread = thread_start(use, user);
		else
			spawn_detached(use, user);
	}
	for (int i = 0; i < USERS; i++) {
		int number = 5;
		MUST(weft_chan_send(box->chan, &number) == 0);
	}
	drop(box);
	pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
