// SPDX-License-Identifier: Apache-2.0
/*
 * The whole contract between a channel (one platform's wire) and the core. The core owns the store, reconnection back-off,
 * splitting, formatting, ordering, pacing of drafts and retry; a channel owns one platform's protocol and nothing else. A channel
 * is one const struct channel_ops in the array of registry.c; an instance is {ops, priv}. Everything runs on the loop; nothing
 * blocks, nothing sleeps, and no up-call comes from inside an ops function unless its comment allows it.
 */
#ifndef CHELA_CHANNELS_CHANNEL_H
#define CHELA_CHANNELS_CHANNEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/clock.h"
#include "base/err.h"
#include "policy/config.h"
#include "runtime/loop.h"

/* What the platform can do: data, so that the core decides once for all channels. */
enum channel_caps {
	CHAN_THREADS = 1 << 0,	 /* replies may go to a thread of a chat */
	CHAN_EDITS = 1 << 1,	 /* OUTBOUND_EDIT */
	CHAN_REACTIONS = 1 << 2, /* OUTBOUND_REACTION */
	CHAN_FILES = 1 << 3,	 /* OUTBOUND_FILE and ops->fetch */
	CHAN_TYPING = 1 << 4,	 /* ops->progress shows that work goes on */
	CHAN_BUTTONS =
		1 << 5, /* OUTBOUND_ASK shows buttons; without it the core sends numbered text */
	CHAN_STREAM = 1 << 6, /* ops->progress takes PROGRESS_TEXT, piece by piece */
	/* The platform (or our bridge) knows a repeat of the same outbound.key: sending again is safe. */
	CHAN_RESEND = 1 << 7,
	/* The channel itself looks whether outbound.key has arrived when outbound.again is set. */
	CHAN_LOOK = 1 << 8,
	/* A thread is a room of the chat, not the replies to one message: that we have spoken there makes nothing addressed to us. */
	CHAN_ROOMS = 1 << 9,
};
enum text_unit {
	UNIT_BYTES,
	UNIT_CODE_POINTS,
	UNIT_UTF16
};
/* Which rules outbound.body follows (router/format.h renders it from the agent's Markdown). */
enum text_format {
	FORMAT_MARKDOWN, /* as the agent wrote it */
	FORMAT_PLAIN,
	FORMAT_SLACK,	 /* mrkdwn; & < > escaped */
	FORMAT_TELEGRAM, /* Bot API HTML */
	FORMAT_WHATSAPP, /* *bold* _italic_ ~strike~ ```mono``` */
};

struct channel;
struct yaml_node;

struct out_file {
	const char *path; /* a regular file of ours, stable until the row is settled */
	const char *name; /* to show; checked: no slash, no control characters */
	const char *mime;
	int64_t size;
};
struct out_button {
	const char *label; /* at most 40 code points */
	const char *
		value; /* at most 40 bytes of ASCII, unique in the message; comes back as INBOUND_PRESS */
};
enum outbound_kind {
	OUTBOUND_TEXT,
	OUTBOUND_EDIT,	   /* replaces the body of `target` */
	OUTBOUND_REACTION, /* puts `emoji` on `target`; "" takes ours away */
	OUTBOUND_FILE,	   /* file, with body as caption ("" = none) */
	OUTBOUND_ASK,	   /* body with buttons */
};
/* One thing of ours for one chat. Borrowed for the call: copy what is needed later. */
struct outbound {
	int64_t id;	    /* outbox id: names it in channel_on_sent */
	int64_t message_id; /* the history's sequence */
	int64_t made_ms;    /* when it was made: whatever an earlier try has left is not older */
	char key[33]; /* 32 hex digits, random, the same at each try: dedup with CHAN_RESEND and CHAN_LOOK */
	enum outbound_kind kind;
	const char *chat;   /* the platform's id */
	const char *thread; /* "" = none */
	const char *text;   /* the message's whole Markdown source, for who wants it */
	const char *body;   /* this part, rendered in ops->format, at most ops->max_text units */
	/* EDIT, REACTION: the platform id of the message. TEXT: the id of the draft that this replaces, or "". */
	const char *target;
	const char *emoji; /* Unicode */
	const struct out_file *file;
	const struct out_button *buttons;
	size_t n_buttons;
	bool notice; /* from Chela itself, not from the agent */
	bool again;  /* an earlier try may have reached the platform */
};

enum progress_kind {
	PROGRESS_START, /* a turn began: show typing until PROGRESS_END, refreshed by the channel */
	PROGRESS_TEXT,	/* text: the next piece of the answer (CHAN_STREAM only) */
	PROGRESS_TOOL,	/* text: what the agent does now, in words */
	PROGRESS_END,	/* the turn is over (its answer, if any, comes by send) */
};

/* The answer as far as it is known. The core paces these by ops->draft_ms and drops what a newer one replaces. */
struct draft {
	const char *chat, *thread;
	const char *reply_to; /* platform id of the message that began the turn, or "" */
	const char *sender;   /* who wrote that, platform id */
	const char *id;	      /* what channel_on_draft said for this turn, "" before that */
	const char *text;     /* Markdown so far */
	const char *body;     /* rendered; at most ops->max_text units (the tail is cut) */
};

