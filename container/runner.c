// SPDX-License-Identifier: Apache-2.0
//
// Start-up and loop of the runner (see runner.h for the whole). The order of the start is the
// point: lock ourselves, fork the launcher while we still may change uids, drop to our own uid,
// prove it, and only then let the agent start and read the first byte of the door. The end is short: when PID 1 ends, the
// kernel kills whatever is left in the sandbox.
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	EVENTS_A_TURN = 64,
	LAUNCHER_GRACE_MS = 1000
};

void watch_init(struct watch *w, int fd, enum watch_kind kind, unsigned slot)
{
	*w = (struct watch){.fd = fd, .key = watch_key(kind, slot)};
}

void watch_set(struct runner *r, struct watch *w, uint32_t events)
{
	if (w->events == events)
		return;
	int op = !w->events ? EPOLL_CTL_ADD : !events ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	struct epoll_event e = {.events = events, .data.u64 = w->key};
	if (epoll_ctl(r->epoll, op, w->fd, &e) != 0)
		runner_end(r, EXIT_BROKEN, "epoll refused fd %d: %s", w->fd, strerror(errno));
	w->events = events;
}

void runner_end(struct runner *r, int code, const char *why, ...)
{
	if (r->over)
		return;
	char text[256];
	va_list ap;
	va_start(ap, why);
	vsnprintf(text, sizeof text, why, ap);
	va_end(ap);
	log_line(&r->log, "end: %s", text);
	r->over = true;
	r->exit_code = code;
}

static long number(const char *text, long min, long max)
{
	char *end;
	errno = 0;
	long v = strtol(text, &end, 10);
	return errno || end == text || *end || v < min || v > max ? -1 : v;
}

static const char *options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){
		.agent_uid = 10001, .runner_uid = 10002, .port = 2435, .cwd = "/workspace"};
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--keep-uid") == 0) {
			o->keep_uid = true;
			continue;
		}
		const char *v = i + 1 < argc ? argv[i + 1] : "";
		long n = number(v, 0, 65535);
		if (strcmp(argv[i], "--cwd") == 0 && v[0] == '/')
			o->cwd = v;
		else if (strcmp(argv[i], "--uid") == 0 && n > 0)
			o->agent_uid = (uid_t)n;
		else if (strcmp(argv[i], "--runner-uid") == 0 && n > 0)
			o->runner_uid = (uid_t)n;
		else if (strcmp(argv[i], "--port") == 0 && n >= 0)
			o->port = (uint16_t)n;
		else
			return "usage: runner [--uid N] [--runner-uid N] [--port N] [--cwd /DIR] "
			       "[--keep-uid] -- COMMAND [ARG...]";
		i++;
	}
	if (i + 1 >= argc)
		return "no command after --";
	o->argv = argv + i + 1;
	if (o->agent_uid == o->runner_uid)
		return "the agent must not share the runner's uid";
	if (o->keep_uid && getpid() == 1)
		return "--keep-uid is for tests, never for PID 1";
	if (!o->keep_uid && geteuid() != 0)
		return "must start as uid 0 to change uids (or --keep-uid, for tests)";
	return NULL;
}

// The door's own fds. A terminal or a file is no door: epoll could not tell when to write.
static const char *stdio_prepare(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;
		if (fstat(fd, &st) != 0)
			return "fds 0, 1 and 2 must be open";
		bool stream = S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode);
		if (!stream && fd != STDERR_FILENO)
			return "stdin and stdout must be pipes: they are the door";
		int fl = fcntl(fd, F_GETFL);
		if (stream && (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) != 0))
			return "cannot make the door non-blocking";
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			return "cannot make the door close-on-exec";
		if (S_ISFIFO(st.st_mode) && fd != STDERR_FILENO)
			(void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); // a wish
	}
	return NULL;
}

static const char *listen_start(struct runner *r)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return "cannot make a socket";
	int one = 1;
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(r->opt.port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, SOMAXCONN) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return "cannot listen on 127.0.0.1 (loopback down, or the port is taken)";
	r->opt.port = ntohs(a.sin_port);
	watch_init(&r->listener, fd, WATCH_LISTEN, 0);
	return NULL;
}

static const char *signals_start(struct runner *r)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGCHLD);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGINT);
	int fd = signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return "signalfd refused";
	watch_init(&r->signals, fd, WATCH_SIGNAL, 0);
	watch_set(r, &r->signals, EPOLLIN);
	return NULL;
}

static void signals_ready(struct runner *r)
{
	struct signalfd_siginfo si;
	while (read(r->signals.fd, &si, sizeof si) == (ssize_t)sizeof si) {
		if (si.ssi_signo == SIGCHLD) {
			agent_reap(r);
		} else if (r->stopping || r->agent.exited) {
			runner_end(r, EXIT_DOOR_ENDED, "signal %u", si.ssi_signo);
		} else {
			log_line(&r->log, "signal %u: asking the agent to end", si.ssi_signo);
			r->stopping = true;
			agent_signal(r, SIGTERM);
		}
	}
}

