// SPDX-License-Identifier: Apache-2.0
/*
 * `chela policy`: what a group's sandbox may have, and which line of which file says so. The files are read anew, as at each start of a sandbox. Nothing here
 * changes them: a policy that can be changed from a chat would be none.
 */
#include <string.h>
#include "admin/command.h"
#include "base/yaml.h"

#define FILES 2

struct sources {
	struct yaml *files[FILES]; /* NULL: there is none */
	char names[FILES][120];
};

static void sources_free(struct sources *s)
{
	for (size_t i = 0; i < FILES; i++)
		yaml_free(s->files[i]);
}

static int sources_open(const struct config *cfg, const char *group, struct sources *s,
			struct err *e)
{
	for (size_t i = 0; i < FILES; i++) {
		struct err why = ERR_INIT;
		_cleanup_free_ char *path = NULL;

		if (i)
			snprintf(s->names[i], sizeof(s->names[i]), "config/groups/%s.yaml", group);
		else
			snprintf(s->names[i], sizeof(s->names[i]), "config/policy.default.yaml");
		path = xasprintf("%s/%s", cfg->home, s->names[i]);
		s->files[i] = yaml_load(path, &why);
		if (!s->files[i] && why.code != E_GONE) {
			*e = why;
			return -1;
		}
	}
	return 0;
}

/* "config/groups/work.yaml:3", the narrowest that names the key. */
static void say_where(const struct sources *s, const char *key, char out[140])
{
	snprintf(out, 140, "built in");
	for (size_t i = 0; i < FILES; i++) {
		const struct yaml_node *n =
			s->files[i] ? yaml_at(yaml_root(s->files[i]), key) : NULL;

		if (n)
			snprintf(out, 140, "%s:%d", s->names[i], yaml_line(n));
	}
}

__attribute__((format(printf, 4, 5))) static void put(struct reply *r, const struct sources *s,
						      const char *key, const char *fmt, ...)
{
	_cleanup_free_ char *value = NULL;
	char where[140];
	va_list ap;

	va_start(ap, fmt);
	value = xvasprintf(fmt, ap);
	va_end(ap);
	say_where(s, key, where);
	reply_line(r, "  %-16s %-10s (%s)", key, value, where);
}

static int show(struct command *c, struct err *e)
{
	_cleanup_(sources_free) struct sources s = {0};
	const int mib = 1 << 20;
	struct sandbox_policy p;
	struct group_row g;

	if (command_group(c, c->argc ? c->argv[0] : NULL, &g, e) < 0 ||
	    policy_load(c->o->cfg, g.name, &p, e) < 0 || sources_open(c->o->cfg, g.name, &s, e) < 0)
		return -1;
	reply_line(c->r, "%s: a sandbox that starts now gets", g.name);
	put(c->r, &s, "sandbox.runtime", "%s", p.runtime);
	put(c->r, &s, "sandbox.memory", "%lldM", (long long)p.memory_bytes / mib);
	put(c->r, &s, "sandbox.cpus", "%.2f", p.cpus);
	put(c->r, &s, "sandbox.pids", "%lld", (long long)p.pids);
	put(c->r, &s, "sandbox.tmp", "%lldM", (long long)p.tmp_bytes / mib);
	reply_line(c->r, "no network, a read-only system, no capabilities: always");
	reply_line(c->r,
		   "To change it, edit config/groups/%s.yaml on the server (it can only narrow "
		   "config/policy.default.yaml).",
		   g.name);
	return 0;
}

const struct command_form commands_policy[] = {
	{"policy", "[GROUP]", "what a group's sandbox may have, and which file says so",
	 CMD_CLI | CMD_MAIN | CMD_AGENT, ROLE_ADMIN, .max = 1, .run = show},
	{0},
};
