// SPDX-License-Identifier: Apache-2.0
/*
 * What a frame of the bridge means (PROTOCOL.md §§ 2 to 6): pure, fuzzed. What it does not know it passes over, as the protocol asks;
 * what contradicts the protocol is an error with the member's path. It must never trust a length or an id.
 */
#include <string.h>
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

#define TEXT_MAX ((size_t)256 << 10)

/* --- frames ---------------------------------------------------------------------------------- */

static void parse_fail(const cJSON *error, struct wa_fail *f)
{
	static const struct {
		const char *word;
		enum err_code code;
		bool unsure;
	} codes[] = {
		{"bad_request", E_INVAL, false}, {"not_found", E_INVAL, false},
		{"too_large", E_INVAL, false},	 {"gone", E_GONE, false},
		{"refused", E_PERM, false},	 {"offline", E_TEMP, false},
		{"limited", E_LIMIT, false},	 {"timeout", E_TEMP, true},
		{"internal", E_TEMP, false},
	};
	const char *word = json_peek_str(error, "code"), *text = json_peek_str(error, "text");
	enum err_code code = cJSON_IsTrue(json_find(error, "retryable")) ? E_TEMP : E_INVAL;

	*f = (struct wa_fail){.unsure = cJSON_IsTrue(json_find(error, "unsure"))};
	for (size_t i = 0; word && i < ARRAY_LEN(codes); i++) {
		if (streq(word, codes[i].word)) {
			code = codes[i].code;
			f->unsure |= codes[i].unsure;
		}
	}
	f->retry_ms = json_peek_i64(error, "retry_ms", 0);
	if (f->retry_ms < 0 || f->retry_ms > 86400000)
		f->retry_ms = 0;
	err_set(&f->why, code, "WhatsApp: %.30s: %.180s", word ? word : "no code",
		text ? text : "");
}

static int parse_reply(const cJSON *j, struct wa_frame *f, struct err *e)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(j, "error");

	f->kind = WA_REPLY;
	f->body = j;
	f->ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(j, "ok"));
	if (f->ok == cJSON_IsObject(error))
		return err_set(e, E_PROTO, "a reply is neither ok nor an error, or both");
	if (!f->ok)
		parse_fail(error, &f->fail);
	return json_str(j, "id", &f->id, e);
}

int wa_parse_frame(const cJSON *j, struct wa_frame *f, struct err *e)
{
	const cJSON *o;

	*f = (struct wa_frame){.seq = 0};
	if (!cJSON_IsObject(j))
		return err_set(e, E_PROTO, "a frame is no JSON object");
	if (cJSON_GetObjectItemCaseSensitive(j, "id"))
		return parse_reply(j, f, e);
	if (cJSON_GetObjectItemCaseSensitive(j, "event")) {
		f->kind = WA_EVENT;
		if (json_obj(j, "event", &f->body, e) < 0 ||
		    json_i64_opt(j, "seq", 0, &f->seq, e) < 0)
			return -1;
		return f->seq < 0 ? err_set(e, E_PROTO, "seq is negative") : 0;
	}
	if (cJSON_GetObjectItemCaseSensitive(j, "welcome")) {
		f->kind = WA_WELCOME;
		if (json_obj(j, "welcome", &f->body, e) < 0 ||
		    json_i64(j, "welcome.acked", &f->acked, e) < 0)
			return -1;
		return f->acked < 0 ? err_set(e, E_PROTO, "acked is negative") : 0;
	}
	o = cJSON_GetObjectItemCaseSensitive(j, "error");
	if (!cJSON_IsObject(o))
		return err_set(e, E_PROTO, "a frame of no known form");
	f->kind = WA_REFUSAL;
	f->id = json_text(o, "code");
	parse_fail(o, &f->fail);
	return 0;
}

/* --- states ---------------------------------------------------------------------------------- */

static const char *const sessions[] = {
	"",	    "unlinked", "linking",    "connecting", "up",
	"retrying", "paused",	"logged_out", "conflict",   "forbidden",
};

int wa_parse_state(const cJSON *j, struct wa_state *s, struct err *e)
{
	const char *word, *text;

	if (json_str(j, "state", &word, e) < 0 || json_str_opt(j, "text", "", &text, e) < 0 ||
	    json_i64_opt(j, "retry_ms", 0, &s->retry_ms, e) < 0)
		return -1;
	s->session = WA_UNKNOWN;
	for (size_t i = 1; i < ARRAY_LEN(sessions); i++)
		if (streq(word, sessions[i]))
			s->session = (enum wa_session)i;
	if (s->retry_ms < 0 || s->retry_ms > 86400000)
		s->retry_ms = 0;
	str_one_line(s->text, sizeof(s->text), text);
	if (json_peek_str(j, "me.jid"))
		str_copy(s->me, sizeof(s->me), json_peek_str(j, "me.jid"));
	if (json_peek_str(j, "me.lid"))
		str_copy(s->me_lid, sizeof(s->me_lid), json_peek_str(j, "me.lid"));
	return 0;
}

