// SPDX-License-Identifier: Apache-2.0
/*
 * The head of a SKILL.md: YAML between two lines of three dashes. Keys that we do not know are the agent's own affair. What a skill asks for
 * stands in allowed-tools, which the agent knows, and in chela.needs, which is ours.
 */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "base/yaml.h"
#include "router/skill.h"

#define HEAD_MAX ((size_t)16 << 10)
#define NEED_MAX 100

bool skill_name_ok(const char *name)
{
	return str_is_name(name) && !strchr(name, '_');
}

/* The bytes between the dashes; NULL when there are no such lines. */
static const char *head_of(const char *text, size_t n, size_t *len)
{
	const char *p, *end = text + n;

	if (n >= 4 && memcmp(text, "---\n", 4) == 0)
		text += 4;
	else if (n >= 5 && memcmp(text, "---\r\n", 5) == 0)
		text += 5;
	else
		return NULL;
	for (p = text; p && p < end; p = memchr(p, '\n', (size_t)(end - p)), p = p ? p + 1 : p) {
		size_t left = (size_t)(end - p);

		if (left >= 3 && memcmp(p, "---", 3) == 0 &&
		    (left == 3 || p[3] == '\n' || p[3] == '\r')) {
			*len = (size_t)(p - text);
			return text;
		}
	}
	return NULL;
}

/* Adds a word to the needs unless it is there. */
static int need(struct skill *s, const char *kind, const char *word, size_t n, struct err *e)
{
	char full[NEED_MAX + 16], old[sizeof(full)];
	const char *list = s->needs;
	size_t len = strlen(s->needs);

	for (size_t i = 0; i < n; i++)
		if (word[i] <= ' ' || word[i] > '~')
			return err_set(e, E_INVAL,
				       "a permission has a character that is no part "
				       "of a name");
	if (!n || n > NEED_MAX)
		return err_set(e, E_INVAL, "the name of a permission is empty or too long");
	snprintf(full, sizeof(full), "%s%.*s", kind, (int)n, word);
	while (str_next_word(&list, old, sizeof(old)))
		if (streq(old, full))
			return 0;
	if ((size_t)snprintf(s->needs + len, sizeof(s->needs) - len, "%s%s", len ? " " : "",
			     full) >= sizeof(s->needs) - len)
		return err_set(e, E_INVAL, "it asks for too many permissions");
	return 0;
}

/* "Bash(git log:*)" is Bash. */
static int need_tool(struct skill *s, const char *p, size_t n, struct err *e)
{
	const char *paren = memchr(p, '(', n);

	return need(s, "tool:", p, paren ? (size_t)(paren - p) : n, e);
}

/* A text: names with commas or blanks between, where a name may have a pattern in parentheses. */
static int tools_in(struct skill *s, const char *text, struct err *e)
{
	for (const char *p = text; *p;) {
		const char *q = p;

		for (int depth = 0; *q && (depth > 0 || !strchr(", \n", *q)); q++)
			depth += *q == '(' ? 1 : *q == ')' ? -1 : 0;
		if (q > p && need_tool(s, p, (size_t)(q - p), e) < 0)
			return -1;
		p = q + (*q != '\0');
	}
	return 0;
}

static int read_tools(struct skill *s, struct yaml_node *n, struct err *e)
{
	const char *text = "";

	if (!n)
		return 0;
	if (!yaml_len(n))
		return yaml_str(n, "", "", &text, e) < 0 ? -1 : tools_in(s, text, e);
	for (size_t i = 0; i < yaml_len(n); i++)
		if (yaml_str(yaml_item(n, i), "", "", &text, e) < 0 || tools_in(s, text, e) < 0)
			return -1;
	return 0;
}

static int read_needs(struct skill *s, struct yaml_node *n, struct err *e)
{
	const char *text = "";

	if (n && (!yaml_len(n) || yaml_key(n, 0)))
		return yaml_fail(n, e, "expected a list, such as [main]");
	for (size_t i = 0; i < yaml_len(n); i++) {
		struct yaml_node *item = yaml_item(n, i);
		const char *name;

		if (yaml_str(item, "", "", &text, e) < 0)
			return -1;
		name = strchr(text, ':');
		if (!streq(text, "main") && !(str_starts(text, "network:") && name[1]) &&
		    !(str_starts(text, "tool:") && name[1]))
			return yaml_fail(item, e,
					 "can be main, network:HOST or tool:NAME, not \"%.60s\"",
					 text);
		if (need(s, "", text, strlen(text), e) < 0)
			return -1;
	}
	return 0;
}

static int read_head(struct skill *s, struct yaml_node *r, struct err *e)
{
	const char *name, *description;

	if (yaml_str(r, "name", "", &name, e) < 0 ||
	    yaml_str(r, "description", "", &description, e) < 0)
		return -1;
	if (!streq(name, s->name))
		return yaml_fail(yaml_at(r, "name"), e, "must be the name of its folder, %s",
				 s->name);
	description += strspn(description, " \t\r\n");
	if (!*description)
		return yaml_fail(yaml_at(r, "description"), e,
				 "a skill needs a description: the agent chooses by it");
	str_one_line(s->description, sizeof(s->description), description);
	return read_tools(s, yaml_at(r, "allowed-tools"), e) < 0 ||
			       read_needs(s, yaml_at(r, "chela.needs"), e) < 0
		       ? -1
		       : 0;
}

/* An error that quotes the file goes into a line of ours. */
static int clean(struct err *e)
{
	char line[sizeof(e->msg)];

	str_copy(e->msg, sizeof(e->msg), str_one_line(line, sizeof(line), e->msg));
	return -1;
}

int skill_parse(const char *text, size_t n, const char *name, struct skill *out, struct err *e)
{
	char file[96];
	size_t len;
	const char *head = head_of(text, n, &len);
	_cleanup_yaml_ struct yaml *y = NULL;

	snprintf(file, sizeof(file), "skills/%.64s/" SKILL_FILE, name);
	memset(out, 0, sizeof(*out));
	str_copy(out->name, sizeof(out->name), name);
	if (!head || len > HEAD_MAX)
		return err_set(e, E_INVAL,
			       "%s must begin with lines of YAML between two lines \"---\"", file);
	y = yaml_parse(head, len, file, e);
	if (!y)
		return clean(e);
	if (read_head(out, yaml_root(y), e) == 0)
		return 0;
	if (!strstr(e->msg, file))
		err_wrap(e, "reading %s", file);
	return clean(e);
}
