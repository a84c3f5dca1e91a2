// SPDX-License-Identifier: Apache-2.0
/* What the server knows of itself, as JSON for machines and as lines for a person. */
#include <string.h>
#include <stdio.h>
#include "admin/ask.h"
#include "admin/cli.h"
#include "admin/command.h"
#include "base/guest_log.h"
#include "base/str.h"
#include "base/buf.h"
#include "router/claim.h"
#include "router/skills.h"
#include "router/tasks.h"
#include "store/approvals.h"

static void add_session(void *ctx, const struct session_status *s)
{
	cJSON *j = cJSON_CreateObject();

	json_add(j, "group=%s state=%s why=%s leased=%lld since_ms=%lld", s->group, s->state,
		 s->why, (long long)s->leased, (long long)s->since_ms);
	cJSON_AddItemToArray(ctx, j);
}

static void add_note(void *ctx, const char *line)
{
	cJSON_AddItemToArray(ctx, cJSON_CreateString(line));
}

static void add_channel(void *ctx, const struct channel_status *s)
{
	cJSON *j = cJSON_CreateObject();

	json_add(j, "name=%s state=%s reason=%s since_ms=%lld retry_ms=%lld", s->name, s->state,
		 s->reason, (long long)s->since_ms, (long long)s->retry_ms);
	if (s->channel->ops->describe)
		s->channel->ops->describe(s->channel, add_note, cJSON_AddArrayToObject(j, "notes"));
	cJSON_AddItemToArray(ctx, j);
}

static void add_counts(cJSON *to, const char *name, const char *const *words,
		       const int64_t counts[6])
{
	cJSON *j = cJSON_AddObjectToObject(to, name);

	for (int i = 0; i < 6; i++)
		cJSON_AddNumberToObject(j, words[i], (double)counts[i]);
}

static void add_usage(cJSON *j, const struct usage_sum *u)
{
	json_add(cJSON_AddObjectToObject(j, "usage_24h"),
		 "calls=%lld turns=%lld input_tokens=%lld output_tokens=%lld "
		 "cache_read_tokens=%lld cache_write_tokens=%lld",
		 (long long)u->calls, (long long)u->turns, (long long)u->input,
		 (long long)u->output, (long long)u->cache_read, (long long)u->cache_write);
}

static void add_engine(cJSON *j, const struct warden_status *st)
{
	json_add(cJSON_AddObjectToObject(j, "engine"),
		 "up=%hhd version=%s runtimes=%s sandboxes=%lld", st->engine_up, st->engine,
		 st->runtimes, (long long)st->running);
	json_add(cJSON_AddObjectToObject(j, "image"), "ok=%hhd id=%s why=%s", st->image_ok,
		 st->image, st->image_why);
}

static int add_skills(const struct control_opts *o, cJSON *j, struct err *e)
{
	_cleanup_(buf_free) struct buf names = {0};

	if (skills_newer(o->router, &names, e) < 0)
		return -1;
	if (names.len)
		cJSON_AddStringToObject(j, "skills_newer", names.p);
	return 0;
}

/* Whether main can be claimed, never the code: this is shown in chats and to main's agent too. */
static int add_people(const struct control_opts *o, cJSON *j, struct err *e)
{
	const cJSON *chans = json_find(j, "channels");
	int64_t open, untold, oldest;
	const char *code;

	if (claim_code(o->router, &code, e) < 0 ||
	    store_approval_counts(o->store, &open, &untold, &oldest, e) < 0)
		return -1;
	/* With the console alone there is nobody who could claim it. */
	if (cJSON_GetArraySize(chans) > 1)
		cJSON_AddBoolToObject(j, "main_claimed", !code);
	cJSON_AddNumberToObject(j, "approvals", (double)open);
	return 0;
}

