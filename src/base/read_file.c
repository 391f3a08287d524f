/* SPDX-License-Identifier: MIT */
#include "read_file.h"

#include "alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

bool weft__read_file(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t length;

	if (fd < 0)
		return false;
	do
		length = read(fd, ret_text, size - 1);
	while (length < 0 && weft__errno() == EINTR);
	close(fd);
	if (length <= 0)
		return false;
	ret_text[length] = '\0';
	return true;
}
