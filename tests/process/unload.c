/* SPDX-License-Identifier: MIT */
/*
 * unload PLUGIN MIB: loads a library that uses Weft, lets it work, and unloads it, again and again.
 * The address space may grow by at most MIB MiB.
 *
 * A library that is linked with the shared Weft leaves it loaded, with everything that it keeps. A
 * library that is linked with the static one takes its copy along, and that copy must give back
 * everything first.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

/* The C library's part settles meanwhile: stacks of threads, the loader's tables. */
#define WARM  5
#define TIMES 20
/* A copy that gives nothing back loses at least one arena of stacks each time. That is 16 MiB of
 * addresses, 320 in all. This much may come from the C library. */
#define SLACK_MIB 8

static size_t address_space(void)
{
	size_t pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%zu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * 4096;
}

static void run_once(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	long (*run)(void);
	*(void **)&run = dlsym(plugin, "plugin_run");
	long counted = run ? run() : -1;
	if (counted != 301) {
		fprintf(stderr, "plugin_run(): %ld\n", counted);
		exit(1);
	}
	if (dlclose(plugin) != 0) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
}

int main(int argc, char **argv)
{
	size_t before = 0;

	if (argc < 3)
		return 2;
	mallopt(M_ARENA_MAX,
		1); /* with an arena for each thread the addresses would vary by chance */
	setenv("WEFT_WORKERS", "2", 1);
	for (int i = 0; i < WARM + TIMES; i++) {
		if (i == WARM)
			before = address_space();
		run_once(argv[1]);
	}
	size_t after = address_space();
	size_t grown = after > before ? after - before : 0;
	printf("%d times: %zu KiB more\n", TIMES, grown >> 10);
	/* Otherwise the memory of the tool or the emulator counts. */
	return grown >> 20 > SLACK_MIB + (size_t)atoi(argv[2]) && !RUNNING_ON_VALGRIND &&
	       !getenv("WEFT_TEST_SCALE");
}
