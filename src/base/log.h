// SPDX-License-Identifier: Apache-2.0
/*
 * One line per event, logfmt: `ts=... level=info comp=warden msg="started" key=value ...`, to
 * stderr (the service manager or the start script keeps it). Every line passes the redactor (base/redact.h)
 * before it is written, so a secret that slips into a format argument still does not get out.
 * The logger is the one process-wide object besides the clock: set up by main, read by all.
 */
#ifndef CHELA_BASE_LOG_H
#define CHELA_BASE_LOG_H
#include <stddef.h>

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR
};

struct log_opts {
	int fd;		      /* where lines go; default 2 */
	enum log_level level; /* lowest level written */
};
void log_init(const struct log_opts *o);
/* Keeps the newest lines of this process in memory (redacted and made harmless as they were written), at most 500 and 128 KiB, for log_each. */
void log_keep(void);
/* The kept lines, oldest first, without newlines; borrowed for the call, which must not log. */
typedef void log_line_fn(void *ctx, const char *line, size_t n);
void log_each(log_line_fn *fn, void *ctx);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
int log_level_parse(const char *word); /* -1 when unknown */

/* comp: the module ("door"); msg: a fixed phrase; fmt: logfmt pairs, such as "group=%s ms=%lld". Values with
 * spaces must be passed through log_quote or put in %s with quotes by the caller; control
 * characters are escaped by the logger. */
void log_write(enum log_level level, const char *comp, const char *msg, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Writes s as a quoted logfmt value to dst (cut to fit) and returns dst. */
const char *log_quote(char *dst, size_t cap, const char *s);
#define log_debug(comp, msg, ...) log_write(LOG_DEBUG, comp, msg, __VA_ARGS__)
#define log_info(comp, msg, ...)  log_write(LOG_INFO, comp, msg, __VA_ARGS__)
#define log_warn(comp, msg, ...)  log_write(LOG_WARN, comp, msg, __VA_ARGS__)
#define log_error(comp, msg, ...) log_write(LOG_ERROR, comp, msg, __VA_ARGS__)
/* A bug of ours: logged as error with file and line; aborts in debug and sanitizer builds. */
#define log_oops(...) log_oops_at(__FILE__, __LINE__, __VA_ARGS__)
void log_oops_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
