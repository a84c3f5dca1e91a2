// SPDX-License-Identifier: Apache-2.0
/*
 * Owns child processes: fork, a clean state, exec, and the exit as an event. SIGCHLD says that one
 * of them may have ended; each looks only at its own number, so that no other child of the process
 * is ever reaped here (a pidfd would say which, but valgrind 3.19 knows none). Between fork
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
	struct sigwatch *watch;
	proc_exit_fn *fn; /* NULL once forgotten */
	void *ctx;
	bool over;  /* reaped */
	bool freed; /* by the owner */
	bool gentle;
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
		if (prctl(PR_SET_PDEATHSIG, s->gentle ? SIGTERM : SIGKILL) < 0)
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
	sigwatch_free(p->watch);
	p->watch = NULL;
	loop_hold(p->loop, -1);
	p->over = true;
	if (p->freed)
		loop_free_later(p->loop, p);
}

static void on_child_signal(void *ctx, int signo maybe_unused)
{
	struct proc *p = ctx;
	int status = 0;
	pid_t rc;
	bool exited;

	do {
		rc = waitpid(p->pid, &status, WNOHANG);
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return; /* it was another child */
	if (rc < 0) {
		log_oops("%s: pid %d was reaped by someone else", p->what, (int)p->pid);
		status = 0xff00;
	}
	exited = WIFEXITED(status);
	proc_release(p);
	if (!p->freed && p->fn)
		p->fn(p->ctx, exited ? WEXITSTATUS(status) : -1, exited ? 0 : WTERMSIG(status));
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

/* Forks with all signals held back: one that came before the child has reset its handlers would
 * run ours there. */
static pid_t fork_child(struct launch *a)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		/* 0..2 are about to be replaced: the report must not be one of them. */
		a->report = fcntl(a->report, F_DUPFD_CLOEXEC, 3);
		child_run(a);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* The pid of the running program, or -1. Waits for the exec, which is local work of well under a
 * millisecond: the fork is what costs. */
static pid_t launch(struct launch *a, struct err *e)
{
	struct failure f = {{0}, 0};
	int report[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return err_sys(e, errno, "cannot make a pipe for a child");
	a->report = report[1];
	a->parent = getpid();
	pid = fork_child(a);
	if (pid < 0)
		err_sys(e, errno, "cannot fork");
	close(report[1]);
	do {
		n = pid > 0 ? read(report[0], &f, sizeof(f)) : 0;
	} while (n < 0 && errno == EINTR);
	close(report[0]);
	if (pid < 0 || n == 0)
		return pid; /* at exec the pipe closes itself */
	f.step[sizeof(f.step) - 1] = '\0';
	err_sys(e, f.errnum, "cannot start %s: %s", a->spec->argv[0], f.step);
	waitpid(pid, NULL, 0); /* it has said so with its last breath */
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

	if (!path || prepare_fds(&a, e) < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->loop = l;
	p->what = what;
	p->fn = fn;
	p->ctx = ctx;
	p->gentle = s->gentle;
	p->watch = sigwatch_new(l, SIGCHLD, on_child_signal, p); /* before it can die */
	p->pid = launch(&a, e);
	close_fds(a.fds, 3);
	if (p->pid < 0) {
		sigwatch_free(p->watch);
		free(p);
		return NULL;
	}
	loop_hold(l, 1);
	return p;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

void proc_kill(struct proc *p, int signo)
{
	if (!p->over) /* not reaped: the number is still its own */
		kill(p->pid, signo);
}

void proc_free(struct proc *p)
{
	if (!p || p->freed)
		return;
	p->freed = true;
	if (p->over)
		loop_free_later(p->loop, p);
	else
		proc_kill(p,
			  p->gentle ? SIGTERM : SIGKILL); /* on_child_signal reaps it and lets go */
}
