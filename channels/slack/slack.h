// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of the Slack channel share. parse.c, text.c and emoji.c are pure (fuzzed, tested alone); api.c makes calls of the
 * Web API; socket.c holds the Socket Mode connections; intake.c, names.c and backfill.c bring messages in; send.c, draft.c, status.c,
 * look.c and files.c bring them out; slack.c has the ops. Outside of this folder only registry.c includes it.
 *
 * A constant decision: where an answer goes. A message of a thread is answered in its thread. A top-level message of a channel (or of a
 * group of persons) is answered in a thread under it: inbound.thread is its own ts. A top-level message of a direct chat is answered
 * at top level: inbound.thread is "".
 */
#ifndef CHELA_CHANNELS_SLACK_SLACK_H
#define CHELA_CHANNELS_SLACK_SLACK_H
#include <sys/queue.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/redact.h"
#include "channels/channel.h"
#include "channels/download.h"
#include "runtime/http.h"
#include "runtime/ws.h"

#define SLACK_ID   48	  /* ids of users, channels, teams: [A-Z0-9], some 11 characters */
#define SLACK_TS   32	  /* "1700000001.123456" */
#define SLACK_KEY  160	  /* inbound.id */
#define SLACK_TEXT 3900	  /* code points of one message of ours; Slack wants at most 4,000 */
#define SLACK_RAW  200000 /* bytes of one message of theirs: Slack's limit is 40,000 characters */

/* --- parse.c: bytes of Slack to one event; no I/O ------------------------------------------------ */

/* Who we are, as auth.test says. */
struct slack_self {
	char user[SLACK_ID], bot[SLACK_ID], team[SLACK_ID];
	char name[64]; /* what a mention of us is shown as */
};
struct slack_event {
	cJSON *root; /* owned; the const char members below lie in it, or are literals */
	bool use;    /* false: nothing in it for the core */
	bool direct, addressed;
	bool forwarded; /* all its words are those of a message that is shared */
	enum inbound_kind kind;
	char chat[SLACK_ID], thread[SLACK_TS], id[SLACK_KEY], target[SLACK_TS], user[SLACK_ID];
	const char *raw;	    /* Slack's markup */
	const char *quote;	    /* the same, of a message that was shared along */
	const char *user_name;	    /* of a bot; "" = ask */
	struct inbound_file *files; /* ref owned, the rest in root */
	size_t n_files;
	int64_t sent_ms;
};
void slack_event_free(struct slack_event *ev);

enum slack_frame_type {
	SLACK_FRAME_HELLO,
	SLACK_FRAME_DISCONNECT,
	SLACK_FRAME_ENVELOPE,
	SLACK_FRAME_OTHER, /* a type we do not know */
};
enum slack_reason {
	SLACK_REFRESH, /* warning, refresh_requested, or a word we do not know */
	SLACK_LINK_DISABLED,
	SLACK_TOO_MANY,
};
struct slack_frame {
	enum slack_frame_type type;
	enum slack_reason reason;
	int64_t num_connections;
	char envelope[128]; /* to acknowledge; never "" in an envelope */
	struct slack_event ev;
};
/* One text frame of a Socket Mode connection. E_PROTO: not what Slack may send. Free out->ev after success. */
int slack_frame_parse(const char *p, size_t n, const struct slack_self *self,
		      struct slack_frame *out, struct err *e) must_check;
/* One message of conversations.history or .replies; takes msg. */
void slack_message_parse(cJSON *msg, const char *chat, const struct slack_self *self,
			 struct slack_event *ev);
bool slack_is_id(const char *s);
bool slack_is_ts(const char *s);
/* ms since 1970 of a ts; 0 when it is none. */
int64_t slack_ts_ms(const char *ts);
/* An https URL on a host that may see our token, or one below `origin` (scheme://host[:port], of api_url); never a method of the Web API. */
bool slack_url_ok(const char *url, const char *origin);

