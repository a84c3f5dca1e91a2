// SPDX-License-Identifier: Apache-2.0
/*
 * What the files of src/policy share. Nobody outside includes this.
 */
#ifndef CHELA_POLICY_IMPL_H
#define CHELA_POLICY_IMPL_H
#include "policy/config.h"

/* Built-in values, overridden by <home>/config/policy.default.yaml when it exists. */
int policy_load_default(const struct config *c, struct sandbox_policy *out,
			struct err *e) must_check;

#endif
