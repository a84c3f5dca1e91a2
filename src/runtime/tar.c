// SPDX-License-Identifier: Apache-2.0
/* See tar.h. The format: 512-byte blocks; a header, then the bytes, then zeroes to the next block; two blocks of zeroes at the end. */
#include "runtime/tar.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define BLOCK	512
#define PAX_MAX (3 * TAR_NAME_CAP)

/* Fields of a ustar header: offset and length. */
enum {
	NAME = 0,
	NAME_LEN = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	SIZE_LEN = 12,
	MTIME = 136,
	SUM = 148,
	TYPE = 156,
	TARGET = 157,
	MAGIC = 257,
};

bool tar_name_ok(const char *name)
{
	if (!name[0] || name[0] == '/' || strlen(name) >= TAR_NAME_CAP)
		return false;
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	}
	for (const char *p = name;;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (!p[n])
			return true;
		p += n + 1;
	}
}

/* --- writing ------------------------------------------------------------------------------ */

static int put(struct tar_writer *w, const void *p, size_t n, struct err *e)
{
	return fd_write_all(w->fd, p, n) < 0 ? err_sys(e, errno, "cannot write the archive") : 0;
}

static int fill(struct tar_writer *w, int64_t n, struct err *e)
{
	static const char zeroes[BLOCK];

	for (; n > 0; n -= BLOCK) {
		if (put(w, zeroes, n < BLOCK ? (size_t)n : BLOCK, e) < 0)
			return -1;
	}
	return 0;
}

static void octal(uint8_t *h, size_t at, size_t len, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", (int)len - 1, (unsigned long long)v);
	/* What does not fit stands in the pax header. */
	memcpy(h + at, text + strlen(text) - (len - 1), len - 1);
}

static unsigned sum_of(const uint8_t *h)
{
	unsigned sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= SUM && i < SUM + 8 ? ' ' : h[i];
	return sum;
}

static int put_header(struct tar_writer *w, const struct tar_entry *t, char type, int64_t size,
		      struct err *e)
{
	uint8_t h[BLOCK] = {0};
	char text[8];

	memcpy(h + NAME, t->name, strnlen(t->name, NAME_LEN));
	octal(h, MODE, 8, t->mode & 07777);
	octal(h, UID, 8, t->uid & 07777777);
	octal(h, GID, 8, t->gid & 07777777);
	octal(h, SIZE, SIZE_LEN, (uint64_t)size & 077777777777);
	octal(h, MTIME, 12, t->mtime_s > 0 ? (uint64_t)t->mtime_s & 077777777777 : 0);
	h[TYPE] = (uint8_t)type;
	if (type == '2')
		memcpy(h + TARGET, t->target, strnlen(t->target, NAME_LEN));
	memcpy(h + MAGIC, "ustar\00000", 8);
	snprintf(text, sizeof(text), "%06o", sum_of(h));
	memcpy(h + SUM, text, 7);
	h[SUM + 7] = ' ';
	return put(w, h, BLOCK, e);
}

/* "LENGTH key=value\n", where LENGTH counts itself. */
static void pax_record(struct buf *out, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;

	while (rest + (size_t)snprintf(NULL, 0, "%zu", n) != n)
		n = rest + (size_t)snprintf(NULL, 0, "%zu", n);
	buf_putf(out, "%zu %s=%s\n", n, key, value);
}

static int put_pax(struct tar_writer *w, const struct tar_entry *t, struct err *e)
{
	static const struct tar_entry head = {.name = "pax", .mode = 0600};
	_cleanup_(buf_free) struct buf text = {0};
	char number[24];

	if (strlen(t->name) > NAME_LEN)
		pax_record(&text, "path", t->name);
	if (t->type == TAR_LINK && strlen(t->target) > NAME_LEN)
		pax_record(&text, "linkpath", t->target);
	if (t->type == TAR_FILE && t->size > 077777777777) {
		snprintf(number, sizeof(number), "%lld", (long long)t->size);
		pax_record(&text, "size", number);
	}
	if (!text.len)
		return 0;
	if (put_header(w, &head, 'x', (int64_t)text.len, e) < 0 || put(w, text.p, text.len, e) < 0)
		return -1;
	return fill(w, -(int64_t)text.len & (BLOCK - 1), e);
}

