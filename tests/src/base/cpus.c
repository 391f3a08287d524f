/* SPDX-License-Identifier: MIT */
/*
 * The CPU count, on made-up trees of /proc and cgroup files in a temporary directory. Each test
 * writes the files it is about; the affinity is passed in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/base/cpus.h"

#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define V2_MOUNT "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT                                                                     \
	"30 23 0:27 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n"                          \
	"32 30 0:29 / /sys/fs/cgroup/cpuset rw shared:3 - cgroup cgroup rw,cpuset\n" \
	"33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:4 - cgroup cgroup rw,cpu,cpuacct\n"

static char root[64];
static char why[WEFT__CPUS_WHY_SIZE];

/* Writes a file below the root, with the directories that it needs. */
static void put_bytes(const char *name, const char *content, size_t size)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void put(const char *name, const char *content)
{
	put_bytes(name, content, strlen(content));
}

static unsigned usable(unsigned affinity)
{
	memset(why, 'x', sizeof(why));
	return weft__cpus_usable_within(affinity, root, why, sizeof(why));
}

static int set_up(void **state)
{
	(void)state;
	strcpy(root, "/tmp/weft-cpus-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_v2(const char *own_path)
{
	char line[300];

	snprintf(line, sizeof(line), "0::%s\n", own_path);
	put("/proc/self/cgroup", line);
	put("/proc/self/mountinfo", V2_MOUNT);
}

static void test_cpus_without_limits_is_the_affinity(void **state)
{
	(void)state;
	put_v2("/a/b");
	assert_int_equal(usable(5), 5);
	assert_string_equal(why, "affinity mask");
}

static void test_cpus_without_any_file_is_the_affinity(void **state)
{
	(void)state;
	assert_int_equal(usable(3), 3);
	assert_string_equal(why, "affinity mask");
}

static void test_cpus_stays_in_range(void **state)
{
	(void)state;
	assert_int_equal(usable(1), 1);
	assert_int_equal(usable(1024), 1024);
	assert_int_equal(usable(1025), 1024);
	assert_int_equal(usable(100000), 1024);
}

static void test_cpus_takes_the_v2_quota_of_the_leaf(void **state)
{
	(void)state;
	put_v2("/a/b");
	put("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
	assert_int_equal(usable(8), 3);
	assert_string_equal(why, "cgroup quota of /a/b");
}

static void test_cpus_takes_a_tighter_ancestor(void **state)
{
	(void)state;
	put_v2("/a/b/c");
	put("/sys/fs/cgroup/a/b/c/cpu.max", "700000 100000\n");
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
	assert_int_equal(usable(8), 2);
	assert_string_equal(why, "cgroup quota of /a");

	/* The mount point's own, as in a cgroup namespace. */
	put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(usable(8), 1);
	assert_string_equal(why, "cgroup quota of /");
}

static void test_cpus_ignores_siblings_and_children(void **state)
{
	(void)state;
	put_v2("/a/b");
	put("/sys/fs/cgroup/a/b/child/cpu.max", "100000 100000\n");
	put("/sys/fs/cgroup/a/sibling/cpu.max", "100000 100000\n");
	put("/sys/fs/cgroup/b/cpu.max", "100000 100000\n");
	assert_int_equal(usable(8), 8);
}

static void test_cpus_ignores_a_looser_quota(void **state)
{
	(void)state;
	put_v2("/a");
	put("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
	assert_int_equal(usable(4), 4);
	assert_string_equal(why, "affinity mask");
	assert_int_equal(usable(2), 2);
	put("/sys/fs/cgroup/a/cpu.max", "999999999999999 1\n");
	assert_int_equal(usable(2), 2);
}

static void test_cpus_rounds_up(void **state)
{
	static const struct {
		const char *text;
		unsigned cpus;
	} cases[] = {
		{"150000 100000\n", 2}, {"200000 100000\n", 2}, {"200001 100000\n", 3},
		{"1000 100000\n", 1},   {"1 1000000\n", 1},     {"25000 10000\n", 3},
		{"150000 100000", 2},
	};

	(void)state;
	put_v2("/a");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("/sys/fs/cgroup/a/cpu.max", cases[i].text);
		assert_int_equal(usable(8), cases[i].cpus);
	}
}

static void test_cpus_ignores_garbage_quotas(void **state)
{
	static const char *const cases[] = {
		"",
		"\n",
		"max 100000\n",
		"max\n",
		"100000\n",
		"100000 \n",
		"100000 0\n",
		"0 100000\n",
		"0 0\n",
		"-1 100000\n",
		" 100000 100000\n",
		"+100000 100000\n",
		"100000 -100000\n",
		"100000 100000 1\n",
		"100000  100000\n",
		"100000 100000x\n",
		"0x10 100000\n",
		"100000x100000\n",
		"18446744073709551619 100000\n",
		"18446744073709651616 100000\n",
		"100000 18446744073709551616\n",
		"99999999999999999999999999999999999999999999999999999999999999999999999 100000\n",
	};

	(void)state;
	put_v2("/a");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put("/sys/fs/cgroup/a/cpu.max", cases[i]);
		assert_int_equal(usable(8), 8);
	}
	/* Nor does it hide what stands above it. */
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	assert_int_equal(usable(8), 2);
}

static void test_cpus_takes_the_v1_quota(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "9:name=systemd:/u\n4:cpuset:/set\n3:cpu,cpuacct:/a/b\n");
	put("/proc/self/mountinfo", V1_MOUNT);
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
	assert_int_equal(usable(8), 8);

	put("/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "450000\n");
	assert_int_equal(usable(8), 5);
	assert_string_equal(why, "cgroup quota of /a/b");

	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(usable(8), 5); /* no period */
	put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
	assert_int_equal(usable(8), 2);
	assert_string_equal(why, "cgroup quota of /a");

	/* Another controller's mount says nothing, whatever lies in it. */
	put("/sys/fs/cgroup/cpuset/a/b/cpu.cfs_quota_us", "1\n");
	put("/sys/fs/cgroup/cpuset/a/b/cpu.cfs_period_us", "1\n");
	assert_int_equal(usable(8), 2);
}

static void test_cpus_reads_both_versions_where_both_are_mounted(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "3:cpu,cpuacct:/one\n1:name=systemd:/x\n0::/two\n");
	put("/proc/self/mountinfo",
	    V1_MOUNT "40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n");
	put("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "600000\n");
	put("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_period_us", "100000\n");
	assert_int_equal(usable(8), 6);
	assert_string_equal(why, "cgroup quota of /one");
	put("/sys/fs/cgroup/unified/two/cpu.max", "400000 100000\n");
	assert_int_equal(usable(8), 4);
	assert_string_equal(why, "cgroup quota of /two");
	put("/sys/fs/cgroup/cpu,cpuacct/one/cpu.cfs_quota_us", "200000\n");
	assert_int_equal(usable(8), 2);
	assert_string_equal(why, "cgroup quota of /one");
}

static void test_cpus_follows_a_nested_mount_root(void **state)
{
	(void)state;
	/* A container without a cgroup namespace: the path is the host's, the mount begins at the
	 * container. */
	put("/proc/self/cgroup", "0::/docker/x/inner\n");
	put("/proc/self/mountinfo", "31 23 0:28 /docker/x /cg rw - cgroup2 cgroup rw\n");
	put("/cg/inner/cpu.max", "500000 100000\n");
	assert_int_equal(usable(8), 5);
	assert_string_equal(why, "cgroup quota of /docker/x/inner");
	put("/cg/cpu.max", "300000 100000\n");
	assert_int_equal(usable(8), 3);
	assert_string_equal(why, "cgroup quota of /docker/x");

	/* The name's beginning is not the parent. */
	put("/proc/self/cgroup", "0::/docker/xy\n");
	assert_int_equal(usable(8), 8);
	put("/proc/self/cgroup", "0::/elsewhere\n");
	assert_int_equal(usable(8), 8);
}

static void test_cpus_follows_a_mount_above_the_namespace(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/inner\n");
	put("/proc/self/mountinfo", "31 23 0:28 /../.. /cg rw - cgroup2 cgroup rw\n");
	put("/cg/cpu.max", "300000 100000\n");
	put("/cg/inner/cpu.max", "100000 100000\n"); /* not ours: that is the mount root's child */
	assert_int_equal(usable(8), 3);
	assert_string_equal(why, "cgroup quota of /../..");

	/* A process outside of its reader's namespace, below the mount's root and beside it. */
	put("/proc/self/cgroup", "0::/../../inner\n");
	assert_int_equal(usable(8), 1);
	put("/proc/self/cgroup", "0::/../../../inner\n");
	assert_int_equal(usable(8), 8);
	put("/proc/self/mountinfo", "31 23 0:28 / /cg rw - cgroup2 cgroup rw\n");
	put("/proc/self/cgroup", "0::/../inner\n");
	assert_int_equal(usable(8), 8);
}

static void test_cpus_takes_every_mount(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/a/b\n");
	put("/proc/self/mountinfo", "31 23 0:28 /other /m1 rw - cgroup2 cgroup rw\n"
				    "32 23 0:28 /a/b /m2 rw - cgroup2 cgroup rw\n"
				    "33 23 0:28 /a /m3 rw - cgroup2 cgroup rw\n");
	put("/m1/cpu.max", "100000 100000\n");
	put("/m2/cpu.max", "600000 100000\n");
	put("/m3/cpu.max", "400000 100000\n");
	assert_int_equal(usable(8), 4);
	assert_string_equal(why, "cgroup quota of /a");
}

static void test_cpus_decodes_odd_names(void **state)
{
	(void)state;
	/* Blank, tab, newline and backslash in the mount point; a colon in the path; an empty
	 * source. */
	put("/proc/self/cgroup", "3:cpu:/a b/c:d\n");
	put("/proc/self/mountinfo",
	    "33 30 0:30 /a\\040b /m\\040\\011\\012\\134n rw shared:1 master:2 - cgroup  rw,cpu\n");
	put("/m \t\n\\n/c:d/cpu.cfs_quota_us", "200000\n");
	put("/m \t\n\\n/c:d/cpu.cfs_period_us", "100000\n");
	assert_int_equal(usable(8), 2);
	assert_string_equal(why, "cgroup quota of /a b/c:d");

	put_v2("/tab\there");
	put("/sys/fs/cgroup/tab\there/cpu.max", "100000 100000\n");
	assert_int_equal(usable(8), 1);
	assert_string_equal(why, "cgroup quota of /tab?here");
}

static void test_cpus_survives_garbage_files(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		":",
		"::",
		"0:",
		"0::",
		"0::a\n",
		"0:::/a\n",
		"x",
		"0::/\n",
		"-",
		" - ",
		"1 2 3 4 5\n",
		"1 2 3 / /\n",
		"1 2 3 / / rw\n",
		"1 2 3 / / rw -\n",
		"1 2 3 / / rw - cgroup2\n",
		"1 2 3 / / rw - cgroup\n",
		"1 2 3 / / rw - cgroup x\n",
		"1 2 3 x y rw - cgroup2 c rw\n",
		"1 2 3 /\\ /\\0 rw - cgroup2 c rw\n",
		"1 2 3 / /\\400\\999\\ rw - cgroup2 c rw",
		"\\\\\\\\ \\\\ \\\\ \\\\ \\\\ - cgroup2",
		"1 2 3 /.. /.. rw - cgroup2 c rw\n",
		"0::/../..\n",
		"3:cpu:/\n",
		"3:cpu\n",
	};
	const size_t n = sizeof(texts) / sizeof(texts[0]);
	uint64_t random = 88172645463325252u;
	char bytes[4096];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < n; j++) {
			put("/proc/self/cgroup", texts[i]);
			put("/proc/self/mountinfo", texts[j]);
			assert_int_equal(usable(8), 8);
		}
	}
	/* Noise, NULs included, in each of them. */
	for (int i = 0; i < 200; i++) {
		for (size_t j = 0; j < sizeof(bytes); j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			bytes[j] = "0123456789/:,.-\\ \n\0cpurom2axg"[random % 29];
		}
		put_v2("/a");
		put_bytes(i % 3 == 0   ? "/proc/self/cgroup"
			  : i % 3 == 1 ? "/proc/self/mountinfo"
				       : "/sys/fs/cgroup/a/cpu.max",
			  bytes, sizeof(bytes));
		assert_in_range(usable(8), 1, 8);
	}
}

