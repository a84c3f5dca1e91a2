// SPDX-License-Identifier: Apache-2.0
/*
 * The front: store, router, channels, door, gateway and control socket on one loop. Wiring only. It runs without the engine's
 * socket (warden/powers.h) and ends with FRONT_RESTART when it cannot go on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "admin/command.h"
#include "admin/reload.h"
#include "admin/serve_settings.h"
#include "base/log.h"
#include "base/pages.h"
#include "base/str.h"
#include "channels/registry.h"
#include "serve.h"
#include "warden/powers.h"

#define FAREWELL_MS 200 /* for the answer of the command that ends us */

struct front {
	struct config cfg; /* ours: a reload writes to it */
	struct serve_settings set;
	const struct notify *notify;
	struct loop *loop;
	struct store *store;
	struct router *router;
	struct control *control;
	struct control_opts control_opts;
	struct reload *reload;
	struct secret key, oauth;
	struct sigwatch *sigs[4];
	struct timer *watchdog, *farewell;
	bool stopping;
	int status;
};

/* --- the end ------------------------------------------------------------------------------ */

static void on_fatal(void *ctx, const struct err *why)
{
	struct front *f = ctx;

	(void)why; /* logged by the router */
	f->status = FRONT_RESTART;
	loop_stop(f->loop);
}

static void on_drained(void *ctx)
{
	struct front *f = ctx;

	loop_stop(f->loop);
}

/* Turns that run may end; what cannot in time is handed in again at the next start. */
static void stop_softly(void *ctx)
{
	struct front *f = ctx;

	if (f->stopping)
		return;
	f->stopping = true;
	notify_send(f->notify, "STOPPING=1\nSTATUS=waits for the turns that run");
	router_drain(f->router, f->set.drain_ms, on_drained, f);
}

static void on_restart(void *ctx)
{
	struct front *f = ctx;

	if (f->stopping)
		return;
	f->status = FRONT_RENEW;
	timer_start(f->farewell, FAREWELL_MS, 0);
}

static int may_restart(void *ctx, struct err *e)
{
	struct front *f = ctx;

	return reload_check(f->reload, e);
}

/* --- the configuration, anew --------------------------------------------------------------- */

static int do_reload(void *ctx, struct buf *said, struct err *e)
{
	struct front *f = ctx;
	struct serve_settings set;

	notify_reloading(f->notify);
	if (reload_do(f->reload, f->router, said, e) < 0) {
		err_wrap(e, "nothing was changed");
		notify_send(f->notify, "READY=1\nSTATUS=the configuration on the disk is wrong: %s",
			    e->msg);
		return -1;
	}
	if (serve_settings_load(&f->cfg, &set, e) == 0)
		f->set.drain_ms = set.drain_ms;
	notify_send(f->notify, "READY=1\nSTATUS=running");
	return 0;
}

static void reload_by_signal(struct front *f)
{
	_cleanup_(buf_free) struct buf said = {0};
	struct err e = ERR_INIT;

	if (do_reload(f, &said, &e) < 0)
		log_error("serve", "reload refused", "err=\"%s\"", e.msg);
	else
		log_info("serve", "reloaded", "said=\"%s\"", said.p);
}

static void on_signal(void *ctx, int signo)
{
	struct front *f = ctx;

	if (signo == SIGUSR1) {
		log_set_level(log_get_level() == LOG_DEBUG ? LOG_INFO : LOG_DEBUG);
		return;
	}
	if (signo == SIGHUP) {
		if (!f->stopping)
			reload_by_signal(f);
		return;
	}
	log_info("serve", "stopping", "signal=%d%s", signo,
		 f->stopping || signo == FRONT_NOW ? " at_once=1" : "");
	if (f->stopping || signo == FRONT_NOW)
		loop_stop(f->loop);
	else
		stop_softly(f);
}

static void on_watchdog(void *ctx)
{
	const struct front *f = ctx;

	notify_send(f->notify, "WATCHDOG=1");
}

/* --- wiring ------------------------------------------------------------------------------- */

/* The environment outranks the config's files, so that one run with another key needs no edit. */
static int load_secrets(struct front *f, struct err *e)
{
	const struct config *cfg = &f->cfg;
	const char *key = getenv("ANTHROPIC_API_KEY");
	const char *oauth = getenv("CLAUDE_CODE_OAUTH_TOKEN");
	int rc = 0;

	if (!oauth || !oauth[0])
		oauth = getenv("ANTHROPIC_AUTH_TOKEN");
	if (key && key[0])
		return secret_set(&f->key, "anthropic_key", key, e);
	if (oauth && oauth[0])
		return secret_set(&f->oauth, "anthropic_oauth", oauth, e);
	if (cfg->model_key_file[0])
		rc = secret_load(&f->key, "anthropic_key", cfg->model_key_file, e);
	else if (cfg->model_oauth_file[0])
		rc = secret_load(&f->oauth, "anthropic_oauth", cfg->model_oauth_file, e);
	if (rc < 0)
		err_wrap(e, "reading model.%s (%s)",
			 cfg->model_key_file[0] ? "key_file" : "oauth_token_file", cfg->file);
	return rc;
}

