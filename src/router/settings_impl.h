// SPDX-License-Identifier: Apache-2.0
/* The table of settings, shared by settings.c (of one group) and settings_config.c (of the configuration) only. */
#ifndef CHELA_ROUTER_SETTINGS_IMPL_H
#define CHELA_ROUTER_SETTINGS_IMPL_H
#include <stddef.h>
#include "router/settings.h"

enum setting_kind {
	SETTING_WORD,	/* one of words: an enum */
	SETTING_SWITCH, /* off or on: a bool */
	SETTING_TEXT,	/* char[64], one line */
	SETTING_MODEL,	/* char[64] */
	SETTING_ZONE,
	SETTING_TRIGGER,
	SETTING_NUMBER, /* int64_t, 0 to max */
	SETTING_DURATION
};
struct setting {
	const char *key;
	enum setting_kind kind;
	size_t at; /* offset in struct group_settings */
	const char
		*normal; /* unless the configuration says otherwise; NULL: it says so elsewhere */
	const char *choices; /* for people, where words and max do not say it */
	const char *const *words;
	int64_t max;
};
/* Ended by one without a key. */
extern const struct setting settings_table[];
/* Checks and writes one value. */
int settings_put(struct group_settings *g, const struct setting *t, const char *value,
		 struct err *e) must_check;
/* Lets go of what it holds. */
void settings_fini(struct group_settings *g);

#endif
