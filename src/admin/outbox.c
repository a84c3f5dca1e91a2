// SPDX-License-Identifier: Apache-2.0
/* `chela outbox`: what could not be delivered, and what waits; and `chela channels`: the links to the platforms. */
#include <string.h>
#include <time.h>
#include "admin/command.h"
#include "base/str.h"

#define LIST_MAX 200

struct listing {
	struct reply *r;
	int64_t n;
};

static void list_row(void *ctx, const struct out_row *o)
{
	static const char *const states[] = {"waits", "sending", "sent", "dead", "dropped"};
	static const char *const ops[] = {"text", "edit", "reaction", "file", "question"};
	struct listing *l = ctx;
	time_t t = (time_t)(o->made_ms / 1000);
	char when[32], tries[32] = "";
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%MZ", &tm);
	if (o->tries)
		snprintf(tries, sizeof(tries), ", %lld tries", (long long)o->tries);
	reply_line(l->r, "%lld  %s  %s:%s  %s %s%s%s%s%s%s%s", (long long)o->id, when, o->channel,
		   o->chat_name, states[o->state],
		   o->op >= 0 && (size_t)o->op < ARRAY_LEN(ops) ? ops[o->op] : "?", tries,
		   o->class[0] ? ", class " : "", o->class,
		   o->again ? ", perhaps arrived once" : "", o->error[0] ? ": " : "", o->error);
	reply_line(l->r, "    %.*s%s", (int)str_utf8_floor(o->body, strnlen(o->body, 120)), o->body,
		   strlen(o->body) > 120 ? " ..." : "");
	l->n++;
}

static void list(const struct control_opts *o, bool all, struct reply *r)
{
	struct listing l = {.r = r};
	struct err e = ERR_INIT;

	if (store_out_list(o->store, all, LIST_MAX, list_row, &l, &e) < 0) {
		reply_fail(r, &e);
		return;
	}
	if (!l.n)
		reply_line(r, all ? "Nothing waits and nothing is lost."
				  : "No dead letters. (What waits: chela outbox all)");
	else if (l.n == LIST_MAX)
		reply_line(r, "These are the oldest %d.", LIST_MAX);
	if (l.n && !all)
		reply_line(
			r,
			"Send again: chela outbox retry ID (or all). Let go: chela outbox drop ID.");
	reply_end(r, 0);
}

/* Otherwise the command has failed. */
static bool read_id(const char *word, int64_t *id, struct reply *r)
{
	struct err e = ERR_INIT;

	if (str_to_i64(word, 1, INT64_MAX, id, &e) == 0)
		return true;
	err_set(&e, E_INVAL, "\"%.40s\" is no number of a dead letter; chela outbox lists them",
		word);
	reply_fail(r, &e);
	return false;
}

static void kick(void *ctx, int64_t chat_id)
{
	router_kick(ctx, chat_id);
}

static void retry(const struct control_opts *o, int64_t id, struct reply *r)
{
	struct err e = ERR_INIT;
	int64_t chat = 0, n = 0;

	if (store_out_revive(o->store, id, &chat, &n, &e) < 0) {
		reply_fail(r, &e);
		return;
	}
	if (chat)
		router_kick(o->router, chat);
	else if (n && store_out_chats(o->store, kick, o->router, &e) < 0) {
		reply_fail(r, &e);
		return;
	}
	reply_line(r, "%lld queued again.", (long long)n);
	reply_end(r, 0);
}

static void outbox(const struct control_opts *o, int argc, char **argv, struct reply *r)
{
	struct err e = ERR_INIT;
	int64_t id = 0;

	if (argc == 1 || (argc == 2 && streq(argv[1], "list"))) {
		list(o, false, r);
	} else if (argc == 2 && streq(argv[1], "all")) {
		list(o, true, r);
	} else if (argc == 3 && streq(argv[1], "retry")) {
		if (streq(argv[2], "all") || read_id(argv[2], &id, r))
			retry(o, id, r);
	} else if (argc == 3 && streq(argv[1], "drop")) {
		if (!read_id(argv[2], &id, r))
			return;
		if (store_out_drop(o->store, id, &e) < 0) {
			reply_fail(r, &e);
		} else {
			reply_line(r, "%lld is off the list.", (long long)id);
			reply_end(r, 0);
		}
	} else {
		reply_usage(r);
	}
}

const struct admin_command command_outbox = {
	.name = "outbox",
	.usage = "outbox [list|all]\noutbox retry ID|all\noutbox drop ID",
	.help = "what could not be delivered; all: also what waits\n"
		"send it again\ntake it off the list, unsent",
	.run = outbox,
};

static void channel_detail(void *ctx, const char *line)
{
	reply_line(ctx, "    %s", line);
}

static void channel_line(void *ctx, const struct channel_status *s)
{
	struct reply *r = ctx;

	if (s->retry_ms < 0)
		reply_line(r, "%-9s %s for %lld s", s->name, s->state,
			   (long long)s->since_ms / 1000);
	else
		reply_line(r, "%-9s %s for %lld s: %s (next try in %lld s)", s->name, s->state,
			   (long long)s->since_ms / 1000, s->reason,
			   (long long)(s->retry_ms > 0 ? s->retry_ms : 0) / 1000);
	if (s->channel->ops->describe)
		s->channel->ops->describe(s->channel, channel_detail, r);
}

static void channels(const struct control_opts *o, int argc, char **argv, struct reply *r)
{
	(void)argv;
	if (argc != 1) {
		reply_usage(r);
		return;
	}
	router_each_channel(o->router, channel_line, r);
	reply_end(r, 0);
}

const struct admin_command command_channels = {
	.name = "channels",
	.usage = "channels",
	.help = "which platforms are connected; what is wrong with the others",
	.run = channels,
};