/* --- text.c: Slack's markup to Markdown ---------------------------------------------------------- */

/* kind: 'U' user, 'C' channel. NULL = not known (yet). */
typedef const char *slack_name_fn(void *ctx, char kind, const char *id);
/* Calls fn for each id that has to be named; out NULL: only that. */
void slack_text(struct buf *out, const char *raw, slack_name_fn *fn, void *ctx);
/* Whether the text mentions this user. */
bool slack_text_mentions(const char *raw, const char *user);

/* --- emoji.c ------------------------------------------------------------------------------------- */

/* Slack's name of a Unicode emoji, with skin tone, in dst; false when the table has none. */
bool slack_emoji_name(const char *utf8, char *dst, size_t cap);
/* Unicode of a name, or ":name:" in dst; skin tones are dropped. */
const char *slack_emoji_text(const char *name, char *dst, size_t cap);

/* --- the instance -------------------------------------------------------------------------------- */

enum slack_method {
	SLACK_AUTH_TEST,
	SLACK_OPEN,
	SLACK_POST,
	SLACK_UPDATE,
	SLACK_DELETE,
	SLACK_START_STREAM,
	SLACK_APPEND_STREAM,
	SLACK_STOP_STREAM,
	SLACK_SET_STATUS,
	SLACK_REACT,
	SLACK_UNREACT,
	SLACK_REACTIONS,
	SLACK_HISTORY,
	SLACK_REPLIES,
	SLACK_CHANNEL,
	SLACK_USER,
	SLACK_UPLOAD_URL,
	SLACK_UPLOAD_DONE,
	SLACK_FILE,
	SLACK_METHODS
};
enum slack_sock_state {
	SOCK_FREE,
	SOCK_ASKING,	 /* apps.connections.open */
	SOCK_CONNECTING, /* until hello */
	SOCK_UP,
	SOCK_DRAINING, /* Slack said that it will close it: still read and acknowledged on */
};
struct slack_sock {
	struct slack *s;
	enum slack_sock_state st;
	uint64_t serial; /* never used twice: what an acknowledgement names */
	struct slack_call *call;
	struct ws *ws;
	struct timer *due; /* CONNECTING: hello is late; DRAINING: Slack does not close it */
};
#define SLACK_BURST 8
#define SLACK_SOCKS 6 /* two in use, the rest for those that drain */

struct slack {
	struct channel *c;
	struct loop *loop;
	char api_url[512], origin[512]; /* origin: scheme://host[:port] of api_url */
	char app_file[PATH_CAP], bot_file[PATH_CAP], ca_file[PATH_CAP];
	int64_t ping_ms;
	struct secret app, bot;
	struct slack_self self;
	struct http_client *http;
	struct ws_client *wsc;
	/* api.c */
	LIST_HEAD(, slack_call) calls;
	int64_t blocked[SLACK_METHODS]; /* loop time before which Slack wants no call; 0 = none */
	/* socket.c */
	struct slack_sock socks[SLACK_SOCKS];
	uint64_t serial;
	int64_t opened[SLACK_BURST]; /* when the last ones were asked for */
	size_t n_opened;
	struct slack_call *hail;       /* auth.test of connect */
	struct timer *retry, *verdict; /* the next socket; STUCK, told outside of a call-back */
	int64_t tries;
	int64_t others; /* connections of this app that are not ours, as of the last hello */
	char *stuck_reason;
	bool trying, up, gap;
	/* intake.c, names.c */
	struct slack_in *in_first, *in_last;
	size_t in_count;
	struct timer *in_timer;
	LIST_HEAD(, slack_ack) acks;
	struct slack_names *names;
	/* the rest */
	struct slack_fill *fill;
	struct slack_gap *gaps; /* chats whose back-fill was broken off, and from where */
	size_t n_gaps;
	LIST_HEAD(, slack_job) jobs;
	struct slack_pace *paces;
	LIST_HEAD(, slack_draft) drafts;
	LIST_HEAD(, slack_status) statuses;
	struct download *fetches;
	int64_t no_stream,
		no_status; /* loop time before which these are not tried again: Slack refused them */
	int64_t edit_due;  /* of drafts */
};

