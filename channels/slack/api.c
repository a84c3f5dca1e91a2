// SPDX-License-Identifier: Apache-2.0
/*
 * Calls of Slack's Web API: form-encoded POST, token in the header only, JSON back, errors told apart by what they mean for a
 * retry. It must never send a call twice by itself, and never hide that a call may have been done: the body is streamed, so that
 * libcurl cannot repeat it on a fresh connection, and the first byte of it that is asked for marks the call as gone out.
 * (https://docs.slack.dev/apis/web-api/using-the-slack-web-api, .../rate-limits)
 */
#include <glib.h>
#include <stdarg.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"

#define ANSWER_MAX JSON_MAX_DEFAULT
#define TOTAL_MS   30000
#define LIMIT_MS   30000   /* a 429 without Retry-After */
#define LIMIT_MOST 3600000 /* of Retry-After */

static const struct {
	const char *name;
	bool app;    /* the app-level token */
	bool writes; /* doing it twice shows */
} methods[SLACK_METHODS] = {
	[SLACK_AUTH_TEST] = {"auth.test", false, false},
	[SLACK_OPEN] = {"apps.connections.open", true, false},
	[SLACK_POST] = {"chat.postMessage", false, true},
	[SLACK_UPDATE] = {"chat.update", false, true},
	[SLACK_DELETE] = {"chat.delete", false, true},
	[SLACK_START_STREAM] = {"chat.startStream", false, true},
	[SLACK_APPEND_STREAM] = {"chat.appendStream", false, true},
	[SLACK_STOP_STREAM] = {"chat.stopStream", false, true},
	[SLACK_SET_STATUS] = {"assistant.threads.setStatus", false, true},
	[SLACK_REACT] = {"reactions.add", false, true},
	[SLACK_UNREACT] = {"reactions.remove", false, true},
	[SLACK_REACTIONS] = {"reactions.get", false, false},
	[SLACK_HISTORY] = {"conversations.history", false, false},
	[SLACK_REPLIES] = {"conversations.replies", false, false},
	[SLACK_CHANNEL] = {"conversations.info", false, false},
	[SLACK_USER] = {"users.info", false, false},
	[SLACK_UPLOAD_URL] = {"files.getUploadURLExternal", false, false},
	[SLACK_UPLOAD_DONE] = {"files.completeUploadExternal", false, true},
	[SLACK_FILE] = {"files.info", false, false},
};

struct slack_call {
	LIST_ENTRY(slack_call) link;
	struct slack *s;
	enum slack_method m;
	slack_reply_fn *fn;
	void *ctx;
	struct http_call *http;
	struct buf form, body;
	size_t taken; /* of form */
	bool left;    /* a byte of it may be at Slack */
	int status;
	int64_t retry_ms;
	struct timer *late; /* tells an outcome that was known at once */
	struct slack_reply known;
};

/* --- form ---------------------------------------------------------------------------------------- */

void slack_arg(struct buf *form, const char *name, const char *value)
{
	_cleanup_free_ char *escaped = g_uri_escape_string(value, NULL, FALSE);

	buf_putf(form, "%s%s=%s", form->len ? "&" : "", name, escaped);
}

void slack_args(struct buf *form, ...)
{
	const char *name;
	va_list ap;

	va_start(ap, form);
	while ((name = va_arg(ap, const char *)))
		slack_arg(form, name, va_arg(ap, const char *));
	va_end(ap);
}

char *slack_bearer(const struct secret *t)
{
	return xasprintf("Bearer %s", t->value ? t->value : "");
}

void slack_bearer_free(char **p)
{
	if (*p)
		explicit_bzero(*p, strlen(*p));
	free(*p);
}

/* --- errors -------------------------------------------------------------------------------------- */

