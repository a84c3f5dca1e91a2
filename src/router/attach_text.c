// SPDX-License-Identifier: Apache-2.0
/*
 * Names, types and words for files that came in. Pure. A sender chooses a file's name and type freely, so neither is taken as it is.
 */
#include <ctype.h>
#include <string.h>
#include "base/str.h"
#include "router/inbox.h"

#define NAME_BYTES 80
#define SHOWN_NAME 60

static const struct {
	const char *mime, *ending;
	size_t at, n;
	const char *magic;
} types[] = {
	{"image/jpeg", "jpg", 0, 3, "\xff\xd8\xff"},
	{"image/png", "png", 0, 8, "\x89PNG\r\n\x1a\n"},
	{"image/gif", "gif", 0, 4, "GIF8"},
	{"image/webp", "webp", 8, 4, "WEBP"},
	{"application/pdf", "pdf", 0, 5, "%PDF-"},
	{"audio/ogg", "ogg", 0, 4, "OggS"},
	{"audio/mpeg", "mp3", 0, 3, "ID3"},
	{"audio/wav", "wav", 8, 4, "WAVE"},
	{"audio/mp4", "m4a", 4, 7, "ftypM4A"},
	{"video/mp4", "mp4", 4, 4, "ftyp"},
	{"video/webm", "webm", 0, 4, "\x1a\x45\xdf\xa3"},
	{"application/gzip", "gz", 0, 3, "\x1f\x8b\x08"},
	{"application/zip", "zip", 0, 4, "PK\x03\x04"},
};

/* Formats that are a ZIP inside, and whose type is worth more than that. */
static bool is_zip_kind(const char *mime)
{
	return strstr(mime, "openxmlformats") || strstr(mime, "opendocument") ||
	       strstr(mime, "epub") || strstr(mime, "java-archive") || strstr(mime, "android");
}

const char *attach_sniff(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (n >= types[i].at + types[i].n &&
		    memcmp(p + types[i].at, types[i].magic, types[i].n) == 0)
			return types[i].mime;
	}
	return NULL;
}

const char *attach_better_type(const char *claimed, const char *proved)
{
	if (!proved || (streq(proved, "application/zip") && is_zip_kind(claimed)))
		return claimed;
	/* The same box for sound and picture: what the platform says is nearer. */
	if (str_starts(proved, "video/") && str_starts(claimed, "audio/"))
		return claimed;
	if (streq(proved, "audio/ogg") && str_starts(claimed, "audio/ogg"))
		return claimed;
	return proved;
}

static bool is_safe(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._-", c));
}

void attach_safe_name(const char *name, const char *mime, char out[NAME_BYTES + 1])
{
	char ending[12] = "";
	const char *dot;
	size_t n = 0, room = NAME_BYTES;

	for (const char *p = name; *p; p++) {
		if (*p == '/' || *p == '\\')
			name = p + 1;
	}
	while (*name == '.' || *name == ' ')
		name++;
	dot = strrchr(name, '.');
	if (dot && dot > name && strlen(dot) < sizeof(ending))
		str_copy(ending, sizeof(ending), dot);
	if (!name[0]) {
		name = "file";
		for (size_t i = 0; i < ARRAY_LEN(types); i++) {
			if (str_starts(mime, types[i].mime))
				snprintf(ending, sizeof(ending), ".%s", types[i].ending);
		}
		dot = name + 4;
	}
	room -= strlen(ending);
	for (const char *p = name; *p && n < room && !(ending[0] && p == dot); p++) {
		/* One mark for a character, however many bytes it has. */
		if (((unsigned char)*p & 0xc0) == 0x80)
			continue;
		out[n] = is_safe(*p) && (n || *p != '.') ? *p : '_';
		n++;
	}
	if (!n)
		n = (size_t)snprintf(out, 5, "file");
	for (const char *p = ending; *p; p++)
		out[n++] = is_safe(*p) ? *p : '_';
	out[n] = '\0';
}

/* Text of others in a line of ours: one line, no bracket, not long. */
static void put_plain(struct buf *out, const char *s, size_t max)
{
	size_t n = strlen(s), cut = n > max ? str_utf8_floor(s, max) : n;

	for (size_t i = 0; i < cut; i++) {
		char c = s[i];

		if ((unsigned char)c < ' ' || c == 0x7f || strchr("[]<>", c))
			c = ' ';
		buf_put(out, &c, 1);
	}
	if (cut < n)
		buf_puts(out, "…");
}

static void put_size(struct buf *out, int64_t n)
{
	if (n < 0)
		buf_puts(out, "size unknown");
	else if (n < 1000)
		buf_putf(out, "%lld B", (long long)n);
	else if (n < 1000000)
		buf_putf(out, "%lld KB", (long long)(n + 500) / 1000);
	else
		buf_putf(out, "%lld.%lld MB", (long long)n / 1000000, (long long)n / 100000 % 10);
}

static void put_kind(struct buf *out, const struct file_row *f)
{
	buf_puts(out, " (");
	if (f->mime[0]) {
		put_plain(out, f->mime, 80);
		buf_puts(out, ", ");
	}
	put_size(out, f->size);
	buf_puts(out, ")");
}

void attach_put_line(struct buf *out, const struct file_row *f)
{
	const char *kind = f->voice ? "voice message" : "file";

	if (f->state == FILE_SAVED) {
		buf_putf(out, "[%s: %s", kind, f->path);
		put_kind(out, f);
		if (f->voice && f->note[0] == '!') {
			buf_puts(out, " — could not be transcribed: ");
			put_plain(out, f->note + 1, 160);
		}
		buf_puts(out, "]");
		if (f->voice && f->note[0] && f->note[0] != '!')
			buf_putf(out, "\n[voice message, transcribed] %s", f->note);
		return;
	}
	buf_putf(out, "[%s: ", kind);
	put_plain(out, f->name[0] ? f->name : "without a name", SHOWN_NAME);
	if (f->state == FILE_FAILED) {
		buf_puts(out, " — could not be fetched: ");
		put_plain(out, f->note, 160);
	} else {
		put_kind(out, f);
	}
	buf_puts(out, "]");
}

size_t attach_base_len(const char *text, size_t text_len, const struct buf *lines)
{
	size_t n = text_len - lines->len;

	if (!lines->len || lines->len > text_len || memcmp(text + n, lines->p, lines->len) != 0)
		return text_len;
	return n && text[n - 1] == '\n' ? n - 1 : n;
}
