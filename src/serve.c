// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor; see serve.h. It reads no input but signals, exit codes and how the last starts went, and holds no secret. It must stay small
 * enough to be seen right at a glance: everything else trusts it to be there.
 */
#include "serve.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "admin/serve_settings.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_file.h"
#include "base/pages.h"
#include "base/str.h"
#include "runtime/notify.h"
#include "runtime/starts.h"
#include "warden/warden.h"

#define LOCK_WAIT_S 3 /* for a server that is ending */
#define LINGER_MS                                                                                  \
	25000 /* a warden without its server ends by itself, within 20 s when the engine is slow */
#define SIGN_MS 10000 /* the service manager hears of us at least so often while we wait */

struct supervisor {
	const struct config *cfg;
	const struct serve_settings *set;
	struct notify notify;
	struct starts starts;
	char starts_file[PATH_CAP + 16];
	sigset_t signals;
	bool stopping;
	int ready_fd;
	pid_t warden, front;
};

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

/* --- the two processes -------------------------------------------------------------------- */

/* The front must not outlive the supervisor: a second server would not be let in while it lives. */
static pid_t fork_front(struct supervisor *s, int warden_fd)
{
	pid_t parent = getpid(), pid = fork();
	struct front_start st = {
		.warden_fd = warden_fd, .ready_fd = s->ready_fd, .notify = &s->notify};
	sigset_t none;

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, FRONT_NOW) < 0 || getppid() != parent)
		_exit(FRONT_RESTART);
	if (s->starts.waits)
		snprintf(st.told, sizeof(st.told),
			 "I am back. I had died %lld times (the last time: %s), so I waited before "
			 "this start. chela doctor may say why.",
			 (long long)s->starts.total, s->starts.why);
	signal(SIGINT, SIG_IGN); /* of a terminal: the supervisor makes an orderly stop of it */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	exit(front_run(s->cfg, &st));
}

static int start(struct supervisor *s, struct err *e)
{
	_cleanup_close_ int fd = -1;

	s->warden = warden_fork(s->cfg, &fd, e);
	if (s->warden < 0)
		return -1;
	s->front = fork_front(s, fd);
	if (s->front < 0) {
		kill(s->warden, SIGKILL);
		return err_sys(e, errno, "cannot fork the server");
	}
	if (s->ready_fd >= 0)
		close(steal_fd(
			&s->ready_fd)); /* the first front tells; the starter sees EOF if it cannot */
	return 0;
}

/* The front's exit status, FRONT_RESTART when a signal ended it; why: in words. */
static int end_of_front(struct supervisor *s, int st, char *why, size_t cap)
{
	s->front = 0; /* the warden sees the pair close, and ends by itself */
	if (WIFEXITED(st)) {
		snprintf(why, cap, "exit status %d", WEXITSTATUS(st));
		return WEXITSTATUS(st);
	}
	snprintf(why, cap, "signal %d", WTERMSIG(st));
	if (!s->stopping)
		log_error("serve", "the server died", "signal=%d", WTERMSIG(st));
	return FRONT_RESTART;
}

static void pass_on(struct supervisor *s, int signo)
{
	s->stopping |= signo == SIGTERM || signo == SIGINT;
	if (s->front > 0)
		kill(s->front, signo == SIGINT ? SIGTERM : signo);
}

/* Waits until both are gone. Returns the front's exit status. */
static int watch(struct supervisor *s, char *why, size_t cap)
{
	int status = FRONT_RESTART;

	while (s->front > 0 || s->warden > 0) {
		const struct timespec linger = {.tv_sec = LINGER_MS / 1000};
		int signo = sigtimedwait(&s->signals, NULL, s->front > 0 ? NULL : &linger), st;
		pid_t pid;

		if (signo < 0 && errno == EAGAIN && s->warden > 0) {
			log_error("serve", "the warden hangs and is killed", "pid=%d", s->warden);
			kill(s->warden, SIGKILL);
		}
		if (signo < 0)
			continue;
		if (signo != SIGCHLD) {
			pass_on(s, signo);
			continue;
		}
		while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
			if (pid == s->front) {
				status = end_of_front(s, st, why, cap);
				notify_send(&s->notify, "WATCHDOG=1");
			} else if (pid == s->warden) {
				s->warden =
					0; /* the front sees it too, and exits with FRONT_RESTART */
			}
		}
	}
	return status;
}

/* --- how it goes on ------------------------------------------------------------------------ */

static void remember(struct supervisor *s)
{
	struct err e = ERR_INIT;

	if (starts_save(&s->starts, s->starts_file, &e) < 0)
		log_warn("serve", "how this start went is not kept", "err=\"%s\"", e.msg);
}

/* Waits before a start that would most likely die as those before it. False: we are to stop. */
static bool bide(struct supervisor *s, int64_t wait_ms)
{
	int64_t until = clock_mono(&clock_system) / 1000 + wait_ms, left;

	if (!wait_ms)
		return true;
	log_error("serve", "it died too often and is not started at once",
		  "crashes=%lld last=\"%s\" wait_s=%lld", (long long)s->starts.total, s->starts.why,
		  (long long)wait_ms / 1000);
	while (!s->stopping && (left = until - clock_mono(&clock_system) / 1000) > 0) {
		int64_t sign = s->notify.watchdog_ms && s->notify.watchdog_ms < SIGN_MS
				       ? s->notify.watchdog_ms
				       : SIGN_MS;
		int64_t nap = left < sign ? left : sign;
		struct timespec t = {.tv_sec = nap / 1000, .tv_nsec = nap % 1000 * 1000000};
		int signo;

		notify_send(&s->notify,
			    "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=died %lld times (%s); "
			    "starts again in %lld s",
			    (long long)(nap + 60000) * 1000, (long long)s->starts.total,
			    s->starts.why, (long long)left / 1000);
		signo = sigtimedwait(&s->signals, NULL, &t);
		if (signo > 0)
			pass_on(s, signo);
	}
	return !s->stopping;
}

