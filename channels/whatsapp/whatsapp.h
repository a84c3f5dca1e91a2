// SPDX-License-Identifier: Apache-2.0
/*
 * The insides of the WhatsApp channel, shared by the files of this folder and their tests only. WhatsApp itself is the bridge's
 * matter (bridge/); what is spoken with it is PROTOCOL.md. No frame may get into a log line: they hold the token and people's words.
 */
#ifndef CHELA_CHANNELS_WHATSAPP_H
#define CHELA_CHANNELS_WHATSAPP_H
#include <sys/queue.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/redact.h"
#include "channels/channel.h"
#include "channels/download.h"
#include "channels/whatsapp/link.h"
#include "runtime/digest.h"
#include "runtime/proc.h"
#include "runtime/ws.h"

extern const struct channel_ops whatsapp_ops;

#define WA_FRAME_MAX ((size_t)1 << 20)
#define WA_CHUNK     196608 /* bytes of a file in one frame */
#define WA_FILE_MAX  ((int64_t)100 << 20)
#define WA_JID_CAP   128
#define WA_FILES_MAX 8

/* --- parse.c: frames of the bridge; pure ---------------------------------------------------- */

enum wa_session {
	WA_UNKNOWN, /* a state that we do not know: treated as passing */
	WA_UNLINKED,
	WA_LINKING,
	WA_CONNECTING,
	WA_UP,
	WA_RETRYING,
	WA_PAUSED,
	WA_LOGGED_OUT,
	WA_CONFLICT,
	WA_FORBIDDEN,
};
struct wa_state {
	enum wa_session session;
	char text[200]; /* for a person */
	int64_t retry_ms;
	char me[WA_JID_CAP], me_lid[WA_JID_CAP]; /* of the linked account; "" = unknown */
};
enum wa_frame_kind {
	WA_WELCOME,
	WA_REFUSAL, /* an error without an id, instead of a welcome */
	WA_REPLY,
	WA_EVENT,
};
/* Why a request failed, ready for struct sent. */
struct wa_fail {
	struct err why;
	int64_t retry_ms;
	bool unsure;
};
/* Borrows from the JSON that it was parsed from. */
struct wa_frame {
	enum wa_frame_kind kind;
	const cJSON *body; /* of the welcome, the whole reply, the event */
	const char *id;	   /* REPLY; REFUSAL: the error's code */
	bool ok;
	struct wa_fail fail; /* REPLY that is not ok, REFUSAL */
	int64_t seq;	     /* EVENT: 0 = not kept */
	int64_t acked;	     /* WELCOME */
};
int wa_parse_frame(const cJSON *j, struct wa_frame *f, struct err *e) must_check;

enum wa_event_kind {
	WA_NOTHING, /* nothing for the core */
	WA_INBOUND,
	WA_MOVED,
	WA_STATE,
	WA_QR,
	WA_PAIRING,
};
/* One event. `in` borrows from the JSON and from this struct, which must not be moved. */
struct wa_event {
	enum wa_event_kind kind;
	struct inbound in;
	struct inbound_file files[WA_FILES_MAX];
	struct buf text;
	const char *from, *to; /* MOVED */
	const char *show;      /* QR: the drawing; PAIRING: the code */
	struct wa_state state; /* STATE */
};
/* me: who we are, for messages that the owner typed on the phone. -1: not what PROTOCOL.md promises. ev must be freed either way. */
int wa_parse_event(const cJSON *j, const struct wa_state *me, struct wa_event *ev,
		   struct err *e) must_check;
void wa_event_free(struct wa_event *ev);
/* A state object; what is absent is left as it was in `s` (the account), text and retry_ms excepted. */
int wa_parse_state(const cJSON *j, struct wa_state *s, struct err *e) must_check;
/* The channel's state that a session's state means, and what to say. */
enum channel_state wa_channel_state(const struct wa_state *s, char *reason, size_t cap);

/* --- base64.c (RFC 4648, padded) ------------------------------------------------------------- */

/* NUL-ended, to be freed. */
char *base64_encode(const void *p, size_t n);
/* At most cap bytes; -1: no base64, or more than that. */
ssize_t base64_decode(const char *s, void *p, size_t cap);

/* --- the rest -------------------------------------------------------------------------------- */

struct whatsapp;

