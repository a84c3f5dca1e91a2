// SPDX-License-Identifier: Apache-2.0
/*
 * Reading the YAML tree. Every look-up leaves a mark, which lets yaml_finish find the settings
 * that nobody reads: a misspelt key must never silently become a default. Errors name file, line,
 * key and what was expected.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "base/yaml.h"
#include "base/yaml_tree.h"

#define PATH_CAP 256
#define STEP_CAP 128

bool yaml_is_null(const struct yaml_node *n)
{
	return n->type == YAML_SCALAR && !n->quoted &&
	       (!*n->text || streq(n->text, "~") || streq(n->text, "null"));
}

/* Writes "a.b.0.c" for a node; "" for the root. */
static void path_of(const struct yaml_node *n, char out[PATH_CAP])
{
	char tail[PATH_CAP], step[STEP_CAP];
	size_t i;

	for (out[0] = '\0'; n && n->parent; n = n->parent) {
		if (n->key) {
			str_copy(step, sizeof(step), n->key);
		} else {
			for (i = 0; i < n->parent->len && n->parent->items[i] != n;)
				i++;
			snprintf(step, sizeof(step), "%zu", i);
		}
		str_copy(tail, sizeof(tail), out);
		snprintf(out, PATH_CAP, "%s%s%.120s", step, *tail ? "." : "", tail);
	}
}

