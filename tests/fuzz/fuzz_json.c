// SPDX-License-Identifier: Apache-2.0
/*
 * JSON and its getters: the first line is a path, the rest a text. Any bytes give a value or an
 * error; a value that was read prints to a text that reads again and prints the same.
 */
#include "fuzz.h"
#include <string.h>
#include "base/json.h"
#include "base/str.h"

static void get_all(const cJSON *j, const char *path)
{
	static const char *const known[] = {"type", "message", NULL};
	struct err e = ERR_INIT;
	const char *s;
	const cJSON *c;
	int64_t i;
	bool b;

	if (json_str(j, path, &s, &e) == 0)
		fuzz_check(json_peek_str(j, path) == s);
	if (json_str_opt(j, path, "def", &s, &e) == 0)
		fuzz_check(s != NULL);
	if (json_i64(j, path, &i, &e) == 0)
		fuzz_check(json_peek_i64(j, path, i + 1) == i);
	if (json_i64_opt(j, path, 1, &i, &e) == 0)
		fuzz_check(i >= -(INT64_C(1) << 53) && i <= INT64_C(1) << 53);
	if (json_bool_opt(j, path, true, &b, &e))
		fuzz_check(e.code == E_PROTO);
	if (json_obj(j, path, &c, &e) == 0)
		fuzz_check(json_find(j, path) == c && cJSON_IsObject(c));
	if (json_arr(j, path, &c, &e) == 0)
		fuzz_check(json_find(j, path) == c && cJSON_IsArray(c));
	if (json_only(j, "fuzz", known, &e))
		fuzz_check(e.code == E_PROTO);
}

static void print_and_read(const cJSON *j)
{
	_cleanup_free_ char *a = json_print(j), *b = NULL;
	_cleanup_json_ cJSON *again = NULL;
	struct err e = ERR_INIT;

	fuzz_check(str_is_utf8(a, strlen(a)));
	again = json_parse(a, strlen(a), JSON_MAX_DEFAULT, &e);
	fuzz_check(again);
	b = json_print(again);
	fuzz_check(streq(a, b));
}

/* Any bytes, written as a JSON string, read as the same text (or with U+FFFD for what is none). */
static void put_and_read(const char *p, size_t n)
{
	_cleanup_(buf_free) struct buf b = {0};
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;

	json_put_str(&b, p, n);
	j = json_parse(b.p, b.len, JSON_MAX_DEFAULT, &e);
	fuzz_check(cJSON_IsString(j));
	if (str_is_utf8(p, n) && !memchr(p, 0, n))
		fuzz_check(strlen(j->valuestring) == n && !memcmp(j->valuestring, p, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *nl = n ? memchr(data, '\n', n) : NULL;
	_cleanup_free_ char *path = NULL;
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;

	if (!nl)
		return 0;
	path = xstrndup((const char *)data, (size_t)(nl - data));
	n -= (size_t)(nl + 1 - data);
	put_and_read((const char *)nl + 1, n);
	j = json_parse((const char *)nl + 1, n, 1 << 16, &e);
	if (!j) {
		fuzz_check(e.code == E_PROTO || e.code == E_LIMIT);
		return 0;
	}
	get_all(j, path);
	print_and_read(j);
	return 0;
}
