/* SPDX-License-Identifier: MIT */
/*
 * seccomp_exec ERROR PROGRAM ARGUMENT...: becomes the program, under a filter of the kernel. The
 * filter refuses calls that old kernels do not have and that sandboxes forbid: membarrier() and
 * process_madvise() with ERROR (EPERM, ENOSYS), and madvise(MADV_GUARD_INSTALL) with EINVAL. The
 * filter is there before the program's first instruction, as it is in a container, because liburcu
 * asks for membarrier() when it is loaded.
 *
 * It has two exit statuses of its own: 2 for bad usage, and 77 if there can be no filter here.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define CANNOT 77

#ifdef ARCHITECTURE

#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))
/* Goes on with the next if it is so, else leaves `otherwise` of them out. */
#define IF(value, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (otherwise))

static int install(unsigned error)
{
	struct sock_filter filter[] = {
		LOAD(arch),
		IF(ARCHITECTURE, 9), /* another one's system calls have other numbers */
		LOAD(nr),
		IF(SYS_membarrier, 1),
		RETURN(SECCOMP_RET_ERRNO | error),
		IF(SYS_process_madvise, 1),
		RETURN(SECCOMP_RET_ERRNO | error),
		IF(SYS_madvise, 3),
		LOAD(args[2]), /* the low half, on machines that are little-endian */
		IF(MADV_GUARD_INSTALL, 1),
		RETURN(SECCOMP_RET_ERRNO | EINVAL),
		RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return -errno;
	return 0;
}

/* Whether the filter does its work, and leaves the rest alone. */
static int verify(unsigned error)
{
	long page = sysconf(_SC_PAGESIZE);
	void *area = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	if (syscall(SYS_membarrier, 0, 0, 0) != -1 || errno != (int)error)
		return -EPROTO;
	if (syscall(SYS_process_madvise, -1, NULL, 0, 0, 0) != -1 || errno != (int)error)
		return -EPROTO;
	if (madvise(area, (size_t)page, MADV_GUARD_INSTALL) != -1 || errno != EINVAL)
		return -EPROTO;
	if (madvise(area, (size_t)page, MADV_DONTNEED) != 0)
		return -EPROTO;
	return munmap(area, (size_t)page) == 0 ? 0 : -errno;
}

#else

static int install(unsigned error)
{
	(void)error;
	return -ENOTSUP;
}

static int verify(unsigned error)
{
	(void)error;
	return -ENOTSUP;
}

#endif

int main(int argc, char **argv)
{
	unsigned error = 0;

	if (argc >= 3 && strcmp(argv[1], "EPERM") == 0)
		error = EPERM;
	else if (argc >= 3 && strcmp(argv[1], "ENOSYS") == 0)
		error = ENOSYS;
	if (!error) {
		fprintf(stderr, "usage: seccomp_exec EPERM|ENOSYS PROGRAM ARGUMENT...\n");
		return 2;
	}
	int rc = install(error);
	if (rc == 0)
		rc = verify(error);
	if (rc < 0) {
		fprintf(stderr, "seccomp_exec: no filter: %s\n", strerror(-rc));
		return CANNOT;
	}
	execv(argv[2], argv + 2);
	fprintf(stderr, "seccomp_exec: %s: %s\n", argv[2], strerror(errno));
	return 2;
}
