// SPDX-License-Identifier: Apache-2.0
/*
 * Reads config/chela.yaml into struct config. It exists so that a wrong setting is found at start,
 * with file, line, key and fix, and not in the middle of somebody's conversation. It must never
 * hold a secret (only the names of files that do) and never guess: what it does not know it refuses.
 */
#include "policy/config.h"
#include <errno.h>
#include <string.h>
#include "base/str.h"
#include "base/yaml.h"
#include "policy/policy_impl.h"
#include "runtime/home.h"

#define MINUTE_MS ((int64_t)60 * 1000)
#define DAY_MS	  (24 * 60 * MINUTE_MS)

static const char DEFAULT_BASE_URL[] = "https://api.anthropic.com";
static const char DEFAULT_ENGINE[] = "/var/run/docker.sock";

static bool is_loopback(const char *host, size_t n)
{
	static const char *const names[] = {"localhost", "[::1]", "127.0.0.1", NULL};

	for (size_t i = 0; names[i]; i++)
		if (strlen(names[i]) == n && !strncasecmp(names[i], host, n))
			return true;
	return false;
}

int config_check_base_url(const char *url, struct err *e)
{
	bool tls = str_starts(url, "https://");
	const char *host = url + (tls ? 8 : 7);
	size_t auth, n;

	if (!tls && !str_starts(url, "http://"))
		return err_set(e, E_INVAL,
			       "must start with https:// (or http:// for this machine)");
	auth = strcspn(host, "/");
	if (memchr(host, '@', auth) || strpbrk(host, " ?#\\\""))
		return err_set(e, E_INVAL,
			       "must be a plain URL: no user name, no '?', no '#', no spaces");
	n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	if (!n || n > auth)
		return err_set(e, E_INVAL, "has no host name");
	if (!tls && !is_loopback(host, n))
		return err_set(
			e, E_INVAL,
			"plain http:// would send the key unencrypted; use https:// (http:// is "
			"only for 127.0.0.1, [::1] and localhost)");
	return 0;
}

static int read_model(struct config *c, struct yaml_node *r, struct err *e)
{
	struct err why = ERR_INIT;

	if (yaml_text(r, "model.base_url", DEFAULT_BASE_URL, c->model_base_url,
		      sizeof(c->model_base_url), e) < 0 ||
	    yaml_path(r, "model.key_file", "", c->home, c->model_key_file, PATH_CAP, e) < 0 ||
	    yaml_path(r, "model.oauth_token_file", "", c->home, c->model_oauth_file, PATH_CAP, e) <
		    0 ||
	    yaml_path(r, "model.ca_file", "", c->home, c->model_ca_file, PATH_CAP, e) < 0 ||
	    yaml_text(r, "model.name", "", c->model_name, sizeof(c->model_name), e) < 0 ||
	    yaml_i64(r, "model.retries", 6, 0, 20, &c->model_retries, e) < 0)
		return -1;
	if (config_check_base_url(c->model_base_url, &why) < 0)
		return yaml_fail(yaml_at(r, "model.base_url"), e, "%s", why.msg);
	if (c->model_key_file[0] && c->model_oauth_file[0])
		return yaml_fail(yaml_at(r, "model.oauth_token_file"), e,
				 "has no effect beside model.key_file; remove one of the two");
	if (c->model_ca_file[0] && !str_starts(c->model_base_url, "https://"))
		return yaml_fail(
			yaml_at(r, "model.ca_file"), e,
			"has no effect with an http:// base_url; remove it or use https://");
	if (!model_name_ok(c->model_name))
		return yaml_fail(
			yaml_at(r, "model.name"), e,
			"only letters, digits and . _ - [ ] are allowed in a model's name");
	return 0;
}

