// SPDX-License-Identifier: Apache-2.0
//
// Privileges and the agent's process. Whoever shares PID 1's uid can open /proc/1/fd/1 and wreck the
// door, and whoever does not cannot signal the agent: hence two processes. The *launcher* takes the
// agent's uid, starts the agent and can kill it; the runner takes a third uid. Once both have done
// so no process of the sandbox is uid 0 or holds a capability, and each reads that back about itself
// before it goes on. The launcher never holds an fd of the door while it or its child can run
// foreign code; the agent's stdio are pipes that the runner made.
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LAUNCHER_CTL = 3,
	EXIT_LAUNCHER = 70,
	EXIT_NO_CWD = 126,
	EXIT_NO_EXEC = 127
};

const char *priv_prepare(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return "no_new_privs refused";
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return "cannot become undumpable";
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return "cannot become the reaper of orphans";
	return NULL;
}

static const char *priv_check(uid_t uid)
{
	uid_t u[3];
	gid_t g[3];
	if (getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0)
		return "cannot read ids back";
	for (int i = 0; i < 3; i++)
		if (u[i] != uid || g[i] != uid || uid == 0)
			return "an id is not the wanted one";
	if (getgroups(0, NULL) != 0)
		return "supplementary groups are left";
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct c[2] = {{0}};
	if (syscall(SYS_capget, &h, c) != 0)
		return "cannot read capabilities back";
	for (int i = 0; i < 2; i++)
		if (c[i].effective || c[i].permitted || c[i].inheritable)
			return "a capability is left";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return "no_new_privs is not set";
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return "still dumpable";
	if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
		return "uid 0 could be taken back";
	return NULL;
}

const char *priv_drop(uid_t uid)
{
	if (setgroups(0, NULL) != 0)
		return "setgroups refused (CAP_SETGID?)";
	if (setresgid(uid, uid, uid) != 0)
		return "setresgid refused (CAP_SETGID?)";
	if (setresuid(uid, uid, uid) != 0)
		return "setresuid refused (CAP_SETUID?)";
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_capset, &h, none) != 0)
		return "capset refused";
	// The kernel may make a process dumpable again when its ids change.
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return "cannot become undumpable";
	return priv_check(uid);
}

// In the agent's process: from here to exec nothing may be left of the runner but fds 0, 1 and 2.
static _Noreturn void agent_exec(const struct options *opt, pid_t launcher)
{
	if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != launcher)
		_exit(EXIT_LAUNCHER);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL); // refused for SIGKILL, SIGSTOP and libc's own two: as wished
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir(opt->cwd) != 0) {
		dprintf(STDERR_FILENO, "cannot enter %s: %s\n", opt->cwd, strerror(errno));
		_exit(EXIT_NO_CWD);
	}
	execvp(opt->argv[0], opt->argv);
	dprintf(STDERR_FILENO, "cannot start %s: %s\n", opt->argv[0], strerror(errno));
	_exit(EXIT_NO_EXEC);
}

static void launcher_tell(enum launcher_kind kind, int value)
{
	struct launcher_msg m = {.kind = (uint32_t)kind, .value = value};
	// A runner that is gone shows as end-of-file on the next turn.
	(void)!send(LAUNCHER_CTL, &m, sizeof m, MSG_NOSIGNAL);
}

// Until the runner closes the socket: pass on signals, report the agent's end.
static _Noreturn void launcher_loop(pid_t agent, int sigfd, bool own_pids)
{
	struct pollfd p[2] = {{.fd = LAUNCHER_CTL, .events = POLLIN},
			      {.fd = sigfd, .events = POLLIN}};
	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			_exit(EXIT_LAUNCHER);
		if (p[1].revents) {
			struct signalfd_siginfo si;
			(void)!read(sigfd, &si, sizeof si);
			int st;
			if (agent > 0 && waitpid(agent, &st, WNOHANG) == agent) {
				launcher_tell(LAUNCHER_EXITED, st);
				agent = -agent; // its group may have members left
			}
		}
		if (!p[0].revents)
			continue;
		struct launcher_msg m;
		ssize_t n = recv(LAUNCHER_CTL, &m, sizeof m, MSG_DONTWAIT);
		if (n == sizeof m && m.kind == LAUNCHER_SIGNAL && agent > 0)
			kill(-agent, m.value);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			break;
	}
	kill(own_pids ? -1 : agent > 0 ? -agent : agent, SIGKILL);
	_exit(0);
}

// Close every fd above the control socket: ours are close-on-exec, those that a container runtime may
// have leaked into PID 1 need not be. Older gVisor has no close_range.
static bool close_rest(void)
{
	if (close_range(LAUNCHER_CTL + 1, ~0U, 0) == 0)
		return true;
	DIR *d = opendir("/proc/self/fd");
	if (!d)
		return false;
	for (struct dirent *e; (e = readdir(d));) {
		int fd = (int)strtol(e->d_name, NULL, 10); // "." and ".." give 0
		if (fd > LAUNCHER_CTL && fd != dirfd(d))
			close(fd);
	}
	closedir(d);
	return true;
}

