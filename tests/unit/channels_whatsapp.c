// SPDX-License-Identifier: Apache-2.0
/*
 * WhatsApp without a wire: what frames and events mean, states, base64, and the section of the configuration.
 */
#include "unit.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/whatsapp/whatsapp.h"

static const struct wa_state me = {.me = "4990@s.whatsapp.net", .me_lid = "990@lid"};

struct parsed {
	cJSON *j;
	struct wa_event ev;
	struct err e;
	int rc;
};

static void parse(struct parsed *p, const char *json)
{
	*p = (struct parsed){0};
	p->j = json_parse(json, strlen(json), WA_FRAME_MAX, &p->e);
	if (!p->j)
		fail_msg("%s: %s", p->e.msg, json);
	p->rc = wa_parse_event(p->j, &me, &p->ev, &p->e);
}

static void drop(struct parsed *p)
{
	wa_event_free(&p->ev);
	cJSON_Delete(p->j);
}

#define ANN                                                                                        \
	"{\"jid\":\"4911@s.whatsapp.net\",\"lid\":\"11@lid\",\"pn\":\"4911@s.whatsapp.net\",\"name\":\"Ann\"}"
#define DIRECT "\"chat\":{\"jid\":\"4911@s.whatsapp.net\",\"group\":false,\"name\":\"Ann\"}"
#define GROUP  "\"chat\":{\"jid\":\"123-4@g.us\",\"group\":true,\"subject\":\"Family\"}"
#define EVENT(type, chat, more)                                                                    \
	"{\"type\":\"" type "\",\"id\":\"3EB0\"," chat ",\"sender\":" ANN                          \
	",\"from_me\":false,\"ts\":1790000000123" more "}"
#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void a_message(void **state maybe_unused)
{
	struct parsed p;

	parse(&p, EVENT("message", DIRECT, ",\"text\":\"hi\",\"unknown\":[1]"));
	assert_ok(p.rc, &p.e);
	assert_int_equal(p.ev.kind, WA_INBOUND);
	assert_int_equal(p.ev.in.kind, INBOUND_MESSAGE);
	assert_string_equal(p.ev.in.chat, "4911@s.whatsapp.net");
	assert_string_equal(p.ev.in.chat_title, "Ann");
	assert_string_equal(p.ev.in.id, "3EB0");
	assert_string_equal(p.ev.in.sender, "4911@s.whatsapp.net");
	assert_string_equal(p.ev.in.sender_alt, "11@lid");
	assert_string_equal(p.ev.in.sender_name, "Ann");
	assert_string_equal(p.ev.in.text, "hi");
	assert_true(p.ev.in.direct && p.ev.in.addressed && p.ev.in.text_len == 2);
	assert_int_equal(p.ev.in.sent_ms, 1790000000123);
	assert_string_equal(p.ev.in.target, "");
	drop(&p);
	/* quoted, in a group */
	parse(&p, EVENT("message", GROUP,
			",\"text\":\"hi\",\"quote\":{\"id\":\"3EA\",\"sender\":" ANN
			",\"text\":\"old\"}"));
	assert_string_equal(p.ev.in.chat_title, "Family");
	assert_true(!p.ev.in.direct && !p.ev.in.addressed);
	assert_string_equal(p.ev.in.target, "3EA");
	assert_string_equal(p.ev.in.quote, "old");
	drop(&p);
}

static void what_is_passed_on_says_so(void **state maybe_unused)
{
	struct parsed p;

	parse(&p, EVENT("message", DIRECT, ",\"text\":\"/approve 3\",\"forwarded\":true"));
	assert_ok(p.rc, &p.e);
	assert_true(p.ev.in.forwarded);
	assert_string_equal(p.ev.in.text, "[forwarded]\n/approve 3");
	drop(&p);
	parse(&p, EVENT("message", DIRECT, ",\"text\":\"/approve 3\",\"forwarded\":false"));
	assert_false(p.ev.in.forwarded);
	assert_string_equal(p.ev.in.text, "/approve 3");
	drop(&p);
}

