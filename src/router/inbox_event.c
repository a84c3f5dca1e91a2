// SPDX-License-Identifier: Apache-2.0
/*
 * What people do to messages that are there: edit, take back, react, press a button. Each event leaves a row with its own id, so that the platform may
 * tell it twice. What the agent has not seen yet changes in place; what it has seen is followed by words about the change.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/ask.h"
#include "router/inbox.h"

#define EMOJI_BYTES 32
#define SHOWN_BYTES 60

/* The row that the event is about. */
struct target {
	int64_t id, turn_id;
	enum msg_dir dir;
	enum msg_state state;
	char *text, *platform_id;
	char session[65], thread[128];
};

static void copy_target(void *ctx, const struct msg_row *m)
{
	struct target *t = ctx;

	t->id = m->id;
	t->turn_id = m->turn_id;
	t->dir = m->dir;
	t->state = m->state;
	t->text = xstrdup(m->text);
	t->platform_id = xstrdup(m->platform_id);
	str_copy(t->session, sizeof(t->session), m->session);
	str_copy(t->thread, sizeof(t->thread), m->thread);
}

static void target_free(struct target *t)
{
	free(t->text);
	free(t->platform_id);
}

/* id stays 0 when we never had the message. */
static int find_target(struct intake *in, struct target *t, struct err *e)
{
	struct err none = ERR_INIT;

	*t = (struct target){0};
	if (store_message_find(in->r->store, in->chat.id, in->m->target, copy_target, t, &none) <
		    0 &&
	    none.code != E_GONE) {
		*e = none;
		return -1;
	}
	if (!t->id) {
		t->text = xstrdup("");
		t->platform_id = xstrdup("");
		str_copy(t->thread, sizeof(t->thread), in->m->thread);
		inbox_session_key(in->set, in->chat.id, t->thread, t->session);
	}
	return 0;
}

static int put_row(struct intake *in, const struct target *t, const char *text,
		   enum msg_state state, struct err *e)
{
	_cleanup_free_ char *id = xasprintf(MSG_EVENT "%s", in->m->id);
	struct row_new row = {
		.platform_id = id,
		.thread = t->thread,
		.session = t->session,
		.text = text,
		.len = strlen(text),
		.state = state,
	};

	return inbox_put(in, &row, e);
}

/* The event is done and needs no words. */
static int put_mark(struct intake *in, const struct target *t, struct err *e)
{
	return put_row(in, t, "", MSG_GONE, e);
}

static bool waits(const struct target *t)
{
	return t->state == MSG_PENDING || t->state == MSG_FETCHING;
}

/* --- edit --------------------------------------------------------------------------------- */

struct seek {
	int64_t id;
	bool found;
};
static void seek_row(void *ctx, const struct msg_row *m)
{
	struct seek *s = ctx;

	s->found |= m->id == s->id;
}

/* Whether the agent cannot have seen it yet. */
static int unseen(struct intake *in, const struct target *t, bool *yes, struct err *e)
{
	struct seek s = {t->id, false};

	*yes = waits(t);
	if (t->state != MSG_CONTEXT)
		return 0;
	if (store_context(in->r->store, in->chat.id, t->session, INT64_MAX, 0, CONTEXT_MAX,
			  seek_row, &s, e) < 0)
		return -1;
	*yes = s.found;
	return 0;
}

/* Another text between the quote and the files of a message. */
static int replace_text(struct intake *in, const struct target *t, const struct buf *lines,
			struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};
	const struct inbound *m = in->m;

	buf_put(&text, t->text, inbox_quote_len(t->text));
	buf_put(&text, m->text, m->text_len);
	if (lines->len)
		buf_putf(&text, "%s%s", text.len ? "\n" : "", lines->p);
	return store_message_set_text(in->r->store, t->id, text.p ? text.p : "", e);
}

static int edit_seen(struct intake *in, const struct target *t, bool wakes, struct err *e)
{
	_cleanup_free_ char *text = xasprintf("[edited] %.*s", (int)in->m->text_len, in->m->text);

	if (put_row(in, t, text, wakes ? MSG_PENDING : MSG_CONTEXT, e) < 0)
		return -1;
	if (wakes && !in->dup)
		session_wake(session_get(in->r, &in->group, t->session));
	return 0;
}

static int edit_of(struct intake *in, const struct target *t, struct err *e)
{
	_cleanup_(buf_free) struct buf lines = {0};
	const struct inbound *m = in->m;
	size_t from, to;
	bool woke = t->state != MSG_CONTEXT, wakes, in_place;

	if (attach_lines(in->r, t->id, &lines, e) < 0 || inbox_wakes(in, &wakes, e) < 0 ||
	    unseen(in, t, &in_place, e) < 0)
		return -1;
	from = inbox_quote_len(t->text);
	to = attach_base_len(t->text, strlen(t->text), &lines);
	/* Platforms also call it an edit when they add a preview of a link. */
	if (to >= from && to - from == m->text_len &&
	    memcmp(t->text + from, m->text, m->text_len) == 0)
		return put_mark(in, t, e);
	/* Whoever edits a mention into what was only said wants an answer now. */
	if (!in_place || (wakes && !woke))
		return edit_seen(in, t, woke || wakes, e);
	if (put_mark(in, t, e) < 0)
		return -1;
	return in->dup ? 0 : replace_text(in, t, &lines, e);
}

