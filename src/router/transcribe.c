// SPDX-License-Identifier: Apache-2.0
/*
 * The words of a spoken message, by a command that the operator names (files.transcribe). It exists apart because it runs a program on what a stranger
 * sent. The program gets the file as its standard input and "{}" as the name of that: the file lies in a folder of the
 * agent, which could put a link in its place. No shell, a limit of time, a limit of output.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include "base/str.h"
#include "router/inbox.h"
#include "runtime/conn.h"
#include "runtime/proc.h"

#define TIME_LIMIT_MS 60000
#define TEXT_MAX      ((size_t)16 << 10)
#define FILE_NAME     "/dev/stdin"

struct transcript {
	transcript_fn *fn;
	void *ctx;
	struct loop *loop;
	struct proc *proc;
	struct duplex *out;
	struct timer *limit;
	struct buf text;
	bool exited, ended; /* the program; its output */
	int code, signo;
};

void transcript_free(struct transcript *t)
{
	if (!t)
		return;
	if (t->proc && !t->exited)
		kill(-proc_pid(t->proc),
		     SIGKILL); /* it leads a session: what it started goes too */
	if (t->proc)
		proc_free(t->proc);
	if (t->out)
		duplex_reset(t->out);
	timer_free(t->limit);
	buf_free(&t->text);
	loop_free_later(t->loop, t);
}

static void finish(struct transcript *t, const struct err *why)
{
	transcript_fn *fn = t->fn;
	void *ctx = t->ctx;
	_cleanup_free_ char *copy = NULL;
	char *text = t->text.p;
	size_t n = t->text.len;
	struct err e = ERR_INIT;

	if (!why && t->signo)
		err_set(&e, E_IO, "the command was ended by signal %d", t->signo);
	else if (!why && t->code)
		err_set(&e, E_IO, "the command failed with code %d", t->code);
	else if (!why && n && (!str_is_utf8(text, str_utf8_floor(text, n)) || memchr(text, 0, n)))
		err_set(&e, E_PROTO, "the command's answer is not UTF-8 text");
	if (!why && e.code)
		why = &e;
	if (!why && n) {
		n = str_utf8_floor(text, n);
		while (n && strchr(" \t\r\n", text[n - 1]))
			n--;
		while (n && strchr(" \t\r\n", *text)) {
			text++;
			n--;
		}
		copy = xstrndup(text, n);
	}
	if (!why && (!copy || !copy[0])) {
		err_set(&e, E_PROTO, "the command found no words");
		why = &e;
	}
	fn(ctx, why ? NULL : copy, why);
	transcript_free(t);
}

static void check_end(struct transcript *t)
{
	if (t->exited && t->ended)
		finish(t, NULL);
}

static void on_end(void *ctx, int code, int signo)
{
	struct transcript *t = ctx;

	t->exited = true;
	t->code = code;
	t->signo = signo;
	check_end(t);
}

static void on_limit(void *ctx)
{
	struct err e = ERR_INIT;

	err_set(&e, E_LIMIT, "it took longer than %d s", TIME_LIMIT_MS / 1000);
	finish(ctx, &e);
}

static void out_data(void *ctx, const uint8_t *p, size_t n)
{
	struct transcript *t = ctx;
	size_t room = TEXT_MAX - t->text.len;

	/* What is over the limit is read and dropped: a program that cannot write would hang. */
	buf_put(&t->text, p, n < room ? n : room);
	duplex_consumed(t->out, n);
}

static void out_over(struct transcript *t)
{
	t->ended = true;
	check_end(t);
}

static void out_eof(void *ctx)
{
	struct transcript *t = ctx;

	duplex_reset(steal_ptr(&t->out));
	out_over(t);
}

static void out_drained(void *ctx maybe_unused)
{
}

static void out_closed(void *ctx, const struct err *why)
{
	struct transcript *t = ctx;

	(void)why; /* how the program ended is what counts */
	t->out = NULL;
	out_over(t);
}

static const struct duplex_events out_events = {
	.data = out_data,
	.eof = out_eof,
	.drained = out_drained,
	.closed = out_closed,
};

/* The words of the command with the file's name for each "{}". The caller frees. */
static char **expand(char *const *command)
{
	size_t n = 0;
	char **argv;

	while (command[n])
		n++;
	argv = xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++) {
		struct buf b = {0};
		const char *p = command[i], *hole;

		while ((hole = strstr(p, "{}"))) {
			buf_put(&b, p, (size_t)(hole - p));
			buf_puts(&b, FILE_NAME);
			p = hole + 2;
		}
		buf_puts(&b, p);
		argv[i] = buf_steal(&b);
	}
	return argv;
}

static void free_words(char **argv)
{
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	free(argv);
}

struct transcript *transcript_start(struct loop *l, char *const *command, int fd, transcript_fn *fn,
				    void *ctx, struct err *e)
{
	char **argv = expand(command);
	struct transcript *t = xcalloc(1, sizeof(*t));
	char path[40];
	_cleanup_close_ int in = -1;
	int pair[2];

	*t = (struct transcript){.fn = fn, .ctx = ctx, .loop = l, .limit = NULL};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	in = open(path, O_RDONLY | O_CLOEXEC);
	if (in < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_sys(e, errno, "cannot hand the file to %s", argv[0]);
	} else {
		struct proc_spec spec = {
			.argv = (const char *const *)argv,
			.fds = {in, pair[1], -1},
			.new_session = true,
		};

		fcntl(pair[0], F_SETFL, O_NONBLOCK);
		t->out = conn_new(l, "transcript", pair[0]);
		t->out->ev = &out_events;
		t->out->ctx = t;
		t->proc = proc_spawn(l, "transcribe", &spec, on_end, t, e);
		close(pair[1]);
	}
	free_words(argv);
	if (!t->proc) {
		transcript_free(t);
		return NULL;
	}
	t->limit = timer_new(l, "transcribe limit", on_limit, t);
	timer_start(t->limit, TIME_LIMIT_MS, 0);
	return t;
}
