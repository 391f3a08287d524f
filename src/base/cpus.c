/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs this process may use.
 *
 * Two things limit the number. The affinity mask holds the CPUs that taskset, a cpuset or a
 * container's CPU list leave. A CPU quota lets threads run on every CPU, and then stops them all
 * until the period is over. A pool with one worker for each CPU of the machine uses up such a quota
 * at once, and stalls. So the quota counts as well, rounded up.
 *
 * A quota binds everything below it. So the tightest quota of all ancestors decides, not only the
 * process's own. This file looks for the ancestors in every mount of the hierarchy that shows the
 * process. It uses two files:
 *
 *   /proc/self/cgroup     gives the process's path in the hierarchy. In v2 that is the line with
 *                         the empty controller list. In v1 it is the line with "cpu".
 *   /proc/self/mountinfo  says in its fourth field which directory of the hierarchy is at the mount
 *                         point.
 *
 * Both are as seen from the cgroup namespace, whose own root is "/". There are three cases:
 *
 * 	path            root of the mount   directories with quotas
 * 	/a/b            /                   MOUNT/a/b, MOUNT/a, MOUNT
 * 	/docker/x/b     /docker/x           MOUNT/b, MOUNT
 * 	/b              /..                 MOUNT
 *
 * The first case is the usual one. The second is a bind mount without a cgroup namespace. In the
 * third the mount is above the namespace's root, and the directories in between have no name that
 * we know.
 *
 * If the path is not below the mount's root, the mount shows other processes' cgroups and is
 * skipped.
 *
 * Everything is read once, at the start of a runtime. A file that is absent, unreadable or garbage
 * limits nothing. One worker too many is better than a program that does not start.
 */
#include "cpus.h"

#include "atomic.h"
#include "digits.h"
#include "read_file.h"
#include "src/base/alloc.h"
#include "src/base/compiler.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More CPUs than any kernel is built for. The mask grows no further. */
#define CPU_BITS_MAX (1u << 20)

/* The search: where it looks, and the tightest limit that it has found. */
struct search {
	const char *root;
	unsigned count;
	char *why;
	size_t why_size;
};

/* A version of the interface. read_quota() leaves *ret_cpus alone if the directory sets no
 * limit. */
struct flavour {
	const char *fs_type;
	bool (*read_quota)(const char *dir, unsigned *ret_cpus);
	bool needs_cpu_option; /* there is one mount for each set of controllers */
};

static bool at_end(const char *p)
{
	return *p == '\0' || (*p == '\n' && p[1] == '\0');
}

static bool whole_cpus(uint64_t quota, uint64_t period, unsigned *ret_cpus)
{
	uint64_t cpus;

	if (quota == 0 || period == 0)
		return false;
	cpus = quota / period + (quota % period != 0);
	*ret_cpus = cpus < WEFT__CPUS_MAX ? (unsigned)cpus : WEFT__CPUS_MAX;
	return true;
}

static bool read_small(const char *dir, const char *name, char *ret_text, size_t size)
{
	char *path;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return false;
	bool read = weft__read_file(path, ret_text, size);
	free(path);
	return read;
}

/* "150000 100000" is a limit of 1.5 CPUs; "max 100000" means no limit. */
static bool read_quota_v2(const char *dir, unsigned *ret_cpus)
{
	char text[64];
	const char *at = text;
	uint64_t quota;
	uint64_t period;

	if (!read_small(dir, "cpu.max", text, sizeof(text)) || !weft__read_digits(&at, &quota) ||
	    *at++ != ' ' || !weft__read_digits(&at, &period) || !at_end(at))
		return false;
	return whole_cpus(quota, period, ret_cpus);
}

/* A quota of -1 means no limit. */
static bool read_quota_v1(const char *dir, unsigned *ret_cpus)
{
	char quota_text[64];
	char period_text[64];
	const char *quota_at = quota_text;
	const char *period_at = period_text;
	uint64_t quota;
	uint64_t period;

	if (!read_small(dir, "cpu.cfs_quota_us", quota_text, sizeof(quota_text)) ||
	    !weft__read_digits(&quota_at, &quota) || !at_end(quota_at) ||
	    !read_small(dir, "cpu.cfs_period_us", period_text, sizeof(period_text)) ||
	    !weft__read_digits(&period_at, &period) || !at_end(period_at))
		return false;
	return whole_cpus(quota, period, ret_cpus);
}

static const struct flavour flavour_v1 = {"cgroup", read_quota_v1, true};
static const struct flavour flavour_v2 = {"cgroup2", read_quota_v2, false};

