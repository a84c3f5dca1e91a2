// SPDX-License-Identifier: Apache-2.0
/*
 * Markdown to each platform: what each construct becomes, where texts are cut, how units count.
 * With arguments it is no test but a filter that tests/format drives: it reads cases from stdin
 * ("format unit max bytes\n" and that many bytes) and answers each with the number of parts and
 * then, for each, its length in bytes, a newline and its bytes.
 */
#include "unit.h"
#include <time.h>
#include "base/buf.h"
#include "base/str.h"
#include "router/format.h"

struct parts {
	struct buf all; /* each ended by a NUL */
	size_t n, most;
	enum text_unit unit;
};

static bool add_part(void *ctx, const char *body, size_t n)
{
	struct parts *p = ctx;
	size_t units = format_units(p->unit, body, n);

	assert_int_equal(body[n], '\0');
	assert_int_equal(strlen(body), n);
	assert_true(str_is_utf8(body, n));
	buf_put(&p->all, body, n + 1);
	p->n++;
	if (units > p->most)
		p->most = units;
	return true;
}

static struct parts render(enum text_format f, enum text_unit u, size_t max, const char *md)
{
	struct parts p = {.unit = u};
	struct format_limits l = {.format = f, .unit = u, .max = max};

	format_render(md, strlen(md), &l, add_part, &p);
	return p;
}

static void expect(enum text_format f, const char *md, const char *want)
{
	struct parts p = render(f, UNIT_UTF16, 4000, md);

	if (!want) {
		assert_int_equal(p.n, 0);
	} else {
		assert_int_equal(p.n, 1);
		assert_string_equal(p.all.p, want);
	}
	buf_free(&p.all);
}

