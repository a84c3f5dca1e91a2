// SPDX-License-Identifier: Apache-2.0
/*
 * Borrowed strings and the few string helpers that libc lacks. A `struct str` never owns.
 */
#ifndef CHELA_BASE_STR_H
#define CHELA_BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/err.h"
#include "base/mem.h"

struct str {
	const char *p;
	size_t n;
};
#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
static inline bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}
/* Copies with truncation, always NUL-ended; returns true when all fit. */
bool str_copy(char *dst, size_t cap, const char *src);
/* The same of a stranger's name or title, for a line of ours: cut between characters, control characters (C1 and Unicode's ends of
 * lines and marks of direction too) become blanks. Returns dst. */
char *str_one_line(char *dst, size_t cap, const char *src);
/* Decimal only, whole string, range-checked. */
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *out, struct err *e) must_check;
/* True for a valid UTF-8 string (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(const char *p, size_t n);
/* Length (1 to 4) of the valid UTF-8 sequence at p, 0 when there is none in these n bytes. */
size_t str_utf8_seq(const char *p, size_t n);
/* Largest m <= n such that p[0..m) does not end inside a UTF-8 sequence. */
size_t str_utf8_floor(const char *p, size_t n);
/* Group and folder names: [a-z0-9][a-z0-9_-]{0,63}. */
bool str_is_name(const char *s);
/* A canonical lower-case UUID (RFC 9562), 36 characters. */
bool str_is_uuid(const char *s);
/* 2 * bytes hex digits of random (getrandom), NUL-ended; at most 64 bytes. */
void str_random_hex(char *out, size_t bytes);
/* Fills out[37] with a random version-4 UUID (getrandom). */
void str_uuid4(char out[37]);
/* Optimal string alignment distance (insert, delete, replace, swap), for hints; both <= 64 bytes,
 * longer words count as far apart. */
size_t str_distance(const char *a, const char *b);
/* The word of a NULL-ended list that was probably meant, or NULL when none is near. */
const char *str_nearest(const char *s, const char *const *words);
/* The next word of a list with blanks between, cut to what fits; false at the end of the list. */
bool str_next_word(const char **list, char *word, size_t cap);
/* Constant-time compare for secrets. */
bool str_secret_eq(const char *a, size_t an, const char *b, size_t bn);

#endif
