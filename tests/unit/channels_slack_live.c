// SPDX-License-Identifier: Apache-2.0
/* The Slack channel on a strict fake of Slack: connections, what comes in, back-fill. */
#include "channels_slack_rig.h"

static void comes_up_with_two_connections(void **state)
{
	struct world w;

	world_up(&w, state);
	assert_true(w.c.ready);
	order(&w, "stats", "{}");
	assert_int_equal(json_peek_i64(w.answer, "opens", 0), 2);
	assert_string_equal(w.s->self.user, "U0CHELABOT");
	world_close(&w, false);
}

static void refused_token_is_stuck_with_a_fix(void **state)
{
	struct world w;

	world_open(&w, state);
	put_token(w.s->bot_file, PATH_CAP, &w, "bot", "xoxb-this-was-revoked");
	slack_ops.connect(&w.c);
	await(&w, &w.n_states, 1);
	HAS(w.heard, "stuck Slack: auth.test: invalid_auth: make a new token");
	assert_null(strstr(w.heard.p, "xoxb-this"));

	/* The core tries again by and by; the file is read anew. */
	put_token(w.s->bot_file, PATH_CAP, &w, "bot", "xoxb-fake-0123456789-bot");
	slack_ops.connect(&w.c);
	await(&w, &w.n_states, 2);
	HAS(w.heard, "\nup");

	/* The two tokens in each other's place. */
	slack_down(w.s, CHANNEL_DOWN, "test", 0);
	put_token(w.s->bot_file, PATH_CAP, &w, "bot", "xapp-1-A00FAKEAPP-0123456789-app");
	slack_ops.connect(&w.c);
	await(&w, &w.n_states, 4);
	HAS(w.heard, "does not hold Slack's bot token (it begins with xoxb-)");
	world_close(&w, true);
}

static void message_is_acknowledged_once_stored(void **state)
{
	struct world w;
	char ts[64], want[256];

	world_up(&w, state);
	w.hold = true;
	INJECT(&w, ts,
	       "{\"do\":\"message\",\"chat\":\"" GENERAL
	       "\",\"mention\":true,\"user\":\"U0000ALICE\","
	       "\"text\":\"what is 1 &lt; 2 &amp; <https://x.org|this>?\"}");
	await(&w, &w.n_messages, 1);
	snprintf(want, sizeof(want),
		 "message " GENERAL
		 "(general)/%s %s> U0000ALICE=alice addressed: @Chela what is 1 < 2 "
		 "& [this](https://x.org)?\n",
		 ts, ts);
	HAS(w.heard, want);
	order(&w, "stats", "{}");
	assert_int_equal(json_peek_i64(w.answer, "acks", -1), 0);
	w.hold = false;
	WAIT(&w, "{\"what\":\"idle\"}");
	order(&w, "stats", "{}");
	assert_true(json_peek_i64(w.answer, "acks", -1) > 0);
	world_close(&w, false);
}

/* More names in one message than the table of names holds: the sender's must not be lost on the way, nor Slack be asked for all. */
static void message_of_many_mentions(void **state)
{
	struct world w;
	struct buf frame = {0};
	struct slack_frame f;
	struct err e = ERR_INIT;

	world_up(&w, state);
	buf_puts(&frame, "{\"type\":\"events_api\",\"envelope_id\":\"e1\",\"payload\":{\"event\":{"
			 "\"type\":\"message\",\"channel\":\"" GENERAL "\",\"user\":\"U0000ALICE\","
			 "\"ts\":\"1700000001.000001\",\"text\":\"");
	for (int i = 0; i < 4400; i++)
		buf_putf(&frame, "<@U%04d>", i);
	buf_puts(&frame, "\"}}}");
	assert_ok(slack_frame_parse(frame.p, frame.len, &w.s->self, &f, &e), &e);
	slack_intake(w.s, &f.ev, 0, "");
	slack_event_free(&f.ev);
	await(&w, &w.n_messages, 1);
	HAS(w.heard, "U0000ALICE=alice: @U0000@U0001");
	HAS(w.heard, "@U4399\n");
	order(&w, "stats", "{}");
	assert_in_range(json_peek_i64(w.answer, "calls.users.info", 0), 0, 250);
	buf_free(&frame);
	world_close(&w, true);
}