/* One construct as Slack, Telegram, WhatsApp and plain text have it. */
static const struct {
	const char *md, *slack, *telegram, *whatsapp, *plain;
} cases[] = {
	{"**b** *i* ***bi*** ~~s~~ `c`", "*b* _i_ *_bi_* ~s~ `c`",
	 "<b>b</b> <i>i</i> <b><i>bi</i></b> <s>s</s> <code>c</code>", "*b* _i_ *_bi_* ~s~ `c`",
	 "b i bi s c"},
	{"# Head **b** `c`", "*Head b* `c`", "<b>Head b </b><code>c</code>", "*Head b* `c`",
	 "Head b c"},
	{"a < b & c > d", "a &lt; b &amp; c &gt; d", "a &lt; b &amp; c &gt; d", "a < b & c > d",
	 "a < b & c > d"},
	{"[t **b**](https://e.org/a_b?x=1&y=2)", "<https://e.org/a_b?x=1&amp;y=2|t b>",
	 "<a href=\"https://e.org/a_b?x=1&amp;y=2\">t b</a>", "t b (https://e.org/a_b?x=1&y=2)",
	 "t b (https://e.org/a_b?x=1&y=2)"},
	{"[f](src/a.c) ![pic](https://e.org/p.png)", "f (src/a.c) <https://e.org/p.png|pic>",
	 "f (src/a.c) <a href=\"https://e.org/p.png\">pic</a>",
	 "f (src/a.c) pic (https://e.org/p.png)", "f (src/a.c) pic (https://e.org/p.png)"},
	{"see https://e.org/x", "see <https://e.org/x|https://e.org/x>",
	 "see <a href=\"https://e.org/x\">https://e.org/x</a>", "see https://e.org/x",
	 "see https://e.org/x"},
	/* what an address may not hold on a platform is encoded, and never ends a tag */
	{"[t](<https://e.org/a|b>)", "<https://e.org/a%7Cb|t>",
	 "<a href=\"https://e.org/a%7Cb\">t</a>", "t (https://e.org/a%7Cb)",
	 "t (https://e.org/a%7Cb)"},
	{"[t](<https://e.org/\"x>)", "<https://e.org/%22x|t>",
	 "<a href=\"https://e.org/%22x\">t</a>", "t (https://e.org/%22x)",
	 "t (https://e.org/%22x)"},
	{"[t](javascript:x)", "t (javascript:x)", "t (javascript:x)", "t (javascript:x)",
	 "t (javascript:x)"},
	{"- a\n- b\n  - c\n\n1. d\n2. e", "• a\n• b\n  ◦ c\n\n1. d\n2. e",
	 "• a\n• b\n  ◦ c\n\n1. d\n2. e", "- a\n- b\n  - c\n\n1. d\n2. e",
	 "• a\n• b\n  ◦ c\n\n1. d\n2. e"},
	{"- [x] done\n- [ ] open", "☑ done\n☐ open", "☑ done\n☐ open", "☑ done\n☐ open",
	 "☑ done\n☐ open"},
	{"> q\n> r\n>\n> s\n\nt", "> q\n> r\n>\n> s\n\nt",
	 "<blockquote>q\nr\n\ns</blockquote>\n\nt", "> q\n> r\n\n> s\n\nt",
	 "> q\n> r\n>\n> s\n\nt"},
	{"```c\nif (a < b)\n    return;\n```", "```\nif (a &lt; b)\n    return;\n```",
	 "<pre><code class=\"language-c\">if (a &lt; b)\n    return;</code></pre>",
	 "```\nif (a < b)\n    return;\n```", "if (a < b)\n    return;"},
	{"> ```\n> x\n> ```", "```\nx\n```", "<pre>x</pre>", "```\nx\n```", "x"},
	{"````\n```\n````", "```\n``ˋ\n```", "<pre>```</pre>", "```\n``ˋ\n```", "```"},
	{"| Name | N |\n|---|--:|\n| a | 1 |\n| bcdef | 22 |",
	 "```\nName    N\n-----  --\na       1\nbcdef  22\n```",
	 "<pre>Name    N\n-----  --\na       1\nbcdef  22</pre>",
	 "```\nName    N\n-----  --\na       1\nbcdef  22\n```",
	 "Name    N\n-----  --\na       1\nbcdef  22"},
	{"| A | B |\n|---|---|\n| x | [l](http://e.org) |\n| y | **z** |",
	 "*A:* x\n*B:* <http://e.org|l>\n\n*A:* y\n*B:* *z*",
	 "<b>A:</b> x\n<b>B:</b> <a href=\"http://e.org\">l</a>\n\n<b>A:</b> y\n<b>B:</b> <b>z</b>",
	 "*A:* x\n*B:* l (http://e.org)\n\n*A:* y\n*B:* *z*",
	 "A: x\nB: l (http://e.org)\n\nA: y\nB: z"},
	{"a\n\n***\n\nb", "a\n\n──────────\n\nb", "a\n\n──────────\n\nb", "a\n\n──────────\n\nb",
	 "a\n\n──────────\n\nb"},
	{"<b>x</b>\n\n<div>\ny\n</div>", "&lt;b&gt;x&lt;/b&gt;\n\n&lt;div&gt;\ny\n&lt;/div&gt;",
	 "&lt;b&gt;x&lt;/b&gt;\n\n&lt;div&gt;\ny\n&lt;/div&gt;", "<b>x</b>\n\n<div>\ny\n</div>",
	 "<b>x</b>\n\n<div>\ny\n</div>"},
	{"&amp; &lt; &#65; &#x1F600; &nope; &#0;", "&amp; &lt; A 😀 &amp;nope; \xef\xbf\xbd",
	 "&amp; &lt; A 😀 &amp;nope; \xef\xbf\xbd", "& < A 😀 &nope; \xef\xbf\xbd",
	 "& < A 😀 &nope; \xef\xbf\xbd"},
	/* marks that Slack and WhatsApp would not take: the text without them */
	{"un**bold**ed 日**本**語", "unbolded 日本語", "un<b>bold</b>ed 日<b>本</b>語",
	 "unbolded 日本語", "unbolded 日本語"},
	{"**a*b**", "a*b", "<b>a*b</b>", "a*b", "a*b"},
	/* literal signs that they would take */
	{"\\*x\\* and \\_\\_init\\_\\_, snake_case_x 2\\*3\\*4",
	 "`*x*` and `__init__`, snake_case_x 2*3*4", "*x* and __init__, snake_case_x 2*3*4",
	 "`*x*` and `__init__`, snake_case_x 2*3*4", "*x* and __init__, snake_case_x 2*3*4"},
	{"\\*one two\\* \\`c\\`", "∗one two* ˋcˋ", "*one two* `c`", "∗one two* ˋcˋ",
	 "*one two* `c`"},
	{"\\> no quote",
	 "›"
	 " no quote",
	 "&gt; no quote", "› no quote", "> no quote"},
	/* what the parser of Debian 12 gets wrong */
	{"https://e.org/_x_ and *y*", "<https://e.org/_x|https://e.org/_x>_ and _y_",
	 "<a href=\"https://e.org/_x\">https://e.org/_x</a>_ and <i>y</i>",
	 "https://e.org/_x_ and _y_", "https://e.org/_x_ and y"},
	{"a\x01\x1b[31mb\r\nc", "a[31mb\nc", "a[31mb\nc", "a[31mb\nc", "a[31mb\nc"},
	{"bad \xff utf", "bad \xef\xbf\xbd utf", "bad \xef\xbf\xbd utf", "bad \xef\xbf\xbd utf",
	 "bad \xef\xbf\xbd utf"},
	{" \n\t\n", NULL, NULL, NULL, NULL},
	{"```\n```", NULL, NULL, NULL, NULL},
	{"&nbsp;", NULL, NULL, NULL, NULL},
};

