// SPDX-License-Identifier: Apache-2.0
/*
 * Archives of files, as any tar can read them (ustar, with pax headers for long names): written and read as a stream, one entry after the other. For our own
 * backups: plain files, folders and symbolic links, nothing else. The reader takes what it is given for hostile: it checks sums, sizes and names, and writes
 * nothing itself. Blocking: for commands, never on the loop.
 */
#ifndef CHELA_RUNTIME_TAR_H
#define CHELA_RUNTIME_TAR_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/mem.h"

#define TAR_NAME_CAP 4096

enum tar_type {
	TAR_FILE,
	TAR_FOLDER,
	TAR_LINK
};
struct tar_entry {
	char name[TAR_NAME_CAP]; /* relative, no "..", no empty step, no end "/" */
	enum tar_type type;
	mode_t mode; /* permission bits only */
	uid_t uid;
	gid_t gid;
	int64_t size, mtime_s;
	char target[TAR_NAME_CAP]; /* TAR_LINK: as it was, never followed */
};

/* Whether a name may stand in an archive: relative, no "." or ".." step, no control character. */
bool tar_name_ok(const char *name);

struct tar_writer {
	int fd;
	int64_t left; /* of the entry that is open */
	int64_t size;
};
/* e->size bytes of tar_write follow for a file. */
int tar_begin(struct tar_writer *w, const struct tar_entry *t, struct err *e) must_check;
int tar_write(struct tar_writer *w, const void *p, size_t n, struct err *e) must_check;
/* What is missing of a file that has become shorter is filled with zeroes. */
int tar_end(struct tar_writer *w, struct err *e) must_check;
int tar_finish(struct tar_writer *w, struct err *e) must_check;

struct tar_reader {
	int fd;
	int64_t left, pad; /* of the entry that is open */
};
/* The next entry, what is left of the last one is skipped: 1, at the end of the archive 0, else -1. */
int tar_next(struct tar_reader *r, struct tar_entry *t, struct err *e) must_check;
/* Bytes of the open entry; 0 at its end. */
ssize_t tar_read(struct tar_reader *r, void *p, size_t n, struct err *e) must_check;

#endif
