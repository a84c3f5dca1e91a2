// SPDX-License-Identifier: Apache-2.0
/* Base64 (RFC 4648) for the bytes of files in frames, by GLib, whose decoder passes over what is none: here that is refused, white space and missing padding too. */
#include <glib.h>
#include "channels/whatsapp/whatsapp.h"

char *base64_encode(const void *p, size_t n)
{
	return g_base64_encode(p, n);
}

ssize_t base64_decode(const char *s, void *p, size_t cap)
{
	size_t n = strlen(s);
	size_t body = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	size_t pad = strspn(s + body, "=");
	unsigned save = 0;
	int state = 0;

	if (n % 4 || pad > 2 || body + pad != n || n / 4 * 3 - pad > cap)
		return -1;
	return (ssize_t)g_base64_decode_step(s, n, p, &state, &save);
}