cJSON *status_json(const struct control_opts *o, const struct warden_status *st)
{
	static const char *const msg_words[] = {"context",  "pending", "leased",
						"answered", "failed",  "fetching"};
	static const char *const out_words[] = {"pending", "sending", "sent",
						"dead",	   "dropped", "repeats"};
	int64_t now = clock_wall(o->clk), counts[6] = {0};
	struct usage_sum u = {0};
	struct err e = ERR_INIT;
	cJSON *j = cJSON_CreateObject();

	json_add(j, "ev=%s version=%s pid=%lld up_ms=%lld home=%s model=%s", "status",
		 CHELA_VERSION, (long long)getpid(), (long long)(now - o->started_ms), o->cfg->home,
		 router_is_demo(o->router) ? "demo" : o->cfg->model_base_url);
	if (st)
		add_engine(j, st);
	router_each_session(o->router, add_session, cJSON_AddArrayToObject(j, "sessions"));
	router_each_channel(o->router, add_channel, cJSON_AddArrayToObject(j, "channels"));
	if (store_message_counts(o->store, 0, counts, &e) == 0)
		add_counts(j, "messages", msg_words, counts);
	if (store_out_counts(o->store, counts, &e) == 0)
		add_counts(j, "outbox", out_words, counts);
	cJSON_AddNumberToObject(j, "counted_back", STORE_COUNTED);
	if (store_usage_sum(o->store, 0, now - 86400000, &u, &e) == 0)
		add_usage(j, &u);
	if (!e.code && add_people(o, j, &e) == 0 && add_skills(o, j, &e) == 0)
		return j;
	if (e.code)
		cJSON_AddStringToObject(j, "error", e.msg);
	return j;
}

static const char *text_at(const cJSON *j, const char *path)
{
	char *s = (char *)json_peek_str(j, path);

	if (s)
		guest_clean_line(s);
	return s ? s : "";
}

/* back: what is done was counted only among so many of the newest; 0 = all of it. */
static void put_counts(struct buf *out, const cJSON *j, const char *name, int64_t back)
{
	const cJSON *obj = cJSON_GetObjectItemCaseSensitive(j, name), *item;
	const char *sep = " ";

	buf_putf(out, "%-9s", name);
	cJSON_ArrayForEach(item, obj)
	{
		if (cJSON_IsNumber(item)) {
			buf_putf(out, "%s%s %.0f", sep, item->string, item->valuedouble);
			sep = ", ";
		}
	}
	if (back)
		buf_putf(out, " (what is done: of the newest %lld)", (long long)back);
	buf_putf(out, "\n");
}

void status_put(struct buf *out, const cJSON *j)
{
	const cJSON *s, *list = cJSON_GetObjectItemCaseSensitive(j, "sessions");

	buf_putf(out, "chela %s, pid %lld, up %lld s, home %s\n", text_at(j, "version"),
		 (long long)json_peek_i64(j, "pid", 0),
		 (long long)json_peek_i64(j, "up_ms", 0) / 1000, text_at(j, "home"));
	buf_putf(out, "%-9s %s\n", "model", text_at(j, "model"));
	buf_putf(out, "%-9s %s%s%s\n", "engine", text_at(j, "engine.version"),
		 cJSON_IsTrue(json_find(j, "engine.up")) ? ", runtimes " : "",
		 text_at(j, "engine.runtimes"));
	buf_putf(out, "%-9s %s%s%s\n", "image", text_at(j, "image.id"),
		 cJSON_IsTrue(json_find(j, "image.ok")) ? "" : " NOT USABLE: ",
		 text_at(j, "image.why"));
	cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(j, "channels"))
	{
		const char *why = text_at(s, "reason");

		buf_putf(out, "%-9s %s: %s%s%s\n", "channel", text_at(s, "name"),
			 text_at(s, "state"), why[0] ? ": " : "", why);
	}
	cJSON_ArrayForEach(s, list)
	{
		const char *why = text_at(s, "why");

		buf_putf(out, "%-9s %s: %s for %lld s%s%s\n", "group", text_at(s, "group"),
			 text_at(s, "state"), (long long)json_peek_i64(s, "since_ms", 0) / 1000,
			 why[0] ? ", last trouble: " : "", why);
	}
	put_counts(out, j, "messages", json_peek_i64(j, "counted_back", 0));
	put_counts(out, j, "outbox", json_peek_i64(j, "counted_back", 0));
	put_counts(out, j, "usage_24h", 0);
	if (json_peek_i64(j, "approvals", 0))
		buf_putf(out, "%-9s %lld ask to be let in: the command approvals shows them\n",
			 "people", (long long)json_peek_i64(j, "approvals", 0));
	if (text_at(j, "skills_newer")[0])
		buf_putf(out,
			 "%-9s you have changed %s, and this version ships newer ones: the command "
			 "skills reset NAME takes them\n",
			 "skills", text_at(j, "skills_newer"));
	if (cJSON_IsFalse(json_find(j, "main_claimed")))
		buf_putf(out, "%-9s has no chat yet: chela claim shows the code\n", "main");
}

/* --- the command: one request, one answer ------------------------------------------------- */

/* The server asks the engine, which may take its time. */
#define ASK_PATIENCE_MS 40000

