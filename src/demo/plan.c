// SPDX-License-Identifier: Apache-2.0
/*
 * The demo model's mind. It reads what the user wrote since the last answer: all text of user
 * messages apart from <system-reminder> blocks and the router's <facts>, <earlier-conversation> and <context>, and what
 * was sent in the middle of a turn (which Claude Code quotes in a system message). Each line is
 * answered by itself:
 *
 *   !bash CMD          uses the tool Bash with {"command": CMD}
 *   !write FILE TEXT   uses Write; a relative FILE lies in /workspace
 *   !tool NAME JSON    uses that tool; send_message finds mcp__chela__send_message
 *   !slow MS N         N chunks of text, MS milliseconds apart (when streaming)
 *   anything else      "echo: " and the line
 *
 * A header "[sender 12:03] " before a line is left out, and lines that quote ("> "). After a tool, the answer is "result: "
 * and what the tool gave. The first answer of a conversation also says that this is the demo
 * model, and how to get the real one. Small helper requests (one token, or the small model) get a
 * short fixed answer.
 */
#include "demo/plan.h"
#include <string.h>
#include "base/str.h"

#define QUEUED	    "The user sent a new message while you were working:\n"
#define QUEUED_END  "\n\nThis is how Claude Code"
#define HEAD_MAX    120 /* bytes of "[scheduled task NAME, run 7, 08:00Z]" */
#define INTERRUPTED "[Request interrupted by user"

static const char greeting[] =
	"This is Chela's built-in demo model: no key is configured, so it only echoes and drives "
	"tools (!bash, !write, !tool). For Claude itself, set ANTHROPIC_API_KEY or model.key_file "
	"in config/chela.yaml and start again.";

static void say(struct demo_plan *p, const char *label, const char *s, size_t n)
{
	struct err e = ERR_INIT;
	bool cut = n > DEMO_PIECE_MAX;

	n = cut ? str_utf8_floor(s, DEMO_PIECE_MAX) : n;
	if (p->text.len + n + 64 > DEMO_TEXT_MAX)
		return;
	if (buf_addf(&p->text, &e, "%s%s", p->text.len ? "\n" : "", label) < 0 ||
	    buf_add(&p->text, s, n, &e) < 0 || (cut && buf_adds(&p->text, " [cut]", &e) < 0))
		return; /* cannot be: there is room */
}

/* --- tools --- */

static const char *find_tool(const cJSON *req, const char *name)
{
	const cJSON *t;
	const char *found = NULL;
	size_t n = strlen(name);

	cJSON_ArrayForEach(t, cJSON_GetObjectItemCaseSensitive(req, "tools"))
	{
		const char *have = json_peek_str(t, "name");
		size_t len = have ? strlen(have) : 0;
		if (have && streq(have, name))
			return have;
		if (len > n + 2 && streq(have + len - n, name) && have[len - n - 1] == '_' &&
		    have[len - n - 2] == '_')
			found = have;
	}
	return found;
}

static void use_tool(struct demo_plan *p, const cJSON *req, const char *name, cJSON *input)
{
	const char *have = find_tool(req, name);
	char text[160];

	if (!have || p->n_tools == DEMO_TOOLS_MAX) {
		snprintf(text, sizeof(text),
			 have ? "more than %d tools at once" : "there is no such tool",
			 DEMO_TOOLS_MAX);
		say(p, "echo: ", text, strlen(text));
	} else {
		p->tools[p->n_tools].name = xstrdup(have);
		p->tools[p->n_tools++].input = json_print(input);
	}
	cJSON_Delete(input);
}

/* The word at *s, cut off in place; *s moves on to what follows. */
static char *word(char **s)
{
	char *w = *s + strspn(*s, " ");
	char *end = w + strcspn(w, " ");

	*s = *end ? end + 1 : end;
	*end = '\0';
	return w;
}

static void do_bash(struct demo_plan *p, const cJSON *req, char *rest)
{
	cJSON *in = cJSON_CreateObject();

	cJSON_AddStringToObject(in, "command", rest);
	cJSON_AddStringToObject(in, "description", "Run what the user asked for");
	use_tool(p, req, "Bash", in);
}

