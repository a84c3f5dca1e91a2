// SPDX-License-Identifier: Apache-2.0
/*
 * Secrets and the redactor. The registry is process-wide on purpose: whoever forgets to pass it
 * would leak. It holds borrowed pointers to the one copy that each struct secret owns, so a freed
 * secret is gone from memory. Nothing here may print, log or put a value into an error.
 */
#include "base/fd.h"
#include "base/redact.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/str.h"

#define KNOWN_MAX 256
#define LEN_MIN	  4 /* shorter values would tear up all text, and are no secrets */
#define TAIL_MIN  8 /* what must follow a well-known prefix */

struct known {
	const char *value;
	size_t len;
	char name[48];
};
static struct known known[KNOWN_MAX];
static size_t known_len;
static uint8_t first[256]; /* how many known values start with this byte */

static int remember(const struct secret *s, struct err *e)
{
	struct known *k = &known[known_len];

	if (s->len < LEN_MIN)
		return 0;
	if (known_len == KNOWN_MAX)
		return err_set(e, E_LIMIT, "more than %d secrets", KNOWN_MAX);
	known_len++;
	*k = (struct known){.value = s->value, .len = s->len};
	str_copy(k->name, sizeof(k->name), s->name);
	if (first[(unsigned char)s->value[0]] < UINT8_MAX)
		first[(unsigned char)s->value[0]]++;
	return 0;
}

static void forget(const struct secret *s)
{
	for (size_t i = 0; i < known_len; i++) {
		if (known[i].value != s->value)
			continue;
		/* a count that stuck at its top stays: only the short cut is lost */
		if (first[(unsigned char)s->value[0]] < UINT8_MAX)
			first[(unsigned char)s->value[0]]--;
		known[i] = known[--known_len];
		return;
	}
}

static int set(struct secret *s, const char *name, const char *from, const char *p, size_t n,
	       struct err *e)
{
	struct secret made = {.len = n};

	if (!n)
		return err_set(e, E_INVAL, "secret %s (%s) is empty: write it there", name, from);
	if (n > SECRET_MAX)
		return err_set(e, E_INVAL, "secret %s (%s) is longer than %d bytes", name, from,
			       SECRET_MAX);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return err_set(e, E_INVAL,
				       "secret %s (%s) holds a control character at byte %zu: "
				       "it must be one line of text",
				       name, from, i);
	}
	str_copy(made.name, sizeof(made.name), name);
	made.value = xmalloc(n + 1);
	memcpy(made.value, p, n);
	made.value[n] = '\0';
	if (remember(&made, e)) {
		secret_free(&made);
		return -1;
	}
	*s = made;
	return 0;
}

int secret_set(struct secret *s, const char *name, const char *value, struct err *e)
{
	return set(s, name, "environment", value, strlen(value), e);
}

/* Who writes the token itself where its file belongs must not find it in the log. */
static int no_file(const char *name, const char *file, int errnum, struct err *e)
{
	_cleanup_(buf_free) struct buf shown = {0};

	redact(&shown, file, strlen(file));
	if (strstr(shown.p ? shown.p : "", "[redacted:"))
		return err_set(e, E_INVAL,
			       "secret %s: the setting must name a file that holds the secret, not "
			       "be the secret itself: write it into a file with mode 0600",
			       name);
	if (errnum == ENOENT)
		return err_set(e, E_GONE,
			       "secret %s: there is no file %s: write the secret into it, mode "
			       "0600",
			       name, file);
	return err_sys(e, errnum, "secret %s: cannot open %s", name, file);
}

