// SPDX-License-Identifier: Apache-2.0
/* The sections `serve:` and `log:` of the configuration (log.level is read with the rest, policy/config.h): how the server starts, stops and writes its log. */
#ifndef CHELA_ADMIN_SERVE_SETTINGS_H
#define CHELA_ADMIN_SERVE_SETTINGS_H
#include "policy/config.h"

struct serve_settings {
	int64_t drain_ms; /* what a stop gives the running turns */
	int64_t crash_max; /* more crashes than this within 10 minutes: starts are spaced; 0 = never */
	int64_t crash_wait_ms;	 /* the first space; it doubles, up to 15 minutes */
	char log_file[PATH_CAP]; /* "" = standard error */
	int64_t log_max, log_keep;
};
/* Strict, as config_load. */
int serve_settings_load(const struct config *cfg, struct serve_settings *out,
			struct err *e) must_check;

#endif
