// SPDX-License-Identifier: Apache-2.0
/*
 * The insides of the Telegram channel (Bot API by HTTPS, https://core.telegram.org/bots/api), shared by the files of this folder
 * and their tests only. The token is part of every URL, so no URL may ever get into a log line or an error.
 */
#ifndef CHELA_CHANNELS_TELEGRAM_H
#define CHELA_CHANNELS_TELEGRAM_H
#include <sys/queue.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/redact.h"
#include "channels/channel.h"
#include "channels/download.h"
#include "runtime/http.h"

extern const struct channel_ops telegram_ops;

#define TG_ID_CAP	24 /* a decimal id with its sign */
#define TG_TEXT_MAX	4096
#define TG_CAPTION_MAX	1024
#define TG_FILE_MAX	((int64_t)50 << 20) /* up */
#define TG_DOWNLOAD_MAX ((int64_t)20 << 20)
#define TG_PHOTO_MAX	((int64_t)10 << 20)

struct telegram;

/* --- parse.c: updates to inbound; pure ----------------------------------------------------- */

struct tg_me {
	int64_t id;
	char name[64];	/* without '@' */
	bool reads_all; /* can_read_all_group_messages */
};
enum tg_kind {
	TG_NOTHING, /* nothing for the core: only to be confirmed */
	TG_INBOUND,
	TG_MOVED, /* chat became moved_to */
};
/* One update. `in` borrows from the JSON and from this struct, which must not be moved. */
struct tg_update {
	int64_t id;
	enum tg_kind kind;
	struct inbound in; /* sent_ms 0 = the update has no time */
	struct inbound_file file;
	char chat[TG_ID_CAP], thread[TG_ID_CAP], target[TG_ID_CAP], sender[TG_ID_CAP];
	char moved_to[TG_ID_CAP];
	char mid[160];
	const char *press; /* callback_query to be answered, or NULL */
	struct buf text, name, title, quote;
};
/* -1: not what the API promises; o->id is set all the same unless there was none (then it is -1). o must be freed either way. */
int tg_parse_update(const cJSON *u, const struct tg_me *me, struct tg_update *o,
		    struct err *e) must_check;
void tg_update_free(struct tg_update *o);
/* The integer at path as text; "" when there is none or it is 0. */
void tg_id_text(char out[TG_ID_CAP], const cJSON *j, const char *path);
/* The result of getMe. */
int tg_parse_me(const cJSON *result, struct tg_me *me, struct err *e) must_check;

/* --- text.c: texts and emoji; pure --------------------------------------------------------- */

struct tg_marks {
	bool mention; /* of us */
	bool command; /* to us, or to nobody by name */
	bool foreign; /* a command to another bot */
};
/* Appends text to out as Markdown: links, code and code blocks by the message's entities (UTF-16 offsets), the rest as it is; "@me" is
 * taken off a command to us. Entities that make no sense are passed over. */
void tg_text(struct buf *out, const char *text, const cJSON *entities, const struct tg_me *me,
	     struct tg_marks *marks);
/* What a body of FORMAT_TELEGRAM shows: UTF-16 units of it, and as plain text (links as "text (url)" if links is set). */
size_t tg_units(const char *html);
char *tg_plain(const char *html, bool links);
/* The API's own spelling of an emoji that it takes as a reaction, or NULL. */
const char *tg_reaction(const char *emoji);

/* --- pace.c: how fast; pure ---------------------------------------------------------------- */

#define PACE_GROUP    20 /* messages in PACE_GROUP_MS to one group */
#define PACE_ALL      30 /* in PACE_ALL_MS to all */
#define PACE_BURST    3	 /* in a row to one chat, then one per PACE_CHAT_MS */
#define PACE_ALL_MS   1000
#define PACE_CHAT_MS  1000
#define PACE_GROUP_MS 60000

struct pace_chat;
struct pace {
	struct pace_chat *chats; /* those of the last minute */
	int64_t all[PACE_ALL];	 /* when the last ones left; a ring */
	size_t at;
};
/* Earliest time (ms, any monotonic clock) at which one more message may go to all chats, and to this one; now when at once. */
int64_t pace_all(const struct pace *p, int64_t now);
int64_t pace_when(const struct pace *p, const char *chat, int64_t now);
/* One leaves now. */
void pace_take(struct pace *p, const char *chat, int64_t now);
/* The platform said: nothing to this chat before. */
void pace_hold(struct pace *p, const char *chat, int64_t now, int64_t until);
/* How many more a group could take at once. A chat that is no group: PACE_GROUP. */
size_t pace_left(const struct pace *p, const char *chat, int64_t now);
void pace_free(struct pace *p);

/* --- api.c: one call of a method ----------------------------------------------------------- */

