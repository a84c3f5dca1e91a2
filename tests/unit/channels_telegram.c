// SPDX-License-Identifier: Apache-2.0
/*
 * Telegram without a wire: what an update means, entities as Markdown, what HTML shows, the list of reactions, the rates, and the
 * section of the configuration.
 */
#include "unit.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"

static const struct tg_me me = {.id = 77, .name = "chela_bot"};

struct parsed {
	cJSON *j;
	struct tg_update u;
	struct err e;
	int rc;
};

static void parse(struct parsed *p, const char *json)
{
	*p = (struct parsed){0};
	p->j = json_parse(json, strlen(json), 1 << 20, &p->e);
	if (!p->j)
		fail_msg("%s: %s", p->e.msg, json);
	p->rc = tg_parse_update(p->j, &me, &p->u, &p->e);
}

static void drop(struct parsed *p)
{
	tg_update_free(&p->u);
	cJSON_Delete(p->j);
}

#define CHAT_P "\"chat\":{\"id\":5,\"type\":\"private\",\"first_name\":\"Ann\"}"
#define CHAT_G "\"chat\":{\"id\":-1001234567890,\"type\":\"supergroup\",\"title\":\"Work\"}"
#define ANN    "\"from\":{\"id\":5,\"first_name\":\"Ann\",\"last_name\":\"Lee\",\"username\":\"ann\"}"
#define BOT                                                                                        \
	"\"from\":{\"id\":77,\"is_bot\":true,\"first_name\":\"Chela\",\"username\":\"chela_bot\"}"
#define MSG(chat, more)                                                                            \
	"{\"update_id\":9,\"message\":{\"message_id\":31,\"date\":1700000000," chat "," ANN more   \
	"}}"

static void private_text(void **state maybe_unused)
{
	struct parsed p;

	parse(&p, MSG(CHAT_P, ",\"text\":\"hi\""));
	assert_ok(p.rc, &p.e);
	assert_int_equal(p.u.id, 9);
	assert_int_equal(p.u.kind, TG_INBOUND);
	assert_int_equal(p.u.in.kind, INBOUND_MESSAGE);
	assert_string_equal(p.u.in.chat, "5");
	assert_string_equal(p.u.in.chat_title, "Ann");
	assert_true(p.u.in.direct && p.u.in.addressed);
	assert_string_equal(p.u.in.id, "31");
	assert_string_equal(p.u.in.sender, "5");
	assert_string_equal(p.u.in.sender_name, "Ann Lee");
	assert_string_equal(p.u.in.text, "hi");
	assert_int_equal(p.u.in.text_len, 2);
	assert_int_equal(p.u.in.sent_ms, 1700000000000);
	assert_string_equal(p.u.in.thread, "");
	assert_string_equal(p.u.in.target, "");
	assert_string_equal(p.u.in.quote, "");
	assert_string_equal(p.u.in.sender_alt, "");
	drop(&p);
}

