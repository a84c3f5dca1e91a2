// SPDX-License-Identifier: Apache-2.0
/*
 * Owns child processes: fork, a clean state, exec, and the exit as an event of a pidfd, so that no
 * SIGCHLD handler is needed and no other child of the process is ever reaped here. Between fork
 * and exec only async-signal-safe calls are made (a resolver thread may hold any lock). No child
 * of this file outlives its owner unless it was asked to.
 */
#include "runtime/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "runtime/loop_internal.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct proc {
	struct loop *loop;
	const char *what;
	pid_t pid;
	int pidfd;
	struct watch *watch;
	proc_exit_fn *fn; /* NULL once forgotten */
	void *ctx;
	bool over;  /* reaped */
	bool freed; /* by the owner */
};

/* What the child needs, made before the fork: after it nothing may be allocated. */
struct launch {
	const struct proc_spec *spec;
	const char *path; /* of the program */
	const char *const *env;
	pid_t parent;
	int fds[3]; /* numbers > 2, so that none is overwritten by another's dup2 */
	int report; /* write end: a failed step and its errno */
};

struct failure {
	char step[16];
	int errnum;
};

/* --- in the child ---------------------------------------------------------------------------- */

static _Noreturn void child_fail(const struct launch *a, const char *step)
{
	struct failure f = {.errnum = errno};

	for (size_t i = 0; i + 1 < sizeof(f.step) && step[i]; i++)
		f.step[i] = step[i];
	/* A write this small to a pipe is whole or fails; failing, the parent sees only the exit. */
	if (write(a->report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void child_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		sigaction(s, &dfl, NULL); /* refused for KILL, STOP and libc's own: rightly */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child_run(const struct launch *a)
{
	const struct proc_spec *s = a->spec;

	child_signals();
	if (s->new_session && setsid() < 0)
		child_fail(a, "setsid");
	if (!s->outlive) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			child_fail(a, "prctl");
		if (getppid() != a->parent)
			_exit(127); /* it died before the line above: nobody is left to tell */
	}
	for (int i = 0; i < 3; i++)
		if (dup2(a->fds[i], i) < 0)
			child_fail(a, "dup2");
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		child_fail(a, "close_range");
	if (s->cwd && chdir(s->cwd) < 0)
		child_fail(a, "chdir");
	execve(a->path, (char *const *)s->argv, (char *const *)a->env);
	child_fail(a, "exec");
}

/* --- in the parent --------------------------------------------------------------------------- */

static char *find_program(const char *name, struct err *e)
{
	const char *path = getenv("PATH");
	_cleanup_free_ char *one = NULL;

	if (strchr(name, '/'))
		return xstrdup(name);
	if (!path || !*path)
		path = DEFAULT_PATH;
	while (*path) {
		size_t n = strcspn(path, ":");
		if (n) {
			free(one);
			one = xasprintf("%.*s/%s", (int)n, path, name);
			if (access(one, X_OK) == 0)
				return steal_ptr(&one);
		}
		path += n + (path[n] == ':');
	}
	err_set(e, E_GONE, "%s is not installed (not found in PATH)", name);
	return NULL;
}

static void proc_release(struct proc *p)
{
	watch_free(p->watch);
	p->watch = NULL;
	close(p->pidfd);
	p->pidfd = -1;
	loop_hold(p->loop, -1);
	p->over = true;
	if (p->freed)
		loop_free_later(p->loop, p);
}

static void on_exit_event(void *ctx, int events maybe_unused)
{
	struct proc *p = ctx;
	siginfo_t si = {0};
	bool exited;

	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) < 0) {
		if (errno == EINTR)
			return;
		log_error("proc", "child was reaped by someone else", "what=\"%s\" pid=%d", p->what,
			  (int)p->pid);
		si.si_code = CLD_EXITED;
		si.si_status = -1;
	} else if (si.si_pid == 0) {
		return;
	}
	exited = si.si_code == CLD_EXITED;
	proc_release(p);
	if (!p->freed && p->fn)
		p->fn(p->ctx, exited ? si.si_status : -1, exited ? 0 : si.si_status);
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* Copies the three descriptors (or /dev/null) to numbers above 2. */
static int prepare_fds(struct launch *a, struct err *e)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		int from = a->spec->fds[i] < 0 ? null : a->spec->fds[i];
		a->fds[i] = fcntl(from, F_DUPFD_CLOEXEC, 3);
		if (a->fds[i] < 0) {
			err_sys(e, errno, "cannot copy descriptor %d for a child", from);
			close_fds(a->fds, (size_t)i);
			return -1;
		}
	}
	return 0;
}

