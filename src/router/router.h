// SPDX-License-Identifier: Apache-2.0
/*
 * The router: from a stored message to a stored answer. Owns the channels, the sessions of all groups, the queue for sandboxes
 * and the delivery of what is to be sent. The floor above (main, admin) wires it and asks it questions; channels reach it by their up-calls.
 */
#ifndef CHELA_ROUTER_ROUTER_H
#define CHELA_ROUTER_ROUTER_H
#include "channels/channel.h"
#include "gateway/gateway.h"
#include "policy/config.h"
#include "router/may.h"
#include "runtime/loop.h"
#include "store/store.h"
#include "warden/warden.h"

struct router;

/* Commands are carried out by the floor above (admin), wherever they are said. */
struct command_ask {
	const char *line; /* as it was said: "/stop", "chela groups list" */
	const struct actor *by;
	const struct group_row *group; /* whose chat, or whose agent */
	int64_t chat_id;	       /* 0 = said by an agent */
	const char *thread;
};
/* Called once, now or later: all that it says, as plain lines without a newline at the end. status: 0 = done, 1 = failed, 2 = wrong words, 3 = the person may not. */
typedef void command_said_fn(void *ctx, const char *text, int status);
struct router_commands {
	/* Whether a message is a command here, also an ill-formed one. in_main: a chat of the main group. */
	bool (*is)(void *ctx, const char *text, bool in_main);
	void (*run)(void *ctx, const struct command_ask *a, command_said_fn *said, void *said_ctx);
	/* Those that only read, for the main group's agent: the command ("tasks list") and one line of what it shows; NULL-ended. */
	const struct command_tool {
		const char *line, *description;
		enum role least;
	} * tools;
};

struct router_opts {
	struct loop *loop;
	struct store *store;
	const struct clock *clk;
	const struct config *cfg;
	int warden_fd;		    /* taken */
	const struct secret *key;   /* for the gateway; NULL = none */
	const struct secret *oauth; /* the same */
	/* The server cannot go on: restart (exec) is the way out. Called once, from the loop. */
	void (*fatal)(void *ctx, const struct err *why);
	void *ctx;
	const struct router_commands *commands; /* NULL: there are none */
	void *commands_ctx;
};
/* Recovers what a crash left, opens the channels, wakes the groups that have messages waiting. */
struct router *router_new(const struct router_opts *o, struct err *e) must_check;
/* Graceful: hands leases back without counting a try, stops the sandboxes, closes the channels. */
void router_free(struct router *r);

/* Before router_free: no turn begins any more; done is called once, from the loop, when none runs and nothing is on its way to a platform, at the latest
 * after limit_ms. */
void router_drain(struct router *r, int64_t limit_ms, void (*done)(void *ctx), void *ctx);
/* The configuration that the router was made with has been read anew (the struct is the same): what is kept of it is read again. E_INVAL changes nothing. */
int router_reload(struct router *r, struct err *e) must_check;
/* One line of ours to the main group's newest chat; nobody hears it when there is none. */
void router_tell_main(struct router *r, const char *text);
/* What a command is written behind in a chat of this channel, for hints: "/", or "/chela " on Slack, which takes lines with a slash for itself. */
const char *router_lead(const char *channel);

/* The opened channel of that name, or NULL. */
struct channel *router_channel(struct router *r, const char *name);

struct session_status {
	char group[65];
	const char *state; /* "idle", "waiting", "starting", "ready", "working", "stopping" */
	char why[200];	   /* what it waits for, or "" */
	int64_t leased;	   /* messages in the agent's hands */
	int64_t since_ms;  /* in this state for so long */
};
typedef void session_status_fn(void *ctx, const struct session_status *s);
void router_each_session(struct router *r, session_status_fn *fn, void *ctx);
/* Stops what a group's agent does, or is about to do, by order of a person: of one chat and thread, or (chat 0) all of it. How many turns. */
int64_t router_stop_turns(struct router *r, const struct group_row *g, int64_t chat_id,
			  const char *thread);
struct channel_status {
	struct channel *channel;
	const char *name, *state; /* "up", "down", "stuck" */
	const char *reason;	  /* "" when up */
	int64_t since_ms;	  /* in this state for so long */
	int64_t retry_ms;	  /* until the next try; -1 when up */
};
typedef void channel_status_fn(void *ctx, const struct channel_status *s);
void router_each_channel(struct router *r, channel_status_fn *fn, void *ctx);
/* Tries a link that is down at once, by order of a person; *name becomes the channel's own. E_GONE: no such channel (its words name those there are); E_INVAL: it is up; E_TEMP: it is being
 * tried, or the platform has said when it may be. */
int router_retry_channel(struct router *r, const char **name, struct err *e) must_check;
/* Something may wait for this chat: for commands that changed the outbox. */
void router_kick(struct router *r, int64_t chat_id);
/* Asks the warden; fn is called once, later. */
typedef void warden_status_fn(void *ctx, const struct warden_status *s);
void router_ask_warden(struct router *r, warden_status_fn *fn, void *ctx);
void router_forget_ask(struct router *r, const void *ctx);
bool router_is_demo(const struct router *r);
/* The agents' own tools (those made of commands are in router_commands.tools) and who may use each, for help and for tests. */
#define COMMAND_TOOL "command" /* the tool of main's agent that carries out router_commands.tools */
typedef void tool_rule_fn(void *ctx, const char *name, const char *title, const struct rule *rule);
void router_each_tool(tool_rule_fn *fn, void *ctx);

#endif
