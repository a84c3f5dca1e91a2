// SPDX-License-Identifier: Apache-2.0
/*
 * Typed access to JSON (cJSON underneath): size cap before parsing, depth cap, and getters whose
 * error names the path of the wrong member. Numbers are doubles: ids beyond 2^53 must be strings,
 * and a number that is not an exact integer is refused where an integer is asked for.
 */
#ifndef CHELA_BASE_JSON_H
#define CHELA_BASE_JSON_H
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define JSON_MAX_DEFAULT ((size_t)8 << 20)

/* Parses exactly one JSON value of at most `max` bytes; trailing white space only. NULL on error
 * (message says offset). Caller frees with cJSON_Delete or _cleanup_json_. */
cJSON *json_parse(const char *p, size_t n, size_t max, struct err *e) must_check;
static inline void cleanup_json_p(cJSON **j)
{
	cJSON_Delete(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json_p)

/* Getters. `path` is a dotted path of object members and array indexes, such as "message.content.0.text".
 * Borrowed results live as long as `j`. The _opt forms return the default when the member is
 * absent or null, but still fail when it has the wrong type. */
int json_str(const cJSON *j, const char *path, const char **out, struct err *e) must_check;
int json_str_opt(const cJSON *j, const char *path, const char *def, const char **out,
		 struct err *e) must_check;
int json_i64(const cJSON *j, const char *path, int64_t *out, struct err *e) must_check;
int json_i64_opt(const cJSON *j, const char *path, int64_t def, int64_t *out,
		 struct err *e) must_check;
int json_bool_opt(const cJSON *j, const char *path, bool def, bool *out, struct err *e) must_check;
int json_obj(const cJSON *j, const char *path, const cJSON **out, struct err *e) must_check;
int json_arr(const cJSON *j, const char *path, const cJSON **out, struct err *e) must_check;
/* Loose look-ups for places where absence and a wrong type mean the same: NULL / def. */
const cJSON *json_find(const cJSON *j, const char *path);
const char *json_peek_str(const cJSON *j, const char *path); /* NULL when absent or no string */
const char *json_text(const cJSON *j, const char *path);     /* the same, but "" */
int64_t json_peek_i64(const cJSON *j, const char *path, int64_t def);
/* Refuses members of object `j` that are not in the NULL-ended list; error names the member and the nearest known one. */
int json_only(const cJSON *j, const char *what, const char *const *known, struct err *e) must_check;

/* Adds members to an object, in words like "group=%s leased=%lld up=%hhd": a string, a number, a boolean. A key is as long as a word. */
void json_add(cJSON *to, const char *members, ...) __attribute__((format(printf, 2, 3)));
/* Writing. Compact text, owned by the caller (free()). Never NULL. */
char *json_print(const cJSON *j);
/* Appends s as a quoted JSON string (escapes per RFC 8259; invalid UTF-8 becomes U+FFFD). */
void json_put_str(struct buf *b, const char *s, size_t n);

#endif