int tar_begin(struct tar_writer *w, const struct tar_entry *t, struct err *e)
{
	static const char types[] = {[TAR_FILE] = '0', [TAR_FOLDER] = '5', [TAR_LINK] = '2'};

	w->left = w->size = t->type == TAR_FILE ? t->size : 0;
	if (put_pax(w, t, e) < 0)
		return -1;
	return put_header(w, t, types[t->type], w->size, e);
}

int tar_write(struct tar_writer *w, const void *p, size_t n, struct err *e)
{
	if ((int64_t)n > w->left)
		n = (size_t)w->left;
	w->left -= (int64_t)n;
	return put(w, p, n, e);
}

int tar_end(struct tar_writer *w, struct err *e)
{
	int64_t missing = w->left;

	w->left = 0;
	return fill(w, missing + (-w->size & (BLOCK - 1)), e);
}

int tar_finish(struct tar_writer *w, struct err *e)
{
	return fill(w, (int64_t)2 * BLOCK, e);
}

/* --- reading ------------------------------------------------------------------------------ */

/* All n bytes, or -1; *got: how many before the end. */
static int take(struct tar_reader *r, void *p, size_t n, size_t *got, struct err *e)
{
	ssize_t k = fd_read_all(r->fd, p, n);

	*got = k < 0 ? 0 : (size_t)k;
	return k < 0 ? err_sys(e, errno, "cannot read the archive") : 0;
}

static int take_all(struct tar_reader *r, void *p, size_t n, struct err *e)
{
	size_t got;

	if (take(r, p, n, &got, e) < 0)
		return -1;
	return got == n ? 0 : err_set(e, E_INVAL, "the archive ends in the middle");
}

static int skip(struct tar_reader *r, int64_t n, struct err *e)
{
	char waste[4096];

	while (n > 0) {
		size_t k = n < (int64_t)sizeof(waste) ? (size_t)n : sizeof(waste);

		if (take_all(r, waste, k, e) < 0)
			return -1;
		n -= (int64_t)k;
	}
	return 0;
}

static int number(const uint8_t *h, size_t at, size_t len, int64_t *out, struct err *e)
{
	int64_t v = 0;
	size_t i = 0;

	while (i < len && h[at + i] == ' ')
		i++;
	for (; i < len && h[at + i] >= '0' && h[at + i] <= '7'; i++)
		v = v * 8 + (h[at + i] - '0');
	if (i < len && h[at + i] != '\0' && h[at + i] != ' ')
		return err_set(e, E_INVAL, "the archive has a number that is none");
	*out = v;
	return 0;
}

/* Takes the records that we know out of a pax header. */
static int parse_pax(const char *p, size_t n, struct tar_entry *t, int64_t *size, struct err *e)
{
	while (n) {
		char *end;
		unsigned long len = p[0] >= '1' && p[0] <= '9' ? strtoul(p, &end, 10) : 0;
		const char *key, *eq;
		_cleanup_free_ char *value = NULL;

		if (len < 5 || len > n || *end != ' ' || p[len - 1] != '\n')
			return err_set(e, E_INVAL, "the archive has a broken extended header");
		key = end + 1;
		eq = memchr(key, '=', (size_t)(p + len - 1 - key));
		if (!eq || memchr(eq, '\0', (size_t)(p + len - eq)))
			return err_set(e, E_INVAL, "the archive has a broken extended header");
		value = xasprintf("%.*s", (int)(p + len - 1 - eq - 1), eq + 1);
		if (str_starts(key, "path=") && !str_copy(t->name, sizeof(t->name), value))
			return err_set(e, E_INVAL, "a name in the archive is too long");
		if (str_starts(key, "linkpath=") && !str_copy(t->target, sizeof(t->target), value))
			return err_set(e, E_INVAL, "a link in the archive is too long");
		if (str_starts(key, "size=") && str_to_i64(value, 0, INT64_MAX / 4, size, e) < 0)
			return -1;
		n -= len;
		p += len;
	}
	return 0;
}

static int read_pax(struct tar_reader *r, int64_t len, struct tar_entry *t, int64_t *size,
		    struct err *e)
{
	_cleanup_free_ char *text = NULL;

