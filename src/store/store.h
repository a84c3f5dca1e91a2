// SPDX-License-Identifier: Apache-2.0
/*
 * The durable state: one SQLite file (WAL, synchronous=FULL, STRICT tables), and the only folder
 * with SQL. Times are UTC milliseconds; the order of messages is the row id, our own sequence, never
 * a timestamp. The server is the only writer.
 *
 * Group commit: the first write of a loop turn opens a transaction; store_commit (called by the
 * loop's turn-end hook) ends it with one fsync for all. Whoever must act only on durable facts (ack a
 * platform, hand a message to an agent) queues that with store_after_commit. So everything that
 * is written within one loop turn is one atomic transaction.
 *
 * A failed write or commit (disk full, I/O error) leaves memory and disk of different opinions; the store then marks itself
 * broken, every later call fails, and the server stops with the reason: a restart recovers from what is durable.
 */
#ifndef CHELA_STORE_STORE_H
#define CHELA_STORE_STORE_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

struct store;

/* Opens or makes the file, runs migrations (a copy "<file>.v<N>.bak" is made before they touch data). A schema newer than ours is
 * refused. clk is borrowed. */
struct store *store_open(const char *file, const struct clock *clk, struct err *e) must_check;
/* Commits (unless broken), checkpoints, closes; nobody is called any more. NULL is fine. */
void store_close(struct store *st);
/* Ends the open transaction, if any, then runs what waited for it. -1: broken. */
int store_commit(struct store *st, struct err *e) must_check;
/* True when a transaction is open or something waits for a commit. */
bool store_dirty(const struct store *st);
/* The log has grown so far that it should be copied into the database. That takes some ms: the owner does it once
 * what waited for the commit is on its way. A log that grows on is copied by store_commit. */
bool store_checkpoint_due(const struct store *st);
int store_checkpoint(struct store *st, struct err *e) must_check;
/* Runs cb after the transaction that is open now is durable; at the next store_commit when none is open. */
void store_after_commit(struct store *st, void (*cb)(void *ctx), void *ctx);
/* Drops queued calls for ctx (its owner goes away). */
void store_forget(struct store *st, const void *ctx);
/* The owner cannot go on: nothing that is not durable yet will be, and every later call fails. */
void store_break(struct store *st, const char *why);
/* Why the store is broken, or NULL. */
const char *store_broken(const struct store *st);

/* --- groups and chats --------------------------------------------------------------------- */

struct group_row {
	int64_t id;
	char name[65];
	bool is_main;
	bool paused;  /* its tasks do not run */
	bool removed; /* hidden; only store_group_at finds it */
};
/* Makes the group when absent, or brings back the one that was removed. E_TEMP while its data is still being deleted. */
int store_group_ensure(struct store *st, const char *name, bool is_main, struct group_row *out,
		       struct err *e) must_check;
/* E_GONE when there is none. Removed ones are not found, nor told by store_group_each. */
int store_group_get(struct store *st, const char *name, struct group_row *out,
		    struct err *e) must_check;
/* Whether a group has this name, or had it and was removed: making one would bring that one back. */
int store_group_taken(struct store *st, const char *name, bool *yes, struct err *e) must_check;
/* The same by id. */
int store_group_at(struct store *st, int64_t id, struct group_row *out, struct err *e) must_check;
typedef void group_fn(void *ctx, const struct group_row *g);
int store_group_each(struct store *st, group_fn *fn, void *ctx, struct err *e) must_check;
/* The group's settings as a JSON object; the caller frees *json. E_GONE when there is no such group. */
int store_group_settings(struct store *st, int64_t group_id, char **json, struct err *e) must_check;
int store_group_settings_set(struct store *st, int64_t group_id, const char *json,
			     struct err *e) must_check;
int store_group_pause(struct store *st, int64_t group_id, bool paused, struct err *e) must_check;
/* Hides it and takes its chats from it; all else stays. purge: its data is to be deleted by store_group_purge, also after a crash. */
int store_group_remove(struct store *st, int64_t group_id, bool purge, struct err *e) must_check;
/* Groups whose data is still to be deleted. */
int store_purges(struct store *st, group_fn *fn, void *ctx, struct err *e) must_check;
/* Deletes some of a removed group's messages, files, tasks, sessions, roles and settings: bounded work, from *at (0 = the start) on.
 * *done: all is gone. What was done and what it cost (turns, usage, acts) stays. */
int store_group_purge(struct store *st, int64_t group_id, int64_t *at, bool *done,
		      struct err *e) must_check;
