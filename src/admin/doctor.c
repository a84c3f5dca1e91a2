// SPDX-License-Identifier: Apache-2.0
/*
 * `chela doctor`: looks at what a working server needs and says of each thing whether it is there, with the fix. It changes
 * nothing: the engine is asked by a warden of its own with an instance id that owns no container.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include "admin/ask.h"
#include "admin/backup.h"
#include "admin/cli.h"
#include "admin/control.h"
#include "base/fd.h"
#include "base/guest_log.h"
#include "base/redact.h"
#include "base/str.h"
#include "base/zone.h"
#include "channels/registry.h"
#include "router/retention.h"
#include "runtime/starts.h"
#include "warden/warden.h"

#define DISK_LOW_BYTES	   ((int64_t)1 << 30)
#define ENGINE_PATIENCE_MS 15000
#define DAY_MS		   ((int64_t)86400000)

struct doctor {
	struct loop *loop;
	const struct config *cfg;
	struct warden_status engine;
	bool engine_known;
	char engine_why[256];
	int bad;
};

static void line(struct doctor *d, bool ok, const char *what, const char *words, const char *fix)
{
	_cleanup_free_ char *shown = xstrdup(words);

	guest_clean_line(shown); /* what platforms and the engine say is not ours */
	printf("%-4s %-12s %s%s%s\n", ok ? "ok" : "BAD", what, shown,
	       ok || !fix[0] ? "" : " -- fix: ", ok ? "" : fix);
	d->bad += !ok;
}

/* --- the engine, by a warden -------------------------------------------------------------- */

static void on_status(void *ctx, const struct warden_status *s)
{
	struct doctor *d = ctx;

	d->engine = *s;
	d->engine_known = true;
	loop_stop(d->loop);
}

static void on_lost(void *ctx, const struct err *why)
{
	struct doctor *d = ctx;

	str_copy(d->engine_why, sizeof(d->engine_why), why->msg);
	loop_stop(d->loop);
}

static void on_patience(void *ctx)
{
	struct doctor *d = ctx;

	str_copy(d->engine_why, sizeof(d->engine_why), "no answer within 15 s");
	loop_stop(d->loop);
}

static void no_start(void *ctx maybe_unused, uint64_t id maybe_unused, int fd)
{
	close(fd);
}

static void no_fail(void *ctx maybe_unused, uint64_t id maybe_unused,
		    const struct err *why maybe_unused)
{
}

static void no_end(void *ctx maybe_unused, uint64_t id maybe_unused,
		   enum sandbox_end how maybe_unused, int code maybe_unused,
		   const char *detail maybe_unused)
{
}

