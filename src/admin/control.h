// SPDX-License-Identifier: Apache-2.0
/*
 * The control socket: <home>/control.sock, newline-delimited JSON both ways, for the command line on the same
 * machine. Only the server's own user and root get an answer (SO_PEERCRED). It is the console channel's transport and answers status.
 *
 * Requests: {"op":"chat","group":G,"since":N} {"op":"say","id":UUID,"text":T} {"op":"stop"}
 *           {"op":"history","since":N} {"op":"status"} {"op":"command","argv":[...]}
 * Events:   hello, message{seq,dir,text,notice,sender}, synced{last}, stored{id,seq,duplicate},
 *           refused{id,why}, settled{id,failed}, progress{kind,text}, status{...}, line{text}, end{status}, error{why}
 * since >= 0: messages after that sequence number; since < 0: the last -since messages.
 */
#ifndef CHELA_ADMIN_CONTROL_H
#define CHELA_ADMIN_CONTROL_H
#include "base/json.h"
#include "router/router.h"

struct control;
struct commands; /* command.h: answers under way in chats */
struct control_opts {
	struct loop *loop;
	struct store *store;
	struct router *router;
	const struct clock *clk;
	const struct config *cfg;
	int64_t started_ms; /* wall time of the server's start */
	struct commands *commands;
	/* The server ends, once what was said is durable, and is started anew. NULL: there is nobody to do so. */
	void (*restart)(void *ctx);
	/* Whether a restart would find a configuration that is in order. NULL as above. */
	int (*may_restart)(void *ctx, struct err *e);
	/* Reads the configuration anew; said: one line. NULL as above. */
	int (*reload)(void *ctx, struct buf *said, struct err *e);
	void *ctx;
};
/* Starts listening. */
struct control *control_new(const struct control_opts *o, struct err *e) must_check;
void control_free(struct control *c);

/* The socket's path in buf[cap]. */
void control_path(const char *home, char *buf, size_t cap);

/* status.c: the status report as one JSON object {"ev":"status",...}; st may be NULL (not known). Caller frees with cJSON_Delete. */
cJSON *status_json(const struct control_opts *o, const struct warden_status *st);
/* The same for a person, several lines. */
void status_put(struct buf *out, const cJSON *status);

#endif
