// SPDX-License-Identifier: Apache-2.0
/*
 * A question with buttons as Block Kit: sections of at most 3,000 characters, then rows of buttons. Pure. The body is cut only where no
 * link or entity is cut. (https://docs.slack.dev/reference/block-kit/blocks)
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"

#define SECTION_MAX 3000 /* code points */
#define ROW_MAX	    25	 /* buttons of one actions block */

/* The bytes of s that fit one section: up to the last line's end, or else the last blank outside a tag. */
static size_t section_len(const char *s)
{
	size_t points = 0, i, line = 0, blank = 0, safe = 0;
	bool in_tag = false, in_entity = false;

	for (i = 0; s[i]; i++) {
		if (((unsigned char)s[i] & 0xc0) == 0x80)
			continue;
		if (!in_tag && !in_entity)
			safe = i;
		if (points++ == SECTION_MAX)
			break;
		if (s[i] == '<' || s[i] == '>')
			in_tag = s[i] == '<';
		if (s[i] == '&' || s[i] == ';')
			in_entity = s[i] == '&';
		if (!in_tag && s[i] == '\n')
			line = i + 1;
		else if (!in_tag && s[i] == ' ')
			blank = i + 1;
	}
	if (!s[i])
		return i;
	return line ? line : blank ? blank : safe ? safe : i;
}

static void put_button(struct buf *b, const struct out_button *o, size_t i)
{
	buf_putf(b,
		 "%s{\"type\":\"button\",\"action_id\":\"chela_%zu\",\"text\":{\"type\":"
		 "\"plain_text\",\"emoji\":true,\"text\":",
		 i % ROW_MAX ? "," : "", i);
	json_put_str(b, o->label, strlen(o->label));
	buf_puts(b, "},\"value\":");
	json_put_str(b, o->value, strlen(o->value));
	buf_puts(b, "}");
}

void slack_arg_question(struct buf *form, const char *body, const struct out_button *o, size_t n)
{
	struct buf b = {0};

	buf_puts(&b, "[");
	while (*body) {
		size_t len = section_len(body);

		buf_putf(&b, "%s{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":",
			 b.len > 1 ? "," : "");
		json_put_str(&b, body, len);
		buf_puts(&b, "}}");
		body += len;
	}
	for (size_t i = 0; i < n; i++) {
		if (i % ROW_MAX == 0)
			buf_putf(&b, "%s%s{\"type\":\"actions\",\"elements\":[", i ? "]}" : "",
				 b.len > 1 ? "," : "");
		put_button(&b, &o[i], i);
	}
	buf_puts(&b, n ? "]}]" : "]");
	slack_arg(form, "blocks", b.p);
	buf_free(&b);
}
