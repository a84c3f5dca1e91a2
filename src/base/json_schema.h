// SPDX-License-Identifier: Apache-2.0
/*
 * Checks a value against the part of JSON Schema that our own schemas (of tools) are written in:
 * type, properties, required, enum, minLength, maxLength, minimum, maximum, items and
 * additionalProperties: false. Other keywords are not checked. The error is for a model to act on.
 */
#ifndef CHELA_BASE_JSON_SCHEMA_H
#define CHELA_BASE_JSON_SCHEMA_H
#include "base/json.h"

/* 0, or -1 with what was expected, what came, and the nearest argument name. */
int json_schema_check(const cJSON *schema, const cJSON *value, struct err *e) must_check;

#endif
