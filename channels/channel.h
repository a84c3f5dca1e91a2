// SPDX-License-Identifier: Apache-2.0
/*
 * The whole contract between a channel (one platform's wire) and the core. The core owns the store, reconnection back-off,
 * splitting, formatting, ordering and retry; a channel owns one platform's protocol and nothing else. A channel is one
 * const struct channel_ops in the array of registry.c; an instance is {ops, priv}. Everything runs on the loop; nothing blocks.
 */
#ifndef CHELA_CHANNELS_CHANNEL_H
#define CHELA_CHANNELS_CHANNEL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "runtime/loop.h"

/* What the platform can do: data, so that the core decides once for all channels. */
enum channel_caps {
	CHAN_THREADS = 1 << 0,
	CHAN_EDITS = 1 << 1,
	CHAN_REACTIONS = 1 << 2,
	CHAN_FILES = 1 << 3,
	CHAN_TYPING = 1 << 4,
	CHAN_BUTTONS = 1 << 5,
	CHAN_STREAM = 1 << 6, /* partial text may be shown: ops->progress */
	CHAN_RESEND =
		1
		<< 7, /* sending the same outbound id twice is seen by the platform side: safe to repeat */
};
enum text_unit {
	UNIT_BYTES,
	UNIT_CODE_POINTS,
	UNIT_UTF16
};

struct channel;

/* One message of ours to one chat. Borrowed for the call. */
struct outbound {
	int64_t id; /* outbox id: the key of channel_on_sent, and of dedup with CHAN_RESEND */
	int64_t message_id; /* the history's sequence */
	const char *chat;   /* the platform's id */
	const char *thread; /* "" = none */
	const char *text;   /* Markdown, UTF-8 */
	bool notice;	    /* from Chela itself, not from the agent */
};

enum progress_kind {
	PROGRESS_START, /* a turn began: show typing */
	PROGRESS_TEXT,	/* text: the next piece of the answer */
	PROGRESS_TOOL,	/* text: what the agent does now, in words */
	PROGRESS_END,	/* the turn is over (its answer, if any, comes by send) */
};

struct channel_ops {
	const char *name; /* [a-z]+, as in the config */
	unsigned caps;
	size_t max_text; /* in units; longer text is split before send */
	enum text_unit unit;
	/* Starts. Success means "trying"; the state comes by channel_on_state. */
	int (*open)(struct channel *c, struct err *e);
	/* Stops at once and frees priv. */
	void (*close)(struct channel *c);
	/* Success means queued; the outcome comes by channel_on_sent, never from inside this call. */
	int (*send)(struct channel *c, const struct outbound *o, struct err *e);
	/* Passing signs of life; may be dropped freely. NULL when the platform has none. */
	void (*progress)(struct channel *c, const char *chat, const char *thread,
			 enum progress_kind kind, const char *text);
	/* The state of an incoming message changed: done = answered or failed (failed: see the notice). May be NULL. */
	void (*settled)(struct channel *c, const char *chat, const char *platform_id, bool failed);
};

/* A message from the platform. Borrowed for the call. */
struct inbound {
	const char *chat, *chat_title;
	const char *thread; /* "" = none */
	const char *id;	    /* the platform's, unique in the chat: the key of dedup */
	const char *sender, *sender_name;
	const char *text; /* UTF-8 */
	size_t text_len;
	int64_t sent_ms;
	bool addressed; /* the assistant was meant (mention, direct chat) */
};
/* Called once the message is durable (or known already): tell the platform now. why != NULL: it was refused or could
 * not be stored; then nothing was kept. Never from inside channel_on_message. */
typedef void stored_fn(void *ctx, int64_t message_id, bool duplicate, const struct err *why);

/* The up-calls: filled in by the router, called by channels through the functions below. */
struct channel_up {
	void (*message)(void *up, struct channel *c, const struct inbound *m, stored_fn *fn,
			void *ctx);
	void (*sent)(void *up, struct channel *c, int64_t outbox_id, const char *platform_id,
		     const struct err *why);
	void (*state)(void *up, struct channel *c, bool ready, const char *reason);
	/* A person asked to stop the running turn of a chat. */
	void (*stop)(void *up, struct channel *c, const char *chat, const char *thread);
};

struct channel {
	const struct channel_ops *ops;
	void *priv;
	struct loop *loop;
	const struct channel_up *up;
	void *up_ctx;
	bool ready;
};

static inline void channel_on_message(struct channel *c, const struct inbound *m, stored_fn *fn,
				      void *ctx)
{
	c->up->message(c->up_ctx, c, m, fn, ctx);
}
/* platform_id NULL with why set: E_TEMP and E_LIMIT are tried again, anything else is a dead letter. */
static inline void channel_on_sent(struct channel *c, int64_t outbox_id, const char *platform_id,
				   const struct err *why)
{
	c->up->sent(c->up_ctx, c, outbox_id, platform_id, why);
}
static inline void channel_on_state(struct channel *c, bool ready, const char *reason)
{
	c->ready = ready;
	c->up->state(c->up_ctx, c, ready, reason);
}
static inline void channel_on_stop(struct channel *c, const char *chat, const char *thread)
{
	c->up->stop(c->up_ctx, c, chat, thread);
}

/* registry.c: every channel, NULL-ended. Adding one = one file and one line there. */
extern const struct channel_ops *const channel_registry[];

#endif