int yaml_fail(const struct yaml_node *n, struct err *e, const char *fmt, ...)
{
	char path[PATH_CAP], text[sizeof(e->msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!n)
		return err_set(e, E_INVAL, "%s", text);
	path_of(n, path);
	return err_set(e, E_INVAL, "%s:%d: %s%s%s", n->file->name, n->line, path, *path ? ": " : "",
		       text);
}

/* Notes that a map was asked for a key. */
static void ask(struct yaml_node *n, const char *key)
{
	struct yaml_asked *a;
	size_t size = strlen(key) + 1;

	for (a = n->asked; a; a = a->next) {
		if (streq(a->key, key))
			return;
	}
	a = xmalloc(sizeof(*a) + size);
	memcpy(a->key, key, size);
	a->next = n->asked;
	n->asked = a;
}

static struct yaml_node *child(struct yaml_node *n, const char *key)
{
	if (n->type != YAML_MAP) {
		n->wanted_map |= !yaml_is_null(n);
		return NULL;
	}
	ask(n, key);
	for (size_t i = 0; i < n->len; i++) {
		if (streq(n->items[i]->key, key))
			return n->items[i];
	}
	return NULL;
}

/* The node at a path even when it is null; *stop is the last node on the way. */
static struct yaml_node *walk(struct yaml_node *n, const char *path, struct yaml_node **stop)
{
	char key[STEP_CAP];

	while (n) {
		size_t len = path ? strcspn(path, ".") : 0;

		n->known = true;
		*stop = n;
		if (!len)
			return n;
		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		path += len + (path[len] == '.');
		n = child(n, key);
	}
	return NULL;
}

struct yaml_node *yaml_root(struct yaml *y)
{
	return y->root;
}

struct yaml_node *yaml_at(struct yaml_node *n, const char *path)
{
	struct yaml_node *stop = NULL;

	n = walk(n, path, &stop);
	if (n && yaml_is_null(n)) {
		n->taken = true;
		return NULL;
	}
	return n;
}

size_t yaml_len(const struct yaml_node *n)
{
	return n ? n->len : 0;
}

struct yaml_node *yaml_item(struct yaml_node *n, size_t i)
{
	if (!n || i >= n->len)
		return NULL;
	n->items[i]->known = true;
	return n->items[i];
}

const char *yaml_key(const struct yaml_node *n, size_t i)
{
	return n && n->type == YAML_MAP && i < n->len ? n->items[i]->key : NULL;
}

int yaml_line(const struct yaml_node *n)
{
	return n ? n->line : 0;
}

static const char *type_name(const struct yaml_node *n)
{
	return n->type == YAML_LIST ? "a list" : n->type == YAML_MAP ? "a map" : "a value";
}

static int not_map(const struct yaml_node *n, struct err *e)
{
	return yaml_fail(n, e, "expected a map, got %s%s", type_name(n),
			 n->key ? ": write its keys beneath it, each on its own line" : "");
}

/* The scalar at a path: *out NULL when absent or null, -1 when something else is there. */
static int scalar(struct yaml_node *n, const char *path, const char *want, struct yaml_node **out,
		  struct err *e)
{
	struct yaml_node *stop = NULL;

	*out = NULL;
	n = walk(n, path, &stop);
	if (!n) {
		if (stop && stop->type != YAML_MAP && !yaml_is_null(stop))
			return not_map(stop, e);
		return 0;
	}
	if (n->type != YAML_SCALAR)
		return yaml_fail(n, e, "expected %s, got %s", want, type_name(n));
	n->taken = true;
	if (!yaml_is_null(n))
		*out = n;
	return 0;
}

int yaml_str(struct yaml_node *n, const char *path, const char *def, const char **out,
	     struct err *e)
{
	if (scalar(n, path, "a text", &n, e))
		return -1;
	*out = n ? n->text : def;
	return 0;
}

int yaml_i64(struct yaml_node *n, const char *path, int64_t def, int64_t min, int64_t max,
	     int64_t *out, struct err *e)
{
	struct err why = ERR_INIT;

	if (scalar(n, path, "a whole number", &n, e))
		return -1;
	if (!n) {
		*out = def;
		return 0;
	}
	if (n->quoted)
		return yaml_fail(n, e, "expected a whole number, got a text in quotes");
	if (str_to_i64(n->text, min, max, out, &why))
		return yaml_fail(n, e, "%s", why.msg);
	return 0;
}

int yaml_double(struct yaml_node *n, const char *path, double def, double min, double max,
		double *out, struct err *e)
{
	char *end;
	double v;

	if (scalar(n, path, "a number", &n, e))
		return -1;
	if (!n) {
		*out = def;
		return 0;
	}
	/* strtod alone would take hex, inf and nan */
	v = strtod(n->text, &end);
	if (n->quoted || *end || strspn(n->text, "+-.0123456789eE") != strlen(n->text) ||
	    !isfinite(v))
		return yaml_fail(n, e, "expected a number, not \"%.40s\"", n->text);
	if (v < min || v > max)
		return yaml_fail(n, e, "expected a number from %g to %g, not %.40s", min, max,
				 n->text);
	*out = v;
	return 0;
}

int yaml_bool(struct yaml_node *n, const char *path, bool def, bool *out, struct err *e)
{
	if (scalar(n, path, "true or false", &n, e))
		return -1;
	if (!n)
		*out = def;
	else if (!n->quoted && streq(n->text, "true"))
		*out = true;
	else if (!n->quoted && streq(n->text, "false"))
		*out = false;
	else
		return yaml_fail(n, e, "expected true or false, not %s\"%.40s\"",
				 n->quoted ? "the text " : "", n->text);
	return 0;
}

struct unit {
	const char *suffix;
	int64_t factor;
};

/* Turns "<digits><suffix>" into a number; a bare 0 needs no suffix. */
static int with_unit(const struct yaml_node *n, const struct unit *units, const char *what,
		     int64_t *out, struct err *e)
{
	size_t digits = strspn(n->text, "0123456789");
	char head[32];
	struct err why = ERR_INIT;
	int64_t v;

	if (!digits || digits >= sizeof(head))
		return yaml_fail(n, e, "expected %s, not \"%.40s\"", what, n->text);
	memcpy(head, n->text, digits);
	head[digits] = '\0';
	if (str_to_i64(head, 0, INT64_MAX, &v, &why))
		return yaml_fail(n, e, "\"%.40s\" is out of range", n->text);
	if (v == 0 && !n->text[digits]) {
		*out = 0;
		return 0;
	}
	for (; units->suffix; units++) {
		if (!streq(units->suffix, n->text + digits))
			continue;
		if (__builtin_mul_overflow(v, units->factor, out))
			return yaml_fail(n, e, "\"%.40s\" is out of range", n->text);
		return 0;
	}
	return yaml_fail(n, e, "expected %s, not \"%.40s\"", what, n->text);
}

/* A number in the largest unit that divides it, for messages. */
static void show_unit(int64_t v, const struct unit *units, char out[32])
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->suffix; u++) {
		if (v && v % u->factor == 0 && u->factor >= best->factor)
			best = u;
	}
	snprintf(out, 32, "%lld%s", (long long)(v / best->factor), best->suffix);
}

static int get_unit(struct yaml_node *n, const char *path, const struct unit *units,
		    const char *what, const int64_t def_min_max[3], int64_t *out, struct err *e)
{
	char lo[32], hi[32];
	int64_t v = 0;

	if (scalar(n, path, what, &n, e))
		return -1;
	if (!n) {
		*out = def_min_max[0];
		return 0;
	}
	if (with_unit(n, units, what, &v, e))
		return -1;
	if (v < def_min_max[1] || v > def_min_max[2]) {
		show_unit(def_min_max[1], units, lo);
		show_unit(def_min_max[2], units, hi);
		return yaml_fail(n, e, "expected %s to %s, not %.40s", lo, hi, n->text);
	}
	*out = v;
	return 0;
}

