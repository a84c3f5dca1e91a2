// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of src/policy share. Nobody outside includes this.
 */
#ifndef CHELA_POLICY_IMPL_H
#define CHELA_POLICY_IMPL_H
#include "base/yaml.h"
#include "policy/config.h"

/* Checks a parsed config file; c->home is set. */
int config_read(struct config *c, struct yaml *y, struct err *e) must_check;
/* Fills p from a policy file; base gives the defaults and, when narrow, the upper bounds. */
int policy_read(struct yaml *y, const struct sandbox_policy *base, bool narrow,
		struct sandbox_policy *p, struct err *e) must_check;
extern const struct sandbox_policy policy_builtin;

/* Built-in values, overridden by <home>/config/policy.default.yaml when it exists. */
int policy_load_default(const struct config *c, struct sandbox_policy *out,
			struct err *e) must_check;

#endif
