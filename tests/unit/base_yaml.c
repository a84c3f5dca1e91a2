// SPDX-License-Identifier: Apache-2.0
/* Unit tests of base/yaml: strict parsing, typed getters, and errors that name the place. */
#include "unit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"

static struct yaml *parse(const char *text)
{
	struct err e = ERR_INIT;
	struct yaml *y = yaml_parse(text, strlen(text), "f.yaml", &e);

	if (!y)
		fail_msg("%s: %s", text, e.msg);
	return y;
}

static void refuses(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"a: 1\nb: &x 2\n", "f.yaml:2: anchors"},
		{"a: &x [1]\n", "f.yaml:1: anchors"},
		{"a: &x {b: 1}\n", "f.yaml:1: anchors"},
		{"a: *x\n", "f.yaml:1: aliases"},
		{"a: !!str 1\n", "f.yaml:1: tags"},
		{"a: ! 1\n", "f.yaml:1: tags"},
		{"a: !x [1]\n", "f.yaml:1: tags"},
		{"a: 1\n\nb: 2\na: 3\n", "f.yaml:4: a: key appears twice (first on line 1)"},
		{"a: {b: 1, b: 2}\n", "f.yaml:1: b: key appears twice"},
		{"a: 1\n---\nb: 2\n", "f.yaml:2: more than one document"},
		{"? [a]\n: 1\n", "f.yaml:1: a key must be plain text"},
		{"? {a: 1}\n: 1\n", "f.yaml:1: a key must be plain text"},
		{"\"\": 1\n", "f.yaml:1: a key is empty"},
		{"a: \"x\\0y\"\n", "f.yaml:1: a NUL"},
		{"a: [1\nb: 2\n", "f.yaml:2:"},
		{"a: 1\n\tb: 2\n", "f.yaml:2:"},
		{"a: \"\xff\"\n", "f.yaml:"},
		{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "f.yaml:1: nested deeper than 16"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		struct yaml *y = yaml_parse(rows[i].text, strlen(rows[i].text), "f.yaml", &e);

		if (y || e.code != E_INVAL || !strstr(e.msg, rows[i].why))
			fail_msg("row %zu: %s", i, y ? "was accepted" : e.msg);
	}
}

static void refuses_too_much(void **state)
{
	_cleanup_(buf_free) struct buf b = {0};
	struct err e = ERR_INIT;

	(void)state;
	for (int i = 0; i < 4097; i++)
		buf_putf(&b, "- %d\n", i);
	assert_null(yaml_parse(b.p, b.len, "f.yaml", &e));
	assert_error_is(&e, E_INVAL, "f.yaml:4097: more than 4096 items");
	buf_reset(&b);
	while (b.len <= 256 << 10)
		buf_puts(&b, "# a comment that only fills the file\n");
	assert_null(yaml_parse(b.p, b.len, "f.yaml", &e));
	assert_error_is(&e, E_INVAL, "larger than 256 KiB");
}

static void nothing_is_an_empty_map(void **state)
{
	static const char *const rows[] = {"", "\n", "# only a comment\n", "---\n", "~\n", "{}\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_yaml_ struct yaml *y = parse(rows[i]);
		struct err e = ERR_INIT;
		int64_t v;

		assert_ok(yaml_i64(yaml_root(y), "a.b", 7, 0, 10, &v, &e), &e);
		assert_int_equal(v, 7);
		assert_ok(yaml_finish(y, &e), &e);
	}
}

static const char doc[] = "name: Chela          # 1\n"
			  "sandbox:\n"
			  "  memory: 512M       # 3\n"
			  "  cpus: 1.5\n"
			  "  pids: 256\n"
			  "  idle: 90s\n"
			  "  on: true\n"
			  "  mode: fast\n"
			  "  quoted: \"17\"\n"
			  "  none: ~\n"
			  "  bare:\n"
			  "list:\n"
			  "  - one\n"
			  "  - {deep: x}\n"
			  "map: {a.b: 1, c: 2}\n";

