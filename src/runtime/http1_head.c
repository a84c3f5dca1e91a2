// SPDX-License-Identifier: Apache-2.0
/*
 * See http1_head.h. Every rule here closes a way to make two readers see two different requests
 * (RFC 9112 § 11.2) or to reach this server under a foreign name (DNS rebinding).
 */
#include "runtime/http1_head.h"
#include <string.h>
#include "base/str.h"

size_t http1_head_find(const char *p, size_t n, size_t *from)
{
	size_t i = *from > 3 ? *from - 3 : 0;

	*from = n;
	if (n < 4)
		return 0;
	const char *end = memmem(p + i, n - i, "\r\n\r\n", 4);
	return end ? (size_t)(end - p) + 4 : 0;
}

static bool is_token(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static int refuse(struct http1_head *h, int status, const char *why)
{
	h->status = status;
	h->why = why;
	return -1;
}

/* Line structure: CR LF pairs only, no control bytes, no line that starts with white space. */
static int check_bytes(struct http1_head *h, const char *p, size_t n)
{
	bool name = false; /* inside a field name */
	size_t line = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c == '\r' && i + 1 < n && p[i + 1] == '\n') {
			if (name && i != line)
				return refuse(h, 400, "a header line without a colon");
			i++;
			line = i + 1;
			name = true;
			continue;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return refuse(h, 400, "a control character in the head");
		if (!name)
			continue;
		if (c == ':' && i > line)
			name = false;
		else if (!is_token((char)c))
			return refuse(h, 400,
				      i == line ? "a folded or empty header line"
						: "a header name with a wrong character");
	}
	return 0;
}

/* "POST /v1/messages" for the audit log: no query, printable, short. */
static void note_what(struct http1_head *h, const char *p, size_t n)
{
	size_t m = 0, spaces = 0;

	for (size_t i = 0; i < n && m + 1 < sizeof(h->what); i++) {
		if (p[i] == '\r' || p[i] == '?' || (p[i] == ' ' && ++spaces == 2))
			break;
		h->what[m++] = p[i] >= ' ' && p[i] < 0x7f ? p[i] : '.';
	}
	h->what[m] = '\0';
}

/* --- the library's callbacks: they only note where things are --- */

static int on_url(http_parser *hp, const char *p, size_t n)
{
	struct http1_head *h = hp->data;

	h->url.p = (char *)(uintptr_t)p;
	h->url.n = n;
	return 0;
}

static int on_slice(http_parser *hp, const char *p, size_t n)
{
	struct http1_head *h = hp->data;

	if (h->done || h->n_slices == ARRAY_LEN(h->slices))
		return 1; /* trailers of a chunked body are not taken; nor are too many headers */
	h->slices[h->n_slices].p = (char *)(uintptr_t)p;
	h->slices[h->n_slices++].n = n;
	return 0;
}

static int on_head(http_parser *hp)
{
	struct http1_head *h = hp->data;

	h->done = true;
	return 0;
}

void http1_head_settings(http_parser_settings *s)
{
	s->on_url = on_url;
	s->on_header_field = on_slice;
	s->on_header_value = on_slice;
	s->on_headers_complete = on_head;
}

/* --- what the head means --- */

/* Whatever port: a rebound name is what must not pass. */
bool http1_is_local(const char *host)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = strlen(names[i]);
		if (strncasecmp(host, names[i], n) != 0)
			continue;
		host += n;
		if (*host == '\0')
			return true;
		return *host == ':' && host[1] &&
		       strspn(host + 1, "0123456789") == strlen(host + 1);
	}
	return false;
}

static void name_headers(struct http1_head *h)
{
	char *none = h->text + strlen(h->text);

	/* The library gives an empty value as a place in the next line: no NUL may go there. */
	for (size_t i = 0; i < h->n_slices; i++)
		if (h->slices[i].n == 0)
			h->slices[i].p = none;
	for (size_t i = 0; i < h->n_slices; i++)
		h->slices[i].p[h->slices[i].n] = '\0';
	for (size_t i = 0; i + 1 < h->n_slices; i += 2) {
		for (char *c = h->slices[i].p; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
		char *v = h->slices[i + 1].p;
		for (size_t n = strlen(v); n && (v[n - 1] == ' ' || v[n - 1] == '\t'); n--)
			v[n - 1] = '\0';
		h->headers[h->req.n_headers++] = (struct http_header){h->slices[i].p, v};
	}
}

static int check_framing(struct http1_head *h)
{
	const char *length = NULL, *te = NULL, *host = NULL;

	for (size_t i = 0; i < h->req.n_headers; i++) {
		const struct http_header *f = &h->headers[i];
		const char **slot = streq(f->name, "content-length")	  ? &length
				    : streq(f->name, "transfer-encoding") ? &te
				    : streq(f->name, "host")		  ? &host
									  : NULL;
		if (slot && *slot)
			return refuse(h, 400, "a header that may come once came twice");
		if (slot)
			*slot = f->value;
		if (streq(f->name, "upgrade"))
			return refuse(h, 400, "upgrade is not offered");
		if (streq(f->name, "expect") && strcasecmp(f->value, "100-continue") != 0)
			return refuse(h, 417, "only Expect: 100-continue is known");
		h->expect = h->expect || streq(f->name, "expect");
	}
	if (length && te)
		return refuse(h, 400, "both Content-Length and Transfer-Encoding");
	if (te && strcasecmp(te, "chunked") != 0)
		return refuse(h, 501, "only Transfer-Encoding: chunked is known");
	if (length) {
		struct err e = ERR_INIT;
		if (str_to_i64(length, 0, INT64_MAX / 2, &h->req.length, &e) < 0)
			return refuse(h, 400, "Content-Length is no number");
	} else if (te) {
		h->req.length = -1;
	}
	if (!host || !http1_is_local(host))
		return refuse(h, 403, "the Host header names another host");
	return 0;
}

void http1_head_free(struct http1_head *h)
{
	free(h->text);
	memset(h, 0, sizeof(*h));
}

int http1_head_parse(struct http1_head *h, http_parser *hp, const char *p, size_t n)
{
	http_parser_settings settings;

	http1_head_free(h);
	note_what(h, p, n);
	if (check_bytes(h, p, n) < 0)
		return -1;
	h->text = xstrndup(p, n);
	http_parser_settings_init(&settings);
	http1_head_settings(&settings);
	http_parser_init(hp, HTTP_REQUEST);
	hp->data = h;
	http_parser_execute(hp, &settings, h->text, n);
	if (hp->http_errno != HPE_OK || !h->done)
		return h->n_slices == ARRAY_LEN(h->slices) ? refuse(h, 431, "too many headers")
							   : refuse(h, 400, "not HTTP/1.1");
	if (hp->http_major != 1 || hp->http_minor != 1)
		return refuse(h, 505, "only HTTP/1.1 is spoken");
	if (hp->method == HTTP_CONNECT || h->url.n == 0 || h->url.p[0] != '/')
		return refuse(h, 403, "no way out of the sandbox but the model API and the tools");
	h->req.method = http_method_str((enum http_method)hp->method);
	h->req.headers = h->headers;
	h->keep_alive = http_should_keep_alive(hp);
	h->url.p[h->url.n] = '\0';
	h->req.path = h->url.p;
	h->req.query = strchr(h->url.p, '?');
	if (h->req.query)
		*h->req.query++ = '\0';
	else
		h->req.query = h->url.p + h->url.n;
	name_headers(h);
	return check_framing(h);
}