// In the launcher: fds are agent's stdin, stdout, stderr and the control socket. `own_pids`: the
// runner is PID 1, so that signalling everybody reaches the sandbox and no one else.
static _Noreturn void launcher_main(const struct options *opt, const int fds[4], bool own_pids)
{
	// All four are above 3 (the caller sees to it), so no dup2 hits another's source.
	for (int i = 0; i < 4; i++)
		if (dup2(fds[i], i) != i)
			_exit(EXIT_LAUNCHER);
	const char *why = NULL;
	if (!close_rest())
		why = "cannot close what is left open";
	if (!why && fcntl(LAUNCHER_CTL, F_SETFD, FD_CLOEXEC) != 0)
		why = "fcntl refused";
	if (!why && !opt->keep_uid)
		why = priv_drop(opt->agent_uid);
	sigset_t chld;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	int sigfd = why ? -1 : signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
	if (!why && sigfd < 0)
		why = "signalfd refused";
	// Foreign code runs only once the runner, too, is no longer root.
	struct launcher_msg go;
	if (!why && (recv(LAUNCHER_CTL, &go, sizeof go, 0) != sizeof go || go.kind != LAUNCHER_GO))
		_exit(EXIT_LAUNCHER); // the runner has said why
	pid_t self = getpid();
	pid_t agent = why ? -1 : fork();
	if (agent == 0)
		agent_exec(opt, self);
	if (!why && agent < 0)
		why = strerror(errno);
	if (why) {
		dprintf(STDERR_FILENO, "launcher: %s\n", why);
		_exit(EXIT_LAUNCHER);
	}
	// Else the agent's pipes would never see their end.
	for (int i = 0; i < LAUNCHER_CTL; i++)
		close(i);
	launcher_tell(LAUNCHER_STARTED, agent);
	launcher_loop(agent, sigfd, own_pids);
}

// A pipe with both ends above 3 and close-on-exec. Capacity is a wish: a busy user has less left.
static int wide_pipe(int p[2])
{
	int raw[2];
	if (pipe2(raw, O_CLOEXEC) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		p[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, LAUNCHER_CTL + 1);
		close(raw[i]);
		if (p[i] < 0)
			return -1;
	}
	(void)fcntl(p[0], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

static int nonblock(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK); // of the pipe's end: ours alone
}

const char *agent_start(struct runner *r)
{
	int in[2], out[2], err[2], raw[2];
	// Nothing is given back on failure: the process ends.
	if (wide_pipe(in) || wide_pipe(out) || wide_pipe(err))
		return "cannot make the agent's pipes";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, raw) != 0)
		return "cannot make the launcher's socket";
	int theirs = fcntl(raw[1], F_DUPFD_CLOEXEC, LAUNCHER_CTL + 1);
	close(raw[1]);
	if (theirs < 0 || nonblock(in[1]) || nonblock(out[0]) || nonblock(err[0]) ||
	    nonblock(raw[0]))
		return "cannot prepare the agent's pipes";
	bool own_pids = getpid() == 1;
	pid_t pid = fork();
	if (pid < 0)
		return "cannot fork the launcher";
	if (pid == 0)
		launcher_main(&r->opt, (int[4]){in[0], out[1], err[1], theirs}, own_pids);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	close(theirs);
	r->agent.launcher = pid;
	watch_init(&r->agent.ctl, raw[0], WATCH_LAUNCHER, 0);
	watch_init(&r->agent.err, err[0], WATCH_STDERR, 0);
	struct flow *f = &r->flows[0];
	*f = (struct flow){.used = true, .stream = -1, .rfd = out[0], .wfd = in[1]};
	watch_init(&f->rd, f->rfd, WATCH_FLOW_READ, 0);
	watch_init(&f->wr, f->wfd, WATCH_FLOW_WRITE, 0);
	return NULL;
}

static void agent_gone(struct runner *r, int status)
{
	if (r->agent.exited)
		return;
	r->agent.exited = true;
	r->agent.status = status;
	if (WIFSIGNALED(status))
		log_line(&r->log, "agent killed by signal %d", WTERMSIG(status));
	else
		log_line(&r->log, "agent exited with %d", WEXITSTATUS(status));
	flow_resume(r, &r->flows[0]);
}

void agent_ctl_ready(struct runner *r)
{
	for (;;) {
		struct launcher_msg m;
		ssize_t n = recv(r->agent.ctl.fd, &m, sizeof m, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n != sizeof m)
			break;
		bool fate = WIFEXITED(m.value) || WIFSIGNALED(m.value);
		if (m.kind == LAUNCHER_STARTED && r->agent.pid == 0 && m.value > 1)
			r->agent.pid = m.value;
		else if (m.kind == LAUNCHER_EXITED && r->agent.pid != 0 && fate)
			agent_gone(r, m.value);
	}
	watch_set(r, &r->agent.ctl, 0);
	if (r->agent.pid == 0)
		runner_end(r, EXIT_BROKEN, "the launcher could not start the agent");
	else if (!r->over)
		log_line(&r->log, "the launcher is gone; the agent goes with it");
}

void agent_err_ready(struct runner *r)
{
	char p[8192];
	ssize_t n = read(r->agent.err.fd, p, sizeof p);
	if (n > 0) {
		log_agent(&r->log, p, (size_t)n);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		log_agent_end(&r->log);
		watch_set(r, &r->agent.err, 0);
	}
}

void agent_reap(struct runner *r)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		// Its launcher was killed (the agent's uid may do that), so the agent became ours.
		if (pid == r->agent.pid)
			agent_gone(r, status);
	}
}

static void tell_launcher(struct runner *r, enum launcher_kind kind, int value)
{
	struct launcher_msg m = {.kind = (uint32_t)kind, .value = value};
	if (send(r->agent.ctl.fd, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof m)
		log_line(&r->log, "cannot reach the launcher: %s", strerror(errno));
}

void agent_release(struct runner *r)
{
	tell_launcher(r, LAUNCHER_GO, 0);
}

void agent_signal(struct runner *r, int sig)
{
	tell_launcher(r, LAUNCHER_SIGNAL, sig);
}
