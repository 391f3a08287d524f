/* SPDX-License-Identifier: MIT */
/*
 * Stops one task. The task is asked to stop, not killed: its waits return -ECANCELED, and it
 * returns as usual. So it can put in order what it holds. It masks the part of that work which must
 * wait.
 *
 * Go:     cancel() of the goroutine's own context
 * tokio:  let task = tokio::spawn(f()); task.abort(); assert!(task.await.unwrap_err().is_cancelled())
 */
#include "../example.h"

#include <weft/weft.h>

struct session {
	weft_chan *log;
	weft_event started;
};

static void *serve(void *arg)
{
	struct session *s = arg;
	int err, line = 1;

	weft_event_set(&s->started);
	err = weft_sleep_until(WEFT_FOREVER); /* serves until it is stopped */

	/* The request stays: without the mask this send would say -ECANCELED as well. */
	weft_cancel_mask();
	CHECK(weft_chan_send(s->log, &line) == 0);
	weft_cancel_unmask();
	return (void *)(intptr_t)err;
}

static void *run(void *arg)
{
	struct session s = {.started = WEFT_EVENT_INIT};
	weft_task *task;
	void *result;
	int line;

	CHECK(weft_chan_create(sizeof(int), 0, &s.log) == 0);
	CHECK(weft_spawn(serve, &s, &task) == 0);
	CHECK(weft_event_wait(&s.started) == 0);
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_chan_recv(s.log, &line) == 0 && line == 1);
	CHECK(weft_join(task, &result) == 0); /* it is still to be joined */
	CHECK((intptr_t)result == -ECANCELED);
	weft_chan_destroy(s.log);
	printf("the session was stopped, and has written its last line\n");
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
