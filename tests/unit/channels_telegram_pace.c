// SPDX-License-Identifier: Apache-2.0
/* Telegram's rates, and its section of the configuration. */
#include "unit.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/telegram/telegram.h"

static void rates(void **state maybe_unused)
{
	struct pace p = {0};
	int64_t now = 1000000;

	for (int i = 0; i < PACE_BURST; i++) {
		assert_int_equal(pace_when(&p, "5", now), now);
		pace_take(&p, "5", now);
	}
	assert_int_equal(pace_when(&p, "5", now), now + PACE_CHAT_MS);
	assert_int_equal(pace_when(&p, "6", now), now);
	assert_int_equal(pace_when(&p, "5", now + 1000), now + 1000);
	pace_hold(&p, "6", now, now + 7000);
	assert_int_equal(pace_when(&p, "6", now), now + 7000);
	assert_int_equal(pace_when(&p, "6", now + 8000), now + 8000);
	pace_free(&p);
}

static void rates_of_groups_and_of_all(void **state maybe_unused)
{
	struct pace p = {0};
	int64_t now = 1000000, t = now, first = 0;
	char chat[24];

	for (int i = 0; i < PACE_GROUP; i++) {
		t = pace_when(&p, "-9", t);
		first = first ? first : t;
		pace_take(&p, "-9", t);
	}
	assert_int_equal(pace_left(&p, "-9", t), 0);
	assert_int_equal(pace_left(&p, "9", t), PACE_GROUP);
	assert_int_equal(pace_when(&p, "-9", t), first + PACE_GROUP_MS);
	assert_int_equal(pace_left(&p, "-9", first + PACE_GROUP_MS), PACE_BURST);
	pace_free(&p);

	p = (struct pace){0};
	for (int i = 0; i < PACE_ALL; i++) {
		snprintf(chat, sizeof(chat), "%d", i + 1);
		assert_int_equal(pace_when(&p, chat, now), now);
		pace_take(&p, chat, now);
	}
	assert_int_equal(pace_all(&p, now), now + PACE_ALL_MS);
	assert_int_equal(pace_when(&p, "99", now), now + PACE_ALL_MS);
	/* what says nothing any more is not kept */
	pace_take(&p, "100", now + 2 * PACE_GROUP_MS);
	pace_take(&p, "100", now + 2 * PACE_GROUP_MS);
	assert_int_equal(pace_all(&p, now + 2 * PACE_GROUP_MS), now + 2 * PACE_GROUP_MS);
	pace_free(&p);
}

static void the_section_is_checked(void **state maybe_unused)
{
	static const struct {
		const char *yaml, *why; /* why NULL = fine, "" = off */
	} t[] = {
		{"{}", ""},
		{"token_file: \"\"", ""},
		{"token_file: secrets/tg", NULL},
		{"token_file: secrets/tg\napi_url: https://bots.example/", NULL},
		{"token_file: secrets/tg\napi_url: http://bots.example", "https://"},
		{"token_file: secrets/tg\napi_url: ftp://x", "https://"},
		{"token_file: secrets/tg\napi_url: http://127.0.0.1:1\nca_file: x.pem",
		 "no effect"},
		{"token_file: [1]", "token_file"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct err e = ERR_INIT;
		struct yaml *y = yaml_parse(t[i].yaml, strlen(t[i].yaml), "test", &e);
		struct channel c = {.ops = &telegram_ops};
		int rc;

		assert_non_null(y);
		rc = telegram_ops.configure(yaml_root(y), "/home/x", &c.priv, &e);
		if (t[i].why && *t[i].why) {
			assert_int_equal(rc, -1);
			assert_error_is(&e, E_INVAL, t[i].why);
			assert_null(c.priv);
		} else {
			assert_ok(rc, &e);
			assert_ok(yaml_finish(y, &e), &e);
			assert_int_equal(c.priv != NULL, t[i].why == NULL);
		}
		if (c.priv) {
			const struct telegram *tg = c.priv;

			assert_string_equal(tg->token_file, "/home/x/secrets/tg");
			assert_true(tg->api_url[strlen(tg->api_url) - 1] != '/');
			telegram_ops.close(&c);
		}
		yaml_free(y);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates),
		cmocka_unit_test(rates_of_groups_and_of_all),
		cmocka_unit_test(the_section_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
