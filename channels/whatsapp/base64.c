// SPDX-License-Identifier: Apache-2.0
/* Base64 (RFC 4648) for the bytes of files in frames. Strict: no white space, no missing padding. */
#include "channels/whatsapp/whatsapp.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *p, size_t n)
{
	const uint8_t *b = p;
	char *out = xmalloc((n + 2) / 3 * 4 + 1), *o = out;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)(i + 1 < n ? b[i + 1] : 0) << 8 |
			     (i + 2 < n ? b[i + 2] : 0);

		*o++ = ALPHABET[v >> 18];
		*o++ = ALPHABET[v >> 12 & 63];
		*o++ = i + 1 < n ? ALPHABET[v >> 6 & 63] : '=';
		*o++ = i + 2 < n ? ALPHABET[v & 63] : '=';
	}
	*o = '\0';
	return out;
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t base64_decode(const char *s, void *p, size_t cap)
{
	size_t n = strlen(s), len = 0, pad = 0;
	uint8_t *out = p;

	if (n % 4)
		return -1;
	while (pad < 2 && n && s[n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < n; i += 4) {
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int x = i + k >= n - pad ? 0 : value_of(s[i + k]);

			if (x < 0)
				return -1;
			v = v << 6 | (uint32_t)x;
		}
		for (size_t k = 0; k < (i + 4 == n ? 3 - pad : 3); k++) {
			if (len == cap)
				return -1;
			out[len++] = (uint8_t)(v >> (16 - 8 * k));
		}
	}
	return (ssize_t)len;
}