/* Bytes of a file that a message brought. */
struct fetch {
	int64_t id;	   /* names it in channel_on_fetched */
	const char *ref;   /* as the channel gave it in inbound_file.ref */
	int fd;		   /* where to write; the core's, open until the outcome */
	int64_t max_bytes; /* stop and fail with E_LIMIT beyond */
};

struct channel_ops {
	const char *name; /* [a-z]+, as in the config */
	unsigned caps;
	size_t max_text; /* in units; longer text is split before send */
	enum text_unit unit;
	enum text_format format;
	int64_t max_file; /* bytes of one outgoing file; 0 without CHAN_FILES */
	int64_t draft_ms; /* least time between two drafts of a chat */
	/* Reads this channel's section of the configuration (NULL = there is none; all of its keys must be asked for, yaml_*) into a
	 * new *priv; leaves it NULL when the channel is not asked for. Opens no file, starts nothing. */
	int (*configure)(struct yaml_node *section, const char *home, void **priv, struct err *e);
	/* Whether what the file of the key `key` (such as "token_file") holds is of the right kind: E_INVAL with words that
	 * follow the file's name ("holds no ...") and never the value. For checks before a start; open must look again. NULL = there is
	 * nothing to tell by. */
	int (*check_secret)(const char *key, const char *value, struct err *e);
	/* Loads tokens, makes what connect needs. Fails only for a wrong setting (a token file that is missing or readable by others): the
	 * server does not start then. */
	int (*open)(struct channel *c, struct err *e);
	/* One attempt to get ready. The outcome comes by channel_on_state; may be reported from inside. The core calls it again, with
	 * back-off, after CHANNEL_DOWN or CHANNEL_STUCK, and never while the channel is up or trying. */
	void (*connect)(struct channel *c);
	/* Stops at once and frees priv, opened or only configured; no up-call any more. */
	void (*close)(struct channel *c);
	/* Success means queued; the outcome comes by channel_on_sent, never from inside this call. Called for one row a chat at a
	 * time. The channel paces itself where its platform limits the whole account, and may hold rows for that. */
	int (*send)(struct channel *c, const struct outbound *o, struct err *e);
	/* Passing signs of life; may be dropped freely, but PROGRESS_END comes also while the channel is down. NULL when the platform has
	 * none. */
	void (*progress)(struct channel *c, const char *chat, const char *thread,
			 enum progress_kind kind, const char *text);
	/* Shows a draft; may be dropped freely. A draft that is a message of its own reports its id by channel_on_draft, and the
	 * final answer then comes as OUTBOUND_TEXT with that id as `target`, to be replaced in place; a send that comes while the
	 * draft's message is still being made waits for it in the channel and replaces it too. NULL = no drafts. */
	void (*draft)(struct channel *c, const struct draft *d);
	/* The state of an incoming message changed: done = answered or failed (failed: see the notice). May be NULL. */
	void (*settled)(struct channel *c, const char *chat, const char *platform_id, bool failed);
	/* Starts to fetch; the outcome comes by channel_on_fetched. NULL without CHAN_FILES. */
	int (*fetch)(struct channel *c, const struct fetch *f, struct err *e);
	/* Gives a fetch up: no outcome any more. */
	void (*fetch_cancel)(struct channel *c, int64_t fetch_id);
	/* Lines of "what: state (fix)" for `chela doctor`-like views: calls fn with each. May be NULL. */
	void (*describe)(struct channel *c, void (*fn)(void *ctx, const char *line), void *ctx);
};

enum inbound_kind {
	INBOUND_MESSAGE,
	INBOUND_EDIT,	  /* text: the new text of `target` */
	INBOUND_DELETE,	  /* `target` was taken back */
	INBOUND_REACTION, /* text: the emoji (Unicode, or :name:), "" = taken away; on `target` */
	INBOUND_PRESS,	  /* text: the value of a button of `target` */
};
struct inbound_file {
	const char *name; /* as the sender called it, unchecked; "" = none */
	const char *mime; /* as the platform says; "" = unknown */
	int64_t size;	  /* -1 = unknown */
	const char *
		ref; /* whatever the channel needs to fetch it, at most 2,000 bytes; kept in the store */
	bool voice; /* a spoken message */
};
/* Something from the platform. Borrowed for the call. Strings are UTF-8, NULL is not allowed. */
struct inbound {
	enum inbound_kind kind;
	const char *chat, *chat_title;
	bool direct;	    /* a chat of one person with the assistant */
	const char *thread; /* "" = none; where the answer goes */
	const char *id;	    /* unique in the chat over all kinds: the key of dedup */
	const char *
		target; /* EDIT, DELETE, REACTION, PRESS; MESSAGE: the id of the message it replies to, or "" */
	const char *quote; /* MESSAGE: text of what it replies to, as far as known, or "" */
	const char *sender, *sender_name;
	const char *
		sender_alt; /* a second identity of the same person (WhatsApp: LID and phone number), or "" */
	const char *text;
	size_t text_len; /* may be 0 when there are files */
	const struct inbound_file *files;
	size_t n_files;
	int64_t sent_ms;
	bool addressed; /* the assistant was meant (mention, command, reply to it, direct chat) */
	/* Passed on, somebody else's words: the text begins with a line that says so, and the core takes it for talk alone, never for a command, a
	 * claim code or the answer to a question. */
	bool forwarded;
};
/* Called once the message is durable (or known already): tell the platform now. why != NULL: it was refused or could
 * not be stored, and nothing was kept; E_PERM and E_INVAL are final, so the platform is told all the same.
 * Never from inside channel_on_message; not at all once the server cannot go on. */
