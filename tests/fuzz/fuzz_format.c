// SPDX-License-Identifier: Apache-2.0
/*
 * Markdown to each platform. The first byte chooses the limit and the unit, the rest is the text.
 * Every part is UTF-8, not blank and within its limit; the same text gives the same parts; and the
 * letters and digits are the same in every format, whatever marks and tags are around them.
 */
#include "fuzz.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/str.h"
#include "router/format.h"

struct run {
	struct format_limits l;
	struct buf seen; /* letters and digits */
	size_t parts;
};

/* Adds the ASCII letters and digits that a person would see. */
static void see(struct run *r, const char *p, size_t n)
{
	bool tag = false;

	for (size_t i = 0; i < n; i++) {
		if (r->l.format == FORMAT_TELEGRAM && (p[i] == '<' || p[i] == '>'))
			tag = p[i] == '<';
		if (!tag && p[i] == '&' &&
		    (r->l.format == FORMAT_TELEGRAM || r->l.format == FORMAT_SLACK)) {
			const char *end = memchr(p + i, ';', n - i);

			fuzz_check(end && end - (p + i) <= 4);
			i = (size_t)(end - p);
			continue;
		}
		if (!tag && isalnum((unsigned char)p[i]))
			buf_put(&r->seen, p + i, 1);
	}
	fuzz_check(!tag);
}

static size_t without_tags(const char *p, size_t n)
{
	size_t units = 0;
	bool tag = false;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '<')
			tag = true;
		if (!tag && p[i] == '&')
			while (p[i + 1] && p[i] != ';')
				i++;
		if (!tag)
			units += format_units(UNIT_UTF16, p + i, 1);
		if (p[i] == '>')
			tag = false;
	}
	return units;
}

static bool part(void *ctx, const char *body, size_t n)
{
	struct run *r = ctx;
	size_t units = format_units(r->l.unit, body, n);

	fuzz_check(n && body[n] == '\0' && strlen(body) == n && str_is_utf8(body, n));
	fuzz_check(strspn(body, " \n\t") < n);
	if (r->l.format == FORMAT_TELEGRAM) {
		fuzz_check(units <= 3 * r->l.max);
		if (r->l.unit == UNIT_UTF16)
			fuzz_check(without_tags(body, n) <= r->l.max);
	} else {
		fuzz_check(units <= r->l.max);
	}
	see(r, body, n);
	r->parts++;
	return true;
}

static struct run render(const char *md, size_t n, enum text_format f, enum text_unit u, size_t max)
{
	struct run r = {.l = {.format = f, .unit = u, .max = max}};

	format_render(md, n, &r.l, part, &r);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *md = NULL;
	struct run plain, again;
	enum text_unit u;
	size_t max;
	bool alike;

	if (!n)
		return 0;
	u = (enum text_unit)(data[0] % 3);
	max = 64 + (size_t)(data[0] / 3) * 12;
	md = xmalloc(n); /* of its exact size: nothing may look past it */
	memcpy(md, data + 1, n - 1);
	if (memchr(md, '\0', --n))
		return 0;
	plain = render(md, n, FORMAT_PLAIN, u, max);
	/* a link's address is text in some formats only, a table's form depends on the format's
	 * width, and an entity may be either */
	alike = !memchr(md, ':', n) && !memchr(md, '|', n) && !memchr(md, '&', n);
	for (enum text_format f = FORMAT_MARKDOWN; f <= FORMAT_WHATSAPP; f++) {
		struct run r = render(md, n, f, u, max);

		if (alike && f != FORMAT_MARKDOWN) {
			fuzz_check(r.seen.len == plain.seen.len);
			fuzz_check(!r.seen.len || !memcmp(r.seen.p, plain.seen.p, r.seen.len));
		}
		again = render(md, n, f, u, max);
		fuzz_check(again.parts == r.parts && again.seen.len == r.seen.len);
		buf_free(&again.seen);
		buf_free(&r.seen);
	}
	buf_free(&plain.seen);
	return 0;
}
