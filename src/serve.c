// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor; see serve.h. It reads no input but signals and exit codes, and holds no secret. It must stay small enough to be seen
 * right at a glance: everything else trusts it to be there.
 */
#include "serve.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include "base/log.h"
#include "base/pages.h"
#include "base/str.h"
#include "warden/warden.h"

#define CRASH_WINDOW_S 60 /* so many restarts within this time ... */
#define CRASH_MAX      20 /* ... and the supervisor gives up */
#define LOCK_WAIT_S    3  /* for a server that is ending */

static void wake_up(int signo)
{
	(void)signo;
}

/* One server a home: a second one would take the first one's turns for left over by a crash, and remove
 * its sandboxes. The front holds the lock with us, so it stands until both are gone. */
static int lock_home(const struct config *cfg, struct err *e)
{
	struct sigaction act = {.sa_handler = wake_up}, old;
	char path[PATH_CAP + 16];
	int fd, rc, why;

	snprintf(path, sizeof(path), "%s/server.lock", cfg->home);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	sigaction(SIGALRM, &act, &old);
	alarm(LOCK_WAIT_S);
	rc = flock(fd, LOCK_EX);
	why = errno;
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	if (rc == 0)
		return fd;
	close(fd);
	if (why != EINTR)
		return err_sys(e, why, "cannot lock %s", path);
	return err_set(e, E_PERM, "another server runs with the home %s (chela status)", cfg->home);
}

/* A warden without its server ends by itself, within 20 s when the engine is slow. One that hangs must not keep the
 * next one from starting. */
#define LINGER_S 25

struct generation {
	pid_t warden, front;
};

/* The front must not outlive the supervisor: a second server would not be let in while it lives. */
static pid_t fork_front(const struct config *cfg, int warden_fd, int ready_fd)
{
	pid_t parent = getpid(), pid = fork();
	sigset_t none;

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		_exit(FRONT_RESTART);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exit(front_run(cfg, warden_fd, ready_fd));
}

static int start(const struct config *cfg, int *ready_fd, struct generation *g, struct err *e)
{
	_cleanup_close_ int fd = -1;

	g->warden = warden_fork(cfg, &fd, e);
	if (g->warden < 0)
		return -1;
	g->front = fork_front(cfg, fd, *ready_fd);
	if (g->front < 0) {
		kill(g->warden, SIGKILL);
		return err_sys(e, errno, "cannot fork the server");
	}
	if (*ready_fd >= 0)
		close(steal_fd(
			ready_fd)); /* the first front tells; the starter sees EOF if it cannot */
	return 0;
}

/* Waits until one of the two is gone, or a signal to stop comes. Returns the front's exit status, -1 when
 * it has to be started again. */
static int watch(struct generation *g, const sigset_t *set)
{
	bool stopping = false;
	int status = -1;

	while (g->front > 0 || g->warden > 0) {
		const struct timespec linger = {.tv_sec = LINGER_S};
		int signo = sigtimedwait(set, NULL, g->front > 0 ? NULL : &linger), st;
		pid_t pid;

		if (signo < 0 && errno == EAGAIN && g->warden > 0) {
			log_error("serve", "the warden hangs and is killed", "pid=%d", g->warden);
			kill(g->warden, SIGKILL);
		}
		if (signo < 0)
			continue;
		if (signo != SIGCHLD) {
			stopping |= signo == SIGTERM || signo == SIGINT;
			if (g->front > 0)
				kill(g->front, signo == SIGINT ? SIGTERM : signo);
			continue;
		}
		while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
			if (pid == g->front) {
				g->front =
					0; /* the warden sees the pair close, and ends by itself */
				status = WIFEXITED(st) ? WEXITSTATUS(st) : -1;
				if (!WIFEXITED(st))
					log_error("serve", "the server died", "signal=%d",
						  WTERMSIG(st));
			} else if (pid == g->warden) {
				g->warden =
					0; /* the front sees it too, and exits with FRONT_RESTART */
			}
		}
	}
	if (stopping)
		return status < 0 || status == FRONT_RESTART ? 0 : status;
	return status == FRONT_RESTART ? -1 : status;
}

static int supervise(const struct config *cfg, int ready_fd)
{
	struct generation g = {0};
	struct err e = ERR_INIT;
	time_t window = time(NULL);
	int crashes = 0, status;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < 5; i++)
		sigaddset(&set, (int[]){SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGHUP}[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		if (start(cfg, &ready_fd, &g, &e) < 0)
			return cli_fail(&e);
		pages_give_back(); /* all it does from here on is wait */
		status = watch(&g, &set);
		if (status >= 0)
			return status;
		if (time(NULL) - window > CRASH_WINDOW_S) {
			window = time(NULL);
			crashes = 0;
		}
		if (++crashes > CRASH_MAX) {
			log_error("serve", "gives up", "crashes=%d window_s=%d", crashes,
				  CRASH_WINDOW_S);
			return 1;
		}
		log_warn("serve", "starting again", "crashes=%d", crashes);
	}
}

int cmd_serve(const struct cli *c)
{
	struct cli words = *c;
	struct config cfg;
	struct err e = ERR_INIT;
	const char *fd_word = cli_value(&words, "--ready-fd");
	_cleanup_close_ int lock = -1;
	int64_t ready_fd = -1;

	if (fd_word && str_to_i64(fd_word, 1, 1023, &ready_fd, &e) < 0) {
		err_wrap(&e, "reading --ready-fd");
		return cli_fail(&e);
	}
	if (cli_no_more(&words, "serve [--ready-fd N]", &e) < 0 ||
	    cli_config(c, true, &cfg, &e) < 0)
		return cli_fail(&e);
	lock = lock_home(&cfg, &e);
	if (lock < 0)
		return cli_fail(&e);
	log_init(&(struct log_opts){.fd = 2, .level = cfg.log_level});
	return supervise(&cfg, (int)ready_fd);
}
