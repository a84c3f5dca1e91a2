// SPDX-License-Identifier: Apache-2.0
/*
 * The face of `chela chat` for a terminal: libedit reads the line while answers stream in above it. Ctrl-C stops the turn,
 * Ctrl-D leaves. What streams is only a preview: the message that follows is the truth, and is printed where it differs.
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <histedit.h>
#include "admin/chat.h"
#include "base/str.h"

#define DIM   "\033[2m"
#define BOLD  "\033[1m"
#define PLAIN "\033[0m"
#define WIPE  "\r\033[K"

struct term {
	EditLine *el;
	History *hist;
	struct watch *in;
	struct sigwatch *intr;
	char name[64];
	char prompt[80];
	char history[PATH_CAP];
	struct buf shown; /* of the streamed answer, since its last break */
	bool working;	  /* a turn runs */
	bool open_line;	  /* streamed text stands on the line, the prompt does not */
};

static void end_line(struct term *t)
{
	if (t->open_line)
		printf(PLAIN "\n");
	else
		printf(WIPE);
	t->open_line = false;
}

static void prompt_again(struct term *t)
{
	fflush(stdout);
	if (t->in)
		el_set(t->el, EL_REFRESH);
}

static void print_block(struct term *t, const char *style, const char *who, const char *text)
{
	end_line(t);
	printf("%s%s%s%s\n" PLAIN, style, who, who[0] ? "> " : "", text);
	prompt_again(t);
}

static void on_term_line(struct chat *c, const char *line, size_t n)
{
	struct term *t = c->priv;
	HistEvent ev;

	t->open_line = false;
	if (strspn(line, " \t") == n)
		return;
	history(t->hist, &ev, H_ENTER, line);
	chat_say(c, line, n);
}

/* One key, or what the terminal's own line mode hands over. In unbuffered mode libedit returns after each; a line is complete
 * when it ends so, and preparing for the next one means leaving the mode and coming back. */
static void on_key(void *ctx, int events maybe_unused)
{
	struct chat *c = ctx;
	struct term *t = c->priv;
	const char *got;
	bool gone;
	int n = 0;

	if (t->open_line) {
		end_line(t);
		prompt_again(t);
	}
	errno = 0;
	got = el_gets(t->el, &n);
	/* A terminal that is gone reads as an error; who ignores SIGHUP learns of it here alone. */
	gone = !got && (n == 0 || (errno != EAGAIN && errno != EINTR));
	/* In this mode libedit hands over Ctrl-D on an empty line as a line of that one character. */
	if (gone || (got && n == 1 && got[0] == 'D' - '@')) {
		watch_set(t->in, 0);
		printf("\n");
		chat_leave(c, 0);
	} else if (got && n > 0 && (got[n - 1] == '\n' || got[n - 1] == '\r')) {
		_cleanup_free_ char *line = xstrndup(got, (size_t)n - 1);

		el_set(t->el, EL_UNBUFFERED, 0);
		on_term_line(c, line, (size_t)n - 1);
		el_set(t->el, EL_UNBUFFERED, 1);
	}
}

static char *prompt_of(EditLine *el)
{
	struct term *t = NULL;

	el_get(el, EL_CLIENTDATA, &t);
	return t->prompt;
}

static void on_interrupt(void *ctx, int signo maybe_unused)
{
	struct chat *c = ctx;
	struct term *t = c->priv;

	/* A message may wait for a sandbox that does not come: that can be stopped too. */
	if (t->working || c->said) {
		chat_stop_turn(c);
		return;
	}
	print_block(t, DIM, "", "(nothing runs; Ctrl-D leaves)");
}

static int term_open(struct chat *c, struct err *e)
{
	struct term *t = xcalloc(1, sizeof(*t));
	HistEvent ev;

	c->priv = t;
	setlocale(LC_CTYPE, "");
	snprintf(t->prompt, sizeof(t->prompt), "%.64s> ", c->group);
	snprintf(t->history, sizeof(t->history), "%.*s/.chat_history", (int)sizeof(t->history) - 16,
		 c->cfg->home);
	t->el = el_init("chela", stdin, stdout, stderr);
	t->hist = history_init();
	if (!t->el || !t->hist)
		return err_set(e, E_IO, "this terminal cannot be used (TERM=%.40s)",
			       getenv("TERM") ? getenv("TERM") : "");
	history(t->hist, &ev, H_SETSIZE, 1000);
	history(t->hist, &ev, H_LOAD, t->history); /* absent at the first time */
	el_set(t->el, EL_CLIENTDATA, t);
	el_set(t->el, EL_HIST, history, t->hist);
	el_set(t->el, EL_PROMPT, prompt_of);
	el_set(t->el, EL_EDITOR, "emacs");
	el_set(t->el, EL_SIGNAL, 0);
	t->intr = sigwatch_new(c->loop, SIGINT, on_interrupt, c);
	printf(DIM "%s" PLAIN "\n", c->d ? "connected" : "starting the server ...");
	fflush(stdout);
	return 0;
}

static void term_close(struct chat *c)
{
	struct term *t = c->priv;
	HistEvent ev;

	if (t->in)
		el_set(t->el, EL_UNBUFFERED, 0);
	if (t->hist) {
		history(t->hist, &ev, H_SAVE, t->history);
		history_end(t->hist);
	}
	if (t->el)
		el_end(t->el);
	watch_free(t->in);
	sigwatch_free(t->intr);
	buf_free(&t->shown);
	free(t);
	c->priv = NULL;
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
		prompt_again(t);
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

	t->working = !streq(kind, "end");
	if (streq(kind, "start")) {
		buf_reset(&t->shown);
	} else if (streq(kind, "text")) {
		show_text(t, text);
	} else if (streq(kind, "tool")) {
		buf_reset(&t->shown);
		print_block(t, DIM, "", text);
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
	t->in = watch_new(c->loop, "terminal", 0, on_key, c);
	watch_set(t->in, WATCH_READ);
	fflush(stdout);
	el_set(t->el, EL_UNBUFFERED, 1); /* shows the prompt */
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