static int read_sandbox(struct config *c, struct yaml_node *r, struct err *e)
{
	const char *engine;

	if (yaml_str(r, "sandbox.engine", DEFAULT_ENGINE, &engine, e) < 0)
		return -1;
	if (str_starts(engine, "unix://"))
		engine += 7;
	if (engine[0] != '/')
		return yaml_fail(
			yaml_at(r, "sandbox.engine"), e,
			"must be the absolute path of the Docker engine's unix socket, such as %s",
			DEFAULT_ENGINE);
	if (!str_copy(c->engine_socket, sizeof(c->engine_socket), engine))
		return yaml_fail(yaml_at(r, "sandbox.engine"), e,
				 "too long for a unix socket (at most 107 bytes)");
	if (yaml_path(r, "sandbox.image_lock", "build/image/image.lock", c->home, c->image_lock,
		      PATH_CAP, e) < 0 ||
	    yaml_duration(r, "sandbox.idle_stop", 15 * MINUTE_MS, 1000, 7 * DAY_MS,
			  &c->idle_stop_ms, e) < 0 ||
	    yaml_i64(r, "sandbox.max_live", 8, 1, 256, &c->max_live, e) < 0 ||
	    yaml_duration(r, "sandbox.turn_timeout", 30 * MINUTE_MS, 1000, DAY_MS, &c->turn_ms, e) <
		    0 ||
	    yaml_duration(r, "sandbox.start_timeout", MINUTE_MS, 1000, 60 * MINUTE_MS, &c->start_ms,
			  e) < 0)
		return -1;
	if (!c->image_lock[0])
		return yaml_fail(yaml_at(r, "sandbox.image_lock"), e,
				 "must name the lock file that `make image` writes");
	return 0;
}

int config_read(struct config *c, struct yaml *y, struct err *e)
{
	struct yaml_node *r = yaml_root(y);
	/* Their owners read these: channels/registry.c, the router and main. log: but its level, here */
	static const char *const elsewhere[] = {"channels",  "files", "people", "groups",
						"retention", "serve", "log"};
	static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
	int level;

	if (yaml_text(r, "assistant", "Chela", c->assistant, sizeof(c->assistant), e) < 0 ||
	    yaml_word(r, "log.level", levels, LOG_INFO, &level, e) < 0)
		return -1;
	c->log_level = (enum log_level)level;
	if (!c->assistant[0])
		return yaml_fail(yaml_at(r, "assistant"), e, "the assistant needs a name");
	if (read_model(c, r, e) < 0 || read_sandbox(c, r, e) < 0)
		return -1;
	if (yaml_i64(r, "router.tries", 3, 1, 20, &c->tries, e) < 0 ||
	    yaml_duration(r, "router.delayed_notice", 20 * 1000, 1000, 60 * MINUTE_MS,
			  &c->delayed_notice_ms, e) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++)
		yaml_leave(r, elsewhere[i]);
	return yaml_finish(y, e);
}

static int read_file(struct config *c, const char *file, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = NULL;
	struct err why = ERR_INIT;

	if (file && !str_copy(c->file, sizeof(c->file), file))
		return err_set(e, E_INVAL, "the path of the config file is too long");
	if (!file &&
	    (size_t)snprintf(c->file, PATH_CAP, "%s/config/chela.yaml", c->home) >= PATH_CAP)
		return err_set(e, E_INVAL, "the path of the home folder is too long: %.100s",
			       c->home);
	y = yaml_load(c->file, &why);
	if (!y && !file && why.code == E_GONE) {
		c->file[0] = '\0';
		y = yaml_parse("{}", 2, "defaults", &why);
	}
	if (!y) {
		*e = why;
		return -1;
	}
	return config_read(c, y, e);
}

int config_load(struct config *c, const char *home, const char *file, struct err *e)
{
	char here[PATH_CAP];

	memset(c, 0, sizeof(*c));
	if (home[0] != '/' && !getcwd(here, sizeof(here)))
		return err_sys(e, errno, "cannot tell the current folder");
	if (home[0] == '/' || streq(home, ".") || streq(home, "./")) {
		if (!str_copy(c->home, PATH_CAP, home[0] == '/' ? home : here))
			return err_set(e, E_INVAL, "the path of the home folder is too long");
	} else if ((size_t)snprintf(c->home, PATH_CAP, "%s/%s", here, home) >= PATH_CAP) {
		return err_set(e, E_INVAL, "the path of the home folder is too long");
	}
	for (size_t n = strlen(c->home); n > 1 && c->home[n - 1] == '/'; n--)
		c->home[n - 1] = '\0';
	if (read_file(c, file, e) < 0 || policy_load_default(c, &c->sandbox, e) < 0)
		return -1;
	return home_prepare(c->home, c->instance, e);
}
