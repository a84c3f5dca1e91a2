// SPDX-License-Identifier: Apache-2.0
/* Slack's wire without a wire: frames, events, markup, emoji, addresses, errors, configuration. */
#include "unit.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/slack/slack.h"

static const struct slack_self self = {
	.user = "U0ME", .bot = "B0ME", .team = "T1", .name = "Chela"};

static const char *name_of(void *ctx, char kind, const char *id)
{
	(void)ctx;
	if (streq(id, "U0ME"))
		return "Chela";
	if (streq(id, "U1"))
		return "alice";
	return kind == 'C' && streq(id, "C1") ? "general" : NULL;
}

static void is_text(const char *raw, const char *want)
{
	struct buf b = {0};

	slack_text(&b, raw, name_of, NULL);
	assert_string_equal(b.p ? b.p : "", want);
	buf_free(&b);
}

static void markup_becomes_markdown(void **state)
{
	(void)state;
	is_text("", "");
	is_text("a &lt;b&gt; &amp;amp; &quot;", "a <b> &amp; &quot;");
	is_text("<@U1> and <@U1|al> in <#C1> <#C9|x> <#C9>",
		"@alice and @alice in #general #x #C9");
	is_text("<@U9> <@U9|bob> <@>", "@U9 @bob @");
	is_text("<!here> <!channel> <!subteam^S1> <!subteam^S1|@ops> <!date^1^{d}|today>",
		"@here @channel @subteam @ops today");
	is_text("<https://a.org> <https://a.org/x|a [b]> <http://a.org|a.org> <mailto:a@b|a@b>",
		"https://a.org [a [b\\]](https://a.org/x) a.org a@b");
	is_text("<https://a.org/(x)|y&amp;z>", "[y&z](https://a.org/(x\\))");
	is_text("1 < 2 <\n> <never", "1 < 2 <\n> <never");
	is_text("<a<@U1>", "<a@alice");
	is_text("*bold* _it_ ~no~ `<https://a.org>`", "*bold* _it_ ~no~ `https://a.org`");
}

static struct slack_frame frame(const char *text)
{
	struct slack_frame f = {0};
	struct err e = ERR_INIT;

	assert_ok(slack_frame_parse(text, strlen(text), &self, &f, &e), &e);
	return f;
}

static struct slack_frame event(const char *json)
{
	_cleanup_free_ char *text =
		xasprintf("{\"type\":\"events_api\",\"envelope_id\":\"e1\",\"payload\":{\"type\":"
			  "\"event_callback\",\"event_id\":\"Ev1\",\"event\":%s}}",
			  json);

	return frame(text);
}

static void frames_have_types(void **state)
{
	struct slack_frame f;
	struct err e = ERR_INIT;

	(void)state;
	f = frame(
		"{\"type\":\"hello\",\"num_connections\":3,\"connection_info\":{\"app_id\":\"A\"}}");
	assert_int_equal(f.type, SLACK_FRAME_HELLO);
	assert_int_equal(f.num_connections, 3);
	f = frame("{\"type\":\"disconnect\",\"reason\":\"warning\"}");
	assert_int_equal(f.type, SLACK_FRAME_DISCONNECT);
	assert_int_equal(f.reason, SLACK_REFRESH);
	assert_int_equal(frame("{\"type\":\"disconnect\",\"reason\":\"link_disabled\"}").reason,
			 SLACK_LINK_DISABLED);
	assert_int_equal(
		frame("{\"type\":\"disconnect\",\"reason\":\"too_many_websockets\"}").reason,
		SLACK_TOO_MANY);
	assert_int_equal(frame("{\"type\":\"disconnect\"}").reason, SLACK_REFRESH);
	assert_int_equal(frame("{\"type\":\"news\"}").type, SLACK_FRAME_OTHER);
	/* An envelope that is not understood is one all the same. */
	f = frame("{\"type\":\"news\",\"envelope_id\":\"e9\",\"payload\":7}");
	assert_int_equal(f.type, SLACK_FRAME_ENVELOPE);
	assert_string_equal(f.envelope, "e9");
	assert_false(f.ev.use);
	slack_event_free(&f.ev);
	f = frame(
		"{\"type\":\"events_api\",\"envelope_id\":\"e1\",\"payload\":{\"type\":\"app_rate_limited\"}}");
	assert_int_equal(f.type, SLACK_FRAME_ENVELOPE);
	assert_false(f.ev.use);
	slack_event_free(&f.ev);
	assert_err(slack_frame_parse("{}", 2, &self, &f, &e), &e, E_PROTO, "type");
	assert_err(slack_frame_parse("hi", 2, &self, &f, &e), &e, E_PROTO, "");
	assert_err(slack_frame_parse("{\"type\":\"x\",\"envelope_id\":\"\"}", 29, &self, &f, &e),
		   &e, E_PROTO, "id");
}

