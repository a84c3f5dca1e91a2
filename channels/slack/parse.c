// SPDX-License-Identifier: Apache-2.0
/*
 * Frames of Socket Mode: what they are, and which event of the core they hold (event.c reads the messages). Pure: bytes in, one
 * struct out. It exists apart from the connection so that it can be fuzzed. What it does not know is no error: Slack adds types, and
 * an envelope that is not understood must be acknowledged all the same, or it comes again.
 * (https://docs.slack.dev/apis/events-api/using-socket-mode)
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/str.h"
#include "channels/slack/event.h"

#define FRAME_MAX ((size_t)2 << 20)

void slack_event_free(struct slack_event *ev)
{
	for (size_t i = 0; i < ev->n_files; i++)
		free((char *)ev->files[i].ref);
	free(ev->files);
	cJSON_Delete(ev->root);
	*ev = (struct slack_event){0};
}

bool slack_is_id(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");

	return n && n < SLACK_ID && !s[n];
}

bool slack_is_ts(const char *s)
{
	static const char digits[] = "0123456789";
	size_t a = strspn(s, digits), b = s[a] == '.' ? strspn(s + a + 1, digits) : 0;

	return a && a <= 12 && b && a + 1 + b < SLACK_TS && !s[a + 1 + b];
}

int64_t slack_ts_ms(const char *s)
{
	int64_t ms = 0;
	int frac = 0;

	if (!slack_is_ts(s))
		return 0;
	for (; *s != '.'; s++)
		ms = ms * 10 + (*s - '0');
	for (s++; frac < 3; frac++)
		ms = ms * 10 + (*s ? *s++ - '0' : 0);
	return ms;
}

/* A method of the Web API, which would be called with our token by whoever named the address. Dots, however they are written, could lead to one. */
static bool is_method(const char *path)
{
	return !strncasecmp(path, "/api/", 5) || !isalnum((unsigned char)path[1]) ||
	       strstr(path, "/..") || strcasestr(path, "%2e");
}

bool slack_url_ok(const char *url, const char *origin)
{
	static const char *const ours[] = {"slack.com", "slack-edge.com", "slack-files.com"};
	size_t o = strlen(origin), n;
	const char *host = url + 8;

	if (strpbrk(url, "\\ \"<>") || strlen(url) > 1900)
		return false;
	if (o && strncmp(url, origin, o) == 0 && url[o] == '/')
		return !is_method(url + o);
	if (!str_starts(url, "https://"))
		return false;
	n = strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-");
	if (host[n] != '/' || is_method(host + n))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
		size_t len = strlen(ours[i]);

		if (n == len && memcmp(host, ours[i], n) == 0)
			return true;
		if (n > len + 1 && host[n - len - 1] == '.' &&
		    memcmp(host + n - len, ours[i], len) == 0)
			return true;
	}
	return false;
}

static bool copy_id(char dst[SLACK_ID], const char *id)
{
	return id && slack_is_id(id) && str_copy(dst, SLACK_ID, id);
}

/* A slash command: a message that is for us. It has no ts: its trigger is what a repeat has in common. */
static void from_command(struct slack_event *ev)
{
	const cJSON *p = json_find(ev->root, "payload");
	const char *cmd = json_text(p, "command"), *args = json_text(p, "text");
	const char *trigger = json_peek_str(p, "trigger_id");
	_cleanup_free_ char *line = NULL;
	cJSON *whole;

	if (!copy_id(ev->chat, json_peek_str(p, "channel_id")) ||
	    !copy_id(ev->user, json_peek_str(p, "user_id")) || !*cmd || strlen(cmd) > 100 ||
	    strlen(args) > SLACK_RAW)
		return;
	if (!trigger || !*trigger || strlen(trigger) > 100)
		trigger = json_peek_str(ev->root, "envelope_id");
	snprintf(ev->id, sizeof(ev->id), "cmd/%s", trigger ? trigger : "");
	line = xasprintf("%s%s%s", cmd, *args ? " " : "", args);
	whole = cJSON_AddStringToObject(ev->root, "line", line);
	if (!whole)
		die("out of memory");
	ev->raw = whole->valuestring;
	ev->direct = ev->chat[0] == 'D';
	ev->addressed = true;
	ev->use = true;
}

/* A press on one of our buttons. */
static void from_action(struct slack_event *ev)
{
	const cJSON *p = json_find(ev->root, "payload");
	const char *ts = json_peek_str(p, "container.message_ts");
	const char *chat = json_peek_str(p, "container.channel_id");
	const char *value = json_peek_str(p, "actions.0.value");
	const char *when = json_peek_str(p, "actions.0.action_ts");
	const char *thread = json_peek_str(p, "message.thread_ts");

	if (!streq(json_text(p, "type"), "block_actions") || !value)
		return;
	if (!ts)
		ts = json_peek_str(p, "message.ts");
	if (!chat)
		chat = json_peek_str(p, "channel.id");
	if (!thread)
		thread = json_peek_str(p, "container.thread_ts");
	if (!ts || !slack_is_ts(ts) || !when || !slack_is_ts(when) || !copy_id(ev->chat, chat) ||
	    !copy_id(ev->user, json_peek_str(p, "user.id")))
		return;
	ev->kind = INBOUND_PRESS;
	ev->direct = ev->chat[0] == 'D';
	if (thread && slack_is_ts(thread) && !(ev->direct && streq(thread, ts)))
		str_copy(ev->thread, sizeof(ev->thread), thread);
	str_copy(ev->target, sizeof(ev->target), ts);
	snprintf(ev->id, sizeof(ev->id), "%s/p%s", ts, when);
	ev->raw = value;
	ev->sent_ms = slack_ts_ms(when);
	ev->addressed = true;
	ev->use = true;
}

static void from_envelope(struct slack_event *ev, const char *type, const struct slack_self *self)
{
	ev->raw = ev->quote = ev->user_name = "";
	if (streq(type, "slash_commands"))
		from_command(ev);
	else if (streq(type, "interactive"))
		from_action(ev);
	else if (streq(type, "events_api"))
		slack_event_read(ev, json_find(ev->root, "payload.event"), self);
}

int slack_frame_parse(const char *p, size_t n, const struct slack_self *self,
		      struct slack_frame *out, struct err *e)
{
	_cleanup_json_ cJSON *j = json_parse(p, n, FRAME_MAX, e);
	const char *type, *id, *reason;

	if (!j || json_str(j, "type", &type, e) < 0)
		return -1;
	*out = (struct slack_frame){.type = SLACK_FRAME_OTHER};
	if (streq(type, "hello")) {
		out->type = SLACK_FRAME_HELLO;
		out->num_connections = json_peek_i64(j, "num_connections", 0);
		return 0;
	}
	if (streq(type, "disconnect")) {
		out->type = SLACK_FRAME_DISCONNECT;
		reason = json_text(j, "reason");
		out->reason = streq(reason, "link_disabled")	     ? SLACK_LINK_DISABLED
			      : streq(reason, "too_many_websockets") ? SLACK_TOO_MANY
								     : SLACK_REFRESH;
		return 0;
	}
	id = json_peek_str(j, "envelope_id");
	if (!id)
		return 0;
	if (!*id || !str_copy(out->envelope, sizeof(out->envelope), id))
		return err_set(e, E_PROTO, "an envelope's id has %zu bytes", strlen(id));
	out->type = SLACK_FRAME_ENVELOPE;
	out->ev.root = steal_ptr(&j);
	from_envelope(&out->ev, type, self);
	return 0;
}