int yaml_size(struct yaml_node *n, const char *path, int64_t def, int64_t min, int64_t max,
	      int64_t *bytes, struct err *e)
{
	static const struct unit units[] = {{"", 1},
					    {"K", INT64_C(1) << 10},
					    {"M", INT64_C(1) << 20},
					    {"G", INT64_C(1) << 30},
					    {"T", INT64_C(1) << 40},
					    {NULL, 0}};

	return get_unit(n, path, units, "a size such as 64K, 512M or 1G",
			(const int64_t[]){def, min, max}, bytes, e);
}

int yaml_duration(struct yaml_node *n, const char *path, int64_t def_ms, int64_t min_ms,
		  int64_t max_ms, int64_t *ms, struct err *e)
{
	static const struct unit units[] = {{"ms", 1},	    {"s", 1000},     {"m", 60000},
					    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

	return get_unit(n, path, units, "a time such as 500ms, 30s, 5m, 2h or 7d",
			(const int64_t[]){def_ms, min_ms, max_ms}, ms, e);
}

int yaml_word(struct yaml_node *n, const char *path, const char *const *words, int def, int *out,
	      struct err *e)
{
	_cleanup_(buf_free) struct buf list = {0};

	if (scalar(n, path, "a word", &n, e))
		return -1;
	if (!n) {
		*out = def;
		return 0;
	}
	for (int i = 0; words[i]; i++) {
		if (streq(words[i], n->text)) {
			*out = i;
			return 0;
		}
		buf_putf(&list, "%s%s", i ? ", " : "", words[i]);
	}
	return yaml_fail(n, e, "expected one of %s, not \"%.40s\"", list.p ? list.p : "nothing",
			 n->text);
}

static int unknown_key(const struct yaml_node *n, struct err *e)
{
	_cleanup_(buf_free) struct buf all = {0};
	const char *near = NULL;
	size_t best = SIZE_MAX;

	for (const struct yaml_asked *a = n->parent->asked; a; a = a->next) {
		const char *const one[] = {a->key, NULL};
		size_t d = str_distance(n->key, a->key);

		if (d < best && str_nearest(n->key, one)) {
			best = d;
			near = a->key;
		}
	}
	if (near)
		return yaml_fail(n, e, "unknown key (did you mean \"%s\"?)", near);
	for (const struct yaml_asked *a = n->parent->asked; a; a = a->next)
		buf_putf(&all, "%s%s", all.len ? ", " : "", a->key);
	return yaml_fail(n, e, "unknown key; the keys here: %.200s", all.p ? all.p : "none");
}

/* The first node, in the order of the file, that nobody made use of. */
static int check_used(const struct yaml_node *n, struct err *e)
{
	if (n->wanted_map)
		return not_map(n, e);
	if (!n->known)
		return n->key ? unknown_key(n, e) : yaml_fail(n, e, "this item has no use here");
	if (n->type == YAML_SCALAR && !n->taken && !yaml_is_null(n))
		return yaml_fail(n, e, "expected a list or a map, got a value");
	for (size_t i = 0; i < n->len; i++) {
		if (check_used(n->items[i], e))
			return -1;
	}
	return 0;
}

int yaml_finish(struct yaml *y, struct err *e)
{
	return check_used(y->root, e);
}

int yaml_finish_at(struct yaml_node *n, struct err *e)
{
	return check_used(n, e);
}

static void leave(struct yaml_node *n)
{
	n->known = n->taken = true;
	for (size_t i = 0; i < n->len; i++)
		leave(n->items[i]);
}

void yaml_leave(struct yaml_node *n, const char *path)
{
	struct yaml_node *at = yaml_at(n, path);

	if (at)
		leave(at);
}

int yaml_text(struct yaml_node *root, const char *path, const char *def, char *dst, size_t cap,
	      struct err *e)
{
	const char *s;

	if (yaml_str(root, path, def, &s, e) < 0)
		return -1;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return yaml_fail(yaml_at(root, path), e,
					 "control characters are not allowed");
	if (!str_copy(dst, cap, s))
		return yaml_fail(yaml_at(root, path), e, "too long (at most %zu bytes)", cap - 1);
	return 0;
}

int yaml_path(struct yaml_node *root, const char *path, const char *def, const char *dir, char *dst,
	      size_t cap, struct err *e)
{
	char raw[4096];
	int n;

	if (yaml_text(root, path, def, raw, sizeof(raw), e) < 0)
		return -1;
	if (!raw[0] || raw[0] == '/')
		n = snprintf(dst, cap, "%s", raw);
	else
		n = snprintf(dst, cap, "%s/%s", dir, raw);
	if (n < 0 || (size_t)n >= cap)
		return yaml_fail(yaml_at(root, path), e, "the path is too long (at most %zu bytes)",
				 cap - 1);
	return 0;
}
