// SPDX-License-Identifier: Apache-2.0
/*
 * Config files: any bytes give a tree or an error, every node of a tree can be read, and a tree
 * whose nodes were all read has nothing left to complain about.
 */
#include "fuzz.h"
#include "base/str.h"
#include "base/yaml.h"

static void read_as_anything(struct yaml_node *n)
{
	static const char *const words[] = {"on", "off", NULL};
	struct err e = ERR_INIT;
	const char *s;
	int64_t i;
	double d;
	bool b;
	int w;

	if (yaml_i64(n, "", 1, -100, 100, &i, &e) == 0)
		fuzz_check(i >= -100 && i <= 100);
	if (yaml_double(n, "", 1, -100, 100, &d, &e) == 0)
		fuzz_check(d >= -100 && d <= 100);
	if (yaml_size(n, "", 0, 0, 1 << 30, &i, &e) == 0)
		fuzz_check(i >= 0 && i <= 1 << 30);
	if (yaml_duration(n, "", 0, 0, 1 << 30, &i, &e) == 0)
		fuzz_check(i >= 0 && i <= 1 << 30);
	if (yaml_word(n, "", words, 0, &w, &e) == 0)
		fuzz_check(w == 0 || w == 1);
	if (yaml_bool(n, "", false, &b, &e))
		fuzz_check(e.code == E_INVAL);
	if (yaml_str(n, "", "", &s, &e) == 0)
		fuzz_check(s && str_is_utf8(s, strlen(s)));
}

static void visit(struct yaml_node *n)
{
	size_t len = yaml_len(n);

	fuzz_check(yaml_line(n) >= 1);
	if (!len)
		read_as_anything(n);
	for (size_t i = 0; i < len; i++) {
		const char *key = yaml_key(n, i);

		if (key && !strchr(key, '.'))
			yaml_at(n, key);
		visit(yaml_item(n, i));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = ERR_INIT;
	_cleanup_yaml_ struct yaml *y = yaml_parse((const char *)data, n, "fuzz.yaml", &e);
	const char *s;

	if (!y) {
		fuzz_check(e.code == E_INVAL && str_is_utf8(e.msg, strlen(e.msg)));
		return 0;
	}
	if (yaml_str(yaml_root(y), "model.name", "none", &s, &e))
		fuzz_check(e.code == E_INVAL && !strncmp(e.msg, "fuzz.yaml:", 10));
	visit(yaml_root(y));
	if (yaml_finish(y, &e))
		fuzz_check(e.code == E_INVAL && !strncmp(e.msg, "fuzz.yaml:", 10));
	return 0;
}
