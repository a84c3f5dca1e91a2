// SPDX-License-Identifier: Apache-2.0
/* See reload.h. Which keys have changed is seen by comparing the two files key by key, so that a key which this file has never heard of is named as well. */
#include "admin/reload.h"
#include <string.h>
#include "admin/cli.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/yaml.h"

#define DEPTH_MAX 8
#define NAMED_MAX 12 /* keys in one line */

/* Keys, or sections, that take effect at once. */
static const char *const live_keys[] = {
	"assistant",
	"log.level",
	"model.name",
	"sandbox.idle_stop",
	"sandbox.turn_timeout",
	"sandbox.start_timeout",
	"router.",
	"files.",
	"groups.",
	"people.",
	"retention.",
	"serve.drain",
};

struct reload {
	struct config *live;
	cJSON *now; /* what is in force: keys to values, in the order of the file */
};

static void flatten(struct yaml_node *n, const char *key, int depth, cJSON *out)
{
	struct err none = ERR_INIT;
	const char *text;

	if (depth == DEPTH_MAX)
		return;
	if (!yaml_len(n)) {
		cJSON_AddStringToObject(out, key,
					yaml_str(n, "", "", &text, &none) == 0 ? text : "");
		return;
	}
	for (size_t i = 0; i < yaml_len(n); i++) {
		const char *name = yaml_key(n, i);
		_cleanup_free_ char *path = name ? xasprintf("%s%s%s", key, key[0] ? "." : "", name)
						 : xasprintf("%s[%zu]", key, i);

		flatten(yaml_item(n, i), path, depth + 1, out);
	}
}

static cJSON *read_pairs(const struct config *cfg, struct err *e)
{
	cJSON *out;
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);

	if (!y)
		return NULL;
	out = cJSON_CreateObject();
	flatten(yaml_root(y), "", 0, out);
	return out;
}

static bool is_live(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(live_keys); i++) {
		size_t n = strlen(live_keys[i]);

		if (live_keys[i][n - 1] == '.' ? str_starts(key, live_keys[i])
					       : streq(key, live_keys[i]))
			return true;
	}
	return false;
}

struct names {
	struct buf text;
	int n;
};

static void name(struct names *to, const char *key)
{
	if (to->n++ < NAMED_MAX)
		buf_putf(&to->text, "%s%.80s", to->n > 1 ? ", " : "", key);
	else if (to->n == NAMED_MAX + 1)
		buf_puts(&to->text, ", ...");
}

/* Keys of a whose value b has not. both: also those that b has, with another value. */
static void compare(const cJSON *a, const cJSON *b, bool both, struct names *live,
		    struct names *later)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, a)
	{
		const cJSON *other = cJSON_GetObjectItemCaseSensitive(b, one->string);

		if (!other || (both && !streq(other->valuestring, one->valuestring)))
			name(is_live(one->string) ? live : later, one->string);
	}
}

static cJSON *load(const struct reload *l, struct config *out, struct err *e)
{
	const struct cli c = {
		.home = l->live->home,
		.config = l->live->file[0] ? l->live->file : NULL,
	};

	return cli_config(&c, false, out, e) < 0 ? NULL : read_pairs(out, e);
}

/* The keys of live_keys that this struct holds; the rest is kept by their owners (router_reload). */
static void take(struct config *live, const struct config *fresh)
{
	str_copy(live->assistant, sizeof(live->assistant), fresh->assistant);
	str_copy(live->model_name, sizeof(live->model_name), fresh->model_name);
	str_copy(live->file, sizeof(live->file), fresh->file);
	live->idle_stop_ms = fresh->idle_stop_ms;
	live->turn_ms = fresh->turn_ms;
	live->start_ms = fresh->start_ms;
	live->tries = fresh->tries;
	live->delayed_notice_ms = fresh->delayed_notice_ms;
	live->sandbox = fresh->sandbox;
	if (live->log_level != fresh->log_level)
		log_set_level(fresh->log_level);
	live->log_level = fresh->log_level;
}

struct reload *reload_new(struct config *live, struct err *e)
{
	struct reload *l = xcalloc(1, sizeof(*l));

	l->live = live;
	l->now = read_pairs(live, e);
	if (l->now)
		return l;
	reload_free(l);
	return NULL;
}

void reload_free(struct reload *l)
{
	if (l)
		cJSON_Delete(l->now);
	free(l);
}

int reload_check(const struct reload *l, struct err *e)
{
	struct config fresh;
	_cleanup_json_ cJSON *pairs = load(l, &fresh, e);

	return pairs ? 0 : -1;
}

/* Keys that still wait for a restart stay as they were, so that the next reload names them again. */
static void keep_later(struct reload *l, const cJSON *fresh)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *one;

	cJSON_ArrayForEach(one, fresh)
	{
		if (is_live(one->string))
			cJSON_AddStringToObject(out, one->string, one->valuestring);
	}
	cJSON_ArrayForEach(one, l->now)
	{
		if (!is_live(one->string))
			cJSON_AddStringToObject(out, one->string, one->valuestring);
	}
	cJSON_Delete(l->now);
	l->now = out;
}

int reload_do(struct reload *l, struct router *r, struct buf *said, struct err *e)
{
	struct names live = {0}, later = {0};
	struct config fresh, before = *l->live;
	_cleanup_json_ cJSON *pairs = load(l, &fresh, e);
	int rc = -1;

	if (!pairs)
		return -1;
	compare(pairs, l->now, true, &live, &later);
	compare(l->now, pairs, false, &live, &later);
	take(l->live, &fresh);
	if (router_reload(r, e) < 0) {
		take(l->live, &before);
		goto out;
	}
	buf_putf(said, "The configuration was read. In force now: %s.",
		 live.n ? live.text.p : "nothing new");
	if (later.n)
		buf_putf(said, " These need a restart (chela restart): %s.", later.text.p);
	keep_later(l, pairs);
	rc = 0;
out:
	buf_free(&live.text);
	buf_free(&later.text);
	return rc;
}
