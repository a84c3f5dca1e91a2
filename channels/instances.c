// SPDX-License-Identifier: Apache-2.0
/* From the section `channels` of the configuration to instances; see registry.h. */
#include <stdio.h>
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

void channels_close(struct channel *chans, size_t *n)
{
	while (*n) {
		struct channel *c = &chans[--*n];

		c->ops->close(c);
	}
}