/* One line of what the core would see, or "-". */
static void reads(const char *json, const char *want)
{
	struct slack_frame f = event(json);
	struct slack_event *ev = &f.ev;
	char line[512];

	snprintf(line, sizeof(line), "%d %s/%s %s>%s %s%s%s%s %s", ev->kind, ev->chat, ev->thread,
		 ev->id, ev->target, ev->user, ev->direct ? " direct" : "",
		 ev->addressed ? " addressed" : "", ev->forwarded ? " forwarded" : "",
		 ev->raw ? ev->raw : "");
	assert_string_equal(ev->use ? line : "-", want);
	slack_event_free(ev);
}

#define MSG "\"type\":\"message\",\"channel\":\"C1\""

static void messages_have_threads_and_addressees(void **state)
{
	(void)state;
	reads("{" MSG ",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1700000001.000100\"}",
	      "0 C1/1700000001.000100 1700000001.000100> U1 hi");
	reads("{" MSG
	      ",\"user\":\"U1\",\"text\":\"<@U0ME> hi\",\"ts\":\"1.1\",\"thread_ts\":\"0.9\"}",
	      "0 C1/0.9 1.1>0.9 U1 addressed <@U0ME> hi");
	reads("{\"type\":\"app_mention\",\"channel\":\"C1\",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1.1\"}",
	      "0 C1/1.1 1.1> U1 addressed hi");
	reads("{\"type\":\"message\",\"channel\":\"D1\",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1.1\"}",
	      "0 D1/ 1.1> U1 direct addressed hi");
	/* A direct chat may have threads too; its first message, once it has one, names itself. */
	reads("{\"type\":\"message\",\"channel\":\"D1\",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1.1\",\"thread_ts\":\"1.1\"}",
	      "0 D1/ 1.1> U1 direct addressed hi");
	reads("{\"type\":\"message\",\"channel\":\"D1\",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1.2\",\"thread_ts\":\"1.1\"}",
	      "0 D1/1.1 1.2>1.1 U1 direct addressed hi");
	/* A reply to a message of ours. */
	reads("{" MSG
	      ",\"user\":\"U1\",\"text\":\"hi\",\"ts\":\"1.2\",\"thread_ts\":\"1.1\",\"parent_user_id\":\"U0ME\"}",
	      "0 C1/1.1 1.2>1.1 U1 addressed hi");
	/* Ours, another bot's, and what is no message of a person. */
	reads("{" MSG ",\"user\":\"U0ME\",\"text\":\"hi\",\"ts\":\"1.1\"}", "-");
	reads("{" MSG ",\"bot_id\":\"B0ME\",\"text\":\"hi\",\"ts\":\"1.1\"}", "-");
	reads("{" MSG
	      ",\"subtype\":\"bot_message\",\"bot_id\":\"B7\",\"username\":\"ci\",\"text\":\"<@U0ME>\",\"ts\":\"1.1\"}",
	      "0 C1/1.1 1.1> B7 <@U0ME>");
	reads("{" MSG
	      ",\"subtype\":\"channel_join\",\"user\":\"U1\",\"text\":\"joined\",\"ts\":\"1.1\"}",
	      "-");
	reads("{" MSG
	      ",\"subtype\":\"thread_broadcast\",\"user\":\"U1\",\"text\":\"x\",\"ts\":\"1.2\",\"thread_ts\":\"1.1\"}",
	      "0 C1/1.1 1.2>1.1 U1 x");
	/* Torn ones. */
	reads("{" MSG ",\"user\":\"U1\",\"text\":\"hi\"}", "-");
	reads("{" MSG ",\"user\":\"u/../1\",\"text\":\"hi\",\"ts\":\"1.1\"}", "-");
	reads("{" MSG ",\"user\":\"U1\",\"text\":\"\",\"ts\":\"1.1\"}", "-");
	reads("{" MSG ",\"user\":\"U1\",\"text\":7,\"ts\":\"1.1\"}", "-");
	reads("{\"type\":\"message\",\"channel\":{\"id\":\"C1\"},\"user\":\"U1\",\"ts\":\"1.1\",\"text\":\"x\"}",
	      "-");
	/* Shared with a word of one's own: that is said. Without one: nothing of it is. */
	reads("{" MSG
	      ",\"user\":\"U1\",\"text\":\"look\",\"ts\":\"1.1\",\"attachments\":[{\"is_share\":true,\"text\":\"old\"}]}",
	      "0 C1/1.1 1.1> U1 look");
	reads("{" MSG
	      ",\"user\":\"U1\",\"text\":\"\",\"ts\":\"1.1\",\"attachments\":[{\"is_share\":true,\"text\":\"old\"}]}",
	      "0 C1/1.1 1.1> U1 forwarded old");
}