static void test_cpus_survives_what_is_no_file(void **state)
{
	char path[128];

	(void)state;
	/* Directories in the files' places, then a pipe that nobody writes to. */
	put("/proc/self/cgroup/x", "");
	put("/proc/self/mountinfo/x", "");
	assert_int_equal(usable(8), 8);
	assert_int_equal(tear_down(NULL), 0);
	assert_int_equal(mkdir(root, 0755), 0);
	put_v2("/a/b");
	put("/sys/fs/cgroup/a/b/cpu.max/x", "");
	put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	snprintf(path, sizeof(path), "%s/sys/fs/cgroup/a/cpu.max", root);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(usable(8), 3);
}

static void test_cpus_bounds_the_reason(void **state)
{
	char tiny[9];

	(void)state;
	put_v2("/a/long/path");
	put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
	memset(tiny, 'x', sizeof(tiny));
	assert_int_equal(weft__cpus_usable_within(8, root, tiny, sizeof(tiny) - 1), 1);
	assert_string_equal(tiny, "cgroup ");
	assert_int_equal(tiny[8], 'x');
	assert_int_equal(weft__cpus_usable_within(8, root, NULL, 0), 1);
	assert_int_equal(weft__cpus_usable_within(8, root, tiny, 0), 1);
	assert_string_equal(tiny, "cgroup ");
}