typedef void stored_fn(void *ctx, int64_t message_id, bool duplicate, const struct err *why);

enum channel_state {
	CHANNEL_UP,
	CHANNEL_DOWN,  /* passing trouble: connect is called again after a back-off */
	CHANNEL_STUCK, /* a person has to act (a refused token, a logged-out phone): main is told once; tried again every 10 min */
};

/* What became of an outbound. Exactly one of platform_id and why. Codes of why: E_TEMP, E_LIMIT = again later; E_GONE = the chat
 * is no more or we are not in it; anything else = refused, a dead letter. */
struct sent {
	const char *platform_id;
	const struct err *why;
	int64_t retry_ms; /* with E_LIMIT and E_TEMP: not before this time has passed; 0 = the core's back-off */
	bool unsure; /* it may have arrived all the same (the connection broke after the request had left) */
	const char *
		moved_to; /* the chat's new platform id: kept, and the row is tried there; else NULL */
};

/* The up-calls: filled in by the router, called by channels through the functions below. */
struct channel_up {
	void (*message)(void *up, struct channel *c, const struct inbound *m, stored_fn *fn,
			void *ctx);
	void (*sent)(void *up, struct channel *c, int64_t outbox_id, const struct sent *s);
	void (*state)(void *up, struct channel *c, enum channel_state st, const char *reason,
		      int64_t retry_ms);
	/* A person asked to stop the running turn of a chat. */
	void (*stop)(void *up, struct channel *c, const char *chat, const char *thread);
	void (*draft)(void *up, struct channel *c, const char *chat, const char *thread,
		      const char *id);
	void (*fetched)(void *up, struct channel *c, int64_t fetch_id, int64_t size,
			const char *mime, const struct err *why);
	/* The platform gave the chat a new id. */
	void (*moved)(void *up, struct channel *c, const char *chat, const char *new_chat);
	/* Each chat of this channel that belongs to a group, with the newest platform id that came in (or ""): for back-fill. */
	void (*chats)(void *up, struct channel *c,
		      void (*fn)(void *ctx, const char *chat, const char *last_id, int64_t last_ms),
		      void *ctx);
};

struct channel {
	const struct channel_ops *ops;
	void *priv;
	struct loop *loop;
	const struct clock *clk;
	const struct config *cfg;
	const struct channel_up *up;
	void *up_ctx;
	bool ready;   /* the last state was CHANNEL_UP */
	void *router; /* the router's own; never touched by a channel */
};

static inline void channel_on_message(struct channel *c, const struct inbound *m, stored_fn *fn,
				      void *ctx)
{
	c->up->message(c->up_ctx, c, m, fn, ctx);
}
static inline void channel_on_sent(struct channel *c, int64_t outbox_id, const struct sent *s)
{
	c->up->sent(c->up_ctx, c, outbox_id, s);
}
/* reason: for a person, with the fix when the state is CHANNEL_STUCK. retry_ms: not before, 0 = the core's back-off. */
static inline void channel_on_state(struct channel *c, enum channel_state st, const char *reason,
				    int64_t retry_ms)
{
	c->ready = st == CHANNEL_UP;
	c->up->state(c->up_ctx, c, st, reason, retry_ms);
}
static inline void channel_on_stop(struct channel *c, const char *chat, const char *thread)
{
	c->up->stop(c->up_ctx, c, chat, thread);
}
static inline void channel_on_draft(struct channel *c, const char *chat, const char *thread,
				    const char *id)
{
	c->up->draft(c->up_ctx, c, chat, thread, id);
}
/* why NULL: all bytes are in the descriptor; mime as the platform's answer said, or "". */
static inline void channel_on_fetched(struct channel *c, int64_t fetch_id, int64_t size,
				      const char *mime, const struct err *why)
{
	c->up->fetched(c->up_ctx, c, fetch_id, size, mime, why);
}
static inline void channel_on_moved(struct channel *c, const char *chat, const char *new_chat)
{
	c->up->moved(c->up_ctx, c, chat, new_chat);
}
static inline void channel_each_chat(struct channel *c,
				     void (*fn)(void *ctx, const char *chat, const char *last_id,
						int64_t last_ms),
				     void *ctx)
{
	c->up->chats(c->up_ctx, c, fn, ctx);
}

/* registry.c: every channel, NULL-ended. Adding one = one file and one line there. */
extern const struct channel_ops *const channel_registry[];

#endif
