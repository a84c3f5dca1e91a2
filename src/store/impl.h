// SPDX-License-Identifier: Apache-2.0
/*
 * Shared insides of the store: the statement cache, the transaction, and the row of the history. Nothing outside src/store includes it.
 */
#ifndef CHELA_STORE_IMPL_H
#define CHELA_STORE_IMPL_H
#include "store/sql.h"

#define STMT_SLOTS 1024 /* power of two, well above the number of statements */

struct after {
	void (*cb)(void *ctx);
	void *ctx;
};

struct store {
	sqlite3 *db;
	const struct clock *clk;
	bool in_tx;
	char broken[200];
	struct {
		const char *sql; /* by address: each statement is one string literal */
		sqlite3_stmt *stmt;
	} cache[STMT_SLOTS];
	struct after *after;
	size_t n_after, cap_after;
	struct after *running; /* the list being run, for store_forget */
	size_t n_running;
	int log_pages;	   /* in the write-ahead log, as of the last commit */
	int64_t heard[64]; /* senders, by their last bits, that are known to be marked as heard */
	int64_t unindexed; /* what search.c has to index, in its units; 0 = nothing */
};

/* A prepared statement for reading, reset and without bindings. Pair with _cleanup_stmt_. */
sqlite3_stmt *store_read(struct store *st, const char *sql, struct err *e);
/* The same for writing: opens the transaction first. NULL when broken. */
sqlite3_stmt *store_write(struct store *st, const char *sql, struct err *e);
static inline void cleanup_stmt_p(sqlite3_stmt **s)
{
	if (*s) {
		sqlite3_reset(*s);
		sqlite3_clear_bindings(*s);
	}
}
#define _cleanup_stmt_ _cleanup_(cleanup_stmt_p)

/* Steps once: 1 = a row, 0 = done, -1 = error (marks the store broken unless it was a constraint), or s is NULL, for a reason that e has already. */
int store_step(struct store *st, sqlite3_stmt *s, struct err *e) must_check;
/* Steps a statement that returns no row. */
int store_done(struct store *st, sqlite3_stmt *s, struct err *e) must_check;
int store_fail(struct store *st, struct err *e, const char *what);
int64_t store_now(const struct store *st);
/* A row of the history: its columns, read into m. */
#define MSG_COLUMNS                                                                                \
	"m.id, m.chat_id, m.group_id, m.turn_id, m.dir, m.state, m.tries, m.sent_ms, m.thread,"    \
	" m.platform_id, m.text, coalesce((SELECT name FROM senders WHERE id = m.sender_id), '')," \
	" m.notice, m.session, coalesce(m.sender_id, 0), coalesce(m.task_run_id, 0)"
#define MSG_N_COLUMNS 16
/* What was said while the chat (?1) was another group's is that group's. */
#define MSG_OF_CHATS_GROUP                                                                         \
	"m.group_id = coalesce((SELECT group_id FROM group_chats WHERE chat_id = ?1), m.group_id)"
void store_read_msg(sqlite3_stmt *s, struct msg_row *m);
/* Tells of each row of the statement, which ends here (NULL = -1): how many, or -1. */
int store_tell_msgs(struct store *st, sqlite3_stmt *take, msg_fn *fn, void *ctx,
		    struct err *e) must_check;
/* The same; 0 or -1. */
int store_each_msg(struct store *st, sqlite3_stmt *take, msg_fn *fn, void *ctx,
		   struct err *e) must_check;

/* search.c: every message inserted is told to store_index_later, every end of a turn calls store_index_batch. */
int store_index_open(struct store *st, struct err *e) must_check;
int store_index(struct store *st, struct err *e) must_check;
int store_index_later(struct store *st, size_t text_len, struct err *e) must_check;
int store_index_batch(struct store *st, struct err *e) must_check;

/* schema.c */
/* The id of the newest that a person said in a chat, 0 = none: of those that the search does not have yet, else as the table said has it. */
#define INDEXED_UP_TO "(SELECT coalesce(max(id), 0) FROM messages_fts_docsize)"
#define IS_SAID	      "dir = 0 AND substr(platform_id, 1, 6) <> '" MSG_EVENT "'"
#define NEWEST_SAID(chat)                                                                          \
	"coalesce((SELECT max(id) FROM messages WHERE chat_id = " chat " AND id > " INDEXED_UP_TO  \
	" AND " IS_SAID "),"                                                                       \
	" (SELECT message_id FROM said WHERE chat_id = " chat "), 0)"
/* The words of the partial index messages_open, for what asks for state 1 or 2. */
#define MSG_OPEN "state IN (1, 2) AND state"
int store_migrate(struct store *st, const char *file, struct err *e) must_check;
#endif
