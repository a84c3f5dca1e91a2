// SPDX-License-Identifier: Apache-2.0
/*
 * A server of our own for `chela chat --serve`: started when none answers, ended when the chat ends. Its log goes to
 * <home>/chela.log; readiness comes as a byte on a pipe, not by asking again and again.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "admin/chat.h"
#include "base/str.h"

extern char **environ;

/* What a server of ours that could not start has told people: its last such line in the log, from where it began. */
static bool last_words(const char *file, off_t from, char *out, size_t cap)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char tail[8192], *hit = NULL;
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (end - from > (off_t)sizeof(tail) - 2)
		from = end - (off_t)sizeof(tail) + 2;
	tail[0] = '\n'; /* so that each line has one before it */
	n = end < 0 ? -1 : pread(fd, tail + 1, sizeof(tail) - 2, from);
	if (n <= 0)
		return false;
	tail[n + 1] = '\0';
	for (char *p = tail; (p = strstr(p, "\nchela: ")); p++)
		hit = p + 8;
	if (!hit)
		return false;
	hit[strcspn(hit, "\n")] = '\0';
	return str_copy(out, cap, hit);
}

static void on_exit_event(void *ctx, int code, int signo)
{
	struct chat *c = ctx;
	_cleanup_free_ char *file = xasprintf("%s/chela.log", c->cfg->home);
	char words[2 * PATH_CAP + 120], last[PATH_CAP];

	proc_free(c->server);
	c->server = NULL;
	if (c->leaving) {
		loop_stop(c->loop);
		return;
	}
	if (!signo && last_words(file, c->log_from, last, sizeof(last)))
		snprintf(words, sizeof(words), "the server ended: %s (log: %s)", last, file);
	else
		snprintf(words, sizeof(words), "the server ended (%s %d); its last words are in %s",
			 signo ? "signal" : "code", signo ? signo : code, file);
	c->face->trouble(c, words);
	chat_leave(c, 1);
}

static void on_ready(void *ctx, int ev maybe_unused)
{
	struct chat *c = ctx;
	struct err e = ERR_INIT;
	char byte;
	ssize_t n = read(c->ready_fd, &byte, 1);

	watch_free(c->ready_watch);
	c->ready_watch = NULL;
	close(c->ready_fd);
	c->ready_fd = -1;
	if (n == 1 && !chat_connect(c, &e)) {
		c->face->trouble(c, e.msg);
		chat_leave(c, 1);
	}
	/* n == 0: it could not start; its exit is told by on_exit_event */
}

/* For what it says before its own log is open, which is the same file. */
static int open_log(const char *file, struct err *e)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", file);
	return fd;
}

int chat_start_server(struct chat *c, struct err *e)
{
	const char *argv[11] = {"/proc/self/exe", "--home", c->cfg->home};
	_cleanup_free_ char *file = xasprintf("%s/chela.log", c->cfg->home);
	_cleanup_close_ int log = open_log(file, e);
	_cleanup_close_ int out = -1;
	struct proc_spec spec = {.argv = argv, .env = (const char *const *)environ};
	size_t n = 3;
	int fds[2];

	if (log < 0)
		return -1;
	c->log_from = lseek(log, 0, SEEK_END);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, errno, "cannot make a pipe");
	c->ready_fd = fds[0];
	out = fds[1];
	if (c->cfg->file[0]) {
		argv[n++] = "--config";
		argv[n++] = c->cfg->file;
	}
	argv[n++] = "serve";
	argv[n++] = "--ready-fd";
	argv[n++] = "1";
	argv[n++] = "--log-file";
	argv[n++] = file;
	spec.fds[0] = -1;
	spec.fds[1] = out;
	spec.fds[2] = log;
	spec.new_session = true; /* Ctrl-C in the terminal is for the turn, not for the server */
	c->server = proc_spawn(c->loop, "own server", &spec, on_exit_event, c, e);
	if (!c->server)
		return -1;
	c->ready_watch = watch_new(c->loop, "server ready", c->ready_fd, on_ready, c);
	watch_set(c->ready_watch, WATCH_READ);
	return 0;
}

void chat_end_server(struct chat *c)
{
	if (c->server)
		proc_kill(c->server, SIGTERM);
}

void chat_server_free(struct chat *c)
{
	watch_free(c->ready_watch);
	if (c->ready_fd >= 0)
		close(c->ready_fd);
	if (c->server)
		proc_free(c->server);
}