static bool take_line(void *ctx, const char *line, size_t n)
{
	buf_put(ctx, line, n);
	return true;
}

int cmd_status(const struct cli *c)
{
	_cleanup_(buf_free) struct buf line = {0}, text = {0};
	_cleanup_json_ cJSON *j = NULL;
	struct cli words = *c;
	struct config cfg;
	struct err e = ERR_INIT;
	bool as_json = cli_flag(&words, "--json");

	if (cli_no_more(&words, "status [--json]", &e) < 0 || cli_config(c, false, &cfg, &e) < 0 ||
	    ask_server(cfg.home, "{\"op\":\"status\"}\n", ASK_PATIENCE_MS, take_line, &line, &e) <
		    0)
		return cli_fail(&e);
	j = json_parse(line.p, line.len, JSON_MAX_DEFAULT, &e);
	if (!j)
		return cli_fail(&e);
	if (as_json)
		printf("%s\n", line.p);
	else
		status_put(&text, j);
	if (text.p)
		fputs(text.p, stdout);
	return 0;
}

/* --- in chats ----------------------------------------------------------------------------- */

/* Of the whole server, once the engine has answered. */
struct report {
	struct control_opts o;
	struct reply *r;
};

static void report_gone(void *ctx)
{
	struct report *p = ctx;

	router_forget_ask(p->o.router, p);
	free(p);
}

static void report(void *ctx, const struct warden_status *st)
{
	struct report *p = ctx;
	_cleanup_json_ cJSON *j = status_json(&p->o, st);
	_cleanup_(buf_free) struct buf out = {0};

	status_put(&out, j);
	reply_text(p->r, out.p);
	reply_end(p->r, 0);
	free(p);
}

struct group_view {
	const char *name;
	struct reply *r;
	int64_t n;
};

static void put_session(void *ctx, const struct session_status *s)
{
	struct group_view *v = ctx;

	if (!streq(s->group, v->name))
		return;
	v->n++;
	reply_line(v->r, "agent: %s for %lld s, %lld messages in hand%s%s", s->state,
		   (long long)s->since_ms / 1000, (long long)s->leased, s->why[0] ? "; " : "",
		   s->why);
}

struct task_view {
	int64_t active, paused, next_ms;
	struct buf next; /* a line about the one that is due next */
};

static void look_at_task(void *ctx, const struct task_row *t)
{
	struct task_view *v = ctx;

	v->active += t->state == TASK_ACTIVE;
	v->paused += t->state == TASK_PAUSED;
	if (t->state != TASK_ACTIVE || !t->next_ms || (v->next_ms && t->next_ms >= v->next_ms))
		return;
	v->next_ms = t->next_ms;
	buf_reset(&v->next);
	task_put_line(&v->next, t);
}

static int put_tasks(struct command *c, int64_t group_id, struct err *e)
{
	struct task_view v = {.active = 0};
	int rc = store_task_each(c->o->store, group_id, false, look_at_task, &v, e);

	if (rc == 0)
		reply_line(c->r, "tasks: %lld active, %lld paused", (long long)v.active,
			   (long long)v.paused);
	if (rc == 0 && v.next.len)
		reply_line(c->r, "next: %s", v.next.p);
	buf_free(&v.next);
	return rc;
}

static int status_of_group(struct command *c, struct err *e)
{
	struct group_view v = {.name = c->here->name, .r = c->r};
	int64_t counts[6] = {0};

	if (store_message_counts(c->o->store, c->here->id, counts, e) < 0)
		return -1;
	reply_line(c->r, "%s", c->here->name);
	router_each_session(c->o->router, put_session, &v);
	if (!v.n)
		reply_line(c->r, "agent: asleep");
	reply_line(c->r, "messages: %lld wait; of the newest: %lld answered, %lld failed",
		   (long long)counts[MSG_PENDING], (long long)counts[MSG_ANSWERED],
		   (long long)counts[MSG_FAILED]);
	return put_tasks(c, c->here->id, e);
}

static int status(struct command *c, struct err *e)
{
	struct report *p;

	if (c->where == CMD_GROUP)
		return status_of_group(c, e);
	p = xcalloc(1, sizeof(*p));
	p->o = *c->o;
	p->r = c->r;
	reply_on_gone(c->r, report_gone, p);
	router_ask_warden(c->o->router, report, p);
	return COMMAND_LATER;
}

const struct command_form commands_status[] = {
	{"status", "", "what is going on", CMD_EVERYWHERE, ROLE_MEMBER, .run = status},
	{0},
};
