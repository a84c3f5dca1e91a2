// SPDX-License-Identifier: Apache-2.0
/* See fd.h. It must never keep or close a descriptor. */
#include "base/fd.h"
#include <errno.h>
#include <unistd.h>

ssize_t fd_read_all(int fd, char *p, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t r = read(fd, p + n, cap - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	return (ssize_t)n;
}
