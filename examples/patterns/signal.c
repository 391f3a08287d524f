/* SPDX-License-Identifier: MIT */
/*
 * Waits for a signal. A signal handler must not call any function of Weft. So the signal is blocked
 * in all threads, and a task waits for it in sigwait().
 *
 * Go:     c := make(chan os.Signal, 1); signal.Notify(c, syscall.SIGTERM); <-c
 * tokio:  signal(SignalKind::terminate())?.recv().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static sigset_t term;

/* Returns the signal's number. */
static void *wait_for_signal(void *arg)
{
	int number;

	(void)arg;
	CHECK(sigwait(&term, &number) == 0);
	return (void *)(intptr_t)number;
}

static void *serve(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)weft_sleep_until(WEFT_FOREVER);
}

static void *run(void *arg)
{
	weft_task *server;
	void *number, *err;

	CHECK(weft_spawn(serve, NULL, &server) == 0);
	CHECK(kill(getpid(), SIGTERM) == 0); /* here the program sends it to itself */
	CHECK(weft_blocking(wait_for_signal, NULL, &number) == 0);
	CHECK((intptr_t)number == SIGTERM);
	CHECK(weft_cancel(server) == 0); /* the end in good order */
	CHECK(weft_join(server, &err) == 0);
	CHECK((intptr_t)err == -ECANCELED);
	printf("SIGTERM; the server has ended\n");
	return arg;
}

int main(void)
{
	/* Before weft_run(): all threads of the runtime inherit the mask. */
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	CHECK(pthread_sigmask(SIG_BLOCK, &term, NULL) == 0);
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
