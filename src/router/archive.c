// SPDX-License-Identifier: Apache-2.0
/*
 * Writing conversations down, see archive.h. From our own history, so that it does not depend on what the agent makes of its files. The folder is the agent's:
 * nothing that is there is trusted, followed or overwritten, and only files named as ours are ever removed.
 */
#include "router/archive.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "base/zone.h"
#include "router/inbox.h"
#include "router/workspace.h"
#include "runtime/sync.h"

#define FOLDER	    "conversations"
#define STEP_MS	    2
#define FIRST_STEPS 4	  /* looked through at once, to know whether there is anything */
#define TEXT_MAX    16000 /* bytes of one message */
#define SAME_MINUTE 99	  /* files of one minute */
#define LOOKED_AT   10000 /* names in the folder */

struct archive {
	struct archive *next;
	struct router *r;
	struct group_row g;
	struct zone *tz; /* borrowed from nobody: opened for this */
	int64_t at, bytes;
	int dir, fd;
	char leaf[32], name[ARCHIVE_NAME];
	struct buf text; /* not written yet */
	struct sync
		*sync; /* a file that is whole, on its way to the disk: nothing goes on before */
	bool all;      /* nothing more is to be written */
	struct timer *step;
};

/* --- names -------------------------------------------------------------------------------- */

/* What a file of ours can be called: "2026-11-21-2130.md", "2026-11-21-2130-2.md". */
static bool is_ours(const char *leaf)
{
	static const char shape[] = "0000-00-00-0000";
	size_t i = 0;

	for (; shape[i]; i++) {
		if (shape[i] == '0' ? leaf[i] < '0' || leaf[i] > '9' : leaf[i] != shape[i])
			return false;
	}
	if (leaf[i] == '-') {
		size_t n = strspn(leaf + i + 1, "0123456789");

		i += 1 + (n >= 1 && n <= 2 ? n : 90);
	}
	return i < 20 && streq(leaf + i, ".md");
}

static void minute(const struct archive *a, char out[20])
{
	int64_t now = clock_wall(a->r->o.clk) / 1000;
	char full[25];

	clock_format((now + (a->tz ? zone_offset(a->tz, now, NULL) : 0)) * 1000, full);
	snprintf(out, 20, "%.10s-%.2s%.2s", full, full + 11, full + 14);
}

static int open_file(struct archive *a, struct err *e)
{
	char when[20];

	minute(a, when);
	for (int n = 1; n <= SAME_MINUTE && a->fd < 0; n++) {
		char more[8] = "";

		if (n > 1)
			snprintf(more, sizeof(more), "-%d", n);
		snprintf(a->leaf, sizeof(a->leaf), "%.16s%.4s.md", when, more);
		a->fd = workspace_create(a->dir, a->leaf);
		if (a->fd < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make " FOLDER "/%s", a->leaf);
	}
	if (a->fd < 0)
		return err_set(e, E_LIMIT, "there are %d archives of this minute already",
			       SAME_MINUTE);
	snprintf(a->name, sizeof(a->name), FOLDER "/%s", a->leaf);
	a->bytes = 0;
	return 0;
}

/* --- words -------------------------------------------------------------------------------- */

/* Each line is quoted, so that none of a text can pass for the head of another message. */
static void put_quoted(struct buf *out, const char *p, size_t n)
{
	const char *end = p + n;

	do {
		const char *from = p;

		while (p < end && !inbox_line_end(p, end))
			p++;
		buf_puts(out, "> ");
		buf_put(out, from, (size_t)(p - from));
		buf_puts(out, "\n");
		if (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
			p++;
		p += p < end ? inbox_line_end(p, end) : 0;
	} while (p < end);
}

static void add_message(void *ctx, const struct msg_row *m)
{
	struct archive *a = ctx;
	char who[64], when[40];
	size_t n = m->text_len;

	if (n > TEXT_MAX)
		n = str_utf8_floor(m->text, TEXT_MAX);
	str_one_line(who, sizeof(who),
		     m->notice		 ? "(server)"
		     : m->dir == MSG_OUT ? "(assistant)"
		     : m->sender[0] != 0 ? m->sender
					 : "someone");
	for (char *p = who; m->dir == MSG_IN && *p; p++)
		*p = strchr("()#", *p) ? ' ' : *p;
	inbox_put_time(m->sent_ms, a->tz, when);
	buf_putf(&a->text, "\n## %s, %s\n", who, when);
	put_quoted(&a->text, m->text, n);
	if (n < m->text_len)
		buf_puts(&a->text, "> [...]\n");
}

/* --- keeping the folder small ------------------------------------------------------------- */

struct found {
	char leaf[32];
	int64_t bytes;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)b)->leaf, ((const struct found *)a)->leaf);
}

