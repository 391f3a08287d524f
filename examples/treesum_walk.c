/* SPDX-License-Identifier: MIT */
/*
 * The tasks: a fork for each directory and for each file.
 *
 * A directory's task reads the whole listing and closes the directory. Then it forks its entries
 * and joins them in reverse. So a fork that nobody steals costs a function call, and thieves take
 * from the other end. Reading a listing does not suspend. So a worker has at most one directory
 * open, as with files.
 *
 * A directory's name is stored with a slash behind it. If each listing is sorted on its own, all
 * paths of a depth-first walk are then in the order of their bytes: "a-b" is before "a/c", because
 * '-' is before '/'. So the tasks of the directories do the sorting.
 */
#include "treesum.h"

#include <weft/weft.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void listing_fini(struct listing *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct entry *entry = &list->entries[i];

		if (entry->kind == KIND_DIRECTORY && entry->listing) {
			listing_fini(entry->listing);
			free(entry->listing);
		}
	}
	free(list->entries);
	free(list->paths);
}

int listing_add(struct listing *list, enum kind kind, const char *before, const char *name,
		const char *after)
{
	size_t before_len = strlen(before);
	size_t name_len = strlen(name);
	size_t after_size = strlen(after) + 1;
	size_t need = list->paths_used + before_len + name_len + after_size;
	char *path;

	if (need > list->paths_size) {
		size_t size = list->paths_size ? list->paths_size : 512;
		char *paths;

		while (size < need)
			size *= 2;
		paths = realloc(list->paths, size);
		if (!paths)
			return ENOMEM;
		list->paths = paths;
		list->paths_size = size;
	}
	if (list->count == list->entries_size) {
		size_t size = list->entries_size ? list->entries_size * 2 : 8;
		struct entry *entries = realloc(list->entries, size * sizeof(*entries));

		if (!entries)
			return ENOMEM;
		list->entries = entries;
		list->entries_size = size;
	}
	path = list->paths + list->paths_used;
	memcpy(path, before, before_len);
	memcpy(path + before_len, name, name_len);
	memcpy(path + before_len + name_len, after, after_size);
	list->entries[list->count++] = (struct entry){.offset = list->paths_used, .kind = kind};
	list->paths_used = need;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

/* Turns the offsets into pointers, gives back spare memory, and sorts. */
static void listing_finish(struct listing *list)
{
	char *paths = realloc(list->paths, list->paths_used);
	struct entry *entries = realloc(list->entries, list->count * sizeof(*list->entries));
	size_t files = 0;

	list->paths = paths ? paths : list->paths;
	list->entries = entries ? entries : list->entries;
	for (size_t i = 0; i < list->count; i++) {
		list->entries[i].path = list->paths + list->entries[i].offset;
		files += list->entries[i].kind == KIND_FILE;
	}
	qsort(list->entries, list->count, sizeof(*list->entries), by_path);
	count_found(files);
}

/* The kind of work for a directory's entry. KIND_FAILED means none. */
static enum kind kind_of(DIR *dir, const struct dirent *item)
{
	struct stat st;

	if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
		return KIND_FAILED;
	if (item->d_type == DT_REG)
		return KIND_FILE;
	if (item->d_type == DT_DIR)
		return KIND_DIRECTORY;
	/* Some file systems do not report the type. */
	if (item->d_type == DT_UNKNOWN &&
	    fstatat(dirfd(dir), item->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISREG(st.st_mode))
			return KIND_FILE;
		if (S_ISDIR(st.st_mode))
			return KIND_DIRECTORY;
	}
	return KIND_FAILED;
}

/* Returns 0, or the error with which the listing ends early. */
static int read_entries(struct listing *list, DIR *dir, const char *path)
{
	int err = 0;

	while (!err) {
		struct dirent *item;
		enum kind kind;

		errno = 0;
		item = readdir(dir);
		if (!item)
			return errno;
		kind = kind_of(dir, item);
		if (kind != KIND_FAILED)
			err = listing_add(list, kind, path, item->d_name,
					  kind == KIND_DIRECTORY ? "/" : "");
	}
	return err;
}

static int open_directory(const char *path, int *ret_fd)
{
	do
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECTORY);
	while (*ret_fd < 0 && errno == EINTR);
	return *ret_fd < 0 ? errno : 0;
}

/* Lists a directory, and reports errors. Returns NULL if it is empty or cannot be read. */
static struct listing *list_directory(struct entry *entry)
{
	char *path = entry->path;
	char *slash = path + strlen(path) - 1;
	struct listing *list = calloc(1, sizeof(*list));
	DIR *dir = NULL;
	int err = ENOMEM;
	int fd;

	if (list) {
		/* With the slash, open() would follow a symbolic link that has taken the
		 * directory's place. */
		*slash = entry->follow ? '/' : '\0';
		err = open_directory(path, &fd);
		*slash = '/';
	}
	if (!err) {
		dir = fdopendir(fd);
		if (!dir) {
			err = errno;
			close(fd);
		}
	}
	if (dir) {
		err = read_entries(list, dir, path);
		closedir(dir);
	}
	if (err)
		report(path, strerror(err));
	if (list && list->count == 0) {
		listing_fini(list);
		free(list);
		list = NULL;
	}
	return list;
}

static void *sum_file(void *arg)
{
	hash_file(arg);
	return NULL;
}

static void *sum_directory(void *arg)
{
	struct entry *entry = arg;

	entry->listing = list_directory(entry);
	if (entry->listing)
		sum_listing(entry->listing);
	return NULL;
}

void sum_listing(struct listing *list)
{
	weft_forked *forks = malloc(list->count * sizeof(*forks));

	listing_finish(list);
	for (size_t i = 0; i < list->count; i++) {
		struct entry *entry = &list->entries[i];
		weft_fn *fn = entry->kind == KIND_DIRECTORY ? sum_directory : sum_file;

		if (forks)
			weft_fork(&forks[i], fn, entry);
		else
			fn(entry); /* no memory for forks: one after the other */
	}
	for (size_t i = list->count; forks && i-- > 0;)
		weft_fork_join(&forks[i]);
	free(forks);
}
