// SPDX-License-Identifier: Apache-2.0
/*
 * The long poll against a Bot API in this process: how it starts, that the offset waits for the store, conflicts, refused tokens,
 * silence, garbage, presses, and that the token is in no word that leaves.
 */
#include "channels_telegram_rig.h"

#define UPDATE(id, text)                                                                            \
	"{\"update_id\":" #id ",\"message\":{\"message_id\":1" #id                                  \
	",\"date\":5,\"chat\":{\"id\":5,\"type\":\"private\"},\"from\":{\"id\":5},\"text\":\"" text \
	"\"}}"

static void starts_in_order(void **state)
{
	struct world w;

	world_open(&w, state);
	telegram_ops.connect(&w.c);
	await(&w, &w.n_polls, 2);
	assert_string_equal(
		w.log.p,
		"getMe {}\n"
		"deleteWebhook {\"drop_pending_updates\":false}\n"
		"getUpdates {\"limit\":100,\"timeout\":0,\"allowed_updates\":[\"message\","
		"\"edited_message\",\"callback_query\",\"message_reaction\"]}\n"
		"getUpdates {\"limit\":100,\"timeout\":50,\"allowed_updates\":[\"message\","
		"\"edited_message\",\"callback_query\",\"message_reaction\"]}\n");
	assert_string_equal(w.heard.p, "up chela_bot 0\n");
	world_close(&w);
}

static void the_offset_waits_for_the_store(void **state)
{
	struct world w;
	struct err io = {E_IO, "disk full"}, perm = {E_PERM, "belongs to no group"};

	world_up(&w, state);
	w.hold = true;
	push(&w, UPDATE(41, "a") "," UPDATE(42, "b"));
	await(&w, &w.n_messages, 2);
	HAS(w.heard, "message 5/ 141:a\nmessage 5/ 142:b\n");
	/* one of two is not enough */
	w.told[0].fn(w.told[0].ctx, 1, false, NULL);
	w.told[0] = w.told[1];
	w.n_told = 1;
	assert_int_equal(w.n_asked, 0);
	/* not kept: the same again */
	store_all(&w, &io);
	await(&w, &w.n_polls, 3);
	HAS_NOT(w.log, "offset");
	push(&w, UPDATE(41, "a") "," UPDATE(42, "b"));
	await(&w, &w.n_messages, 4);
	/* refused for good counts as settled */
	store_all(&w, &perm);
	await(&w, &w.n_polls, 4);
	HAS(w.log, "\"offset\":43");
	world_close(&w);
}

static void a_batch_without_messages_moves_on(void **state)
{
	struct world w;

	world_up(&w, state);
	push(&w,
	     "{\"update_id\":50,\"poll\":{}},{\"update_id\":51,\"message\":{\"message_id\":\"bad\"}},"
	     "{\"update_id\":52,\"message\":{\"message_id\":1,\"date\":1,\"chat\":{\"id\":-7,\"type\":"
	     "\"group\"},\"migrate_to_chat_id\":-1007}}");
	await(&w, &w.n_polls, 3);
	HAS(w.log, "\"offset\":53");
	HAS(w.heard, "moved -7 -1007");
	assert_int_equal(w.t->poll.skipped, 1);
	/* numbered anew, from below */
	push(&w, UPDATE(7, "x"));
	await(&w, &w.n_polls, 4);
	HAS(w.log, "\"offset\":8,");
	world_close(&w);
}

static void presses_are_answered_once_stored(void **state)
{
	struct world w;

	world_up(&w, state);
	w.hold = true;
	push(&w,
	     "{\"update_id\":60,\"callback_query\":{\"id\":\"q1\",\"from\":{\"id\":5},\"data\":\"yes\","
	     "\"message\":{\"message_id\":9,\"chat\":{\"id\":5,\"type\":\"private\"}}}}");
	await(&w, &w.n_messages, 1);
	HAS_NOT(w.log, "answerCallbackQuery");
	w.hold = false;
	await(&w, &w.n_asked, 2);
	HAS(w.log, "answerCallbackQuery {\"callback_query_id\":\"q1\"}");
	world_close(&w);
}

static void a_conflict_is_not_fatal(void **state)
{
	struct world w;
	int n;

	world_up(&w, state);
	for (int i = 0; i < 3; i++)
		plan(&w, "getUpdates", ANSWER, 409,
		     NO(409, "Conflict: terminated by other getUpdates request", ""));
	n = w.n_polls;
	push(&w, "");
	await(&w, &w.n_polls, n + 4);
	assert_true(w.c.ready);
	assert_int_equal(w.t->poll.conflicts, 3);
	assert_int_equal(w.n_states, 1);
	push(&w, UPDATE(70, "back"));
	await(&w, &w.n_messages, 1);
	assert_int_equal(w.t->poll.conflicts, 0);
	world_close(&w);
}

static void a_conflict_that_lasts_asks_for_a_person(void **state)
{
	struct world w;

	world_up(&w, state);
	w.t->conflict_stuck_ms = 0;
	plan(&w, "getUpdates", ANSWER, 409, NO(409, "Conflict", ""));
	push(&w, "");
	await(&w, &w.n_states, 2);
	HAS(w.heard, "stuck another program");
	assert_false(w.c.ready);
	/* and once it is over */
	telegram_ops.connect(&w.c);
	await(&w, &w.n_states, 3);
	HAS(w.heard, "up chela_bot");
	world_close(&w);
}

