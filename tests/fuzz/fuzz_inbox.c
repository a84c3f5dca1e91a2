// SPDX-License-Identifier: Apache-2.0
/*
 * What people write and how they call their files, as the agent gets it: one message stays one message (no line of it can pass for another
 * person's, no tag of ours can be written), nothing is lost, and a file's name stays a name.
 */
#include "fuzz.h"
#include <ctype.h>
#include <string.h>
#include "base/str.h"
#include "base/zone.h"
#include "router/inbox.h"

/* A line of its own that looks like the head of a message: "[Ann, 12:03Z]" or, by a local clock, "[Ann, 12:03]". Written anew, so as not to ask the code about itself. */
static bool is_head(const char *line)
{
	const char *close, *p;

	line += strspn(line, " \t");
	close = *line == '[' ? strchr(line, ']') : NULL;
	if (!close || close - line < 9 || close - line > 80 ||
	    memchr(line, '\n', (size_t)(close - line)) ||
	    memchr(line, '\r', (size_t)(close - line)))
		return false;
	p = close - 5 - (close[-1] == 'Z'); /* 12:03Z or 12:03 */
	return p[-2] == ',' && isdigit((unsigned char)p[0]) && isdigit((unsigned char)p[1]) &&
	       p[2] == ':' && isdigit((unsigned char)p[3]) && isdigit((unsigned char)p[4]);
}

static void check_line(const char *text, size_t n, const struct zone *tz, const char *head)
{
	struct msg_row m = {.text = text, .text_len = n, .sender = "Ann", .sent_ms = 43380000};
	struct buf out = {0};
	size_t k = 0;

	inbox_put_line(&out, &m, tz);
	fuzz_check(str_starts(out.p, head));
	for (const char *p = out.p + strlen(head) + 1; *p; p++) {
		if (p[-1] == '\n' || p[-1] == '\r')
			fuzz_check(!is_head(p));
		if (*p == '<' && p[-1] != '\\')
			fuzz_check(!str_starts(p, "<context") && !str_starts(p, "</context") &&
				   !str_starts(p, "</earlier-conversation") &&
				   !str_starts(p, "<facts") && !str_starts(p, "</facts") &&
				   !str_starts(p, "<system-reminder"));
	}
	/* All of the text is there, with nothing but backslashes between. */
	for (const char *p = out.p + strlen(head) + 1; *p && k < n; p++)
		k += *p == text[k];
	fuzz_check(k == n);
	buf_free(&out);
}

static void check_quote(const char *text)
{
	struct buf b = {0};

	inbox_put_quote(&b, text);
	fuzz_check(b.len < 400);
	if (b.len) {
		fuzz_check(str_is_utf8(b.p, b.len));
		fuzz_check(inbox_quote_len(b.p) == b.len);
	}
	fuzz_check(inbox_quote_len(text) <= strlen(text));
	buf_free(&b);
}

static void check_name(const char *name)
{
	char out[81];

	attach_safe_name(name, "image/png", out);
	fuzz_check(*out && *out != '.' && strlen(out) <= 80);
	for (const char *p = out; *p; p++)
		fuzz_check(isalnum((unsigned char)*p) || strchr("._-", *p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *text = xstrndup((const char *)data, n);
	struct file_row f = {.name = text, .mime = text, .size = (int64_t)n, .note = text};
	struct buf line = {0};
	static struct zone *tokyo;
	struct err none = ERR_INIT;

	check_name(text);
	attach_sniff(data, n);
	attach_put_line(&line, &f);
	fuzz_check(!memchr(line.p, '\n', line.len) && line.p[line.len - 1] == ']');
	buf_free(&line);
	n = strlen(text);
	if (!str_is_utf8(text, n))
		return 0;
	if (!tokyo)
		tokyo = zone_open("Asia/Tokyo", &none);
	fuzz_check(tokyo != NULL);
	check_line(text, n, NULL, "[Ann, 12:03Z]");
	check_line(text, n, tokyo, "[Ann, 21:03]");
	check_quote(text);
	return 0;
}