/* Whether the comma-separated list contains the word. */
static bool list_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;;) {
		if (strncmp(list, word, len) == 0 && (list[len] == ',' || list[len] == '\0'))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
		list++;
	}
}

static FILE *open_proc(const char *root, const char *name)
{
	FILE *file;
	char *path;

	if (asprintf(&path, "%s/proc/self/%s", root, name) < 0)
		return NULL;
	file = fopen(path, "re");
	free(path);
	return file;
}

/* Reads the next line, without its newline. Returns false at the end or on an error. */
static bool next_line(FILE *file, char **line, size_t *size)
{
	ssize_t len = getline(line, size, file);

	if (len < 0)
		return false;
	if (len > 0 && (*line)[len - 1] == '\n')
		(*line)[len - 1] = '\0';
	return true;
}

/* The process's paths in the v1 hierarchy with the cpu controller and in the v2 hierarchy. A path
 * that does not exist is NULL. */
static void read_own_paths(const char *root, char **ret_v1, char **ret_v2)
{
	FILE *file = open_proc(root, "cgroup");
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return;
	while (next_line(file, &line, &size)) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;
		char **ret;

		if (!path || path[1] != '/')
			continue;
		*list++ = '\0';
		*path++ = '\0';
		if (*list == '\0' && strcmp(line, "0") == 0)
			ret = ret_v2;
		else if (list_has(list, "cpu"))
			ret = ret_v1;
		else
			continue;
		if (!*ret)
			*ret = strdup(path);
	}
	free(line);
	fclose(file);
}

/* Undoes mountinfo's octal escapes (blank, tab, newline, backslash) in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			*to++ = *p++;
		}
	}
	*to = '\0';
}

/* Whether a component of the path is "..". */
static bool has_parent(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

/* Moves *path past the ".." components at its beginning, and counts them. */
static size_t skip_parents(const char **path)
{
	size_t n = 0;

	for (; strncmp(*path, "/..", 3) == 0 && ((*path)[3] == '/' || (*path)[3] == '\0');
	     *path += 3)
		n++;
	return n;
}

/* Whether the mount's root is above the process as well. It is so if it is far enough above the
 * namespace's root. */
static bool is_above(const char *mount_root, const char *path)
{
	size_t up = skip_parents(&mount_root);

	return *mount_root == '\0' && up > skip_parents(&path);
}

/*
 * The length of the part of the process's path that the mount's root covers, or -1 if the mount
 * does not show the process. The rest of the path lies below the mount point, unless *ret_nameless.
 */
static ssize_t covered_by(const char *path, const char *mount_root, bool *ret_nameless)
{
	size_t len = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);

	*ret_nameless = false;
	if (strncmp(path, mount_root, len) == 0 && (path[len] == '/' || path[len] == '\0') &&
	    !has_parent(path + len))
		return (ssize_t)len;
	*ret_nameless = is_above(mount_root, path);
	return *ret_nameless ? 0 : -1;
}