static void test_constructs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		expect(FORMAT_SLACK, cases[i].md, cases[i].slack);
		expect(FORMAT_TELEGRAM, cases[i].md, cases[i].telegram);
		expect(FORMAT_WHATSAPP, cases[i].md, cases[i].whatsapp);
		expect(FORMAT_PLAIN, cases[i].md, cases[i].plain);
	}
}

/* Lengths as the platforms count them. */
static void test_units(void **state)
{
	const char *s = "aé中😀";

	(void)state;
	assert_int_equal(format_units(UNIT_BYTES, s, strlen(s)), 10);
	assert_int_equal(format_units(UNIT_CODE_POINTS, s, strlen(s)), 4);
	assert_int_equal(format_units(UNIT_UTF16, s, strlen(s)), 5);
}

static void expect_parts(enum text_format f, size_t max, const char *md, size_t n,
			 const char *const *want)
{
	struct parts p = render(f, UNIT_CODE_POINTS, max, md);
	const char *at = p.all.p;

	for (size_t i = 0; i < n && i < p.n; i++, at += strlen(at) + 1)
		assert_string_equal(at, want[i]);
	assert_int_equal(p.n, n);
	buf_free(&p.all);
}
#define EXPECT_PARTS(f, max, md, ...)                                                              \
	expect_parts(f, max, md, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),           \
		     (const char *[]){__VA_ARGS__})

#define T10 "aaaaaaaaa "
#define T50 T10 T10 T10 T10 T10

