// SPDX-License-Identifier: Apache-2.0
/* See gate.h. It must never let anything pass because something about it is not known. */
#include "router/gate.h"
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "router/approve.h"
#include "router/claim.h"

#define NAME_MAX_BYTES	 120  /* of a name or title; longer ones are cut */
#define STRANGERS_KEPT	 1000 /* chats that nobody linked; senders who are nobody */
#define REFUSAL_WINDOW	 60000
#define REFUSALS_IN_MIND 4096

/* Messages that were refused, not yet counted in the store. Kept by chat id, or by sender id below zero. */
struct refusal {
	int64_t n;
	int64_t at_ms; /* when it was last written; -1 = never */
};

/* --- counting ----------------------------------------------------------------------------- */

static int write_count(struct router *r, int64_t key, struct refusal *f, struct err *e)
{
	int64_t n = f->n;

	f->n = 0;
	f->at_ms = loop_now(r->loop);
	if (!n)
		return 0;
	return key > 0 ? store_chat_refused(r->store, key, n, STRANGERS_KEPT, e)
		       : store_sender_refused(r->store, -key, n, STRANGERS_KEPT, e);
}

int gate_count(struct router *r, struct err *e)
{
	for (size_t i = 0; i < r->refusals.cap; i++) {
		struct map_slot *s = &r->refusals.slots[i];

		if (s->value && write_count(r, s->key, s->value, e) < 0)
			return -1;
	}
	return 0;
}

void gate_close(struct router *r)
{
	for (size_t i = 0; i < r->refusals.cap; i++)
		free(r->refusals.slots[i].value);
	map_free(&r->refusals);
}

/* A stranger may write as much as the platform lets it: one write and one line in the log a minute (*say). */
static int count(struct router *r, int64_t key, bool *say, struct err *e)
{
	struct refusal *f = map_get(&r->refusals, key);

	if (!f) {
		if (r->refusals.n >= REFUSALS_IN_MIND) {
			if (gate_count(r, e) < 0)
				return -1;
			gate_close(r);
		}
		f = xcalloc(1, sizeof(*f));
		f->at_ms = -1;
		map_put(&r->refusals, key, f);
	}
	f->n++;
	*say = f->at_ms < 0 || loop_now(r->loop) - f->at_ms >= REFUSAL_WINDOW;
	return *say ? write_count(r, key, f, e) : 0;
}

static int refuse_chat(struct intake *in, struct err *e)
{
	const char *channel = in->c->ops->name;
	char title[NAME_MAX_BYTES + 8];
	bool say;

	if (count(in->r, in->chat.id, &say, e) < 0)
		return -1;
	if (say) {
		log_quote(title, sizeof(title), in->m->chat_title);
		log_warn("inbox", "a chat without a group",
			 "channel=%s chat=\"%s\" title=%s fix=\"chela groups add GROUP %s:%s\"",
			 channel, in->m->chat, title, channel, in->m->chat);
	}
	return err_set(e, E_PERM, "chat %s:%s belongs to no group: chela groups add GROUP %s:%s",
		       channel, in->m->chat, channel, in->m->chat);
}

static int refuse_sender(struct intake *in, const struct standing *s, struct err *e)
{
	char who[140];
	bool say;

	if (count(in->r, -in->sender_id, &say, e) < 0)
		return -1;
	if (say && s->verdict != VERDICT_BLOCKED) {
		log_quote(who, sizeof(who), s->who);
		log_warn("inbox", "a stranger",
			 "group=%s who=%s fix=\"chela people role %s:%s guest %s\"", in->group.name,
			 who, in->c->ops->name, in->m->sender, in->group.name);
	}
	return err_set(e, E_PERM, "%s is %s", s->who,
		       s->verdict == VERDICT_BLOCKED ? "blocked" : "nobody with a role here");
}

/* --- which chat, which group, who --------------------------------------------------------- */

static bool is_console(const struct intake *in)
{
	return streq(in->c->ops->name, "console");
}

