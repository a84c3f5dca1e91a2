// SPDX-License-Identifier: Apache-2.0
/*
 * The conversation archive: what was said in a group since the last time, as dated Markdown in conversations/ of the group's folder, for its agent to
 * read. Made when a session ends or is compacted; never overwritten; the oldest go. Inside src/router only.
 */
#ifndef CHELA_ROUTER_ARCHIVE_H
#define CHELA_ROUTER_ARCHIVE_H
#include "router/impl.h"
#include "router/memory.h"

/* Begins to write in steps; name is what the file is called in the group's folder, "" when nothing was said since. One that is being written already is named
 * again. An error is for the log: nothing is lost by it, for the history has it all. */
int archive_start(struct router *r, const struct group_row *g, char name[ARCHIVE_NAME],
		  struct err *e) must_check;
/* The same for those who only want it done: an error goes to the log. */
void archive_note(struct router *r, const struct group_row *g, char name[ARCHIVE_NAME]);
/* Ends what is being written; unfinished files go, and are written again the next time. */
void archive_close(struct router *r);

/* Limits, for tests. */
#define ARCHIVE_FILES	   100
#define ARCHIVE_BYTES	   ((int64_t)20 << 20) /* of all */
#define ARCHIVE_FILE_BYTES ((int64_t)2 << 20)  /* of one; then another begins */

#endif
