// SPDX-License-Identifier: Apache-2.0
/*
 * The router's insides, shared by the files of this folder only.
 */
#ifndef CHELA_ROUTER_IMPL_H
#define CHELA_ROUTER_IMPL_H
#include "base/lines.h"
#include "base/map.h"
#include "channels/registry.h"
#include "demo/demo.h"
#include "door/door.h"
#include "mcp/mcp.h"
#include "router/agent.h"
#include "router/people.h"
#include "router/router.h"
#include "runtime/sync.h"

#define OUT_ARGS_MAX ((size_t)16 << 10) /* bytes of an outbox row's arguments */
/* Stands before what may have arrived already, where the platform cannot say. */
#define REPEAT_MARK	 "(perhaps a repeat) "
#define INBOUND_TEXT_MAX ((size_t)256 << 10) /* bytes of one incoming message */
#define TURN_BATCH_MAX	 ((size_t)512 << 10) /* bytes of waiting messages handed in as one */

enum session_state {
	SESSION_IDLE,	  /* no sandbox */
	SESSION_WAITING,  /* in the queue for one of max_live places, or for a back-off to pass */
	SESSION_STARTING, /* the warden was asked; until the agent's stream is there */
	SESSION_READY,	  /* the agent waits for work, or works when turn_id != 0 */
	SESSION_STOPPING, /* asked to end; until the warden says so */
};

/* One message in the agent's hands. */
struct lease {
	struct lease *next;
	int64_t msg_id;
	bool started;  /* in the agent's running turn: the next result covers it */
	bool late;     /* the agent began it after it was asked to stop: nobody wants the result */
	char uuid[37]; /* of the line it was handed in with; shared by messages of one batch */
	char *platform_id;
};

struct session {
	struct session *next, *prev;
	struct session *next_of_group; /* the chain in router.by_group */
	struct router *r;
	struct group_row group;
	char key[65]; /* session key within the group */
	enum sandbox_kind
		kind; /* by the key: all but GROUP end with their one piece of work (schedule.h) */
	enum session_state state;
	int64_t since_ms;
	/* sandbox */
	int64_t begun_ms; /* when it was asked for */
	bool heard;	  /* the agent has said something */
	uint64_t sandbox; /* the warden's id; 0 = none */
	struct door *door;
	struct duplex *agent;
	struct line_reader lines;
	bool no_lines; /* stop feeding: the agent's stream is not ours any more */
	char session_id[37];
	bool resuming;
	bool rebuild;	/* put recent history before the next message: the old session is lost */
	uint64_t facts; /* hash of those that the agent was told last; 0 = none yet (opening.c) */
	bool carried;	/* it was told what the session before it left */
	bool refresh;	/* the sandbox ends after this turn, for new settings */
	bool renew;	/* and the session with it */
	struct compact *compact; /* asked for, or under way; compact.c */
	char why[200];		 /* last trouble, in words */
	bool drop_count;	 /* how the turn is to end once the sandbox is gone */
	int64_t drop_tries;
	int failures;	 /* in a row, for the back-off */
	bool told_delay; /* the chat knows that we are late */
	int64_t told_ms; /* since when */
	bool queued;
	struct session *next_queued;
	/* turn */
	int64_t turn_id; /* 0 = none */
	int64_t chat_id; /* where this turn's answers go; kept after the turn for tools */
	char *thread;
	struct lease *leases;
	struct buf out; /* lines that wait for the commit */
	size_t out_pos; /* written so far, when writing */
	bool writing;	/* out is partly in the door */
	bool out_armed;
	bool again;  /* there may be more to hand in, once what is on its way is out */
	bool begins; /* the turn's lines are the first: the chat is told once they are handed over */
	int64_t turn_ms;	/* the turn's limit */
	int64_t run_id;		/* of the task whose message is this turn; 0 = none */
	struct gate *gate;	/* what a sandbox of kind TOOL is for; schedule_gate.c */
	int64_t cost_seen;	/* what the agent has told of its cost so far, in this sandbox */
	bool timed_out;		/* stop_asked is for the turn's limit: nobody asked */
	struct actor by;	/* on whose behalf this turn runs: the least of those in it */
	bool in_grace;		/* limit runs for an interrupt, not for the turn */
	struct partial partial; /* of the text that streams now */
	bool stop_asked;
	bool stop_told;
	char stop_words[120];	   /* what the chat is told when stop_asked */
	bool spoke;		   /* a tool sent something to the chat in this turn */
	int unasked;		   /* messages of the agent since it last answered one */
	int given_back;		   /* lines that it gave back since then */
	int64_t requests;	   /* control requests so far */
	int64_t log_ms;		   /* when the minute began in which ... */
	int64_t log_lines;	   /* ... so many log lines were the sandbox's doing */
	struct progress *progress; /* NULL: nothing was drawn yet; progress.c */
	struct question *question; /* open now; ask.c */
	struct sending *sendings;  /* files on their way to the spool; tools_file.c */
	struct timer *retry;	   /* back-off, start limit */
	struct timer *limit;	   /* turn limit, then the grace after an interrupt */
	struct timer *idle;
	struct timer *late; /* when it fires, the chat is told that we are late */
};

