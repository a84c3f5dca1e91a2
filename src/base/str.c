// SPDX-License-Identifier: Apache-2.0
/*
 * String helpers that libc lacks: strict numbers, UTF-8 (RFC 3629), names, UUIDs and hints. All of
 * them are locale-free. Nothing here allocates.
 */
#include "base/str.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define HINT_MAX 64

bool str_copy(char *dst, size_t cap, const char *src)
{
	size_t n = strlen(src);
	bool fits = n < cap;

	if (!cap)
		return false;
	if (!fits)
		n = cap - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return fits;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, struct err *e)
{
	const char *d = *s == '-' ? s + 1 : s;
	bool neg = d != s;
	uint64_t v = 0, limit = (uint64_t)INT64_MAX + neg;
	int64_t r;

	if (!*d)
		return err_set(e, E_INVAL, "expected a whole number, not \"%.40s\"", s);
	for (; *d; d++) {
		unsigned c = (unsigned)(*d - '0');

		if (*d < '0' || *d > '9')
			return err_set(e, E_INVAL, "expected a whole number, not \"%.40s\"", s);
		if (v > (limit - c) / 10)
			goto range;
		v = v * 10 + c;
	}
	r = neg ? (int64_t)(0 - v) : (int64_t)v;
	if (r >= min && r <= max) {
		*out = r;
		return 0;
	}
range:
	return err_set(e, E_INVAL, "expected a whole number from %lld to %lld, not %.40s",
		       (long long)min, (long long)max, s);
}

size_t str_utf8_seq(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (!n)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
	} else if ((p[0] & 0xf0) == 0xe0) {
		len = 3;
		if (p[0] == 0xe0)
			lo = 0xa0; /* overlong */
		if (p[0] == 0xed)
			hi = 0x9f; /* surrogates */
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		if (p[0] == 0xf0)
			lo = 0x90; /* overlong */
		if (p[0] == 0xf4)
			hi = 0x8f; /* past U+10FFFF */
	} else {
		return 0;
	}
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool str_is_utf8(const char *p, size_t n)
{
	size_t i = 0, len;

	while (i < n) {
		uint64_t w;

		while (n - i >= sizeof(w)) { /* most text is ASCII: eight bytes at a time */
			memcpy(&w, p + i, sizeof(w));
			if (w & UINT64_C(0x8080808080808080))
				break;
			i += sizeof(w);
		}
		if (i == n)
			break;
		len = str_utf8_seq(p + i, n - i);
		if (!len)
			return false;
		i += len;
	}
	return true;
}

size_t str_utf8_floor(const char *p, size_t n)
{
	size_t back = 0;

	/* Find the lead byte of the last sequence; more than three trail bytes are not UTF-8. */
	while (back < n && back < 3 && ((unsigned char)p[n - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < n) {
		unsigned char c = (unsigned char)p[n - 1 - back];
		size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if (len > back + 1)
			return n - 1 - back;
	}
	return n;
}

/* U+2028, U+2029, and what turns the direction of writing: with these, text could be shown in another order than it stands. */
static bool breaks_line(const unsigned char *p)
{
	if (p[0] != 0xe2)
		return false;
	if (p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

char *str_one_line(char *dst, size_t cap, const char *src)
{
	str_copy(dst, cap, src);
	dst[str_utf8_floor(dst, strlen(dst))] = '\0';
	for (unsigned char *p = (unsigned char *)dst; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = ' ';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = ' ';
		else if (breaks_line(p))
			p[0] = p[1] = p[2] = ' ';
	}
	return dst;
}

bool str_is_name(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++) {
		bool word = (s[n] >= 'a' && s[n] <= 'z') || (s[n] >= '0' && s[n] <= '9');

		if (n == 64 || (!word && (n == 0 || (s[n] != '_' && s[n] != '-'))))
			return false;
	}
	return n > 0;
}

bool str_is_uuid(const char *s)
{
	size_t i;

	for (i = 0; s[i] && i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f'))) {
			return false;
		}
	}
	return i == 36 && !s[i];
}

void str_random_hex(char *out, size_t bytes)
{
	unsigned char r[64];
	ssize_t n;

	if (bytes > sizeof(r))
		die("more random bytes than there is room for");
	do
		n = getrandom(r, bytes, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)bytes) /* so few come at once or not at all */
		die("no random bytes from the kernel");
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", r[i]);
}

void str_uuid4(char out[37])
{
	char hex[33];

	str_random_hex(hex, 16);
	hex[12] = '4';
	hex[16] = "89ab"[(hex[16] + (hex[16] > '9')) & 3]; /* of the digit's value */
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

size_t str_distance(const char *a, const char *b)
{
	size_t an = strlen(a), bn = strlen(b);
	size_t row[3][HINT_MAX + 1], *two = row[0], *one = row[1], *cur = row[2], *t;

	if (an > HINT_MAX || bn > HINT_MAX)
		return HINT_MAX;
	for (size_t j = 0; j <= bn; j++)
		two[j] = one[j] = j;
	for (size_t i = 1; i <= an; i++) {
		cur[0] = i;
		for (size_t j = 1; j <= bn; j++) {
			size_t d = one[j - 1] + (a[i - 1] != b[j - 1]);

			if (d > one[j] + 1)
				d = one[j] + 1;
			if (d > cur[j - 1] + 1)
				d = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d > two[j - 2] + 1)
				d = two[j - 2] + 1;
			cur[j] = d;
		}
		t = two;
		two = one;
		one = cur;
		cur = t;
	}
	return one[bn];
}

const char *str_nearest(const char *s, const char *const *words)
{
	size_t n = strlen(s), best = n < 4 ? 2 : n / 3 + 2; /* a third of it may be wrong */
	const char *hit = NULL;

	for (; *words; words++) {
		size_t d = str_distance(s, *words);

		if (d < best) {
			best = d;
			hit = *words;
		}
	}
	return hit;
}

bool str_secret_eq(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned char diff = an != bn;

	/* The length may be learnt from timing, the content not. */
	for (size_t i = 0; i < an && i < bn; i++)
		diff |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return diff == 0;
}

bool str_next_word(const char **list, char *word, size_t cap)
{
	size_t n;

	*list += strspn(*list, " ");
	n = strcspn(*list, " ");
	snprintf(word, cap, "%.*s", (int)n, *list);
	*list += n;
	return n > 0;
}
