// SPDX-License-Identifier: Apache-2.0
/*
 * The operator's configuration, config/chela.yaml, as one checked struct. Strict: an unknown key,
 * a wrong type or an ineffective setting refuses to start with file, line, key and fix. Secrets
 * are named here by file, never held here. Environment (main reads it, not this file): CHELA_HOME, CHELA_CONFIG,
 * ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, CLAUDE_CODE_OAUTH_TOKEN, ANTHROPIC_BASE_URL.
 */
#ifndef CHELA_POLICY_CONFIG_H
#define CHELA_POLICY_CONFIG_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#define PATH_CAP 1024

struct sandbox_policy {
	char runtime[32];     /* Docker runtime name; "runc" by default */
	int64_t memory_bytes; /* 1 GiB; no swap */
	double cpus;	      /* 1.0 */
	int64_t pids;	      /* 256 */
	int64_t tmp_bytes;    /* size of the tmpfs on /tmp: 256 MiB */
};

struct config {
	char home[PATH_CAP]; /* state folder, absolute */
	char file[PATH_CAP]; /* the config file read, "" when none was there (defaults) */
	char instance[37];   /* UUID of this install: <home>/instance, made at first start */
	char assistant[64];  /* name: "Chela" */
	enum log_level log_level;
	/* model: */
	char model_base_url[512];
	char model_key_file[PATH_CAP];	 /* "" = none */
	char model_oauth_file[PATH_CAP]; /* "" = none */
	char model_ca_file[PATH_CAP];	 /* "" = none */
	char model_name[64];		 /* "" = the agent's default */
	int64_t model_retries;		 /* of a call that failed for now: 6 */
	/* sandbox: */
	char engine_socket[108];   /* /var/run/docker.sock */
	char image_lock[PATH_CAP]; /* <home>/build/image/image.lock */
	struct sandbox_policy
		sandbox; /* defaults for groups; config/policy.default.yaml, narrowed per group */
	int64_t idle_stop_ms; /* 15 min */
	int64_t max_live;     /* sandboxes at once: 8 */
	int64_t turn_ms;      /* hard limit of one turn: 30 min */
	int64_t start_ms;     /* create -> agent's handshake: 60 s */
	/* router: */
	int64_t tries;		   /* 3 */
	int64_t delayed_notice_ms; /* tell the chat when no sandbox could be had for so long: 20 s */
};

/* Fills defaults, reads the file when it exists (file NULL = <home>/config/chela.yaml, absent is fine; a named file must
 * exist), resolves relative paths against home, makes home's folders (0700) and the instance id. */
int config_load(struct config *c, const char *home, const char *file, struct err *e) must_check;
/* Reads only the sandbox policy of one group: <home>/config/policy.default.yaml and
 * <home>/config/groups/<group>.yaml; the second can only narrow (a wider value is an error with file, line, key and fix).
 * Both may be absent. Neither lies in the group's own folder: that is mounted read-write into the sandbox, so the agent
 * could delete its own limits. */
int policy_load(const struct config *c, const char *group, struct sandbox_policy *out,
		struct err *e) must_check;
/* Checks a base URL that comes from elsewhere (the environment) by the same rules: https, or http to this machine only; the
 * message has no prefix. */
int config_check_base_url(const char *url, struct err *e) must_check;
/* [A-Za-z0-9._-[\]]*, for a model's name; "" is fine. */
bool model_name_ok(const char *s);

#endif
