// SPDX-License-Identifier: Apache-2.0
/* Words of the command line; see cli.h. */
#include "admin/cli.h"
#include "admin/serve_settings.h"
#include <stdio.h>
#include <string.h>
#include "base/guest_log.h"
#include "base/redact.h"
#include "base/str.h"
#include "channels/registry.h"
#include "router/people.h"
#include "router/retention.h"
#include "router/settings.h"

int cli_fail(const struct err *e)
{
	_cleanup_(buf_free) struct buf text = {0};

	redact(&text, e->msg, strlen(e->msg));
	if (text.p)
		guest_clean_line(text.p);
	fprintf(stderr, "chela: %s\n", text.p ? text.p : "failed");
	return e->code == E_INVAL ? 2 : 1;
}

/* A command that only looks must not make a home out of a folder that was named by mistake. */
static int check_home(const char *home, struct err *e)
{
	_cleanup_free_ char *instance = xasprintf("%s/instance", home);
	_cleanup_free_ char *config = xasprintf("%s/config", home);

	if (access(instance, F_OK) == 0 || access(config, F_OK) == 0)
		return 0;
	return err_set(
		e, E_INVAL,
		"%.100s is no home of chela: name one with --home or CHELA_HOME, or make this "
		"one by a first start (chela serve)",
		home);
}

int cli_config(const struct cli *c, bool make_home, struct config *cfg, struct err *e)
{
	const char *url = getenv("ANTHROPIC_BASE_URL");
	struct files_settings files;
	struct people_settings people;
	struct serve_settings serve;
	struct retention_settings keep;

	if (!make_home && check_home(c->home, e) < 0)
		return -1;
	if (config_load(cfg, c->home, c->config, e) < 0 || channels_check(cfg, e) < 0 ||
	    settings_check(cfg, e) < 0 || serve_settings_load(cfg, &serve, e) < 0 ||
	    people_settings_load(cfg, &people, e) < 0 ||
	    retention_settings_load(cfg, &keep, e) < 0 || files_settings_load(cfg, &files, e) < 0)
		return -1;
	files_settings_free(&files);
	if (!url || !url[0])
		return 0;
	if (config_check_base_url(url, e) < 0)
		return err_wrap(e, "reading ANTHROPIC_BASE_URL");
	if (!str_copy(cfg->model_base_url, sizeof(cfg->model_base_url), url))
		return err_set(e, E_INVAL, "ANTHROPIC_BASE_URL is longer than %zu bytes",
			       sizeof(cfg->model_base_url) - 1);
	return 0;
}

bool cli_flag(struct cli *c, const char *name)
{
	for (int i = 0; i < c->argc; i++) {
		if (!streq(c->argv[i], name))
			continue;
		memmove(&c->argv[i], &c->argv[i + 1], (size_t)(c->argc - i) * sizeof(char *));
		c->argc--;
		return true;
	}
	return false;
}

const char *cli_value(struct cli *c, const char *name)
{
	for (int i = 0; i + 1 < c->argc; i++) {
		const char *v;

		if (!streq(c->argv[i], name))
			continue;
		v = c->argv[i + 1];
		memmove(&c->argv[i], &c->argv[i + 2], (size_t)(c->argc - i - 1) * sizeof(char *));
		c->argc -= 2;
		return v;
	}
	return NULL;
}

int cli_no_more(const struct cli *c, const char *usage, struct err *e)
{
	if (c->argc == 0)
		return 0;
	return err_set(e, E_INVAL, "\"%.60s\" was not understood; usage: chela %s", c->argv[0],
		       usage);
}
