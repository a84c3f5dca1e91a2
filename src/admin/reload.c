// SPDX-License-Identifier: Apache-2.0
/* See reload.h. Which keys have changed is seen by comparing the two files key by key, so that a key which this file has never heard of is named as well. */
#include "admin/reload.h"
#include <string.h>
#include "admin/cli.h"
#include "base/log.h"
#include "base/str.h"
#include "base/yaml.h"

#define KEYS_MAX  2000
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

struct pair {
	char *key, *value;
};
struct pairs {
	struct pair *v;
	size_t n, cap;
};

struct reload {
	struct config *live;
	struct pairs now; /* what is in force */
};

static void pairs_free(struct pairs *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct pairs){0};
}

static void add(struct pairs *p, const char *key, const char *value)
{
	if (p->n == KEYS_MAX)
		return;
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 64;
		p->v = xrealloc(p->v, p->cap * sizeof(*p->v));
	}
	p->v[p->n++] = (struct pair){xstrdup(key), xstrdup(value)};
}

static void flatten(struct yaml_node *n, const char *key, int depth, struct pairs *out)
{
	struct err none = ERR_INIT;
	const char *text;

	if (depth == DEPTH_MAX)
		return;
	if (!yaml_len(n)) {
		add(out, key, yaml_str(n, "", "", &text, &none) == 0 ? text : "");
		return;
	}
	for (size_t i = 0; i < yaml_len(n); i++) {
		const char *name = yaml_key(n, i);
		_cleanup_free_ char *path = name ? xasprintf("%s%s%s", key, key[0] ? "." : "", name)
						 : xasprintf("%s[%zu]", key, i);

		flatten(yaml_item(n, i), path, depth + 1, out);
	}
}

static int read_pairs(const struct config *cfg, struct pairs *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);

	if (!y)
		return -1;
	flatten(yaml_root(y), "", 0, out);
	return 0;
}

static const char *value_of(const struct pairs *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++) {
		if (streq(p->v[i].key, key))
			return p->v[i].value;
	}
	return NULL;
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
static void compare(const struct pairs *a, const struct pairs *b, bool both, struct names *live,
		    struct names *later)
{
	for (size_t i = 0; i < a->n; i++) {
		const char *other = value_of(b, a->v[i].key);

		if (!other || (both && !streq(other, a->v[i].value)))
			name(is_live(a->v[i].key) ? live : later, a->v[i].key);
	}
}

static int load(const struct reload *l, struct config *out, struct pairs *pairs, struct err *e)
{
	const struct cli c = {
		.home = l->live->home,
		.config = l->live->file[0] ? l->live->file : NULL,
	};

	if (cli_config(&c, false, out, e) < 0)
		return -1;
	return read_pairs(out, pairs, e);
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
	if (read_pairs(live, &l->now, e) == 0)
		return l;
	reload_free(l);
	return NULL;
}

void reload_free(struct reload *l)
{
	if (l)
		pairs_free(&l->now);
	free(l);
}

int reload_check(const struct reload *l, struct err *e)
{
	_cleanup_(pairs_free) struct pairs pairs = {0};
	struct config fresh;

	return load(l, &fresh, &pairs, e);
}

/* Keys that still wait for a restart stay as they were in `now`, so that the next reload names them again. */
static void keep_later(struct pairs *now, struct pairs *fresh)
{
	struct pairs out = {0};

	for (size_t i = 0; i < fresh->n; i++) {
		if (is_live(fresh->v[i].key))
			add(&out, fresh->v[i].key, fresh->v[i].value);
	}
	for (size_t i = 0; i < now->n; i++) {
		if (!is_live(now->v[i].key))
			add(&out, now->v[i].key, now->v[i].value);
	}
	pairs_free(now);
	*now = out;
}

int reload_do(struct reload *l, struct router *r, struct buf *said, struct err *e)
{
	_cleanup_(pairs_free) struct pairs pairs = {0};
	struct names live = {0}, later = {0};
	struct config fresh, before = *l->live;
	int rc = -1;

	if (load(l, &fresh, &pairs, e) < 0)
		return -1;
	compare(&pairs, &l->now, true, &live, &later);
	compare(&l->now, &pairs, false, &live, &later);
	take(l->live, &fresh);
	if (router_reload(r, e) < 0) {
		take(l->live, &before);
		goto out;
	}
	buf_putf(said, "The configuration was read. In force now: %s.",
		 live.n ? live.text.p : "nothing new");
	if (later.n)
		buf_putf(said, " These need a restart (chela restart): %s.", later.text.p);
	keep_later(&l->now, &pairs);
	rc = 0;
out:
	buf_free(&live.text);
	buf_free(&later.text);
	return rc;
}