static void reads_every_type(void **state)
{
	static const char *const modes[] = {"slow", "fast", NULL};
	_cleanup_yaml_ struct yaml *y = parse(doc);
	struct yaml_node *r = yaml_root(y), *n;
	struct err e = ERR_INIT;
	const char *s;
	int64_t i;
	double d;
	bool b;
	int w;

	(void)state;
	assert_ok(yaml_str(r, "name", "x", &s, &e), &e);
	assert_string_equal(s, "Chela");
	assert_ok(yaml_size(r, "sandbox.memory", 0, 0, 1 << 30, &i, &e), &e);
	assert_int_equal(i, 512 << 20);
	assert_ok(yaml_double(r, "sandbox.cpus", 1, 0.1, 64, &d, &e), &e);
	assert_true(d > 1.49 && d < 1.51);
	assert_ok(yaml_i64(r, "sandbox.pids", 1, 1, 1000, &i, &e), &e);
	assert_int_equal(i, 256);
	assert_ok(yaml_duration(r, "sandbox.idle", 1, 1, 100000, &i, &e), &e);
	assert_int_equal(i, 90000);
	assert_ok(yaml_bool(r, "sandbox.on", false, &b, &e), &e);
	assert_true(b);
	assert_ok(yaml_word(r, "sandbox.mode", modes, 0, &w, &e), &e);
	assert_int_equal(w, 1);
	assert_ok(yaml_str(r, "sandbox.quoted", "x", &s, &e), &e);
	assert_string_equal(s, "17");
	assert_ok(yaml_str(r, "sandbox.none", "def", &s, &e), &e);
	assert_string_equal(s, "def");
	assert_ok(yaml_i64(r, "sandbox.bare", 5, 0, 9, &i, &e), &e);
	assert_int_equal(i, 5);
	assert_null(yaml_at(r, "sandbox.none"));
	n = yaml_at(r, "list");
	assert_int_equal(yaml_len(n), 2);
	assert_null(yaml_key(n, 0));
	assert_int_equal(yaml_line(yaml_item(n, 0)), 13);
	assert_ok(yaml_str(yaml_item(n, 0), "", "x", &s, &e), &e);
	assert_string_equal(s, "one");
	assert_ok(yaml_str(yaml_item(n, 1), "deep", "x", &s, &e), &e);
	assert_string_equal(s, "x");
	assert_null(yaml_item(n, 2));
	n = yaml_at(r, "map");
	assert_string_equal(yaml_key(n, 0), "a.b");
	assert_ok(yaml_i64(yaml_item(n, 0), NULL, 0, 0, 9, &i, &e), &e);
	assert_int_equal(i, 1);
	assert_ok(yaml_i64(n, "c", 0, 0, 9, &i, &e), &e);
	assert_int_equal(i, 2);
	assert_null(yaml_at(r, "not.there"));
	assert_int_equal(yaml_len(NULL), 0);
	assert_int_equal(yaml_line(NULL), 0);
	assert_ok(yaml_i64(NULL, "x", 3, 0, 9, &i, &e), &e);
	assert_int_equal(i, 3);
	assert_ok(yaml_finish(y, &e), &e);
}

