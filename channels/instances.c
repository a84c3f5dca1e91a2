// SPDX-License-Identifier: Apache-2.0
/* From the section `channels` of the configuration to instances; see registry.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/redact.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/registry.h"

static int configure(struct yaml_node *root, const struct config *cfg, struct channel *chans,
		     size_t *n, struct err *e)
{
	for (const struct channel_ops *const *ops = channel_registry; *ops; ops++) {
		char path[64];
		struct channel *c = &chans[*n];
		void *priv = NULL;

		if (*n == CHANNELS_MAX)
			return err_set(e, E_BUG, "more than %d channels", CHANNELS_MAX);
		snprintf(path, sizeof(path), "channels.%s", (*ops)->name);
		if ((*ops)->configure(yaml_at(root, path), cfg->home, &priv, e) < 0)
			return -1;
		if (!priv)
			continue;
		*c = (struct channel){.ops = *ops, .priv = priv, .cfg = cfg};
		(*n)++;
	}
	return 0;
}

int channels_configure(const struct config *cfg, struct channel chans[CHANNELS_MAX], size_t *n,
		       struct err *e)
{
	_cleanup_yaml_ struct yaml *y = NULL;
	struct yaml_node *section;

	*n = 0;
	y = cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
	if (!y)
		return -1;
	section = yaml_at(yaml_root(y), "channels");
	if (configure(yaml_root(y), cfg, chans, n, e) < 0 ||
	    (section && yaml_finish_at(section, e) < 0)) {
		channels_close(chans, n);
		return -1;
	}
	return 0;
}

int channels_check(const struct config *cfg, struct err *e)
{
	struct channel chans[CHANNELS_MAX];
	size_t n;

	if (channels_configure(cfg, chans, &n, e) < 0)
		return -1;
	channels_close(chans, &n);
	return 0;
}

static bool ends(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n >= t && streq(s + n - t, tail);
}

/* A bridge that Chela starts itself has its token made with it. */
static bool is_made(struct yaml_node *section)
{
	struct err e = ERR_INIT;
	const char *bridge;

	return yaml_str(section, "bridge", "", &bridge, &e) == 0 && streq(bridge, "local");
}

static int check_token(struct yaml_node *section, const struct channel_ops *ops, const char *key,
		       const char *file, struct err *e)
{
	struct secret s = {0};
	int rc = secret_load(&s, ops->name, file, e);

	if (rc < 0 && e->code == E_GONE && is_made(section)) {
		*e = (struct err)ERR_INIT;
		return 0;
	}
	if (rc == 0 && ops->check_secret && ops->check_secret(key, s.value, e) < 0) {
		_cleanup_free_ char *why = xstrdup(e->msg);

		rc = err_set(e, E_INVAL, "%.400s %s", file, why);
	}
	secret_free(&s);
	return rc;
}

/* Puts file, line and key before the message. Where that would cut off the fix, paths beneath home lose it: it is told already. */
static int tell(struct yaml_node *n, const char *home, struct err *e)
{
	_cleanup_free_ char *why = xstrdup(e->msg);
	size_t len = strlen(home);

	yaml_fail(n, e, "%s", why);
	if (strlen(e->msg) < sizeof(e->msg) - 1)
		return -1;
	for (char *p; (p = strstr(why, home)) && p[len] == '/';)
		memmove(p, p + len + 1, strlen(p + len + 1) + 1);
	return yaml_fail(n, e, "%s", why);
}

static int check_section(struct yaml_node *section, const struct channel_ops *ops, const char *home,
			 struct err *e)
{
	for (size_t i = 0; i < yaml_len(section); i++) {
		const char *key = yaml_key(section, i);
		char file[PATH_CAP];
		int rc = 0;

		if (!ends(key, "token_file") && !ends(key, "ca_file"))
			continue;
		if (yaml_path(section, key, "", home, file, sizeof(file), e) < 0)
			return -1;
		if (file[0] && ends(key, "token_file"))
			rc = check_token(section, ops, key, file, e);
		else if (file[0] && access(file, R_OK) < 0)
			rc = err_sys(e, errno, "cannot read %s", file);
		if (rc < 0)
			return tell(yaml_at(section, key), home, e);
	}
	return 0;
}

int channels_check_files(const struct config *cfg, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = NULL;
	struct channel chans[CHANNELS_MAX];
	size_t n;
	int rc = 0;

	if (channels_configure(cfg, chans, &n, e) < 0)
		return -1;
	y = cfg->file[0] ? yaml_load(cfg->file, e) : NULL;
	if (cfg->file[0] && !y)
		rc = -1;
	for (size_t i = 0; y && i < n && rc == 0; i++) {
		char path[64];

		snprintf(path, sizeof(path), "channels.%s", chans[i].ops->name);
		rc = check_section(yaml_at(yaml_root(y), path), chans[i].ops, cfg->home, e);
	}
	channels_close(chans, &n);
	return rc;
}

void channels_close(struct channel *chans, size_t *n)
{
	while (*n) {
		struct channel *c = &chans[--*n];

		c->ops->close(c);
	}
}
