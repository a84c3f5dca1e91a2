// SPDX-License-Identifier: Apache-2.0
/*
 * Senders: who writes, as each platform names them. A platform may know one person by two ids (WhatsApp: LID and phone number); rows that
 * name each other always belong to the same person, in whatever order they came. A stranger can make rows here, so their number has a bound.
 */
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "store/impl.h"
#include "store/people_impl.h"

#define SENDER_COLUMNS                                                                             \
	"SELECT s.id, coalesce(s.person_id, 0), s.refused, s.seen_ms, s.channel, s.platform_id,"   \
	" s.alt, s.name FROM senders s "

SQL_TELL(sender, &row.id, &row.person_id, &row.refused, &row.seen_ms, &row.channel,
	 &row.platform_id, &row.alt, &row.name)

/* --- two ids of one person ---------------------------------------------------------------- */

#define TWINS_MAX 16

/* The sender itself and those that it names, or that name it; unless one of the two names a third by now. */
static int twins(struct store *st, int64_t id, struct twin out[TWINS_MAX], size_t *n, struct err *e)
{
	static const char sql[] =
		"SELECT s.id, coalesce(s.person_id, 0) FROM senders m JOIN senders s"
		" ON s.channel = m.channel WHERE m.id = ?1 AND (s.id = m.id"
		" OR (s.platform_id = m.alt AND s.alt IN ('', m.platform_id))"
		" OR (s.alt <> '' AND s.alt = m.platform_id AND m.alt IN ('', s.platform_id)))"
		" ORDER BY s.id";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, ARGS(id), e);
	struct twin t;
	int rc = s ? 0 : -1;

	for (*n = 0; *n < TWINS_MAX && (rc = sql_row(st, s, COLS(&t.id, &t.person_id), e)) > 0;)
		out[(*n)++] = t;
	return rc < 0 ? -1 : 0;
}

static int give(struct store *st, int64_t id, int64_t person_id, struct err *e)
{
	return sql_run(st, "UPDATE senders SET person_id = ?2 WHERE id = ?1", ARGS(id, person_id),
		       e);
}

