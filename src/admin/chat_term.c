// SPDX-License-Identifier: Apache-2.0
/*
 * The face of `chela chat` for a terminal: libedit reads the line while answers stream in above it. Ctrl-C stops the turn,
 * Ctrl-D leaves. What streams is only a preview: the message that follows is the truth, and is printed where it differs.
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <editline/readline.h>
#include "admin/chat.h"
#include "base/str.h"

#define DIM   "\033[2m"
#define BOLD  "\033[1m"
#define PLAIN "\033[0m"
#define WIPE  "\r\033[K"

struct term {
	struct watch *in;
	struct sigwatch *intr;
	char name[64];
	char prompt[80];
	char history[PATH_CAP];
	struct buf shown; /* of the streamed answer, since its last break */
	bool working;	  /* a turn runs */
	bool open_line;	  /* streamed text stands on the line, the prompt does not */
};

/* libedit's callbacks have no context argument: one terminal, one chat. */
static struct chat *the_chat;

static void end_line(struct term *t)
{
	if (t->open_line)
		printf(PLAIN "\n");
	else
		printf(WIPE);
	t->open_line = false;
}

static void prompt_again(void)
{
	fflush(stdout);
	rl_on_new_line();
	rl_forced_update_display();
	fflush(stdout);
}

static void print_block(struct term *t, const char *style, const char *who, const char *text)
{
	end_line(t);
	printf("%s%s%s%s\n" PLAIN, style, who, who[0] ? "> " : "", text);
	if (t->in)
		prompt_again();
	fflush(stdout);
}

static void leave(struct chat *c)
{
	printf("\n");
	rl_callback_handler_remove();
	chat_leave(c, 0);
}

static int on_ctrl_d(int count, int key)
{
	(void)count;
	(void)key;
	if (rl_end == 0)
		leave(the_chat);
	return 0;
}

static void on_term_line(char *line)
{
	struct chat *c = the_chat;
	struct term *t = c->priv;

	t->open_line = false;
	if (!line) {
		leave(c);
		return;
	}
	if (line[strspn(line, " \t")]) {
		add_history(line);
		chat_say(c, line, strlen(line));
	}
	free(line);
}

static void on_key(void *ctx, int ev)
{
	struct chat *c = ctx;
	struct term *t = c->priv;

	(void)ev;
	if (t->open_line) {
		end_line(t);
		prompt_again();
	}
	rl_callback_read_char();
}

static void on_interrupt(void *ctx, int signo)
{
	struct chat *c = ctx;
	struct term *t = c->priv;

	(void)signo;
	if (t->working) {
		chat_stop_turn(c);
		return;
	}
	print_block(t, DIM, "", "(nothing runs; Ctrl-D leaves)");
}

static int term_open(struct chat *c, struct err *e)
{
	struct term *t = xcalloc(1, sizeof(*t));

	(void)e;
	c->priv = t;
	the_chat = c;
	setlocale(LC_CTYPE, "");
	rl_readline_name = (char *)"chela";
	snprintf(t->history, sizeof(t->history), "%.*s/.chat_history", (int)sizeof(t->history) - 16,
		 c->cfg->home);
	using_history();
	stifle_history(1000);
	read_history(t->history); /* absent at the first time */
	snprintf(t->prompt, sizeof(t->prompt), "%.64s> ", c->group);
	t->intr = sigwatch_new(c->loop, SIGINT, on_interrupt, c);
	printf(DIM "%s" PLAIN "\n", c->d ? "connected" : "starting the server ...");
	fflush(stdout);
	return 0;
}

static void term_close(struct chat *c)
{
	struct term *t = c->priv;

	if (t->in)
		rl_callback_handler_remove();
	write_history(t->history);
	watch_free(t->in);
	sigwatch_free(t->intr);
	buf_free(&t->shown);
	free(t);
	c->priv = NULL;
	the_chat = NULL;
}

static void term_ready(struct chat *c, const char *assistant, bool demo)
{
	struct term *t = c->priv;

	str_copy(t->name, sizeof(t->name), assistant);
	printf(DIM "Group %s. Ctrl-C stops a turn, Ctrl-D leaves.%s" PLAIN "\n", c->group,
	       demo ? " No key is set: the built-in demo model answers (README: \"Set a key\")."
		    : "");
}

static void term_message(struct chat *c, const struct chat_message *m)
{
	struct term *t = c->priv;
	const char *rest = m->text;

	if (!m->ours) {
		print_block(t, m->old ? DIM : "", "you", m->text);
		return;
	}
	if (m->notice || m->old || !t->open_line || !t->shown.len ||
	    !str_starts(m->text, t->shown.p)) {
		print_block(t, m->old || m->notice ? DIM : "", m->notice ? "chela" : t->name,
			    m->text);
	} else {
		printf("%s", rest + t->shown.len);
		end_line(t);
		prompt_again();
	}
	buf_reset(&t->shown);
}

static void show_text(struct term *t, const char *text)
{
	if (!t->shown.len)
		text += strspn(text, " \t\r\n");
	if (!*text)
		return;
	if (!t->open_line) {
		printf(WIPE "%s> %s", t->name, t->shown.len ? t->shown.p : "");
		t->open_line = true;
	}
	printf("%s", text);
	fflush(stdout);
	buf_puts(&t->shown, text);
}

static void term_progress(struct chat *c, const char *kind, const char *text)
{
	struct term *t = c->priv;

	if (streq(kind, "start")) {
		t->working = true;
		buf_reset(&t->shown);
	} else if (streq(kind, "text")) {
		show_text(t, text);
	} else if (streq(kind, "tool")) {
		buf_reset(&t->shown);
		print_block(t, DIM, "", text);
	} else {
		t->working = false;
	}
}

static void term_settled(struct chat *c, bool failed, const char *why)
{
	(void)failed; /* the notice says it */
	if (why)
		print_block(c->priv, BOLD, "not taken", why);
}

/* The prompt comes once the history stands. */
static void term_synced(struct chat *c)
{
	struct term *t = c->priv;

	if (t->in)
		return;
	rl_callback_handler_install(t->prompt, on_term_line);
	/* libedit's callback mode swallows the end of input: Ctrl-D gets a function of its own. */
	rl_add_defun("chela-leave", on_ctrl_d, 'D' - '@');
	t->in = watch_new(c->loop, "terminal", 0, on_key, c);
	watch_set(t->in, WATCH_READ);
}

static void term_trouble(struct chat *c, const char *words)
{
	struct term *t = c->priv;

	t->working = false;
	print_block(t, BOLD, "chela", words);
}

const struct chat_face chat_term = {
	.since = -20,
	.open = term_open,
	.close = term_close,
	.ready = term_ready,
	.message = term_message,
	.progress = term_progress,
	.settled = term_settled,
	.synced = term_synced,
	.trouble = term_trouble,
};
