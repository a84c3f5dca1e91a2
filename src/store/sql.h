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
#define SQL_1(f, x, ...) f(x), __VA_OPT__(SQL_2(f, __VA_ARGS__))
#define SQL_2(f, x, ...) f(x), __VA_OPT__(SQL_3(f, __VA_ARGS__))
#define SQL_3(f, x, ...) f(x), __VA_OPT__(SQL_4(f, __VA_ARGS__))
#define SQL_4(f, x, ...) f(x), __VA_OPT__(SQL_5(f, __VA_ARGS__))
#define SQL_5(f, x, ...) f(x), __VA_OPT__(SQL_6(f, __VA_ARGS__))
#define SQL_6(f, x, ...) f(x), __VA_OPT__(SQL_7(f, __VA_ARGS__))
#define SQL_7(f, x, ...) f(x), __VA_OPT__(SQL_8(f, __VA_ARGS__))
#define SQL_8(f, x, ...) f(x), __VA_OPT__(SQL_9(f, __VA_ARGS__))
#define SQL_9(f, x, ...) f(x), __VA_OPT__(SQL_10(f, __VA_ARGS__))
#define SQL_10(f, x, ...) f(x), __VA_OPT__(SQL_11(f, __VA_ARGS__))
#define SQL_11(f, x, ...) f(x), __VA_OPT__(SQL_12(f, __VA_ARGS__))
#define SQL_12(f, x, ...) f(x), __VA_OPT__(SQL_13(f, __VA_ARGS__))
#define SQL_13(f, x, ...) f(x), __VA_OPT__(SQL_14(f, __VA_ARGS__))
#define SQL_14(f, x, ...) f(x), __VA_OPT__(SQL_15(f, __VA_ARGS__))
#define SQL_15(f, x, ...) f(x), __VA_OPT__(SQL_16(f, __VA_ARGS__))
#define SQL_16(f, x, ...) f(x), __VA_OPT__(SQL_17(f, __VA_ARGS__))
#define SQL_17(f, x, ...) f(x), __VA_OPT__(SQL_18(f, __VA_ARGS__))
#define SQL_18(f, x, ...) f(x), __VA_OPT__(SQL_19(f, __VA_ARGS__))
#define SQL_19(f, x, ...) f(x), __VA_OPT__(SQL_20(f, __VA_ARGS__))
#define SQL_20(f, x, ...) f(x), __VA_OPT__(SQL_21(f, __VA_ARGS__))
#define SQL_21(f, x, ...) f(x), __VA_OPT__(SQL_22(f, __VA_ARGS__))
#define SQL_22(f, x, ...) f(x), __VA_OPT__(SQL_23(f, __VA_ARGS__))
#define SQL_23(f, x, ...) f(x), __VA_OPT__(SQL_24(f, __VA_ARGS__))
#define SQL_24(f, x, ...) f(x), __VA_OPT__(SQL_25(f, __VA_ARGS__))
#define SQL_25(f, x, ...) f(x), __VA_OPT__(SQL_26(f, __VA_ARGS__))
#define SQL_26(f, x, ...) f(x), __VA_OPT__(SQL_27(f, __VA_ARGS__))
#define SQL_27(f, x, ...) f(x), __VA_OPT__(SQL_28(f, __VA_ARGS__))
#define SQL_28(f, x) f(x),
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
	COL_TEXT, /* borrowed until the next row, so not for sql_one and sql_get; NULL is "" */
	COL_OWN,  /* the caller frees it; NULL is NULL */
	COL_COPY /* an array of the caller's; NULL is "", and so is what does not fit: half an id names somebody else */
};
struct col {
	void *to;
	enum col_kind kind;
	unsigned size;
};
/* clang-format off */
#define ARG(x)                                                                                     \
	_Generic((x), int64_t: arg_number, int: arg_number, unsigned: arg_number,                  \
		 bool: arg_number, char *: arg_string, const char *: arg_string,                   \
		 struct arg: arg_same)(x)
#define COL(x)                                                                                     \
	{(x), _Generic((x), int64_t *: COL_INT64, int *: COL_INT, unsigned *: COL_INT,             \
		       bool *: COL_BOOL, const char **: COL_TEXT,\
		       char **: COL_OWN, char (*)[32]: COL_COPY, char (*)[37]: COL_COPY,           \
		       char (*)[65]: COL_COPY, char (*)[128]: COL_COPY),                           \
	 sizeof(*(x))}
/* clang-format on */
#define ARGS(...) ((const struct arg[]){SQL_1(ARG, __VA_ARGS__){.len = ARG_END}})
#define COLS(...) ((const struct col[]){SQL_1(COL, __VA_ARGS__){.kind = COL_END}})

/* Defines tell_<noun>: fn of each row of a statement, which ends with that; how many there were, or -1. The places are fields of `row`. */
#define SQL_TELL(noun, ...)                                                                        \
	static int tell_##noun(struct store *st, sqlite3_stmt *take, noun##_fn *fn, void *ctx,     \
			       struct err *e)                                                      \
	{                                                                                          \
		_cleanup_stmt_ sqlite3_stmt *s = take;                                             \
		struct noun##_row row;                                                             \
		const struct col *cols = COLS(__VA_ARGS__);                                        \
		int rc, n = 0;                                                                     \
                                                                                                   \
		for (; (rc = sql_row(st, s, cols, e)) > 0; n++)                                    \
			fn(ctx, &row);                                                             \
		return rc < 0 ? -1 : n;                                                            \
	}

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
