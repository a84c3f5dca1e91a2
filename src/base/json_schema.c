// SPDX-License-Identifier: Apache-2.0
/*
 * See json_schema.h. The schema is ours and trusted; the value is not. Depth is bounded by the
 * schema, for no keyword here refers to itself.
 */
#include "base/json_schema.h"
#include <math.h>
#include <string.h>
#include "base/str.h"

#define PATH_MAX_LEN 96

static const char *type_of(const cJSON *v)
{
	if (cJSON_IsNumber(v))
		return floor(v->valuedouble) == v->valuedouble ? "integer" : "number";
	return cJSON_IsString(v)   ? "string"
	       : cJSON_IsBool(v)   ? "boolean"
	       : cJSON_IsArray(v)  ? "array"
	       : cJSON_IsObject(v) ? "object"
				   : "null";
}

static bool type_fits(const char *want, const cJSON *v)
{
	const char *got = type_of(v);

	return streq(want, got) || (streq(want, "number") && streq(got, "integer"));
}

static bool number_at(const cJSON *schema, const char *key, double *out)
{
	const cJSON *j = cJSON_GetObjectItemCaseSensitive(schema, key);

	if (!cJSON_IsNumber(j))
		return false;
	*out = j->valuedouble;
	return true;
}

/* A short piece of the value for the message. */
static void show(const cJSON *v, char *out, size_t cap)
{
	_cleanup_free_ char *text = json_print(v);
	size_t n = strlen(text);

	if (n > 40)
		n = str_utf8_floor(text, 37);
	snprintf(out, cap, "%s %.*s%s", type_of(v), (int)n, text, text[n] ? "..." : "");
}

static int fail(struct err *e, const char *path, const char *expected, const cJSON *v)
{
	char got[96];

	show(v, got, sizeof(got));
	return err_set(e, E_INVAL, "argument \"%s\": expected %s, got %s", path, expected, got);
}

static int check_number(const cJSON *s, const cJSON *v, const char *path, struct err *e)
{
	char text[96];
	double lo = -INFINITY, hi = INFINITY;

	number_at(s, "minimum", &lo);
	number_at(s, "maximum", &hi);
	if (v->valuedouble >= lo && v->valuedouble <= hi)
		return 0;
	if (isfinite(lo) && isfinite(hi))
		snprintf(text, sizeof(text), "a number from %g to %g", lo, hi);
	else
		snprintf(text, sizeof(text), "a number of at %s %g",
			 isfinite(lo) ? "least" : "most", isfinite(lo) ? lo : hi);
	return fail(e, path, text, v);
}

/* Lengths count characters (code points), as JSON Schema says. */
static int check_string(const cJSON *s, const cJSON *v, const char *path, struct err *e)
{
	char text[96];
	double lo = 0, hi = INFINITY;
	size_t n = 0;

	for (const char *p = v->valuestring; *p; p++)
		n += ((unsigned char)*p & 0xc0) != 0x80;
	number_at(s, "minLength", &lo);
	number_at(s, "maxLength", &hi);
	if ((double)n >= lo && (double)n <= hi)
		return 0;
	if (isfinite(hi))
		snprintf(text, sizeof(text), "a string of %g to %g characters (%zu came)", lo, hi,
			 n);
	else
		snprintf(text, sizeof(text), "a string of at least %g characters (%zu came)", lo,
			 n);
	return fail(e, path, text, v);
}

static int check_enum(const cJSON *words, const cJSON *v, const char *path, struct err *e)
{
	struct buf b = {0};
	const cJSON *w;

	cJSON_ArrayForEach(w, words) if (cJSON_Compare(w, v, true)) return 0;
	buf_puts(&b, "one of");
	cJSON_ArrayForEach(w, words)
	{
		_cleanup_free_ char *text = json_print(w);
		buf_putf(&b, "%s %s", w == words->child ? "" : ",", text);
	}
	fail(e, path, b.p, v);
	buf_free(&b);
	return -1;
}

static int check(const cJSON *s, const cJSON *v, const char *path, struct err *e);

