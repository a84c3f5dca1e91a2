// SPDX-License-Identifier: Apache-2.0
/*
 * A statement's run as one call: ARGS are the values of ?1, ?2 ... and COLS the places for the columns, both in order. The way of each is chosen by
 * its type, so that a wrong one does not compile; a wrong number of arguments is E_BUG. Each statement is one string literal, for the cache goes by its
 * address. Nothing outside src/store includes it.
 */
#ifndef CHELA_STORE_SQL_H
#define CHELA_STORE_SQL_H
#include <sqlite3.h>
#include "store/store.h"

/* Applies f to each of up to 28 things, with a comma behind each. */
/* clang-format off */
#define SQL_1(f, x) f(x),
#define SQL_2(f, x, ...) f(x), SQL_1(f, __VA_ARGS__)
#define SQL_3(f, x, ...) f(x), SQL_2(f, __VA_ARGS__)
#define SQL_4(f, x, ...) f(x), SQL_3(f, __VA_ARGS__)
#define SQL_5(f, x, ...) f(x), SQL_4(f, __VA_ARGS__)
#define SQL_6(f, x, ...) f(x), SQL_5(f, __VA_ARGS__)
#define SQL_7(f, x, ...) f(x), SQL_6(f, __VA_ARGS__)
#define SQL_8(f, x, ...) f(x), SQL_7(f, __VA_ARGS__)
#define SQL_9(f, x, ...) f(x), SQL_8(f, __VA_ARGS__)
#define SQL_10(f, x, ...) f(x), SQL_9(f, __VA_ARGS__)
#define SQL_11(f, x, ...) f(x), SQL_10(f, __VA_ARGS__)
#define SQL_12(f, x, ...) f(x), SQL_11(f, __VA_ARGS__)
#define SQL_13(f, x, ...) f(x), SQL_12(f, __VA_ARGS__)
#define SQL_14(f, x, ...) f(x), SQL_13(f, __VA_ARGS__)
#define SQL_15(f, x, ...) f(x), SQL_14(f, __VA_ARGS__)
#define SQL_16(f, x, ...) f(x), SQL_15(f, __VA_ARGS__)
#define SQL_17(f, x, ...) f(x), SQL_16(f, __VA_ARGS__)
#define SQL_18(f, x, ...) f(x), SQL_17(f, __VA_ARGS__)
#define SQL_19(f, x, ...) f(x), SQL_18(f, __VA_ARGS__)
#define SQL_20(f, x, ...) f(x), SQL_19(f, __VA_ARGS__)
#define SQL_21(f, x, ...) f(x), SQL_20(f, __VA_ARGS__)
#define SQL_22(f, x, ...) f(x), SQL_21(f, __VA_ARGS__)
#define SQL_23(f, x, ...) f(x), SQL_22(f, __VA_ARGS__)
#define SQL_24(f, x, ...) f(x), SQL_23(f, __VA_ARGS__)
#define SQL_25(f, x, ...) f(x), SQL_24(f, __VA_ARGS__)
#define SQL_26(f, x, ...) f(x), SQL_25(f, __VA_ARGS__)
#define SQL_27(f, x, ...) f(x), SQL_26(f, __VA_ARGS__)
#define SQL_28(f, x, ...) f(x), SQL_27(f, __VA_ARGS__)
#define SQL_LAST(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, \
	_17, _18, _19, _20, _21, _22, _23, _24, _25, _26, _27, _28, last, ...) last
#define SQL_EACH(f, ...) SQL_LAST(__VA_ARGS__, SQL_28, SQL_27, SQL_26, SQL_25, SQL_24, \
	SQL_23, SQL_22, SQL_21, SQL_20, SQL_19, SQL_18, SQL_17, SQL_16, SQL_15, SQL_14, SQL_13, \
	SQL_12, SQL_11, SQL_10, SQL_9, SQL_8, SQL_7, SQL_6, SQL_5, SQL_4, SQL_3, SQL_2, SQL_1, \
	)(f, __VA_ARGS__)
/* clang-format on */