/* An agent may speak by itself and by its tool; past this it only fills the disk and the chat. */
#define UNASKED_MAX 64

/* A channel's link to its platform; links.c. */
struct link {
	struct router *r;
	struct channel *channel;
	enum channel_state state;
	char reason[300];
	int64_t since_ms, tries, retry_at;
	int64_t not_before;  /* the platform's own word when it may be tried again */
	struct timer *retry; /* runs while the link is neither up nor being tried */
	bool told_stuck;     /* main knows */
};

/* claim.c: the code by which main is claimed */
#define CLAIM_LETTERS 8
struct claim {
	char code[CLAIM_LETTERS + 1], shown[CLAIM_LETTERS + 2]; /* "" = none was asked for yet */
	int wrong;						/* tries of this code */
	int64_t minute_ms; /* when the minute began in which ... */
	int tries;	   /* ... so many were made */
};

struct settled {
	int64_t chat_id;
	char *platform_id;
	bool failed;
};

struct ask {
	struct ask *next;
	warden_status_fn *fn;
	void *ctx;
};

struct router {
	struct router_opts o;
	struct loop *loop;
	struct store *store;
	struct warden *warden;
	struct gateway *gateway;
	struct mcp *mcp;
	struct tools *tools;		    /* tools.c */
	struct command_call *command_calls; /* tools_command.c: of agents, not answered yet */
	struct demo *demo;
	struct channel chans[CHANNELS_MAX];
	struct link links[CHANNELS_MAX];
	size_t n_chans;
	struct channel_up up;
	struct session *sessions;
	struct session *queue, **queue_tail;
	struct progress *drawings;  /* of all sessions */
	struct question *questions; /* that are open */
	char *spool;		    /* the folder of files to be sent */
	int64_t spool_bytes;
	struct map lanes;		 /* chat id -> struct lane */
	struct map sending;		 /* outbox id -> the lane that waits for its outcome */
	struct map told;		 /* chat id -> struct told */
	struct map settings;		 /* group id -> struct group_settings */
	struct group_settings *defaults; /* what holds unless a group has chosen */
	struct map by_group;		 /* group id -> first of its sessions */
	struct map refusals;		 /* chat id -> struct refusal */
	struct attach *attach;
	struct archive *archives; /* being written */
	struct group_ends *ends;  /* groups.c */
	struct export *exporting; /* export.c; NULL = none */
	struct schedule *schedule;
	struct people_settings people;
	struct approvals *approvals;
	struct claim claim;
	bool reap_armed;
	struct settled *settled;
	size_t n_settled, cap_settled;
	bool settle_armed;
	struct ask *asks;
	struct turn_hook *hook;
	bool fatal;
	struct receipt *receipts; /* inbox.c: answers to channels that wait for the commit */
	struct retention *retention;
	struct skills *skills; /* read so far; skills.c */
	/* drain.c */
	bool draining;
	void (*drained)(void *ctx);
	void *drained_ctx;
	struct timer *drain_limit;
};