static int unknown_name(const cJSON *props, const char *name, struct err *e)
{
	const char *words[64];
	size_t n = 0;
	const cJSON *p;
	struct buf list = {0};

	cJSON_ArrayForEach(p, props)
	{
		if (n + 1 < ARRAY_LEN(words))
			words[n++] = p->string;
		buf_putf(&list, "%s%s", list.len ? ", " : "", p->string);
	}
	words[n] = NULL;
	const char *near = str_nearest(name, words);
	err_set(e, E_INVAL, "there is no argument \"%.60s\"%s%s%s; known: %.120s", name,
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
		list.len ? list.p : "none");
	buf_free(&list);
	return -1;
}

static int check_object(const cJSON *s, const cJSON *v, const char *path, struct err *e)
{
	const cJSON *props = cJSON_GetObjectItemCaseSensitive(s, "properties");
	const cJSON *m;
	char sub[PATH_MAX_LEN];

	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(s, "additionalProperties")))
		cJSON_ArrayForEach(m, v) if (!cJSON_GetObjectItemCaseSensitive(
						     props,
						     m->string)) return unknown_name(props,
										     m->string, e);
	cJSON_ArrayForEach(m, cJSON_GetObjectItemCaseSensitive(s, "required"))
	{
		if (!m->valuestring || cJSON_GetObjectItemCaseSensitive(v, m->valuestring))
			continue;
		const cJSON *p = cJSON_GetObjectItemCaseSensitive(props, m->valuestring);
		const char *type = p ? json_peek_str(p, "type") : NULL;
		const char *text = p ? json_peek_str(p, "description") : NULL;
		return err_set(e, E_INVAL, "argument \"%s%s%s\" is missing: expected %s%s%.120s",
			       path, path[0] ? "." : "", m->valuestring, type ? type : "a value",
			       text ? ", " : "", text ? text : "");
	}
	cJSON_ArrayForEach(m, v)
	{
		const cJSON *p = cJSON_GetObjectItemCaseSensitive(props, m->string);
		snprintf(sub, sizeof(sub), "%s%s%s", path, path[0] ? "." : "", m->string);
		if (p && check(p, m, sub, e) < 0)
			return -1;
	}
	return 0;
}

static int check_type(const cJSON *s, const cJSON *v, const char *path, struct err *e)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(s, "type");
	const cJSON *t;

	if (cJSON_IsString(type))
		return type_fits(type->valuestring, v) ? 0 : fail(e, path, type->valuestring, v);
	if (!cJSON_IsArray(type))
		return 0;
	cJSON_ArrayForEach(t, type) if (cJSON_IsString(t) && type_fits(t->valuestring, v)) return 0;
	_cleanup_free_ char *text = json_print(type);
	return fail(e, path, text, v);
}

static int check(const cJSON *s, const cJSON *v, const char *path, struct err *e)
{
	const cJSON *words = cJSON_GetObjectItemCaseSensitive(s, "enum");
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(s, "items");
	const cJSON *m;
	char sub[PATH_MAX_LEN];
	int i = 0;

	if (check_type(s, v, path, e) < 0)
		return -1;
	if (cJSON_IsArray(words) && check_enum(words, v, path, e) < 0)
		return -1;
	if (cJSON_IsNumber(v))
		return check_number(s, v, path, e);
	if (cJSON_IsString(v))
		return check_string(s, v, path, e);
	if (cJSON_IsObject(v))
		return check_object(s, v, path, e);
	if (cJSON_IsArray(v) && cJSON_IsObject(items)) {
		cJSON_ArrayForEach(m, v)
		{
			snprintf(sub, sizeof(sub), "%s[%d]", path, i++);
			if (check(items, m, sub, e) < 0)
				return -1;
		}
	}
	return 0;
}

int json_schema_check(const cJSON *schema, const cJSON *value, struct err *e)
{
	if (!cJSON_IsObject(value))
		return err_set(e, E_INVAL, "arguments: expected an object, got %s", type_of(value));
	return check(schema, value, "", e);
}
