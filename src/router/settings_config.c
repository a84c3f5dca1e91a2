// SPDX-License-Identifier: Apache-2.0
/*
 * The router's own sections of the configuration: `groups`, the defaults of what can be set for each group, and `files`. Strict, as the rest of
 * that file.
 */
#include <string.h>
#include "base/str.h"
#include "base/yaml.h"
#include "router/impl.h"
#include "router/settings_impl.h"

#define MAX_IN_BYTES ((int64_t)20 << 20)
#define COMMAND_MAX  32 /* words of files.transcribe */

static struct yaml *open_file(const struct config *cfg, struct err *e)
{
	return cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
}

/* --- groups: ------------------------------------------------------------------------------ */

/* In the file the zone has a name that says what it is the zone of. */
static const char *name_in_file(const struct setting *t)
{
	return t->kind == SETTING_ZONE ? "time_zone" : t->key;
}

static int read_groups(struct yaml_node *root, struct group_settings *out, struct err *e)
{
	struct yaml_node *section = yaml_at(root, "groups");

	for (const struct setting *t = settings_table; t->key; t++) {
		_cleanup_free_ char *path = xasprintf("groups.%s", name_in_file(t));
		struct err why = ERR_INIT;
		const char *value;

		if (!t->normal) /* assistant: and model.name: say it */
			continue;
		if (yaml_str(root, path, t->normal, &value, e) < 0)
			return -1;
		if (settings_put(out, t, value, &why) < 0)
			return yaml_fail(yaml_at(root, path), e, "%s", why.msg);
	}
	return section ? yaml_finish_at(section, e) : 0;
}

static int load(const struct config *cfg, struct group_settings *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = open_file(cfg, e);

	str_copy(out->name, sizeof(out->name), cfg->assistant);
	str_copy(out->model, sizeof(out->model), cfg->model_name);
	return y ? read_groups(yaml_root(y), out, e) : -1;
}

int settings_check(const struct config *cfg, struct err *e)
{
	struct group_settings g = {.tz = NULL};
	int rc = load(cfg, &g, e);

	settings_fini(&g);
	return rc;
}

static void forget_groups(struct router *r)
{
	for (size_t i = 0; i < r->settings.cap; i++) {
		struct group_settings *g = r->settings.slots[i].value;

		if (g)
			settings_fini(g);
		free(g);
	}
	map_free(&r->settings);
}

int settings_open(struct router *r, const struct config *cfg, struct err *e)
{
	struct group_settings *g = xcalloc(1, sizeof(*g));

	if (load(cfg, g, e) < 0) {
		settings_fini(g);
		free(g);
		return -1;
	}
	settings_free(r);
	r->defaults = g;
	return 0;
}

void settings_free(struct router *r)
{
	forget_groups(r);
	if (r->defaults)
		settings_fini(r->defaults);
	free(r->defaults);
	r->defaults = NULL;
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
	_cleanup_yaml_ struct yaml *y = open_file(cfg, e);
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