enum channel_state wa_channel_state(const struct wa_state *s, char *reason, size_t cap)
{
	static const char LINK[] = "; on this machine: chela whatsapp link";
	static const struct {
		enum channel_state st;
		const char *words, *fix;
	} t[] = {
		[WA_UNKNOWN] = {CHANNEL_DOWN, "an unknown state", ""},
		[WA_UNLINKED] = {CHANNEL_STUCK, "no account is linked", LINK},
		[WA_LINKING] = {CHANNEL_STUCK, "an account is being linked", LINK},
		[WA_CONNECTING] = {CHANNEL_DOWN, "connecting to WhatsApp", ""},
		[WA_UP] = {CHANNEL_UP, "", ""},
		[WA_RETRYING] = {CHANNEL_DOWN, "no connection to WhatsApp", ""},
		[WA_PAUSED] = {CHANNEL_DOWN, "the bridge's spool is full", ""},
		[WA_LOGGED_OUT] = {CHANNEL_STUCK, "WhatsApp has logged us out", LINK},
		[WA_CONFLICT] = {CHANNEL_STUCK, "another program uses the same session",
				 "; end that one, then: chela whatsapp link"},
		[WA_FORBIDDEN] = {CHANNEL_STUCK, "WhatsApp refuses the account",
				  "; look at the phone, then: chela whatsapp link"},
	};

	snprintf(reason, cap, "%s%s%s%s%s", t[s->session].words, s->text[0] ? " (" : "", s->text,
		 s->text[0] ? ")" : "", t[s->session].fix);
	return t[s->session].st;
}

/* --- events ---------------------------------------------------------------------------------- */

static int take_jid(const cJSON *j, const char *path, const char **out, struct err *e)
{
	const char *s;

	if (json_str(j, path, &s, e) < 0)
		return -1;
	if (!*s || strlen(s) >= WA_JID_CAP)
		return err_set(e, E_PROTO, "%s is empty or too long", path);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
			return err_set(e, E_PROTO, "%s holds odd characters", path);
	*out = s;
	return 0;
}

/* The identity by which the person is not called. */
static const char *other_name(const cJSON *sender, const char *jid)
{
	const char *lid = json_text(sender, "lid");
	const char *pn = json_text(sender, "pn");
	const char *other = streq(jid, lid) ? pn : lid;

	return strlen(other) < WA_JID_CAP && !streq(other, jid) ? other : "";
}

/* What all events of a chat have. */
static int take_common(const cJSON *j, struct inbound *in, struct err *e)
{
	const cJSON *sender;
	int64_t ts;

	if (take_jid(j, "id", &in->id, e) < 0 || take_jid(j, "chat.jid", &in->chat, e) < 0 ||
	    take_jid(j, "sender.jid", &in->sender, e) < 0 ||
	    json_obj(j, "sender", &sender, e) < 0 || json_i64(j, "ts", &ts, e) < 0)
		return -1;
	in->direct = !cJSON_IsTrue(json_find(j, "chat.group"));
	in->chat_title = json_text(j, in->direct ? "chat.name" : "chat.subject");
	in->sender_name = json_text(sender, "name");
	in->sender_alt = other_name(sender, in->sender);
	in->sent_ms = ts > 0 ? ts : 0;
	in->thread = in->target = in->quote = in->text = "";
	return 0;
}

/* A file that the bridge cannot give is at least named. */
static void note_lost(struct buf *text, const char *kind)
{
	buf_putf(text, "%s[%s: not available]", text->len ? "\n" : "",
		 *kind && strlen(kind) < 20 &&
				 kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz")] == '\0'
			 ? kind
			 : "file");
}

