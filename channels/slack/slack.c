// SPDX-License-Identifier: Apache-2.0
/*
 * The Slack channel's ops: configuration, tokens, life and death. The parts are named in slack.h. It must never hold a token
 * anywhere but in struct secret, and never open a file before `open`.
 */
#include "channels/slack/slack.h"
#include <string.h>
#include <unistd.h>
#include "base/str.h"
#include "base/yaml.h"

#define DEFAULT_API "https://slack.com/api"
#define API_CONNS   8

static int read_section(struct yaml_node *n, const char *home, struct slack *s, struct err *e)
{
	struct err why = ERR_INIT;
	size_t host, len;

	if (yaml_path(n, "app_token_file", "", home, s->app_file, PATH_CAP, e) < 0 ||
	    yaml_path(n, "bot_token_file", "", home, s->bot_file, PATH_CAP, e) < 0 ||
	    yaml_path(n, "ca_file", "", home, s->ca_file, PATH_CAP, e) < 0 ||
	    yaml_duration(n, "ping", 15000, 1000, 60000, &s->ping_ms, e) < 0 ||
	    yaml_text(n, "api_url", DEFAULT_API, s->api_url, sizeof(s->api_url), e) < 0)
		return -1;
	if (config_check_base_url(s->api_url, &why) < 0)
		return yaml_fail(yaml_at(n, "api_url"), e, "%s", why.msg);
	if (!*s->app_file != !*s->bot_file)
		return yaml_fail(n, e,
				 "Slack needs both tokens: set %s too (see docs/slack.md), or "
				 "empty both to switch Slack off",
				 *s->app_file ? "bot_token_file" : "app_token_file");
	len = strlen(s->api_url);
	while (len && s->api_url[len - 1] == '/')
		s->api_url[--len] = '\0';
	host = (size_t)(strstr(s->api_url, "://") - s->api_url) + 3;
	snprintf(s->origin, sizeof(s->origin), "%.*s",
		 (int)(host + strcspn(s->api_url + host, "/")), s->api_url);
	return 0;
}

static int slack_configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	struct slack *s;

	if (!section)
		return 0;
	s = xcalloc(1, sizeof(*s));
	if (read_section(section, home, s, e) < 0) {
		free(s);
		return -1;
	}
	if (*s->app_file)
		*priv = s;
	else
		free(s);
	return 0;
}

static int check_secret(const char *key, const char *value, struct err *e)
{
	bool app = streq(key, "app_token_file");

	if (str_starts(value, app ? "xapp-" : "xoxb-"))
		return 0;
	return err_set(
		e, E_INVAL,
		"does not hold Slack's %s token (it begins with %s): put the right one there, see "
		"docs/slack.md",
		app ? "app-level" : "bot", app ? "xapp-" : "xoxb-");
}

static int load_token(struct secret *t, const char *name, const char *file, const char *key,
		      struct err *e)
{
	secret_free(t);
	if (secret_load(t, name, file, e) < 0)
		return -1;
	if (check_secret(key, t->value, e) < 0) {
		_cleanup_free_ char *why = xstrdup(e->msg);

		secret_free(t);
		return err_set(e, E_INVAL, "%.400s %s", file, why);
	}
	return 0;
}

static int load_tokens(struct slack *s, struct err *e)
{
	if (load_token(&s->app, "slack_app_token", s->app_file, "app_token_file", e) < 0)
		return -1;
	return load_token(&s->bot, "slack_bot_token", s->bot_file, "bot_token_file", e);
}

static int slack_open(struct channel *c, struct err *e)
{
	struct slack *s = c->priv;
	const char *ca = *s->ca_file ? s->ca_file : NULL;
	const struct http_client_opts o = {.ca_file = ca, .max_host_conns = API_CONNS};

	s->c = c;
	s->loop = c->loop;
	if (load_tokens(s, e) < 0)
		return -1;
	if (ca && access(ca, R_OK) < 0)
		return err_set(e, E_INVAL, "channels.slack.ca_file: cannot read %s", ca);
	str_copy(s->self.name, sizeof(s->self.name), c->cfg ? c->cfg->assistant : "Chela");
	s->http = http_client_new(c->loop, &o);
	s->wsc = ws_client_new(c->loop, ca);
	return 0;
}

/* The files are read again each time: who puts a new token there need not restart the server. */
static void slack_connect_op(struct channel *c)
{
	struct slack *s = c->priv;
	struct err e = ERR_INIT;

	if (load_tokens(s, &e) < 0)
		channel_on_state(c, CHANNEL_STUCK, e.msg, 0);
	else
		slack_connect(s);
}

static void slack_close(struct channel *c)
{
	struct slack *s = c->priv;

	if (!s)
		return;
	slack_socket_close(s);
	slack_fill_stop(s);
	free(s->gaps);
	slack_intake_close(s);
	slack_names_close(s);
	slack_send_close(s);
	slack_draft_close(s);
	slack_status_close(s);
	download_close(&s->fetches);
	slack_api_close(s);
	timer_free(s->retry);
	timer_free(s->verdict);
	ws_client_free(s->wsc);
	if (s->http)
		http_client_free(s->http);
	secret_free(&s->app);
	secret_free(&s->bot);
	free(s);
	c->priv = NULL;
}

static void slack_describe(struct channel *c, void (*fn)(void *ctx, const char *line), void *ctx)
{
	struct slack *s = c->priv;
	char line[256];
	int up = 0;

	for (size_t i = 0; i < SLACK_SOCKS; i++)
		up += s->socks[i].st == SOCK_UP;
	snprintf(line, sizeof(line), "connections: %d of 2%s", up,
		 s->up ? "" : " (down; the next attempt comes by itself)");
	fn(ctx, line);
	if (s->others > 0) {
		snprintf(
			line, sizeof(line),
			"%lld further connections of the same app: another server with its tokens gets "
			"part of the messages (stop it, or make an app of its own for it)",
			(long long)s->others);
		fn(ctx, line);
	}
	if (s->no_stream > loop_now(s->loop))
		fn(ctx, "streaming: refused by Slack, answers grow by edits instead (switch on "
			"Agents & AI Apps in the app's settings)");
	if (s->no_status > loop_now(s->loop))
		fn(ctx, "status line: refused by Slack (switch on Agents & AI Apps in the app's "
			"settings)");
}

const struct channel_ops slack_ops = {
	.name = "slack",
	.caps = CHAN_THREADS | CHAN_EDITS | CHAN_REACTIONS | CHAN_FILES | CHAN_TYPING |
		CHAN_BUTTONS | CHAN_LOOK,
	.max_text = SLACK_TEXT,
	.unit = UNIT_CODE_POINTS,
	.format = FORMAT_SLACK,
	.max_file = (int64_t)1 << 30,
	.draft_ms = 1200,
	.configure = slack_configure,
	.check_secret = check_secret,
	.open = slack_open,
	.connect = slack_connect_op,
	.close = slack_close,
	.send = slack_send,
	.progress = slack_progress,
	.draft = slack_draft,
	.fetch = slack_fetch,
	.fetch_cancel = slack_fetch_cancel,
	.describe = slack_describe,
};
