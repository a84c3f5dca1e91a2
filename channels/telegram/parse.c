// SPDX-License-Identifier: Apache-2.0
/*
 * One update of getUpdates (core.telegram.org/bots/api#update) to one thing of the contract. Pure, fuzzed: nothing here knows a
 * socket. It must never lose a message that a person wrote because a part of it is new to us: unknown members are passed over.
 */
#include "base/str.h"
#include "channels/telegram/telegram.h"

/* What a message may carry as a file, in order of preference: an animation is there a second time as document. */
static const struct media {
	const char *key, *word, *name, *mime;
} media[] = {
	{"photo", "photo", "photo.jpg", "image/jpeg"},
	{"voice", "voice message", "voice.ogg", "audio/ogg"},
	{"audio", "audio", "audio.mp3", "audio/mpeg"},
	{"video", "video", "video.mp4", "video/mp4"},
	{"video_note", "video message", "video_note.mp4", "video/mp4"},
	{"animation", "animation", "animation.mp4", "video/mp4"},
	{"sticker", "sticker", "sticker.webp", "image/webp"},
	{"document", "document", "document", ""},
};

void tg_id_text(char out[TG_ID_CAP], const cJSON *j, const char *path)
{
	int64_t id = json_peek_i64(j, path, 0);

	out[0] = '\0';
	if (id)
		snprintf(out, TG_ID_CAP, "%lld", (long long)id);
}

static const char *text_of(struct buf *b)
{
	buf_put(b, "", 0); /* never NULL */
	return b->p;
}

static void put_name(struct buf *out, const cJSON *user)
{
	const char *first = json_text(user, "first_name"), *last = json_text(user, "last_name");

	if (*first || *last)
		buf_putf(out, "%s%s%s", first, *first && *last ? " " : "", last);
	else
		buf_puts(out, *json_text(user, "title") ? json_text(user, "title")
							: json_text(user, "username"));
}

/* --- what it says -------------------------------------------------------------------------- */

static const struct media *media_of(const cJSON *m)
{
	for (size_t i = 0; i < ARRAY_LEN(media); i++)
		if (json_find(m, media[i].key))
			return &media[i];
	return NULL;
}

/* Words for what is no text: "[location 1.5, 2]". */
static void put_words(struct buf *out, const cJSON *m)
{
	const struct media *kind = media_of(m);
	const cJSON *j;

	if (kind && streq(kind->key, "sticker"))
		buf_putf(out, "[sticker %s]", json_text(m, "sticker.emoji"));
	else if (kind)
		buf_putf(out, "[%s]", kind->word);
	else if ((j = json_find(m, "venue")))
		buf_putf(out, "[place: %s, %s]", json_text(j, "title"), json_text(j, "address"));
	else if ((j = json_find(m, "location")))
		buf_putf(out, "[location %.6f, %.6f]",
			 cJSON_GetNumberValue(json_find(j, "latitude")),
			 cJSON_GetNumberValue(json_find(j, "longitude")));
	else if ((j = json_find(m, "contact")))
		buf_putf(out, "[contact: %s %s, %s]", json_text(j, "first_name"),
			 json_text(j, "last_name"), json_text(j, "phone_number"));
	else if ((j = json_find(m, "poll"))) {
		const cJSON *o;

		buf_putf(out, "[poll: %s", json_text(j, "question"));
		cJSON_ArrayForEach(o, json_find(j, "options"))
			buf_putf(out, " | %s", json_text(o, "text"));
		buf_puts(out, "]");
	} else if ((j = json_find(m, "dice"))) {
		buf_putf(out, "[dice %s: %lld]", json_text(j, "emoji"),
			 (long long)json_peek_i64(j, "value", 0));
	} else if (json_find(m, "story")) {
		buf_puts(out, "[story]");
	}
}

static void put_text(struct buf *out, const cJSON *m, const struct tg_me *me,
		     struct tg_marks *marks)
{
	const char *text = json_peek_str(m, "text");

	if (text)
		tg_text(out, text, json_find(m, "entities"), me, marks);
	else if ((text = json_peek_str(m, "caption")))
		tg_text(out, text, json_find(m, "caption_entities"), me, marks);
}