	if (len <= 0 || len > PAX_MAX)
		return err_set(e, E_INVAL, "the archive has an extended header of %lld bytes",
			       (long long)len);
	text = xcalloc(1, (size_t)len + 1);
	if (take_all(r, text, (size_t)len, e) < 0 || skip(r, -len & (BLOCK - 1), e) < 0)
		return -1;
	return parse_pax(text, (size_t)len, t, size, e);
}

/* One header block: 1, at the end 0. */
static int read_header(struct tar_reader *r, uint8_t h[BLOCK], struct err *e)
{
	static const uint8_t zeroes[BLOCK];
	int64_t sum;
	size_t got;

	if (take(r, h, BLOCK, &got, e) < 0)
		return -1;
	if (got == BLOCK && memcmp(h, zeroes, BLOCK) == 0)
		return 0;
	if (got != BLOCK)
		return err_set(e, E_INVAL, "the archive ends in the middle");
	if (number(h, SUM, 8, &sum, e) < 0)
		return -1;
	if (memcmp(h + MAGIC, "ustar", 5) != 0 || sum != (int64_t)sum_of(h))
		return err_set(e, E_INVAL, "this is no archive of ours, or it is damaged");
	return 1;
}

static int fill_in(struct tar_entry *t, const uint8_t *h, int64_t size, struct err *e)
{
	int64_t mode, uid, gid;
	size_t n;

	if (number(h, MODE, 8, &mode, e) < 0 || number(h, UID, 8, &uid, e) < 0 ||
	    number(h, GID, 8, &gid, e) < 0 || number(h, MTIME, 12, &t->mtime_s, e) < 0)
		return -1;
	if (h[345] && !t->name[0])
		return err_set(e, E_INVAL, "the archive was not written by chela");
	if (!t->name[0])
		snprintf(t->name, sizeof(t->name), "%.*s", NAME_LEN, (const char *)h + NAME);
	if (!t->target[0])
		snprintf(t->target, sizeof(t->target), "%.*s", NAME_LEN, (const char *)h + TARGET);
	t->mode = (mode_t)(mode & 0777);
	t->uid = (uid_t)uid;
	t->gid = (gid_t)gid;
	t->size = size;
	n = strlen(t->name);
	if (t->type == TAR_FOLDER && n > 1 && t->name[n - 1] == '/')
		t->name[n - 1] = '\0';
	if (!tar_name_ok(t->name))
		return err_set(e, E_INVAL, "the archive names a place outside of it: %.100s",
			       t->name);
	return 0;
}

int tar_next(struct tar_reader *r, struct tar_entry *t, struct err *e)
{
	uint8_t h[BLOCK];
	int64_t size, long_size = -1;
	int rc;

	if (skip(r, r->left + r->pad, e) < 0)
		return -1;
	r->left = r->pad = 0;
	memset(t, 0, sizeof(*t));
	for (int extended = 0;; extended++) {
		rc = read_header(r, h, e);
		if (rc <= 0)
			return rc;
		if (number(h, SIZE, SIZE_LEN, &size, e) < 0)
			return -1;
		if (h[TYPE] != 'x')
			break;
		if (extended)
			return err_set(e, E_INVAL, "the archive has two extended headers in a row");
		if (read_pax(r, size, t, &long_size, e) < 0)
			return -1;
	}
	if (h[TYPE] != '0' && h[TYPE] != '5' && h[TYPE] != '2')
		return err_set(e, E_INVAL, "the archive holds something that is no file (type %d)",
			       h[TYPE]);
	t->type = h[TYPE] == '5' ? TAR_FOLDER : h[TYPE] == '2' ? TAR_LINK : TAR_FILE;
	if (long_size >= 0)
		size = long_size;
	if (t->type != TAR_FILE && size)
		return err_set(e, E_INVAL, "the archive is damaged");
	if (fill_in(t, h, size, e) < 0)
		return -1;
	r->left = size;
	r->pad = -size & (BLOCK - 1);
	return 1;
}

ssize_t tar_read(struct tar_reader *r, void *p, size_t n, struct err *e)
{
	if ((int64_t)n > r->left)
		n = (size_t)r->left;
	if (n && take_all(r, p, n, e) < 0)
		return -1;
	r->left -= (int64_t)n;
	return (ssize_t)n;
}