static void who_is_addressed(void **state maybe_unused)
{
	static const struct {
		const char *json, *text;
		bool addressed;
	} t[] = {
		{MSG(CHAT_G, ",\"text\":\"hi\""), "hi", false},
		{MSG(CHAT_G,
		     ",\"text\":\"hi @Chela_Bot!\",\"entities\":[{\"type\":\"mention\",\"offset\":"
		     "3,\"length\":10}]"),
		 "hi @Chela_Bot!", true},
		{MSG(CHAT_G,
		     ",\"text\":\"hi @other_one\",\"entities\":[{\"type\":\"mention\",\"offset\":3,"
		     "\"length\":10}]"),
		 "hi @other_one", false},
		{MSG(CHAT_G,
		     ",\"text\":\"you\",\"entities\":[{\"type\":\"text_mention\",\"offset\":0,"
		     "\"length\":3,\"user\":{\"id\":77}}]"),
		 "you", true},
		{MSG(CHAT_G,
		     ",\"text\":\"/new now\",\"entities\":[{\"type\":\"bot_command\",\"offset\":0,"
		     "\"length\":4}]"),
		 "/new now", true},
		{MSG(CHAT_G,
		     ",\"text\":\"/new@chela_bot now\",\"entities\":[{\"type\":\"bot_command\","
		     "\"offset\":0,\"length\":14}]"),
		 "/new now", true},
		{MSG(CHAT_G,
		     ",\"text\":\"/new@other_bot now\",\"entities\":[{\"type\":\"bot_command\","
		     "\"offset\":0,\"length\":14}]"),
		 "/new@other_bot now", false},
		/* a command in the middle is none */
		{MSG(CHAT_G,
		     ",\"text\":\"a /new\",\"entities\":[{\"type\":\"bot_command\",\"offset\":2,"
		     "\"length\":4}]"),
		 "a /new", false},
		{MSG(CHAT_G, ",\"text\":\"yes\",\"reply_to_message\":{\"message_id\":30," BOT
			     ",\"text\":\"Really?\"}"),
		 "yes", true},
		{MSG(CHAT_G, ",\"text\":\"yes\",\"reply_to_message\":{\"message_id\":30," ANN
			     ",\"text\":\"Really?\"}"),
		 "yes", false},
		/* each message of a topic points at the one that made it, and that may be ours */
		{MSG(CHAT_G, ",\"text\":\"yes\",\"reply_to_message\":{\"message_id\":11," BOT
			     ",\"forum_topic_created\":{\"name\":\"Plans\"}}"),
		 "yes", false},
		/* another bot is heard only; an anonymous admin speaks by the id of a bot, too */
		{"{\"update_id\":1,\"message\":{\"message_id\":5,\"date\":1," CHAT_G ","
		 "\"from\":{\"id\":8,\"is_bot\":true,\"first_name\":\"B\"},\"text\":\"/new\",\"entities\":"
		 "[{\"type\":\"bot_command\",\"offset\":0,\"length\":4}]}}",
		 "/new", false},
		{"{\"update_id\":1,\"message\":{\"message_id\":5,\"date\":1," CHAT_G ","
		 "\"from\":{\"id\":8,\"is_bot\":true,\"first_name\":\"B\"},\"sender_chat\":{\"id\":-9,"
		 "\"title\":\"T\"},\"text\":\"/new\",\"entities\":"
		 "[{\"type\":\"bot_command\",\"offset\":0,\"length\":4}]}}",
		 "/new", true},
		{MSG(CHAT_G,
		     ",\"caption\":\"see @chela_bot\",\"photo\":[{\"file_id\":\"a\"}],"
		     "\"caption_entities\":[{\"type\":\"mention\",\"offset\":4,\"length\":10}]"),
		 "see @chela_bot", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct parsed p;

		parse(&p, t[i].json);
		assert_ok(p.rc, &p.e);
		assert_int_equal(p.u.kind, TG_INBOUND);
		assert_string_equal(p.u.in.text, t[i].text);
		if (p.u.in.addressed != t[i].addressed)
			fail_msg("addressed: %s", t[i].json);
		drop(&p);
	}
}

static void threads_and_quotes(void **state maybe_unused)
{
	struct parsed p;

	parse(&p,
	      MSG(CHAT_G, ",\"text\":\"x\",\"message_thread_id\":11,\"is_topic_message\":true"));
	assert_string_equal(p.u.in.thread, "11");
	drop(&p);
	/* General, or a mere reply chain */
	parse(&p, MSG(CHAT_G, ",\"text\":\"x\",\"message_thread_id\":11"));
	assert_string_equal(p.u.in.thread, "");
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"x\",\"reply_to_message\":{\"message_id\":30," ANN
			      ",\"caption\":\"the cat\",\"photo\":[]}"));
	assert_string_equal(p.u.in.target, "30");
	assert_string_equal(p.u.in.quote, "the cat");
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"x\",\"quote\":{\"text\":\"cat\"},\"reply_to_message\":{"
			      "\"message_id\":30," ANN ",\"text\":\"the cat sat\"}"));
	assert_string_equal(p.u.in.quote, "cat");
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"x\",\"reply_to_message\":{\"message_id\":30," ANN
			      ",\"voice\":{\"file_id\":\"v\"}}"));
	assert_string_equal(p.u.in.quote, "[voice message]");
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"x\",\"forward_origin\":{\"type\":\"hidden_user\","
			      "\"sender_user_name\":\"Zoe\"}"));
	assert_string_equal(p.u.in.text, "[forwarded from Zoe]\nx");
	assert_true(p.u.in.forwarded);
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"/approve 3\",\"forward_date\":1700000000"));
	assert_string_equal(p.u.in.text, "[forwarded from somebody]\n/approve 3");
	assert_true(p.u.in.forwarded);
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"text\":\"/approve 3\""));
	assert_false(p.u.in.forwarded);
	drop(&p);
	/* an anonymous admin writes as the chat */
	parse(&p,
	      MSG(CHAT_G,
		  ",\"text\":\"x\",\"sender_chat\":{\"id\":-1001234567890,\"title\":\"Work\"}"));
	assert_string_equal(p.u.in.sender, "-1001234567890");
	assert_string_equal(p.u.in.sender_name, "Work");
	drop(&p);
}