static void test_cuts(void **state)
{
	(void)state;
	/* at a paragraph rather than at a later sentence, line or word */
	EXPECT_PARTS(FORMAT_SLACK, 64, T10 T10 T10 "xxxx\n\n" T10 "x. y\nz " T10 T10,
		     "aaaaaaaaa aaaaaaaaa aaaaaaaaa xxxx", "aaaaaaaaa x. y\nz aaaaaaaaa aaaaaaaaa");
	EXPECT_PARTS(FORMAT_SLACK, 64, T10 T10 T10 T10 "x\n" T10 "yyy " T10 T10,
		     "aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa x",
		     "aaaaaaaaa yyy aaaaaaaaa aaaaaaaaa");
	EXPECT_PARTS(FORMAT_SLACK, 64, T10 T10 T10 T10 "x. " T10 "yyy " T10,
		     "aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa x.", "aaaaaaaaa yyy aaaaaaaaa");
	EXPECT_PARTS(FORMAT_SLACK, 64, T50 T10 T10,
		     "aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa "
		     "aaaaaaaaa aaaaaaaaa",
		     "aaaaaaaaa");
	/* what is open goes on */
	EXPECT_PARTS(FORMAT_SLACK, 64, "**" T50 T10 "bbbbb**",
		     "*aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa*", "*bbbbb*");
	EXPECT_PARTS(FORMAT_TELEGRAM, 64, "> *" T50 T10 "bbbbb*",
		     "<blockquote><i>aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa "
		     "aaaaaaaaa</i></blockquote>",
		     "<blockquote><i>bbbbb</i></blockquote>");
	EXPECT_PARTS(FORMAT_TELEGRAM, 64, "```py\n" T50 "\n" T50 "\n```",
		     "<pre><code class=\"language-py\">" T50 "</code></pre>",
		     "<pre><code class=\"language-py\">" T50 "</code></pre>");
	EXPECT_PARTS(FORMAT_WHATSAPP, 64, "```\n" T50 "\n" T10 "\n```", "```\n" T50 "\n```",
		     "```\n" T10 "\n```");
	EXPECT_PARTS(FORMAT_MARKDOWN, 64, "a\n\n```c\n" T50 "\nxxxxx\n```\nb",
		     "a\n\n```c\n" T50 "\n```", "```c\nxxxxx\n```\nb");
	/* a link is never cut */
	EXPECT_PARTS(FORMAT_TELEGRAM, 100, T50 T10 T10 T10 T10 "[aa bb cc dd](http://e.org/)",
		     T50 T10 T10 T10 "aaaaaaaaa", "<a href=\"http://e.org/\">aa bb cc dd</a>");
	/* nor a character, an escape, or the one between an emoji and its tone */
	EXPECT_PARTS(FORMAT_SLACK, 64, "<<<<<<<<<<<<<<<<<",
		     "&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;", "&lt;");
}

/* Deterministic noise: every part is within its limit, whatever comes. */
static void test_noise(void **state)
{
	static const char *const bits[] = {
		"*",   "**",	  "_",	  "~~",	   "`",	 "```",	    "\n",  "\n\n", "- ",
		"1. ", "> ",	  "# ",	  "[",	   "](", ")",	    "a",   "bc",   "word ",
		" ",   "日本",	  "😀",	  "&amp;", "<",	 "|a|b|",   "|-|", "\n|-", "\\",
		"!",   "http://", "x.y ", "    ",  "\t", "e\u0301",
	};
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		struct buf md = {0};
		size_t max = 64 + (size_t)round % 90;

		for (int k = 0; k < 20 + round % 150; k++) {
			seed = seed * 1664525 + 1013904223;
			buf_puts(&md, bits[(seed >> 16) % ARRAY_LEN(bits)]);
		}
		for (enum text_format f = FORMAT_MARKDOWN; f <= FORMAT_WHATSAPP; f++) {
			enum text_unit u = (enum text_unit)(round % 3);
			struct parts p = render(f, u, max, md.p), q = render(f, u, max, md.p);

			assert_true(p.most <= (f == FORMAT_TELEGRAM ? 3 * max : max));
			assert_int_equal(p.all.len, q.all.len);
			assert_memory_equal(p.all.p ? p.all.p : "", q.all.p ? q.all.p : "",
					    p.all.len);
			buf_free(&p.all);
			buf_free(&q.all);
		}
		buf_free(&md);
	}
}

/* Link definitions at the end of a text that is parsed in slices still hold; a fence is not cut
 * by one. */
static void test_slices(void **state)
{
	struct buf md = {0};
	char *plain;

	(void)state;
	buf_puts(&md, "first [t][1] here\n\n");
	for (int i = 0; i < 3000; i++)
		buf_puts(&md, "some *words* of a paragraph\n\n");
	buf_puts(&md, "```\n");
	for (int i = 0; i < 4000; i++)
		buf_puts(&md, "*code* of a block\n\n");
	buf_puts(&md, "```\n\n[1]: https://e.org/ref\n");
	plain = format_plain(md.p, md.len);
	assert_true(str_starts(plain, "first t (https://e.org/ref) here\n\nsome words of"));
	assert_non_null(strstr(plain, "\n*code* of a block\n\n*code* of"));
	assert_null(strstr(plain, "\ncode of"));
	assert_null(strstr(plain, "[1]"));
	free(plain);
	buf_free(&md);
	plain = format_plain(" \n", 2);
	assert_string_equal(plain, "");
	free(plain);
}