static void do_write(struct demo_plan *p, const cJSON *req, char *rest)
{
	const char *file = word(&rest);
	_cleanup_free_ char *path = xasprintf("%s%s", file[0] == '/' ? "" : "/workspace/", file);
	cJSON *in = cJSON_CreateObject();

	cJSON_AddStringToObject(in, "file_path", path);
	cJSON_AddStringToObject(in, "content", rest);
	use_tool(p, req, "Write", in);
}

static void do_tool(struct demo_plan *p, const cJSON *req, char *rest)
{
	const char *name = word(&rest);
	struct err e = ERR_INIT;
	cJSON *in = rest[0] ? json_parse(rest, strlen(rest), JSON_MAX_DEFAULT, &e)
			    : cJSON_CreateObject();

	if (cJSON_IsObject(in)) {
		use_tool(p, req, name, in);
		return;
	}
	cJSON_Delete(in);
	say(p, "echo: ", "!tool: expected a JSON object", 29);
}

static void do_slow(struct demo_plan *p, const cJSON *req, char *rest)
{
	struct err e = ERR_INIT;
	const char *ms = word(&rest), *n = word(&rest);

	(void)req;
	if (str_to_i64(ms, 0, 60000, &p->slow_ms, &e) < 0 ||
	    str_to_i64(n, 1, 100000, &p->slow_n, &e) < 0)
		say(p, "echo: ", "!slow: expected MS (to 60000) and N", 35);
}

static void answer_line(struct demo_plan *p, const cJSON *req, const char *s, size_t n)
{
	static const struct {
		const char *verb;
		void (*run)(struct demo_plan *p, const cJSON *req, char *rest);
	} verbs[] = {{"!bash ", do_bash},
		     {"!write ", do_write},
		     {"!tool ", do_tool},
		     {"!slow ", do_slow}};
	_cleanup_free_ char *line = xstrndup(s, n);
	char *text = line;
	char *close = line[0] == '[' ? strstr(line, "] ") : NULL;

	/* What is quoted was said before; a header above a quote stands alone. */
	if (str_starts(line, INTERRUPTED) || str_starts(line, "> ") ||
	    (line[0] == '[' && n <= HEAD_MAX && n > 2 && line[n - 1] == ']' &&
	     (line[n - 2] == 'Z' || (line[n - 2] >= '0' && line[n - 2] <= '9'))))
		return;
	if (close && close - line <= HEAD_MAX)
		text = close + 2;
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (str_starts(text, verbs[i].verb)) {
			if (p->past)
				return;
			verbs[i].run(p, req, text + strlen(verbs[i].verb));
			return;
		}
	}
	say(p, "echo: ", text, strlen(text));
}

static void answer_lines(struct demo_plan *p, const cJSON *req, const char *s, size_t n)
{
	while (n) {
		const char *nl = memchr(s, '\n', n);
		size_t len = nl ? (size_t)(nl - s) : n;
		size_t a = 0, b = len;
		while (a < b && (s[a] == ' ' || s[a] == '\r' || s[a] == '\t'))
			a++;
		while (b > a && (s[b - 1] == ' ' || s[b - 1] == '\r' || s[b - 1] == '\t'))
			b--;
		if (b > a)
			answer_line(p, req, s + a, b - a);
		len += nl ? 1 : 0;
		s += len;
		n -= len;
	}
}

/* --- what was said --- */

/* s without the blocks that are not the user's words: the agent's reminders, what was said before, and the history that
 * the router gives a fresh session. A block that does not end takes the rest. Caller frees. */
static char *without_blocks(const char *s)
{
	/* the last ones are what the agent keeps of a compaction */
	static const char *const from[] = {
		"<system-reminder>",
		"<earlier-conversation ",
		"<context note=",
		"<facts>",
		"This session is being continued from a previous conversation",
		"<local-command-caveat>",
		"<command-name>",
		"<command-message>",
		"<command-args>",
		"<local-command-stdout>"};
	/* ours end at the start of a line: elsewhere people have written the tag */
	static const char *const to[] = {"</system-reminder>",
					 "\n</earlier-conversation>",
					 "\n</context>",
					 "\n</facts>",
					 "as if the break never happened.",
					 "</local-command-caveat>",
					 "</command-name>",
					 "</command-message>",
					 "</command-args>",
					 "</local-command-stdout>"};
	struct buf b = {0};

	for (;;) {
		const char *at = NULL, *end = NULL;
		for (size_t i = 0; i < ARRAY_LEN(from); i++) {
			const char *p = strstr(s, from[i]);
			if (!p || (at && at < p))
				continue;
			at = p;
			end = strstr(p, to[i]);
			end = end ? end + strlen(to[i]) : p + strlen(p);
		}
		buf_put(&b, s, at ? (size_t)(at - s) : strlen(s));
		if (!at)
			return buf_steal(&b);
		s = end;
	}
}