static void test_cpus_of_this_process(void **state)
{
	cpu_set_t before;
	cpu_set_t one;

	(void)state;
	assert_in_range(weft__cpus_usable(NULL, why, sizeof(why)), 1, WEFT__CPUS_MAX);
	assert_true(why[0] != '\0');
	assert_int_equal(weft__cpus_usable("", NULL, 0), weft__cpus_usable(NULL, NULL, 0));

	/* On a machine with more than a thousand CPUs the fixed-size set is too small: nothing more
	 * to see here. */
	if (sched_getaffinity(0, sizeof(before), &before) != 0)
		return;
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &before)) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	assert_int_equal(weft__cpus_usable(root, NULL, 0), CPU_COUNT(&before));
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(weft__cpus_usable(NULL, why, sizeof(why)), 1);
	assert_string_equal(why, "affinity mask");
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cpus_without_limits_is_the_affinity),
		TEST(test_cpus_without_any_file_is_the_affinity),
		TEST(test_cpus_stays_in_range),
		TEST(test_cpus_takes_the_v2_quota_of_the_leaf),
		TEST(test_cpus_takes_a_tighter_ancestor),
		TEST(test_cpus_ignores_siblings_and_children),
		TEST(test_cpus_ignores_a_looser_quota),
		TEST(test_cpus_rounds_up),
		TEST(test_cpus_ignores_garbage_quotas),
		TEST(test_cpus_takes_the_v1_quota),
		TEST(test_cpus_reads_both_versions_where_both_are_mounted),
		TEST(test_cpus_follows_a_nested_mount_root),
		TEST(test_cpus_follows_a_mount_above_the_namespace),
		TEST(test_cpus_takes_every_mount),
		TEST(test_cpus_decodes_odd_names),
		TEST(test_cpus_survives_garbage_files),
		TEST(test_cpus_survives_what_is_no_file),
		TEST(test_cpus_bounds_the_reason),
		TEST(test_cpus_of_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
