// SPDX-License-Identifier: Apache-2.0
/* Files that come in: names and types, where they are put, who waits for them, and what is said when they cannot be had. */
#include "router_inbox_rig.h"
#include "router/inbox.h"

/* --- pure --------------------------------------------------------------------------------- */

static void names_are_made_safe(void **state)
{
	static const struct {
		const char *name, *mime, *want;
	} table[] = {
		{"photo.jpg", "", "photo.jpg"},
		{"../../etc/passwd", "", "passwd"},
		{"C:\\dir\\a.doc", "", "a.doc"},
		{"folder/", "", "file"},
		{"...hidden", "", "hidden"},
		{"a b\n;$(x).sh", "", "a_b____x_.sh"},
		{"Bärchen.png", "", "B_rchen.png"},
		{"", "image/jpeg", "file.jpg"},
		{"", "application/x-odd", "file"},
		{"", "audio/ogg; codecs=opus", "file.ogg"},
		{"...", "", "file"},
		{"-rf", "", "-rf"}, /* the message's number stands before it */
		{".", "image/png", "file.png"},
		{"x.tar.gz", "", "x.tar.gz"},
	};
	char out[81], longest[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		attach_safe_name(table[i].name, table[i].mime, out);
		assert_string_equal(out, table[i].want);
	}
	memset(longest, 'n', sizeof(longest));
	memcpy(longest + 290, ".pdf", 5);
	attach_safe_name(longest, "", out);
	assert_int_equal(strlen(out), 80);
	assert_string_equal(out + 76, ".pdf");
}

static void types_are_proved(void **state)
{
	(void)state;
	assert_string_equal(attach_sniff((const uint8_t *)"\xff\xd8\xff\xe0", 4), "image/jpeg");
	assert_string_equal(attach_sniff((const uint8_t *)"RIFF0000WEBPVP8 ", 16), "image/webp");
	assert_string_equal(attach_sniff((const uint8_t *)"0000ftypM4A ", 12), "audio/mp4");
	assert_null(attach_sniff((const uint8_t *)"hello", 5));
	assert_null(attach_sniff((const uint8_t *)"\xff\xd8", 2));
	assert_string_equal(attach_better_type("image/png", "image/jpeg"), "image/jpeg");
	assert_string_equal(attach_better_type("text/plain", NULL), "text/plain");
	assert_string_equal(attach_better_type("audio/ogg; codecs=opus", "audio/ogg"),
			    "audio/ogg; codecs=opus");
	assert_string_equal(attach_better_type("audio/mp4", "video/mp4"), "audio/mp4");
	assert_string_equal(attach_better_type("application/vnd.openxmlformats-officedocument.x",
					       "application/zip"),
			    "application/vnd.openxmlformats-officedocument.x");
}

static void lines_say_how_it_went(void **state)
{
	struct buf b = {0};
	struct file_row f = {.name = "a]\n[b.txt", .mime = "text/plain", .size = 34567};

	(void)state;
	attach_put_line(&b, &f);
	assert_string_equal(b.p, "[file: a   b.txt (text/plain, 35 KB)]");
	buf_reset(&b);
	f.state = FILE_FAILED;
	f.note = "the platform says no";
	attach_put_line(&b, &f);
	assert_string_equal(b.p, "[file: a   b.txt — could not be fetched: the platform says no]");
	buf_reset(&b);
	f = (struct file_row){.name = "",
			      .mime = "",
			      .size = 2500000,
			      .state = FILE_SAVED,
			      .voice = true,
			      .path = "inbox/1-file",
			      .note = "hello there"};
	attach_put_line(&b, &f);
	assert_string_equal(b.p, "[voice message: inbox/1-file (2.5 MB)]\n"
				 "[voice message, transcribed] hello there");
	buf_free(&b);
}

/* --- with the router ---------------------------------------------------------------------- */

#define JPEG "\xff\xd8\xff\xe0 a picture"

static struct inbound with_file(const char *id, const char *text, struct inbound_file *f)
{
	struct inbound m = from("ann", id, text);

	m.addressed = true;
	m.files = f;
	m.n_files = 1;
	return m;
}

/* The platform has all bytes of the n-th fetch. */
static void deliver(int n, const char *bytes, const char *mime)
{
	struct fetch_seen *f = &plat.fetches[n];
	ssize_t len = (ssize_t)strlen(bytes);

	assert_true(plat.n_fetches > n);
	assert_int_equal(write(f->fd, bytes, (size_t)len), len);
	channel_on_fetched(plat.chan, f->id, len, mime, NULL);
}

