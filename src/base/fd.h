// SPDX-License-Identifier: Apache-2.0
/* Descriptors: blocking reads of small files at a start, and opening what lies in a folder that somebody else writes to. */
#ifndef CHELA_BASE_FD_H
#define CHELA_BASE_FD_H
#include <sys/types.h>

/* Reads at most cap bytes, to the end of the file; the number read, or -1 with errno. Blocking: for configuration, policy and secrets, never for a
 * socket or on the loop. */
ssize_t fd_read_all(int fd, char *p, size_t cap);
/* Writes all of it; -1 with errno. To a file. */
int fd_write_all(int fd, const void *p, size_t n);
/* Opens a path below the folder dir, whoever owns what is there: as openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, step by step, so
 * that it works where that call does not. O_CLOEXEC and O_NOFOLLOW are added. A descriptor, or -1 with errno: EXDEV for an absolute path or a
 * "..", ELOOP for a symbolic link on the way. */
int fd_open_beneath(int dir, const char *path, int flags, mode_t mode);
/* Makes a folder below dir, whose parent must be there, reached in the same way. -1 with errno: EEXIST when something is there already. */
int fd_make_beneath(int dir, const char *path, mode_t mode);

#endif
