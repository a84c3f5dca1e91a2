// SPDX-License-Identifier: Apache-2.0
/*
 * Lines of chats, as people may write them: whether they are commands, how they fall into words, which form they mean or nearly mean, and what would stand in an answer.
 * Nothing is carried out: there is no router.
 */
#include "fuzz.h"
#include <string.h>
#include "admin/command_impl.h"
#include "base/str.h"

struct heard {
	int n;
};

static void on_said(void *ctx, const char *text, int status)
{
	struct heard *h = ctx;

	h->n++;
	fuzz_check(status == 1 && !strchr(text, '\n') && str_is_utf8(text, strlen(text)));
}

static void try_words(char *text)
{
	char *words[8];
	_cleanup_(buf_free) struct buf help = {0}, usage = {0};
	const struct command_form *f;
	int n = 0, used = 0;
	char *save = NULL;

	for (char *w = strtok_r(text, " ", &save); w && n < 8; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	f = command_find(n, words, &used);
	fuzz_check(!f || (used >= 1 && used <= n));
	f = command_near(n, words, CMD_GROUP);
	fuzz_check(!f || (f->where & CMD_GROUP));
	if (f)
		command_put_usage(&usage, "/", f);
	if (n && command_put_help(&help, words[0], "/", CMD_MAIN, ROLE_GUEST))
		fuzz_check(help.len && str_is_utf8(help.p, help.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct commands *all = commands_new();
	const struct control_opts o = {.commands = all};
	const struct actor by = {.role = ROLE_OWNER, .in_main = true, .who = "Ann"};
	const struct group_row g = {.id = 1, .name = "main", .is_main = true};
	_cleanup_free_ char *text = xstrndup((const char *)data, n > 4096 ? 4096 : n);
	struct command_ask ask = {.line = text, .by = &by, .group = &g, .chat_id = 1, .thread = ""};
	struct heard h = {.n = 0};
	bool in_main = command_router.is(NULL, text, true);

	/* What is a command in some group is one in main. */
	fuzz_check(in_main || !command_router.is(NULL, text, false));
	command_router.run((void *)(uintptr_t)&o, &ask, on_said, &h);
	ask.chat_id = 0; /* as an agent's tool asks */
	command_router.run((void *)(uintptr_t)&o, &ask, on_said, &h);
	fuzz_check(h.n == 2);
	commands_free(all);
	try_words(text);
	return 0;
}