int store_sender_give(struct store *st, int64_t id, int64_t person_id, struct err *e)
{
	struct twin t[TWINS_MAX];
	size_t n;

	if (twins(st, id, t, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (t[i].person_id != person_id && give(st, t[i].id, person_id, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++) {
		if (t[i].person_id && t[i].person_id != person_id &&
		    store_person_melt(st, t[i].person_id, person_id, e) < 0)
			return -1;
	}
	return 0;
}

/* What was learned just now may show that this sender is somebody whom we know. */
static int recognise(struct store *st, int64_t id, struct err *e)
{
	struct twin t[TWINS_MAX];
	int64_t person = 0;
	size_t n;

	if (twins(st, id, t, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (t[i].person_id && (!person || t[i].person_id < person))
			person = t[i].person_id;
	}
	return person ? store_sender_give(st, id, person, e) : 0;
}

/* --- what a platform says ----------------------------------------------------------------- */

/* Whether what is known of a sender differs from what the platform says now. A text is asked for only when it matters: that may cost an allocation, and
 * this is done for each message. */
static bool is_news(const char *now, sqlite3_stmt *s, int col)
{
	return now && now[0] && !streq(now, (const char *)sqlite3_column_text(s, col));
}

/* A telephone number goes to somebody else when it is given up; the account behind it (at WhatsApp: the LID) does not. */
static bool is_another(const char *now, sqlite3_stmt *s, int col)
{
	const char *was = (const char *)sqlite3_column_text(s, col), *mark = "@lid";
	size_t n = strlen(was), k = strlen(now), m = strlen(mark);

	return n > m && k > m && streq(was + n - m, mark) && streq(now + k - m, mark);
}

/* Whoever has the number now is not the person who had it; but nobody sheds being blocked so. */
static int part(struct store *st, int64_t id, struct err *e)
{
	static const char sql[] =
		"UPDATE senders SET person_id = NULL WHERE id = ?1 AND person_id IS NOT NULL"
		" AND NOT EXISTS (SELECT 1 FROM roles r WHERE r.person_id = senders.person_id"
		"  AND r.role < 0)";
	int n = sql_changed(st, sql, ARGS(id), e);

	if (n > 0)
		log_warn("people", "an identity belongs to another account now, so to nobody",
			 "sender=%lld", (long long)id);
	return n < 0 ? -1 : 0;
}

/* A stranger's row that was given up (store_sender_refused) becomes this one's. */
static int take_free(struct store *st, const char *channel, const char *platform_id,
		     const char *name, const char *alt, int64_t *id, struct err *e)
{
	static const char sql[] =
		"UPDATE senders SET channel = ?1, platform_id = ?2, name = ?3, alt = ?4 WHERE id ="
		" (SELECT min(id) FROM senders WHERE channel = '') RETURNING id";
	_cleanup_stmt_ sqlite3_stmt *s =
		sql_write(st, sql, ARGS(channel, platform_id, name ? name : "", alt ? alt : ""), e);

	return sql_row(st, s, COLS(id), e);
}

static int put_sender(struct store *st, const char *channel, const char *platform_id,
		      const char *name, const char *alt, int64_t *id, struct err *e)
{
	static const char put[] =
		"INSERT INTO senders(channel, platform_id, name, alt) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT(channel, platform_id) DO UPDATE SET"
		" name = iif(excluded.name = '', name, excluded.name),"
		" alt = iif(excluded.alt = '', alt, excluded.alt) RETURNING id";
	_cleanup_stmt_ sqlite3_stmt *s =
		sql_write(st, put, ARGS(channel, platform_id, name ? name : "", alt ? alt : ""), e);
	int rc = sql_row(st, s, COLS(id), e);

	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(e, E_BUG, "database: no sender id came back");
}

int store_sender_ensure(struct store *st, const char *channel, const char *platform_id,
			const char *name, const char *alt, int64_t *id, struct err *e)
{
	static const char find[] =
		"SELECT id, name, alt FROM senders WHERE channel = ?1 AND platform_id = ?2";
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, find, ARGS(channel, platform_id), e);
	bool learned, another;
	int rc = sql_row(st, s, COLS(id), e);

	if (rc < 0)
		return -1;
	learned = rc == 0 || is_news(alt, s, 2);
	another = rc > 0 && learned && is_another(alt, s, 2);
	if (!learned && !is_news(name, s, 1))
		return 0;
	rc = rc ? 0 : take_free(st, channel, platform_id, name, alt, id, e);
	if (rc < 0 || (!rc && put_sender(st, channel, platform_id, name, alt, id, e) < 0) ||
	    (another && part(st, *id, e) < 0))
		return -1;
	return learned ? recognise(st, *id, e) : 0;
}

int store_sender_refused(struct store *st, int64_t id, int64_t n, int64_t keep, struct err *e)
{
	static const char count[] =
		"UPDATE senders SET refused = refused + ?2, seen_ms = ?3 WHERE id = ?1";
	/* The row is kept for the next stranger: to delete it would be to look through all messages for its number. */
	static const char prune[] =
		"UPDATE senders SET channel = '', platform_id = CAST(id AS TEXT), name = '', alt = '',"
		" refused = 0, seen_ms = 0 WHERE heard = 0 AND id IN (SELECT s.id FROM senders s WHERE s.refused > 0"
		" AND s.person_id IS NULL ORDER BY s.seen_ms DESC, s.id DESC LIMIT -1 OFFSET ?1)"
		" AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.sender_id = senders.id)"
		" AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.sender_id = senders.id)";

	if (sql_run(st, count, ARGS(id, n, store_now(st)), e) < 0)
		return -1;
	return sql_run(st, prune, ARGS(keep), e);
}

/* --- looking ------------------------------------------------------------------------------ */

int store_sender_get(struct store *st, int64_t id, sender_fn *fn, void *ctx, struct err *e)
{
	sqlite3_stmt *s = sql_read(st, SENDER_COLUMNS "WHERE s.id = ?1", ARGS(id), e);

	return sql_found(tell_sender(st, s, fn, ctx, e), "sender", id, e);
}

int store_sender_find(struct store *st, const char *channel, const char *platform_id, int64_t *id,
		      struct err *e)
{
	static const char sql[] =
		"SELECT id FROM senders WHERE channel = ?1 AND (platform_id = ?2"
		" OR (alt <> '' AND alt = ?2)) ORDER BY platform_id = ?2 DESC, id LIMIT 1";
	int rc = sql_one(st, sql, ARGS(channel, platform_id), COLS(id), e);

	if (rc == 0)
		return err_set(e, E_GONE, "nobody has written as %.31s:%.127s", channel,
			       platform_id);
	return rc < 0 ? -1 : 0;
}

int store_sender_each(struct store *st, int64_t person_id, int64_t limit, sender_fn *fn, void *ctx,
		      struct err *e)
{
	static const char theirs[] =
		SENDER_COLUMNS "WHERE s.person_id = ?1 ORDER BY s.channel, s.id LIMIT ?2";
	static const char nobodys[] = SENDER_COLUMNS "WHERE s.person_id IS NULL AND s.refused > 0"
						     " ORDER BY s.seen_ms DESC, s.id DESC LIMIT ?1";
	sqlite3_stmt *s = person_id ? sql_read(st, theirs, ARGS(person_id, limit), e)
				    : sql_read(st, nobodys, ARGS(limit), e);

	return tell_sender(st, s, fn, ctx, e) < 0 ? -1 : 0;
}