static void put_origin(struct buf *out, const cJSON *m)
{
	const cJSON *o = json_find(m, "forward_origin"), *who;

	buf_puts(out, "[forwarded from ");
	who = json_find(o, "sender_user");
	who = who ? who : json_find(o, "sender_chat");
	who = who ? who : json_find(o, "chat");
	if (who)
		put_name(out, who);
	else
		buf_puts(out, *json_text(o, "sender_user_name") ? json_text(o, "sender_user_name")
								: "somebody");
	buf_puts(out, "]\n");
}

/* The largest picture of a photo, or the thing itself. */
static const cJSON *file_of(const cJSON *m, const struct media *kind)
{
	const cJSON *j = json_find(m, kind->key), *size, *best = NULL;
	double most = -1;

	if (!cJSON_IsArray(j))
		return j;
	cJSON_ArrayForEach(size, j)
	{
		double area = (double)json_peek_i64(size, "width", 0) *
			      (double)json_peek_i64(size, "height", 0);

		if (area > most) {
			most = area;
			best = size;
		}
	}
	return best;
}

static void take_file(struct tg_update *o, const cJSON *m)
{
	const struct media *kind = media_of(m);
	const cJSON *j = kind ? file_of(m, kind) : NULL;
	bool moves =
		cJSON_IsTrue(json_find(j, "is_animated")) || cJSON_IsTrue(json_find(j, "is_video"));
	const char *ref = json_text(j, "file_id");

	/* a moving sticker is shown by no viewer: its words say enough */
	if (!*ref || strlen(ref) > 1000 || (kind && streq(kind->key, "sticker") && moves))
		return;
	o->file = (struct inbound_file){
		.name = *json_text(j, "file_name") ? json_text(j, "file_name") : kind->name,
		.mime = *json_text(j, "mime_type") ? json_text(j, "mime_type") : kind->mime,
		.size = json_peek_i64(j, "file_size", -1),
		.ref = ref,
		.voice = streq(kind->key, "voice"),
	};
	if (o->file.size < 0)
		o->file.size = -1;
	o->in.files = &o->file;
	o->in.n_files = 1;
}

/* --- who and where ------------------------------------------------------------------------- */

/* Where the message m is, and its own id. */
static int take_chat(struct tg_update *o, const cJSON *m, int64_t *id, struct err *e)
{
	const cJSON *chat = json_find(m, "chat");
	int64_t n;

	if (json_i64(m, "chat.id", &n, e) < 0 || json_i64(m, "message_id", id, e) < 0)
		return -1;
	if (!n || *id <= 0)
		return err_set(e, E_PROTO, "an id out of range");
	tg_id_text(o->chat, chat, "id");
	o->in.chat = o->chat;
	o->in.direct = streq(json_text(chat, "type"), "private");
	put_name(&o->title, chat);
	o->in.chat_title = text_of(&o->title);
	o->in.thread = o->in.target = o->in.quote = o->in.sender_alt = o->in.text = "";
	return 0;
}

/* A chat that speaks for itself (an anonymous admin, a linked channel) is its own sender. */
static void take_sender(struct tg_update *o, const cJSON *who, const cJSON *chat)
{
	if (chat)
		who = chat;
	tg_id_text(o->sender, who, "id");
	put_name(&o->name, who);
	o->in.sender = o->sender[0] ? o->sender : o->chat;
	o->in.sender_name = o->name.len ? text_of(&o->name) : o->in.sender;
}

/* Only a topic's id counts: the same member names mere reply chains elsewhere. */
static void take_thread(struct tg_update *o, const cJSON *m)
{
	if (cJSON_IsTrue(json_find(m, "is_topic_message")))
		tg_id_text(o->thread, m, "message_thread_id");
	o->in.thread = o->thread;
}

