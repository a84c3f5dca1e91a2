// SPDX-License-Identifier: Apache-2.0
/*
 * Slack's markup to the Markdown that the agent reads: mentions get names, <url|text> becomes a link, &amp; &lt; &gt; become what
 * they stand for. One walker serves both the question "which ids must be named" and the rendering. It must never read past the
 * text, and never turn a user's text into more than its own size plus the names.
 * (https://docs.slack.dev/messaging/formatting-message-text)
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define TAG_MAX 4096 /* a longer <...> is text */

struct walk {
	struct buf *out; /* NULL: only ask for names */
	slack_name_fn *fn;
	void *ctx;
};

static void put(struct walk *w, const char *p, size_t n)
{
	if (w->out)
		buf_put(w->out, p, n);
}

/* Plain text with its three entities; stop: a character to escape with a backslash, or 0. */
static void put_text(struct walk *w, const char *p, size_t n, char escape)
{
	static const struct {
		const char *name;
		char c;
	} entity[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}};
	size_t plain = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == escape && escape) {
			put(w, p + plain, i - plain);
			put(w, "\\", 1);
			plain = i;
			continue;
		}
		if (p[i] != '&')
			continue;
		for (size_t k = 0; k < ARRAY_LEN(entity); k++) {
			size_t len = strlen(entity[k].name);

			if (n - i < len || memcmp(p + i, entity[k].name, len) != 0)
				continue;
			put(w, p + plain, i - plain);
			put(w, &entity[k].c, 1);
			plain = i + len;
			i += len - 1;
			break;
		}
	}
	put(w, p + plain, n - plain);
}

/* <@U1>, <@U1|label>, <#C1>, <#C1|label>; p is behind the mark. */
static void put_named(struct walk *w, char kind, char mark, struct str id, struct str label)
{
	char name[SLACK_ID];
	const char *known = NULL;

	if (id.n < sizeof(name)) {
		memcpy(name, id.p, id.n);
		name[id.n] = '\0';
		if (slack_is_id(name) && (kind == 'U' || !label.n))
			known = w->fn(w->ctx, kind, name);
	}
	put(w, &mark, 1);
	if (known)
		put(w, known, strlen(known));
	else if (label.n)
		put_text(w, label.p, label.n, 0);
	else
		put(w, id.p, id.n);
}

/* <!here>, <!channel>, <!subteam^S1|@team>, <!date^...|fallback>: what a reader would see. */
static void put_special(struct walk *w, struct str what, struct str label)
{
	if (label.n) {
		put_text(w, label.p, label.n, 0);
		return;
	}
	put(w, "@", 1);
	for (size_t i = 0; i < what.n; i++) {
		if (what.p[i] == '^') {
			what.n = i;
			break;
		}
	}
	put(w, what.p, what.n);
}

static void put_link(struct walk *w, struct str url, struct str label)
{
	size_t scheme = 0;

	for (size_t i = 0; i + 2 < url.n && !scheme; i++) {
		if (memcmp(url.p + i, "://", 3) == 0)
			scheme = i + 3;
	}
	if (!scheme && url.n > 7 && memcmp(url.p, "mailto:", 7) == 0)
		scheme = 7;
	/* "example.com" typed by a person comes as <http://example.com|example.com>. */
	if (!label.n || (label.n == url.n - scheme && !memcmp(label.p, url.p + scheme, label.n))) {
		if (!label.n)
			label = url;
		put_text(w, label.p, label.n, 0);
		return;
	}
	put(w, "[", 1);
	put_text(w, label.p, label.n, ']');
	put(w, "](", 2);
	put_text(w, url.p, url.n, ')');
	put(w, ")", 1);
}

/* What lies between < and >. */
static void put_tag(struct walk *w, const char *p, size_t n)
{
	const char *bar = memchr(p, '|', n);
	struct str head = {p, bar ? (size_t)(bar - p) : n};
	struct str label = {bar ? bar + 1 : "", bar ? n - head.n - 1 : 0};
	struct str tail = {head.p + 1, head.n ? head.n - 1 : 0};

	if (head.n && *p == '@')
		put_named(w, 'U', '@', tail, label);
	else if (head.n && *p == '#')
		put_named(w, 'C', '#', tail, label);
	else if (head.n && *p == '!')
		put_special(w, tail, label);
	else
		put_link(w, head, label);
}

/* The length of what lies in the tag at p (behind its '<'), or 0 when it is none. */
static size_t tag_len(const char *p, size_t n)
{
	size_t i;

	if (n > TAG_MAX)
		n = TAG_MAX;
	for (i = 0; i < n; i++) {
		if (p[i] == '>')
			return i;
		if (p[i] == '<' || p[i] == '\n')
			return 0;
	}
	return 0;
}

void slack_text(struct buf *out, const char *raw, slack_name_fn *fn, void *ctx)
{
	struct walk w = {out, fn, ctx};
	size_t n = strlen(raw), plain = 0, len;

	if (n > SLACK_RAW)
		n = str_utf8_floor(raw, SLACK_RAW);
	for (size_t i = 0; i < n; i++) {
		if (raw[i] != '<')
			continue;
		len = tag_len(raw + i + 1, n - i - 1);
		if (!len)
			continue;
		put_text(&w, raw + plain, i - plain, 0);
		put_tag(&w, raw + i + 1, len);
		i += len + 1;
		plain = i + 1;
	}
	put_text(&w, raw + plain, n - plain, 0);
}

struct seek {
	const char *user;
	bool found;
};

static const char *seek_name(void *ctx, char kind, const char *id)
{
	struct seek *k = ctx;

	if (kind == 'U' && streq(id, k->user))
		k->found = true;
	return NULL;
}

bool slack_text_mentions(const char *raw, const char *user)
{
	struct seek k = {user, false};

	if (*user)
		slack_text(NULL, raw, seek_name, &k);
	return k.found;
}