/* What is sent: head, then a file, then tail. Owned. */
struct tg_body {
	char type[80]; /* Content-Type */
	struct buf head, tail;
	int fd; /* -1 = none */
	int64_t fd_len;
};
struct tg_reply {
	const cJSON *result; /* not NULL = it was done; borrowed for the call */
	struct err why;	     /* else; E_GONE: the chat, E_AUTH: the token; a message for a person */
	int code;	     /* error_code, 0 = no answer of the API */
	const char *text;    /* description or "" */
	int64_t retry_ms;
	const char *moved_to; /* migrate_to_chat_id or NULL */
	bool unsure;	      /* the whole request had left and no answer came */
};
typedef void tg_reply_fn(void *ctx, const struct tg_reply *r);
struct tg_call;
struct tg_opts {
	int64_t idle_ms;  /* 0 = 30 s */
	int64_t total_ms; /* 0 = none */
};
/* Starts; takes the body (also on error). The call is freed after fn. */
struct tg_call *tg_call(struct telegram *t, const char *method, struct tg_body *b,
			const struct tg_opts *o, tg_reply_fn *fn, void *ctx,
			struct err *e) must_check;
/* No fn any more. NULL is fine. */
void tg_cancel(struct tg_call *c);
/* A body of JSON, to be filled by tg_put* between these two. chat "" = none; thread "" = none. */
void tg_json(struct tg_body *b, const char *chat, const char *thread);
void tg_json_end(struct tg_body *b);
void tg_put_str(struct tg_body *b, const char *key, const char *value);
void tg_put_raw(struct tg_body *b, const char *key, const char *json);
/* multipart/form-data (RFC 7578) with one file; fields first. Takes fd. */
void tg_form(struct tg_body *b);
void tg_form_field(struct tg_body *b, const char *name, const char *value);
void tg_form_file(struct tg_body *b, const char *field, const struct out_file *f, int fd,
		  int64_t len);
void tg_body_free(struct tg_body *b);
/* "<api_url><kind><token>/<rest>"; to be given to tg_url_free. */
char *tg_url(const struct telegram *t, const char *kind, const char *rest);
void tg_url_free(char *url);
/* Puts foreign words into an error: redacted, no control characters. */
int tg_fail(struct err *e, enum err_code code, const char *what, const char *words);
/* A decimal integer that fits an id. */
bool tg_is_id(const char *s);

/* --- the rest ------------------------------------------------------------------------------ */

enum tg_step {
	TG_OFF,
	TG_ME,
	TG_WEBHOOK,
	TG_FIRST, /* a poll that does not wait: are we heard? */
	TG_POLL,
};
struct tg_batch;
struct tg_poll {
	enum tg_step step;
	struct tg_call *call;
	struct timer *next, *watchdog;
	struct tg_batch *batch; /* handed to the core, not yet durable */
	int64_t offset;		/* 0 = none yet */
	int64_t moved_ms;	/* loop time when it was set */
	int64_t limit;
	int64_t good_ms;  /* loop time of the last good getUpdates; 0 = none */
	int64_t failures; /* since then */
	int64_t conflicts, conflict_ms;
	int64_t skipped; /* updates that could not be read */
	char last[200];	 /* why the last one failed */
};
struct tg_job;
struct tg_live;

struct telegram {
	struct channel *c;
	char token_file[PATH_CAP], api_url[512], ca_file[PATH_CAP];
	struct secret token;
	struct http_client *http;
	LIST_HEAD(, tg_call) calls;
	struct tg_me me;
	struct tg_poll poll;
	TAILQ_HEAD(, tg_job) jobs;
	struct timer *due;
	struct pace pace;
	LIST_HEAD(, tg_live) lives;
	int64_t draft_seq;
	bool no_drafts; /* this server has no sendMessageDraft */
	struct download *fetches;
	/* Tests make these short. */
	int64_t poll_s, watchdog_ms, retry_ms, conflict_stuck_ms, typing_ms, group_draft_ms;
};

/* poll.c */
void tg_connect(struct channel *c);
void tg_poll_close(struct telegram *t);
/* send.c */
int tg_send(struct channel *c, const struct outbound *o, struct err *e) must_check;
void tg_send_run(struct telegram *t);
/* A draft became a message while its answer was waiting here: the answer takes its place. false = no answer waits. */
bool tg_send_adopt(struct telegram *t, const char *chat, const char *thread, const char *msg);
void tg_send_close(struct telegram *t);
/* draft.c */
void tg_progress(struct channel *c, const char *chat, const char *thread, enum progress_kind kind,
		 const char *text);
void tg_draft(struct channel *c, const struct draft *d);
/* A draft of this chat is on its way: what is sent now could be overtaken. tg_send_run is called when it has arrived. */
bool tg_draft_busy(const struct telegram *t, const char *chat, const char *thread);
/* An answer goes to this chat: what is drawn next is another draft. */
void tg_draft_used(struct telegram *t, const char *chat, const char *thread);
void tg_draft_close(struct telegram *t);
/* fetch.c */
int tg_fetch(struct channel *c, const struct fetch *f, struct err *e) must_check;
void tg_fetch_cancel(struct channel *c, int64_t id);

#endif
