// SPDX-License-Identifier: Apache-2.0
/*
 * Telegram by the Bot API: the channel's ops, its settings, its life. The work is in the other files of this folder: poll (what
 * comes), parse and text (what it means), send and pace (what goes), draft (signs of life), fetch (files), api (one call).
 */
#include "channels/telegram/telegram.h"
#include <string.h>
#include "base/str.h"
#include "base/yaml.h"

static const char DEFAULT_API[] = "https://api.telegram.org";

static int read_section(struct telegram *t, struct yaml_node *section, const char *home,
			struct err *e)
{
	struct err why = ERR_INIT;

	if (yaml_path(section, "token_file", "", home, t->token_file, sizeof(t->token_file), e) <
		    0 ||
	    yaml_text(section, "api_url", DEFAULT_API, t->api_url, sizeof(t->api_url), e) < 0 ||
	    yaml_path(section, "ca_file", "", home, t->ca_file, sizeof(t->ca_file), e) < 0)
		return -1;
	if (config_check_base_url(t->api_url, &why) < 0)
		return yaml_fail(yaml_at(section, "api_url"), e, "%s", why.msg);
	if (t->ca_file[0] && !str_starts(t->api_url, "https://"))
		return yaml_fail(
			yaml_at(section, "ca_file"), e,
			"has no effect with an http:// api_url; remove it or use https://");
	for (size_t n = strlen(t->api_url); n && t->api_url[n - 1] == '/';)
		t->api_url[--n] = '\0';
	return 0;
}

static int configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	struct telegram *t = xcalloc(1, sizeof(*t));

	if (read_section(t, section, home, e) < 0) {
		free(t);
		return -1;
	}
	if (!t->token_file[0]) {
		free(t);
		return 0;
	}
	TAILQ_INIT(&t->jobs);
	t->poll_s = 50;
	t->watchdog_ms = 150000;
	t->retry_ms = 1000;
	t->conflict_stuck_ms = 600000;
	t->typing_ms = 4000;
	t->group_draft_ms = 3000;
	*priv = t;
	return 0;
}

/* NUMBER:LETTERS; it goes into a URL as it is. */
static bool token_ok(const char *s)
{
	size_t digits = strspn(s, "0123456789");
	const char *rest = s + digits + 1;

	return digits && s[digits] == ':' && *rest &&
	       !rest[strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				  "0123456789_-")];
}

static int check_secret(const char *key maybe_unused, const char *value, struct err *e)
{
	if (token_ok(value))
		return 0;
	return err_set(e, E_INVAL,
		       "holds no bot token: it looks like 123456:ABC-def and comes from @BotFather "
		       "(/token)");
}

static int open_channel(struct channel *c, struct err *e)
{
	struct telegram *t = c->priv;
	struct http_client_opts o = {.ca_file = t->ca_file[0] ? t->ca_file : NULL};

	t->c = c;
	if (secret_load(&t->token, "telegram_token", t->token_file, e) < 0)
		return -1;
	if (check_secret("token_file", t->token.value, e) < 0) {
		_cleanup_free_ char *why = xstrdup(e->msg);

		return err_set(e, E_INVAL, "%.400s %s", t->token_file, why);
	}
	t->http = http_client_new(c->loop, &o);
	t->draft_seq = clock_wall(c->clk) & INT32_MAX;
	return 0;
}

static void close_channel(struct channel *c)
{
	struct telegram *t = c->priv;

	c->priv = NULL;
	tg_poll_close(t);
	tg_send_close(t);
	tg_draft_close(t);
	download_close(&t->fetches);
	while (!LIST_EMPTY(&t->calls))
		tg_cancel(LIST_FIRST(&t->calls));
	timer_free(t->due);
	pace_free(&t->pace);
	if (t->http)
		http_client_free(t->http);
	secret_free(&t->token);
	free(t);
}

static void describe(struct channel *c, void (*fn)(void *ctx, const char *line), void *ctx)
{
	const struct telegram *t = c->priv;
	const struct tg_poll *p = &t->poll;
	char line[512];

	if (!t->me.id) {
		snprintf(line, sizeof(line), "telegram: not reached yet%s%s",
			 p->last[0] ? ": " : "", p->last);
		fn(ctx, line);
		return;
	}
	snprintf(line, sizeof(line), "telegram: bot @%s, %s", t->me.name, c->ready ? "up" : "down");
	if (p->good_ms)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
			 ", last good poll %lld s ago",
			 (long long)(loop_now(c->loop) - p->good_ms) / 1000);
	if (p->last[0])
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "; the last said: %s",
			 p->last);
	fn(ctx, line);
	if (p->conflicts) {
		snprintf(
			line, sizeof(line),
			"telegram: %lld conflicts (409): another program receives this bot's messages "
			"(stop it, or make a new token with @BotFather, /revoke)",
			(long long)p->conflicts);
		fn(ctx, line);
	}
	if (p->skipped) {
		snprintf(
			line, sizeof(line),
			"telegram: %lld updates could not be read and were passed over (see the log)",
			(long long)p->skipped);
		fn(ctx, line);
	}
	if (!t->me.reads_all)
		fn(ctx,
		   "telegram: in groups the bot sees only commands, replies to it and mentions "
		   "(to change: @BotFather, /setprivacy, Disable; then take the bot out of the "
		   "group and add it again)");
	if (t->no_drafts)
		fn(ctx, "telegram: this Bot API server has no drafts: private chats show only "
			"\"typing\"");
}

const struct channel_ops telegram_ops = {
	.name = "telegram",
	.caps = CHAN_THREADS | CHAN_EDITS | CHAN_REACTIONS | CHAN_FILES | CHAN_TYPING |
		CHAN_BUTTONS | CHAN_ROOMS,
	.max_text = TG_TEXT_MAX,
	.unit = UNIT_UTF16,
	.format = FORMAT_TELEGRAM,
	.max_file = TG_FILE_MAX,
	.draft_ms = 1000,
	.configure = configure,
	.check_secret = check_secret,
	.open = open_channel,
	.connect = tg_connect,
	.close = close_channel,
	.send = tg_send,
	.progress = tg_progress,
	.draft = tg_draft,
	.fetch = tg_fetch,
	.fetch_cancel = tg_fetch_cancel,
	.describe = describe,
};