/* router.c: the one way out of trouble that memory and disk cannot agree on. Safe to call many times. */
void router_fatal(struct router *r, const struct err *why);
struct channel *router_chan_of(struct router *r, const char *name);

/* drain.c: at the end of each turn of the loop */
void drain_check(struct router *r);

/* inbox.c */
void inbox_init(struct channel_up *up);
/* Before the channels are opened; what it makes lives until inbox_close, after they are closed. */
int inbox_open(struct router *r, struct err *e) must_check;
void inbox_close(struct router *r);

/* session.c: sandbox and states */
/* The session, made when there is none; it lives as long as it has a sandbox or work, at least until the end of this loop turn. */
struct session *session_get(struct router *r, const struct group_row *g, const char *key);
/* NULL when there is none now. */
struct session *session_find(struct router *r, int64_t group_id, const char *key);
void session_free(struct session *s);
/* session_list.c */
void session_link(struct session *s);
void session_unlink(struct session *s);
/* After the commit, so not under the hands of whoever made one idle: frees the sessions without a sandbox and without work. */
void session_reap(struct router *r);
/* There may be work: begins or feeds a turn, or sees to it that a sandbox comes. */
void session_wake(struct session *s);
/* Ends the sandbox; once it is gone, leases go back, counted as a try when count is set (max_tries 0: failed at once). */
void session_drop(struct session *s, const char *why, bool count, int64_t max_tries);
/* Whether a line about what the sandbox does may go to the log: a sandbox must not be able to fill the disk with them. */
bool session_may_log(struct session *s);
void session_set_state(struct session *s, enum session_state st);
void session_stop_sandbox(struct session *s);
/* The oldest waiting message's chat; false when nothing waits. */
bool session_waiting_chat(struct session *s, int64_t *chat_id, char *thread, size_t cap);
/* queue.c calls it when there is a place. */
void session_start(struct session *s);
/* Warden up-calls, found by sandbox id. */
extern const struct warden_events router_warden_events;

/* queue.c: places for live sandboxes */
void queue_push(struct session *s);
void queue_remove(struct session *s);
/* Gives free places to who waits longest; makes room by stopping a session that does nothing. */
void queue_run(struct router *r);

/* handin.c */
/* Leases what waits (for this turn's chat) and queues the lines; written after the commit. */
void turn_feed(struct session *s);
/* The agent's stream takes more. */
void turn_drained(struct session *s);
/* One control request to the agent; uuid may be NULL. */
void turn_control(struct session *s, const char *subtype, const char *uuid);

/* turn.c: results and ends */
void turn_line(void *ctx, const char *line, size_t n);
/* Leases back to pending (or failed when spent); closes the turn. */
void turn_abort(struct session *s, const char *why, bool count, int64_t max_tries);
/* Asks the agent to stop; words go to the chat when it has. */
void turn_interrupt(struct session *s, const char *words);

/* links.c */
/* Makes the channels that the configuration asks for; nothing connects yet. */
int links_open(struct router *r, struct err *e) must_check;
void links_connect(struct router *r);
void links_close(struct router *r);
/* The up-call of channels. */
void link_state(struct router *r, struct channel *c, enum channel_state st, const char *reason,
		int64_t retry_ms);

/* delivery.c */
/* Something may wait for this chat. */
void delivery_kick(struct router *r, int64_t chat_id);
void delivery_channel_ready(struct router *r, struct channel *c);
/* The up-calls of channels. */
void delivery_sent(struct router *r, struct channel *c, int64_t outbox_id, const struct sent *s);
void delivery_moved(struct router *r, struct channel *c, const char *chat, const char *new_chat);
void delivery_free(struct router *r);