static void refusal_is_final_and_trouble_is_not(void **state)
{
	struct world w;
	struct err no = {.code = E_PERM, .msg = "no group"}, io = {.code = E_IO, .msg = "disk"};
	char ts[64];
	int had;

	world_up(&w, state);
	w.hold = true;
	INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" ALICE "\",\"text\":\"one\"}");
	await(&w, &w.n_messages, 1);
	HAS(w.heard, "(alice)/ ");
	HAS(w.heard, " addressed direct: one");
	store_all(&w, &io); /* nothing is said: it comes again */
	had = w.n_messages;
	await(&w, &w.n_messages, had + 1);
	store_all(&w, &no);
	w.hold = false;
	WAIT(&w, "{\"what\":\"idle\"}");
	world_close(&w, false);
}

static void all_kinds_come_in(void **state)
{
	struct world w;
	char ts[64], reply[64], ask[64], want[256], none[64];
	const struct out_button yes = {"Yes", "b1"};

	world_up(&w, state);
	INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" GENERAL "\",\"text\":\"root\"}");
	INJECT(&w, reply,
	       "{\"do\":\"message\",\"chat\":\"" GENERAL "\",\"text\":\"in it\",\"thread\":\"%s\"}",
	       ts);
	await(&w, &w.n_messages, 2);
	snprintf(want, sizeof(want), GENERAL "(general)/%s %s>%s U0000ALICE=alice: in it", ts,
		 reply, ts);
	HAS(w.heard, want);

	ORDER(&w, "inject",
	      "{\"do\":\"edit\",\"chat\":\"" GENERAL "\",\"id\":\"%s\",\"text\":\"other\"}", ts);
	await(&w, &w.n_messages, 3);
	snprintf(want, sizeof(want), "edit " GENERAL "(general)/%s %s/e", ts, ts);
	HAS(w.heard, want);
	HAS(w.heard, ": other\n");
	ORDER(&w, "inject",
	      "{\"do\":\"react\",\"chat\":\"" GENERAL "\",\"id\":\"%s\",\"emoji\":\"tada\"}", ts);
	await(&w, &w.n_messages, 4);
	HAS(w.heard, ": \xf0\x9f\x8e\x89\n");
	ORDER(&w, "inject",
	      "{\"do\":\"react\",\"chat\":\"" GENERAL
	      "\",\"id\":\"%s\",\"emoji\":\"tada\",\"remove\":true}",
	      ts);
	await(&w, &w.n_messages, 5);
	ORDER(&w, "inject", "{\"do\":\"delete\",\"chat\":\"" GENERAL "\",\"id\":\"%s\"}", reply);
	await(&w, &w.n_messages, 6);
	snprintf(want, sizeof(want), " %s/d>%s ", reply, reply);
	HAS(w.heard, want);

	SAY(&w, .kind = OUTBOUND_ASK, .body = "Shall I?", .buttons = &yes, .n_buttons = 1,
	    .thread = ts);
	str_copy(ask, sizeof(ask), w.sent_id);
	ORDER(&w, "inject",
	      "{\"do\":\"press\",\"chat\":\"" GENERAL "\",\"id\":\"%s\",\"label\":\"Yes\"}", ask);
	await(&w, &w.n_messages, 7);
	snprintf(want, sizeof(want), "press " GENERAL "(general)/%s %s/p", ts, ask);
	HAS(w.heard, want);
	HAS(w.heard, " addressed: b1\n");
	INJECT(&w, none,
	       "{\"do\":\"command\",\"chat\":\"" GENERAL
	       "\",\"command\":\"/chela\",\"text\":\"help me\"}");
	await(&w, &w.n_messages, 8);
	HAS(w.heard, " addressed: /chela help me\n");
	/* Nothing of an inner event, or of no known type: acknowledged, and told to nobody. */
	ORDER(&w, "wire", "{\"do\":\"rate_limited\"}");
	ORDER(&w, "inject",
	      "{\"do\":\"raw\",\"payload\":{\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":"
	      "{\"type\":\"team_join\",\"user\":{\"id\":\"U1\"}}}}");
	WAIT(&w, "{\"what\":\"idle\"}");
	assert_int_equal(w.n_messages, 8);
	world_close(&w, false);
}