static void refuse_fetch(int n, enum err_code code, const char *why)
{
	struct err e = {.code = code};

	str_copy(e.msg, sizeof(e.msg), why);
	channel_on_fetched(plat.chan, plat.fetches[n].id, 0, "", &e);
}

static void inbox_path(struct house *h, int64_t id, const char *name, char out[200])
{
	snprintf(out, 200, "%s/groups/fam/inbox/%lld-%s", h->dir, (long long)id, name);
}

static void assert_saved(struct house *h, int64_t id, const char *name, const char *want)
{
	char path[200], got[100] = "";
	struct stat st;
	FILE *f;

	inbox_path(h, id, name, path);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, sizeof(got) - 1, f), strlen(want));
	fclose(f);
	assert_string_equal(got, want);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	if (geteuid() == 0)
		assert_int_equal(st.st_uid, 10001);
}

static void assert_no_file(struct house *h, int64_t id, const char *name)
{
	char path[200];

	inbox_path(h, id, name, path);
	assert_int_equal(access(path, F_OK), -1);
}

static struct inbound_file picture = {
	.name = "cat.png", .mime = "image/png", .size = 15, .ref = "ref1"};

static void a_message_waits_for_its_file(void **state)
{
	struct house *h = plat_house(state);
	char line[200];
	int64_t id = take(with_file("1", "look", &picture));

	assert_int_equal(row(h, id).state, MSG_FETCHING);
	assert_string_equal(row(h, id).text, "look\n[file: cat.png (image/png, 15 B)]");
	await(h, &plat.n_fetches, 1);
	assert_string_equal(plat.fetches[0].ref, "ref1");
	assert_int_equal(plat.fetches[0].max, 20 << 20);
	asked("2", "what is it?");
	settle(h);
	assert_int_equal(h->n_lines, 0); /* nobody overtakes it */
	deliver(0, JPEG, "application/octet-stream");
	await(h, &h->n_lines, 1);
	snprintf(line, sizeof(line), "look\n[file: inbox/%lld-cat.png (image/jpeg, 14 B)]\n[ann, ",
		 (long long)id);
	assert_text_has(h->boxes[0]->lines[0].text, line);
	assert_text_has(h->boxes[0]->lines[0].text, "what is it?");
	assert_saved(h, id, "cat.png", JPEG);
	assert_text_has(row(h, id).text, "(image/jpeg, 14 B)]");
}

static void a_file_without_words(void **state)
{
	struct house *h = plat_house(state);
	struct inbound_file two[] = {{.name = "", .mime = "image/jpeg", .size = -1, .ref = "a"},
				     {.name = "", .mime = "image/jpeg", .size = -1, .ref = "b"}};
	struct inbound m = with_file("1", "", two);
	char line[200];
	int64_t id;

	m.n_files = 2;
	id = take(m);
	await(h, &plat.n_fetches, 2);
	deliver(1, "two", "");
	settle(h);
	assert_int_equal(h->n_lines, 0);
	deliver(0, "one", "");
	await(h, &h->n_lines, 1);
	snprintf(line, sizeof(line),
		 "Z] [file: inbox/%lld-file.jpg (image/jpeg, 3 B)]\n"
		 "[file: inbox/%lld.2-file.jpg (image/jpeg, 3 B)]",
		 (long long)id, (long long)id);
	assert_text_has(h->boxes[0]->lines[0].text, line);
	assert_saved(h, id, "file.jpg", "one");
}

static void what_cannot_be_had_is_said(void **state)
{
	struct house *h = plat_house(state);
	struct inbound_file big = {.name = "big.iso", .mime = "", .size = 1LL << 40, .ref = "r"};
	int64_t id = take(with_file("1", "look", &picture));

	await(h, &plat.n_fetches, 1);
	refuse_fetch(0, E_GONE, "the file is gone");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text,
			"[file: cat.png — could not be fetched: the file is gone]");
	assert_no_file(h, id, "cat.png");
	take(with_file("2", "this?", &big));
	await(h, &h->n_lines, 2);
	assert_text_has(h->boxes[0]->lines[1].text, "larger than files.max_in");
	assert_int_equal(plat.n_fetches, 1);
	take(with_file("3", "again", &picture));
	await(h, &plat.n_fetches, 2);
	refuse_fetch(1, E_TEMP, "a hiccup");
	await(h, &plat.n_fetches, 3); /* after a second */
	deliver(2, "bytes", "");
	await(h, &h->n_lines, 3);
	assert_text_has(h->boxes[0]->lines[2].text, "-cat.png (image/png, 5 B)]");
}