static bool stop_at_first(void *ctx, const char *body, size_t n)
{
	(void)body;
	(void)n;
	++*(int *)ctx;
	return false;
}

static void test_stop(void **state)
{
	struct format_limits l = {FORMAT_TELEGRAM, UNIT_UTF16, 64};
	int calls = 0;

	(void)state;
	format_render(T50 T50 T50, 150, &l, stop_at_first, &calls);
	assert_int_equal(calls, 1);
}

/* Inputs that would make parsers or tables blow up stay within a multiple of their size. */
static void test_blow_up(void **state)
{
	struct buf md = {0};
	char *plain;

	(void)state;
	for (int i = 0; i < 8000; i++)
		buf_puts(&md, "|");
	buf_puts(&md, "\n");
	for (int i = 0; i < 8000; i++)
		buf_puts(&md, "|-");
	buf_puts(&md, "\n");
	for (int i = 0; i < 8000; i++)
		buf_puts(&md, "a\n");
	plain = format_plain(md.p, md.len);
	assert_true(strlen(plain) <= 2 * md.len);
	free(plain);
	buf_reset(&md);
	buf_puts(&md, "[a]: http://e.org/");
	for (int i = 0; i < 3000; i++)
		buf_puts(&md, "y");
	buf_puts(&md, "\n\n");
	for (int i = 0; i < 8000; i++)
		buf_puts(&md, "[a] ");
	plain = format_plain(md.p, md.len);
	assert_true(strlen(plain) <= 10 * md.len);
	free(plain);
	buf_free(&md);
}

static bool print_part(void *ctx, const char *body, size_t n)
{
	struct parts *p = ctx;

	buf_putf(&p->all, "%zu\n", n);
	buf_put(&p->all, body, n);
	p->n++;
	return true;
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* What escapes make longer costs no more than in proportion: 64 KB of it once held up the loop for a quarter of a second. */
static void test_escapes_cost_little(void **state)
{
	static const struct format_limits l = {FORMAT_SLACK, UNIT_CODE_POINTS, 3900};
	static const char *const words[] = {"ab ", "<a "};
	int64_t took[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct buf md = {0};
		struct parts p = {0};
		int64_t began;

		for (int i = 0; i < 40000; i++)
			buf_puts(&md, words[k]);
		began = cpu_us();
		format_render(md.p, md.len, &l, print_part, &p);
		took[k] = cpu_us() - began;
		buf_free(&p.all);
		buf_free(&md);
	}
	assert_true(took[1] < 12 * took[0] + 2000);
}

static int filter(void)
{
	static char md[1 << 20];
	unsigned f, u;
	size_t max, n;

	while (scanf("%u %u %zu %zu", &f, &u, &max, &n) == 4 && getchar() == '\n') {
		struct format_limits l = {(enum text_format)f, (enum text_unit)u, max};
		struct parts p = {0};

		if (n > sizeof(md) || fread(md, 1, n, stdin) != n)
			return 1;
		format_render(md, n, &l, print_part, &p);
		printf("%zu\n", p.n);
		fwrite(p.all.len ? p.all.p : "", 1, p.all.len, stdout);
		fflush(stdout);
		buf_free(&p.all);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constructs), cmocka_unit_test(test_units),
		cmocka_unit_test(test_cuts),	   cmocka_unit_test(test_noise),
		cmocka_unit_test(test_slices),	   cmocka_unit_test(test_stop),
		cmocka_unit_test(test_blow_up),	   cmocka_unit_test(test_escapes_cost_little),
	};

	if (argc > 1 && streq(argv[1], "--filter"))
		return filter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