static void a_webhook_of_somebody_is_taken_off(void **state)
{
	struct world w;

	world_up(&w, state);
	plan(&w, "getUpdates", ANSWER, 409,
	     NO(409, "Conflict: can't use getUpdates method while webhook is active", ""));
	push(&w, "");
	await(&w, &w.n_polls, 4);
	HAS(w.log, "deleteWebhook");
	assert_int_equal(w.n_states, 1);
	world_close(&w);
}

static void a_refused_token_asks_for_a_person(void **state)
{
	struct world w;

	world_open(&w, state);
	plan(&w, "getMe", ANSWER, 401, NO(401, "Unauthorized", ""));
	telegram_ops.connect(&w.c);
	await(&w, &w.n_states, 1);
	HAS(w.heard, "stuck Telegram refuses the bot token");
	HAS(w.heard, w.t->token_file);
	HAS_NOT(w.heard, "AAtest");
	world_close(&w);
}

static void trouble_is_ridden_out(void **state)
{
	struct world w;
	int n;

	world_up(&w, state);
	plan(&w, "getUpdates", ANSWER, 502, "<html>Bad Gateway</html>");
	plan(&w, "getUpdates", ANSWER, 200, "{\"ok\":true,\"result\":7}");
	plan(&w, "getUpdates", ANSWER, 200, "{\"ok\":tru");
	plan(&w, "getUpdates", CUT, 0, NULL);
	plan(&w, "getUpdates", ANSWER, 500, NO(500, "Internal Server Error", ""));
	n = w.n_polls;
	push(&w, "");
	await(&w, &w.n_polls, n + 6);
	assert_true(w.c.ready);
	assert_int_equal(w.n_states, 1);
	world_close(&w);
}

static void silence_is_noticed(void **state)
{
	struct world w;

	world_up(&w, state);
	w.t->watchdog_ms = 20;
	plan(&w, "getUpdates", HANG, 0, NULL);
	push(&w, "");
	await(&w, &w.n_states, 2);
	HAS(w.heard, "down no good answer to getUpdates");
	world_close(&w);
}

static void a_failed_start_says_why(void **state)
{
	struct world w;

	world_open(&w, state);
	plan(&w, "getMe", ANSWER, 429,
	     NO(429, "Too Many Requests: retry after 7", ",\"parameters\":{\"retry_after\":7}"));
	telegram_ops.connect(&w.c);
	await(&w, &w.n_states, 1);
	HAS(w.heard, "down Telegram: Too Many Requests: retry after 7 7000\n");
	plan(&w, "getMe", CUT, 0, NULL);
	telegram_ops.connect(&w.c);
	await(&w, &w.n_states, 2);
	HAS_NOT(w.heard, TOKEN);
	world_close(&w);
}

static void a_wrong_token_file_does_not_start(void **state)
{
	struct world w;
	struct err e = ERR_INIT;
	FILE *f;

	world_open(&w, state);
	secret_free(&w.t->token);
	http_client_free(steal_ptr(&w.t->http));
	f = fopen(w.t->token_file, "w");
	assert_non_null(f);
	fputs("12 34\n", f);
	fclose(f);
	assert_err(telegram_ops.open(&w.c, &e), &e, E_INVAL, "holds no bot token");
	assert_null(strstr(e.msg, "12 34"));
	secret_free(&w.t->token);
	assert_int_equal(chmod(w.t->token_file, 0644), 0);
	assert_err(telegram_ops.open(&w.c, &e), &e, E_PERM, "chmod 600");
	world_close(&w);
}

static void line(void *ctx, const char *s)
{
	buf_putf(ctx, "%s\n", s);
}

static void describes_itself(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct world w;

	world_up(&w, state);
	telegram_ops.describe(&w.c, line, &b);
	HAS(b, "telegram: bot @chela_bot, up, last good poll 0 s ago\n");
	HAS(b, "/setprivacy");
	world_close(&w);
}

/* The core may tell of a message after the channel is gone. */
static void closes_in_the_middle(void **state)
{
	struct world w;

	world_up(&w, state);
	w.hold = true;
	push(&w, UPDATE(80, "a"));
	await(&w, &w.n_messages, 1);
	world_close(&w); /* stores after close */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(starts_in_order),
		FIX_TEST(the_offset_waits_for_the_store),
		FIX_TEST(a_batch_without_messages_moves_on),
		FIX_TEST(presses_are_answered_once_stored),
		FIX_TEST(a_conflict_is_not_fatal),
		FIX_TEST(a_conflict_that_lasts_asks_for_a_person),
		FIX_TEST(a_webhook_of_somebody_is_taken_off),
		FIX_TEST(a_refused_token_asks_for_a_person),
		FIX_TEST(trouble_is_ridden_out),
		FIX_TEST(silence_is_noticed),
		FIX_TEST(a_failed_start_says_why),
		FIX_TEST(a_wrong_token_file_does_not_start),
		FIX_TEST(describes_itself),
		FIX_TEST(closes_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
