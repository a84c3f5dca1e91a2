// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the inbox share: one thing that came in, on its way into the store (inbox.c, inbox_event.c), the words
 * in which messages are handed to the agent (inbox_text.c), and the files that messages bring (attach.c).
 */
#ifndef CHELA_ROUTER_INBOX_H
#define CHELA_ROUTER_INBOX_H
#include "router/impl.h"
#include "router/settings.h"

#define FILES_MAX 20 /* of one message; more are named, not taken */

struct intake {
	struct router *r;
	struct channel *c;
	const struct inbound *m;
	struct chat_row chat;
	struct group_row group;
	const struct group_settings *set;
	int64_t sender_id;
	struct actor by; /* the sender, as it may act here */
	/* outcome */
	int64_t id;
	bool dup;
};

/* inbox_event.c: everything but a message. Chat, group and sender are known. */
int inbox_event(struct intake *in, struct err *e) must_check;
/* inbox.c: a row for the history; sets in->id and in->dup. */
struct row_new {
	const char *platform_id, *thread, *session, *text;
	size_t len;
	enum msg_state state;
};
int inbox_put(struct intake *in, const struct row_new *row, struct err *e) must_check;
/* Whether this is meant for the assistant, or the group's settings make it so. */
int inbox_wakes(struct intake *in, bool *yes, struct err *e) must_check;
/* Wakes every session of a group that has something to do. */
void inbox_wake_group(struct router *r, const struct group_row *g);

/* commands.c */
/* Whether what came in is a command here. Chat and group are known. */
bool commands_is(const struct intake *in);
/* Has it carried out; its row (MSG_ANSWERED) was just written. The answer goes to the chat, and the message is settled after it. */
void commands_run(const struct intake *in, const struct actor *by);

/* inbox_text.c */
/* Key of the agent session that a message of this chat and thread belongs to. */
void inbox_session_key(const struct group_settings *set, int64_t chat_id, const char *thread,
		       char out[65]);
/* "> quoted" lines and an empty one, a short form of what is replied to; nothing for blank text. */
void inbox_put_quote(struct buf *out, const char *quote);
/* Bytes at the start of a stored text that inbox_put_quote has put there. */
size_t inbox_quote_len(const char *text);
struct zone;
/* The message as the agent gets it: "[Ann, 12:03Z] text", or "[Ann, 13:03] text" by the clock of another zone (tz NULL = UTC). No line of the text can
 * pass for the head of another message or for the end of a context. */
void inbox_put_line(struct buf *out, const struct msg_row *m, const struct zone *tz);
/* "Sat 2026-11-21 21:03 CET" */
void inbox_put_time(int64_t ms, const struct zone *tz, char out[40]);
/* The bytes of what ends a line at p, or 0: also what only some readers take as one. */
size_t inbox_line_end(const char *p, const char *end);
/* Only the text, behind a head of the caller's, with a backslash before what could pass for a head or a tag of ours. */
void inbox_put_text(struct buf *out, const char *text, size_t n);

/* attach_text.c */
/* One line without a newline for a file: "[file: inbox/1-a.jpg (image/jpeg, 34 KB)]", or how it went. */
void attach_put_line(struct buf *out, const struct file_row *f);
/* [A-Za-z0-9._-], no leading dot, at most 80 bytes, never empty; the ending is kept when it is cut. */
void attach_safe_name(const char *name, const char *mime, char out[81]);
/* The type that the first bytes prove, or NULL. */
const char *attach_sniff(const uint8_t *p, size_t n);
/* Which of the two to believe; proved may be NULL. */
const char *attach_better_type(const char *claimed, const char *proved);
/* Bytes of a text without the lines that stand at its end, and without the newline before them; text_len when they do not. */
size_t attach_base_len(const char *text, size_t text_len, const struct buf *lines);

/* attach.c */
int attach_open(struct router *r, struct err *e) must_check;
void attach_close(struct router *r);
/* A line for each file that came with m, below the text that is there. */
void attach_describe(const struct inbound *m, struct buf *text);
/* Notes the files of a message that was just written with these lines. */
int attach_note(struct router *r, int64_t message_id, const struct inbound *m,
		struct err *e) must_check;
/* A message that was just written and is to be answered. */
struct attach_for {
	int64_t id, chat_id;
	const char *session;
	const struct group_row *group;
};
/* Whether it has to wait for files: its own, and those of the context that goes with it. If so they are fetched after the commit, and the message
 * is pending no more until then. */
int attach_begin(struct router *r, struct channel *c, const struct attach_for *m, bool *waits,
		 struct err *e) must_check;
/* The lines of a message's files as they stand in its text. */
int attach_lines(struct router *r, int64_t message_id, struct buf *out, struct err *e) must_check;
/* The message was taken back (its row says so already): its files are not wanted any more, and those that are there go. */
int attach_forget(struct router *r, const struct group_row *g, int64_t message_id,
		  struct err *e) must_check;
/* The channel is up: what waits is fetched. */
void attach_ready(struct router *r, struct channel *c);
/* The up-call of channels. */
void attach_fetched(struct router *r, struct channel *c, int64_t fetch_id, int64_t size,
		    const char *mime, const struct err *why);

/* attach_save.c: where files are put. The agent owns that folder: nothing in it is trusted. */
struct saved_file {
	int dir, fd;	/* -1 = none */
	char leaf[128]; /* name in inbox/ */
};
/* Makes an empty file that the agent cannot read yet; what had this name goes. */
int attach_create(const char *home, const char *group, const char *leaf, struct saved_file *out,
		  struct err *e) must_check;
/* All bytes are in: the agent may have it. *size is what was really written; mime: the type that the bytes prove, or NULL. */
int attach_publish(struct saved_file *f, int64_t *size, const char **mime,
		   struct err *e) must_check;
/* Closes; removes the file when `remove` is set. */
void attach_drop(struct saved_file *f, bool remove);
/* Removes inbox/<leaf> of a group, if it is there. */
void attach_remove(const char *home, const char *group, const char *leaf);

/* transcribe.c: the words of a spoken message by the operator's command, which gets the file as its standard input, never as a path in a folder of the agent. */
struct transcript;
/* text: what it said, at most 16 KiB, blanks at the ends taken off; or why. Called once, then the transcript is gone. */
typedef void transcript_fn(void *ctx, const char *text, const struct err *why);
struct transcript *transcript_start(struct loop *l, char *const *command, int fd, transcript_fn *fn,
				    void *ctx, struct err *e) must_check;
/* No up-call any more. NULL is fine. */
void transcript_free(struct transcript *t);

#endif
