/* SPDX-License-Identifier: MIT */
/* The end of a descriptor (descriptor.h). */
#include "poller.h"
#include "src/base/alloc.h"

#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Returns 0 or a negative errno value. Like Linux, it closes in any case. */
static int close_it(int fd)
{
	int saved = weft__errno();
	int rc = close(fd) < 0 ? -weft__errno() : 0;

	weft__set_errno(saved);
	return rc == -EINTR ? 0 : rc;
}

int weft_close(int fd)
{
	struct descriptor *d = weft__descriptor_if_known(fd);

	if (!d)
		return close_it(fd);
	weft__descriptor_begin_close(d);
	weft__poller_remove(fd, d);
	int rc = close_it(fd);
	weft__descriptor_end_close(d);
	return rc;
}

int weft_fd_forget(int fd)
{
	struct descriptor *d = weft__descriptor_if_known(fd);
	int saved = weft__errno();

	if (fcntl(fd, F_GETFD) < 0) {
		weft__set_errno(saved);
		return -EBADF;
	}
	if (d) {
		weft__descriptor_begin_close(d);
		weft__poller_remove(fd, d);
		weft__descriptor_end_close(d);
	}
	return 0;
}