static void changes_and_reactions(void **state)
{
	(void)state;
	reads("{" MSG
	      ",\"subtype\":\"message_changed\",\"message\":{\"user\":\"U1\",\"text\":\"new\",\"ts\":\"1.1\","
	      "\"edited\":{\"user\":\"U1\",\"ts\":\"2.0\"}},\"previous_message\":{\"text\":\"old\",\"ts\":\"1.1\"}}",
	      "1 C1/1.1 1.1/e2.0>1.1 U1 new");
	/* An unfurled link, a thread that grew, a stream of ours. */
	reads("{" MSG
	      ",\"subtype\":\"message_changed\",\"message\":{\"user\":\"U1\",\"text\":\"x\",\"ts\":\"1.1\"},"
	      "\"previous_message\":{\"text\":\"x\",\"ts\":\"1.1\"}}",
	      "-");
	reads("{" MSG
	      ",\"subtype\":\"message_changed\",\"message\":{\"user\":\"U1\",\"text\":\"x\",\"ts\":\"1.1\","
	      "\"edited\":{\"ts\":\"2.0\"}},\"previous_message\":{\"ts\":\"1.1\",\"edited\":{\"ts\":\"2.0\"}}}",
	      "-");
	reads("{" MSG
	      ",\"subtype\":\"message_changed\",\"message\":{\"user\":\"U0ME\",\"text\":\"x\",\"ts\":\"1.1\","
	      "\"edited\":{\"ts\":\"2.0\"}}}",
	      "-");
	reads("{" MSG
	      ",\"subtype\":\"message_deleted\",\"deleted_ts\":\"1.1\",\"previous_message\":{\"user\":\"U1\","
	      "\"text\":\"x\",\"ts\":\"1.1\"}}",
	      "2 C1/1.1 1.1/d>1.1 U1 ");
	reads("{" MSG ",\"subtype\":\"message_deleted\",\"deleted_ts\":\"1.1\"}",
	      "2 C1/ 1.1/d>1.1 UNKNOWN ");
	reads("{" MSG
	      ",\"subtype\":\"message_changed\",\"message\":{\"subtype\":\"tombstone\",\"ts\":\"1.1\"},"
	      "\"previous_message\":{\"user\":\"U1\",\"ts\":\"1.1\"}}",
	      "2 C1/1.1 1.1/d>1.1 U1 ");
	reads("{\"type\":\"reaction_added\",\"user\":\"U1\",\"reaction\":\"tada\",\"item_user\":\"U0ME\",\"item\":"
	      "{\"type\":\"message\",\"channel\":\"C1\",\"ts\":\"1.1\"},\"event_ts\":\"3.0\"}",
	      "3 C1/ 1.1/r3.0>1.1 U1 addressed tada");
	reads("{\"type\":\"reaction_removed\",\"user\":\"U1\",\"reaction\":\"tada\",\"item\":"
	      "{\"type\":\"message\",\"channel\":\"C1\",\"ts\":\"1.1\"},\"event_ts\":\"3.1\"}",
	      "3 C1/ 1.1/r3.1>1.1 U1 ");
	reads("{\"type\":\"reaction_added\",\"user\":\"U0ME\",\"reaction\":\"eyes\",\"item\":"
	      "{\"type\":\"message\",\"channel\":\"C1\",\"ts\":\"1.1\"},\"event_ts\":\"3.0\"}",
	      "-");
	reads("{\"type\":\"reaction_added\",\"user\":\"U1\",\"reaction\":\"eyes\",\"item\":"
	      "{\"type\":\"file\",\"file\":\"F1\"},\"event_ts\":\"3.0\"}",
	      "-");
}

