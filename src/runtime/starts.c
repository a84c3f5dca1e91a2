// SPDX-License-Identifier: Apache-2.0
/* See starts.h. The file is one line of numbers and a last line of words, written beside and moved into place. */
#include "runtime/starts.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"

#define FILE_CAP 1024

/* One number; the text goes on behind it. */
static bool take_number(const char **p, int64_t *out)
{
	struct err e = ERR_INIT;
	char word[24];
	size_t n = strcspn(*p, " \n");

	if (!n || n >= sizeof(word))
		return false;
	snprintf(word, sizeof(word), "%.*s", (int)n, *p);
	*p += n + ((*p)[n] == ' ');
	return str_to_i64(word, 0, INT64_MAX / 2, out, &e) == 0;
}

static bool parse(struct starts *s, const char *p)
{
	int64_t at;

	if (!str_starts(p, "1 "))
		return false; /* of another version */
	p += 2;
	if (!take_number(&p, &s->began_ms) || !take_number(&p, &s->waits) ||
	    !take_number(&p, &s->total))
		return false;
	while (*p && *p != '\n' && s->n < STARTS_MAX) {
		if (!take_number(&p, &at))
			return false;
		s->crashes[s->n++] = at;
	}
	if (*p != '\n')
		return false;
	str_copy(s->why, sizeof(s->why), p + 1);
	s->why[strcspn(s->why, "\n")] = '\0';
	return str_is_utf8(s->why, strlen(s->why));
}

void starts_load(struct starts *s, const char *file)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[FILE_CAP];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	*s = (struct starts){0};
	if (n < 0)
		return;
	text[n] = '\0';
	if (!parse(s, text))
		*s = (struct starts){0};
}

int starts_save(const struct starts *s, const char *file, struct err *e)
{
	_cleanup_free_ char *tmp = xasprintf("%s.new", file);
	_cleanup_(buf_free) struct buf text = {0};
	_cleanup_close_ int fd = -1;

	buf_putf(&text, "1 %lld %lld %lld", (long long)s->began_ms, (long long)s->waits,
		 (long long)s->total);
	for (int i = 0; i < s->n; i++)
		buf_putf(&text, " %lld", (long long)s->crashes[i]);
	buf_putf(&text, "\n%s\n", s->why);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot write %s", tmp);
	if (write(fd, text.p, text.len) != (ssize_t)text.len || rename(tmp, file) < 0)
		return err_sys(e, errno, "cannot write %s", file);
	return 0;
}

/* Those of the last window stay; a clock that was set back makes the rest of no use. */
static void forget_old(struct starts *s, int64_t now)
{
	int kept = 0;

	for (int i = 0; i < s->n; i++) {
		if (s->crashes[i] <= now && now - s->crashes[i] < STARTS_WINDOW_MS)
			s->crashes[kept++] = s->crashes[i];
	}
	s->n = kept;
}

static void forget_if_good(struct starts *s, int64_t now)
{
	if (s->began_ms && now - s->began_ms >= STARTS_GOOD_MS) {
		s->n = 0;
		s->waits = s->total = 0;
	}
}

void starts_crash(struct starts *s, int64_t now, int64_t max, const char *why)
{
	forget_if_good(s, now);
	s->began_ms = 0;
	s->total++;
	forget_old(s, now);
	if (s->n == STARTS_MAX)
		memmove(s->crashes, s->crashes + 1, sizeof(s->crashes[0]) * --s->n);
	s->crashes[s->n++] = now;
	snprintf(s->why, sizeof(s->why), "%s", why);
	/* Once it was too much, each further one is, until a run was good: waiting alone mends nothing. */
	if (max && (s->waits || s->n > max))
		s->waits++;
}

void starts_begin(struct starts *s, int64_t now, int64_t max)
{
	if (s->began_ms)
		starts_crash(s, now, max, "it was killed, or the machine stopped");
	s->began_ms = now;
}

void starts_end(struct starts *s, int64_t now)
{
	forget_if_good(s, now);
	s->began_ms = 0;
}

int64_t starts_wait_ms(const struct starts *s, int64_t first)
{
	int64_t wait = first;

	if (!s->waits)
		return 0;
	for (int64_t i = 1; i < s->waits && wait < STARTS_WAIT_MAX; i++)
		wait *= 2;
	return wait < STARTS_WAIT_MAX ? wait : STARTS_WAIT_MAX;
}
