// SPDX-License-Identifier: Apache-2.0
/*
 * The front: store, router, channels, door, gateway and control socket on one loop. Wiring only. It runs without the engine's
 * socket (warden/powers.h) and ends with FRONT_RESTART when it cannot go on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "admin/control.h"
#include "base/log.h"
#include "base/pages.h"
#include "base/str.h"
#include "channels/registry.h"
#include "serve.h"
#include "warden/powers.h"

struct front {
	const struct config *cfg;
	struct loop *loop;
	struct store *store;
	struct router *router;
	struct control *control;
	struct secret key, oauth;
	struct sigwatch *term, *usr1;
	int status;
};

static void on_fatal(void *ctx, const struct err *why)
{
	struct front *f = ctx;

	(void)why; /* logged by the router */
	f->status = FRONT_RESTART;
	loop_stop(f->loop);
}

static void on_signal(void *ctx, int signo)
{
	struct front *f = ctx;

	if (signo == SIGUSR1) {
		log_set_level(log_get_level() == LOG_DEBUG ? LOG_INFO : LOG_DEBUG);
		return;
	}
	log_info("serve", "stopping", "signal=%d", signo);
	loop_stop(f->loop);
}

/* The environment outranks the config's files, so that one run with another key needs no edit. */
static int load_secrets(struct front *f, struct err *e)
{
	const struct config *cfg = f->cfg;
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
	_cleanup_free_ char *file = xasprintf("%s/chela.db", f->cfg->home);

	f->store = store_open(file, &clock_system, e);
	return f->store ? 0 : -1;
}

static int wire(struct front *f, int warden_fd, struct err *e)
{
	struct router_opts r = {
		.clk = &clock_system,
		.cfg = f->cfg,
		.warden_fd = warden_fd,
		.fatal = on_fatal,
		.ctx = f,
	};
	struct control_opts c = {
		.clk = &clock_system,
		.cfg = f->cfg,
		.started_ms = clock_wall(&clock_system),
	};

	if (load_secrets(f, e) < 0 || channels_check_files(f->cfg, e) < 0 || open_store(f, e) < 0)
		return -1;
	f->loop = loop_new(e);
	if (!f->loop)
		return -1;
	f->term = sigwatch_new(f->loop, SIGTERM, on_signal, f);
	f->usr1 = sigwatch_new(f->loop, SIGUSR1, on_signal, f);
	r.loop = c.loop = f->loop;
	r.store = c.store = f->store;
	r.key = f->key.value ? &f->key : NULL;
	r.oauth = f->oauth.value ? &f->oauth : NULL;
	f->router = c.router = router_new(&r, e);
	if (!f->router)
		return -1;
	f->control = control_new(&c, e);
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
	if (f->router)
		router_free(f->router);
	if (f->loop) {
		sigwatch_free(f->term);
		sigwatch_free(f->usr1);
		loop_free(f->loop);
	}
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

int front_run(const struct config *cfg, int warden_fd, int ready_fd)
{
	struct front f = {.cfg = cfg};
	struct err e = ERR_INIT;

	front_drop_powers(cfg);
	if (wire(&f, warden_fd, &e) < 0) {
		f.status = 1;
		cli_fail(&e);
	} else {
		log_info("serve", "ready", "version=%s home=%s model=%s", CHELA_VERSION, cfg->home,
			 router_is_demo(f.router) ? "demo" : cfg->model_base_url);
		tell_ready(ready_fd);
		pages_give_back();
		loop_run(f.loop);
	}
	unwire(&f);
	return f.status;
}