/* Up to which message the conversation has been archived. */
int store_archived(struct store *st, int64_t group_id, int64_t *id, struct err *e) must_check;
int store_archived_set(struct store *st, int64_t group_id, int64_t id, struct err *e) must_check;
/* What goes before the first message of a session's next beginning; NULL when there is none; the caller frees. text NULL removes it. */
int store_carry_get(struct store *st, int64_t group_id, const char *session, char **text,
		    struct err *e) must_check;
int store_carry_set(struct store *st, int64_t group_id, const char *session, const char *text,
		    struct err *e) must_check;

struct chat_row {
	int64_t id;
	int64_t group_id; /* 0 = the chat belongs to no group */
	int64_t seen_ms;  /* when it was last refused */
	bool direct;	  /* one person with the assistant */
	bool invited;	  /* whoever writes first becomes a member: see store_chat_invite */
	char channel[32];
	char platform_id[128];
};
int store_chat_ensure(struct store *st, const char *channel, const char *platform_id,
		      const char *title, struct chat_row *out, struct err *e) must_check;
int store_chat_get(struct store *st, int64_t id, struct chat_row *out, struct err *e) must_check;
int store_chat_link(struct store *st, int64_t chat_id, int64_t group_id, struct err *e) must_check;
int store_chat_unlink(struct store *st, int64_t chat_id, struct err *e) must_check;
/* What the platform calls it, cut to fit; "" when it says nothing. */
int store_chat_title(struct store *st, int64_t chat_id, char *out, size_t cap,
		     struct err *e) must_check;
/* E_GONE when there is none. */
int store_chat_find(struct store *st, const char *channel, const char *platform_id,
		    struct chat_row *out, struct err *e) must_check;
/* As store_chat_ensure, and what the platform says of it now is kept: the title (unless "") and whether it is direct. */
int store_chat_seen(struct store *st, const char *channel, const char *platform_id,
		    const char *title, bool direct, struct chat_row *out, struct err *e) must_check;
/* n more messages of it were refused. Of chats that nobody ever linked, only the `keep` newest stay. */
int store_chat_refused(struct store *st, int64_t chat_id, int64_t n, int64_t keep,
		       struct err *e) must_check;
struct chat_info { /* strings are borrowed for the call */
	struct chat_row chat;
	const char *title, *group; /* group "" = none */
	int64_t refused, last_ms;  /* last_ms: of the newest message, taken or refused; 0 = never */
};
typedef void chat_info_fn(void *ctx, const struct chat_info *c);
/* All chats, or those of one group; by channel and id. */
int store_chat_each(struct store *st, int64_t group_id, chat_info_fn *fn, void *ctx,
		    struct err *e) must_check;
/* Each chat of a channel that belongs to a group, with the platform's id and time of the newest message that came in ("" and 0:
 * none yet). */
typedef void chat_newest_fn(void *ctx, const char *platform_id, const char *last_id,
			    int64_t last_ms);
int store_chat_newest(struct store *st, const char *channel, chat_newest_fn *fn, void *ctx,
		      struct err *e) must_check;
/* The chat in which the operator is told things: the main group's newest outside the console, else the console's; 0 = none yet. */
int store_main_chat(struct store *st, int64_t *chat_id, int64_t *group_id,
		    struct err *e) must_check;
/* The platform gave a chat a new id. *from: the chat's row, 0 = not known; *to: the row that has the new id now, which may be the same.
 * but: the outbox row that is being sent to the chat (0 = none); it, and one marked as being sent, stays where it is. */
int store_chat_move(struct store *st, const char *channel, const char *id, const char *new_id,
		    int64_t but, int64_t *from, int64_t *to, struct err *e) must_check;
/* name and alt (a second identity of the same person): kept up to date unless "". */
int store_sender_ensure(struct store *st, const char *channel, const char *platform_id,
			const char *name, const char *alt, int64_t *id, struct err *e) must_check;

/* --- messages ----------------------------------------------------------------------------- */

enum msg_state {
	MSG_CONTEXT = 0,  /* kept, never asked for an answer; and everything we sent */
	MSG_PENDING = 1,  /* waits for a turn */
	MSG_LEASED = 2,	  /* handed to the agent in a running turn */
	MSG_ANSWERED = 3, /* its turn's answer is in the outbox */
	MSG_FAILED = 4,	  /* given up; a notice is in the outbox */
	MSG_FETCHING = 5, /* waits for its files; later messages of its chat wait behind it */
	MSG_GONE = 6, /* nobody sees it: taken back in time, or the mark of an event that is done */
};
enum msg_dir {
	MSG_IN = 0,
	MSG_OUT = 1
};

