// SPDX-License-Identifier: Apache-2.0
/* See serve_settings.h. */
#include "admin/serve_settings.h"
#include "base/yaml.h"

#define MIB ((int64_t)1 << 20)

static int read_log(const struct config *cfg, struct yaml_node *r, struct serve_settings *out,
		    struct err *e)
{
	struct yaml_node *section = yaml_at(r, "log");
	const char *level; /* checked where it is read (policy/config.c) */

	if (yaml_str(r, "log.level", "", &level, e) < 0 ||
	    yaml_path(r, "log.file", "", cfg->home, out->log_file, PATH_CAP, e) < 0 ||
	    yaml_size(r, "log.max_size", 20 * MIB, 64 << 10, 1024 * MIB, &out->log_max, e) < 0 ||
	    yaml_i64(r, "log.keep", 5, 0, 100, &out->log_keep, e) < 0)
		return -1;
	return section ? yaml_finish_at(section, e) : 0;
}

int serve_settings_load(const struct config *cfg, struct serve_settings *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
	struct yaml_node *r, *section;

	*out = (struct serve_settings){0};
	if (!y)
		return -1;
	r = yaml_root(y);
	section = yaml_at(r, "serve");
	if (yaml_duration(r, "serve.drain", 10000, 0, 600000, &out->drain_ms, e) < 0 ||
	    yaml_i64(r, "serve.crash_max", 5, 0, 31, &out->crash_max, e) < 0 ||
	    yaml_duration(r, "serve.crash_wait", 30000, 100, 15 * 60000, &out->crash_wait_ms, e) <
		    0 ||
	    (section && yaml_finish_at(section, e) < 0))
		return -1;
	return read_log(cfg, r, out, e);
}