static void who_is_addressed(void **state maybe_unused)
{
	static const struct {
		const char *json;
		bool addressed;
	} t[] = {
		{EVENT("message", GROUP, ",\"text\":\"x\",\"mentioned_me\":true"), true},
		{EVENT("message", GROUP, ",\"text\":\"x\",\"reply_to_me\":true"), true},
		{EVENT("message", GROUP, ",\"text\":\"x\",\"mentioned_me\":1"), false},
		/* the owner, on the phone, to Ann; and to herself */
		{"{\"type\":\"message\",\"id\":\"A\"," DIRECT
		 ",\"sender\":{\"jid\":\"4990@s.whatsapp.net\"},\"from_me\":true,\"ts\":1,\"text\":\"x\"}",
		 false},
		{"{\"type\":\"message\",\"id\":\"A\",\"chat\":{\"jid\":\"990@lid\",\"group\":false},"
		 "\"sender\":{\"jid\":\"990@lid\"},\"from_me\":true,\"ts\":1,\"text\":\"x\"}",
		 true},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct parsed p;

		parse(&p, t[i].json);
		assert_ok(p.rc, &p.e);
		if (p.ev.in.addressed != t[i].addressed)
			fail_msg("addressed: %s", t[i].json);
		drop(&p);
	}
}

static void media(void **state maybe_unused)
{
	struct parsed p;

	parse(&p,
	      EVENT("message", DIRECT,
		    ",\"text\":\"see\",\"media\":[{\"hash\":\"" HASH
		    "\",\"size\":20,\"mime\":\"audio/ogg\",\"name\":\"../a\",\"kind\":\"voice\"},"
		    "{\"size\":-5,\"kind\":\"image\"},{\"kind\":\"<b>\"}]"));
	assert_ok(p.rc, &p.e);
	assert_int_equal(p.ev.in.n_files, 1);
	assert_string_equal(p.ev.in.files[0].ref, HASH);
	assert_string_equal(p.ev.in.files[0].name, "../a"); /* the core checks names */
	assert_string_equal(p.ev.in.files[0].mime, "audio/ogg");
	assert_true(p.ev.in.files[0].voice && p.ev.in.files[0].size == 20);
	assert_string_equal(p.ev.in.text, "see\n[image: not available]\n[file: not available]");
	drop(&p);
	parse(&p, EVENT("message", DIRECT, ",\"media\":[{\"hash\":\"" HASH "\"}]"));
	assert_true(p.ev.kind == WA_INBOUND && p.ev.in.text_len == 0 && p.ev.in.n_files == 1);
	assert_int_equal(p.ev.files[0].size, -1);
	drop(&p);
	parse(&p, EVENT("message", DIRECT, "")); /* nothing in it */
	assert_int_equal(p.ev.kind, WA_NOTHING);
	drop(&p);
}

static void changes(void **state maybe_unused)
{
	struct parsed p;

	parse(&p, EVENT("edit", DIRECT, ",\"target\":\"T\",\"text\":\"new\""));
	assert_true(p.ev.kind == WA_INBOUND && p.ev.in.kind == INBOUND_EDIT);
	assert_string_equal(p.ev.in.target, "T");
	assert_string_equal(p.ev.in.text, "new");
	drop(&p);
	parse(&p, EVENT("delete", DIRECT, ",\"target\":\"T\""));
	assert_true(p.ev.kind == WA_INBOUND && p.ev.in.kind == INBOUND_DELETE);
	drop(&p);
	parse(&p, EVENT("reaction", GROUP, ",\"target\":\"T\",\"emoji\":\"👍\""));
	assert_true(p.ev.kind == WA_INBOUND && p.ev.in.kind == INBOUND_REACTION);
	assert_string_equal(p.ev.in.text, "👍");
	drop(&p);
	parse(&p,
	      "{\"type\":\"moved\",\"id\":\"M\",\"from\":\"1@lid\",\"to\":{\"jid\":\"2@s.whatsapp.net\"},"
	      "\"ts\":1}");
	assert_int_equal(p.ev.kind, WA_MOVED);
	assert_string_equal(p.ev.from, "1@lid");
	assert_string_equal(p.ev.to, "2@s.whatsapp.net");
	drop(&p);
	parse(&p, "{\"type\":\"from the future\",\"x\":1}");
	assert_ok(p.rc, &p.e);
	assert_int_equal(p.ev.kind, WA_NOTHING);
	drop(&p);
}