/* --- api.c --------------------------------------------------------------------------------------- */

/* What became of a call. why.code E_NONE = ok and json is the answer. */
struct slack_reply {
	const cJSON *json;
	const char *error; /* Slack's word, or "" */
	struct err why;
	int64_t retry_ms; /* with E_LIMIT */
	bool unsure;	  /* it may have been done all the same */
	bool dead_token;  /* nothing will work with this token */
};
typedef void slack_reply_fn(void *ctx, const struct slack_reply *r);
/* Appends a form field, percent-encoded. */
void slack_arg(struct buf *form, const char *name, const char *value);
/* The same of several: name, value, ..., NULL. */
void slack_args(struct buf *form, ...) __attribute__((sentinel));
/* POSTs the form (taken; may be empty). The outcome comes by fn, from the loop only; the call is dead then. A method that Slack
 * has limited answers E_LIMIT without going out. */
struct slack_call *slack_call(struct slack *s, enum slack_method m, struct buf *form,
			      slack_reply_fn *fn, void *ctx);
/* Ends it, no outcome; *call becomes NULL. NULL is fine. */
void slack_call_cancel(struct slack_call **call);
void slack_api_close(struct slack *s);
/* "Bearer <token>" for http_header; the caller wipes and frees. */
char *slack_bearer(const struct secret *t);
void slack_bearer_free(char **p);
#define _cleanup_bearer_ _cleanup_(slack_bearer_free)
/* The class of a Slack error word. */
enum err_code slack_error_code(const char *word, bool *dead_token, bool *unsure);
/* Fills e with "Slack: <method>: <word>: <fix>". needed: the missing scope or NULL. */
void slack_error_text(struct err *e, enum slack_method m, const char *word, const char *needed);

/* --- socket.c ------------------------------------------------------------------------------------ */

void slack_connect(struct slack *s);
/* Stops all connections, tells the core. */
void slack_down(struct slack *s, enum channel_state st, const char *reason, int64_t retry_ms);
/* From anywhere: the token is dead; told at the end of the turn. */
void slack_stuck(struct slack *s, const char *reason);
/* Acknowledges an envelope if its connection still stands; else Slack sends it again. */
void slack_acknowledge(struct slack *s, uint64_t serial, const char *envelope);
void slack_socket_close(struct slack *s);

/* --- intake.c ------------------------------------------------------------------------------------ */

/* Takes an event that is for the core; hands it in once its names are known, or 1.5 s later. envelope "" = from back-fill. */
void slack_intake(struct slack *s, struct slack_event *ev, uint64_t serial, const char *envelope);
/* A name came in. */
void slack_intake_run(struct slack *s);
void slack_intake_close(struct slack *s);

/* --- names.c ------------------------------------------------------------------------------------- */

/* The name of a user ('U') or channel ('C'); NULL while it is being asked for. What Slack does not tell is named by its id. */
const char *slack_name(struct slack *s, char kind, const char *id);
void slack_names_close(struct slack *s);

/* --- backfill.c ---------------------------------------------------------------------------------- */

/* Fetches what came while no connection stood, for each chat of the channel, one after the other. */
void slack_fill_start(struct slack *s);
void slack_fill_stop(struct slack *s);

/* --- look.c -------------------------------------------------------------------------------------- */

/* What is looked for among our own messages; the first that is set counts. */
struct slack_want {
	const char *key; /* metadata.event_payload.key */
	const char *file_id;
	const char *file_name; /* with file_size */
	int64_t file_size;
	bool bare; /* one without our metadata: a stream that was begun */
};
enum slack_found {
	SLACK_FOUND,
	SLACK_ABSENT,
	SLACK_CANNOT_TELL
};
/* why only with SLACK_CANNOT_TELL. */
typedef void slack_look_fn(void *ctx, enum slack_found f, const char *ts, const struct err *why,
			   int64_t retry_ms);