/* What it replies to; true when that is ours. */
static bool take_reply(struct tg_update *o, const cJSON *m, const struct tg_me *me)
{
	const cJSON *r = json_find(m, "reply_to_message");
	const char *part = json_peek_str(m, "quote.text");
	struct tg_marks marks = {0};

	/* each message of a topic "replies" to the one that made the topic */
	if (r && json_find(r, "forum_topic_created"))
		r = NULL;
	if (part)
		buf_puts(&o->quote, part);
	else if (r) {
		put_text(&o->quote, r, me, &marks);
		if (!o->quote.len)
			put_words(&o->quote, r);
	}
	o->in.quote = text_of(&o->quote);
	if (r)
		tg_id_text(o->target, r, "message_id");
	o->in.target = o->target;
	return r && me->id && json_peek_i64(r, "from.id", 0) == me->id;
}

/* --- kinds of updates ---------------------------------------------------------------------- */

static bool moved(struct tg_update *o, const cJSON *m)
{
	int64_t to = json_peek_i64(m, "migrate_to_chat_id", 0);
	int64_t from = json_peek_i64(m, "migrate_from_chat_id", 0);

	if (!to && !from)
		return false;
	tg_id_text(o->moved_to, m, to ? "migrate_to_chat_id" : "chat.id");
	if (from)
		tg_id_text(o->chat, m, "migrate_from_chat_id");
	o->kind = TG_MOVED;
	return true;
}

/* What another bot says is heard, and no more: two could talk each other to death. (An anonymous admin or a channel speaks by a bot's id, too.) */
static bool is_other_bot(const cJSON *m)
{
	return cJSON_IsTrue(json_find(m, "from.is_bot")) && !json_find(m, "sender_chat");
}

static int read_message(struct tg_update *o, const cJSON *m, const struct tg_me *me, bool edit,
			struct err *e)
{
	struct tg_marks marks = {0};
	int64_t id, date;
	bool reply;

	if (take_chat(o, m, &id, e) < 0 ||
	    json_i64_opt(m, edit ? "edit_date" : "date", 0, &date, e) < 0)
		return -1;
	if (moved(o, m) || (me->id && json_peek_i64(m, "from.id", 0) == me->id))
		return 0;
	take_sender(o, json_find(m, "from"), json_find(m, "sender_chat"));
	take_thread(o, m);
	reply = take_reply(o, m, me);
	o->in.forwarded = json_find(m, "forward_origin") || json_find(m, "forward_date");
	if (o->in.forwarded)
		put_origin(&o->text, m);
	put_text(&o->text, m, me, &marks);
	if (!edit)
		take_file(o, m);
	if (!json_find(m, "text") && !json_find(m, "caption") &&
	    (!o->in.n_files || json_find(m, "sticker")))
		put_words(&o->text, m);
	/* a service message, or what is new to us; a live location "edits" itself for hours */
	if ((!o->text.len && !o->in.n_files) || (edit && json_find(m, "location")))
		return 0;
	o->in.text = text_of(&o->text);
	o->in.text_len = o->text.len;
	o->in.sent_ms = date > 0 && date < INT64_MAX / 1000 ? date * 1000 : 0;
	o->in.addressed = !marks.foreign && !is_other_bot(m) &&
			  (o->in.direct || marks.command || marks.mention || reply);
	if (edit) {
		o->in.kind = INBOUND_EDIT;
		snprintf(o->target, sizeof(o->target), "%lld", (long long)id);
		o->in.target = o->target;
		/* two edits may fall into one second */
		snprintf(o->mid, sizeof(o->mid), "%lld/e%lld.%lld", (long long)id, (long long)date,
			 (long long)o->id);
	} else {
		snprintf(o->mid, sizeof(o->mid), "%lld", (long long)id);
	}
	o->in.id = o->mid;
	o->kind = TG_INBOUND;
	return 0;
}

