// SPDX-License-Identifier: Apache-2.0
/*
 * Users' regular expressions. PCRE2 backtracks, so that a careless pattern can take exponential time. PCRE2's own limit counts anew at
 * each place where a match could begin, and not the letters that one step runs over; therefore a callout before each item of the pattern
 * looks at the time that this thread has worked. Must never be given a pattern that no admin has set.
 */
#include "base/pattern.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <glib.h>
#include <pcre2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/str.h"

#define WORK_MAX_US 3000
#define LOOK_EVERY                                                                                 \
	32 /* items, between two looks at the clock: one runs over the text once at most */
#define STEPS_MAX    200000 /* of backtracking from one place of the text */
#define HEAP_MAX_KIB 2048
#define NESTING_MAX  50
#define CODE_MAX     ((size_t)64 << 10) /* the compiled pattern: counts like {999} multiply */

struct pattern {
	pcre2_code *code;
	pcre2_match_context *limits; /* without the callout, which needs a budget of each search */
};

struct budget {
	int64_t end_us; /* of this thread's work */
	unsigned items;
};

static int64_t work_us(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		die("no clock of this thread");
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int on_item(pcre2_callout_block *block maybe_unused, void *ctx)
{
	struct budget *b = ctx;

	if (++b->items % LOOK_EVERY || work_us() < b->end_us)
		return 0;
	return PCRE2_ERROR_CALLOUT; /* the whole search ends */
}

static struct pattern *compile(const char *re, pcre2_compile_context *cc, struct err *e)
{
	_cleanup_pattern_ struct pattern *p = xcalloc(1, sizeof(*p));
	PCRE2_SIZE at = 0, size = 0;
	PCRE2_UCHAR why[120];
	int rc = 0;

	/* \C would match half a character; (*LIMIT_MATCH=...) can only lower what is set below */
	p->code = pcre2_compile((PCRE2_SPTR)re, PCRE2_ZERO_TERMINATED,
				PCRE2_UTF | PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C |
					PCRE2_AUTO_CALLOUT,
				&rc, &at, cc);
	if (!p->code) {
		if (pcre2_get_error_message(rc, why, sizeof(why)) < 0)
			snprintf((char *)why, sizeof(why), "error %d", rc);
		err_set(e, E_INVAL, "the pattern is wrong at character %zu: %s",
			(size_t)g_utf8_strlen(re, (gssize)at) + 1, (char *)why);
		return NULL;
	}
	if (pcre2_pattern_info(p->code, PCRE2_INFO_SIZE, &size) != 0 || size > CODE_MAX) {
		err_set(e, E_INVAL, "the pattern is too large: use smaller counts in { }");
		return NULL;
	}
	p->limits = pcre2_match_context_create(NULL);
	if (!p->limits)
		die("out of memory");
	pcre2_set_match_limit(p->limits, STEPS_MAX);
	pcre2_set_heap_limit(p->limits, HEAP_MAX_KIB);
	return steal_ptr(&p);
}

struct pattern *pattern_new(const char *re, struct err *e)
{
	pcre2_compile_context *cc;
	struct pattern *p;
	size_t n = strlen(re);

	if (!n || n > PATTERN_MAX) {
		err_set(e, E_INVAL, "a pattern has 1 to %d bytes; this has %zu", PATTERN_MAX, n);
		return NULL;
	}
	if (!str_is_utf8(re, n)) {
		err_set(e, E_INVAL, "the pattern is no UTF-8");
		return NULL;
	}
	cc = pcre2_compile_context_create(NULL);
	if (!cc)
		die("out of memory");
	pcre2_set_parens_nest_limit(cc, NESTING_MAX);
	p = compile(re, cc, e);
	pcre2_compile_context_free(cc);
	return p;
}

void pattern_free(struct pattern *p)
{
	if (!p)
		return;
	pcre2_match_context_free(p->limits);
	pcre2_code_free(p->code);
	free(p);
}

bool pattern_search(const struct pattern *p, const char *text, size_t n, bool *gave_up)
{
	struct budget budget = {.end_us = work_us() + WORK_MAX_US};
	pcre2_match_context *limits = pcre2_match_context_copy(p->limits);
	pcre2_match_data *found =
		pcre2_match_data_create(1, NULL); /* with the memory of a search */
	int rc;

	if (!limits || !found)
		die("out of memory");
	if (n > PATTERN_TEXT_MAX)
		n = str_utf8_floor(text, PATTERN_TEXT_MAX);
	pcre2_set_callout(limits, on_item, &budget);
	rc = pcre2_match(p->code, (PCRE2_SPTR)text, n, 0, 0, found, limits);
	pcre2_match_data_free(found);
	pcre2_match_context_free(limits);
	*gave_up = rc == PCRE2_ERROR_CALLOUT || rc == PCRE2_ERROR_MATCHLIMIT ||
		   rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT;
	return rc >= 0;
}

bool pattern_matches(const struct pattern *p, const char *text, size_t n)
{
	bool gave_up;

	return pattern_search(p, text, n, &gave_up);
}
