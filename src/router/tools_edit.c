// SPDX-License-Identifier: Apache-2.0
/*
 * The tools that change what is in the chat already: edit_message and react. They only ever touch messages of the session's own chat, and an edit only
 * what the agent itself said there.
 */
#include <string.h>
#include "base/str.h"
#include "router/format.h"
#include "router/tools.h"

struct strings {
	char **v;
	size_t n;
};

static void strings_add(struct strings *s, const char *text, size_t n)
{
	s->v = xrealloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n++] = xstrndup(text, n);
}

static void strings_free(struct strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

static void add_id(void *ctx, int part maybe_unused, const char *platform_id)
{
	strings_add(ctx, platform_id, strlen(platform_id));
}

static bool add_part(void *ctx, const char *body, size_t n)
{
	strings_add(ctx, body, n);
	return true;
}

/* One row a part, each for the platform's message that it replaces. */
static bool post_parts(struct router *r, const struct out_new *o, const struct strings *ids,
		       const struct strings *bodies)
{
	for (size_t i = 0; i < ids->n; i++) {
		_cleanup_json_ cJSON *args = cJSON_CreateObject();
		_cleanup_free_ char *text = NULL;
		struct out_new row = *o;

		cJSON_AddStringToObject(args, "target", ids->v[i]);
		text = json_print(args);
		row.op = OUTBOUND_EDIT;
		row.part = (int)i;
		row.args = text;
		row.body = bodies->v[i];
		if (!delivery_post(r, &row))
			return false;
	}
	return true;
}

static enum edit_outcome edit_fatal(struct router *r, const struct err *e)
{
	router_fatal(r, e);
	return EDIT_FATAL;
}

enum edit_outcome message_edit(struct router *r, const struct channel *c, const struct out_new *o,
			       size_t *had, size_t *needs)
{
	struct format_limits limits = {c->ops->format, c->ops->unit, c->ops->max_text};
	_cleanup_(strings_free) struct strings ids = {0}, bodies = {0};
	struct out_shape shape;
	struct err e = ERR_INIT;

	if (store_out_shape(r->store, o->message_id, &shape, &e) < 0 ||
	    store_out_parts(r->store, o->message_id, add_id, &ids, &e) < 0)
		return edit_fatal(r, &e);
	if (!shape.parts || shape.sent != shape.parts || ids.n != (size_t)shape.parts)
		return EDIT_UNSENT;
	if (c->ops->format == FORMAT_MARKDOWN)
		strings_add(&bodies, o->text, strlen(o->text));
	else
		format_render(o->text, strlen(o->text), &limits, add_part, &bodies);
	*had = ids.n;
	*needs = bodies.n;
	if (*had != *needs)
		return EDIT_PARTS;
	if (!post_parts(r, o, &ids, &bodies))
		return EDIT_FATAL;
	if (store_message_set_text(r->store, o->message_id, o->text, &e) < 0)
		return edit_fatal(r, &e);
	return EDIT_OK;
}

/* Only what the agent said as text: no notice of ours, no file, no question. False: answered. */
static bool may_edit(struct session *s, struct mcp_call *c, const struct tool_message *m)
{
	struct out_shape shape;
	struct err e = ERR_INIT;

	if (!m->ours || m->notice) {
		tool_refuse(c, "Not changed: message %lld is not one of yours.", (long long)m->id);
		return false;
	}
	if (store_out_shape(s->r->store, m->id, &shape, &e) < 0) {
		tool_refuse(c, "Not changed: %s", e.msg);
		router_fatal(s->r, &e);
		return false;
	}
	if (shape.op != OUTBOUND_TEXT) {
		tool_refuse(c, "Not changed: message %lld is a %s; only texts can be changed.",
			    (long long)m->id, shape.op == OUTBOUND_ASK ? "question" : "file");
		return false;
	}
	return true;
}

static void tell_edit(struct mcp_call *c, enum edit_outcome how, int64_t id, size_t had,
		      size_t needs)
{
	char text[120];

	switch (how) {
	case EDIT_OK:
		snprintf(text, sizeof(text),
			 "Queued: message %lld will get the new text, in order.", (long long)id);
		mcp_reply_text(c, text, false);
		break;
	case EDIT_UNSENT:
		tool_refuse(c,
			    "Not changed: message %lld has not been sent as a whole yet. Try again "
			    "in a moment.",
			    (long long)id);
		break;
	case EDIT_PARTS:
		tool_refuse(c,
			    "Not changed: message %lld went out as %zu message%s of the platform, "
			    "and the new text needs %zu. Make it fit, or send a new message.",
			    (long long)id, had, had == 1 ? "" : "s", needs);
		break;
	case EDIT_FATAL:
		tool_refuse(c, "Not changed: the server cannot go on.");
		break;
	}
}

void tool_edit_message(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const char *raw = json_peek_str(args, "text");
	_cleanup_free_ char *text = xstrdup(raw ? raw : "");
	struct tool_message m;
	struct tool_place place;
	size_t had = 0, needs = 0;

	if (!agent_strip_internal(text)) {
		tool_refuse(c, "Not changed: the text is empty once <internal> parts are removed.");
		return;
	}
	if (!tool_begin(s, c, CHAN_EDITS, "way to change a message", &place) ||
	    !tool_message(s, c, json_peek_i64(args, "message_id", 0), &m) || !may_edit(s, c, &m))
		return;
	struct out_new o = {
		.chat_id = s->chat_id,
		.group_id = s->group.id,
		.turn_id = s->turn_id,
		.thread = m.thread,
		.text = text,
		.kind = OUT_TOOL,
		.message_id = m.id,
	};
	enum edit_outcome how = message_edit(s->r, place.chan, &o, &had, &needs);
	tell_edit(c, how, m.id, had, needs);
}

/* --- reactions ---------------------------------------------------------------------------- */

/* Not words: whatever is no letter, digit or mark of ASCII alone. Which emoji there are is the platform's to say. */
static bool is_emoji(const char *s)
{
	bool other = false;

	for (const char *p = s; *p; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return false;
		other = other || (unsigned char)*p >= 0x80;
	}
	return other;
}

static int64_t newest_lease(const struct session *s)
{
	int64_t id = 0;

	for (const struct lease *l = s->leases; l; l = l->next)
		id = l->msg_id;
	return id;
}

void tool_react(void *peer, struct mcp_call *c, const cJSON *args)
{
	struct session *s = peer;
	const char *emoji = json_peek_str(args, "emoji");
	_cleanup_json_ cJSON *out = NULL;
	_cleanup_free_ char *text = NULL;
	struct tool_message m;
	struct tool_place place;
	char reply[120];

	if (emoji[0] && !is_emoji(emoji)) {
		tool_refuse(c,
			    "Not done: \"%.40s\" is no emoji. Give the character itself, such as "
			    "\xf0\x9f\x91\x8d.",
			    emoji);
		return;
	}
	if (!tool_begin(s, c, CHAN_REACTIONS, "reactions", &place) ||
	    !tool_message(s, c, json_peek_i64(args, "message_id", newest_lease(s)), &m))
		return;
	out = cJSON_CreateObject();
	cJSON_AddStringToObject(out, "target", m.platform_id);
	cJSON_AddStringToObject(out, "emoji", emoji);
	text = json_print(out);
	delivery_post(s->r, &(struct out_new){
				    .chat_id = s->chat_id,
				    .group_id = s->group.id,
				    .turn_id = s->turn_id,
				    .thread = m.thread,
				    .text = "",
				    .body = "",
				    .kind = OUT_TOOL,
				    .message_id = m.id,
				    .op = OUTBOUND_REACTION,
				    .args = text,
			    });
	s->spoke = true;
	snprintf(reply, sizeof(reply), "Queued: %s on message %lld.",
		 emoji[0] ? emoji : "no reaction any more", (long long)m.id);
	mcp_reply_text(c, reply, false);
}