/* request.c: requests and their answers */
struct wa_req;
/* reply: the whole frame, NULL with fail. Called once, from the loop, never from inside wa_ask. */
typedef void wa_reply_fn(void *ctx, const cJSON *reply, const struct wa_fail *fail);
/* Sends {"id","op", members...}; takes members. id NULL: any. timeout_ms: to the answer. NULL: not connected. */
struct wa_req *wa_ask(struct whatsapp *w, const char *id, const char *op, cJSON *members,
		      int64_t timeout_ms, wa_reply_fn *fn, void *ctx, struct err *e) must_check;
void wa_forget(struct wa_req *r); /* no call any more; NULL is fine */
void wa_on_reply(struct whatsapp *w, const struct wa_frame *f);
void wa_requests_open(struct whatsapp *w);
/* The connection is gone: all fail, those that left us with `unsure`. */
void wa_fail_all(struct whatsapp *w, const struct err *why);

/* bridge.c: the process of `bridge: local` */
int wa_bridge_start(struct whatsapp *w, struct err *e) must_check;
void wa_bridge_stop(struct whatsapp *w);

/* wire.c: the connection */
void wa_wire_open(struct whatsapp *w);
void wa_connect(struct channel *c);
/* Opens the websocket to w->url. */
void wa_dial(struct whatsapp *w);
/* It is over for now: tells the core, fails what is under way. */
void wa_lost(struct whatsapp *w, enum channel_state st, const char *reason, int64_t retry_ms);
void wa_wire_close(struct whatsapp *w);

/* intake.c: events, and what of them is durable */
void wa_take_event(struct whatsapp *w, const struct wa_frame *f);
void wa_intake_reset(struct whatsapp *w); /* a new connection: what was under way comes again */
void wa_intake_turn(void *ctx);		  /* at the end of a turn, after the commit */

/* send.c, fetch.c, typing.c, login.c */
int wa_send(struct channel *c, const struct outbound *o, struct err *e) must_check;
void wa_send_open(struct whatsapp *w);
void wa_send_close(struct whatsapp *w);
int wa_fetch(struct channel *c, const struct fetch *f, struct err *e) must_check;
void wa_fetch_cancel(struct channel *c, int64_t id);
void wa_progress(struct channel *c, const char *chat, const char *thread, enum progress_kind kind,
		 const char *text);
void wa_typing_open(struct whatsapp *w);
void wa_typing_close(struct whatsapp *w);
void wa_link_event(struct whatsapp *w, const struct wa_event *ev);
void wa_link_live(struct whatsapp *w);
void wa_link_lost(struct whatsapp *w, const char *reason);
void wa_link_close(struct whatsapp *w);

enum wa_phase {
	WA_OFF,
	WA_STARTING, /* the bridge's process */
	WA_DIALING,
	WA_GREETING, /* hello is sent */
	WA_LIVE,
};
struct wa_taken; /* an event that the core has, not yet acknowledged */
struct wa_out;
struct wa_typing;
struct wa_link;

struct whatsapp {
	struct channel *c;
	/* settings */
	bool local;
	char url[512]; /* of `local`: made once the port is known */
	char token_file[PATH_CAP], ca_file[PATH_CAP], auth_dir[PATH_CAP], node[PATH_CAP];
	struct secret token;
	/* the process */
	struct proc *proc;
	struct watch *proc_watch;
	int proc_in, proc_out;
	struct buf proc_line;
	/* the connection */
	enum wa_phase phase;
	struct ws_client *client;
	struct ws *ws;
	struct timer *deadline; /* of STARTING to GREETING */
	struct timer *mend;	/* a connection that broke is made anew before anybody is told */
	int64_t mends, mend_ms; /* how often, in the minute since then */
	struct wa_req *probe;	/* a connect while LIVE */
	char bridge[80];	/* what it calls itself */
	struct wa_state state;
	enum channel_state told; /* the last channel_on_state, */
	char told_why[256];	 /* with this reason */
	bool trying;		 /* the core waits for an outcome of connect */
	/* requests */
	struct wa_req *reqs, **reqs_end;
	size_t asked; /* without an answer */
	uint64_t last_id;
	struct timer *patience;
	/* events */
	struct wa_taken *taken, **taken_end;
	int64_t last_seq, ack_to, skipped;
	bool first, ack_due; /* no event since the welcome */
	struct turn_hook *hook;
	/* sending, fetching, signs of life, linking */
	LIST_HEAD(, wa_out) outs;
	struct timer *hasher;
	struct download *ins;
	struct wa_typing *typing;
	struct timer *typing_timer;
	struct wa_link *link;
	/* Tests make these short. */
	int64_t start_ms, answer_ms, media_ms, typing_ms;
};

#endif