struct arg {
	union {
		int64_t number;
		const char *text; /* NULL is NULL; must stay until the statement has ended */
	};
	int64_t len; /* bytes of text, or one of these: */
};
#define ARG_STRING (-1) /* text up to its NUL */
#define ARG_NUMBER (-2)
#define ARG_END	   (-3)
static inline struct arg arg_number(int64_t n)
{
	return (struct arg){.number = n, .len = ARG_NUMBER};
}
static inline struct arg arg_string(const char *text)
{
	return (struct arg){.text = text, .len = ARG_STRING};
}
/* For ARGS, where the length is known. */
static inline struct arg arg_text(const char *text, size_t len)
{
	return (struct arg){.text = text, .len = (int64_t)len};
}
static inline struct arg arg_same(struct arg a)
{
	return a;
}

enum col_kind {
	COL_END,
	COL_INT64,
	COL_INT, /* also an enum */
	COL_BOOL,
	COL_TEXT,  /* borrowed until the next row, so not for sql_one and sql_get; NULL is "" */
	COL_MAYBE, /* the same; NULL is NULL */
	COL_OWN,   /* the caller frees it; NULL is NULL */
	COL_COPY /* an array of the caller's; NULL is "", and so is what does not fit: half an id names somebody else */
};
struct col {
	void *to;
	enum col_kind kind;
	unsigned size;
};
struct maybe_text {
	const char *text;
};
/* For COLS: a const char * that is to be NULL for NULL. */
static inline struct maybe_text *col_maybe(const char **to)
{
	return (struct maybe_text *)to;
}

/* clang-format off */
#define ARG(x)                                                                                     \
	_Generic((x), int64_t: arg_number, int: arg_number, unsigned: arg_number,                  \
		 bool: arg_number, char *: arg_string, const char *: arg_string,                   \
		 struct arg: arg_same)(x)
#define COL(x)                                                                                     \
	{(x), _Generic((x), int64_t *: COL_INT64, int *: COL_INT, unsigned *: COL_INT,             \
		       bool *: COL_BOOL, const char **: COL_TEXT, struct maybe_text *: COL_MAYBE,  \
		       char **: COL_OWN, char (*)[32]: COL_COPY, char (*)[37]: COL_COPY,           \
		       char (*)[65]: COL_COPY, char (*)[128]: COL_COPY),                           \
	 sizeof(*(x))}
/* clang-format on */
#define ARGS(...) ((const struct arg[]){SQL_EACH(ARG, __VA_ARGS__){.len = ARG_END}})
#define COLS(...) ((const struct col[]){SQL_EACH(COL, __VA_ARGS__){.kind = COL_END}})

/* A statement with its arguments (NULL = none): for reading, or for writing, which opens the transaction first. Pair with _cleanup_stmt_; NULL = error,
 * which sql_row passes on. */
sqlite3_stmt *sql_read(struct store *st, const char *sql, const struct arg *args, struct err *e);
sqlite3_stmt *sql_write(struct store *st, const char *sql, const struct arg *args, struct err *e);
/* The next row: 1; 0 = there is none, -1. */
int sql_row(struct store *st, sqlite3_stmt *s, const struct col *cols, struct err *e) must_check;
/* Of a statement that stands at a row; NULL: all is 0, false, "" or NULL. */
void sql_columns(sqlite3_stmt *s, const struct col *cols);
/* Reads the first row: 1; 0 = there is none, and the places stay as they are. */
int sql_one(struct store *st, const char *sql, const struct arg *args, const struct col *cols,
	    struct err *e) must_check;
/* The same, and no row is as good as one: then all is 0, false, "" or NULL, and so a bool of "SELECT 1" tells whether there is one. */
int sql_get(struct store *st, const char *sql, const struct arg *args, const struct col *cols,
	    struct err *e) must_check;
/* The first row's first column, cut to fit at a whole character; "" when there is none. */
int sql_text(struct store *st, const char *sql, const struct arg *args, char *out, size_t cap,
	     struct err *e) must_check;
/* Writes. */
int sql_run(struct store *st, const char *sql, const struct arg *args, struct err *e) must_check;
/* How many rows that changed, or -1. */
int sql_changed(struct store *st, const char *sql, const struct arg *args,
		struct err *e) must_check;
/* *did: whether it changed any. */
int sql_did(struct store *st, const char *sql, const struct arg *args, bool *did,
	    struct err *e) must_check;
/* *id: the new row's, 0 = there was a conflict and nothing was done. */
int sql_insert(struct store *st, const char *sql, const struct arg *args, int64_t *id,
	       struct err *e) must_check;
/* From a number of rows, or -1, to 0 or -1: none is E_GONE, "there is no <what> <id>". */
int sql_found(int rows, const char *what, int64_t id, struct err *e) must_check;

#endif