static void files_come_and_are_fetched(void **state)
{
	struct world w;
	struct err e = ERR_INIT;
	char ts[64], ref[2048], got[64] = "", path[96];
	const char *at;
	int fd;

	world_up(&w, state);
	INJECT(&w, ts,
	       "{\"do\":\"message\",\"chat\":\"" GENERAL
	       "\",\"text\":\"look\",\"files\":[{\"name\":"
	       "\"a b.txt\",\"mime\":\"text/plain\",\"text\":\"ten legs\"}]}");
	await(&w, &w.n_messages, 1);
	at = strstr(w.heard.p, "[a b.txt text/plain 8 {");
	assert_non_null(at);
	at = strchr(at, '{');
	str_copy(ref, sizeof(ref), at);
	strrchr(ref, '}')[1] = '\0';
	snprintf(path, sizeof(path), "%s/got", w.f->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct fetch f = {.id = 5, .ref = ref, .fd = fd, .max_bytes = 100};
	assert_ok(slack_ops.fetch(&w.c, &f, &e), &e);
	await(&w, &w.n_fetched, 1);
	HAS(w.heard, "fetched 5 8 text/plain ok");
	assert_int_equal(pread(fd, got, sizeof(got) - 1, 0), 8);
	assert_string_equal(got, "ten legs");

	f.max_bytes = 3;
	assert_ok(slack_ops.fetch(&w.c, &f, &e), &e);
	await(&w, &w.n_fetched, 2);
	HAS(w.heard, "fetched 5 0  limit");
	f.max_bytes = 100;
	ORDER(&w, "fault", "{\"method\":\"download\",\"do\":\"redirect\"}");
	assert_ok(slack_ops.fetch(&w.c, &f, &e), &e);
	await(&w, &w.n_fetched, 3);
	HAS(w.heard, "fetched 5 0  auth Slack sent the download elsewhere");
	ORDER(&w, "fault",
	      "{\"method\":\"download\",\"do\":\"http\",\"status\":200,\"body\":\"<!DOCTYPE html>sign in\"}");
	assert_ok(slack_ops.fetch(&w.c, &f, &e), &e);
	await(&w, &w.n_fetched, 4);
	ORDER(&w, "fault", "{\"method\":\"download\",\"do\":\"stall\"}");
	assert_ok(slack_ops.fetch(&w.c, &f, &e), &e);
	slack_ops.fetch_cancel(&w.c, 5);
	f.ref = "{\"url\":\"https://slack.com.evil.example/x\",\"id\":\"F1\",\"size\":1}";
	assert_err(slack_ops.fetch(&w.c, &f, &e), &e, E_PERM, "not on a host of Slack's");
	close(fd);
	order(&w, "clear", "{}");
	world_close(&w, false);
}

static void drops_lose_nothing(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	w.hold = w.retries = true;
	INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" ALICE "\",\"text\":\"before\"}");
	await(&w, &w.n_messages, 1);
	ORDER(&w, "wire", "{\"do\":\"drop\",\"socket\":\"all\"}");
	WAIT(&w, "{\"what\":\"sockets\",\"count\":2}");
	/* Not acknowledged, so it comes again; what was in our hands finds its connection gone. */
	await(&w, &w.n_messages, 2);
	w.hold = false;
	WAIT(&w, "{\"what\":\"idle\"}");
	assert_true(w.s->up);
	WAIT(&w, "{\"what\":\"sockets\",\"count\":2}");
	/* One at a time is not even noticed. */
	ORDER(&w, "wire", "{\"do\":\"torn\",\"socket\":\"oldest\"}");
	WAIT(&w, "{\"what\":\"sockets\",\"count\":2}");
	ORDER(&w, "wire", "{\"do\":\"garbage\",\"socket\":\"oldest\"}");
	ORDER(&w, "wire", "{\"do\":\"binary\",\"socket\":\"newest\"}");
	INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" ALICE "\",\"text\":\"after\"}");
	await(&w, &w.n_messages, 3);
	WAIT(&w, "{\"what\":\"idle\"}");
	world_close(&w, false);
}