/* A console chat is named like its group. Other chats belong to a group when somebody said so. */
static int find_chat(struct intake *in, struct err *e)
{
	struct store *st = in->r->store;
	const struct inbound *m = in->m;
	char title[NAME_MAX_BYTES + 1];
	bool console = is_console(in);

	if (console && store_group_get(st, m->chat, &in->group, e) < 0)
		return -1;
	str_copy(title, sizeof(title), m->chat_title);
	title[str_utf8_floor(title, strlen(title))] = '\0';
	if (store_chat_seen(st, in->c->ops->name, m->chat, title, m->direct || console, &in->chat,
			    e) < 0)
		return -1;
	if (console) {
		if (in->chat.group_id != in->group.id &&
		    store_chat_link(st, in->chat.id, in->group.id, e) < 0)
			return -1;
		in->chat.group_id = in->group.id;
		return 0;
	}
	return in->chat.group_id ? store_group_at(st, in->chat.group_id, &in->group, e) : 0;
}

static int find_sender(struct intake *in, struct err *e)
{
	const struct inbound *m = in->m;
	char name[NAME_MAX_BYTES + 1];

	str_copy(name, sizeof(name), m->sender_name);
	name[str_utf8_floor(name, strlen(name))] = '\0';
	return store_sender_ensure(in->r->store, in->c->ops->name, m->sender, name,
				   m->sender_alt ? m->sender_alt : "", &in->sender_id, e);
}

static int judge(struct intake *in, struct standing *s, struct err *e)
{
	struct place p = {
		.chat = &in->chat,
		.group = in->chat.group_id ? &in->group : NULL,
		.sender_id = in->sender_id,
	};

	if (people_judge(in->r, &p, s, NULL, e) < 0)
		return -1;
	in->by = (struct actor){
		.sender_id = in->sender_id, .role = s->role, .in_main = in->group.is_main};
	str_copy(in->by.who, sizeof(in->by.who), s->who);
	return 0;
}

/* --- passing ------------------------------------------------------------------------------ */

/* A group of its own, when something is meant for the assistant. */
static int make_group(struct intake *in, struct standing *s, struct err *e)
{
	bool made = false;

	if (in->m->addressed && approve_make_group(in, &made, e) < 0)
		return -1;
	if (!made) {
		s->verdict = VERDICT_IGNORE;
		return 0;
	}
	return judge(in, s, e);
}

static int claim(struct intake *in, bool *done, struct err *e)
{
	char text[160];

	if (claim_is(in, done, e) < 0)
		return -1;
	if (!*done)
		return 0;
	if (!in->chat.group_id)
		return find_sender(in, e) < 0 ? -1 : claim_take(in, e);
	snprintf(text, sizeof(text),
		 "This chat belongs to the group %s. Claim main from another one, such as a direct "
		 "chat with me.",
		 in->group.name);
	notice_brief(in->r, in->chat.id, in->group.id, in->m->thread, text);
	return 0;
}

static int stop(struct intake *in, const struct standing *s, struct err *e)
{
	bool held = false;

	if (s->verdict == VERDICT_ASK && approve_hold(in, &held, e) < 0)
		return -1;
	if (held)
		return 0;
	return in->chat.group_id ? refuse_sender(in, s, e) : refuse_chat(in, e);
}

int gate_enter(struct intake *in, bool *pass, struct err *e)
{
	struct router *r = in->r;
	struct standing s;
	bool done;

	*pass = false;
	if (find_chat(in, e) < 0 || claim(in, &done, e) < 0)
		return -1;
	if (done)
		return 0;
	/* Nothing is kept of who says what in a chat that nobody wants to know. */
	if (!in->chat.group_id && r->people.unknown_chats == UNKNOWN_IGNORE)
		return refuse_chat(in, e);
	if (in->chat.group_id)
		in->set = settings_get(r, in->group.id);
	if (find_sender(in, e) < 0 || judge(in, &s, e) < 0 ||
	    (s.verdict == VERDICT_MAKE && make_group(in, &s, e) < 0))
		return -1;
	if (s.verdict != VERDICT_TAKE)
		return stop(in, &s, e);
	if (in->chat.invited && people_arrive(r, &in->chat, &in->group, in->sender_id, &s, e) < 0)
		return -1;
	in->set = settings_get(r, in->group.id);
	*pass = true;
	return 0;
}