static const struct {
	const char *word;
	enum err_code code;
	bool dead_token;
	bool unsure; /* Slack says that part of it may have been done */
	const char *fix;
} words[] = {
#define NEW_TOKEN "make a new token in the app's settings, put it into the token file"
	{"invalid_auth", E_AUTH, true, false, NEW_TOKEN},
	{"not_authed", E_AUTH, true, false, NEW_TOKEN},
	{"token_revoked", E_AUTH, true, false, NEW_TOKEN},
	{"token_expired", E_AUTH, true, false, NEW_TOKEN},
	{"account_inactive", E_AUTH, true, false,
	 "the app was removed from the workspace: install it again, put the new token into the token file"},
	{"not_allowed_token_type", E_AUTH, true, false,
	 "app_token_file wants the token that begins with xapp-, bot_token_file the one with xoxb-"},
	{"team_access_not_granted", E_AUTH, true, false, "install the app in this workspace"},
	{"ekm_access_denied", E_AUTH, true, false, "ask the workspace's administrators"},
	{"org_login_required", E_AUTH, true, false, "the workspace is being moved: try later"},
	{"link_disabled", E_AUTH, true, false,
	 "Socket Mode is switched off: switch it on in the app's settings under Socket Mode"},
	{"missing_scope", E_AUTH, false, false,
	 "add the scope on the app's page OAuth & Permissions, and install the app again"},
	{"no_permission", E_AUTH, false, false, "the app may not do that here"},
	{"access_denied", E_AUTH, false, false, "the app may not do that here"},
	{"channel_not_found", E_GONE, false, false,
	 "the channel is no more, or the app was taken out of it: /invite it"},
	{"not_in_channel", E_GONE, false, false, "invite the app into the channel: /invite"},
	{"is_archived", E_GONE, false, false, "the channel is archived"},
	{"internal_error", E_TEMP, false, true, ""},
	{"fatal_error", E_TEMP, false, true, ""},
	{"service_unavailable", E_TEMP, false, true, ""},
	{"request_timeout", E_TEMP, false, true, ""},
	{"team_added_to_org", E_TEMP, false, false, ""},
	{"streaming_state_conflict", E_TEMP, false, false, ""},
	{"ratelimited", E_LIMIT, false, false, ""},
	{"rate_limited", E_LIMIT, false, false, ""},
	{"message_limit_exceeded", E_LIMIT, false, false, ""},
	{"restricted_action", E_PERM, false, false, "the workspace's settings forbid it"},
	{"msg_too_long", E_INVAL, false, false, ""},
};

enum err_code slack_error_code(const char *word, bool *dead_token, bool *unsure)
{
	*dead_token = *unsure = false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!streq(words[i].word, word))
			continue;
		*dead_token = words[i].dead_token;
		*unsure = words[i].unsure;
		return words[i].code;
	}
	return E_INVAL;
}

void slack_error_text(struct err *e, enum slack_method m, const char *word, const char *needed)
{
	bool dead, unsure;
	const char *fix = "";

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (streq(words[i].word, word))
			fix = words[i].fix;
	}
	err_set(e, slack_error_code(word, &dead, &unsure), "Slack: %s: %.60s%s%.60s%s%s%s",
		methods[m].name, word, needed ? " (" : "", needed ? needed : "", needed ? ")" : "",
		*fix ? ": " : "", fix);
}

/* --- a call -------------------------------------------------------------------------------------- */

static void call_free(struct slack_call *k)
{
	LIST_REMOVE(k, link);
	timer_free(k->late);
	buf_free(&k->form);
	buf_free(&k->body);
	free(k);
}

static void call_tell(struct slack_call *k, const struct slack_reply *r)
{
	slack_reply_fn *fn = k->fn;
	void *ctx = k->ctx;
	const struct slack_reply copy = *r;

	if (copy.why.code)
		log_debug("slack", "call failed", "method=%s status=%d unsure=%d err=\"%s\"",
			  methods[k->m].name, k->status, copy.unsure, copy.why.msg);
	call_free(k);
	fn(ctx, &copy);
}

static void on_late(void *ctx)
{
	struct slack_call *k = ctx;

	call_tell(k, &k->known);
}

static size_t on_send(void *ctx, uint8_t *p, size_t cap)
{
	struct slack_call *k = ctx;
	size_t n = k->form.len - k->taken;

	k->left = true;
	if (n > cap)
		n = cap;
	if (n)
		memcpy(p, k->form.p + k->taken, n);
	k->taken += n;
	return n;
}

static void on_head(void *ctx, int status, const struct http_header *h, size_t n)
{
	struct slack_call *k = ctx;
	struct err e = ERR_INIT;

	k->status = status;
	k->retry_ms = LIMIT_MS;
	for (size_t i = 0; i < n; i++) {
		if (streq(h[i].name, "retry-after") &&
		    str_to_i64(h[i].value, 0, INT32_MAX, &k->retry_ms, &e) == 0)
			k->retry_ms =
				k->retry_ms > LIMIT_MOST / 1000 ? LIMIT_MOST : k->retry_ms * 1000;
	}
}

static bool on_body(void *ctx, const uint8_t *p, size_t n)
{
	struct slack_call *k = ctx;
	struct slack_reply r = {.error = "", .unsure = methods[k->m].writes};
	struct err e = ERR_INIT;

	if (buf_add(&k->body, p, n, &e) == 0)
		return true;
	err_set(&r.why, E_TEMP, "Slack: %s: an answer of more than %zu bytes", methods[k->m].name,
		ANSWER_MAX);
	http_cancel(k->http);
	call_tell(k, &r);
	return false;
}

