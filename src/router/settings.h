// SPDX-License-Identifier: Apache-2.0
/*
 * What can be set for one group (`chela groups set`), kept as JSON in the store and cached; and the sections `groups` (what holds unless
 * a group has chosen) and `files` of the configuration, which are the router's own. Everything has a default; a wrong value is refused with what is
 * allowed.
 */
#ifndef CHELA_ROUTER_SETTINGS_H
#define CHELA_ROUTER_SETTINGS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/mem.h"
#include "policy/config.h"

struct router;
struct pattern;
struct zone;

#define CONTEXT_MAX 200 /* the most that context_count can be */

enum trigger_rule {
	TRIGGER_MENTION, /* only what is addressed to the assistant wakes it; the rest is context */
	TRIGGER_ALWAYS,
	TRIGGER_WORD, /* also what has one of these words in it */
	TRIGGER_REGEX /* also what the expression matches */
};
enum session_rule {
	SESSIONS_CHAT,	/* one agent session for the whole group */
	SESSIONS_THREAD /* each thread of a chat has a session of its own */
};
enum strangers_rule {	  /* who has no role here */
	STRANGERS_ASK,	  /* held, and asked for once in main */
	STRANGERS_IGNORE, /* counted and listed */
	STRANGERS_ALLOW	  /* talks as a guest; not for main */
};
struct group_settings {
	enum trigger_rule trigger;
	char trigger_text[512];	 /* as it was set: "mention", "word hey chela,bot", "regex ^!" */
	struct pattern *pattern; /* of word and regex; NULL else */
	bool told_slow;		 /* settings_slow */
	bool sticky; /* a thread in which the assistant has spoken is a conversation with it */
	enum session_rule sessions;
	enum strangers_rule strangers;
	char name[64];	 /* what the assistant is called here; the configuration's unless set */
	char zone[64];	 /* IANA time zone; groups.time_zone of the configuration unless set */
	struct zone *tz; /* the same, open; NULL = UTC */
	char model[64];	 /* the configuration's unless set; "" = the agent's default */
	int64_t context_rows,
		context_ms; /* unaddressed talk: how much goes before a message, how old */
	bool typing;	    /* show that work goes on */
	bool drafts;	    /* show the answer while it is made */
	bool tools;	    /* show what the agent does, in words */
};

/* Of one group; never NULL. Borrowed until the next settings_set or settings_free. */
const struct group_settings *settings_get(struct router *r, int64_t group_id);
/* Writes in the open transaction; "default" takes the group's own value away. E_INVAL with what is allowed. */
int settings_set(struct router *r, int64_t group_id, const char *key, const char *value,
		 struct err *e) must_check;
/* Each setting in order, in words. choices: "mention or always". own: the group has chosen it. */
typedef void setting_fn(void *ctx, const char *key, const char *value, const char *choices,
			bool own);
int settings_each(struct router *r, int64_t group_id, setting_fn *fn, void *ctx,
		  struct err *e) must_check;
/* "trigger, sticky, ... or tools": for help and errors. */
void settings_keys(char *out, size_t cap);
/* The group's pattern ran into its limit: true the first time since it was set or read. */
bool settings_slow(struct router *r, int64_t group_id);
/* Drops the cache of one group. */
void settings_drop(struct router *r, int64_t group_id);
/* Reads the section `groups`; at start, and when the configuration was read anew: then all that is cached is dropped. */
int settings_open(struct router *r, const struct config *cfg, struct err *e) must_check;
/* Whether the section is right, and no more. */
int settings_check(const struct config *cfg, struct err *e) must_check;
/* Drops all. */
void settings_free(struct router *r);

/* files: of the configuration. */
struct files_settings {
	int64_t max_in; /* bytes of one incoming file */
	char **transcribe; /* command and arguments, NULL-ended; NULL = none. "{}" stands for the file */
};
/* Strict, as config_load. Free with files_settings_free. */
int files_settings_load(const struct config *cfg, struct files_settings *out,
			struct err *e) must_check;
void files_settings_free(struct files_settings *f);

#endif
