// SPDX-License-Identifier: Apache-2.0
/*
 * The log as a file of bounded size: `chela.log`, and the older ones as `chela.log.1`, `.2`, ... All processes of the server write to it; whoever finds it full
 * puts it aside, and the others notice with their next line. A file that somebody else moved away (logrotate) is made anew the same way.
 */
#ifndef CHELA_BASE_LOG_FILE_H
#define CHELA_BASE_LOG_FILE_H
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"

/* Descriptor 2 becomes this file from now on, in this process and its children. keep: how many older ones stay. */
int log_file_open(const char *path, int64_t max_bytes, int keep, struct err *e) must_check;
/* Before n bytes are written to descriptor 2: puts the file aside when it is full. Nothing when no file was opened. The log must never stop the server:
 * what fails here is not told, and the line goes to the file that is open. */
void log_file_room(size_t n);

#endif