static void refresh_leaves_no_gap(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	for (int i = 0; i < 3; i++) {
		ORDER(&w, "wire", "{\"do\":\"%s\",\"socket\":\"all\"}",
		      i == 1 ? "warning" : "refresh");
		INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" ALICE "\",\"text\":\"during\"}");
		await(&w, &w.n_messages, i + 1);
		WAIT(&w, "{\"what\":\"sockets\",\"count\":2}");
	}
	order(&w, "stats", "{}");
	assert_int_equal(json_peek_i64(w.answer, "gaps", -1), 0);
	assert_int_equal(w.n_states, 1);
	world_close(&w, false);
}

static void half_open_is_noticed(void **state)
{
	struct world w;
	char ts[64];

	world_up(&w, state);
	w.retries = true;
	ORDER(&w, "wire", "{\"do\":\"half_open\",\"socket\":\"all\"}");
	WAIT(&w, "{\"what\":\"sockets\",\"count\":2}");
	INJECT(&w, ts, "{\"do\":\"message\",\"chat\":\"" ALICE "\",\"text\":\"still there?\"}");
	await(&w, &w.n_messages, 1);
	world_close(&w, false);
}

static void switched_off_is_stuck_and_too_many_is_patient(void **state)
{
	struct world w;

	world_up(&w, state);
	ORDER(&w, "wire", "{\"do\":\"too_many\",\"socket\":\"oldest\"}");
	WAIT(&w, "{\"what\":\"sockets\",\"count\":1}");
	assert_true(timer_active(w.s->retry));
	ORDER(&w, "wire", "{\"do\":\"link_disabled\"}");
	await(&w, &w.n_states, 2);
	HAS(w.heard, "stuck Slack: Socket Mode is switched off");
	slack_ops.connect(&w.c);
	await(&w, &w.n_states, 3);
	HAS(w.heard,
	    "stuck Slack: apps.connections.open: link_disabled: Socket Mode is switched off");
	world_close(&w, false);
}

static void outage_is_filled(void **state)
{
	struct world w;
	char root[64], missed[64], in_thread[64];

	world_up(&w, state);
	INJECT(&w, root, "{\"do\":\"message\",\"chat\":\"" GENERAL "\",\"text\":\"before\"}");
	await(&w, &w.n_messages, 1);
	WAIT(&w, "{\"what\":\"idle\"}");
	slack_down(w.s, CHANNEL_DOWN, "test", 0);
	INJECT(&w, missed,
	       "{\"do\":\"message\",\"chat\":\"" GENERAL
	       "\",\"text\":\"missed <@U0000ALICE>\",\"quiet\":true}");
	INJECT(&w, in_thread,
	       "{\"do\":\"message\",\"chat\":\"" GENERAL
	       "\",\"text\":\"missed reply\",\"quiet\":true,"
	       "\"thread\":\"%s\"}",
	       root);
	w.last_id = root;
	buf_reset(&w.heard);
	w.n_messages = 0;
	slack_ops.connect(&w.c);
	await(&w, &w.n_messages, 3); /* the overlap brings "before" too: the store knows it */
	HAS(w.heard, ": missed @alice\n");
	HAS(w.heard, ": missed reply\n");
	assert_true(strstr(w.heard.p, ": before") < strstr(w.heard.p, ": missed @alice"));
	world_close(&w, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(comes_up_with_two_connections),
		FIX_TEST(refused_token_is_stuck_with_a_fix),
		FIX_TEST(message_is_acknowledged_once_stored),
		FIX_TEST(message_of_many_mentions),
		FIX_TEST(refusal_is_final_and_trouble_is_not),
		FIX_TEST(all_kinds_come_in),
		FIX_TEST(files_come_and_are_fetched),
		FIX_TEST(drops_lose_nothing),
		FIX_TEST(refresh_leaves_no_gap),
		FIX_TEST(half_open_is_noticed),
		FIX_TEST(switched_off_is_stuck_and_too_many_is_patient),
		FIX_TEST(outage_is_filled),
	};

	return cmocka_run_group_tests_name("channels_slack_live", tests, NULL, NULL);
}
