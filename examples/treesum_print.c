/* SPDX-License-Identifier: MIT */
/*
 * The output. A walk over the listings yields the paths in order already (treesum_walk.c). The
 * exception is an argument that lies within another. Only then are the paths sorted as a whole.
 */
#include "treesum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITE_SIZE ((size_t)256 << 10)

char *put_escaped(char *to, const char *name)
{
	for (; *name; name++) {
		switch (*name) {
		case '\n':
			*to++ = '\\';
			*to++ = 'n';
			break;
		case '\r':
			*to++ = '\\';
			*to++ = 'r';
			break;
		case '\\':
			*to++ = '\\';
			*to++ = '\\';
			break;
		default:
			*to++ = *name;
		}
	}
	return to;
}

static size_t count_sums(const struct listing *list)
{
	size_t n = 0;

	for (size_t i = 0; list && i < list->count; i++) {
		if (list->entries[i].kind == KIND_DIRECTORY)
			n += count_sums(list->entries[i].listing);
		else
			n += list->entries[i].kind == KIND_HASHED;
	}
	return n;
}

/* Returns the end of the part that it filled in. */
static const struct entry **collect_sums(const struct listing *list, const struct entry **to)
{
	for (size_t i = 0; list && i < list->count; i++) {
		if (list->entries[i].kind == KIND_DIRECTORY)
			to = collect_sums(list->entries[i].listing, to);
		else if (list->entries[i].kind == KIND_HASHED)
			*to++ = &list->entries[i];
	}
	return to;
}

static int by_path(const void *a, const void *b)
{
	const struct entry *const *left = a;
	const struct entry *const *right = b;

	return strcmp((*left)->path, (*right)->path);
}

/* Writes one line, as sha256sum prints it. A backslash in front means that the name is escaped.
 * Returns the end. */
static char *put_line(char *to, const struct entry *entry)
{
	static const char hex[] = "0123456789abcdef";

	if (strpbrk(entry->path, "\\\n\r"))
		*to++ = '\\';
	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		*to++ = hex[entry->digest[i] >> 4];
		*to++ = hex[entry->digest[i] & 15];
	}
	*to++ = ' ';
	*to++ = ' ';
	to = put_escaped(to, entry->path);
	*to++ = '\n';
	return to;
}

int write_all(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int print_sums(const struct listing *list)
{
	size_t count = count_sums(list);
	const struct entry **sums = malloc(count * sizeof(*sums));
	size_t size = WRITE_SIZE;
	char *text = malloc(size);
	char *end = text;
	bool sorted = true;
	int err = (count > 0 && !sums) || !text ? ENOMEM : 0;

	if (!err)
		collect_sums(list, sums);
	/* The paths are in order already, unless one argument lies within another. */
	for (size_t i = 1; !err && sorted && list->count > 1 && i < count; i++)
		sorted = strcmp(sums[i - 1]->path, sums[i]->path) <= 0;
	if (!err && !sorted)
		qsort(sums, count, sizeof(*sums), by_path);

	for (size_t i = 0; !err && i < count; i++) {
		/* A path that could be opened is shorter than PATH_MAX, so one line always fits. */
		if ((size_t)(end - text) + 2 * strlen(sums[i]->path) + 2 * DIGEST_SIZE + 8 > size) {
			err = write_all(text, (size_t)(end - text));
			end = text;
		}
		end = put_line(end, sums[i]);
	}
	if (!err)
		err = write_all(text, (size_t)(end - text));
	/* Some file systems report only at close() that there was no room. */
	if (close(STDOUT_FILENO) != 0 && !err && count > 0)
		err = errno;
	free(text);
	free(sums);
	return err;
}