/* Begins anew with what is on the disk now: the program, if it was replaced, and its configuration. Comes back only when that fails. */
static int renew(struct supervisor *s, const struct cli *c, const char *exe)
{
	struct err e = ERR_INIT;
	const char *argv[10] = {exe, "--home", c->home};
	int n = 3;

	if (c->config) {
		argv[n++] = "--config";
		argv[n++] = c->config;
	}
	argv[n++] = "serve";
	if (c->argc == 2) { /* --log-file FILE */
		argv[n++] = c->argv[0];
		argv[n++] = c->argv[1];
	}
	log_info("serve", "begins anew", "program=%s", exe);
	notify_send(&s->notify, "STATUS=begins anew");
	execv(exe, (char *const *)argv);
	err_sys(&e, errno, "cannot run %s", exe);
	return cli_fail(&e);
}

/* One start after the other, until there is a reason to end. Returns the front's last status. */
static int rounds(struct supervisor *s)
{
	const struct serve_settings *set = s->set;
	int64_t wait;
	struct err e = ERR_INIT;
	char why[64];
	int status;

	if (s->starts.began_ms)
		starts_crash(&s->starts, clock_wall(&clock_system), set->crash_max,
			     "killed, or the machine stopped");
	/* Who waits for readiness, or has typed this, is a person: that start is made at once. */
	wait = s->ready_fd >= 0 || isatty(STDIN_FILENO)
		       ? 0
		       : starts_wait_ms(&s->starts, set->crash_wait_ms);
	for (;; wait = starts_wait_ms(&s->starts, set->crash_wait_ms)) {
		if (!bide(s, wait))
			return 0;
		starts_begin(&s->starts, clock_wall(&clock_system), set->crash_max);
		remember(s);
		if (start(s, &e) < 0) {
			cli_fail(&e);
			return 1;
		}
		pages_give_back(); /* all it does from here on is wait */
		status = watch(s, why, sizeof(why));
		if (s->stopping || status == FRONT_RENEW || status == 0) {
			starts_end(&s->starts, clock_wall(&clock_system));
			remember(s);
			return s->stopping && status == FRONT_RESTART ? 0 : status;
		}
		starts_crash(&s->starts, clock_wall(&clock_system), set->crash_max, why);
		remember(s);
		if (status != FRONT_RESTART)
			return status; /* it has said why it cannot start */
		log_warn("serve", "starting again", "crashes=%lld", (long long)s->starts.total);
		notify_send(&s->notify, "STATUS=died (%s), starting again", why);
	}
}

static int supervise(const struct cli *c, const struct config *cfg,
		     const struct serve_settings *set, int ready_fd)
{
	struct supervisor s = {.cfg = cfg, .set = set, .ready_fd = ready_fd};
	struct err e = ERR_INIT;
	char exe[PATH_CAP];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int status;

	if (n < 0) {
		err_sys(&e, errno, "cannot tell where this program lies");
		return cli_fail(&e);
	}
	exe[n] = '\0';
	if (notify_open(&s.notify, getpid(), &e) < 0)
		return cli_fail(&e);
	snprintf(s.starts_file, sizeof(s.starts_file), "%s/run/starts", cfg->home);
	starts_load(&s.starts, s.starts_file);
	sigemptyset(&s.signals);
	for (size_t i = 0; i < 5; i++)
		sigaddset(&s.signals, (int[]){SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGHUP}[i]);
	sigprocmask(SIG_BLOCK, &s.signals, NULL);
	status = rounds(&s);
	if (status == FRONT_RENEW && !s.stopping)
		return renew(&s, c, exe);
	notify_send(&s.notify, "STOPPING=1");
	return status == FRONT_RENEW ? 0 : status;
}

static int open_log(const struct config *cfg, const struct serve_settings *set, const char *file,
		    struct err *e)
{
	log_init(&(struct log_opts){.fd = 2, .level = cfg->log_level});
	if (!file)
		file = set->log_file;
	return file[0] ? log_file_open(file, set->log_max, (int)set->log_keep, e) : 0;
}

static int make_run(const struct config *cfg, struct err *e)
{
	_cleanup_free_ char *path = xasprintf("%s/run", cfg->home);

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make the folder %s", path);
	return 0;
}

int cmd_serve(const struct cli *c)
{
	struct cli words = *c, again = *c;
	struct config cfg;
	struct serve_settings set;
	struct err e = ERR_INIT;
	const char *fd_word = cli_value(&words, "--ready-fd");
	const char *log_word = cli_value(&words, "--log-file");
	_cleanup_close_ int lock = -1;
	int64_t ready_fd = -1;

	if (fd_word && str_to_i64(fd_word, 1, 1023, &ready_fd, &e) < 0) {
		err_wrap(&e, "reading --ready-fd");
		return cli_fail(&e);
	}
	if (cli_no_more(&words, "serve [--ready-fd N] [--log-file FILE]", &e) < 0 ||
	    cli_config(c, true, &cfg, &e) < 0 || serve_settings_load(&cfg, &set, &e) < 0 ||
	    make_run(&cfg, &e) < 0)
		return cli_fail(&e);
	lock = lock_home(&cfg, &e);
	if (lock < 0 || open_log(&cfg, &set, log_word, &e) < 0)
		return cli_fail(&e);
	again.argc = log_word ? 2 : 0;
	again.argv = (char *[]){(char *)"--log-file", (char *)log_word};
	return supervise(&again, &cfg, &set, (int)ready_fd);
}
