// SPDX-License-Identifier: Apache-2.0
/* See model_api.h. */
#include "runtime/model_api.h"
#include <string.h>
#include "base/json.h"
#include "base/redact.h"

void model_api_error(struct http1 *c, int status, const char *type, const char *text)
{
	struct buf b = {0}, clean = {0};

	redact(&clean, text, strlen(text));
	buf_putf(&b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
	json_put_str(&b, clean.p ? clean.p : "", clean.len);
	buf_puts(&b, "}}");
	http1_reply(c, status, "application/json", b.p, b.len);
	buf_free(&b);
	buf_free(&clean);
}
