// SPDX-License-Identifier: Apache-2.0
/*
 * Frames of Slack's Socket Mode and messages of its history. What is read must be UTF-8 of bounded size with ids of Slack's shape, and its
 * markup must render without a crash, the same with and without names.
 */
#include <string.h>
#include "base/str.h"
#include "channels/slack/slack.h"
#include "fuzz.h"

static const struct slack_self self = {
	.user = "U0ME", .bot = "B0ME", .team = "T1", .name = "Chela"};

static const char *named(void *ctx, char kind, const char *id)
{
	int *calls = ctx;

	fuzz_check(kind == 'U' || kind == 'C');
	fuzz_check(slack_is_id(id));
	(*calls)++;
	return *calls % 2 ? "alice" : NULL;
}

static void check_text(const char *raw)
{
	struct buf b = {0};
	int asked = 0, put = 0;

	slack_text(NULL, raw, named, &asked);
	slack_text(&b, raw, named, &put);
	fuzz_check(asked == put);
	fuzz_check(str_is_utf8(b.p ? b.p : "", b.len));
	slack_text_mentions(raw, self.user);
	buf_free(&b);
}

static void check_event(const struct slack_event *ev)
{
	char emoji[128];

	if (!ev->use)
		return;
	fuzz_check(slack_is_id(ev->chat) && slack_is_id(ev->user));
	fuzz_check(!*ev->thread || slack_is_ts(ev->thread));
	fuzz_check(!*ev->target || slack_is_ts(ev->target));
	fuzz_check(*ev->id && strlen(ev->id) < SLACK_KEY);
	fuzz_check(str_is_utf8(ev->raw, strlen(ev->raw)));
	fuzz_check(*ev->raw || ev->n_files || ev->kind != INBOUND_MESSAGE);
	for (size_t i = 0; i < ev->n_files; i++)
		fuzz_check(strlen(ev->files[i].ref) <= 2000 && ev->files[i].size >= -1);
	check_text(ev->raw);
	check_text(ev->quote);
	if (ev->kind == INBOUND_REACTION)
		fuzz_check(str_is_utf8(slack_emoji_text(ev->raw, emoji, sizeof(emoji)),
				       strlen(slack_emoji_text(ev->raw, emoji, sizeof(emoji)))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slack_frame f = {0};
	struct slack_event ev;
	struct err e = ERR_INIT;
	cJSON *msg;

	if (slack_frame_parse((const char *)data, n, &self, &f, &e) == 0) {
		fuzz_check(f.type != SLACK_FRAME_ENVELOPE || *f.envelope);
		check_event(&f.ev);
		slack_event_free(&f.ev);
	}
	msg = json_parse((const char *)data, n, 1 << 20, &e);
	if (msg) {
		slack_message_parse(msg, "C1", &self, &ev);
		check_event(&ev);
		slack_event_free(&ev);
	}
	return 0;
}