static void listen_ready(struct runner *r)
{
	while (r->tcp_live < TCP_MAX) {
		int fd = accept4(r->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == ECONNABORTED || errno == EINTR))
			continue;
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0) {
			log_line(&r->log, "cannot accept: %s", strerror(errno));
			r->accept_paused = true;
			if (r->tcp_live == 0)
				runner_end(r, EXIT_BROKEN, "the listener is dead");
			return;
		}
		int one = 1;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		door_open_tcp(r, flow_open_tcp(r, fd));
	}
}

// Returns true for the listener: connections are accepted last, so that no event of this turn can
// hit a slot that has been taken anew.
static bool dispatch(struct runner *r, const struct epoll_event *e)
{
	struct flow *f = &r->flows[(uint32_t)e->data.u64 % FLOW_MAX];
	switch ((enum watch_kind)(e->data.u64 >> 32)) {
	case WATCH_SIGNAL:
		signals_ready(r);
		break;
	case WATCH_DOOR_IN:
		door_readable(r);
		break;
	case WATCH_DOOR_OUT:
		break; // every turn ends with a flush
	case WATCH_LISTEN:
		return true;
	case WATCH_LAUNCHER:
		agent_ctl_ready(r);
		break;
	case WATCH_STDERR:
		agent_err_ready(r);
		break;
	case WATCH_FLOW_READ:
	case WATCH_FLOW_WRITE:
		if (f->used)
			flow_ready(r, f, e->events);
		break;
	}
	return false;
}

static void loop(struct runner *r)
{
	while (!r->over) {
		struct epoll_event e[EVENTS_A_TURN];
		int n = epoll_wait(r->epoll, e, EVENTS_A_TURN, -1);
		if (n < 0 && errno != EINTR)
			runner_end(r, EXIT_BROKEN, "epoll_wait: %s", strerror(errno));
		bool accepting = false;
		for (int i = 0; i < n && !r->over; i++)
			accepting |= dispatch(r, &e[i]);
		if (accepting && !r->over)
			listen_ready(r);
		door_flush(r);
		for (int i = 0; i < FLOW_MAX; i++)
			if (r->flows[i].used)
				flow_rearm(r, &r->flows[i]);
		bool room = r->tcp_live < TCP_MAX && !r->accept_paused;
		watch_set(r, &r->listener, room ? EPOLLIN : 0);
		if (r->stopping && r->door.trailers_sent && r->door.out.events == 0)
			runner_end(r, EXIT_DOOR_ENDED, "stopped; the agent has ended");
	}
}

// As PID 1 nothing is to be done: our exit is the end of the sandbox. Elsewhere the launcher must
// kill the agent first; it does so when its socket closes.
static void sandbox_end(struct runner *r)
{
	if (getpid() == 1)
		return;
	close(r->agent.ctl.fd);
	struct pollfd p = {.fd = r->signals.fd, .events = POLLIN};
	for (;;) {
		pid_t pid = waitpid(r->agent.launcher, NULL, WNOHANG);
		if (pid != 0)
			return; // gone, or reaped before
		if (poll(&p, 1, LAUNCHER_GRACE_MS) == 0)
			return;
		struct signalfd_siginfo si;
		(void)!read(r->signals.fd, &si, sizeof si);
	}
}

static const char *start(struct runner *r)
{
	// The chunk buffers come and go: give them back to the kernel, whatever sizes were seen.
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	const char *why = priv_prepare();
	if (!why)
		why = stdio_prepare();
	if (!why)
		why = listen_start(r);
	if (!why)
		why = agent_start(r);
	if (!why && !r->opt.keep_uid)
		why = priv_drop(r->opt.runner_uid);
	if (why)
		return why;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return "epoll refused";
	why = signals_start(r);
	if (!why)
		why = door_start(r);
	if (why)
		return why;
	agent_release(r);
	watch_set(r, &r->agent.ctl, EPOLLIN);
	watch_set(r, &r->agent.err, EPOLLIN);
	watch_set(r, &r->listener, EPOLLIN);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct runner r;
	const char *why = options_parse(&r.opt, argc, argv);
	if (why) {
		log_line(&r.log, "%s", why);
		return EXIT_USAGE;
	}
	why = start(&r);
	if (why) {
		log_line(&r.log, "cannot start: %s", why);
		if (r.agent.launcher > 0 && getpid() != 1)
			sandbox_end(&r);
		return EXIT_BROKEN;
	}
	log_line(&r.log, "%s, door %s, port %u, uid %u%s", RUNNER_VERSION, DOOR_VERSION,
		 (unsigned)r.opt.port, (unsigned)geteuid(),
		 r.opt.keep_uid ? " (uids kept: NOT a sandbox)" : "");
	door_flush(&r);
	flow_rearm(&r, &r.flows[0]);
	loop(&r);
	sandbox_end(&r);
	return r.exit_code;
}