static int ask_engine(struct doctor *d, struct err *e)
{
	static const struct warden_events ev = {no_start, no_fail, no_end, on_status, on_lost};
	struct config mine = *d->cfg;
	struct warden *w;
	struct timer *t;
	pid_t pid;
	int fd = -1;

	str_uuid4(mine.instance);
	pid = warden_fork(&mine, &fd, e);
	if (pid < 0)
		return -1;
	d->loop = loop_new(e);
	if (!d->loop)
		return -1;
	w = warden_new(d->loop, fd, &ev, d);
	t = timer_new(d->loop, "doctor", on_patience, d);
	timer_start(t, ENGINE_PATIENCE_MS, 0);
	warden_ask_status(w);
	loop_run(d->loop);
	timer_free(t);
	warden_free(w);
	loop_free(d->loop);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static void check_engine(struct doctor *d)
{
	const struct warden_status *s = &d->engine;
	struct err e = ERR_INIT;
	bool has;

	if (ask_engine(d, &e) < 0)
		str_copy(d->engine_why, sizeof(d->engine_why), e.msg);
	if (!d->engine_known) {
		line(d, false, "engine", d->engine_why, "see the log lines above");
		return;
	}
	line(d, s->engine_up, "engine", s->engine, "");
	if (!s->engine_up)
		return;
	has = strstr(s->runtimes, d->cfg->sandbox.runtime) != NULL;
	line(d, has, "runtimes", s->runtimes,
	     "install the runtime that sandbox.runtime names, or name one of these");
	line(d, s->image_ok, "image", s->image_ok ? s->image : s->image_why, "");
}

/* --- the rest ----------------------------------------------------------------------------- */

static void check_home(struct doctor *d)
{
	const char *home = d->cfg->home;
	char words[PATH_CAP + 64];
	struct statvfs v;
	struct stat st;

	if (access(home, W_OK) < 0) {
		snprintf(words, sizeof(words), "%s: %s", home, strerror(errno));
		line(d, false, "home", words,
		     "run as the owner, or set CHELA_HOME to a folder of yours");
	} else {
		line(d, true, "home", home, "");
	}
	snprintf(words, sizeof(words), "%s/chela.db", home);
	if (stat(words, &st) == 0)
		line(d, (st.st_mode & 077) == 0, "permissions", words, "chmod 600 that file");
	else
		line(d, true, "permissions", "no database yet: made at the first start", "");
	if (statvfs(home, &v) == 0) {
		int64_t left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;

		snprintf(words, sizeof(words), "%lld MB free", (long long)(left >> 20));
		line(d, left >= DISK_LOW_BYTES, "disk", words, "free at least 1 GB");
	}
}

/* What goes on growing: the database, within what retention keeps. */
static void check_growth(struct doctor *d)
{
	_cleanup_free_ char *file = xasprintf("%s/chela.db", d->cfg->home);
	struct retention_settings keep;
	struct err e = ERR_INIT;
	char words[200], age[40] = "for ever";
	struct statvfs v;
	struct stat st;
	int64_t left;

	if (stat(file, &st) < 0 || statvfs(d->cfg->home, &v) < 0 ||
	    retention_settings_load(d->cfg, &keep, &e) < 0)
		return;
	if (keep.keep_ms[RETAINED_MESSAGES])
		snprintf(age, sizeof(age), "for %lld days",
			 (long long)(keep.keep_ms[RETAINED_MESSAGES] / DAY_MS));
	snprintf(words, sizeof(words), "database %lld MB; messages are kept %s",
		 (long long)st.st_size >> 20, age);
	left = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
	line(d, left > 2 * (int64_t)st.st_size, "growth", words,
	     "free some disk: an upgrade and a backup each need as much again");
}

static void check_zones(struct doctor *d)
{
	struct err e = ERR_INIT;
	_cleanup_zone_ struct zone *z = zone_open("Europe/Berlin", &e);

	line(d, z != NULL, "time zones", z ? "there" : e.msg, "apt-get install tzdata");
}

static void check_starts(struct doctor *d)
{
	_cleanup_free_ char *file = xasprintf("%s/run/starts", d->cfg->home);
	char words[240];
	struct starts s;

	starts_load(&s, file);
	snprintf(words, sizeof(words), "died %lld times since it was last up for 10 minutes (%s)%s",
		 (long long)s.total, s.why, s.waits ? "; starts are spaced" : "");
	if (s.total)
		line(d, !s.waits, "starts", words, "look at the log for why it died");
	else
		line(d, true, "starts", "in order", "");
}

static void check_backup(struct doctor *d)
{
	_cleanup_free_ char *file = xasprintf("%s/" BACKUP_NOTE, d->cfg->home);
	char words[PATH_CAP + 80], name[PATH_CAP];
	int fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fd_read_all(fd, name, sizeof(name) - 1);
	struct stat st;

	if (n <= 0 || fstat(fd, &st) < 0) {
		line(d, true, "backup", "none was made yet (chela backup FILE.tar.gz)", "");
	} else {
		name[n] = '\0';
		name[strcspn(name, "\n")] = '\0';
		snprintf(words, sizeof(words), "%lld days old: %s",
			 (long long)(time(NULL) - st.st_mtime) / 86400, name);
		line(d, true, "backup", words, "");
	}
	if (fd >= 0)
		close(fd);
}

/* The sandbox policies of groups: they are read when a sandbox starts, and one that is wrong keeps it from starting. */
static void check_policies(struct doctor *d)
{
	_cleanup_free_ char *path = xasprintf("%s/config/groups", d->cfg->home);
	DIR *dir = opendir(path);
	struct dirent *de;
	int n = 0, bad = d->bad;

	while (dir && (de = readdir(dir))) {
		const char *dot = strrchr(de->d_name, '.');
		_cleanup_free_ char *group = NULL;
		struct sandbox_policy p;
		struct err e = ERR_INIT;

		if (!dot || dot == de->d_name || !streq(dot, ".yaml"))
			continue;
		group = xstrndup(de->d_name, (size_t)(dot - de->d_name));
		n++;
		if (policy_load(d->cfg, group, &p, &e) < 0)
			line(d, false, "policy", e.msg, "");
	}
	if (dir)
		closedir(dir);
	if (n && d->bad == bad)
		line(d, true, "policy", path, "");
}

/* Who starts it after a reboot, and after a loop that hangs. */
static void check_service(struct doctor *d)
{
	static const char *const places[] = {"/etc/systemd/system/chela.service",
					     "/usr/local/lib/systemd/system/chela.service",
					     "/usr/lib/systemd/system/chela.service"};

	if (access("/run/systemd/system", F_OK) < 0) {
		line(d, true, "service",
		     "no systemd here: something else has to watch over the server", "");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (access(places[i], F_OK) == 0) {
			line(d, true, "service", places[i], "");
			return;
		}
	}
	line(d, true, "service", "chela.service is not installed (make install)", "");
}

static void check_clock(struct doctor *d)
{
	struct timex t = {0};
	int rc = adjtimex(&t);
	bool sane = time(NULL) > 1700000000;

	if (!sane)
		line(d, false, "clock", "the clock stands in the past",
		     "set it: timedatectl set-ntp true");
	else if (rc == TIME_ERROR)
		line(d, true, "clock",
		     "sane, but not synchronised (schedules follow it: timedatectl set-ntp true)",
		     "");
	else
		line(d, true, "clock", "synchronised", "");
}

static void check_key(struct doctor *d)
{
	const struct config *cfg = d->cfg;
	struct secret s = {0};
	struct err e = ERR_INIT;
	const char *file = cfg->model_key_file[0] ? cfg->model_key_file : cfg->model_oauth_file;
	const char *env = getenv("ANTHROPIC_API_KEY");
	const char *oauth = getenv("CLAUDE_CODE_OAUTH_TOKEN");
	const char *auth = getenv("ANTHROPIC_AUTH_TOKEN");

	if (env && env[0])
		line(d, true, "model", "key from ANTHROPIC_API_KEY", "");
	else if ((oauth && oauth[0]) || (auth && auth[0]))
		line(d, true, "model", "OAuth token from the environment", "");
	else if (!file[0])
		line(d, true, "model", "no key: the built-in demo model answers", "");
	else if (secret_load(&s, "model_key", file, &e) < 0)
		line(d, false, "model", e.msg, "");
	else
		line(d, true, "model", cfg->model_base_url, "");
	secret_free(&s);
}

/* The files that the channels need: what would keep the next start from working, also while a server runs. */
static void check_channel_files(struct doctor *d)
{
	struct err e = ERR_INIT;

	if (channels_check_files(d->cfg, &e) < 0)
		line(d, false, "channels", e.msg, "");
}

static bool take_status(void *ctx, const char *text, size_t n)
{
	struct err e = ERR_INIT;

	*(cJSON **)ctx = json_parse(text, n, JSON_MAX_DEFAULT, &e);
	return true;
}

static void check_channels(struct doctor *d, const cJSON *status)
{
	const cJSON *c, *note;

	cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(status, "channels"))
	{
		const char *state = json_peek_str(c, "state"), *why = json_peek_str(c, "reason");
		_cleanup_free_ char *words = xasprintf("%s: %s%s%s", json_peek_str(c, "name"),
						       state, why[0] ? ": " : "", why);

		line(d, streq(state, "up"), "channel", words, "");
		cJSON_ArrayForEach(note, cJSON_GetObjectItemCaseSensitive(c, "notes"))
		{
			guest_clean_line(note->valuestring);
			printf("     %-12s %s\n", "", note->valuestring);
		}
	}
}

