// SPDX-License-Identifier: Apache-2.0
/*
 * Telegram's updates and texts: any JSON gives a thing of the contract, whole and in UTF-8, or an error; no byte of a person's text
 * is lost by its entities; what HTML shows has as many units as are counted.
 */
#include "fuzz.h"
#include <string.h>
#include "base/str.h"
#include "channels/telegram/telegram.h"

static const struct tg_me me = {.id = 77, .name = "chela_bot"};

static void check_text(const char *s)
{
	fuzz_check(s && str_is_utf8(s, strlen(s)));
}

static void check_inbound(const struct inbound *m)
{
	check_text(m->chat);
	check_text(m->chat_title);
	check_text(m->thread);
	check_text(m->id);
	check_text(m->target);
	check_text(m->quote);
	check_text(m->sender);
	check_text(m->sender_name);
	check_text(m->sender_alt);
	check_text(m->text);
	fuzz_check(*m->chat && *m->id && *m->sender && *m->sender_name);
	fuzz_check(tg_is_id(m->chat) && (!*m->thread || tg_is_id(m->thread)));
	fuzz_check(strlen(m->text) == m->text_len);
	fuzz_check(m->sent_ms >= 0);
	fuzz_check(m->kind == INBOUND_MESSAGE || *m->target);
	fuzz_check(m->kind == INBOUND_REACTION || m->kind == INBOUND_PRESS || m->text_len ||
		   m->n_files);
	for (size_t i = 0; i < m->n_files; i++) {
		check_text(m->files[i].name);
		check_text(m->files[i].mime);
		check_text(m->files[i].ref);
		fuzz_check(*m->files[i].ref && strlen(m->files[i].ref) <= 2000);
		fuzz_check(m->files[i].size >= -1);
	}
}

static void check_update(const cJSON *j)
{
	struct err e = ERR_INIT;
	struct tg_update u;
	struct tg_me who;

	if (tg_parse_update(j, &me, &u, &e) == 0) {
		fuzz_check(u.id >= 0);
		if (u.kind == TG_INBOUND)
			check_inbound(&u.in);
		if (u.kind == TG_MOVED)
			fuzz_check(*u.moved_to);
	} else {
		fuzz_check(e.code == E_PROTO);
	}
	tg_update_free(&u);
	if (tg_parse_me(j, &who, &e) == 0)
		fuzz_check(who.name[0]);
}

/* Each byte of the text is in the Markdown, in order. */
static void check_entities(const cJSON *j)
{
	const char *text = json_peek_str(j, "message.text");
	_cleanup_(buf_free) struct buf out = {0};
	struct tg_marks marks = {0};
	const char *at;

	if (!text)
		return;
	tg_text(&out, text, json_find(j, "message.entities"), &me, &marks);
	fuzz_check(str_is_utf8(out.p, out.len));
	if (marks.command)
		return; /* "@me" is taken off */
	at = out.p;
	for (; *text; text++) {
		at = strchr(at, *text);
		fuzz_check(at);
		at++;
	}
}

static void check_html(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *html = xstrndup((const char *)data, n);
	_cleanup_free_ char *links = NULL, *bare = NULL, *escaped = NULL;
	struct buf b = {0};

	bare = tg_plain(html, false);
	links = tg_plain(html, true);
	fuzz_check(strlen(bare) <= strlen(links));
	fuzz_check(strlen(bare) <= strlen(html));
	buf_puts(&b, "");
	for (const char *s = bare; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&')
			buf_puts(&b, *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : "&amp;");
		else
			buf_put(&b, s, 1);
	}
	escaped = buf_steal(&b);
	if (str_is_utf8(html, strlen(html)))
		fuzz_check(tg_units(escaped) == tg_units(html));
	(void)tg_reaction(bare);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;

	j = json_parse((const char *)data, n, 1 << 16, &e);
	if (j) {
		check_update(j);
		check_entities(j);
	}
	check_html(data, n);
	return 0;
}
