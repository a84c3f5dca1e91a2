// SPDX-License-Identifier: Apache-2.0
/*
 * The bridge as a child process (`bridge: local`): found beside the program or in the source tree, given the token by its environment,
 * asked for its port by the one line that it prints. When it dies the channel is down, and the core's back-off starts it again. It
 * must never live longer than we do, nor see anything of our environment but what is named here.
 */
#include <errno.h>
#include <fcntl.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

#define LINE_MAX_BYTES 4096

/* PROTOCOL.md, section 1: what a status of its own means, and whether a person has to act. */
static const struct {
	int status;
	enum channel_state st;
	const char *words;
} ends[] = {
	{2, CHANNEL_STUCK, "the bridge ended (status 2: wrong settings); its log says why"},
	{3, CHANNEL_DOWN,
	 "the bridge ended (status 3: another bridge uses channels.whatsapp.auth_dir)"},
	{4, CHANNEL_STUCK, "the bridge's packages are missing; run: make bridge"},
	{5, CHANNEL_STUCK,
	 "channels.whatsapp.node is a Node.js that is too old, the bridge needs 20; run: make "
	 "bridge, and set it to what that names"},
};

static void on_child_exit(void *ctx, int code, int signo)
{
	struct whatsapp *w = ctx;
	char reason[200];

	wa_bridge_stop(w);
	for (size_t i = 0; !signo && i < ARRAY_LEN(ends); i++) {
		if (ends[i].status == code) {
			wa_lost(w, ends[i].st, ends[i].words, 0);
			return;
		}
	}
	if (signo)
		snprintf(reason, sizeof(reason), "the bridge was ended by signal %d", signo);
	else
		snprintf(reason, sizeof(reason), "the bridge ended (status %d); its log says why",
			 code);
	wa_lost(w, CHANNEL_DOWN, reason, 0);
}

static void take_line(struct whatsapp *w)
{
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *j = json_parse(w->proc_line.p, w->proc_line.len, LINE_MAX_BYTES, &e);
	int64_t port = j ? json_peek_i64(j, "port", 0) : 0;

	watch_set(w->proc_watch, 0);
	if (port < 1 || port > 65535) {
		wa_bridge_stop(w);
		wa_lost(w, CHANNEL_STUCK, "the bridge did not say where it listens; is it ours?",
			0);
		return;
	}
	snprintf(w->url, sizeof(w->url), "ws://127.0.0.1:%d/", (int)port);
	wa_dial(w);
}

static void on_output(void *ctx, int events maybe_unused)
{
	struct whatsapp *w = ctx;
	char p[512];
	ssize_t n = read(w->proc_out, p, sizeof(p));
	struct err e = ERR_INIT;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || buf_add(&w->proc_line, p, (size_t)n, &e) < 0) {
		watch_set(w->proc_watch, 0); /* its end comes by on_child_exit, or the deadline */
		return;
	}
	if (memchr(w->proc_line.p, '\n', w->proc_line.len))
		take_line(w);
}

/* Where bridge.mjs lies: PREFIX/share/chela/bridge of an installed program, else the source tree that it was built in. */
static int find_script(char *path, size_t cap, struct err *e)
{
	static const char *const places[] = {"/../share/chela/bridge/bridge.mjs",
					     "/../../channels/whatsapp/bridge/bridge.mjs"};
	char exe[PATH_CAP];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return err_sys(e, errno, "cannot read /proc/self/exe");
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if ((size_t)snprintf(path, cap, "%s%s", exe, places[i]) < cap &&
		    access(path, R_OK) == 0)
			return 0;
	}
	return err_set(e, E_GONE, "the bridge (bridge.mjs) is not installed; fix: make bridge");
}

static void add_env(char **env, size_t *n, const char *name, const char *value)
{
	if (value)
		env[(*n)++] = xasprintf("%s=%s", name, value);
}

static struct proc *spawn(struct whatsapp *w, const char *script, int in, int out, struct err *e)
{
	/* The last three are for tests of the bridge itself; the rest is what Node needs. */
	static const char *const passed[] = {
		"PATH",		  "HOME",	   "NODE_EXTRA_CA_CERTS", "CHELA_WA_SOCKET",
		"CHELA_WA_SPEED", "CHELA_WA_SPOOL"};
	const char *const argv[] = {w->node, script, "--dir", w->auth_dir, "--supervised", NULL};
	char *env[ARRAY_LEN(passed) + 3] = {0};
	struct proc_spec s = {
		.argv = argv, .env = (const char *const *)env, .fds = {in, out, 2}, .gentle = true};
	struct err why = ERR_INIT;
	struct proc *p;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(passed); i++)
		add_env(env, &n, passed[i], getenv(passed[i]));
	add_env(env, &n, "LANG", "C.UTF-8");
	add_env(env, &n, "CHELA_WA_TOKEN", w->token.value);
	p = proc_spawn(w->c->loop, "whatsapp bridge", &s, on_child_exit, w, &why);
	explicit_bzero(env[n - 1], strlen(env[n - 1]));
	while (n)
		free(env[--n]);
	if (!p && str_starts(why.msg, "cannot start ")) /* not "cannot fork" */
		err_set(e, why.code,
			"channels.whatsapp.node: %.160s; set it to Node.js 20 or newer (make "
			"bridge)",
			why.msg);
	else if (!p)
		*e = why;
	return p;
}

int wa_bridge_start(struct whatsapp *w, struct err *e)
{
	char script[PATH_CAP + 64];
	int in[2] = {-1, -1}, out[2] = {-1, -1};

	if (find_script(script, sizeof(script), e) < 0)
		return -1;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		err_sys(e, errno, "cannot make a pipe");
	} else {
		w->proc = spawn(w, script, in[0], out[1], e);
		w->proc_in = steal_fd(&in[1]);
		w->proc_out = steal_fd(&out[0]);
	}
	for (int i = 0; i < 2; i++) {
		cleanup_close_p(&in[i]);
		cleanup_close_p(&out[i]);
	}
	if (!w->proc) {
		wa_bridge_stop(w);
		return -1;
	}
	buf_init(&w->proc_line, LINE_MAX_BYTES);
	w->proc_watch = watch_new(w->c->loop, "whatsapp bridge", w->proc_out, on_output, w);
	watch_set(w->proc_watch, WATCH_READ);
	log_info("whatsapp", "bridge started", "pid=%d", (int)proc_pid(w->proc));
	return 0;
}

void wa_bridge_stop(struct whatsapp *w)
{
	watch_free(steal_ptr(&w->proc_watch));
	cleanup_close_p(&w->proc_out);
	cleanup_close_p(&w->proc_in); /* it ends with its standard input */
	w->proc_in = w->proc_out = -1;
	if (w->proc)
		proc_free(steal_ptr(&w->proc));
	buf_free(&w->proc_line);
}
