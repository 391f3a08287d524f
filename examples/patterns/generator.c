/* SPDX-License-Identifier: MIT */
/*
 * Makes a sequence of values, one at a time, by code that keeps its place: here a recursive walk.
 * It needs no runtime and no thread.
 *
 * Go:     func permutations(s string) iter.Seq[string], and for p := range permutations("abc")
 * tokio:  stream! { yield p; }, and while let Some(p) = stream.next().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <string.h>

static void swap(char *a, char *b)
{
	char c = *a;

	*a = *b;
	*b = c;
}

static void permute(char *text, char *rest)
{
	if (*rest == '\0')
		weft_coro_yield(text); /* from the depth of the recursion */
	for (char *p = rest; *p; p++) {
		swap(rest, p);
		permute(text, rest + 1);
		swap(rest, p);
	}
}

static void *permutations(void *text)
{
	permute(text, text);
	return NULL; /* the end of the sequence */
}

int main(void)
{
	char text[] = "abc", all[64] = "";
	weft_coro *co;
	void *p;

	CHECK(weft_coro_create(permutations, 0, &co) == 0);
	CHECK(weft_coro_enter(co, text, &p) == 0); /* starts it; runs to the first yield */
	while (p) {
		strcat(strcat(all, p), " ");
		CHECK(weft_coro_enter(co, NULL, &p) == 0);
	}
	CHECK(weft_coro_done(co));
	weft_coro_destroy(co);
	puts(all);
	CHECK(strcmp(all, "abc acb bac bca cba cab ") == 0);
	return EXIT_SUCCESS;
}