static void events_that_break_the_protocol(void **state maybe_unused)
{
	static const char *const bad[] = {
		"{}",
		"{\"type\":7}",
		EVENT("message", "\"chat\":{}", ""),
		EVENT("message", "\"chat\":{\"jid\":\"\"}", ""),
		EVENT("message", "\"chat\":{\"jid\":\"a b\"}", ""),
		EVENT("message", "\"chat\":{\"jid\":\"a\\nb\"}", ""),
		EVENT("message", DIRECT, ",\"text\":7"),
		EVENT("message", DIRECT, ",\"media\":{}"),
		EVENT("message", DIRECT, ",\"media\":[{\"hash\":\"../etc\"}]"),
		EVENT("message", DIRECT, ",\"quote\":{\"id\":\"\"}"),
		EVENT("edit", DIRECT, ",\"text\":\"x\""),
		EVENT("reaction", DIRECT, ",\"target\":\"T\""),
		"{\"type\":\"moved\",\"from\":\"1@lid\",\"to\":\"2\"}",
		"{\"type\":\"state\"}",
		"{\"type\":\"qr\",\"qr\":\"2@\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct parsed p;

		parse(&p, bad[i]);
		if (p.rc != -1 || p.e.code != E_PROTO)
			fail_msg("taken: %s (%s)", bad[i], p.e.msg);
		drop(&p);
	}
}

static int frame(const char *json, struct wa_frame *f, cJSON **j, struct err *e)
{
	cJSON_Delete(*j);
	*j = json_parse(json, strlen(json), WA_FRAME_MAX, e);
	assert_non_null(*j);
	return wa_parse_frame(*j, f, e);
}