static void wrong_types_name_the_place(void **state)
{
	static const char *const modes[] = {"slow", "quick", NULL};
	_cleanup_yaml_ struct yaml *y = parse(doc);
	struct yaml_node *r = yaml_root(y);
	struct err e = ERR_INIT;
	const char *s;
	int64_t i;
	double d;
	bool b;
	int w;

	(void)state;
	assert_err(yaml_str(r, "sandbox", "x", &s, &e), &e, E_INVAL,
		   "f.yaml:2: sandbox: expected a text, got a map");
	assert_err(yaml_i64(r, "list", 0, 0, 9, &i, &e), &e, E_INVAL,
		   "f.yaml:12: list: expected a whole number, got a list");
	assert_err(yaml_i64(r, "sandbox.mode", 0, 0, 9, &i, &e), &e, E_INVAL,
		   "f.yaml:8: sandbox.mode: expected a whole number, not \"fast\"");
	assert_err(yaml_i64(r, "sandbox.pids", 0, 0, 9, &i, &e), &e, E_INVAL,
		   "sandbox.pids: expected a whole number from 0 to 9, not 256");
	assert_err(yaml_i64(r, "sandbox.quoted", 0, 0, 99, &i, &e), &e, E_INVAL, "in quotes");
	assert_err(yaml_double(r, "sandbox.mode", 0, 0, 9, &d, &e), &e, E_INVAL,
		   "expected a number");
	assert_err(yaml_double(r, "sandbox.cpus", 0, 2, 9, &d, &e), &e, E_INVAL, "from 2 to 9");
	assert_err(yaml_bool(r, "sandbox.mode", true, &b, &e), &e, E_INVAL,
		   "expected true or false, not \"fast\"");
	assert_err(yaml_word(r, "sandbox.mode", modes, 0, &w, &e), &e, E_INVAL,
		   "expected one of slow, quick, not \"fast\"");
	assert_err(yaml_size(r, "sandbox.idle", 0, 0, 9, &i, &e), &e, E_INVAL,
		   "expected a size such as");
	assert_err(yaml_size(r, "sandbox.memory", 0, 0, 256 << 20, &i, &e), &e, E_INVAL,
		   "expected 0 to 256M, not 512M");
	assert_err(yaml_duration(r, "sandbox.pids", 0, 0, 9, &i, &e), &e, E_INVAL,
		   "expected a time such as");
	assert_err(yaml_duration(r, "sandbox.idle", 0, 1000, 60000, &i, &e), &e, E_INVAL,
		   "expected 1s to 1m, not 90s");
	assert_err(yaml_str(r, "name.first", "x", &s, &e), &e, E_INVAL,
		   "f.yaml:1: name: expected a map, got a value");
	assert_err(yaml_str(yaml_item(yaml_at(r, "list"), 1), "", "x", &s, &e), &e, E_INVAL,
		   "f.yaml:14: list.1: expected a text, got a map");
	assert_err(yaml_fail(yaml_at(r, "sandbox.cpus"), &e, "is %d", 5), &e, E_INVAL,
		   "f.yaml:4: sandbox.cpus: is 5");
	assert_err(yaml_fail(r, &e, "bad"), &e, E_INVAL, "f.yaml:1: bad");
	assert_err(yaml_fail(NULL, &e, "bad"), &e, E_INVAL, "bad");
}

static void units_of_size_and_time(void **state)
{
	static const struct {
		const char *text;
		int64_t size, ms; /* -1: refused */
	} rows[] = {
		{"0", 0, 0},
		{"1", 1, -1},
		{"64K", 65536, -1},
		{"2M", 2 << 20, -1 /* minutes are a small m */},
		{"1G", 1 << 30, -1},
		{"1T", INT64_C(1) << 40, -1},
		{"500ms", -1, 500},
		{"30s", -1, 30000},
		{"5m", -1, 300000},
		{"2h", -1, 7200000},
		{"7d", -1, 604800000},
		{"-1", -1, -1},
		{"1.5G", -1, -1},
		{"1 G", -1, -1},
		{"G", -1, -1},
		{"9999999999T", -1, -1},
		{"99999999999999999999", -1, -1},
		{"9223372036854775807d", -1, -1},
		{"1k", -1, -1},
		{"1KB", -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *text = xasprintf("a: %s\n", rows[i].text);
		_cleanup_yaml_ struct yaml *y = parse(text);
		int64_t size = -1, ms = -1;
		struct err e = ERR_INIT;
		int rc;

		rc = yaml_size(yaml_root(y), "a", 0, 0, INT64_MAX, &size, &e);
		if (rc != (rows[i].size < 0 ? -1 : 0) || size != rows[i].size)
			fail_msg("size %s: %lld %s", rows[i].text, (long long)size, e.msg);
		rc = yaml_duration(yaml_root(y), "a", 0, 0, INT64_MAX, &ms, &e);
		if (rc != (rows[i].ms < 0 ? -1 : 0) || ms != rows[i].ms)
			fail_msg("duration %s: %lld %s", rows[i].text, (long long)ms, e.msg);
	}
}

static void odd_numbers_and_booleans(void **state)
{
	static const char *const numbers[] = {"0x10", "nan", ".inf", "1e999", "1,5", "1_0", "''"};
	static const char *const booleans[] = {"yes", "on", "True", "1", "\"true\"", "no"};
	struct err e = ERR_INIT;
	double d;
	bool b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		_cleanup_free_ char *text = xasprintf("a: %s\n", numbers[i]);
		_cleanup_yaml_ struct yaml *y = parse(text);

		assert_err(yaml_double(yaml_root(y), "a", 0, -1e300, 1e300, &d, &e), &e, E_INVAL,
			   "expected a number");
	}
	for (size_t i = 0; i < ARRAY_LEN(booleans); i++) {
		_cleanup_free_ char *text = xasprintf("a: %s\n", booleans[i]);
		_cleanup_yaml_ struct yaml *y = parse(text);

		assert_err(yaml_bool(yaml_root(y), "a", false, &b, &e), &e, E_INVAL,
			   "expected true or false");
	}
}