static void links_in_the_folder_are_not_followed(void **state)
{
	struct house *h = plat_house(state);
	char path[200];

	snprintf(path, sizeof(path), "%s/groups/fam", h->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/groups/fam/inbox", h->dir);
	assert_int_equal(symlink(h->dir, path), 0);
	take(with_file("1", "look", &picture));
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text,
			"could not be fetched: inbox in the group's folder is not a folder");
	assert_int_equal(plat.n_fetches, 0);
}

static void files_of_the_context_come_along(void **state)
{
	struct house *h = plat_house(state);
	struct inbound m = with_file("1", "my cat", &picture);
	char line[200];
	int64_t id;

	m.addressed = false;
	id = take(m);
	settle(h);
	assert_int_equal(plat.n_fetches, 0); /* nobody asked */
	asked("2", "what do you see?");
	await(h, &plat.n_fetches, 1);
	settle(h);
	assert_int_equal(h->n_lines, 0);
	deliver(0, JPEG, "");
	await(h, &h->n_lines, 1);
	snprintf(line, sizeof(line), "my cat\n[file: inbox/%lld-cat.png (image/jpeg, 14 B)]\n</con",
		 (long long)id);
	assert_text_has(h->boxes[0]->lines[0].text, line);
}

static void a_restart_fetches_again(void **state)
{
	struct house *h = plat_house(state);
	int64_t id = take(with_file("1", "look", &picture));
	struct err e = ERR_INIT;

	await(h, &plat.n_fetches, 1);
	assert_int_equal(write(plat.fetches[0].fd, "half", 4), 4);
	asked("2", "and this");
	house_stop(h);
	assert_ok(store_commit(h->st, &e), &e);
	plat.n_fetches = 0;
	plat.down = true;
	house_start(h);
	settle(h);
	assert_int_equal(plat.n_fetches, 0); /* the platform is away */
	channel_on_state(plat.chan, CHANNEL_UP, "", 0);
	await(h, &plat.n_fetches, 1);
	settle(h);
	assert_int_equal(h->n_lines, 0);
	deliver(0, "whole", "");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "and this");
	assert_saved(h, id, "cat.png", "whole");
}

/* Fetches that hang hold up neither the channel's own messages nor those of another channel: few are under way at once. */
static void few_fetches_at_once(void **state)
{
	struct house *h = plat_house(state);
	struct inbound_file f = {.name = "a.jpg", .mime = "", .size = -1, .ref = "r1"};
	char id[12];

	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "%d", i);
		take(with_file(id, "look", &f));
	}
	settle(h);
	assert_int_equal(plat.n_fetches, 4);
	deliver(1, JPEG, "");
	await(h, &plat.n_fetches, 5);
	take(event(INBOUND_DELETE, "0/d", "0", ""));
	await(h, &plat.n_fetches, 6);
	settle(h);
	assert_int_equal(plat.n_fetches, 6);
}

/* What asked for the file is taken back, and the next one would ask for it too: one fetch at a time, or they take each other's outcome. */
static void one_fetch_of_one_file(void **state)
{
	struct house *h = plat_house(state);
	struct inbound_file f = {.name = "a.jpg", .mime = "", .size = -1, .ref = "r1"};
	struct inbound m = with_file("1", "look", &f);

	m.addressed = false;
	take(m);
	asked("2", "what is this?");
	await(h, &plat.n_fetches, 1);
	take(event(INBOUND_DELETE, "2/d", "2", ""));
	asked("3", "what is that?");
	settle(h);
	assert_int_equal(plat.n_fetches, 1);
	deliver(0, JPEG, "");
	settle(h);
	assert_non_null(strstr(row(h, 1).text, "inbox/1-a.jpg"));
}

static void taken_back_while_it_comes(void **state)
{
	struct house *h = plat_house(state);
	int64_t id = take(with_file("1", "look", &picture)), later;

	await(h, &plat.n_fetches, 1);
	asked("2", "and this");
	take(event(INBOUND_DELETE, "d1", "1", ""));
	assert_true(plat.fetches[0].cancelled);
	await(h, &h->n_lines, 1);
	assert_text_lacks(h->boxes[0]->lines[0].text, "look");
	assert_no_file(h, id, "cat.png");
	answer(h->boxes[0], 0, "ok");
	await(h, &plat.n_sent, 1);
	later = take(with_file("3", "look", &picture));
	await(h, &plat.n_fetches, 2);
	deliver(1, "bytes", "");
	await(h, &h->n_lines, 2);
	assert_saved(h, later, "cat.png", "bytes");
	take(event(INBOUND_DELETE, "d2", "3", ""));
	assert_no_file(h, later, "cat.png");
	assert_string_equal(row(h, later).text, "[deleted]");
}