static size_t look(int dir, struct found *list, size_t cap)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;
	struct stat st;
	size_t n = 0;

	if (!d) {
		if (copy >= 0)
			close(copy);
		return 0;
	}
	for (size_t seen = 0; n < cap && seen < LOOKED_AT && (de = readdir(d)); seen++) {
		if (!is_ours(de->d_name) ||
		    fstatat(dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		str_copy(list[n].leaf, sizeof(list[n].leaf), de->d_name);
		list[n++].bytes = st.st_size;
	}
	closedir(d);
	return n;
}

/* The newest stay: so many files, so many bytes. */
static void prune(int dir)
{
	size_t cap = (size_t)ARCHIVE_FILES * 4;
	_cleanup_free_ struct found *list = xcalloc(cap, sizeof(*list));
	size_t n = look(dir, list, cap);
	int64_t bytes = 0;

	qsort(list, n, sizeof(*list), by_name);
	for (size_t i = 0; i < n; i++) {
		bytes += list[i].bytes;
		if (i && (i >= ARCHIVE_FILES || bytes > ARCHIVE_BYTES) &&
		    unlinkat(dir, list[i].leaf, 0) < 0)
			log_warn("archive", "an old one stays", "file=%s why=\"%s\"", list[i].leaf,
				 strerror(errno));
	}
}

/* --- steps -------------------------------------------------------------------------------- */

static void archive_free(struct archive *a)
{
	struct archive **p = &a->r->archives;

	while (*p && *p != a)
		p = &(*p)->next;
	if (*p)
		*p = a->next;
	if (a->fd >= 0) {
		unlinkat(a->dir, a->leaf, 0);
		close(a->fd);
	}
	if (a->dir >= 0)
		close(a->dir);
	sync_cancel(a->sync);
	zone_close(a->tz);
	timer_free(a->step);
	buf_free(&a->text);
	free(a);
}

static void on_synced(void *ctx, const struct err *why)
{
	struct archive *a = ctx;

	a->sync = NULL;
	if (!why) {
		timer_start(a->step, 0, 0);
		return;
	}
	unlinkat(a->dir, a->leaf, 0);
	log_warn("archive", "not written", "group=%s why=\"%s\"", a->g.name, why->msg);
	archive_free(a);
}

/* The file is whole: the agent may have it. The store says that it is there once the disk has it. */
static int publish(struct archive *a, struct err *e)
{
	if (workspace_give(a->fd, e) < 0)
		return -1;
	a->sync = sync_start(a->r->loop, a->fd, a->dir, on_synced, a, e);
	if (!a->sync)
		return -1;
	log_info("archive", "written", "group=%s file=%s bytes=%lld", a->g.name, a->name,
		 (long long)a->bytes);
	close(a->fd);
	a->fd = -1;
	return 0;
}

static int write_text(struct archive *a, struct err *e)
{
	if (!a->text.len)
		return 0;
	if (a->fd < 0 && open_file(a, e) < 0)
		return -1;
	if (fd_write_all(a->fd, a->text.p, a->text.len) < 0)
		return err_sys(e, errno, "cannot write " FOLDER "/%s", a->leaf);
	a->bytes += (int64_t)a->text.len;
	buf_reset(&a->text);
	return a->bytes >= ARCHIVE_FILE_BYTES ? publish(a, e) : 0;
}

static int read_some(struct archive *a, bool *done, struct err *e)
{
	size_t before = a->text.len;

	if (store_group_messages(a->r->store, a->g.id, &a->at, done, add_message, a, e) < 0)
		return -1;
	if (a->fd < 0 && !before && a->text.len) {
		struct buf head = {0};

		buf_putf(&head, "# What was said in the group %s\n", a->g.name);
		buf_put(&head, a->text.p, a->text.len);
		buf_free(&a->text);
		a->text = head;
	}
	return 0;
}

static int write_some(struct archive *a, struct err *e)
{
	if (write_text(a, e) < 0)
		return -1;
	if (a->sync)
		return 0;
	if (read_some(a, &a->all, e) < 0 || (a->all && write_text(a, e) < 0))
		return -1;
	/* One that nothing came into goes again. */
	return a->all && a->fd >= 0 && a->bytes ? publish(a, e) : 0;
}

static int finish(struct archive *a, struct err *e)
{
	prune(a->dir);
	return store_archived_set(a->r->store, a->g.id, a->at, e);
}

static void on_step(void *ctx)
{
	struct archive *a = ctx;
	struct router *r = a->r;
	struct err e = ERR_INIT;
	bool done = a->all;
	int rc;

	if (r->fatal)
		return;
	rc = done ? finish(a, &e) : write_some(a, &e);
	if (rc < 0 && store_broken(r->store)) {
		router_fatal(r, &e);
		return;
	}
	if (rc < 0)
		log_warn("archive", "not written", "group=%s why=\"%s\"", a->g.name, e.msg);
	if (rc < 0 || done)
		archive_free(a);
	else if (!a->sync)
		timer_start(a->step, STEP_MS, 0);
}

/* --- the beginning ------------------------------------------------------------------------ */

static struct archive *archive_new(struct router *r, const struct group_row *g)
{
	struct archive *a = xcalloc(1, sizeof(*a));
	struct err none = ERR_INIT;

	*a = (struct archive){.next = r->archives, .r = r, .g = *g, .dir = -1, .fd = -1};
	a->step = timer_new(r->loop, "archive", on_step, a);
	a->tz = zone_open(settings_get(r, g->id)->zone, &none);
	r->archives = a;
	return a;
}

static int begin(struct archive *a, bool *empty, struct err *e)
{
	_cleanup_close_ int own = -1;
	bool done = false;

	*empty = false;
	if (store_archived(a->r->store, a->g.id, &a->at, e) < 0)
		return -1;
	for (int i = 0; i < FIRST_STEPS && !done && !a->text.len; i++) {
		if (read_some(a, &done, e) < 0)
			return -1;
	}
	if (done && !a->text.len) {
		*empty = true;
		return store_archived_set(a->r->store, a->g.id, a->at, e);
	}
	own = workspace_open(a->r->o.cfg->home, a->g.name, true, e);
	a->dir = own < 0 ? -1 : workspace_folder(own, FOLDER, true, e);
	if (a->dir < 0 || open_file(a, e) < 0)
		return -1;
	timer_start(a->step, STEP_MS, 0);
	return 0;
}

int archive_start(struct router *r, const struct group_row *g, char name[ARCHIVE_NAME],
		  struct err *e)
{
	struct archive *a = r->archives;
	bool empty;

	name[0] = '\0';
	while (a && a->g.id != g->id)
		a = a->next;
	if (a) {
		str_copy(name, ARCHIVE_NAME, a->name);
		return 0;
	}
	a = archive_new(r, g);
	if (begin(a, &empty, e) < 0) {
		archive_free(a);
		return -1;
	}
	if (empty)
		archive_free(a);
	else
		str_copy(name, ARCHIVE_NAME, a->name);
	return 0;
}

void archive_note(struct router *r, const struct group_row *g, char name[ARCHIVE_NAME])
{
	struct err e = ERR_INIT;

	if (archive_start(r, g, name, &e) == 0)
		return;
	name[0] = '\0';
	if (store_broken(r->store))
		router_fatal(r, &e);
	else
		log_warn("archive", "not written", "group=%s why=\"%s\"", g->name, e.msg);
}

void archive_close(struct router *r)
{
	while (r->archives)
		archive_free(r->archives);
}
