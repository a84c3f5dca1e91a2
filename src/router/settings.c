// SPDX-License-Identifier: Apache-2.0
/*
 * Settings of groups, by one table of typed keys; see settings.h. What is not set is not stored, so a new default reaches every group
 * that has not chosen. A stored value that is not understood (of a newer version) counts as not set, and is not lost.
 */
#include "router/settings.h"
#include <string.h>
#include "base/duration.h"
#include "base/json.h"
#include "base/log.h"
#include "base/pattern.h"
#include "base/str.h"
#include "base/yaml.h"
#include "base/zone.h"
#include "router/impl.h"
#include "router/settings_impl.h"

#define SETTINGS_MAX ((size_t)8192)
#define WORDS_MAX    20 /* of one trigger */
#define WORD_BYTES   64

static const char *const session_rules[] = {"chat", "thread", NULL};
static const char *const stranger_rules[] = {"ask", "ignore", "allow", NULL};
static const char *const switches[] = {"off", "on", NULL};

_Static_assert(sizeof(enum session_rule) == sizeof(int), "words are stored as int");
#define AT(member) offsetof(struct group_settings, member)

const struct setting settings_table[] = {
	{"trigger", SETTING_TRIGGER, AT(trigger), "mention",
	 .choices = "mention, always, word WORD[,WORD] or regex RE"},
	{"sticky", SETTING_SWITCH, AT(sticky), "on", .words = switches},
	{"sessions", SETTING_WORD, AT(sessions), "chat", .words = session_rules},
	{"strangers", SETTING_WORD, AT(strangers), "ask", .words = stranger_rules},
	{"name", SETTING_TEXT, AT(name), NULL, .choices = "up to 63 bytes"},
	{"zone", SETTING_ZONE, AT(zone), "UTC", .choices = "a time zone such as Europe/Berlin"},
	{"model", SETTING_MODEL, AT(model), NULL, .choices = "a model's name, or default"},
	{"context_count", SETTING_NUMBER, AT(context_rows), "30", .max = CONTEXT_MAX},
	{"context_age", SETTING_DURATION, AT(context_ms), "1d", .max = (int64_t)365 * 86400000},
	{"typing", SETTING_SWITCH, AT(typing), "on", .words = switches},
	{"drafts", SETTING_SWITCH, AT(drafts), "on", .words = switches},
	{"tools", SETTING_SWITCH, AT(tools), "on", .words = switches},
	{.key = NULL},
};

/* --- one value ---------------------------------------------------------------------------- */

static void choices_of(const struct setting *t, char *out, size_t cap)
{
	size_t n = 0;
	char most[24];

	str_copy(out, cap, t->choices ? t->choices : "");
	if (t->kind == SETTING_SWITCH) {
		str_copy(out, cap, "on or off");
	} else if (t->kind == SETTING_NUMBER) {
		snprintf(out, cap, "0 to %lld", (long long)t->max);
	} else if (t->kind == SETTING_DURATION) {
		duration_format(t->max, most);
		snprintf(out, cap, "a duration up to %s, such as 12h", most);
	} else if (t->words) {
		for (int i = 0; t->words[i] && n < cap; i++)
			n += (size_t)snprintf(out + n, cap - n, "%s%s",
					      !i		? ""
					      : t->words[i + 1] ? ", "
								: " or ",
					      t->words[i]);
	}
}

static int wrong(const struct setting *t, const char *value, struct err *e)
{
	char choices[120];

	choices_of(t, choices, sizeof(choices));
	return err_set(e, E_INVAL, "%s is %s, not \"%.40s\"", t->key, choices, value);
}

static int put_word(void *at, const struct setting *t, const char *value, struct err *e)
{
	for (int i = 0; t->words[i]; i++) {
		if (!streq(t->words[i], value))
			continue;
		if (t->kind == SETTING_SWITCH)
			*(bool *)at = i;
		else
			memcpy(at, &i, sizeof(i));
		return 0;
	}
	return wrong(t, value, e);
}

