// SPDX-License-Identifier: Apache-2.0
/*
 * Settings of groups, by one table of keys and words, and the section `files` of the configuration; see settings.h. What is not set is not
 * stored, so a new default reaches every group that has not chosen.
 */
#include "router/settings.h"
#include <stddef.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "base/yaml.h"
#include "router/inbox.h"

#define SETTINGS_MAX ((size_t)4096)
#define MAX_IN_BYTES ((int64_t)20 << 20)
#define COMMAND_MAX  32 /* words of files.transcribe */

static const char *const triggers[] = {"mention", "always", NULL};
static const char *const session_rules[] = {"chat", "thread", NULL};
static const char *const switches[] = {"on", "off", NULL};

enum setting_id {
	SET_TRIGGER,
	SET_SESSIONS,
	SET_TYPING,
	SET_DRAFTS,
	SET_TOOLS
};
static const struct setting {
	const char *key;
	const char *const *words; /* the first is the default */
} table[] = {
	[SET_TRIGGER] = {"trigger", triggers}, [SET_SESSIONS] = {"sessions", session_rules},
	[SET_TYPING] = {"typing", switches},   [SET_DRAFTS] = {"drafts", switches},
	[SET_TOOLS] = {"tools", switches},
};

static void put(struct group_settings *g, enum setting_id id, int word)
{
	switch (id) {
	case SET_TRIGGER:
		g->trigger = (enum trigger_rule)word;
		break;
	case SET_SESSIONS:
		g->sessions = (enum session_rule)word;
		break;
	case SET_TYPING:
		g->typing = word == 0;
		break;
	case SET_DRAFTS:
		g->drafts = word == 0;
		break;
	case SET_TOOLS:
		g->tools = word == 0;
		break;
	}
}

static int word_now(const struct group_settings *g, enum setting_id id)
{
	switch (id) {
	case SET_TRIGGER:
		return (int)g->trigger;
	case SET_SESSIONS:
		return (int)g->sessions;
	case SET_TYPING:
		return !g->typing;
	case SET_DRAFTS:
		return !g->drafts;
	case SET_TOOLS:
		return !g->tools;
	}
	return 0;
}

static int find_word(const char *const *words, const char *w)
{
	for (int i = 0; words[i]; i++) {
		if (streq(words[i], w))
			return i;
	}
	return -1;
}

static void choices_of(const struct setting *t, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; t->words[i] && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " or " : "", t->words[i]);
}

/* What is stored, as it is; NULL when there is no such group or the store fails. A value that is not understood (of a newer version) counts as not
 * set, and is not lost. */
static cJSON *load(struct router *r, int64_t group_id, struct err *e)
{
	_cleanup_free_ char *json = NULL;
	cJSON *j;

	if (store_group_settings(r->store, group_id, &json, e) < 0)
		return NULL;
	j = json_parse(json, strlen(json), SETTINGS_MAX, e);
	if (j && cJSON_IsObject(j))
		return j;
	cJSON_Delete(j);
	log_warn("settings", "unreadable, so the defaults hold", "group=%lld", (long long)group_id);
	return cJSON_CreateObject();
}

const struct group_settings *settings_get(struct router *r, int64_t group_id)
{
	struct group_settings *g = map_get(&r->settings, group_id);
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = NULL;

	if (g)
		return g;
	g = xcalloc(1, sizeof(*g));
	str_copy(g->name, sizeof(g->name), r->o.cfg->assistant);
	str_copy(g->zone, sizeof(g->zone), "UTC");
	str_copy(g->model, sizeof(g->model), r->o.cfg->model_name);
	g->context_rows = CONTEXT_ROWS;
	g->context_ms = CONTEXT_AGE_MS;
	map_put(&r->settings, group_id, g);
	j = load(r, group_id, &e);
	if (!j && e.code != E_GONE)
		router_fatal(r, &e);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *w = j ? json_peek_str(j, table[i].key) : NULL;
		int word = w ? find_word(table[i].words, w) : 0;

		put(g, (enum setting_id)i, word < 0 ? 0 : word);
	}
	return g;
}

int settings_set(struct router *r, int64_t group_id, const char *key, const char *value,
		 struct err *e)
{
	_cleanup_json_ cJSON *j = NULL;
	_cleanup_free_ char *text = NULL;
	char words[64];
	size_t i = 0;
	int word;

	while (i < ARRAY_LEN(table) && !streq(table[i].key, key))
		i++;
	if (i == ARRAY_LEN(table))
		return err_set(e, E_INVAL,
			       "there is no setting \"%.40s\": use trigger, sessions, typing, "
			       "drafts or tools",
			       key);
	word = find_word(table[i].words, value);
	choices_of(&table[i], words, sizeof(words));
	if (word < 0)
		return err_set(e, E_INVAL, "%s is %s, not \"%.40s\"", key, words, value);
	j = load(r, group_id, e);
	if (!j)
		return -1;
	cJSON_DeleteItemFromObjectCaseSensitive(j, key);
	if (word)
		cJSON_AddStringToObject(j, key, value);
	text = json_print(j);
	if (store_group_settings_set(r->store, group_id, text, e) < 0)
		return -1;
	settings_get(r, group_id);
	put(map_get(&r->settings, group_id), (enum setting_id)i, word);
	return 0;
}

void settings_each(const struct group_settings *g, setting_fn *fn, void *ctx)
{
	char words[64];

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		choices_of(&table[i], words, sizeof(words));
		fn(ctx, table[i].key, table[i].words[word_now(g, (enum setting_id)i)], words);
	}
}

void settings_free(struct router *r)
{
	for (size_t i = 0; i < r->settings.cap; i++)
		free(r->settings.slots[i].value);
	map_free(&r->settings);
}

/* --- files: ------------------------------------------------------------------------------- */

static int read_command(struct yaml_node *list, struct files_settings *out, struct err *e)
{
	size_t n = yaml_len(list);
	bool named = false;

	if (list && yaml_key(list, 0))
		return yaml_fail(list, e, "expected a list of words");
	if (!n)
		return 0;
	if (n > COMMAND_MAX)
		return yaml_fail(list, e, "more than %d words", COMMAND_MAX);
	out->transcribe = xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		const char *word;

		if (yaml_str(yaml_item(list, i), "", "", &word, e) < 0)
			return -1;
		out->transcribe[i] = xstrdup(word);
		named |= strstr(word, "{}") != NULL;
	}
	if (!out->transcribe[0][0])
		return yaml_fail(list, e, "the command has no name");
	if (!named)
		return yaml_fail(list, e,
				 "no word has {}, which stands for the file; add it, such as "
				 "[whisper-to-text, \"{}\"]");
	return 0;
}

int files_settings_load(const struct config *cfg, struct files_settings *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
	struct yaml_node *root, *section;

	*out = (struct files_settings){0};
	if (!y)
		return -1;
	root = yaml_root(y);
	section = yaml_at(root, "files");
	if (yaml_size(root, "files.max_in", MAX_IN_BYTES, 1024, (int64_t)1 << 30, &out->max_in, e) <
		    0 ||
	    read_command(yaml_at(root, "files.transcribe"), out, e) < 0 ||
	    (section && yaml_finish_at(section, e) < 0)) {
		files_settings_free(out);
		return -1;
	}
	return 0;
}

void files_settings_free(struct files_settings *f)
{
	for (size_t i = 0; f->transcribe && f->transcribe[i]; i++)
		free(f->transcribe[i]);
	free(f->transcribe);
	*f = (struct files_settings){0};
}
