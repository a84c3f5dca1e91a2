// SPDX-License-Identifier: Apache-2.0
/*
 * The face of `chela chat` for pipes: each line of standard input is one message; its answer is printed before the next line is
 * sent. Exit status 0 when every line was answered, 1 when one was not.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "admin/chat.h"
#include "base/str.h"

#define LINE_CAP ((size_t)1 << 20)

struct pipe_face {
	struct line_reader lines;
	struct line_said {
		struct line_said *next;
		char *text;
		size_t n;
	} * first, **end;
	struct watch *in;
	bool dead; /* never set: the reader lives as long as the face */
	bool eof, busy, synced;
	int status;
};

/* One message at a time, so that each has an answer of its own. */
static void next_line(struct chat *c)
{
	struct pipe_face *f = c->priv;
	struct line_said *l = f->first;

	if (f->busy || !f->synced)
		return;
	if (!l) {
		if (f->eof)
			chat_leave(c, f->status);
		return;
	}
	f->first = l->next;
	if (!f->first)
		f->end = &f->first;
	f->busy = true;
	chat_say(c, l->text, l->n);
	free(l->text);
	free(l);
}

static void on_line(void *ctx, const char *line, size_t n)
{
	struct pipe_face *f = ctx;
	struct line_said *l;

	if (n && line[n - 1] == '\r')
		n--;
	if (!n)
		return;
	l = xcalloc(1, sizeof(*l));
	l->text = memcpy(xcalloc(1, n + 1), line, n); /* a NUL in it is not the end */
	l->n = n;
	*f->end = l;
	f->end = &l->next;
}

static void at_eof(struct chat *c)
{
	struct pipe_face *f = c->priv;

	if (f->lines.buf.len) /* a last line without its newline counts */
		on_line(f, f->lines.buf.p, f->lines.buf.len);
	buf_reset(&f->lines.buf);
	f->eof = true;
	watch_free(f->in);
	f->in = NULL;
}

/* true while there may be more */
static bool read_some(struct chat *c)
{
	struct pipe_face *f = c->priv;
	uint8_t buf[65536];
	ssize_t n = read(0, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		at_eof(c);
		return false;
	}
	line_feed(&f->lines, buf, (size_t)n, on_line, f, &f->dead);
	if (f->lines.skipped) {
		fprintf(stderr, "chela: a line is longer than %zu bytes and was not sent\n",
			LINE_CAP);
		f->lines.skipped = 0;
		f->status = 1;
	}
	return true;
}

static void on_input(void *ctx, int ev maybe_unused)
{
	struct chat *c = ctx;

	read_some(c);
	next_line(c);
}

static int pipe_open(struct chat *c, struct err *e)
{
	struct pipe_face *f = xcalloc(1, sizeof(*f));
	struct stat st;

	c->priv = f;
	f->end = &f->first;
	f->lines.max = LINE_CAP;
	if (fstat(0, &st) < 0)
		return err_sys(e, errno, "cannot read standard input");
	if (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(0))) {
		/* A file is always ready, and epoll does not take it. */
		while (read_some(c))
			;
		return 0;
	}
	f->in = watch_new(c->loop, "standard input", 0, on_input, c);
	watch_set(f->in, WATCH_READ);
	return 0;
}

static void pipe_close(struct chat *c)
{
	struct pipe_face *f = c->priv;

	while (f->first) {
		struct line_said *l = f->first;

		f->first = l->next;
		free(l->text);
		free(l);
	}
	watch_free(f->in);
	buf_free(&f->lines.buf);
	free(f);
	c->priv = NULL;
}

static void pipe_ready(struct chat *c maybe_unused, const char *assistant maybe_unused,
		       bool demo maybe_unused)
{
}

static void pipe_message(struct chat *c maybe_unused, const struct chat_message *m)
{
	if (m->old || !m->ours)
		return;
	printf("%s\n", m->text);
	fflush(stdout);
}

static void pipe_progress(struct chat *c maybe_unused, const char *kind maybe_unused,
			  const char *text maybe_unused)
{
}

static void pipe_settled(struct chat *c, bool failed, const char *why)
{
	struct pipe_face *f = c->priv;

	if (why)
		fprintf(stderr, "chela: not taken: %s\n", why);
	if (failed)
		f->status = 1;
	chat_sync(c); /* the answer is in the history: print what has not come yet */
}

static void pipe_synced(struct chat *c)
{
	struct pipe_face *f = c->priv;

	f->synced = true;
	if (!c->said)
		f->busy = false;
	next_line(c);
}

static void pipe_trouble(struct chat *c maybe_unused, const char *words)
{
	fprintf(stderr, "chela: %s\n", words);
}

const struct chat_face chat_pipe = {
	.since = -1,
	.open = pipe_open,
	.close = pipe_close,
	.ready = pipe_ready,
	.message = pipe_message,
	.progress = pipe_progress,
	.settled = pipe_settled,
	.synced = pipe_synced,
	.trouble = pipe_trouble,
};
