// SPDX-License-Identifier: Apache-2.0
/* See sql.h. It knows no table and no statement; preparing, the transaction and what an error means stand in store.c. */
#include "store/sql.h"
#include "base/str.h"
#include "store/impl.h"

static sqlite3_stmt *bind(sqlite3_stmt *s, const struct arg *args, struct err *e)
{
	int rc = SQLITE_OK, n = 0;

	if (!s)
		return NULL;
	for (const struct arg *a = args; a && a->len != ARG_END; a++) {
		n++;
		if (a->len == ARG_NUMBER)
			rc |= sqlite3_bind_int64(s, n, a->number);
		else if (a->len == ARG_STRING)
			rc |= sqlite3_bind_text(s, n, a->text, -1, SQLITE_STATIC);
		else
			rc |= sqlite3_bind_text64(s, n, a->text, (sqlite3_uint64)a->len,
						  SQLITE_STATIC, SQLITE_UTF8);
	}
	if (rc == SQLITE_OK && n == sqlite3_bind_parameter_count(s))
		return s;
	err_set(e, E_BUG, "database: wrong arguments (%.40s ...)", sqlite3_sql(s));
	cleanup_stmt_p(&s);
	return NULL;
}

sqlite3_stmt *sql_read(struct store *st, const char *sql, const struct arg *args, struct err *e)
{
	return bind(store_read(st, sql, e), args, e);
}

sqlite3_stmt *sql_write(struct store *st, const char *sql, const struct arg *args, struct err *e)
{
	return bind(store_write(st, sql, e), args, e);
}

/* Puts column i of the row where it belongs; of no row (NULL), nothing. */
static void put(sqlite3_stmt *row, int i, const struct col *c)
{
	bool number = c->kind < COL_TEXT;
	int64_t n = row && number ? sqlite3_column_int64(row, i) : 0;
	const char *text = row && !number ? (const char *)sqlite3_column_text(row, i) : NULL;

	switch (c->kind) {
	case COL_INT64:
		*(int64_t *)c->to = n;
		break;
	case COL_INT:
		*(int *)c->to = (int)n;
		break;
	case COL_BOOL:
		*(bool *)c->to = n != 0;
		break;
	case COL_TEXT:
		*(const char **)c->to = text ? text : "";
		break;
	case COL_OWN:
		*(char **)c->to = text ? xstrdup(text) : NULL;
		break;
	case COL_COPY:
		if (!str_copy(c->to, c->size, text ? text : ""))
			*(char *)c->to = '\0';
		break;
	case COL_END:
		break;
	}
}

void sql_columns(sqlite3_stmt *s, const struct col *cols)
{
	int n = 0;

	for (; cols[n].kind != COL_END; n++)
		put(s, n, &cols[n]);
	if (s && n > sqlite3_column_count(s))
		die("a statement has fewer columns than places");
}

int sql_row(struct store *st, sqlite3_stmt *s, const struct col *cols, struct err *e)
{
	int rc = store_step(st, s, e);

	if (rc > 0)
		sql_columns(s, cols);
	return rc;
}

int sql_one(struct store *st, const char *sql, const struct arg *args, const struct col *cols,
	    struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, args, e);
	int rc = sql_row(st, s, cols, e);

	for (const struct col *c = cols; c->kind != COL_END; c++) {
		if (c->kind == COL_TEXT)
			return err_set(e, E_BUG, "database: a text is gone before it is read");
	}
	return rc;
}

int sql_get(struct store *st, const char *sql, const struct arg *args, const struct col *cols,
	    struct err *e)
{
	int rc = sql_one(st, sql, args, cols, e);

	if (rc <= 0)
		sql_columns(NULL, cols);
	return rc < 0 ? -1 : 0;
}

int sql_text(struct store *st, const char *sql, const struct arg *args, char *out, size_t cap,
	     struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = sql_read(st, sql, args, e);
	const char *text = "";
	int rc = sql_row(st, s, COLS(&text), e);

	str_copy(out, cap, text);
	out[str_utf8_floor(out, strlen(out))] = '\0';
	return rc < 0 ? -1 : 0;
}

int sql_run(struct store *st, const char *sql, const struct arg *args, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = sql_write(st, sql, args, e);

	return store_done(st, s, e);
}

int sql_changed(struct store *st, const char *sql, const struct arg *args, struct err *e)
{
	return sql_run(st, sql, args, e) < 0 ? -1 : sqlite3_changes(st->db);
}

int sql_did(struct store *st, const char *sql, const struct arg *args, bool *did, struct err *e)
{
	int n = sql_changed(st, sql, args, e);

	*did = n > 0;
	return n < 0 ? -1 : 0;
}

int sql_insert(struct store *st, const char *sql, const struct arg *args, int64_t *id,
	       struct err *e)
{
	int n = sql_changed(st, sql, args, e);

	*id = n > 0 ? sqlite3_last_insert_rowid(st->db) : 0;
	return n < 0 ? -1 : 0;
}

int sql_found(int rows, const char *what, int64_t id, struct err *e)
{
	return rows > 0 ? 0
	       : rows	? -1
			: err_set(e, E_GONE, "there is no %s %lld", what, (long long)id);
}