/* One line that a person can read, and that fits into 64 bytes. */
static int put_text(char *at, const struct setting *t, const char *value, struct err *e)
{
	char line[64];

	str_one_line(line, sizeof(line), value);
	if (!value[0] || !streq(line, value) || !str_is_utf8(value, strlen(value)) ||
	    strpbrk(value, "[]<>"))
		return wrong(t, value, e);
	str_copy(at, 64, value);
	return 0;
}

static int put_zone(struct group_settings *g, const char *value, struct err *e)
{
	struct zone *z = zone_open(value, e);

	if (!z)
		return -1;
	zone_close(g->tz);
	g->tz = z;
	str_copy(g->zone, sizeof(g->zone), value);
	return 0;
}

/* --- the trigger -------------------------------------------------------------------------- */

static int add_word(struct buf *re, const char *word, size_t n, struct err *e)
{
	while (n && *word == ' ')
		word++, n--;
	while (n && word[n - 1] == ' ')
		n--;
	if (!n || n > WORD_BYTES)
		return err_set(e, E_INVAL,
			       "trigger: a word has 1 to %d bytes; words are separated by commas, "
			       "as in: word chela,hey chela",
			       WORD_BYTES);
	buf_puts(re, re->len ? "|" : "");
	for (size_t i = 0; i < n; i++) {
		bool plain = word[i] & 0x80 || (word[i] >= '0' && word[i] <= '9') ||
			     ((word[i] | 32) >= 'a' && (word[i] | 32) <= 'z');

		buf_putf(re, plain ? "%c" : "\\%c", word[i]);
	}
	return 0;
}

/* A list of words as one expression: none stands in the middle of a longer word. */
static struct pattern *words_pattern(const char *list, struct err *e)
{
	_cleanup_(buf_free) struct buf any = {0};
	_cleanup_free_ char *re = NULL;
	int n = 0;

	for (const char *p = list;; p++) {
		size_t len = strcspn(p, ",");

		if (++n > WORDS_MAX) {
			err_set(e, E_INVAL, "trigger: more than %d words", WORDS_MAX);
			return NULL;
		}
		if (add_word(&any, p, len, e) < 0)
			return NULL;
		p += len;
		if (!*p)
			break;
	}
	re = xasprintf("(?<![\\p{L}\\p{N}_])(?:%s)(?![\\p{L}\\p{N}_])", any.p);
	return pattern_new(re, e);
}

/* Names the setting before the error's words. */
static int about(const struct setting *t, struct err *e)
{
	struct err was = *e;

	return err_set(e, was.code, "%s: %.220s", t->key, was.msg);
}

static int put_trigger(struct group_settings *g, const struct setting *t, const char *value,
		       struct err *e)
{
	enum trigger_rule rule = TRIGGER_MENTION;
	struct pattern *p = NULL;

	if (strlen(value) >= sizeof(g->trigger_text) || !str_is_utf8(value, strlen(value)))
		return err_set(e, E_INVAL, "trigger: at most %zu bytes of UTF-8",
			       sizeof(g->trigger_text) - 1);
	if (str_starts(value, "word ")) {
		rule = TRIGGER_WORD;
		p = words_pattern(value + strlen("word "), e);
	} else if (str_starts(value, "regex ")) {
		rule = TRIGGER_REGEX;
		p = pattern_new(value + strlen("regex "), e);
		if (!p)
			about(t, e);
	} else if (streq(value, "always")) {
		rule = TRIGGER_ALWAYS;
	} else if (!streq(value, "mention")) {
		return wrong(t, value, e);
	}
	if (!p && (rule == TRIGGER_WORD || rule == TRIGGER_REGEX))
		return -1;
	pattern_free(g->pattern);
	g->pattern = p;
	g->trigger = rule;
	str_copy(g->trigger_text, sizeof(g->trigger_text), value);
	return 0;
}

int settings_put(struct group_settings *g, const struct setting *t, const char *value,
		 struct err *e)
{
	void *at = (char *)g + t->at;
	int64_t n = 0;

