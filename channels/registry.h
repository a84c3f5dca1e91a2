// SPDX-License-Identifier: Apache-2.0
/* Instances of the channels that the configuration asks for. */
#ifndef CHELA_CHANNELS_REGISTRY_H
#define CHELA_CHANNELS_REGISTRY_H
#include "channels/channel.h"

#define CHANNELS_MAX 8

/* Reads the section `channels` of cfg->file strictly: an unknown channel or key, a wrong value is an error with file, line, key and
 * fix. Fills one instance for each channel that is asked for; the caller sets loop, clk and the up-calls before ops->open. */
int channels_configure(const struct config *cfg, struct channel chans[CHANNELS_MAX], size_t *n,
		       struct err *e) must_check;
/* The same, and nothing kept: for commands that only check. */
int channels_check(const struct config *cfg, struct err *e) must_check;
/* Looks into the files that the sections of the channels that are on name (keys ending in token_file and ca_file): missing, open to
 * others, empty or of the wrong kind is an error with file, line, key and fix. Changes nothing, keeps no secret. */
int channels_check_files(const struct config *cfg, struct err *e) must_check;
/* Closes all, opened or only configured; *n becomes 0. */
void channels_close(struct channel *chans, size_t *n);

#endif
