// SPDX-License-Identifier: Apache-2.0
/* HTML entities in Markdown text, and addresses. Inner header of format*.c. */
#ifndef CHELA_ROUTER_FORMAT_ENTITY_H
#define CHELA_ROUTER_FORMAT_ENTITY_H
#include "base/buf.h"

/* Adds what the entity p[0..n) ("&amp;", "&#39;", "&#x2014;") stands for; an unknown one as it is
 * written. */
void fmt_entity(struct buf *out, const char *p, size_t n);
/* Adds the web address that the buffer itself holds at off, with the characters that would end it
 * on some platform percent-encoded (RFC 3986, 2.1). */
void fmt_url_encode(struct buf *b, size_t off, size_t n);

#endif