/* Forks; 0 with *pid and *pidfd set once the program runs. Waits for the exec, which is local work
 * of well under a millisecond: fork is what costs. */
static int launch(struct launch *a, pid_t *pid, int *pidfd, struct err *e)
{
	struct failure f = {{0}, 0};
	sigset_t all, before;
	int report[2];
	ssize_t n;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe for a child");
	a->report = report[1];
	a->parent = getpid();
	/* A signal that came before the child has reset its handlers would run ours there. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	*pid = fork();
	if (*pid == 0) {
		/* 0..2 are about to be replaced: the report must not be one of them. */
		a->report = fcntl(report[1], F_DUPFD_CLOEXEC, 3);
		child_run(a);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (*pid < 0)
		err_sys(e, errno, "cannot fork");
	close(report[1]);
	do {
		n = *pid > 0 ? read(report[0], &f, sizeof(f)) : -1;
	} while (n < 0 && *pid > 0 && errno == EINTR);
	close(report[0]);
	if (*pid < 0)
		return -1;
	if (n == 0) {
		*pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
		if (*pidfd >= 0)
			return 0;
		err_sys(e, errno, "pidfd_open");
		kill(*pid, SIGKILL);
	} else {
		f.step[sizeof(f.step) - 1] = '\0';
		err_sys(e, f.errnum, "cannot start %s: %s", a->spec->argv[0], f.step);
		if (f.errnum == ENOENT)
			e->code = E_GONE;
	}
	waitpid(*pid, NULL, 0); /* it is dead, or dies by the SIGKILL */
	return -1;
}

struct proc *proc_spawn(struct loop *l, const char *what, const struct proc_spec *s,
			proc_exit_fn *fn, void *ctx, struct err *e)
{
	const char *home = getenv("HOME");
	_cleanup_free_ char *home_line = xasprintf("HOME=%s", home ? home : "/");
	const char *const plain[] = {"PATH=" DEFAULT_PATH, "LANG=C.UTF-8", home_line, NULL};
	_cleanup_free_ char *path = find_program(s->argv[0], e);
	struct launch a = {.spec = s, .path = path, .env = s->env ? s->env : plain};
	struct proc *p;
	pid_t pid;
	int pidfd, rc;

	if (!path || prepare_fds(&a, e) < 0)
		return NULL;
	rc = launch(&a, &pid, &pidfd, e);
	close_fds(a.fds, 3);
	if (rc < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->loop = l;
	p->what = what;
	p->pid = pid;
	p->pidfd = pidfd;
	p->fn = fn;
	p->ctx = ctx;
	p->watch = watch_new(l, what, pidfd, on_exit_event, p);
	watch_set(p->watch, WATCH_READ);
	loop_hold(l, 1);
	return p;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

void proc_kill(struct proc *p, int signo)
{
	/* By pidfd: a number that was reused cannot be hit. */
	if (!p->over)
		syscall(SYS_pidfd_send_signal, p->pidfd, signo, NULL, 0);
}

void proc_free(struct proc *p)
{
	if (!p || p->freed)
		return;
	p->freed = true;
	if (p->over)
		loop_free_later(p->loop, p);
	else
		proc_kill(p, SIGKILL); /* on_exit_event reaps it and lets go */
}