static void files(void **state maybe_unused)
{
	static const struct {
		const char *json, *text, *ref, *name, *mime;
		int64_t size;
		bool voice;
	} t[] = {
		{",\"photo\":[{\"file_id\":\"s\",\"width\":90,\"height\":90},{\"file_id\":\"l\",\"width\":800,"
		 "\"height\":600,\"file_size\":5000},{\"file_id\":\"m\",\"width\":320,\"height\":300}]",
		 "", "l", "photo.jpg", "image/jpeg", 5000, false},
		{",\"caption\":\"see\",\"document\":{\"file_id\":\"d\",\"file_name\":\"a.pdf\",\"mime_type\":"
		 "\"application/pdf\",\"file_size\":7}",
		 "see", "d", "a.pdf", "application/pdf", 7, false},
		{",\"voice\":{\"file_id\":\"v\",\"duration\":3}", "", "v", "voice.ogg", "audio/ogg",
		 -1, true},
		{",\"animation\":{\"file_id\":\"g\"},\"document\":{\"file_id\":\"d\"}", "", "g",
		 "animation.mp4", "video/mp4", -1, false},
		{",\"sticker\":{\"file_id\":\"k\",\"emoji\":\"🙂\"}", "[sticker 🙂]", "k",
		 "sticker.webp", "image/webp", -1, false},
		{",\"sticker\":{\"file_id\":\"k\",\"emoji\":\"🙂\",\"is_animated\":true}",
		 "[sticker 🙂]", NULL, "", "", 0, false},
		{",\"location\":{\"latitude\":1.5,\"longitude\":-2}",
		 "[location 1.500000, -2.000000]", NULL, "", "", 0, false},
		{",\"poll\":{\"question\":\"Tea?\",\"options\":[{\"text\":\"yes\"},{\"text\":\"no\"}]}",
		 "[poll: Tea? | yes | no]", NULL, "", "", 0, false},
		{",\"contact\":{\"first_name\":\"Bo\",\"last_name\":\"Ek\",\"phone_number\":\"+46\"}",
		 "[contact: Bo Ek, +46]", NULL, "", "", 0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_free_ char *json = xasprintf(
			"{\"update_id\":9,\"message\":{\"message_id\":31,\"date\":1700000000," CHAT_P
			"," ANN "%s}}",
			t[i].json);
		struct parsed p;

		parse(&p, json);
		assert_ok(p.rc, &p.e);
		assert_int_equal(p.u.kind, TG_INBOUND);
		assert_string_equal(p.u.in.text, t[i].text);
		assert_int_equal(p.u.in.n_files, t[i].ref != NULL);
		if (t[i].ref) {
			assert_string_equal(p.u.in.files->ref, t[i].ref);
			assert_string_equal(p.u.in.files->name, t[i].name);
			assert_string_equal(p.u.in.files->mime, t[i].mime);
			assert_int_equal(p.u.in.files->size, t[i].size);
			assert_int_equal(p.u.in.files->voice, t[i].voice);
		}
		drop(&p);
	}
}

static void edits_presses_and_reactions(void **state maybe_unused)
{
	struct parsed p;

	parse(&p,
	      "{\"update_id\":12,\"edited_message\":{\"message_id\":31,\"date\":1,\"edit_date\":20," CHAT_P
	      "," ANN ",\"text\":\"better\"}}");
	assert_int_equal(p.u.in.kind, INBOUND_EDIT);
	assert_string_equal(p.u.in.id, "31/e20.12");
	assert_string_equal(p.u.in.target, "31");
	assert_string_equal(p.u.in.text, "better");
	assert_int_equal(p.u.in.sent_ms, 20000);
	drop(&p);
	/* a live location is "edited" for hours */
	parse(&p,
	      "{\"update_id\":12,\"edited_message\":{\"message_id\":31,\"date\":1,\"edit_date\":20," CHAT_P
	      "," ANN ",\"location\":{\"latitude\":1,\"longitude\":2}}}");
	assert_int_equal(p.u.kind, TG_NOTHING);
	drop(&p);
	parse(&p,
	      "{\"update_id\":13,\"callback_query\":{\"id\":\"4242\"," ANN
	      ",\"message\":{\"message_id\":40,\"message_thread_id\":11,\"is_topic_message\":true," CHAT_G
	      "," BOT "},\"data\":\"a1\"}}");
	assert_int_equal(p.u.in.kind, INBOUND_PRESS);
	assert_string_equal(p.u.in.text, "a1");
	assert_string_equal(p.u.in.target, "40");
	assert_string_equal(p.u.in.thread, "11");
	assert_string_equal(p.u.in.sender, "5");
	assert_string_equal(p.u.in.id, "40/p4242");
	assert_string_equal(p.u.press, "4242");
	drop(&p);
	parse(&p,
	      "{\"update_id\":13,\"callback_query\":{\"id\":\"4242\"," ANN ",\"data\":\"a1\"}}");
	assert_int_equal(p.u.kind, TG_NOTHING);
	assert_string_equal(p.u.press, "4242");
	drop(&p);
#define REACT(old, now)                                                                            \
	"{\"update_id\":14,\"message_reaction\":{" CHAT_G                                          \
	",\"message_id\":40,\"user\":{\"id\":5,\"first_name\":\"Ann\"},\"date\":3,"                \
	"\"old_reaction\":[" old "],\"new_reaction\":[" now "]}}"
#define EMO(e) "{\"type\":\"emoji\",\"emoji\":\"" e "\"}"
	parse(&p, REACT("", EMO("👍")));
	assert_int_equal(p.u.in.kind, INBOUND_REACTION);
	assert_string_equal(p.u.in.text, "👍");
	assert_string_equal(p.u.in.id, "40/r5/3.14");
	assert_string_equal(p.u.in.target, "40");
	assert_false(p.u.in.addressed);
	drop(&p);
	parse(&p, REACT(EMO("👍"), EMO("👍") "," EMO("🔥")));
	assert_string_equal(p.u.in.text, "🔥");
	drop(&p);
	parse(&p, REACT(EMO("👍"), ""));
	assert_string_equal(p.u.in.text, "");
	assert_int_equal(p.u.in.text_len, 0);
	drop(&p);
}

static void groups_that_move_and_what_says_nothing(void **state maybe_unused)
{
	struct parsed p;

	parse(&p, MSG("\"chat\":{\"id\":-7,\"type\":\"group\",\"title\":\"F\"}",
		      ",\"migrate_to_chat_id\":-100777"));
	assert_int_equal(p.u.kind, TG_MOVED);
	assert_string_equal(p.u.chat, "-7");
	assert_string_equal(p.u.moved_to, "-100777");
	drop(&p);
	parse(&p, MSG("\"chat\":{\"id\":-100777,\"type\":\"supergroup\",\"title\":\"F\"}",
		      ",\"migrate_from_chat_id\":-7"));
	assert_int_equal(p.u.kind, TG_MOVED);
	assert_string_equal(p.u.chat, "-7");
	assert_string_equal(p.u.moved_to, "-100777");
	drop(&p);
	parse(&p, MSG(CHAT_G, ",\"new_chat_members\":[{\"id\":77}]"));
	assert_int_equal(p.u.kind, TG_NOTHING);
	drop(&p);
	parse(&p, "{\"update_id\":9,\"message\":{\"message_id\":31,\"date\":1," CHAT_G "," BOT
		  ",\"text\":\"mine\"}}");
	assert_int_equal(p.u.kind, TG_NOTHING);
	drop(&p);
	parse(&p, "{\"update_id\":9,\"shiny_new_thing\":{}}");
	assert_int_equal(p.rc, 0);
	assert_int_equal(p.u.kind, TG_NOTHING);
	drop(&p);
	/* wrong, but it can be confirmed */
	parse(&p, "{\"update_id\":9,\"message\":{\"message_id\":\"x\"}}");
	assert_int_equal(p.rc, -1);
	assert_int_equal(p.u.id, 9);
	drop(&p);
	parse(&p, "{\"update_id\":\"9\"}");
	assert_int_equal(p.rc, -1);
	assert_int_equal(p.u.id, -1);
	drop(&p);
}

static void entities_become_markdown(void **state maybe_unused)
{
	static const struct {
		const char *text, *entities, *want;
	} t[] = {
		{"plain", "[]", "plain"},
		/* offsets count UTF-16: the emoji is two */
		{"😀 here ok",
		 "[{\"type\":\"text_link\",\"offset\":3,\"length\":4,\"url\":\"https://a.b/c\"}]",
		 "😀 [here](https://a.b/c) ok"},
		{"x=1 y", "[{\"type\":\"code\",\"offset\":0,\"length\":3}]", "`x=1` y"},
		{"so: a\nb end",
		 "[{\"type\":\"pre\",\"offset\":4,\"length\":3,\"language\":\"c\"}]",
		 "so: \n```c\na\nb\n```\n end"},
		{"a`b", "[{\"type\":\"code\",\"offset\":0,\"length\":3}]", "a`b"},
		{"[x]",
		 "[{\"type\":\"text_link\",\"offset\":0,\"length\":3,\"url\":\"https://a.b\"}]",
		 "[x] (https://a.b)"},
		{"ab", "[{\"type\":\"text_link\",\"offset\":0,\"length\":2,\"url\":\"x y\"}]",
		 "ab"},
		/* into a pair, past the end, backwards, overlapping */
		{"😀b", "[{\"type\":\"code\",\"offset\":1,\"length\":1}]", "😀b"},
		{"ab", "[{\"type\":\"code\",\"offset\":1,\"length\":9}]", "ab"},
		{"ab", "[{\"type\":\"code\",\"offset\":-1,\"length\":1}]", "ab"},
		{"abcd",
		 "[{\"type\":\"code\",\"offset\":0,\"length\":3},{\"type\":\"code\",\"offset\":2,\"length\":2}]",
		 "`abc`d"},
		{"ab", "{\"type\":3}", "ab"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_(buf_free) struct buf out = {0};
		_cleanup_json_ cJSON *j = NULL;
		struct tg_marks marks = {0};
		struct err e = ERR_INIT;

		j = json_parse(t[i].entities, strlen(t[i].entities), 4096, &e);
		assert_non_null(j);
		tg_text(&out, t[i].text, j, &me, &marks);
		assert_string_equal(out.p, t[i].want);
	}
}

static void what_html_shows(void **state maybe_unused)
{
	static const struct {
		const char *html, *plain, *bare;
		size_t units;
	} t[] = {
		{"", "", "", 0},
		{"<b>a</b> &lt;b&gt; &amp;amp;", "a <b> &amp;", "a <b> &amp;", 11},
		{"<a href=\"https://x/?a=1&amp;b\">here</a>", "here (https://x/?a=1&b)", "here", 4},
		{"<a href=\"https://x/\">https://x/</a>", "https://x/", "https://x/", 10},
		{"😀é&#128512;&#x41;", "😀é😀A", "😀é😀A", 6},
		{"a &unknown; & <", "a &unknown; & <", "a &unknown; & <", 15},
		{"&#0; &#xD800; &#-1; &#99999999999;", "&#0; &#xD800; &#-1; &#99999999999;",
		 "&#0; &#xD800; &#-1; &#99999999999;", 34},
		{"<pre><code class=\"language-c\">x</code></pre>", "x", "x", 1},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_free_ char *a = tg_plain(t[i].html, true);
		_cleanup_free_ char *b = tg_plain(t[i].html, false);

		assert_string_equal(a, t[i].plain);
		assert_string_equal(b, t[i].bare);
		assert_int_equal(tg_units(t[i].html), t[i].units);
	}
}

static void the_list_of_reactions(void **state maybe_unused)
{
	assert_string_equal(tg_reaction("👍"), "👍");
	assert_string_equal(tg_reaction("\u2764\ufe0f"), "\u2764");
	assert_string_equal(tg_reaction("\u2764\ufe0f\u200d🔥"), "\u2764\u200d🔥");
	assert_string_equal(tg_reaction("🤷\u200d\u2642\ufe0f"), "🤷\u200d\u2642");
	assert_null(tg_reaction("🧪"));
	assert_null(tg_reaction("thumbsup"));
	assert_null(tg_reaction(""));
	assert_null(tg_reaction("👍👍👍👍👍👍👍👍👍👍👍👍"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_text),
		cmocka_unit_test(who_is_addressed),
		cmocka_unit_test(threads_and_quotes),
		cmocka_unit_test(files),
		cmocka_unit_test(edits_presses_and_reactions),
		cmocka_unit_test(groups_that_move_and_what_says_nothing),
		cmocka_unit_test(entities_become_markdown),
		cmocka_unit_test(what_html_shows),
		cmocka_unit_test(the_list_of_reactions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