static bool is_hash(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int take_media(const cJSON *j, struct wa_event *ev, struct err *e)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(j, "media"), *m;
	int lost = 0;

	if (list && !cJSON_IsArray(list))
		return err_set(e, E_PROTO, "media is no list");
	cJSON_ArrayForEach(m, list)
	{
		const char *hash = json_text(m, "hash");
		const char *kind = json_text(m, "kind");

		if (!*hash || ev->in.n_files == WA_FILES_MAX) {
			if (lost++ < 16)
				note_lost(&ev->text, kind);
			continue;
		}
		if (!is_hash(hash))
			return err_set(e, E_PROTO, "media has a hash that is none");
		ev->files[ev->in.n_files++] = (struct inbound_file){
			.name = json_text(m, "name"),
			.mime = json_text(m, "mime"),
			.size = json_peek_i64(m, "size", -1) < 0 ? -1
								 : json_peek_i64(m, "size", -1),
			.ref = hash,
			.voice = streq(kind, "voice"),
		};
	}
	ev->in.files = ev->files;
	return 0;
}

static int take_message(const cJSON *j, const struct wa_state *me, struct wa_event *ev,
			struct err *e)
{
	struct inbound *in = &ev->in;
	bool ours = cJSON_IsTrue(json_find(j, "from_me"));
	const char *text;

	if (take_common(j, in, e) < 0 || json_str_opt(j, "text", "", &text, e) < 0)
		return -1;
	in->kind = INBOUND_MESSAGE;
	if (strlen(text) > TEXT_MAX)
		return err_set(e, E_PROTO, "the text is too long");
	in->forwarded = cJSON_IsTrue(json_find(j, "forwarded"));
	if (in->forwarded)
		buf_puts(&ev->text, *text ? "[forwarded]\n" : "[forwarded]");
	buf_puts(&ev->text, text);
	if (take_media(j, ev, e) < 0)
		return -1;
	if (json_find(j, "quote.id") && take_jid(j, "quote.id", &in->target, e) < 0)
		return -1;
	in->quote = json_text(j, "quote.text");
	in->text = ev->text.p ? ev->text.p : "";
	in->text_len = ev->text.len;
	/* What the owner writes on the phone to somebody else is not meant for the assistant. */
	if (in->direct)
		in->addressed = !ours || streq(in->chat, me->me) || streq(in->chat, me->me_lid);
	else
		in->addressed = cJSON_IsTrue(json_find(j, "mentioned_me")) ||
				cJSON_IsTrue(json_find(j, "reply_to_me"));
	if (in->text_len || in->n_files)
		ev->kind = WA_INBOUND;
	return 0;
}

/* edit, delete, reaction */
static int take_change(const cJSON *j, enum inbound_kind kind, const char *member,
		       struct wa_event *ev, struct err *e)
{
	struct inbound *in = &ev->in;

	if (take_common(j, in, e) < 0 || take_jid(j, "target", &in->target, e) < 0 ||
	    (member && json_str(j, member, &in->text, e) < 0))
		return -1;
	in->text_len = strlen(in->text);
	if (in->text_len > TEXT_MAX)
		return err_set(e, E_PROTO, "the text is too long");
	in->kind = kind;
	/* As in take_message: not what the owner of the phone changes in a talk with somebody else. */
	in->addressed = in->direct && !cJSON_IsTrue(json_find(j, "from_me"));
	ev->kind = WA_INBOUND;
	return 0;
}

static int take_moved(const cJSON *j, struct wa_event *ev, struct err *e)
{
	ev->kind = WA_MOVED;
	return take_jid(j, "from", &ev->from, e) < 0 || take_jid(j, "to.jid", &ev->to, e) < 0 ? -1
											      : 0;
}

int wa_parse_event(const cJSON *j, const struct wa_state *me, struct wa_event *ev, struct err *e)
{
	const char *type;

	memset(ev, 0, sizeof(*ev));
	buf_init(&ev->text, TEXT_MAX + 4096);
	if (json_str(j, "type", &type, e) < 0)
		return -1;
	if (streq(type, "message"))
		return take_message(j, me, ev, e);
	if (streq(type, "edit"))
		return take_change(j, INBOUND_EDIT, "text", ev, e);
	if (streq(type, "delete"))
		return take_change(j, INBOUND_DELETE, NULL, ev, e);
	if (streq(type, "reaction"))
		return take_change(j, INBOUND_REACTION, "emoji", ev, e);
	if (streq(type, "moved"))
		return take_moved(j, ev, e);
	if (streq(type, "state")) {
		ev->kind = WA_STATE;
		ev->state = *me;
		return wa_parse_state(j, &ev->state, e);
	}
	if (streq(type, "qr")) {
		ev->kind = WA_QR;
		return json_str(j, "text", &ev->show, e);
	}
	if (streq(type, "pairing")) {
		ev->kind = WA_PAIRING;
		return json_str(j, "code", &ev->show, e);
	}
	return 0;
}

void wa_event_free(struct wa_event *ev)
{
	buf_free(&ev->text);
}