static void note(struct search *s, unsigned cpus, const char *path)
{
	size_t len;

	if (cpus >= s->count)
		return;
	s->count = cpus;
	if (!s->why || s->why_size == 0)
		return;
	snprintf(s->why, s->why_size, "cgroup quota of %s", path);
	len = strlen(s->why);
	/* The text becomes part of one line on a terminal. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s->why[i] < ' ' || s->why[i] == 0x7f)
			s->why[i] = '?';
}

/* Looks at each directory from the process's own up to the mount point. Stays: the pointer is to a
 * function of this file. */
static WEFT__STAYS void search_mount(struct search *s, const struct flavour *flavour,
				     const char *own_path, const char *mount_root,
				     const char *mount_point)
{
	bool nameless;
	ssize_t covered = covered_by(own_path, mount_root, &nameless);
	const char *below = nameless ? "" : own_path + covered;
	char *path;
	char *dir;
	size_t fixed;

	if (covered < 0)
		return;
	path = strdup(nameless ? mount_root : own_path);
	if (!path)
		return;
	if (asprintf(&dir, "%s%s%s", s->root, mount_point, below) < 0) {
		free(path);
		return;
	}
	/* Cut components off both paths until only the mount point is left. */
	fixed = strlen(dir) - strlen(below);
	for (;;) {
		size_t len = strlen(dir);
		char *cut;
		unsigned cpus;

		if (flavour->read_quota(dir, &cpus))
			note(s, cpus, *path ? path : "/");
		if (len <= fixed)
			break;
		cut = strrchr(dir + fixed, '/');
		path[strlen(path) - (len - (size_t)(cut - dir))] = '\0';
		*cut = '\0';
	}
	free(dir);
	free(path);
}

/*
 * Handles one line: "36 35 98:0 /root /mount/point rw,noatime master:1 - cgroup2 source rw". The
 * number of fields before the lone dash varies.
 */
static void search_line(struct search *s, char *line, const char *v1_path, const char *v2_path)
{
	char *field[6];
	char *fs_type;
	char *options;
	const struct flavour *flavour;
	const char *own_path;

	for (size_t i = 0; i < 6; i++) {
		field[i] = strsep(&line, " ");
		if (!field[i])
			return;
	}
	do
		fs_type = strsep(&line, " ");
	while (fs_type && strcmp(fs_type, "-") != 0);
	fs_type = strsep(&line, " ");
	if (!fs_type)
		return;
	if (strcmp(fs_type, flavour_v2.fs_type) == 0) {
		flavour = &flavour_v2;
		own_path = v2_path;
	} else if (strcmp(fs_type, flavour_v1.fs_type) == 0) {
		flavour = &flavour_v1;
		own_path = v1_path;
	} else {
		return;
	}
	strsep(&line, " "); /* the source, which may be empty */
	options = strsep(&line, " ");
	if (!own_path || (flavour->needs_cpu_option && (!options || !list_has(options, "cpu"))))
		return;
	unescape(field[3]);
	unescape(field[4]);
	if (field[3][0] == '/' && field[4][0] == '/')
		search_mount(s, flavour, own_path, field[3], field[4]);
}

static void search_quotas(struct search *s)
{
	char *v1_path = NULL;
	char *v2_path = NULL;
	char *line = NULL;
	size_t size = 0;
	FILE *mounts;

	read_own_paths(s->root, &v1_path, &v2_path);
	mounts = v1_path || v2_path ? open_proc(s->root, "mountinfo") : NULL;
	if (mounts) {
		while (next_line(mounts, &line, &size))
			search_line(s, line, v1_path, v2_path);
		fclose(mounts);
	}
	free(line);
	free(v1_path);
	free(v2_path);
}

static unsigned count_affinity(void)
{
	/* The kernel refuses a mask smaller than its own, and cpu_set_t may be smaller. */
	for (unsigned bits = CPU_SETSIZE; bits <= CPU_BITS_MAX; bits *= 2) {
		cpu_set_t *set = CPU_ALLOC(bits);
		size_t size = CPU_ALLOC_SIZE(bits);
		int count = -1;

		if (!set)
			return 0;
		CPU_ZERO_S(size, set);
		if (sched_getaffinity(0, size, set) == 0)
			count = CPU_COUNT_S(size, set);
		else if (weft__errno() != EINVAL)
			count = 0;
		CPU_FREE(set);
		if (count >= 0)
			return (unsigned)count;
	}
	return 0;
}

unsigned weft__cpus_affinity(void)
{
	int saved = weft__errno();
	unsigned count = count_affinity();

	weft__set_errno(saved);
	return count;
}

unsigned weft__cpus_usable_within(unsigned affinity, const char *root, char *ret_why,
				  size_t why_size)
{
	const char *why = "affinity mask";
	struct search s = {.root = root ? root : "", .why = ret_why, .why_size = why_size};

	if (affinity == 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);

		affinity = online > 0 ? (unsigned)online : 1;
		why = "CPUs online";
	}
	s.count = affinity < WEFT__CPUS_MAX ? affinity : WEFT__CPUS_MAX;
	if (ret_why && why_size > 0)
		snprintf(ret_why, why_size, "%s", why);
	int saved = weft__errno();
	search_quotas(&s);
	weft__set_errno(saved);
	return s.count;
}

unsigned weft__cpus_usable(const char *root, char *ret_why, size_t why_size)
{
	return weft__cpus_usable_within(weft__cpus_affinity(), root, ret_why, why_size);
}

unsigned weft__cpus_usable_roughly(unsigned affinity)
{
	/* relaxed, both: a number by itself. If two threads find it unknown, both look. */
	static _Atomic unsigned quota;
	unsigned cpus = load_relaxed(&quota);

	if (cpus == 0) {
		cpus = weft__cpus_usable_within(WEFT__CPUS_MAX, NULL, NULL, 0);
		store_relaxed(&quota, cpus);
	}
	return affinity > 0 && affinity < cpus ? affinity : cpus;
}
