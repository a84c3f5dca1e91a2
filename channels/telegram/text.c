// SPDX-License-Identifier: Apache-2.0
/*
 * Texts of Telegram: what a person wrote, as Markdown by its entities; what Bot API HTML shows; the fixed list of reactions. Pure:
 * it must never trust an offset of an entity, which counts UTF-16 units of a text that we hold as UTF-8.
 */
#include <glib.h>
#include <strings.h>
#include "base/str.h"
#include "channels/telegram/telegram.h"

#define ENTITIES_MAX	  200
#define ENTITIES_TEXT_MAX ((size_t)64 << 10) /* longer is not of Telegram */

/* --- what a person wrote ------------------------------------------------------------------- */

/* The byte at which UTF-16 unit `unit` of s begins; SIZE_MAX when there is none, or when it is the second half of a pair. */
static size_t byte_of(const char *s, size_t n, int64_t unit)
{
	size_t i = 0;

	while (unit > 0 && i < n) {
		size_t len = str_utf8_seq(s + i, n - i);

		unit -= len == 4 ? 2 : 1;
		i += len ? len : 1;
	}
	return unit == 0 ? i : SIZE_MAX;
}

struct span {
	const char *type, *url, *lang;
	const char *p;
	size_t n, at; /* bytes; at: offset in the text */
	int64_t user; /* text_mention */
};

static bool span_of(struct span *s, const cJSON *entity, const char *text, size_t n)
{
	int64_t from = json_peek_i64(entity, "offset", -1);
	int64_t len = json_peek_i64(entity, "length", -1);
	size_t a, b;

	s->type = json_peek_str(entity, "type");
	if (!s->type || from < 0 || len <= 0 || from > (int64_t)n || len > (int64_t)n)
		return false;
	a = byte_of(text, n, from);
	b = byte_of(text, n, from + len);
	if (a == SIZE_MAX || b == SIZE_MAX)
		return false;
	s->url = json_peek_str(entity, "url");
	s->lang = json_peek_str(entity, "language");
	s->user = json_peek_i64(entity, "user.id", 0);
	s->at = a;
	s->p = text + a;
	s->n = b - a;
	return true;
}

static bool has(const struct span *s, const char *what)
{
	return memmem(s->p, s->n, what, strlen(what)) != NULL;
}

static bool word_ok(const char *s, const char *forbidden)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr(forbidden, *s))
			return false;
	return true;
}

/* Writes the span as Markdown; false when it is not simple. */
static bool put_span(struct buf *out, const struct span *s)
{
	if (streq(s->type, "text_link")) {
		if (!word_ok(s->url, "()<>") || has(s, "[") || has(s, "]"))
			return false;
		buf_puts(out, "[");
		buf_put(out, s->p, s->n);
		buf_putf(out, "](%s)", s->url);
	} else if (streq(s->type, "code")) {
		if (has(s, "`") || has(s, "\n"))
			return false;
		buf_puts(out, "`");
		buf_put(out, s->p, s->n);
		buf_puts(out, "`");
	} else if (streq(s->type, "pre")) {
		if (has(s, "```"))
			return false;
		if (out->len && out->p[out->len - 1] != '\n')
			buf_puts(out, "\n");
		buf_putf(out, "```%s\n", word_ok(s->lang, "`") ? s->lang : "");
		buf_put(out, s->p, s->n);
		buf_puts(out, s->p[s->n - 1] == '\n' ? "```" : "\n```");
		if (s->p[s->n] && s->p[s->n] != '\n')
			buf_puts(out, "\n");
	} else {
		return false;
	}
	return true;
}

static bool is_me(const char *p, size_t n, const struct tg_me *me)
{
	return n && strlen(me->name) == n && !strncasecmp(p, me->name, n);
}

/* The length of "@me" behind a command to us, and whom it is for. */
static size_t command(const struct span *s, const struct tg_me *me, struct tg_marks *marks)
{
	const char *at = memchr(s->p, '@', s->n);
	size_t n = at ? s->n - (size_t)(at - s->p) : 0;

	if (!at || is_me(at + 1, n - 1, me))
		marks->command = true;
	else
		marks->foreign = true;
	return marks->command ? n : 0;
}

void tg_text(struct buf *out, const char *text, const cJSON *entities, const struct tg_me *me,
	     struct tg_marks *marks)
{
	size_t n = strlen(text), done = 0, count = 0;
	const cJSON *entity;
	struct span s;

	if (n > ENTITIES_TEXT_MAX)
		entities = NULL;
	cJSON_ArrayForEach(entity, entities)
	{
		if (++count > ENTITIES_MAX)
			break;
		if (!span_of(&s, entity, text, n))
			continue;
		if (streq(s.type, "mention"))
			marks->mention |= is_me(s.p + 1, s.n - 1, me);
		else if (streq(s.type, "text_mention"))
			marks->mention |= me->id && s.user == me->id;
		if (s.at < done)
			continue; /* inside of what is written already */
		if (streq(s.type, "bot_command") && s.at == 0) {
			size_t cut = command(&s, me, marks);

			buf_put(out, s.p, s.n - cut);
			done = s.n;
			continue;
		}
		buf_put(out, text + done, s.at - done);
		done = s.at;
		if (put_span(out, &s))
			done += s.n;
		else if (streq(s.type, "text_link") && word_ok(s.url, "")) {
			buf_put(out, s.p, s.n);
			buf_putf(out, " (%s)", s.url);
			done += s.n;
		}
	}
	buf_put(out, text + done, n - done);
}