/* post.c */
/* Renders the text for the chat's platform, cuts it to its limit and writes one outbox row a part in the open transaction; kicks after the
 * commit. With o->body set, or for a reaction: one row as it is. Returns the history's message id, 0 when the router cannot go on or the chat is another
 * group's by now. */
int64_t delivery_post(struct router *r, const struct out_new *o);

/* notice.c */
/* What a platform said, for the store and for people: it may quote the token that it was called with. dst may be words. */
void notice_words(char *dst, size_t cap, const char *words);
/* A one-line notice of ours to a chat. */
void delivery_notice(struct router *r, int64_t chat_id, int64_t group_id, const char *thread,
		     const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The same of what a person may bring about as often as that person likes: past a few in a minute nothing is said. */
void notice_brief(struct router *r, int64_t chat_id, int64_t group_id, const char *thread,
		  const char *text);
/* A notice to the main group's newest chat; nobody hears it when there is none. */
void notice_main(struct router *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What a command is written behind where notice_main is read. */
const char *notice_main_lead(struct router *r);
/* A message of ours became a dead letter: tells its chat (when that can be) and main, once a class and window. */
void notice_undelivered(struct router *r, const struct chat_row *chat, int64_t group_id,
			const char *thread, int64_t outbox_id, const struct err *why);
/* Before the end: what was held back is told now. */
void notice_flush(struct router *r);
/* At start: the same for what a crash left. */
int notice_recover(struct router *r, struct err *e) must_check;
void notice_free(struct router *r);
/* Tells the channel, after the commit, that a message is done. */
void delivery_settled(struct router *r, int64_t chat_id, const char *platform_id, bool failed);

/* progress.c */
/* Signs of life to the chat of a session, as far as its group and its channel allow: typing, the agent's tools in words, the answer as far as
 * it is known. */
void delivery_progress(struct session *s, enum progress_kind kind, const char *text);
/* What was shown so far has been answered: the next text begins a new draft. */
void progress_answered(struct session *s);
/* A draft stands in the chat that no answer has replaced yet. */
bool progress_stands(struct session *s);
/* A turn runs there, and its answer is drawn as it grows. */
bool progress_runs(const struct router *r, int64_t chat_id, const char *thread);
/* The up-call of channels. */
void progress_drafted(void *up, struct channel *c, const char *chat, const char *thread,
		      const char *id);
void progress_free(struct session *s);

/* spool.c */
/* Makes the folder where absent and removes what no row of the outbox names any more. */
int spool_open(struct router *r, struct err *e) must_check;
void spool_close(struct router *r);
/* An empty file of ours that will hold `size` bytes; *path (the caller frees) is absolute. E_LIMIT when the spool is full. spool_release gives it up. */
int spool_make(struct router *r, int64_t size, char **path, int *fd, struct err *e) must_check;
/* A file of the folder that was written to the end: fn hears when the disk has it, and its name. */
struct sync *spool_keep(struct router *r, int fd, sync_fn *fn, void *ctx, struct err *e) must_check;
/* A file that was to be sent is not needed any more. */
void spool_release(struct router *r, const char *path);

/* notice.c: one notice for many failed messages of one chat */
struct fail_notice {
	struct router *r;
	const char *why;
	bool stopped; /* by a person */
	int64_t chat_id, group_id, count;
	char thread[128];
};
void fail_notice_add(void *ctx, const struct msg_row *m); /* a msg_fn */
void fail_notice_end(struct fail_notice *f);

/* tools.c: the agents' tools; what mcp_new is to be told of them. After r->o is set. */
struct mcp_opts tools_open(struct router *r);
/* After mcp_free. */
void tools_close(struct router *r);

#endif
