/* SPDX-License-Identifier: MIT */
/*
 * Decides which calls fail, and counts calls. See faults.h.
 *
 * The return address of a call says whether Weft made it. So the calls of liburcu, of the C library
 * and of the program itself do not fail: the subject is what Weft makes of a failure. For example,
 * liburcu ends the process if a membarrier fails for which it has registered.
 */
#include "faults.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FAULTS_EXPORT const char *const faults_names[FAULTS_KINDS] = {
	[FAULTS_MALLOC] = "malloc",
	[FAULTS_MMAP] = "mmap",
	[FAULTS_MADVISE] = "madvise",
	[FAULTS_MPROTECT] = "mprotect",
	[FAULTS_PROCESS_MADVISE] = "process_madvise",
	[FAULTS_THREAD] = "thread",
	[FAULTS_MEMBARRIER] = "membarrier",
	[FAULTS_FUTEX] = "futex",
	[FAULTS_OPEN] = "open",
	[FAULTS_READ] = "read",
	[FAULTS_FOPEN] = "fopen",
	[FAULTS_GETLINE] = "getline",
};

static const struct {
	const char *name;
	int how;
} hows[] = {
	{"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN},   {"EINVAL", EINVAL},   {"ENOSYS", ENOSYS},
	{"EPERM", EPERM},   {"EINTR", EINTR},     {"EMFILE", EMFILE},   {"EIO", EIO},
	{"EACCES", EACCES}, {"stray", HOW_STRAY}, {"short", HOW_SHORT},
};

/* Written by the constructor, before there are threads; libweft.so's addresses are [weft_low,
 * weft_high). */
static uintptr_t weft_low, weft_high;
static enum faults_kind nth_kind = FAULTS_KINDS;
static uint64_t nth_first, nth_count;
static int nth_how;
static int always[FAULTS_KINDS];
static bool always_read;

/* relaxed everywhere: counts, and switches that the program's only thread turns. */
static _Atomic uint64_t calls[FAULTS_KINDS], denied[FAULTS_KINDS];
static _Atomic uint64_t failed, expedited, odd;
static _Atomic bool armed, mappings_refused;

static void misunderstood(const char *variable, const char *text)
{
	fprintf(stderr, "faults: %s: cannot make anything of '%s'\n", variable, text);
	_exit(2);
}

static int how_of(const char *variable, const char *name)
{
	for (size_t i = 0; i < sizeof hows / sizeof hows[0]; i++) {
		if (strcmp(hows[i].name, name) == 0)
			return hows[i].how;
	}
	misunderstood(variable, name);
	return HOW_NOT;
}

static enum faults_kind kind_of(const char *variable, const char *name)
{
	for (int i = 0; i < FAULTS_KINDS; i++) {
		if (strcmp(faults_names[i], name) == 0)
			return (enum faults_kind)i;
	}
	misunderstood(variable, name);
	return FAULTS_KINDS;
}

static void read_nth(void)
{
	const char *text = getenv("FAULTS_NTH");
	char kind[32], how[32];
	unsigned first, count;

	if (!text)
		return;
	if (sscanf(text, "%31[^:]:%u:%u:%31s", kind, &first, &count, how) != 4)
		misunderstood("FAULTS_NTH", text);
	nth_kind = kind_of("FAULTS_NTH", kind);
	nth_first = first;
	nth_count = count;
	nth_how = how_of("FAULTS_NTH", how);
}

/* Also called before the constructor: other libraries' come first. */
static void read_always(void)
{
	const char *text = getenv("FAULTS_ALWAYS");
	char copy[256], *rest = copy;

	always_read = true;
	if (!text)
		return;
	snprintf(copy, sizeof copy, "%s", text);
	for (char *one; (one = strtok_r(rest, ",", &rest));) {
		char *how = strchr(one, '=');
		if (!how)
			misunderstood("FAULTS_ALWAYS", one);
		*how++ = '\0';
		always[kind_of("FAULTS_ALWAYS", one)] = how_of("FAULTS_ALWAYS", how);
	}
}

static int find_weft(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size, (void)unused;
	if (!strstr(info->dlpi_name, "libweft.so"))
		return 0;
	weft_low = UINTPTR_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t high = low + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		weft_low = low < weft_low ? low : weft_low;
		weft_high = high > weft_high ? high : weft_high;
	}
	return 1;
}

__attribute__((constructor)) static void set_up(void)
{
	read_always();
	read_nth();
	dl_iterate_phdr(find_weft, NULL);
}

bool faults_is_wefts(const void *caller)
{
	return (uintptr_t)caller >= weft_low && (uintptr_t)caller < weft_high;
}

int faults_denied(enum faults_kind kind)
{
	if (!always_read)
		read_always();
	if (always[kind])
		atomic_fetch_add_explicit(&denied[kind], 1, memory_order_relaxed);
	return always[kind];
}

int faults_due(enum faults_kind kind, bool wefts)
{
	if (!wefts || !atomic_load_explicit(&armed, memory_order_relaxed))
		return HOW_NOT;
	uint64_t n = atomic_fetch_add_explicit(&calls[kind], 1, memory_order_relaxed) + 1;
	if (kind != nth_kind || n < nth_first || n - nth_first >= nth_count)
		return HOW_NOT;
	atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
	return nth_how;
}

FAULTS_EXPORT void faults_arm(void)
{
	atomic_store_explicit(&armed, true, memory_order_relaxed);
}

FAULTS_EXPORT void faults_disarm(void)
{
	atomic_store_explicit(&armed, false, memory_order_relaxed);
}

FAULTS_EXPORT void faults_refuse_mappings(bool refuse)
{
	atomic_store_explicit(&mappings_refused, refuse, memory_order_relaxed);
}

FAULTS_EXPORT void faults_read_counts(struct faults_counts *ret)
{
	for (int i = 0; i < FAULTS_KINDS; i++) {
		ret->calls[i] = atomic_load_explicit(&calls[i], memory_order_relaxed);
		ret->denied[i] = atomic_load_explicit(&denied[i], memory_order_relaxed);
	}
	ret->failed = atomic_load_explicit(&failed, memory_order_relaxed);
	ret->expedited = atomic_load_explicit(&expedited, memory_order_relaxed);
	ret->odd = atomic_load_explicit(&odd, memory_order_relaxed);
}

bool faults_keeps_books(void)
{
	return weft_high > 0;
}

bool faults_mappings_refused(void)
{
	return atomic_load_explicit(&mappings_refused, memory_order_relaxed);
}

void faults_count_expedited(void)
{
	atomic_fetch_add_explicit(&expedited, 1, memory_order_relaxed);
}

void faults_count_odd(void)
{
	atomic_fetch_add_explicit(&odd, 1, memory_order_relaxed);
}