static void an_edit_keeps_the_files(void **state)
{
	struct house *h = plat_house(state);
	int64_t id = take(with_file("1", "lok", &picture));

	await(h, &plat.n_fetches, 1);
	take(event(INBOUND_EDIT, "e1", "1", "look"));
	assert_string_equal(row(h, id).text, "look\n[file: cat.png (image/png, 15 B)]");
	deliver(0, "bytes", "");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "Z] look\n[file: inbox/");
	take(event(INBOUND_EDIT, "e2", "1", "look")); /* nothing new */
	settle(h);
	assert_int_equal(h->n_lines, 1);
}

/* --- voice -------------------------------------------------------------------------------- */

static void use_command(struct house *h, const char *command)
{
	FILE *f;

	snprintf(h->cfg.file, sizeof(h->cfg.file), "%s/chela.yaml", h->dir);
	f = fopen(h->cfg.file, "w");
	assert_non_null(f);
	fprintf(f, "files:\n  max_in: 1M\n  transcribe: %s\n", command);
	fclose(f);
}

static struct inbound_file voice = {
	.name = "", .mime = "audio/ogg", .size = 9, .ref = "v", .voice = true};

static void a_voice_becomes_words(void **state)
{
	struct house *h = *state;
	int64_t id;

	use_command(h, "[sed, s/Ogg/Words of /, \"{}\"]");
	plat_house(state);
	id = take(with_file("1", "", &voice));
	await(h, &plat.n_fetches, 1);
	assert_int_equal(plat.fetches[0].max, 1 << 20);
	deliver(0, "OggS hello\n\n", "");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text, "[voice message: inbox/");
	assert_text_has(h->boxes[0]->lines[0].text,
			"]\n[voice message, transcribed] Words of S hello");
	assert_saved(h, id, "file.ogg", "OggS hello\n\n");
}

static void many_voices_wait_for_an_ear(void **state)
{
	struct house *h = *state;
	struct inbound_file five[] = {voice, voice, voice, voice, voice};
	struct inbound m = with_file("1", "", five);
	int n = 0;

	use_command(h, "[cat, \"{}\"]");
	plat_house(state);
	m.n_files = 5;
	take(m);
	for (int i = 0; i < 5; i++) {
		await_at_least(h, &plat.n_fetches, i + 1);
		deliver(i, "OggS hello", "");
	}
	await(h, &h->n_lines, 1);
	for (const char *p = h->boxes[0]->lines[0].text; (p = strstr(p, "transcribed] Ogg")); p++)
		n++;
	assert_int_equal(n, 5);
}

static void a_voice_without_words(void **state)
{
	struct house *h = *state;

	use_command(h, "[\"false\", \"{}\"]");
	plat_house(state);
	take(with_file("1", "", &voice));
	await(h, &plat.n_fetches, 1);
	deliver(0, "OggS hello", "");
	await(h, &h->n_lines, 1);
	assert_text_has(h->boxes[0]->lines[0].text,
			"— could not be transcribed: the command failed with code 1]");
}

static void a_wrong_section_is_refused(void **state)
{
	struct house *h = *state;
	struct files_settings s;
	struct err e = ERR_INIT;

	use_command(h, "[whisper]");
	assert_err(files_settings_load(&h->cfg, &s, &e), &e, E_INVAL, "no word has {}");
	use_command(h, "whisper");
	assert_err(files_settings_load(&h->cfg, &s, &e), &e, E_INVAL, "expected a list");
	use_command(h, "[whisper, \"{}\"]\n  max_inn: 3");
	assert_err(files_settings_load(&h->cfg, &s, &e), &e, E_INVAL, "max_in");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, house_setup, plat_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_made_safe),
		cmocka_unit_test(types_are_proved),
		cmocka_unit_test(lines_say_how_it_went),
		TEST(a_message_waits_for_its_file),
		TEST(a_file_without_words),
		TEST(what_cannot_be_had_is_said),
		TEST(links_in_the_folder_are_not_followed),
		TEST(files_of_the_context_come_along),
		TEST(a_restart_fetches_again),
		TEST(few_fetches_at_once),
		TEST(one_fetch_of_one_file),
		TEST(taken_back_while_it_comes),
		TEST(an_edit_keeps_the_files),
		TEST(a_voice_becomes_words),
		TEST(many_voices_wait_for_an_ear),
		TEST(a_voice_without_words),
		TEST(a_wrong_section_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
