// SPDX-License-Identifier: Apache-2.0
/*
 * Messages, edits, deletions and reactions of Slack as the core's events, live or from the history. Our own messages are nobody's
 * business here: they would be answered. Another bot's message is kept as context and never counts as addressed to us, so that
 * two bots cannot talk each other to death.
 * (https://docs.slack.dev/reference/events/message)
 */
#include "channels/slack/event.h"
#include <string.h>
#include "base/str.h"

#define FILES_MAX 20

static bool is_own(const cJSON *msg, const struct slack_self *self)
{
	const char *user = json_text(msg, "user"), *bot = json_text(msg, "bot_id");

	return (*self->user && streq(user, self->user)) || (*self->bot && streq(bot, self->bot));
}

static void read_file(struct slack_event *ev, const cJSON *f)
{
	const char *id = json_text(f, "id"), *mode = json_text(f, "mode");
	const char *url = json_text(f, "url_private_download");
	const char *mime = json_text(f, "mimetype");
	int64_t size = json_peek_i64(f, "size", -1);
	struct buf ref = {0};

	/* Taken back, beyond the workspace's plan, or a mere link to somewhere else. */
	if (!slack_is_id(id) || streq(mode, "tombstone") || streq(mode, "hidden_by_limit") ||
	    streq(mode, "external"))
		return;
	if (!*url)
		url = json_text(f, "url_private");
	if (strlen(url) > 1500)
		return;
	buf_puts(&ref, "{\"url\":");
	json_put_str(&ref, url, strlen(url));
	buf_putf(&ref, ",\"id\":\"%s\",\"size\":%lld}", id, (long long)size);
	if (ref.len > 2000) { /* a URL full of what JSON escapes: none of Slack's */
		buf_free(&ref);
		return;
	}
	ev->files[ev->n_files++] = (struct inbound_file){
		.name = json_text(f, "name"),
		.mime = mime,
		.size = size < 0 ? -1 : size,
		.ref = buf_steal(&ref),
		.voice = streq(json_text(f, "subtype"), "slack_audio"),
	};
}

static void read_files(struct slack_event *ev, const cJSON *msg)
{
	const cJSON *list = json_find(msg, "files"), *f;

	if (!cJSON_IsArray(list) || !list->child)
		return;
	ev->files = xcalloc(FILES_MAX, sizeof(*ev->files));
	cJSON_ArrayForEach(f, list)
	{
		if (ev->n_files < FILES_MAX)
			read_file(ev, f);
	}
}

/* Where the answer goes: see the top of slack.h. */
static void set_thread(struct slack_event *ev, const cJSON *msg, const char *ts)
{
	const char *thread = json_text(msg, "thread_ts");

	if (!slack_is_ts(thread) || (ev->direct && streq(thread, ts)))
		thread = ev->direct ? "" : ts;
	str_copy(ev->thread, sizeof(ev->thread), thread);
}

/* Chat, sender and text of a message; false when they are not all there. */
static bool read_common(struct slack_event *ev, const cJSON *msg, const char *ts)
{
	const char *user = json_text(msg, "user");

	if (!slack_is_ts(ts))
		return false;
	if (!*user)
		user = json_text(msg, "bot_id");
	if (!slack_is_id(user))
		return false;
	str_copy(ev->user, sizeof(ev->user), user);
	if (user[0] == 'B')
		ev->user_name = json_text(msg, "username");
	ev->raw = json_text(msg, "text");
	ev->sent_ms = slack_ts_ms(ts);
	set_thread(ev, msg, ts);
	return true;
}

static void read_message(struct slack_event *ev, const cJSON *msg, const struct slack_self *self,
			 bool mention)
{
	static const char *const kinds[] = {"", "file_share", "thread_broadcast", "me_message",
					    "bot_message"};
	const char *subtype = json_text(msg, "subtype"), *ts = json_text(msg, "ts");
	const char *root = json_text(msg, "thread_ts");
	const cJSON *shared = json_find(msg, "attachments.0");
	bool known = false, share = false;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		known |= streq(subtype, kinds[i]);
	if (!known || is_own(msg, self) || !read_common(ev, msg, ts))
		return;
	ev->kind = INBOUND_MESSAGE;
	str_copy(ev->id, sizeof(ev->id), ts);
	if (slack_is_ts(root) && !streq(root, ts))
		str_copy(ev->target, sizeof(ev->target), root);
	read_files(ev, msg);
	share = cJSON_IsTrue(json_find(shared, "is_share")) ||
		cJSON_IsTrue(json_find(shared, "is_msg_unfurl"));
	if (share)
		ev->quote = json_text(shared, "text");
	if (!*ev->raw && !ev->n_files) { /* shared without a word */
		ev->raw = ev->quote;
		ev->quote = "";
		ev->forwarded = *ev->raw;
	}
	if (!*json_text(msg, "bot_id"))
		ev->addressed =
			mention || ev->direct || slack_text_mentions(ev->raw, self->user) ||
			(*self->user && streq(json_text(msg, "parent_user_id"), self->user));
	ev->use = *ev->raw || ev->n_files;
}

