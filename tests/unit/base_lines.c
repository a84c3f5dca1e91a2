// SPDX-License-Identifier: Apache-2.0
/* Lines out of a stream are the same however the stream is torn; one over the limit is skipped, wherever its newline lies. */
#include "unit.h"
#include "base/lines.h"
#include "base/mem.h"

struct got {
	struct buf b;
	bool dead;
	int stop_after;
};

static void on_line(void *ctx, const char *line, size_t n)
{
	struct got *g = ctx;

	buf_putf(&g->b, "<%.*s>", (int)n, line);
	if (--g->stop_after == 0)
		g->dead = true;
}

static const struct {
	const char *in, *want;
	int64_t skipped;
} table[] = {
	{"", "", 0},
	{"a\n", "<a>", 0},
	{"\n\n", "<><>", 0},
	{"a\nb", "<a>", 0},
	{"12345678\nx\n", "<12345678><x>", 0},
	{"123456789\nx\n", "<x>", 1},
	{"123456789012345\n12345678\n1234567890\n\ny\n", "<12345678><><y>", 2},
};

static void however_it_is_torn(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		size_t len = strlen(table[i].in);

		for (size_t piece = 1; piece <= len + 1; piece++) {
			struct line_reader r = {.max = 8};
			struct got g = {0};

			for (size_t at = 0; at < len; at += piece)
				line_feed(&r, (const uint8_t *)table[i].in + at,
					  len - at < piece ? len - at : piece, on_line, &g,
					  &g.dead);
			assert_string_equal(g.b.p ? g.b.p : "", table[i].want);
			assert_int_equal(r.skipped, table[i].skipped);
			buf_free(&g.b);
			buf_free(&r.buf);
		}
	}
}

static void it_stops_when_the_owner_is_gone(void **state)
{
	(void)state;
	for (size_t first = 0; first < 4; first++) {
		struct line_reader r = {.max = 8};
		struct got g = {.stop_after = 2};
		const uint8_t *in = (const uint8_t *)"aa\nbb\ncc\n";

		line_feed(&r, in, first, on_line, &g, &g.dead);
		line_feed(&r, in + first, 9 - first, on_line, &g, &g.dead);
		assert_string_equal(g.b.p, "<aa><bb>");
		buf_free(&g.b);
		buf_free(&r.buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(however_it_is_torn),
		cmocka_unit_test(it_stops_when_the_owner_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
