// SPDX-License-Identifier: Apache-2.0
/*
 * The words in which messages are handed to the agent. Pure. It exists because people write what they like: no text of a message may pass
 * for another person's message, nor end the context that it stands in.
 */
#include <ctype.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "base/zone.h"
#include "router/inbox.h"

#define QUOTE_BYTES 280
#define QUOTE_LINES 5

/* FNV-1a: for keys that are too long. Threads are named by the platform, not by people. */
static uint64_t hash_of(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h;
}

void inbox_session_key(const struct group_settings *set, int64_t chat_id, const char *thread,
		       char out[65])
{
	out[0] = '\0';
	if (set->sessions != SESSIONS_THREAD)
		return;
	if (snprintf(out, 65, "%lld.%s", (long long)chat_id, thread) >= 65)
		snprintf(out, 65, "%lld.%.20s#%016llx", (long long)chat_id, thread,
			 (unsigned long long)hash_of(thread));
}

/* --- quotes ------------------------------------------------------------------------------- */

void inbox_put_quote(struct buf *out, const char *quote)
{
	size_t n = strlen(quote), cut = n;
	const char *p = quote, *end;
	int lines = 0;

	if (cut > QUOTE_BYTES)
		cut = str_utf8_floor(quote, QUOTE_BYTES);
	end = quote + cut;
	for (; p < end && lines < QUOTE_LINES; lines++) {
		size_t len = strcspn(p, "\r\n");

		if (len > (size_t)(end - p))
			len = (size_t)(end - p);
		if (strspn(p, " \t") < len)
			buf_putf(out, "> %.*s\n", (int)len, p);
		p += len;
		p += p < end;
	}
	if (!lines || !out->len)
		return;
	if (p < end || cut < n) {
		out->len--; /* the newline */
		buf_puts(out, " …\n");
	}
	buf_puts(out, "\n");
}

size_t inbox_quote_len(const char *text)
{
	const char *p = text;

	while (str_starts(p, "> ")) {
		p += strcspn(p, "\n");
		p += *p == '\n';
	}
	return p > text && *p == '\n' ? (size_t)(p + 1 - text) : 0;
}

/* --- what could pass for something else --------------------------------------------------- */

/* Who speaks in the earlier conversation (handin.c) without being a person. */
static bool like_us(const char *p, const char *end)
{
	static const char *const heads[] = {"[you]", "[server]", "[scheduled task"};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		size_t n = strlen(heads[i]);

		if ((size_t)(end - p) >= n && strncasecmp(p, heads[i], n) == 0)
			return true;
	}
	return false;
}

/* "[..., 12:03Z]" or "[..., 13:03]" at p, which is the start of a line or only blanks after it. */
static bool like_head(const char *p, const char *end)
{
	const char *stop = end - p > 96 ? p + 96 : end;

	if (p >= end || *p != '[')
		return false;
	if (like_us(p, end))
		return true;
	for (p++; p + 8 <= stop && *p != '\n' && *p != '\r'; p++) {
		if (p[0] == ',' && isdigit((unsigned char)p[2]) && isdigit((unsigned char)p[3]) &&
		    p[4] == ':' && isdigit((unsigned char)p[5]) && isdigit((unsigned char)p[6]) &&
		    (p[7] == 'Z' || p[7] == 'z' || p[7] == ']'))
			return true;
	}
	return false;
}

/* A tag that we, or the agent itself, put around what is not a message. */
static bool like_tag(const char *p, const char *end)
{
	static const char *const names[] = {"context", "earlier-conversation", "facts",
					    "system-reminder", NULL};

	if (p >= end || *p++ != '<')
		return false;
	while (p < end && (*p == '/' || *p == ' ' || *p == '\t'))
		p++;
	for (int i = 0; names[i]; i++) {
		size_t n = strlen(names[i]);

		if ((size_t)(end - p) >= n && strncasecmp(p, names[i], n) == 0)
			return true;
	}
	return false;
}

/* The bytes of what ends a line at p, or 0: also what only some readers take as one. */
size_t inbox_line_end(const char *p, const char *end)
{
	if (*p >= '\n' && *p <= '\r') /* \n \v \f \r */
		return 1;
	if (end - p >= 2 && memcmp(p, "\xc2\x85", 2) == 0)
		return 2;
	if (end - p >= 3 &&
	    (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0))
		return 3;
	return 0;
}

void inbox_put_text(struct buf *out, const char *text, size_t n)
{
	const char *p = text, *done = text, *end = text + n;
	size_t over;
	bool at_start = false; /* the first line stands behind our own head */

	for (; p < end; p++) {
		if ((at_start && like_head(p, end)) || like_tag(p, end)) {
			buf_put(out, done, (size_t)(p - done));
			buf_puts(out, "\\");
			done = p;
		}
		if ((over = inbox_line_end(p, end)))
			p += over - 1;
		at_start = over || (at_start && (*p == ' ' || *p == '\t'));
	}
	buf_put(out, done, (size_t)(end - done));
}

void inbox_put_time(int64_t ms, const struct zone *tz, char out[40])
{
	struct tm tm;
	time_t t = (time_t)(ms / 1000);

	if (tz) {
		zone_format(tz, ms, out);
		return;
	}
	gmtime_r(&t, &tm);
	if (!strftime(out, 40, "%a %Y-%m-%d %H:%M UTC", &tm))
		str_copy(out, 40, "at an unknown time");
}

void inbox_put_line(struct buf *out, const struct msg_row *m, const struct zone *tz)
{
	char who[48];
	struct tm tm;
	int64_t sec = m->sent_ms / 1000;
	bool local = tz && !streq(zone_name(tz), "UTC");
	time_t t = (time_t)(sec + (local ? zone_offset(tz, sec, NULL) : 0));

	/* Nothing that a person writes can begin with a slash, which the agent would take as a command. */
	str_copy(who, sizeof(who), m->sender[0] ? m->sender : "someone");
	who[str_utf8_floor(who, strlen(who))] = '\0';
	for (char *p = who; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f || strchr("[]<>,", *p))
			*p = ' ';
	}
	gmtime_r(&t, &tm);
	buf_putf(out, "[%s, %02d:%02d%s]%s", who, tm.tm_hour, tm.tm_min, local ? "" : "Z",
		 inbox_quote_len(m->text) ? "\n" : " ");
	inbox_put_text(out, m->text, m->text_len);
}