static int open_store(struct front *f, struct err *e)
{
	_cleanup_free_ char *file = xasprintf("%s/chela.db", f->cfg.home);

	f->store = store_open(file, &clock_system, e);
	return f->store ? 0 : -1;
}

static int open_loop(struct front *f, struct err *e)
{
	static const int signals[] = {SIGTERM, SIGHUP, SIGUSR1, FRONT_NOW};

	f->loop = loop_new(e);
	if (!f->loop)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(f->sigs); i++)
		f->sigs[i] = sigwatch_new(f->loop, signals[i], on_signal, f);
	f->watchdog = timer_new(f->loop, "service manager's watchdog", on_watchdog, f);
	f->farewell = timer_new(f->loop, "farewell", stop_softly, f);
	if (f->notify->watchdog_ms)
		timer_start(f->watchdog, 0, f->notify->watchdog_ms);
	return 0;
}

static int wire(struct front *f, int warden_fd, struct err *e)
{
	struct router_opts r = {
		.clk = &clock_system,
		.cfg = &f->cfg,
		.warden_fd = warden_fd,
		.fatal = on_fatal,
		.ctx = f,
	};
	struct control_opts *c = &f->control_opts;

	*c = (struct control_opts){
		.clk = &clock_system,
		.cfg = &f->cfg,
		.started_ms = clock_wall(&clock_system),
		.restart = on_restart,
		.may_restart = may_restart,
		.reload = do_reload,
		.ctx = f,
		.commands = commands_new(),
	};
	r.commands = &command_router;
	r.commands_ctx = c;
	f->reload = reload_new(&f->cfg, e);
	if (!f->reload || serve_settings_load(&f->cfg, &f->set, e) < 0 || load_secrets(f, e) < 0 ||
	    channels_check_files(&f->cfg, e) < 0 || open_store(f, e) < 0 || open_loop(f, e) < 0)
		return -1;
	r.loop = c->loop = f->loop;
	r.store = c->store = f->store;
	r.key = f->key.value ? &f->key : NULL;
	r.oauth = f->oauth.value ? &f->oauth : NULL;
	f->router = c->router = router_new(&r, e);
	if (!f->router)
		return -1;
	f->control = control_new(c, e);
	return f->control ? 0 : -1;
}

static void unwire(struct front *f)
{
	struct err e = ERR_INIT;

	/* Whoever waits for a commit is told while the clients are still there. */
	if (f->store && f->status != FRONT_RESTART && store_commit(f->store, &e) < 0)
		log_error("serve", "commit at the end failed", "err=\"%s\"", e.msg);
	if (f->control)
		control_free(f->control);
	commands_free(f->control_opts.commands);
	if (f->router)
		router_free(f->router);
	if (f->loop) {
		for (size_t i = 0; i < ARRAY_LEN(f->sigs); i++)
			sigwatch_free(f->sigs[i]);
		timer_free(f->watchdog);
		timer_free(f->farewell);
		loop_free(f->loop);
	}
	reload_free(f->reload);
	store_close(f->store);
	secret_free(&f->key);
	secret_free(&f->oauth);
}

static void tell_ready(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "\n", 1) != 1)
		log_warn("serve", "nobody waits for readiness", "errno=%d", errno);
	close(fd);
}

int front_run(const struct config *cfg, const struct front_start *st)
{
	struct front f = {.cfg = *cfg, .notify = st->notify};
	struct err e = ERR_INIT;

	front_drop_powers(cfg);
	log_keep();
	if (wire(&f, st->warden_fd, &e) < 0) {
		f.status = 1;
		notify_send(st->notify, "STATUS=cannot start: %s", e.msg);
		cli_fail(&e);
	} else {
		log_info("serve", "ready", "version=%s home=%s model=%s", CHELA_VERSION, cfg->home,
			 router_is_demo(f.router) ? "demo" : cfg->model_base_url);
		if (st->told[0])
			router_tell_main(f.router, st->told);
		tell_ready(st->ready_fd);
		notify_send(st->notify, "READY=1\nSTATUS=running");
		pages_give_back();
		loop_run(f.loop);
	}
	unwire(&f);
	return f.status;
}