static void frames(void **state maybe_unused)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"id\":1,\"ok\":true}",
		"{\"id\":\"a\"}",
		"{\"id\":\"a\",\"ok\":true,\"error\":{}}",
		"{\"seq\":1}",
		"{\"seq\":-1,\"event\":{}}",
		"{\"seq\":\"1\",\"event\":{}}",
		"{\"event\":[]}",
		"{\"welcome\":{}}",
		"{\"welcome\":{\"acked\":-1}}",
		"{\"error\":\"x\"}",
	};
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;
	struct wa_frame f;

	assert_ok(frame("{\"welcome\":{\"version\":1,\"acked\":112}}", &f, &j, &e), &e);
	assert_true(f.kind == WA_WELCOME && f.acked == 112);
	assert_ok(frame("{\"seq\":7,\"event\":{\"type\":\"x\"}}", &f, &j, &e), &e);
	assert_true(f.kind == WA_EVENT && f.seq == 7);
	assert_ok(frame("{\"event\":{\"type\":\"x\"}}", &f, &j, &e), &e);
	assert_true(f.kind == WA_EVENT && f.seq == 0);
	assert_ok(frame("{\"id\":\"k\",\"ok\":true,\"wa_id\":\"3\"}", &f, &j, &e), &e);
	assert_true(f.kind == WA_REPLY && f.ok && streq(f.id, "k"));
	assert_ok(frame("{\"error\":{\"code\":\"bad_token\",\"text\":\"no\"}}", &f, &j, &e), &e);
	assert_true(f.kind == WA_REFUSAL && streq(f.id, "bad_token"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (frame(bad[i], &f, &j, &e) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void errors_of_requests(void **state maybe_unused)
{
	static const struct {
		const char *error;
		enum err_code code;
		int64_t retry_ms;
		bool unsure;
	} t[] = {
		{"\"code\":\"offline\",\"retryable\":true,\"retry_ms\":2140", E_TEMP, 2140, false},
		{"\"code\":\"limited\",\"retry_ms\":500", E_LIMIT, 500, false},
		{"\"code\":\"timeout\"", E_TEMP, 0, true},
		{"\"code\":\"internal\",\"unsure\":true", E_TEMP, 0, true},
		{"\"code\":\"gone\"", E_GONE, 0, false},
		{"\"code\":\"refused\"", E_PERM, 0, false},
		{"\"code\":\"bad_request\"", E_INVAL, 0, false},
		{"\"code\":\"not_found\",\"retry_ms\":-7", E_INVAL, 0, false},
		{"\"code\":\"of tomorrow\",\"retryable\":true", E_TEMP, 0, false},
		{"\"code\":\"of tomorrow\"", E_INVAL, 0, false},
		{"\"text\":\"bare\"", E_INVAL, 0, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_free_ char *text = xasprintf("{\"id\":\"k\",\"error\":{%s}}", t[i].error);
		_cleanup_json_ cJSON *j = NULL;
		struct err e = ERR_INIT;
		struct wa_frame f;

		assert_ok(frame(text, &f, &j, &e), &e);
		if (f.ok || f.fail.why.code != t[i].code || f.fail.retry_ms != t[i].retry_ms ||
		    f.fail.unsure != t[i].unsure)
			fail_msg("%s: %s %lld %d", text, err_word(f.fail.why.code),
				 (long long)f.fail.retry_ms, f.fail.unsure);
	}
}

static void states(void **state maybe_unused)
{
	static const struct {
		const char *word;
		enum channel_state st;
		const char *words;
	} t[] = {
		{"unlinked", CHANNEL_STUCK, "chela whatsapp link"},
		{"linking", CHANNEL_STUCK, "chela whatsapp link"},
		{"connecting", CHANNEL_DOWN, "connecting"},
		{"up", CHANNEL_UP, ""},
		{"retrying", CHANNEL_DOWN, "(the text)"},
		{"paused", CHANNEL_DOWN, "spool"},
		{"logged_out", CHANNEL_STUCK, "chela whatsapp link"},
		{"conflict", CHANNEL_STUCK, "another program"},
		{"forbidden", CHANNEL_STUCK, "refuses"},
		{"of tomorrow", CHANNEL_DOWN, "unknown"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		_cleanup_free_ char *text = xasprintf(
			"{\"type\":\"state\",\"state\":\"%s\",\"text\":\"the\\ntext\",\"retry_ms\":9,"
			"\"me\":{\"jid\":\"5@s.whatsapp.net\"}}",
			t[i].word);
		char reason[512];
		struct parsed p;

		parse(&p, text);
		assert_int_equal(p.ev.kind, WA_STATE);
		assert_int_equal(p.ev.state.retry_ms, 9);
		assert_string_equal(p.ev.state.me, "5@s.whatsapp.net");
		assert_string_equal(p.ev.state.me_lid, "990@lid"); /* kept */
		str_copy(p.ev.state.text, sizeof(p.ev.state.text), "the text");
		assert_int_equal(wa_channel_state(&p.ev.state, reason, sizeof(reason)), t[i].st);
		if (!strstr(reason, t[i].words))
			fail_msg("%s: %s", t[i].word, reason);
		drop(&p);
	}
}

static void base64(void **state maybe_unused)
{
	static const char *const pairs[][2] = {
		{"", ""},	 {"f", "Zg=="},	       {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg=a", "====", "Z===", "Zm 9", "Zm9v\n", "Zg==Zg=="};
	uint8_t out[64], all[256], back[256];
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_free_ char *s = base64_encode(pairs[i][0], strlen(pairs[i][0]));

		assert_string_equal(s, pairs[i][1]);
		assert_int_equal(base64_decode(s, out, sizeof(out)), strlen(pairs[i][0]));
		assert_memory_equal(out, pairs[i][0], strlen(pairs[i][0]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (base64_decode(bad[i], out, sizeof(out)) >= 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(base64_decode("Zm9v", out, 2), -1);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	text = base64_encode(all, sizeof(all));
	assert_int_equal(base64_decode(text, back, sizeof(back)), 256);
	assert_memory_equal(all, back, 256);
}

static void hash_of_bytes(void **state maybe_unused)
{
	struct digest *d = digest_new();
	char hex[65];

	digest_add(d, "a", 1);
	digest_add(d, "bc", 2);
	digest_hex(d, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_free(d);
}

static int configure(const char *yaml, void **priv, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = yaml_parse(yaml, strlen(yaml), "c.yaml", e);
	int rc;

	assert_non_null(y);
	*priv = NULL;
	rc = whatsapp_ops.configure(yaml_root(y), "/home/x", priv, e);
	return rc < 0 || yaml_finish(y, e) < 0 ? -1 : 0;
}

static void settings(void **state maybe_unused)
{
	static const char *const bad[][2] = {
		{"bridge: remote", "c.yaml:1: bridge: must be"},
		{"bridge: ws://example.org:3010", "c.yaml:1: bridge: plain ws:// would send"},
		{"bridge: ws://localhost.example.org/", "use wss://"},
		{"bridge: ws://127.0.0.1:1@example.org/", "no user name"},
		{"bridge: local\nca_file: a.pem", "ca_file: has no effect"},
		{"bridge: local\nnode: \"\"", "node: must name"},
		{"bridge: local\ntokenfile: x", "token_file"},
	};
	static const char *const good[] = {
		"bridge: ws://127.0.0.1:3010",
		"bridge: ws://LOCALHOST:3010/",
		"bridge: ws://[::1]:3010/",
		"bridge: wss://example.org:3010/",
	};
	struct err e = ERR_INIT;
	struct channel c = {.ops = &whatsapp_ops};
	struct whatsapp *w;

	assert_ok(configure("{}", &c.priv, &e), &e);
	assert_null(c.priv);
	assert_ok(configure("bridge: local", &c.priv, &e), &e);
	w = c.priv;
	assert_true(w->local);
	assert_string_equal(w->token_file, "/home/x/secrets/whatsapp_bridge");
	assert_string_equal(w->auth_dir, "/home/x/secrets/whatsapp");
	assert_string_equal(w->node, "node");
	whatsapp_ops.close(&c);
	assert_ok(configure("bridge: wss://h/\nca_file: ca.pem", &c.priv, &e), &e);
	w = c.priv;
	assert_string_equal(w->url, "wss://h/");
	assert_string_equal(w->ca_file, "/home/x/ca.pem");
	whatsapp_ops.close(&c);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_ok(configure(good[i], &c.priv, &e), &e);
		w = c.priv;
		assert_string_equal(w->url, good[i] + strlen("bridge: "));
		whatsapp_ops.close(&c);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_err(configure(bad[i][0], &c.priv, &e), &e, E_INVAL, bad[i][1]);
		if (c.priv)
			whatsapp_ops.close(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message),
		cmocka_unit_test(what_is_passed_on_says_so),
		cmocka_unit_test(who_is_addressed),
		cmocka_unit_test(media),
		cmocka_unit_test(changes),
		cmocka_unit_test(events_that_break_the_protocol),
		cmocka_unit_test(frames),
		cmocka_unit_test(errors_of_requests),
		cmocka_unit_test(states),
		cmocka_unit_test(base64),
		cmocka_unit_test(hash_of_bytes),
		cmocka_unit_test(settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
