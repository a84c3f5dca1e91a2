// SPDX-License-Identifier: Apache-2.0
/*
 * The log: builds one logfmt line, redacts it, makes it one line and writes it with one write(2),
 * so lines of several processes on one descriptor do not mix. A line that cannot be written is
 * lost: the log must never stop the server.
 */
#include "base/log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log_file.h"
#include "base/redact.h"
#include "base/str.h"

#define LINE_CAP ((size_t)4096)

static const char *const words[] = {"debug", "info", "warn", "error"};
static struct log_opts opts = {.fd = 2, .level = LOG_INFO};

/* The newest lines. A part of the log, which is the process's own object. */
#define KEPT_LINES 500
#define KEPT_BYTES ((size_t)128 << 10)
static struct {
	bool on;
	char *lines[KEPT_LINES];
	size_t first, n, bytes;
} kept;

void log_keep(void)
{
	kept.on = true;
}

static void keep(const char *p, size_t n)
{
	while (kept.n && (kept.n == KEPT_LINES || kept.bytes + n > KEPT_BYTES)) {
		char **oldest = &kept.lines[kept.first];

		kept.bytes -= strlen(*oldest);
		free(steal_ptr(oldest));
		kept.first = (kept.first + 1) % KEPT_LINES;
		kept.n--;
	}
	kept.lines[(kept.first + kept.n++) % KEPT_LINES] = xstrndup(p, n);
	kept.bytes += n;
}

void log_each(log_line_fn *fn, void *ctx)
{
	for (size_t i = 0; i < kept.n; i++) {
		const char *line = kept.lines[(kept.first + i) % KEPT_LINES];

		fn(ctx, line, strlen(line));
	}
}

void log_init(const struct log_opts *o)
{
	opts = *o;
}

void log_set_level(enum log_level level)
{
	opts.level = level;
}

enum log_level log_get_level(void)
{
	return opts.level;
}

int log_level_parse(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (streq(word, words[i]))
			return (int)i;
	}
	return -1;
}

/* Appends text with what could break a line or a terminal escaped. */
static void put_clean(struct buf *out, const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i];
		size_t len = str_utf8_seq(p + i, n - i);
		/* C1 controls (U+0080 to U+009F) move terminals just as ESC does */
		bool c1 = len == 2 && c == 0xc2 && (unsigned char)p[i + 1] < 0xa0;

		if (len && c >= 0x20 && c != 0x7f && !c1) {
			buf_put(out, p + i, len);
			i += len;
			continue;
		}
		if (c == '\n')
			buf_puts(out, "\\n");
		else
			buf_putf(out, "\\x%02x", c);
		i++;
	}
}

static void write_line(const char *p, size_t n)
{
	if (opts.fd == 2)
		log_file_room(n);
	(void)!fd_write_all(opts.fd, p, n);
}

__attribute__((format(printf, 4, 0))) static void
write_va(enum log_level level, const char *comp, const char *msg, const char *fmt, va_list ap)
{
	_cleanup_free_ char *pairs = NULL;
	_cleanup_(buf_free) struct buf line = {0}, safe = {0};
	char ts[25];
	int n;

	n = vasprintf(&pairs, fmt, ap);
	if (n < 0)
		die("out of memory");
	clock_format(clock_wall(&clock_system), ts);
	buf_putf(&line, "ts=%s level=%s comp=%s msg=\"%s\"%s", ts, words[level], comp, msg,
		 n ? " " : "");
	/* redact before anything is cut or escaped: half a secret would not be recognised */
	redact(&line, pairs, (size_t)n);
	put_clean(&safe, line.p, line.len);
	if (safe.len > LINE_CAP) {
		safe.len = str_utf8_floor(safe.p, LINE_CAP);
		buf_puts(&safe, "...");
	}
	if (kept.on)
		keep(safe.p, safe.len);
	buf_puts(&safe, "\n");
	write_line(safe.p, safe.len);
}

void log_write(enum log_level level, const char *comp, const char *msg, const char *fmt, ...)
{
	int keep = errno;
	va_list ap;

	if (level < opts.level)
		return;
	va_start(ap, fmt);
	write_va(level, comp, msg, fmt, ap);
	va_end(ap);
	errno = keep;
}

const char *log_quote(char *dst, size_t cap, const char *s)
{
	size_t n = 0, len;

	if (cap < 3) {
		if (cap)
			dst[0] = '\0';
		return dst;
	}
	dst[n++] = '"';
	for (; *s; s += len) {
		bool esc = *s == '"' || *s == '\\';

		len = str_utf8_seq(s, strnlen(s, 4));
		if (!len)
			len = 1; /* the writer escapes what is not UTF-8 */
		if (n + esc + len + 2 > cap)
			break;
		if (esc)
			dst[n++] = '\\';
		memcpy(dst + n, s, len);
		n += len;
	}
	dst[n++] = '"';
	dst[n] = '\0';
	return dst;
}

void log_oops_at(const char *file, int line, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	log_write(LOG_ERROR, "bug", "this should not happen", "at=%s:%d what=\"%s\"", file, line,
		  text);
#ifdef CHELA_ABORT_ON_BUG
	abort();
#endif
}