	switch (t->kind) {
	case SETTING_WORD:
	case SETTING_SWITCH:
		return put_word(at, t, value, e);
	case SETTING_TEXT:
		return put_text(at, t, value, e);
	case SETTING_MODEL:
		if (!value[0] || strlen(value) > 63 || !model_name_ok(value))
			return wrong(t, value, e);
		str_copy(at, 64, value);
		return 0;
	case SETTING_ZONE:
		return put_zone(g, value, e);
	case SETTING_TRIGGER:
		return put_trigger(g, t, value, e);
	case SETTING_NUMBER:
		if (str_to_i64(value, 0, t->max, &n, e) < 0)
			return wrong(t, value, e);
		break;
	case SETTING_DURATION:
		if (duration_parse(value, 0, t->max, &n, e) < 0)
			return about(t, e);
		break;
	}
	memcpy(at, &n, sizeof(n));
	return 0;
}

static void words_of(const struct group_settings *g, const struct setting *t, char *out, size_t cap)
{
	const void *at = (const char *)g + t->at;
	int64_t n;
	int i;

	switch (t->kind) {
	case SETTING_SWITCH:
		str_copy(out, cap, *(const bool *)at ? "on" : "off");
		break;
	case SETTING_WORD:
		memcpy(&i, at, sizeof(i));
		str_copy(out, cap, t->words[i]);
		break;
	case SETTING_TRIGGER:
		str_copy(out, cap, g->trigger_text);
		break;
	case SETTING_TEXT:
	case SETTING_ZONE:
	case SETTING_MODEL:
		str_copy(out, cap, *(const char *)at ? (const char *)at : "default");
		break;
	case SETTING_NUMBER:
		memcpy(&n, at, sizeof(n));
		snprintf(out, cap, "%lld", (long long)n);
		break;
	case SETTING_DURATION: {
		char text[24];

		memcpy(&n, at, sizeof(n));
		duration_format(n, text);
		str_copy(out, cap, text);
	}
	}
}

void settings_fini(struct group_settings *g)
{
	pattern_free(g->pattern);
	zone_close(g->tz);
	g->pattern = NULL;
	g->tz = NULL;
}

/* --- of one group ------------------------------------------------------------------------- */

/* What is stored, as it is; NULL when there is no such group or the store fails. */
static cJSON *load(struct router *r, int64_t group_id, struct err *e)
{
	_cleanup_free_ char *json = NULL;
	struct err bad = ERR_INIT;
	cJSON *j;

	if (store_group_settings(r->store, group_id, &json, e) < 0)
		return NULL;
	j = json_parse(json, strlen(json), SETTINGS_MAX, &bad);
	if (j && cJSON_IsObject(j))
		return j;
	cJSON_Delete(j);
	log_warn("settings", "unreadable, so the defaults hold", "group=%lld", (long long)group_id);
	return cJSON_CreateObject();
}

/* Whom main listens to is never left to a default. */
static void guard_main(struct router *r, int64_t group_id, struct group_settings *g)
{
	struct err e = ERR_INIT;
	struct group_row row;

	if (g->strangers == STRANGERS_ALLOW &&
	    (store_group_at(r->store, group_id, &row, &e) < 0 || row.is_main))
		g->strangers = STRANGERS_ASK;
}

static struct group_settings *make(struct router *r, int64_t group_id)
{
	struct group_settings *g = xcalloc(1, sizeof(*g));
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = load(r, group_id, &e);

	if (!j && e.code != E_GONE)
		router_fatal(r, &e);
	for (const struct setting *t = settings_table; t->key; t++) {
		const char *own = j ? json_peek_str(j, t->key) : NULL;
		struct err why = ERR_INIT;
		char value[sizeof(g->trigger_text)];

		if (own && settings_put(g, t, own, &why) == 0)
			continue;
		if (own)
			log_warn("settings", "not understood, so the default holds",
				 "group=%lld why=\"%s\"", (long long)group_id, why.msg);
		if (!t->normal) {
			str_copy((char *)g + t->at, 64, (const char *)r->defaults + t->at);
			continue;
		}
		words_of(r->defaults, t, value, sizeof(value));
		if (settings_put(g, t, value, &why) < 0)
			log_oops("a default setting does not hold: %s", why.msg);
	}
	guard_main(r, group_id, g);
	return g;
}