/* Looks through a chat or a thread back to since_ms (wall time). Strings are copied. */
struct slack_look *slack_look(struct slack *s, const char *chat, const char *thread,
			      const struct slack_want *w, int64_t since_ms, slack_look_fn *fn,
			      void *ctx);
void slack_look_cancel(struct slack_look **l);

/* --- send.c -------------------------------------------------------------------------------------- */

struct slack_job {
	LIST_ENTRY(slack_job) link;
	struct slack *s;
	int64_t id;
	enum outbound_kind kind;
	char *chat, *thread, *body, *target;
	char key[33], emoji[64];
	bool again, restreamed, notice;
	int64_t made_ms;      /* of the row: no message of it is older */
	int left;	      /* reactions that may still be taken away */
	struct out_file file; /* strings owned */
	struct out_button *buttons;
	size_t n_buttons;
	struct slack_call *call;
	struct slack_look *look;
	struct slack_upload *upload;
	struct timer *wait;
	void (*then)(struct slack_job *j); /* after wait */
};
int slack_send(struct channel *c, const struct outbound *o, struct err *e);
/* The outcome of a job; frees it. */
void slack_job_done(struct slack_job *j, const char *platform_id);
void slack_job_fail(struct slack_job *j, const struct err *why, int64_t retry_ms, bool unsure);
/* Goes on with `then` in ms, never in this turn of the loop. */
void slack_job_later(struct slack_job *j, int64_t ms, void (*then)(struct slack_job *j));
/* True when `then` has to come later: Slack has limited the method for a short while, or (paced) this chat had a message of ours
 * within the second. */
bool slack_job_hold(struct slack_job *j, enum slack_method m, bool paced,
		    void (*then)(struct slack_job *j));
/* The same from a reply that is an error; tells the core when the token is dead. */
void slack_job_refused(struct slack_job *j, const struct slack_reply *r);
/* Goes on with a text whose draft is known (ts) or is none (""). */
void slack_job_drafted(struct slack_job *j, const char *ts);
/* ms until this chat may get one more message of ours (Slack: 1 a second), 0 = now, and then it counts as sent. */
int64_t slack_pace(struct slack *s, const char *chat);
/* {"event_type":..., "event_payload":{"key":...}} as the form field `metadata`. */
void slack_arg_metadata(struct buf *form, const char *type, const char *key);
void slack_send_close(struct slack *s);
/* blocks.c: the form field `blocks` of a question with buttons. */
void slack_arg_question(struct buf *form, const char *body, const struct out_button *b, size_t n);

/* --- draft.c ------------------------------------------------------------------------------------- */

void slack_draft(struct channel *c, const struct draft *d);
/* True when the final text has to wait: its draft is being made or changed, or may have been made. slack_job_drafted comes later. */
bool slack_draft_await(struct slack_job *j);
/* The draft with this ts is about to be replaced: forgets it; true when it is a stream that has to be stopped. */
bool slack_draft_take(struct slack *s, const char *chat, const char *ts);
/* The job goes away while it waits. */
void slack_draft_forget(struct slack_job *j);
void slack_draft_close(struct slack *s);

/* --- status.c ------------------------------------------------------------------------------------ */

void slack_progress(struct channel *c, const char *chat, const char *thread,
		    enum progress_kind kind, const char *text);
void slack_status_close(struct slack *s);

/* --- files.c ------------------------------------------------------------------------------------- */

/* Uploads j->file and ends the job. */
void slack_upload(struct slack_job *j);
void slack_upload_cancel(struct slack_upload **u);
int slack_fetch(struct channel *c, const struct fetch *f, struct err *e);
void slack_fetch_cancel(struct channel *c, int64_t id);

extern const struct channel_ops slack_ops;

#endif
