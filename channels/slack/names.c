// SPDX-License-Identifier: Apache-2.0
/*
 * Names of users and channels, asked from Slack once and kept for an hour, at most 4,096 of them (the oldest goes first). What
 * Slack does not tell is named by its id for a minute, so that a call that fails is not made for each message. It must never hold a
 * message back by itself: intake.c decides how long to wait.
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define BUCKETS	  512
#define NAMES_MAX 4096
#define ASK_MAX	  16 /* at once */
#define KEEP_MS	  3600000
#define RETRY_MS  60000

struct name {
	struct name *next;	    /* in its bucket */
	struct name *older, *newer; /* by the time it was made */
	struct slack *s;
	char kind, id[SLACK_ID];
	char *text; /* NULL while it is first asked for */
	int64_t expires;
	struct slack_call *call;
};
struct slack_names {
	struct name *bucket[BUCKETS];
	struct name *oldest, *newest;
	size_t count, asking;
};

static struct name **find(struct slack_names *t, char kind, const char *id)
{
	uint32_t h = 2166136261U ^ (unsigned char)kind; /* FNV-1a */
	struct name **p;

	for (const char *c = id; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619U;
	for (p = &t->bucket[h % BUCKETS]; *p; p = &(*p)->next) {
		if ((*p)->kind == kind && streq((*p)->id, id))
			break;
	}
	return p;
}

static void name_free(struct slack_names *t, struct name *n)
{
	struct name **p = find(t, n->kind, n->id);

	*p = n->next;
	*(n->older ? &n->older->newer : &t->oldest) = n->newer;
	*(n->newer ? &n->newer->older : &t->newest) = n->older;
	if (n->call)
		t->asking--;
	slack_call_cancel(&n->call);
	t->count--;
	free(n->text);
	free(n);
}

static struct name *name_new(struct slack *s, char kind, const char *id)
{
	struct slack_names *t = s->names;
	struct name *n = xcalloc(1, sizeof(*n)), **p;

	while (t->count >= NAMES_MAX)
		name_free(t, t->oldest);
	p = find(t, kind, id);
	*n = (struct name){.older = t->newest, .s = s, .kind = kind};
	str_copy(n->id, sizeof(n->id), id);
	*p = n;
	*(t->newest ? &t->newest->newer : &t->oldest) = n;
	t->newest = n;
	t->count++;
	return n;
}

/* One line of at most 80 bytes; "" is no name. */
static void set_text(struct name *n, const char *text, int64_t keep_ms)
{
	char line[81];

	str_one_line(line, sizeof(line), text);
	n->expires = loop_now(n->s->loop) + keep_ms;
	if (n->text && streq(n->text, line))
		return;
	free(n->text);
	n->text = xstrdup(line);
}

static void on_named(void *ctx, const struct slack_reply *r)
{
	static const char *const user[] = {"user.profile.display_name", "user.profile.real_name",
					   "user.real_name", "user.name", NULL};
	static const char *const channel[] = {"channel.name", NULL};
	struct name *n = ctx;
	struct slack *s = n->s;
	const char *text = NULL;

	n->call = NULL;
	s->names->asking--;
	for (const char *const *p = n->kind == 'U' ? user : channel; *p; p++) {
		text = json_peek_str(r->json, *p);
		if (text && *text)
			break;
	}
	if (text && *text)
		set_text(n, text, KEEP_MS);
	else if (n->text)
		n->expires = loop_now(s->loop) + RETRY_MS;
	else
		set_text(n, n->id, r->retry_ms > RETRY_MS ? r->retry_ms : RETRY_MS);
	slack_intake_run(s);
}

static void ask(struct name *n)
{
	struct buf form = {0};

	slack_arg(&form, n->kind == 'U' ? "user" : "channel", n->id);
	n->s->names->asking++;
	n->call = slack_call(n->s, n->kind == 'U' ? SLACK_USER : SLACK_CHANNEL, &form, on_named, n);
}

const char *slack_name(struct slack *s, char kind, const char *id)
{
	struct name *n;

	if (kind == 'U' && streq(id, s->self.user))
		return s->self.name;
	if (!s->names)
		s->names = xcalloc(1, sizeof(*s->names));
	n = *find(s->names, kind, id);
	if (!n)
		n = name_new(s, kind, id);
	if (!n->call && n->expires <= loop_now(s->loop)) {
		if (s->names->asking < ASK_MAX)
			ask(n);
		else if (!n->text) /* many at once: this one is asked for next time */
			set_text(n, n->id, 1000);
	}
	return n->text;
}

void slack_names_close(struct slack *s)
{
	while (s->names && s->names->oldest)
		name_free(s->names, s->names->oldest);
	free(s->names);
	s->names = NULL;
}