const struct group_settings *settings_get(struct router *r, int64_t group_id)
{
	struct group_settings *g = map_get(&r->settings, group_id);

	if (!g) {
		g = make(r, group_id);
		map_put(&r->settings, group_id, g);
	}
	return g;
}

void settings_keys(char *out, size_t cap)
{
	size_t n = 0;

	for (const struct setting *t = settings_table; t->key && n < cap; t++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s",
				      t == settings_table ? ""
				      : t[1].key	  ? ", "
							  : " or ",
				      t->key);
}

static const struct setting *find(const char *key, struct err *e)
{
	char keys[200];

	for (const struct setting *t = settings_table; t->key; t++) {
		if (streq(t->key, key))
			return t;
	}
	settings_keys(keys, sizeof(keys));
	err_set(e, E_INVAL, "there is no setting \"%.40s\": use %s", key, keys);
	return NULL;
}

/* Whether this value is right, before anything is changed. */
static int try(const struct setting *t, int64_t group_id, struct router *r, const char *value,
	       struct err *e)
{
	struct group_settings trial = {.tz = NULL};
	struct group_row row;
	int rc = settings_put(&trial, t, value, e);

	if (rc == 0)
		rc = store_group_at(r->store, group_id, &row, e);
	if (rc == 0 && trial.strangers == STRANGERS_ALLOW && row.is_main)
		rc = err_set(e, E_INVAL,
			     "strangers is never allow in main: who talks there commands the "
			     "server");
	settings_fini(&trial);
	return rc;
}

int settings_set(struct router *r, int64_t group_id, const char *key, const char *value,
		 struct err *e)
{
	const struct setting *t = find(key, e);
	_cleanup_json_ cJSON *j = NULL;
	_cleanup_free_ char *text = NULL;

	if (!t || (!streq(value, "default") && try(t, group_id, r, value, e) < 0))
		return -1;
	j = load(r, group_id, e);
	if (!j)
		return -1;
	cJSON_DeleteItemFromObjectCaseSensitive(j, key);
	if (!streq(value, "default"))
		cJSON_AddStringToObject(j, key, value);
	text = json_print(j);
	if (strlen(text) > SETTINGS_MAX)
		return err_set(e, E_LIMIT, "the settings of one group are over %zu bytes",
			       SETTINGS_MAX);
	if (store_group_settings_set(r->store, group_id, text, e) < 0)
		return -1;
	settings_drop(r, group_id);
	return 0;
}

int settings_each(struct router *r, int64_t group_id, setting_fn *fn, void *ctx, struct err *e)
{
	const struct group_settings *g = settings_get(r, group_id);
	_cleanup_json_ cJSON *j = load(r, group_id, e);
	char choices[120], value[sizeof(g->trigger_text)];

	if (!j)
		return -1;
	for (const struct setting *t = settings_table; t->key; t++) {
		choices_of(t, choices, sizeof(choices));
		words_of(g, t, value, sizeof(value));
		fn(ctx, t->key, value, choices, json_peek_str(j, t->key) != NULL);
	}
	return 0;
}

bool settings_slow(struct router *r, int64_t group_id)
{
	struct group_settings *g = map_get(&r->settings, group_id);
	bool first = g && !g->told_slow;

	if (g)
		g->told_slow = true;
	return first;
}

void settings_drop(struct router *r, int64_t group_id)
{
	struct group_settings *g = map_get(&r->settings, group_id);

	if (!g)
		return;
	map_del(&r->settings, group_id);
	settings_fini(g);
	free(g);
}