struct msg_new {
	int64_t chat_id, group_id, sender_id; /* sender 0 = unknown */
	const char *session;	 /* key of the agent session: "" unless threads are sessions */
	const char *thread;	 /* where the answer goes on the platform; "" = none */
	const char *platform_id; /* unique within the chat; the key of dedup */
	const char *text;
	size_t text_len;
	int64_t sent_ms; /* the platform's time */
	enum msg_state state;
	int64_t task_run_id; /* 0 = said by a person */
};
/* Inserts; a known platform id sets *dup and the old row's id and changes nothing. */
int store_message_in(struct store *st, const struct msg_new *m, int64_t *id, bool *dup,
		     struct err *e) must_check;
/* Stands before the platform id of a row that is no message of the platform, such as an edit or a reaction: such an id is for dedup
 * only. */
#define MSG_EVENT "event:"
static inline bool msg_is_event(const char *platform_id)
{
	return strncmp(platform_id, MSG_EVENT, sizeof(MSG_EVENT) - 1) == 0;
}

struct msg_row { /* strings are borrowed for the call */
	int64_t id, chat_id, group_id, turn_id;
	enum msg_dir dir;
	enum msg_state state;
	int64_t tries, sent_ms;
	const char *thread, *platform_id, *text, *sender;
	bool notice; /* ours, not the agent's */
	size_t text_len;
	const char *session;
	int64_t sender_id, task_run_id; /* 0 = none */
};
typedef void msg_fn(void *ctx, const struct msg_row *m);
/* Pending messages of a group's session with id > after, oldest first, at most limit; none behind one of the same chat that waits for its
 * files. */
int store_pending(struct store *st, int64_t group_id, const char *session, int64_t after,
		  int64_t limit, msg_fn *fn, void *ctx, struct err *e) must_check;
/* (group, session) pairs that have pending messages, by the oldest message. */
typedef void pending_fn(void *ctx, int64_t group_id, const char *session, int64_t oldest_id);
int store_pending_sessions(struct store *st, pending_fn *fn, void *ctx, struct err *e) must_check;
/* Messages of a chat with id > after, oldest first; after < 0: the last -after rows. Nothing that was said while the chat was another group's. */
int store_history(struct store *st, int64_t chat_id, int64_t after, int64_t limit, msg_fn *fn,
		  void *ctx, struct err *e) must_check;
int store_message_get(struct store *st, int64_t id, msg_fn *fn, void *ctx,
		      struct err *e) must_check;
/* For a message of ours that was edited on its platform. */
int store_message_set_text(struct store *st, int64_t id, const char *text,
			   struct err *e) must_check;
/* The platform's id of who wrote it; "" = nobody, or not known. */
int store_message_author(struct store *st, int64_t id, char out[128], struct err *e) must_check;
/* Whether this person wrote it, by either identity (alt "": only one is known). */
int store_message_is_by(struct store *st, int64_t id, const char *person, const char *alt,
			bool *yes, struct err *e) must_check;
/* Full-text search over one group's messages in both directions, newest first. The query is plain words (all must
 * occur; "quoted phrases" work); operators are taken as words. */
int store_search(struct store *st, int64_t group_id, const char *query, int64_t limit, msg_fn *fn,
		 void *ctx, struct err *e) must_check;
/* The newest row of a chat, in either direction, that has this platform id; also by the id of a later part of a message of ours (the
 * last few thousand parts). E_GONE when there is none. */
int store_message_find(struct store *st, int64_t chat_id, const char *platform_id, msg_fn *fn,
		       void *ctx, struct err *e) must_check;
/* From one state to another; *moved is false when it was not in the first. */
int store_message_move(struct store *st, int64_t id, enum msg_state from, enum msg_state to,
		       bool *moved, struct err *e) must_check;
/* What was said in a session's chat before a message and after the message before it that is to be answered (MSG_CONTEXT, not older than
 * since_ms), newest first, at most limit. */
int store_context(struct store *st, int64_t chat_id, const char *session, int64_t before,
		  int64_t since_ms, int64_t limit, msg_fn *fn, void *ctx, struct err *e) must_check;
/* Whether the assistant has said something in this thread of the chat (among its last few thousand messages). */
int store_spoke_in(struct store *st, int64_t chat_id, const char *thread, bool *yes,
		   struct err *e) must_check;
/* Messages of a channel's chats that wait for their files, oldest first. */
int store_fetching(struct store *st, const char *channel, msg_fn *fn, void *ctx,
		   struct err *e) must_check;
/* All messages of a group after *at, in order, in both directions: looks at a bounded number of rows of the table and moves *at on. *done: there
 * are no more. */
