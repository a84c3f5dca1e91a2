// SPDX-License-Identifier: Apache-2.0
/*
 * What everyone who answers the Messages API has in common: its limit, the shape of its errors, and
 * what a call used.
 */
#ifndef CHELA_RUNTIME_MODEL_API_H
#define CHELA_RUNTIME_MODEL_API_H
#include <stdbool.h>
#include <stdint.h>
#include "runtime/http1.h"

#define MODEL_BODY_MAX ((int64_t)32 << 20) /* the API's own limit */

/* Of one model call. */
struct usage {
	char model[64];
	int64_t input_tokens, output_tokens, cache_read_tokens, cache_write_tokens;
	int status;	       /* HTTP status of the answer */
	int64_t first_byte_us; /* request complete -> first body byte */
	bool demo;	       /* answered by the demo model */
};

/* A whole error answer in the API's shape; text is redacted. */
void model_api_error(struct http1 *c, int status, const char *type, const char *text);

#endif