static void hear_text(struct demo_plan *p, const cJSON *req, const char *s, bool user)
{
	const char *q = strstr(s, QUEUED);

	if (!q && user) {
		_cleanup_free_ char *plain = without_blocks(s);
		answer_lines(p, req, plain, strlen(plain));
	}
	for (; q; q = strstr(q, QUEUED)) {
		q += strlen(QUEUED);
		const char *end = strstr(q, QUEUED_END);
		answer_lines(p, req, q, end ? (size_t)(end - q) : strlen(q));
	}
}

static void hear_result(struct demo_plan *p, const cJSON *block)
{
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(block, "content");
	const cJSON *item;
	struct buf all = {0};

	if (cJSON_IsString(content))
		buf_puts(&all, content->valuestring);
	cJSON_ArrayForEach(item, content)
	{
		const char *t = json_peek_str(item, "text");
		if (t)
			buf_putf(&all, "%s%s", all.len ? "\n" : "", t);
	}
	_cleanup_free_ char *plain = without_blocks(all.p ? all.p : "");
	buf_free(&all);
	say(p, "result: ", plain, strlen(plain));
}

static void hear_message(struct demo_plan *p, const cJSON *req, const cJSON *m)
{
	const char *role = json_peek_str(m, "role");
	const cJSON *content = cJSON_GetObjectItemCaseSensitive(m, "content");
	bool user = role && streq(role, "user");
	const cJSON *b;

	if (cJSON_IsString(content)) {
		hear_text(p, req, content->valuestring, user);
		return;
	}
	cJSON_ArrayForEach(b, content)
	{
		const char *type = json_peek_str(b, "type");
		const char *text = json_peek_str(b, "text");
		if (type && streq(type, "tool_result"))
			hear_result(p, b);
		else if (type && streq(type, "text") && text)
			hear_text(p, req, text, user);
	}
}

static bool uses_tools(const cJSON *m)
{
	const cJSON *b;

	cJSON_ArrayForEach(b, cJSON_GetObjectItemCaseSensitive(m, "content"))
	{
		const char *type = json_peek_str(b, "type");
		if (type && streq(type, "tool_use"))
			return true;
	}
	return false;
}

/* Titles, summaries and quota probes that the agent makes beside the conversation. */
static bool is_helper(const cJSON *req)
{
	const char *model = json_peek_str(req, "model");

	return json_peek_i64(req, "max_tokens", 0) == 1 || (model && strstr(model, "haiku"));
}

int demo_plan_make(struct demo_plan *p, const cJSON *req, struct err *e)
{
	const cJSON *messages = cJSON_GetObjectItemCaseSensitive(req, "messages");
	const cJSON *m, *from = NULL, *last = NULL;

	memset(p, 0, sizeof(*p));
	buf_init(&p->text, DEMO_TEXT_MAX);
	if (!cJSON_IsArray(messages) || !messages->child)
		return err_set(e, E_INVAL, "messages: at least one message is required");
	if (is_helper(req)) {
		say(p, "", "Demo", 4);
		return 0;
	}
	cJSON_ArrayForEach(m, messages)
	{
		const char *role = json_peek_str(m, "role");
		if (!role || !streq(role, "assistant"))
			continue;
		last = m;
		if (!uses_tools(m))
			from = m;
	}
	if (!from)
		say(p, "", greeting, strlen(greeting));
	p->past = last != from;
	for (m = from ? from->next : messages->child; m; m = m->next) {
		if (m == last)
			p->past = false;
		else
			hear_message(p, req, m);
	}
	if (p->text.len == 0 && p->n_tools == 0 && p->slow_n == 0)
		say(p, "echo: ", "", 0);
	return 0;
}

void demo_plan_free(struct demo_plan *p)
{
	for (size_t i = 0; i < p->n_tools; i++) {
		free(p->tools[i].name);
		free(p->tools[i].input);
	}
	buf_free(&p->text);
}