static void files_have_references(void **state)
{
	struct slack_frame f = event(
		"{" MSG
		",\"subtype\":\"file_share\",\"user\":\"U1\",\"text\":\"\",\"ts\":\"1.1\",\"files\":["
		"{\"id\":\"F1\",\"name\":\"a.png\",\"mimetype\":\"image/png\",\"size\":12,\"mode\":\"hosted\","
		"\"url_private\":\"https://files.slack.com/p\",\"url_private_download\":\"https://files.slack.com/d\"},"
		"{\"id\":\"F2\",\"mode\":\"tombstone\"},{\"id\":\"F3\",\"mode\":\"external\",\"url_private\":\"http://x\"},"
		"{\"id\":\"F4\",\"name\":\"v.m4a\",\"subtype\":\"slack_audio\",\"mimetype\":\"audio/mp4\"}]}");

	(void)state;
	assert_true(f.ev.use);
	assert_int_equal(f.ev.n_files, 2);
	assert_string_equal(f.ev.files[0].ref,
			    "{\"url\":\"https://files.slack.com/d\",\"id\":\"F1\",\"size\":12}");
	assert_int_equal(f.ev.files[0].size, 12);
	assert_true(f.ev.files[1].voice);
	assert_int_equal(f.ev.files[1].size, -1);
	slack_event_free(&f.ev);
}

static void commands_and_presses(void **state)
{
	struct slack_frame f = frame(
		"{\"type\":\"slash_commands\",\"envelope_id\":\"e1\",\"payload\":{\"command\":\"/chela\",\"text\":"
		"\"stop it\",\"user_id\":\"U1\",\"channel_id\":\"C1\",\"trigger_id\":\"1.2.a\"}}");

	(void)state;
	assert_true(f.ev.use && f.ev.addressed);
	assert_string_equal(f.ev.id, "cmd/1.2.a");
	assert_string_equal(f.ev.raw, "/chela stop it");
	assert_string_equal(f.ev.thread, "");
	slack_event_free(&f.ev);
	f = frame(
		"{\"type\":\"interactive\",\"envelope_id\":\"e1\",\"payload\":{\"type\":\"block_actions\",\"user\":"
		"{\"id\":\"U1\"},\"container\":{\"message_ts\":\"1.5\",\"channel_id\":\"C1\"},\"message\":{\"ts\":"
		"\"1.5\",\"thread_ts\":\"1.1\"},\"actions\":[{\"value\":\"b1\",\"action_ts\":\"2.0\"}]}}");
	assert_true(f.ev.use);
	assert_int_equal(f.ev.kind, INBOUND_PRESS);
	assert_string_equal(f.ev.id, "1.5/p2.0");
	assert_string_equal(f.ev.target, "1.5");
	assert_string_equal(f.ev.thread, "1.1");
	assert_string_equal(f.ev.raw, "b1");
	slack_event_free(&f.ev);
	f = frame(
		"{\"type\":\"interactive\",\"envelope_id\":\"e1\",\"payload\":{\"type\":\"shortcut\"}}");
	assert_false(f.ev.use);
	slack_event_free(&f.ev);
}

static void emoji_go_both_ways(void **state)
{
	char name[64], text[128];

	(void)state;
	assert_true(slack_emoji_name("\xf0\x9f\x91\x8d", name, sizeof(name)));
	assert_string_equal(name, "+1");
	assert_true(slack_emoji_name("\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", name, sizeof(name)));
	assert_string_equal(name, "+1::skin-tone-4");
	assert_true(slack_emoji_name("\xe2\x9d\xa4\xef\xb8\x8f", name, sizeof(name)));
	assert_string_equal(name, "heart");
	assert_false(slack_emoji_name("\xf0\x9f\xa6\xa7", name, sizeof(name)));
	assert_false(slack_emoji_name("", name, sizeof(name)));
	assert_string_equal(slack_emoji_text("thumbsup", text, sizeof(text)), "\xf0\x9f\x91\x8d");
	assert_string_equal(slack_emoji_text("wave::skin-tone-2", text, sizeof(text)),
			    "\xf0\x9f\x91\x8b");
	assert_string_equal(slack_emoji_text("party_parrot", text, sizeof(text)), ":party_parrot:");
}