/* --- what HTML shows ----------------------------------------------------------------------- */

/* The entity at p ("&...;"): its bytes in out, *len of the source; 0 = none. */
static size_t entity_at(const char *p, char out[6], size_t *len)
{
	static const struct {
		const char *name;
		char c;
	} named[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};
	char *end;
	unsigned long c;

	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		if (str_starts(p, named[i].name)) {
			*len = strlen(named[i].name);
			out[0] = named[i].c;
			return 1;
		}
	}
	if (p[1] != '#' || p[2] == '-' || p[2] == '+' || p[2] == ' ')
		return 0;
	c = p[2] == 'x' ? strtoul(p + 3, &end, 16) : strtoul(p + 2, &end, 10);
	if (*end != ';' || !c || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*len = (size_t)(end + 1 - p);
	return (size_t)g_unichar_to_utf8((gunichar)c, out);
}

/* Takes one thing from *p: a tag (0; *tag is what stands between < and >), or a character (its bytes, at most 4, in out). */
static size_t html_step(const char **p, char out[6], struct str *tag)
{
	const char *s = *p, *end;
	size_t len = 0, n;

	if (*s == '<' && (end = strchr(s, '>'))) {
		*tag = (struct str){s + 1, (size_t)(end - s - 1)};
		*p = end + 1;
		return 0;
	}
	n = *s == '&' ? entity_at(s, out, &len) : 0;
	if (!n) {
		n = len = str_utf8_seq(s, strnlen(s, 4));
		if (!n)
			n = len = 1;
		memcpy(out, s, n);
	}
	*p = s + len;
	return n;
}

size_t tg_units(const char *html)
{
	size_t units = 0;
	struct str tag;
	char c[6];

	while (*html) {
		size_t n = html_step(&html, c, &tag);

		units += n == 4 ? 2 : n ? 1 : 0;
	}
	return units;
}

static bool tag_is(struct str tag, const char *lit)
{
	return tag.n == strlen(lit) && !memcmp(tag.p, lit, tag.n);
}

char *tg_plain(const char *html, bool links)
{
	static const char href[] = "a href=\"";
	struct buf out = {0};
	char *url = NULL, c[6];
	size_t begin = 0;
	struct str tag;

	buf_puts(&out, "");
	while (*html) {
		size_t n = html_step(&html, c, &tag);

		if (n) {
			buf_put(&out, c, n);
		} else if (links && !url && tag.n > sizeof(href) && str_starts(tag.p, href)) {
			_cleanup_free_ char *raw =
				xstrndup(tag.p + sizeof(href) - 1, tag.n - sizeof(href));
			url = tg_plain(raw, false);
			begin = out.len;
		} else if (url && tag_is(tag, "/a")) {
			if (!streq(url, out.p + begin))
				buf_putf(&out, " (%s)", url);
			free(steal_ptr(&url));
		}
	}
	free(url);
	return buf_steal(&out);
}

/* --- reactions ----------------------------------------------------------------------------- */

const char *tg_reaction(const char *emoji)
{
	/* core.telegram.org/bots/api#reactiontypeemoji, the whole list; none has U+FE0F */
	static const char *const known[] = {
		"👍",	"👎",	"❤",	"🔥",	"🥰", "👏",	"😁",	      "🤔", "🤯",
		"😱",	"🤬", "😢",	"🎉",	"🤩", "🤮", "💩",	      "🙏",    "👌",
		"🕊", "🤡", "🥱", "🥴", "😍",	"🐳",	"❤‍🔥", "🌚",    "🌭",
		"💯",	"🤣", "⚡",	"🍌",	"🏆",	"💔",	"🤨",	      "😐",    "🍓",
		"🍾", "💋",	"🖕", "😈",	"😴",	"😭",	"🤓",	      "👻",    "👨‍💻",
		"👀",	"🎃",	"🙈",	"😇",	"😨",	"🤝", "✍",	      "🤗", "🫡",
		"🎅",	"🎄",	"☃",	"💅",	"🤪", "🗿",	"🆒",	      "💘",    "🙉",
		"🦄", "😘",	"💊",	"🙊",	"😎",	"👾",	"🤷‍♂", "🤷", "🤷‍♀",
		"😡"};
	char bare[32];
	size_t n = 0;

	/* others write some of them with the mark for "as an image" */
	for (const char *s = emoji; *s; s++) {
		if (str_starts(s, "\xef\xb8\x8f")) {
			s += 2;
			continue;
		}
		if (n + 1 == sizeof(bare))
			return NULL;
		bare[n++] = *s;
	}
	bare[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (streq(known[i], bare))
			return known[i];
	return NULL;
}