#define SERVER_PATIENCE_MS 40000 /* it asks the engine in turn */

static void check_server(struct doctor *d)
{
	_cleanup_json_ cJSON *status = NULL;
	struct err e = ERR_INIT;
	int rc = ask_server(d->cfg->home, "{\"op\":\"status\"}\n", SERVER_PATIENCE_MS, take_status,
			    &status, &e);

	if (rc < 0 && e.code == E_TEMP)
		line(d, false, "server", e.msg, "look at its log, then restart it");
	else
		line(d, true, "server",
		     status ? "answers on its control socket" : "not running (chela serve)", "");
	if (status)
		check_channels(d, status);
}

int cmd_doctor(const struct cli *c)
{
	struct config cfg;
	struct err e = ERR_INIT;
	struct doctor d = {.cfg = &cfg};

	if (cli_no_more(c, "doctor", &e) < 0)
		return cli_fail(&e);
	if (cli_config(c, false, &cfg, &e) < 0) {
		line(&d, false, "config", e.msg, "");
		return 1;
	}
	line(&d, true, "config", cfg.file[0] ? cfg.file : "none: all defaults", "");
	check_engine(&d);
	check_home(&d);
	check_key(&d);
	check_channel_files(&d);
	check_policies(&d);
	check_growth(&d);
	check_clock(&d);
	check_zones(&d);
	check_starts(&d);
	check_backup(&d);
	check_service(&d);
	check_server(&d);
	printf("%s\n", d.bad ? "Some things need a hand." : "All is well.");
	return d.bad != 0;
}
