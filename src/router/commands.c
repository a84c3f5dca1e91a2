// SPDX-License-Identifier: Apache-2.0
/*
 * Commands in chats, on the router's side: what counts as one, and how its answer is said. The floor above (admin) knows what they are
 * and carries them out. A line of an agent never gets here: only what a platform handed in does.
 */
#include <string.h>
#include "base/str.h"
#include "router/inbox.h"
#include "router/schedule.h"

#define LINE_MAX_BYTES ((size_t)4 << 10) /* of a command */
#define REFUSED	       3		 /* the person may not: said only so often */

/* The line as it was meant: without the mention by which a person turns to us. */
static char *line_of(const struct inbound *m)
{
	char *text = xstrndup(m->text, m->text_len);
	size_t n = strcspn(text, " \n\t");

	if (m->addressed && text[0] == '@' && text[n])
		memmove(text, text + n + 1, strlen(text + n + 1) + 1);
	return text;
}

bool commands_is(const struct intake *in)
{
	const struct router_commands *c = in->r->o.commands;
	const struct inbound *m = in->m;
	_cleanup_free_ char *text = NULL;

	/* What is passed on is somebody else's words. */
	if (!c || m->kind != INBOUND_MESSAGE || m->forwarded || m->n_files || !m->text_len ||
	    m->text_len > LINE_MAX_BYTES)
		return false;
	text = line_of(m);
	/* "/stop@somebody": ours only when the platform says that we are meant. */
	if (memchr(text, '@', strcspn(text, " \n\t")) && !m->addressed && !m->direct)
		return false;
	return c->is(in->r->o.commands_ctx, text, in->group.is_main);
}

/* Where an answer goes. */
struct talk {
	struct router *r;
	int64_t chat_id, group_id;
	char *thread, *platform_id;
};

/* Whether Markdown would take something in this line for a mark. */
static bool has_marks(const char *s)
{
	return s[strcspn(s, "*_~`[]<>#|\\")] || str_starts(s, "- ") || str_starts(s, "+ ");
}

/* As it is, whatever signs are in it: a line plain or as code, several in a block. */
static void put_plain(struct buf *out, char *text)
{
	bool lines = strchr(text, '\n');

	for (char *p = text; (p = strchr(p, '`')); p++)
		*p = '\'';
	if (lines)
		buf_putf(out, "```\n%s\n```", text);
	else
		buf_putf(out, has_marks(text) ? "`%s`" : "%s", text);
}

static void said(void *ctx, const char *text, int status)
{
	struct talk *t = ctx;
	_cleanup_(buf_free) struct buf body = {0};
	_cleanup_free_ char *words = xstrdup(text);

	put_plain(&body, words);
	if (!t->r->fatal && status == REFUSED) {
		notice_brief(t->r, t->chat_id, t->group_id, t->thread, body.p);
	} else if (!t->r->fatal) {
		const struct out_new o = {
			.chat_id = t->chat_id,
			.group_id = t->group_id,
			.thread = t->thread,
			.text = body.p,
			.kind = OUT_NOTICE,
		};

		delivery_post(t->r, &o);
	}
	if (!t->r->fatal)
		delivery_settled(t->r, t->chat_id, t->platform_id, false);
	free(t->thread);
	free(t->platform_id);
	free(t);
}

void commands_run(const struct intake *in, const struct actor *by)
{
	struct router *r = in->r;
	_cleanup_free_ char *text = line_of(in->m);
	const struct command_ask ask = {
		.line = text,
		.by = by,
		.group = &in->group,
		.chat_id = in->chat.id,
		.thread = in->m->thread,
	};
	struct talk *t = xcalloc(1, sizeof(*t));

	t->r = r;
	t->chat_id = in->chat.id;
	t->group_id = in->group.id;
	t->thread = xstrdup(in->m->thread);
	t->platform_id = xstrdup(in->m->id);
	r->o.commands->run(r->o.commands_ctx, &ask, said, t);
}

/* --- the running turns, for commands ------------------------------------------------------ */

int64_t router_stop_turns(struct router *r, const struct group_row *g, int64_t chat_id,
			  const char *thread)
{
	char key[65] = "";
	int64_t n = 0;

	if (chat_id)
		inbox_session_key(settings_get(r, g->id), chat_id, thread, key);
	for (struct session *s = map_get(&r->by_group, g->id), *next; s; s = next) {
		next = s->next_of_group;
		/* Also what an isolated run is about to say there. */
		if ((chat_id && !streq(s->key, key) &&
		     (s->kind != SANDBOX_TASK || !s->turn_id || s->chat_id != chat_id)) ||
		    (!s->turn_id && !gate_waits(s) && s->state != SESSION_WAITING &&
		     s->state != SESSION_STARTING))
			continue;
		turn_interrupt(s, "Stopped.");
		n++;
	}
	return n;
}
