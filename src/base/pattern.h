// SPDX-License-Identifier: Apache-2.0
/*
 * A regular expression of a user's (PCRE2 underneath, hidden): in Perl's language, UTF-8, letters of either case alike. It is held
 * against what strangers write, on the loop, so that its work is bounded whatever both of them say.
 */
#ifndef CHELA_BASE_PATTERN_H
#define CHELA_BASE_PATTERN_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/mem.h"

#define PATTERN_MAX	 500		   /* bytes of the expression */
#define PATTERN_TEXT_MAX ((size_t)8 << 10) /* what is looked at: the beginning of a longer text */

struct pattern;
/* E_INVAL says what is wrong and where. */
struct pattern *pattern_new(const char *re, struct err *e) must_check;
void pattern_free(struct pattern *p); /* NULL is fine */
static inline void cleanup_pattern_p(struct pattern **p)
{
	pattern_free(*p);
}
#define _cleanup_pattern_ _cleanup_(cleanup_pattern_p)
/* Anywhere in the text. A search that runs into its limit counts as no match; so does text that is no UTF-8. */
bool pattern_matches(const struct pattern *p, const char *text, size_t n);
/* The same, and whether it ran into its limit. */
bool pattern_search(const struct pattern *p, const char *text, size_t n, bool *gave_up);

#endif
