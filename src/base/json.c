// SPDX-License-Identifier: Apache-2.0
/*
 * JSON in and out. cJSON parses, but it recurses, takes stray control bytes for white space and
 * ends strings at an escaped NUL, so every text is scanned once before: size, depth, number of values, UTF-8, bare
 * control characters. Escaped lone surrogates (an agent that cuts an emoji in two sends them) and
 * escaped NULs cannot be held as C strings: they become U+FFFD instead of losing the message.
 */
#include "base/json.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"

#define DEPTH_MAX  128
#define KEY_MAX	   128
#define VALUES_MAX 200000		     /* a value of two bytes takes 80 once it is read */
#define EXACT_MAX  INT64_C(9007199254740992) /* 2^53 */
#define SAFE_FIRST "\\ufffd"

/* The 16 bits of the \uXXXX at p, or -1. */
static int escape16(const char *p, size_t n)
{
	int v = 0;

	if (n < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;

		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* Length of the escape at p; *bad when it stands for what a C string cannot hold. */
static size_t escape_len(const char *p, size_t n, bool *bad)
{
	int v = escape16(p, n);

	*bad = false;
	if (v < 0)
		return n < 2 ? n : 2; /* a short escape, or wrong: cJSON judges */
	if (v >= 0xd800 && v <= 0xdbff) {
		int low = escape16(p + 6, n - 6);

		if (low >= 0xdc00 && low <= 0xdfff)
			return 12;
	}
	*bad = v == 0 || (v >= 0xd800 && v <= 0xdfff);
	return 6;
}

struct scan {
	size_t depth, values;
	bool in_string;
	bool mend; /* some escapes must be replaced */
};

/* One step from p[i]; returns the bytes taken, 0 with *why set when the text is refused. */
static size_t scan_step(struct scan *s, const char *p, size_t n, const char **why)
{
	unsigned char c = (unsigned char)*p;
	bool bad;
	size_t len;

	if (c < 0x20 && (s->in_string || (c != '\t' && c != '\n' && c != '\r'))) {
		*why = "bare control character";
		return 0;
	}
	if (s->in_string) {
		if (c == '\\') {
			if (n > 1 && p[1] == 'u' && escape16(p, n) < 0) {
				*why = "malformed escape"; /* cJSON would read it as a NUL */
				return 0;
			}
			len = escape_len(p, n, &bad);
			s->mend |= bad;
			return len;
		}
		s->in_string = c != '"';
	} else if (c == '"') {
		s->in_string = true;
	} else if (c == ',' && ++s->values > VALUES_MAX) {
		*why = "too many values";
		return 0;
	} else if (c == '{' || c == '[') {
		s->values++;
		if (++s->depth > DEPTH_MAX) {
			*why = "nested too deep";
			return 0;
		}
	} else if ((c == '}' || c == ']') && s->depth) {
		s->depth--;
	}
	return 1;
}

/* Checks the whole text; 1 when escapes must be mended, 0 when fine, -1 refused. */
static int scan(const char *p, size_t n, struct err *e)
{
	struct scan s = {0};
	const char *why = NULL;

	for (size_t i = 0, step; i < n; i += step) {
		step = scan_step(&s, p + i, n - i, &why);
		if (!step)
			return err_set(e, E_PROTO, "JSON: %s at byte %zu", why, i);
	}
	if (!str_is_utf8(p, n))
		return err_set(e, E_PROTO, "JSON: not UTF-8");
	return s.mend;
}

/* A copy with the escapes that C strings cannot hold replaced; same length, caller frees. */
static char *mend(const char *p, size_t n)
{
	char *copy = xmalloc(n + 1);

	memcpy(copy, p, n);
	copy[n] = '\0';
	for (size_t i = 0, step = 1; i < n; i += step) {
		bool bad = false;

		step = copy[i] == '\\' ? escape_len(copy + i, n - i, &bad) : 1;
		if (bad)
			memcpy(copy + i, SAFE_FIRST, 6);
	}
	return copy;
}

cJSON *json_parse(const char *p, size_t n, size_t max, struct err *e)
{
	_cleanup_free_ char *copy = NULL;
	const char *end = NULL;
	cJSON *j;
	int rc;

	if (n > max) {
		err_set(e, E_LIMIT, "JSON: %zu bytes, more than %zu", n, max);
		return NULL;
	}
	rc = n ? scan(p, n, e) : err_set(e, E_PROTO, "JSON: empty");
	if (rc < 0)
		return NULL;
	if (rc > 0)
		p = copy = mend(p, n);
	j = cJSON_ParseWithLengthOpts(p, n, &end, 0);
	if (!j) {
		err_set(e, E_PROTO, "JSON: malformed at byte %zu", end ? (size_t)(end - p) : 0);
		return NULL;
	}
	while (end < p + n && (*end == ' ' || *end == '\t' || *end == '\n' || *end == '\r'))
		end++;
	if (end != p + n) {
		err_set(e, E_PROTO, "JSON: more text after the value, at byte %zu",
			(size_t)(end - p));
		cJSON_Delete(j);
		return NULL;
	}
	return j;
}

static const char *type_name(const cJSON *j)
{
	static const struct {
		int types;
		const char *name;
	} names[] = {{cJSON_True | cJSON_False, "a boolean"},
		     {cJSON_NULL, "null"},
		     {cJSON_Number, "a number"},
		     {cJSON_String, "a string"},
		     {cJSON_Array, "an array"},
		     {cJSON_Object, "an object"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (j->type & names[i].types)
			return names[i].name;
	}
	return "nothing";
}

/* The child that one step of a path names, or NULL. */
static const cJSON *child(const cJSON *j, const char *key)
{
	struct err e;
	int64_t i;

	if (cJSON_IsObject(j))
		return cJSON_GetObjectItemCaseSensitive(j, key);
	if (cJSON_IsArray(j) && str_to_i64(key, 0, INT32_MAX, &i, &e) == 0)
		return cJSON_GetArrayItem(j, (int)i);
	return NULL;
}

/* Walks the path. *at is how much of it was taken when a step could not be made, with *stop the
 * node that has no such step. */
static const cJSON *walk(const cJSON *j, const char *path, size_t *at, const cJSON **stop)
{
	const char *p = path;

	while (j && *p) {
		char key[KEY_MAX];
		size_t n = strcspn(p, ".");

		*stop = j;
		*at = (size_t)(p - path);
		if (n >= sizeof(key))
			return NULL;
		memcpy(key, p, n);
		key[n] = '\0';
		j = child(j, key);
		p += n + (p[n] == '.');
	}
	return j;
}

/* Finds a member; NULL result with 0 = absent or null, -1 = something on the way is no container. */
static int find(const cJSON *j, const char *path, const cJSON **out, struct err *e)
{
	const cJSON *stop = j;
	size_t at = 0;

	*out = walk(j, path, &at, &stop);
	if (*out && cJSON_IsNull(*out))
		*out = NULL;
	if (*out || !stop || cJSON_IsObject(stop) || cJSON_IsArray(stop) || cJSON_IsNull(stop))
		return 0;
	if (at == 0)
		return err_set(e, E_PROTO, "JSON: expected an object, got %s", type_name(stop));
	return err_set(e, E_PROTO, "JSON: %.*s: expected an object or array, got %s", (int)at - 1,
		       path, type_name(stop));
}

static int wrong(const char *path, const char *want, const cJSON *got, struct err *e)
{
	if (!got)
		return err_set(e, E_PROTO, "JSON: %s: missing, expected %s", path, want);
	return err_set(e, E_PROTO, "JSON: %s: expected %s, got %s", path, want, type_name(got));
}

int json_str_opt(const cJSON *j, const char *path, const char *def, const char **out, struct err *e)
{
	const cJSON *v;

	if (find(j, path, &v, e))
		return -1;
	if (v && !cJSON_IsString(v))
		return wrong(path, "a string", v, e);
	*out = v ? v->valuestring : def;
	return 0;
}

int json_str(const cJSON *j, const char *path, const char **out, struct err *e)
{
	const char *s;

	if (json_str_opt(j, path, NULL, &s, e))
		return -1;
	if (!s)
		return wrong(path, "a string", NULL, e);
	*out = s;
	return 0;
}

static bool exact(const cJSON *v, int64_t *out)
{
	double d;

	if (!cJSON_IsNumber(v))
		return false;
	d = v->valuedouble;
	if (!(d >= (double)-EXACT_MAX && d <= (double)EXACT_MAX) || d != trunc(d))
		return false;
	*out = (int64_t)d;
	return true;
}

/* *have tells absent (or null) from found. */
static int get_i64(const cJSON *j, const char *path, int64_t *out, bool *have, struct err *e)
{
	const cJSON *v;

	if (find(j, path, &v, e))
		return -1;
	*have = v != NULL;
	if (v && cJSON_IsNumber(v) && !exact(v, out))
		return err_set(e, E_PROTO, "JSON: %s: expected a whole number within 2^53, got %g",
			       path, v->valuedouble);
	if (v && !cJSON_IsNumber(v))
		return wrong(path, "a whole number", v, e);
	return 0;
}

int json_i64(const cJSON *j, const char *path, int64_t *out, struct err *e)
{
	bool have;

	if (get_i64(j, path, out, &have, e))
		return -1;
	return have ? 0 : wrong(path, "a whole number", NULL, e);
}

int json_i64_opt(const cJSON *j, const char *path, int64_t def, int64_t *out, struct err *e)
{
	bool have;

	if (get_i64(j, path, out, &have, e))
		return -1;
	if (!have)
		*out = def;
	return 0;
}

int json_bool_opt(const cJSON *j, const char *path, bool def, bool *out, struct err *e)
{
	const cJSON *v;

	if (find(j, path, &v, e))
		return -1;
	if (v && !cJSON_IsBool(v))
		return wrong(path, "true or false", v, e);
	*out = v ? cJSON_IsTrue(v) : def;
	return 0;
}

int json_obj(const cJSON *j, const char *path, const cJSON **out, struct err *e)
{
	const cJSON *v;

	if (find(j, path, &v, e))
		return -1;
	if (!v || !cJSON_IsObject(v))
		return wrong(path, "an object", v, e);
	*out = v;
	return 0;
}

int json_arr(const cJSON *j, const char *path, const cJSON **out, struct err *e)
{
	const cJSON *v;

	if (find(j, path, &v, e))
		return -1;
	if (!v || !cJSON_IsArray(v))
		return wrong(path, "an array", v, e);
	*out = v;
	return 0;
}

const cJSON *json_find(const cJSON *j, const char *path)
{
	const cJSON *stop;
	size_t at;

	return walk(j, path, &at, &stop);
}

const char *json_peek_str(const cJSON *j, const char *path)
{
	const cJSON *v = json_find(j, path);

	return v && cJSON_IsString(v) ? v->valuestring : NULL;
}

const char *json_text(const cJSON *j, const char *path)
{
	const char *s = json_peek_str(j, path);

	return s ? s : "";
}

int64_t json_peek_i64(const cJSON *j, const char *path, int64_t def)
{
	const cJSON *v = json_find(j, path);
	int64_t out;

	return v && exact(v, &out) ? out : def;
}

int json_only(const cJSON *j, const char *what, const char *const *known, struct err *e)
{
	const cJSON *m;

	if (!cJSON_IsObject(j))
		return err_set(e, E_PROTO, "%s: expected an object", what);
	cJSON_ArrayForEach(m, j)
	{
		const char *const *k = known;
		const char *near;

		while (*k && !streq(*k, m->string))
			k++;
		if (*k)
			continue;
		near = str_nearest(m->string, known);
		return err_set(e, E_PROTO, "%s: unknown member \"%.64s\"%s%s%s", what, m->string,
			       near ? " (did you mean \"" : "", near ? near : "",
			       near ? "\"?)" : "");
	}
	return 0;
}

void json_add(cJSON *to, const char *members, ...)
{
	va_list ap;

	va_start(ap, members);
	while (*members) {
		size_t n = strcspn(members, "=");
		char key[KEY_MAX];

		snprintf(key, sizeof(key), "%.*s", (int)n, members);
		members += n;
		n = strcspn(members, " ");
		if (n == 3 && memcmp(members, "=%s", n) == 0)
			cJSON_AddStringToObject(to, key, va_arg(ap, const char *));
		else if (n == 5 && memcmp(members, "=%lld", n) == 0)
			cJSON_AddNumberToObject(to, key, (double)va_arg(ap, long long));
		else if (n == 5 && memcmp(members, "=%hhd", n) == 0)
			cJSON_AddBoolToObject(to, key, va_arg(ap, int));
		else
			die("json_add: a member of no known kind");
		members += n + (members[n] == ' ');
	}
	va_end(ap);
}

char *json_print(const cJSON *j)
{
	char *s = cJSON_PrintUnformatted(j);

	if (!s)
		die("out of memory");
	return s;
}

void json_put_str(struct buf *b, const char *s, size_t n)
{
	size_t i = 0, plain = 0; /* s[plain..i) needs no escape and is not yet written */

	buf_put(b, "\"", 1);
	while (i < n) {
		unsigned char c = (unsigned char)s[i];
		size_t len = str_utf8_seq(s + i, n - i);
		static const char names[] = "btn.fr"; /* 0x08 to 0x0d; 0x0b has no short form */

		if (len && c >= 0x20 && c != '"' && c != '\\') {
			i += len;
			continue;
		}
		buf_put(b, s + plain, i - plain);
		if (!len)
			buf_put(b, "\xef\xbf\xbd", 3);
		else if (c == '"' || c == '\\')
			buf_putf(b, "\\%c", c);
		else if (c >= 0x08 && c <= 0x0d && c != 0x0b)
			buf_putf(b, "\\%c", names[c - 0x08]);
		else
			buf_putf(b, "\\u%04x", c);
		plain = ++i;
	}
	buf_put(b, s + plain, n - plain);
	buf_put(b, "\"", 1);
}
