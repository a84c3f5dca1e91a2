// SPDX-License-Identifier: Apache-2.0
/*
 * Reading one request head. The head is taken whole and checked byte by byte before the parser
 * library sees it, so that what the library is lenient about (obs-fold, bare LF, odd names) never
 * reaches a decision, and no slice of it is torn.
 */
#ifndef CHELA_RUNTIME_HTTP1_HEAD_H
#define CHELA_RUNTIME_HTTP1_HEAD_H
#include <http_parser.h>
#include "runtime/http1.h"

struct http1_head {
	char *text; /* owned copy; everything below points into it */
	struct http_header headers[HTTP1_HEADERS_MAX];
	struct http1_req req;
	bool keep_alive;
	bool expect; /* wants "100 Continue" */
	/* filled on failure */
	int status;	/* what to answer */
	char what[160]; /* for the audit log: method and target, cut and cleaned */
	const char *why;
	/* while the library runs */
	size_t n_slices;
	struct {
		char *p;
		size_t n;
	} slices[2 * HTTP1_HEADERS_MAX];
	struct {
		char *p;
		size_t n;
	} url;
	bool done;
};

/* Length of the head at p including its empty line, 0 when more is needed; *from remembers how
 * far it was searched (set it to 0 for a new head). */
size_t http1_head_find(const char *p, size_t n, size_t *from);
/* Checks and parses the head p[0..n). On success the parser stands at the first byte of the body
 * (or at the message's end when there is none) and 0 is returned; else -1 with status, what and
 * why. */
int http1_head_parse(struct http1_head *h, http_parser *hp, const char *p, size_t n) must_check;
/* Frees and zeroes. */
void http1_head_free(struct http1_head *h);
/* The callbacks that http1_head_parse needs in the settings; hp->data is its struct http1_head. */
void http1_head_settings(http_parser_settings *s);

#endif