/* 200 with ok:false, or 429. */
static void read_refusal(struct slack_call *k, struct slack_reply *r)
{
	const char *word = json_peek_str(r->json, "error");

	if (k->status == 429)
		word = "ratelimited";
	r->error = word ? word : "an error without a name";
	slack_error_text(&r->why, k->m, r->error, json_peek_str(r->json, "needed"));
	slack_error_code(r->error, &r->dead_token, &r->unsure);
	r->unsure = r->unsure && methods[k->m].writes;
	if (r->why.code == E_LIMIT) {
		r->retry_ms = k->retry_ms;
		k->s->blocked[k->m] = loop_now(k->s->loop) + k->retry_ms;
	}
}

static void on_done(void *ctx, const struct err *why)
{
	struct slack_call *k = ctx;
	struct slack_reply r = {.error = ""};
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;
	bool has_ok;

	k->http = NULL;
	if (!why && k->body.len)
		j = json_parse(k->body.p, k->body.len, ANSWER_MAX, &e);
	r.json = j;
	has_ok = cJSON_IsBool(json_find(j, "ok"));
	if (why) {
		/* Also a certificate that does not hold: whoever is in the way may go away. */
		err_set(&r.why, E_TEMP, "Slack: %s: %.180s", methods[k->m].name, why->msg);
		r.unsure = k->left && methods[k->m].writes;
	} else if (k->status == 429) {
		read_refusal(k, &r);
	} else if (k->status == 200 && cJSON_IsTrue(json_find(j, "ok"))) {
		k->s->blocked[k->m] = 0;
	} else if (has_ok && cJSON_IsFalse(json_find(j, "ok")) && k->status < 500) {
		read_refusal(k, &r);
	} else {
		err_set(&r.why, E_TEMP, "Slack: %s: HTTP %d%s", methods[k->m].name, k->status,
			k->status == 200 ? " with an answer that is none" : "");
		r.unsure = methods[k->m].writes;
	}
	call_tell(k, &r);
}

static const struct http_events call_events = {
	.head = on_head,
	.body = on_body,
	.send = on_send,
	.done = on_done,
};

static int call_start(struct slack_call *k, struct err *e)
{
	struct slack *s = k->s;
	const struct secret *token = methods[k->m].app ? &s->app : &s->bot;
	_cleanup_free_ char *url = xasprintf("%s/%s", s->api_url, methods[k->m].name);
	_cleanup_bearer_ char *bearer = slack_bearer(token);
	const struct http_header h[] = {
		{"Authorization", bearer},
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"User-Agent", "chela"},
	};
	const struct http_spec spec = {
		.method = "POST",
		.url = url,
		.headers = h,
		.n_headers = ARRAY_LEN(h),
		.stream_body = true,
		.stream_len = (int64_t)k->form.len,
		.total_ms = TOTAL_MS,
	};

	k->http = http_start(s->http, &spec, &call_events, k, e);
	return k->http ? 0 : -1;
}

struct slack_call *slack_call(struct slack *s, enum slack_method m, struct buf *form,
			      slack_reply_fn *fn, void *ctx)
{
	struct slack_call *k = xcalloc(1, sizeof(*k));
	int64_t now = loop_now(s->loop);

	*k = (struct slack_call){.s = s, .m = m, .fn = fn, .ctx = ctx};
	LIST_INSERT_HEAD(&s->calls, k, link);
	k->form = *form;
	*form = (struct buf){0};
	buf_init(&k->body, ANSWER_MAX);
	k->known.error = "";
	if (s->blocked[m] > now) {
		k->known.error = "ratelimited";
		k->known.retry_ms = s->blocked[m] - now;
		slack_error_text(&k->known.why, m, "ratelimited", NULL);
	} else if (call_start(k, &k->known.why) == 0) {
		return k;
	}
	k->late = timer_new(s->loop, "slack call", on_late, k);
	timer_start(k->late, 0, 0);
	return k;
}

void slack_call_cancel(struct slack_call **call)
{
	struct slack_call *k = steal_ptr(call);

	if (!k)
		return;
	if (k->http)
		http_cancel(k->http);
	call_free(k);
}

void slack_api_close(struct slack *s)
{
	while (!LIST_EMPTY(&s->calls)) {
		struct slack_call *k = LIST_FIRST(&s->calls);

		slack_call_cancel(&k);
	}
}