static int take_edit(struct intake *in, struct err *e)
{
	_cleanup_(target_free) struct target t;
	const char *alt = in->m->sender_alt ? in->m->sender_alt : "";
	bool own = true;

	if (find_target(in, &t, e) < 0 ||
	    (t.id && store_message_is_by(in->r->store, t.id, in->m->sender, alt, &own, e) < 0))
		return -1;
	/* Where messages are sealed from end to end the platform cannot see to this: whoever is in the chat may send an "edit" of anybody's. */
	if (!own && t.dir == MSG_IN) {
		log_warn("inbox", "an edit of somebody else's message is passed over",
			 "channel=%s id=%lld", in->c->ops->name, (long long)t.id);
		return put_mark(in, &t, e);
	}
	/* One that we never had comes with its newest text when the channel fills the gap. */
	if (!t.id || t.dir == MSG_OUT || t.state == MSG_GONE)
		return put_mark(in, &t, e);
	return edit_of(in, &t, e);
}

/* --- taken back --------------------------------------------------------------------------- */

static int take_delete(struct intake *in, struct err *e)
{
	_cleanup_(target_free) struct target t;
	const char *alt = in->m->sender_alt ? in->m->sender_alt : "";
	struct store *st = in->r->store;
	bool moved = false, own = true;

	if (find_target(in, &t, e) < 0 || put_mark(in, &t, e) < 0 ||
	    (t.id && store_message_is_by(st, t.id, in->m->sender, alt, &own, e) < 0))
		return -1;
	if (in->dup || !t.id || t.dir == MSG_OUT || t.state == MSG_GONE)
		return 0;
	/* A chat's admins take back what others wrote; a guest, whom the platform may not stop, does not. */
	if (!own && in->by.role < ROLE_MEMBER) {
		log_warn("inbox", "a guest's removal of somebody else's message is passed over",
			 "channel=%s id=%lld", in->c->ops->name, (long long)t.id);
		return 0;
	}
	if (waits(&t) && store_message_move(st, t.id, t.state, MSG_GONE, &moved, e) < 0)
		return -1;
	if (store_message_set_text(st, t.id, moved ? "" : "[deleted]", e) < 0 ||
	    attach_forget(in->r, &in->group, t.id, e) < 0)
		return -1;
	if (!moved)
		return 0;
	delivery_settled(in->r, in->chat.id, t.platform_id, false);
	if (t.state == MSG_FETCHING)
		inbox_wake_group(in->r, &in->group);
	return 0;
}

/* --- reaction, button --------------------------------------------------------------------- */

/* The first words of a text, on one line. */
static void first_words(const char *text, char out[SHOWN_BYTES + 8])
{
	size_t n = strcspn(text + inbox_quote_len(text), "\r\n"), cut = n;

	text += inbox_quote_len(text);
	if (cut > SHOWN_BYTES)
		cut = str_utf8_floor(text, SHOWN_BYTES);
	snprintf(out, SHOWN_BYTES + 8, "%.*s%s", (int)cut, text, cut < n || text[n] ? "…" : "");
}

static int take_reaction(struct intake *in, struct err *e)
{
	_cleanup_(target_free) struct target t;
	_cleanup_free_ char *text = NULL;
	char words[SHOWN_BYTES + 8], emoji[EMOJI_BYTES + 1];

	if (find_target(in, &t, e) < 0)
		return -1;
	first_words(t.text, words);
	snprintf(emoji, sizeof(emoji), "%.*s",
		 (int)(in->m->text_len > EMOJI_BYTES ? str_utf8_floor(in->m->text, EMOJI_BYTES)
						     : in->m->text_len),
		 in->m->text);
	if (emoji[0] && t.text[0])
		text = xasprintf("[reacted %s to \"%s\"]", emoji, words);
	else if (emoji[0])
		text = xasprintf("[reacted %s to an earlier message]", emoji);
	else if (t.text[0])
		text = xasprintf("[took a reaction to \"%s\" back]", words);
	else
		text = xstrdup("[took a reaction back]");
	return put_row(in, &t, text, MSG_CONTEXT, e);
}

static int take_press(struct intake *in, struct err *e)
{
	_cleanup_(target_free) struct target t;
	_cleanup_free_ char *value = xstrndup(in->m->text, in->m->text_len);

	if (find_target(in, &t, e) < 0 || put_mark(in, &t, e) < 0)
		return -1;
	if (!in->dup && !ask_press(in->r, in->chat.id, value, in->m->sender_name, &in->by))
		notice_brief(in->r, in->chat.id, in->group.id, t.thread,
			     "That question is no longer open.");
	return 0;
}

int inbox_event(struct intake *in, struct err *e)
{
	switch (in->m->kind) {
	case INBOUND_EDIT:
		return take_edit(in, e);
	case INBOUND_DELETE:
		return take_delete(in, e);
	case INBOUND_REACTION:
		return take_reaction(in, e);
	case INBOUND_PRESS:
		return take_press(in, e);
	case INBOUND_MESSAGE:
		break;
	}
	return err_set(e, E_BUG, "this is no event: %d", (int)in->m->kind);
}
