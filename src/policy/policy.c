// SPDX-License-Identifier: Apache-2.0
/*
 * What a group's sandbox may have. The operator's defaults are one file; a group's own file can
 * only take away. Both lie outside everything that is mounted into a sandbox: a policy that the
 * agent can edit or delete would be none.
 */
#include <string.h>
#include "base/str.h"
#include "base/yaml.h"
#include "policy/policy_impl.h"

#define KIB ((int64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

const struct sandbox_policy policy_builtin = {
	.runtime = "runc",
	.memory_bytes = GIB,
	.cpus = 1.0,
	.pids = 256,
	.tmp_bytes = 256 * MIB,
};

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

bool model_name_ok(const char *s)
{
	/* A dash at the start: the agent would read a flag. */
	return s[0] != '-' && !s[strspn(s, WORD "[]")];
}

/* A runtime with a kernel of its own between the agent and the host. */
static bool has_own_kernel(const char *runtime)
{
	return str_starts(runtime, "runsc") || str_starts(runtime, "kata");
}

static bool runtime_ok(const char *s)
{
	return s[0] && s[0] != '.' && s[0] != '-' && !s[strspn(s, WORD)];
}

static int narrow_only(struct yaml *y, const struct sandbox_policy *base,
		       const struct sandbox_policy *p, struct err *e)
{
	const struct {
		const char *path;
		bool wider;
	} rows[] = {
		{"sandbox.memory", p->memory_bytes > base->memory_bytes},
		{"sandbox.cpus", p->cpus > base->cpus},
		{"sandbox.pids", p->pids > base->pids},
		{"sandbox.tmp", p->tmp_bytes > base->tmp_bytes},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].wider)
			return yaml_fail(
				yaml_at(yaml_root(y), rows[i].path), e,
				"is wider than the default; a group can only narrow: lower it, "
				"or raise it in config/policy.default.yaml");
	return 0;
}

int policy_read(struct yaml *y, const struct sandbox_policy *base, bool narrow,
		struct sandbox_policy *p, struct err *e)
{
	struct yaml_node *r = yaml_root(y);
	const char *runtime;

	if (yaml_str(r, "sandbox.runtime", base->runtime, &runtime, e) < 0)
		return -1;
	if (!runtime_ok(runtime) || !str_copy(p->runtime, sizeof(p->runtime), runtime))
		return yaml_fail(yaml_at(r, "sandbox.runtime"), e,
				 "must be the name of a Docker runtime, such as runc or runsc");
	if (narrow && !streq(runtime, base->runtime) &&
	    (has_own_kernel(base->runtime) || !has_own_kernel(runtime)))
		return yaml_fail(yaml_at(r, "sandbox.runtime"), e,
				 "a group can only choose a stronger runtime than the default %s "
				 "(runsc or kata); remove it or change config/policy.default.yaml",
				 base->runtime);
	if (yaml_size(r, "sandbox.memory", base->memory_bytes, 64 * MIB, 1024 * GIB,
		      &p->memory_bytes, e) < 0 ||
	    yaml_double(r, "sandbox.cpus", base->cpus, 0.05, 512, &p->cpus, e) < 0 ||
	    yaml_i64(r, "sandbox.pids", base->pids, 16, 32768, &p->pids, e) < 0 ||
	    yaml_size(r, "sandbox.tmp", base->tmp_bytes, MIB, 64 * GIB, &p->tmp_bytes, e) < 0)
		return -1;
	if (yaml_finish(y, e) < 0)
		return -1;
	return narrow ? narrow_only(y, base, p, e) : 0;
}

/* One policy file over base; an absent file changes nothing. */
static int load_over(const char *file, const struct sandbox_policy *base, bool narrow,
		     struct sandbox_policy *out, struct err *e)
{
	_cleanup_yaml_ struct yaml *y = NULL;
	struct err why = ERR_INIT;

	*out = *base;
	y = yaml_load(file, &why);
	if (!y) {
		if (why.code == E_GONE)
			return 0;
		*e = why;
		return -1;
	}
	return policy_read(y, base, narrow, out, e);
}

int policy_load_default(const struct config *c, struct sandbox_policy *out, struct err *e)
{
	char file[PATH_CAP + 64];

	snprintf(file, sizeof(file), "%s/config/policy.default.yaml", c->home);
	if (load_over(file, &policy_builtin, false, out, e) < 0)
		return -1;
	if (out->tmp_bytes > out->memory_bytes)
		return err_set(
			e, E_INVAL,
			"%s: sandbox.tmp: is larger than sandbox.memory, which it counts against; "
			"lower it",
			file);
	return 0;
}

int policy_load(const struct config *c, const char *group, struct sandbox_policy *out,
		struct err *e)
{
	struct sandbox_policy base;
	char file[PATH_CAP + 128];

	if (!str_is_name(group))
		return err_set(e, E_INVAL, "not a group name (a-z, 0-9, _ and -, at most 64)");
	if (policy_load_default(c, &base, e) < 0)
		return -1;
	snprintf(file, sizeof(file), "%s/config/groups/%s.yaml", c->home, group);
	if (load_over(file, &base, true, out, e) < 0)
		return -1;
	/* A group that only lowers its memory need not repeat the size of /tmp. */
	if (out->tmp_bytes > out->memory_bytes)
		out->tmp_bytes = out->memory_bytes;
	return 0;
}
