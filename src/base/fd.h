// SPDX-License-Identifier: Apache-2.0
/* Blocking reads of small files at a start: configuration, policy, secrets. Never for a socket or on the loop. */
#ifndef CHELA_BASE_FD_H
#define CHELA_BASE_FD_H
#include <sys/types.h>

/* Reads at most cap bytes, to the end of the file; the number read, or -1 with errno. */
ssize_t fd_read_all(int fd, char *p, size_t cap);

#endif