static int read_press(struct tg_update *o, const cJSON *q, struct err *e)
{
	const cJSON *m = json_find(q, "message");
	const char *data = json_peek_str(q, "data");
	int64_t id;

	if (json_str(q, "id", &o->press, e) < 0)
		return -1;
	if (!m || !data)
		return 0; /* not of a message of ours */
	if (take_chat(o, m, &id, e) < 0)
		return -1;
	take_sender(o, json_find(q, "from"), NULL);
	take_thread(o, m);
	tg_id_text(o->target, m, "message_id");
	snprintf(o->mid, sizeof(o->mid), "%s/p%.100s", o->target, o->press);
	o->in.kind = INBOUND_PRESS;
	o->in.id = o->mid;
	o->in.target = o->target;
	o->in.text = data;
	o->in.text_len = strlen(data);
	o->in.addressed = true;
	o->kind = TG_INBOUND;
	return 0;
}

static const char *reaction_word(const cJSON *r)
{
	if (json_peek_str(r, "emoji"))
		return json_peek_str(r, "emoji");
	return streq(json_text(r, "type"), "paid") ? "⭐" : ":custom_emoji:";
}

static bool reacted_before(const cJSON *old, const cJSON *r)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, old)
	{
		if (streq(reaction_word(o), reaction_word(r)) &&
		    streq(json_text(o, "custom_emoji_id"), json_text(r, "custom_emoji_id")))
			return true;
	}
	return false;
}

static int read_reaction(struct tg_update *o, const cJSON *m, const struct tg_me *me, struct err *e)
{
	const cJSON *old, *now, *r;
	int64_t id, date;

	if (take_chat(o, m, &id, e) < 0 || json_i64_opt(m, "date", 0, &date, e) < 0 ||
	    json_arr(m, "old_reaction", &old, e) < 0 || json_arr(m, "new_reaction", &now, e) < 0)
		return -1;
	if (me->id && json_peek_i64(m, "user.id", 0) == me->id)
		return 0;
	take_sender(o, json_find(m, "user"), json_find(m, "actor_chat"));
	cJSON_ArrayForEach(r, now)
	{
		if (o->in.text_len || (cJSON_GetArraySize(old) && reacted_before(old, r)))
			continue;
		o->in.text = reaction_word(r);
		o->in.text_len = strlen(o->in.text);
	}
	tg_id_text(o->target, m, "message_id");
	snprintf(o->mid, sizeof(o->mid), "%s/r%s/%lld.%lld", o->target, o->in.sender,
		 (long long)date, (long long)o->id);
	o->in.kind = INBOUND_REACTION;
	o->in.id = o->mid;
	o->in.target = o->target;
	o->in.sent_ms = date > 0 && date < INT64_MAX / 1000 ? date * 1000 : 0;
	o->in.addressed = o->in.direct;
	o->kind = TG_INBOUND;
	return 0;
}

int tg_parse_update(const cJSON *u, const struct tg_me *me, struct tg_update *o, struct err *e)
{
	const cJSON *j;

	*o = (struct tg_update){.id = -1};
	if (json_i64(u, "update_id", &o->id, e) < 0)
		return -1;
	if (o->id < 0 || o->id >= INT64_C(1) << 52) {
		o->id = -1;
		return err_set(e, E_PROTO, "an update_id out of range");
	}
	if ((j = json_find(u, "message")))
		return read_message(o, j, me, false, e);
	if ((j = json_find(u, "edited_message")))
		return read_message(o, j, me, true, e);
	if ((j = json_find(u, "callback_query")))
		return read_press(o, j, e);
	if ((j = json_find(u, "message_reaction")))
		return read_reaction(o, j, me, e);
	return 0;
}

void tg_update_free(struct tg_update *o)
{
	buf_free(&o->text);
	buf_free(&o->name);
	buf_free(&o->title);
	buf_free(&o->quote);
}

int tg_parse_me(const cJSON *result, struct tg_me *me, struct err *e)
{
	struct tg_me m = {0};
	const char *name;

	if (json_i64(result, "id", &m.id, e) < 0 || json_str(result, "username", &name, e) < 0 ||
	    json_bool_opt(result, "can_read_all_group_messages", false, &m.reads_all, e) < 0)
		return -1;
	if (!str_copy(m.name, sizeof(m.name), name) || !m.name[0])
		return err_set(e, E_PROTO, "the bot's name is %s", name[0] ? "too long" : "empty");
	*me = m;
	return 0;
}