static void finish_finds_what_nobody_reads(void **state)
{
	static const struct {
		const char *text, *why; /* NULL: fine */
	} rows[] = {
		{"sandbox: {memory: 1}\nmodel: x\n", NULL},
		{"sandbox: {memry: 1}\n",
		 "f.yaml:1: sandbox.memry: unknown key (did you mean \"memory\"?)"},
		{"sandbox:\n  other: 1\n",
		 "f.yaml:2: sandbox.other: unknown key; the keys here: memory"},
		{"\nmodle: x\n", "f.yaml:2: modle: unknown key (did you mean \"model\"?)"},
		{"sandbox: 5\n",
		 "f.yaml:1: sandbox: expected a map, got a value: write its keys beneath it"},
		{"sandbox: [1]\n", "f.yaml:1: sandbox: expected a map, got a list"},
		{"sandbox:\n", NULL},
		{"sandbox: {}\n", NULL},
		{"list: 5\n", "f.yaml:1: list: expected a list or a map, got a value"},
		{"list: []\n", NULL},
		{"list: [1, 2]\n", "f.yaml:1: list.1: this item has no use here"},
		{"just text\n", "f.yaml:1: expected a map, got a value"},
		{"- model\n", "f.yaml:1: expected a map, got a list"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_yaml_ struct yaml *y = parse(rows[i].text);
		struct yaml_node *r = yaml_root(y), *box = yaml_at(r, "sandbox");
		struct err e = ERR_INIT;
		const char *s;
		int64_t v;
		int rc;

		/* a reader that meets a wrong type itself is another test's matter */
		(void)!yaml_i64(box, "memory", 0, 0, 9, &v, &e);
		(void)!yaml_str(r, "model", "x", &s, &e);
		(void)!yaml_str(yaml_item(yaml_at(r, "list"), 0), "", "x", &s, &e);
		e = (struct err)ERR_INIT;
		rc = yaml_finish(y, &e);
		if (rc != (rows[i].why ? -1 : 0) ||
		    (rows[i].why && strncmp(e.msg, rows[i].why, strlen(rows[i].why)) != 0))
			fail_msg("row %zu: rc %d: %s", i, rc, e.msg);
		if (rows[i].why && !strstr(rows[i].why, "did you mean"))
			assert_null(strstr(e.msg, "did you mean"));
	}
}

static void loads_files(void **state)
{
	char dir[] = "/tmp/chela-yaml-XXXXXX";
	_cleanup_free_ char *file = NULL;
	struct err e = ERR_INIT;
	struct yaml *y;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/c.yaml", dir);
	assert_null(yaml_load(file, &e));
	assert_error_is(&e, E_GONE, file);
	assert_null(yaml_load(dir, &e));
	assert_error_is(&e, E_INVAL, "not a regular file");
	f = fopen(file, "we");
	assert_non_null(f);
	fputs("a: 1\nb: [\n", f);
	fclose(f);
	assert_null(yaml_load(file, &e));
	assert_error_is(&e, E_INVAL, "c.yaml:3: ");
	f = fopen(file, "we");
	assert_non_null(f);
	fputs("a: 1\n", f);
	fclose(f);
	y = yaml_load(file, &e);
	assert_non_null(y);
	assert_non_null(yaml_at(yaml_root(y), "a"));
	yaml_free(y);
	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_too_much),
		cmocka_unit_test(nothing_is_an_empty_map),
		cmocka_unit_test(reads_every_type),
		cmocka_unit_test(wrong_types_name_the_place),
		cmocka_unit_test(units_of_size_and_time),
		cmocka_unit_test(odd_numbers_and_booleans),
		cmocka_unit_test(finish_finds_what_nobody_reads),
		cmocka_unit_test(loads_files),
	};

	return cmocka_run_group_tests_name("base_yaml", tests, NULL, NULL);
}
