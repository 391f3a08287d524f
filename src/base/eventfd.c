/* SPDX-License-Identifier: MIT */
#include "eventfd.h"

#include "alloc.h"
#include "sanitizer.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int weft__eventfd_open(void)
{
	int saved = weft__errno();
	san_ignore_begin(); /* others ring it */
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	san_ignore_end();

	if (fd < 0)
		fd = -weft__errno();
	weft__set_errno(saved);
	return fd;
}

void weft__eventfd_close(int fd)
{
	int saved = weft__errno();

	san_ignore_begin();
	close(fd);
	san_ignore_end();
	weft__set_errno(saved);
}

void weft__eventfd_ring(int fd)
{
	int saved = weft__errno();
	uint64_t one = 1;
	/* It fails only if the counter is full. Then it is readable. */
	san_ignore_begin();
	ssize_t written = write(fd, &one, sizeof one);
	san_ignore_end();

	(void)written;
	weft__set_errno(saved);
}
