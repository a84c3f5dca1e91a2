// SPDX-License-Identifier: Apache-2.0
/*
 * HTML entities: numbers, and the names that people and models write. The full list of HTML5 has
 * 2,231 names; one that is not here stays as it was written, so nothing is lost.
 */
#include "router/format_entity.h"
#include <glib.h>
#include <string.h>

static const struct {
	const char *name, *text;
} names[] = {
	{"amp", "&"},	  {"lt", "<"},	   {"gt", ">"},	    {"quot", "\""},  {"apos", "'"},
	{"nbsp", " "},	  {"ensp", " "},   {"emsp", " "},   {"thinsp", " "}, {"shy", ""},
	{"copy", "©"},	  {"reg", "®"},	   {"trade", "™"},  {"hellip", "…"}, {"mdash", "—"},
	{"ndash", "–"},	  {"lsquo", "‘"},  {"rsquo", "’"},  {"sbquo", "‚"},  {"ldquo", "“"},
	{"rdquo", "”"},	  {"bdquo", "„"},  {"laquo", "«"},  {"raquo", "»"},  {"bull", "•"},
	{"middot", "·"},  {"deg", "°"},	   {"times", "×"},  {"divide", "÷"}, {"plusmn", "±"},
	{"euro", "€"},	  {"pound", "£"},  {"yen", "¥"},    {"cent", "¢"},   {"sect", "§"},
	{"para", "¶"},	  {"dagger", "†"}, {"larr", "←"},   {"uarr", "↑"},   {"rarr", "→"},
	{"darr", "↓"},	  {"harr", "↔"},   {"lArr", "⇐"},   {"rArr", "⇒"},   {"le", "≤"},
	{"ge", "≥"},	  {"ne", "≠"},	   {"asymp", "≈"},  {"infin", "∞"},  {"micro", "µ"},
	{"frac12", "½"},  {"frac14", "¼"}, {"frac34", "¾"}, {"sup1", "¹"},   {"sup2", "²"},
	{"sup3", "³"},	  {"alpha", "α"},  {"beta", "β"},   {"gamma", "γ"},  {"delta", "δ"},
	{"lambda", "λ"},  {"mu", "μ"},	   {"pi", "π"},	    {"sigma", "σ"},  {"Delta", "Δ"},
	{"Sigma", "Σ"},	  {"Omega", "Ω"},  {"omega", "ω"},  {"auml", "ä"},   {"ouml", "ö"},
	{"uuml", "ü"},	  {"Auml", "Ä"},   {"Ouml", "Ö"},   {"Uuml", "Ü"},   {"szlig", "ß"},
	{"eacute", "é"},  {"egrave", "è"}, {"agrave", "à"}, {"aacute", "á"}, {"ccedil", "ç"},
	{"ntilde", "ñ"},  {"iexcl", "¡"},  {"iquest", "¿"}, {"check", "✓"},  {"ast", "*"},
	{"lowbar", "_"},  {"grave", "`"},  {"num", "#"},    {"vert", "|"},   {"verbar", "|"},
	{"lbrack", "["},  {"lsqb", "["},   {"rbrack", "]"}, {"rsqb", "]"},   {"bsol", "\\"},
	{"sol", "/"},	  {"lpar", "("},   {"rpar", ")"},   {"excl", "!"},   {"dollar", "$"},
	{"percnt", "%"},  {"plus", "+"},   {"comma", ","},  {"period", "."}, {"colon", ":"},
	{"semi", ";"},	  {"equals", "="}, {"quest", "?"},  {"commat", "@"}, {"lcub", "{"},
	{"lbrace", "{"},  {"rcub", "}"},   {"rbrace", "}"}, {"hat", "^"},    {"Tab", " "},
	{"NewLine", " "},
};

static void put_char(struct buf *out, uint32_t c)
{
	char u[6];

	if (!c || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		buf_puts(out, "\xef\xbf\xbd");
	else if (c < 0x20 || c == 0x7f || c == 0xa0) /* nothing to show, but words stay apart */
		buf_put(out, " ", 1);
	else
		buf_put(out, u, (size_t)g_unichar_to_utf8(c, u));
}

/* "#39" or "#x27"; 0 is not a number of a character. */
static uint32_t number_of(const char *p, size_t n)
{
	bool hex = n > 1 && (p[1] == 'x' || p[1] == 'X');
	uint32_t c = 0;

	for (size_t i = hex ? 2 : 1; i < n; i++) {
		unsigned d =
			p[i] <= '9' ? (unsigned)(p[i] - '0') : (unsigned)((p[i] | 32) - 'a' + 10);

		if (d > 15 || c > 0x110000)
			return 0;
		c = c * (hex ? 16 : 10) + d;
	}
	return c;
}

void fmt_entity(struct buf *out, const char *p, size_t n)
{
	if (n < 3 || p[0] != '&' || p[n - 1] != ';') {
		buf_put(out, p, n);
		return;
	}
	if (p[1] == '#') {
		put_char(out, number_of(p + 1, n - 2));
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strlen(names[i].name) == n - 2 && memcmp(names[i].name, p + 1, n - 2) == 0) {
			buf_puts(out, names[i].text);
			return;
		}
	}
	buf_put(out, p, n);
}

void fmt_url_encode(struct buf *b, size_t off, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = b->p[off + i];

		if (c && strchr("|<>\"` \n\t", c))
			buf_putf(b, "%%%02X", (unsigned)c);
		else
			buf_put(b, &c, 1);
	}
}