static void read_deleted(struct slack_event *ev, const cJSON *old, const char *ts,
			 const struct slack_self *self)
{
	if (is_own(old, self) || !slack_is_ts(ts))
		return;
	if (!read_common(ev, old, ts))
		str_copy(ev->user, sizeof(ev->user), "UNKNOWN");
	ev->kind = INBOUND_DELETE;
	ev->raw = "";
	str_copy(ev->target, sizeof(ev->target), ts);
	snprintf(ev->id, sizeof(ev->id), "%s/d", ts);
	ev->use = true;
}

/* message_changed also comes when a link was unfurled or a thread grew: those changed no word. */
static void read_changed(struct slack_event *ev, const cJSON *event, const struct slack_self *self)
{
	const cJSON *msg = json_find(event, "message"), *old = json_find(event, "previous_message");
	const char *edited = json_text(msg, "edited.ts"), *ts = json_text(msg, "ts");

	if (streq(json_text(msg, "subtype"), "tombstone")) {
		read_deleted(ev, old, ts, self);
		return;
	}
	if (!slack_is_ts(edited) || is_own(msg, self) ||
	    streq(edited, json_text(old, "edited.ts")) || !read_common(ev, msg, ts))
		return;
	ev->kind = INBOUND_EDIT;
	str_copy(ev->target, sizeof(ev->target), ts);
	snprintf(ev->id, sizeof(ev->id), "%s/e%s", ts, edited);
	ev->sent_ms = slack_ts_ms(edited);
	ev->addressed = ev->direct || slack_text_mentions(ev->raw, self->user);
	ev->use = true;
}

static void read_reaction(struct slack_event *ev, const cJSON *event, const struct slack_self *self,
			  bool added)
{
	const char *ts = json_text(event, "item.ts"), *when = json_text(event, "event_ts");
	const char *user = json_text(event, "user"), *name = json_text(event, "reaction");

	if (!streq(json_text(event, "item.type"), "message") || !slack_is_ts(ts) ||
	    !slack_is_ts(when) || !slack_is_id(user) || streq(user, self->user) || !*name)
		return;
	ev->kind = INBOUND_REACTION;
	str_copy(ev->user, sizeof(ev->user), user);
	str_copy(ev->target, sizeof(ev->target), ts);
	snprintf(ev->id, sizeof(ev->id), "%s/r%s", ts, when);
	ev->raw = added ? name : "";
	ev->sent_ms = slack_ts_ms(when);
	ev->addressed = *self->user && streq(json_text(event, "item_user"), self->user);
	ev->use = true;
}

void slack_event_read(struct slack_event *ev, const cJSON *event, const struct slack_self *self)
{
	const char *type = json_text(event, "type");
	const char *subtype = json_text(event, "subtype");
	bool added = streq(type, "reaction_added");
	const char *chat = json_peek_str(event, "channel");

	if (!chat)
		chat = json_text(event, "item.channel");
	if (!slack_is_id(chat))
		return;
	str_copy(ev->chat, sizeof(ev->chat), chat);
	ev->direct = chat[0] == 'D' || streq(json_text(event, "channel_type"), "im");
	if (added || streq(type, "reaction_removed"))
		read_reaction(ev, event, self, added);
	else if (streq(type, "app_mention"))
		read_message(ev, event, self, true);
	else if (!streq(type, "message"))
		return;
	else if (streq(subtype, "message_changed"))
		read_changed(ev, event, self);
	else if (streq(subtype, "message_deleted"))
		read_deleted(ev, json_find(event, "previous_message"),
			     json_text(event, "deleted_ts"), self);
	else
		read_message(ev, event, self, false);
}

void slack_message_parse(cJSON *msg, const char *chat, const struct slack_self *self,
			 struct slack_event *ev)
{
	*ev = (struct slack_event){.root = msg, .raw = "", .quote = "", .user_name = ""};
	if (!slack_is_id(chat) || !streq(json_text(msg, "type"), "message"))
		return;
	str_copy(ev->chat, sizeof(ev->chat), chat);
	ev->direct = chat[0] == 'D';
	read_message(ev, msg, self, false);
}