int secret_load(struct secret *s, const char *name, const char *file, struct err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[SECRET_MAX + 2]; /* room to see the newline, and that there is too much */
	struct stat st;
	ssize_t n;
	int rc;

	if (fd < 0)
		return no_file(name, file, errno, e);
	if (fstat(fd, &st))
		return err_sys(e, errno, "secret %s: cannot stat %s", name, file);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "secret %s: %s is not a regular file", name, file);
	if (st.st_mode & 077)
		return err_set(e, E_PERM,
			       "secret %s: others may open %s (mode %04o): run chmod 600 %s", name,
			       file, (unsigned)(st.st_mode & 07777), file);
	n = fd_read_all(fd, text, sizeof(text));
	if (n < 0) {
		rc = err_sys(e, errno, "secret %s: cannot read %s", name, file);
	} else {
		if (n > 0 && text[n - 1] == '\n')
			n--;
		rc = set(s, name, file, text, (size_t)n, e);
	}
	explicit_bzero(text, sizeof(text));
	return rc;
}

void secret_free(struct secret *s)
{
	if (!s->value)
		return;
	forget(s);
	explicit_bzero(s->value, s->len);
	free(s->value);
	*s = (struct secret){0};
}

/* The longest known value that starts here, or NULL: one may be the prefix of another. */
static const struct known *match_known(const char *p, size_t n)
{
	const struct known *hit = NULL;

	if (!first[(unsigned char)*p])
		return NULL;
	for (size_t i = 0; i < known_len; i++) {
		const struct known *k = &known[i];

		if (k->len <= n && (!hit || k->len > hit->len) && !memcmp(p, k->value, k->len))
			hit = k;
	}
	return hit;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_token(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_';
}

/* Bearer values may hold more (RFC 6750 § 2.1: b64token). */
static bool is_b64token(char c)
{
	return is_token(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}

/* A well-known shape that starts here: *keep bytes stay, the return value counts bytes in all. */
static size_t match_shape(const char *p, size_t n, bool at_word, size_t *keep)
{
	static const char *const prefixes[] = {"sk-ant-", "xoxb-", "xoxp-", "xoxa-",
					       "xoxe-",	  "xoxr-", "xoxs-", "xapp-"};
	size_t len, end;

	*keep = 0;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		len = strlen(prefixes[i]);
		if (n < len + TAIL_MIN || memcmp(p, prefixes[i], len))
			continue;
		for (end = len; end < n && is_token(p[end]);)
			end++;
		if (end >= len + TAIL_MIN)
			return end;
	}
	if (n > 7 + TAIL_MIN && !strncasecmp(p, "Bearer ", 7)) {
		for (end = 7; end < n && is_b64token(p[end]);)
			end++;
		*keep = 7;
		if (end >= 7 + TAIL_MIN)
			return end;
	}
	/* Telegram: <bot id>:<35 characters>, also right behind "bot" in a URL */
	if (at_word && is_digit(*p)) {
		for (len = 0; len < n && is_digit(p[len]);)
			len++;
		if (len >= 6 && len <= 12 && len < n && p[len] == ':') {
			for (end = len + 1; end < n && is_token(p[end]);)
				end++;
			*keep = 0;
			if (end - len - 1 >= 30)
				return end;
		}
	}
	return 0;
}

/* Only these bytes can start a shape; all others skip the slow look. */
static bool may_start(char c)
{
	return c == 's' || c == 'x' || c == 'B' || c == 'b' || is_digit(c);
}

void redact(struct buf *out, const char *p, size_t n)
{
	size_t plain = 0, i = 0, len, keep;

	while (i < n) {
		const struct known *k = match_known(p + i, n - i);

		if (k) {
			buf_put(out, p + plain, i - plain);
			buf_putf(out, "[redacted:%s]", k->name);
			plain = i += k->len;
			continue;
		}
		len = may_start(p[i])
			      ? match_shape(p + i, n - i, i == 0 || !is_digit(p[i - 1]), &keep)
			      : 0;
		if (len) {
			buf_put(out, p + plain, i + keep - plain);
			buf_puts(out, "[redacted:token]");
			plain = i += len;
			continue;
		}
		i++;
	}
	buf_put(out, p + plain, n - plain);
}
