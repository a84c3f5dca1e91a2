// SPDX-License-Identifier: Apache-2.0
/*
 * Owns the reading of a response head (RFC 9112 § 4 and 5): status, then headers with their names
 * in lower case. Interim responses are passed over, trailers are ignored. It is pure, and never
 * keeps more than its cap.
 */
#include <ctype.h>
#include <string.h>

#include "runtime/http_internal.h"

static int head_status(struct http_head *h, const char *p, size_t n, struct err *e)
{
	const char *sp = memchr(p, ' ', n);
	size_t left = sp ? n - (size_t)(sp - p) - 1 : 0;

	if (left < 3 || !isdigit((unsigned char)sp[1]) || !isdigit((unsigned char)sp[2]) ||
	    !isdigit((unsigned char)sp[3]))
		return err_set(e, E_PROTO, "the status line is malformed");
	h->status = (sp[1] - '0') * 100 + (sp[2] - '0') * 10 + (sp[3] - '0');
	if (h->status < 100 || h->status == 101)
		return err_set(e, E_PROTO, "unexpected status %d", h->status);
	buf_reset(&h->text);
	h->count = 0;
	h->in_progress = true;
	return 0;
}

static int head_field(struct http_head *h, const char *p, size_t n, struct err *e)
{
	const char *colon = memchr(p, ':', n);
	const char *value, *end = p + n;

	if (!colon || colon == p || *p == ' ' || *p == '\t')
		return err_set(e, E_PROTO, "a header line is malformed");
	for (const char *c = p; c < colon; c++) {
		char low = (char)tolower((unsigned char)*c);
		buf_put(&h->text, &low, 1);
	}
	buf_put(&h->text, "", 1);
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	buf_put(&h->text, value, (size_t)(end - value));
	buf_put(&h->text, "", 1);
	h->count++;
	return 0;
}

int http_head_line(struct http_head *h, const char *p, size_t n, struct err *e)
{
	if (h->done)
		return 0; /* a trailer */
	h->raw += n;
	if (h->raw > h->max)
		return err_set(e, E_PROTO, "the response head is larger than %zu bytes", h->max);
	while (n && (p[n - 1] == '\n' || p[n - 1] == '\r'))
		n--;
	if (!h->in_progress)
		return n >= 5 && memcmp(p, "HTTP/", 5) == 0
			       ? head_status(h, p, n, e)
			       : err_set(e, E_PROTO, "the response has no status line");
	if (n)
		return head_field(h, p, n, e);
	h->in_progress = false;
	if (h->status < 200)
		return 0;
	h->done = true;
	return 1;
}

struct http_header *http_head_array(const struct http_head *h)
{
	struct http_header *v = xcalloc(h->count + 1, sizeof(*v));
	const char *p = h->text.p;

	for (size_t i = 0; i < h->count; i++) {
		v[i].name = p;
		p += strlen(p) + 1;
		v[i].value = p;
		p += strlen(p) + 1;
	}
	return v;
}
