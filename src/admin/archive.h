// SPDX-License-Identifier: Apache-2.0
/*
 * A backup as a file: a tar archive, packed by gzip, of plain files, folders and links, whose first entry says what it is (BACKUP, JSON) and whose last one has the
 * SHA-256 of each file before it (MANIFEST, as sha256sum writes it). Blocking: for commands, never on the loop.
 */
#ifndef CHELA_ADMIN_ARCHIVE_H
#define CHELA_ADMIN_ARCHIVE_H
#include "runtime/tar.h"

struct digest;

/* --- writing (archive_write.c) --- */

struct archive {
	struct tar_writer tar;
	pid_t packer;
	struct buf *manifest;
	int64_t files, bytes;
	int64_t left_out; /* sockets, devices, names that no archive may have */
};
/* out: the file, open for writing; it is the caller's. */
int archive_begin(struct archive *a, int out, struct err *e) must_check;
/* One file of ours, from memory. */
int archive_put_text(struct archive *a, const char *name, const char *text,
		     struct err *e) must_check;
/* What is called leaf in the folder dir, under this name, with all below it; no link is followed. What is gone meanwhile is passed over. top: it must be there. */
int archive_put_tree(struct archive *a, int dir, const char *leaf, const char *name,
		     struct err *e) must_check;
/* Writes the manifest and waits for the packer. */
int archive_end(struct archive *a, struct err *e) must_check;
/* Gives up, or nothing after archive_end. */
void archive_drop(struct archive *a);

/* --- reading (archive_read.c) --- */

struct archive_info {
	char *about; /* BACKUP; the caller frees */
	int64_t files, bytes;
};
/* Reads all of it and checks it against its manifest. into: a folder where it is unpacked, -1 = nowhere. Only the names of archive_tops may stand at the top. owner and
 * agent: whom what is unpacked belongs to (as root only): agent, what lies in a group's or a session's folder. */
int archive_read(const char *file, int into, uid_t owner, uid_t agent, struct archive_info *info,
		 struct err *e) must_check;
/* NULL-ended: chela.db, then folders. secrets is the last. */
extern const char *const archive_tops[];

#endif
