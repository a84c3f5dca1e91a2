// SPDX-License-Identifier: Apache-2.0
/*
 * Unix socket addresses without the 107-byte limit: a longer path is named through /proc/self/fd
 * of its folder, which stays open for as long as the address is used.
 */
#ifndef CHELA_RUNTIME_SOCK_PATH_H
#define CHELA_RUNTIME_SOCK_PATH_H
#include <sys/un.h>
#include "base/err.h"
#include "base/mem.h"

/* Fills sa. *dir_fd is set to a descriptor that the caller closes after use, or -1. */
int sock_path(const char *path, struct sockaddr_un *sa, int *dir_fd, struct err *e) must_check;
/* A connected non-blocking unix socket, or -1 with errno set. Never waits. Root calls as the socket's owner: a server in a user namespace of its own cannot tell
 * root from anybody else. */
int sock_path_connect(const struct sockaddr_un *sa);

#endif