int store_group_messages(struct store *st, int64_t group_id, int64_t *at, bool *done, msg_fn *fn,
			 void *ctx, struct err *e) must_check;
/* Counts by state over a group (0 = all); what waits for its files counts as pending. What is open is counted in full; what is done, only
 * among the server's newest STORE_COUNTED rows: whoever asks for a status does not make the others wait. */
#define STORE_COUNTED 5000
int store_message_counts(struct store *st, int64_t group_id, int64_t by_state[5],
			 struct err *e) must_check;

/* --- turns -------------------------------------------------------------------------------- */

int store_turn_open(struct store *st, int64_t group_id, const char *session, int64_t *turn_id,
		    struct err *e) must_check;
/* Marks a pending message as leased to this turn. E_BUG when it is not pending. */
int store_lease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e) must_check;
int store_answered(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e) must_check;
int store_failed(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e) must_check;
/* Back to pending: it has to be handed in again. */
int store_unlease(struct store *st, int64_t turn_id, int64_t msg_id, struct err *e) must_check;
/* Ends a turn: leases that are left go back to pending with one more try (count_try), or, when max_tries is
 * reached, to failed; fn is told of each failed one (it queues the notice). error "" = ended well. */
int store_turn_close(struct store *st, int64_t turn_id, const char *error, bool count_try,
		     int64_t max_tries, msg_fn *failed, void *ctx, struct err *e) must_check;
/* Fails every message of a session that waits, also for its files, at once, for E_PERM-like reasons; fn as above. */
int store_fail_pending(struct store *st, int64_t group_id, const char *session, msg_fn *failed,
		       void *ctx, struct err *e) must_check;
/* At start: closes the turns that a crash left open, as store_turn_close does. */
int store_recover(struct store *st, int64_t max_tries, msg_fn *failed, void *ctx,
		  struct err *e) must_check;

struct usage_new {
	int64_t turn_id, group_id;
	const char *model;
	int64_t input, output, cache_read, cache_write;
	int status;
};
int store_usage_add(struct store *st, const struct usage_new *u, struct err *e) must_check;
struct usage_sum {
	int64_t calls, input, output, cache_read, cache_write, turns;
};
int store_usage_sum(struct store *st, int64_t group_id, int64_t since_ms, struct usage_sum *out,
		    struct err *e) must_check;

/* --- outbox ------------------------------------------------------------------------------- */

enum out_kind {
	OUT_REPLY = 0,
	OUT_NOTICE = 1,
	OUT_TOOL = 2
};
enum out_state {
	OUT_PENDING = 0,
	OUT_SENDING = 1,
	OUT_SENT = 2,
	OUT_DEAD = 3,	/* given up: listed, and tried again only when the operator says so */
	OUT_DROPPED = 4 /* the operator took it off the list */
};

struct out_new {
	int64_t chat_id, group_id, turn_id; /* turn 0 = none */
	const char *thread;
	const char *text; /* for the history; not used when message_id is set */
	enum out_kind kind;
	int64_t message_id; /* 0 = makes a row of the history; else the row that this is about */
	int op;		    /* enum outbound_kind */
	int part;	    /* 0, 1, ... of one message */
	const char *body;   /* rendered; NULL = the same as text */
	const char *args;   /* JSON object for the op, or NULL */
};
/* Writes the outbox row and, unless it is about one that is there, the message in the history (same transaction). *id is the outbox
 * row's, *message_id the history's. */
int store_out_add(struct store *st, const struct out_new *o, int64_t *id, int64_t *message_id,
		  struct err *e) must_check;
struct out_row {
	int64_t id, chat_id, turn_id, group_id, message_id, tries;
	enum out_kind kind;
	enum out_state state;
	int op, part;
	bool again;
	const char *key, *thread, *text, *body, *args;	 /* args: NULL = none */
	const char *error, *class, *channel, *chat_name; /* store_out_list only */
	int64_t made_ms, due_ms;
};
typedef void out_fn(void *ctx, const struct out_row *o);
/* The first unsent row of a chat, pending or sending, if it is due (next_ms <= now). *due_ms: when to look again, 0 =
 * nothing waits. */
int store_out_next(struct store *st, int64_t chat_id, int64_t now_ms, out_fn *fn, void *ctx,
		   int64_t *due_ms, struct err *e) must_check;
typedef void chat_fn(void *ctx, int64_t chat_id);
int store_out_chats(struct store *st, chat_fn *fn, void *ctx, struct err *e) must_check;
int store_out_sending(struct store *st, int64_t id, struct err *e) must_check;
/* The platform has it. The first part's id becomes the message's. */
int store_out_sent(struct store *st, int64_t id, const char *platform_id, struct err *e) must_check;
/* Back to pending, one try more; again: it may have reached the platform all the same. */
int store_out_retry(struct store *st, int64_t id, int64_t next_ms, bool again, const char *why,
		    struct err *e) must_check;