static void token_goes_to_slack_only(void **state)
{
	static const char *const good[] = {
		"https://files.slack.com/a?b=c",
		"https://slack.com/x",
		"https://slack-files.com/x",
		"https://a.slack-edge.com/x",
		"https://files.slack.com/files-pri/T1-F1/a%20b..c",
		"http://127.0.0.1:99/files-pri/x",
	};
	static const char *const bad[] = {
		"http://files.slack.com/a",
		"https://slack.com.evil.example/",
		"https://evilslack.com/",
		"https://slack.com@evil.example/",
		"https://slack.com:8443/x",
		"https://slack.com",
		"https://evil.example/slack.com/",
		"http://127.0.0.1:999/x",
		"https://slack.com\\@evil/x",
		"https://evil.example#.slack.com/",
		"ftp://slack.com/x",
		"https://slack.com/api/chat.postMessage?channel=C1&text=x",
		"https://slack.com//api/auth.revoke",
		"https://slack.com/./api/auth.revoke",
		"https://files.slack.com/x/../api/auth.revoke",
		"https://files.slack.com/x/%2E%2e/api/auth.revoke",
		"https://slack.com/%61pi/auth.revoke",
		"http://127.0.0.1:99/api/auth.revoke",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(slack_url_ok(good[i], "http://127.0.0.1:99"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (slack_url_ok(bad[i], "http://127.0.0.1:99"))
			fail_msg("%s would get the token", bad[i]);
	}
}

static void times_and_errors(void **state)
{
	bool dead, unsure;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(slack_ts_ms("1700000001.123456"), 1700000001123);
	assert_int_equal(slack_ts_ms("1.5"), 1500);
	assert_int_equal(slack_ts_ms("x"), 0);
	assert_false(slack_is_ts("1700000001"));
	assert_false(slack_is_ts("1.2.3"));
	assert_false(slack_is_ts("99999999999999999999.1"));
	assert_int_equal(slack_error_code("not_in_channel", &dead, &unsure), E_GONE);
	assert_int_equal(slack_error_code("token_revoked", &dead, &unsure), E_AUTH);
	assert_true(dead);
	assert_int_equal(slack_error_code("fatal_error", &dead, &unsure), E_TEMP);
	assert_true(unsure);
	assert_int_equal(slack_error_code("brand_new", &dead, &unsure), E_INVAL);
	slack_error_text(&e, SLACK_POST, "missing_scope", "chat:write");
	assert_non_null(
		strstr(e.msg, "chat.postMessage: missing_scope (chat:write): add the scope"));
}

static void form_is_encoded(void **state)
{
	struct buf b = {0};

	(void)state;
	slack_arg(&b, "a", "x y&z=1");
	slack_arg(&b, "b", "\xc3\xa9~");
	assert_string_equal(b.p, "a=x%20y%26z%3D1&b=%C3%A9~");
	buf_free(&b);
}

static int configure(const char *text, void **priv, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = yaml_parse(text, strlen(text), "f", e);
	int rc;

	*priv = NULL;
	assert_non_null(y);
	rc = slack_ops.configure(yaml_at(yaml_root(y), "slack"), "/home", priv, e);
	return rc < 0 ? rc : yaml_finish(y, e);
}

static void configuration_is_checked(void **state)
{
	struct channel c = {.ops = &slack_ops};
	struct slack *s;
	struct err e = ERR_INIT;

	(void)state;
	assert_ok(configure("other: 1\nslack: {app_token_file: \"\"}\n", &c.priv, &e) < 0 ? 0 : -1,
		  &e);
	assert_ok(configure("slack: {app_token_file: \"\", bot_token_file: \"\"}\n", &c.priv, &e),
		  &e);
	assert_null(c.priv);
	assert_ok(configure("slack:\n  app_token_file: secrets/a\n  bot_token_file: /b\n", &c.priv,
			    &e),
		  &e);
	s = c.priv;
	assert_string_equal(s->app_file, "/home/secrets/a");
	assert_string_equal(s->bot_file, "/b");
	assert_string_equal(s->api_url, "https://slack.com/api");
	assert_string_equal(s->origin, "https://slack.com");
	assert_int_equal(s->ping_ms, 15000);
	assert_err(slack_ops.open(&c, &e), &e, E_GONE, "/home/secrets/a");
	slack_ops.close(&c);
	assert_err(configure("slack: {app_token_file: a}\n", &c.priv, &e), &e, E_INVAL,
		   "set bot_token_file too");
	assert_err(
		configure(
			"slack: {app_token_file: a, bot_token_file: b, api_url: 'http://slack.com/api'}\n",
			&c.priv, &e),
		&e, E_INVAL, "unencrypted");
	assert_err(
		configure("slack: {app_token_file: a, bot_token_file: b, ping: 1h}\n", &c.priv, &e),
		&e, E_INVAL, "ping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markup_becomes_markdown),
		cmocka_unit_test(frames_have_types),
		cmocka_unit_test(messages_have_threads_and_addressees),
		cmocka_unit_test(changes_and_reactions),
		cmocka_unit_test(files_have_references),
		cmocka_unit_test(commands_and_presses),
		cmocka_unit_test(emoji_go_both_ways),
		cmocka_unit_test(token_goes_to_slack_only),
		cmocka_unit_test(times_and_errors),
		cmocka_unit_test(form_is_encoded),
		cmocka_unit_test(configuration_is_checked),
	};

	return cmocka_run_group_tests_name("channels_slack", tests, NULL, NULL);
}