/* Back to pending without a try: the platform asked for time. */
int store_out_hold(struct store *st, int64_t id, int64_t next_ms, const char *why,
		   struct err *e) must_check;
/* Given up; class: the err_word of why. */
int store_out_dead(struct store *st, int64_t id, const char *class, const char *why,
		   struct err *e) must_check;
/* At start: rows that a crash left in "sending" wait again, marked `again`. */
int store_out_recover(struct store *st, const char *channel, struct err *e) must_check;
/* Dead letters, oldest first; all: also what waits. */
int store_out_list(struct store *st, bool all, int64_t limit, out_fn *fn, void *ctx,
		   struct err *e) must_check;
/* A dead letter back to pending, with its tries forgotten; *chat_id is whose. id 0 = all of them (then *chat_id is 0). *n: how many. */
int store_out_revive(struct store *st, int64_t id, int64_t *chat_id, int64_t *n,
		     struct err *e) must_check;
/* Takes a dead letter off the list. E_GONE when it is none. */
int store_out_drop(struct store *st, int64_t id, struct err *e) must_check;
/* The platform's ids of the parts of one message of ours, in order. */
typedef void platform_id_fn(void *ctx, int part, const char *platform_id);
int store_out_parts(struct store *st, int64_t message_id, platform_id_fn *fn, void *ctx,
		    struct err *e) must_check;
/* How a message of ours goes out: into how many parts, how many the platform has, and what it is (the greatest enum outbound_kind: text,
 * file or question). parts 0: it is none of ours. */
struct out_shape {
	int64_t parts, sent;
	int op;
};
int store_out_shape(struct store *st, int64_t message_id, struct out_shape *out,
		    struct err *e) must_check;
/* The message on the platform that shows the answer while it is made; "" = none. Survives a crash, so that the answer replaces it. */
int store_draft_set(struct store *st, int64_t chat_id, const char *thread, const char *platform_id,
		    struct err *e) must_check;
int store_draft_get(struct store *st, int64_t chat_id, const char *thread, char out[128],
		    struct err *e) must_check;
/* by_state: enum out_state; [5] counts what waits or went out marked as a possible repeat. What is done: as store_message_counts. */
int store_out_counts(struct store *st, int64_t by_state[6], struct err *e) must_check;

/* --- files that came with messages -------------------------------------------------------- */

enum file_state {
	FILE_WANTED = 0, /* not fetched (yet) */
	FILE_SAVED = 1,	 /* path: where, below the group's folder */
	FILE_FAILED = 2	 /* note: why */
};
struct file_row { /* strings are borrowed for the call */
	int64_t id, message_id;
	int64_t size; /* -1 = unknown */
	const char *name, *mime, *ref;
	bool voice;
	enum file_state state;
	const char *path;
	const char *note; /* FILE_SAVED of a voice: its words, or "!" and why there are none */
};
/* Only message_id, name, mime, ref, size and voice are read. */
int store_file_add(struct store *st, const struct file_row *f, struct err *e) must_check;
typedef void file_fn(void *ctx, const struct file_row *f);
/* Of one message, in order. */
int store_files(struct store *st, int64_t message_id, file_fn *fn, void *ctx,
		struct err *e) must_check;
/* The outcome: state, path, note, mime and size of f->id. */
int store_file_done(struct store *st, const struct file_row *f, struct err *e) must_check;

/* --- agent sessions ----------------------------------------------------------------------- */

/* The agent's own id of a group's session; "" when there is none. */
int store_session_get(struct store *st, int64_t group_id, const char *session, char out[37],
		      struct err *e) must_check;
/* Each session of a group that has one, by its key. */
typedef void session_key_fn(void *ctx, const char *session);
int store_session_each(struct store *st, int64_t group_id, session_key_fn *fn, void *ctx,
		       struct err *e) must_check;
/* "" forgets it. */
int store_session_set(struct store *st, int64_t group_id, const char *session, const char *id,
		      struct err *e) must_check;

/* --- small facts ---------------------------------------------------------------------------- */

/* value NULL removes. */
int store_setting_set(struct store *st, const char *key, const char *value,
		      struct err *e) must_check;
typedef void setting_row_fn(void *ctx, const char *key, const char *value);
int store_settings_each(struct store *st, const char *prefix, setting_row_fn *fn, void *ctx,
			struct err *e) must_check;

#endif
