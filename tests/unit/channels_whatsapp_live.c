// SPDX-License-Identifier: Apache-2.0
/*
 * The WhatsApp channel against the strict fake of its bridge: what is acknowledged and when, what is sent and what becomes of it, files
 * both ways, states, breaks, signs of life, linking.
 */
#include "channels_whatsapp_rig.h"

static void acknowledged_once_durable(void **state)
{
	struct world w;

	connect_world(&w, state);
	w.hold = true;
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'one'}");
	order(&w, "inject", "{'do':'message','chat':'" FAMILY "','text':'two','mention':true}");
	await(&w, &w.n_messages, 2);
	assert_int_equal(stat_of(&w, "acked"), 0);
	w.hold = false;
	order(&w, "wait", "{'what':'idle'}");
	assert_int_equal(stat_of(&w, "acked"), 2);
	assert_int_equal(stat_of(&w, "acks"), 1); /* one for both */
	assert_non_null(strstr(w.heard.p, "message " ANN " Ann:one\n"));
	close_world(&w);
}

static void not_stored_comes_again(void **state)
{
	struct world w;
	struct err no = ERR_INIT;

	connect_world(&w, state);
	w.hold = true;
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'one'}");
	await(&w, &w.n_messages, 1);
	err_set(&no, E_IO, "disk full");
	store_all(&w, &no);
	await(&w, &w.n_messages, 2); /* over a new connection, which nobody was told of */
	err_set(&no, E_PERM, "no");
	store_all(&w, &no); /* final: not wanted */
	w.hold = false;
	order(&w, "wait", "{'what':'idle'}");
	hear(&w, "message " ANN " Ann:one\nmessage " ANN " Ann:one\n");
	assert_int_equal(stat_of(&w, "hellos"), 2);
	close_world(&w);
}

static void a_late_commit_of_an_old_connection(void **state)
{
	struct world w;
	struct told old;

	connect_world(&w, state);
	w.hold = true;
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'one'}");
	await(&w, &w.n_messages, 1);
	old = w.told[0];
	w.n_told = 0;
	order(&w, "wire", "{'do':'drop'}");
	await(&w, &w.n_messages, 2);
	old.fn(old.ctx, 1, false, NULL); /* no acknowledgement follows from it */
	assert_int_equal(stat_of(&w, "acked"), 0);
	w.hold = false;
	order(&w, "wait", "{'what':'idle'}");
	close_world(&w);
}

static void left_out_events_are_asked_for_again(void **state)
{
	struct world w;

	connect_world(&w, state);
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'one'}");
	await(&w, &w.n_messages, 1);
	order(&w, "wire", "{'do':'silent_gap','count':3}");
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'two'}");
	await(&w, &w.n_messages, 2);
	order(&w, "wait", "{'what':'idle'}");
	assert_int_equal(stat_of(&w, "hellos"), 2);
	hear(&w, "message " ANN " Ann:one\nmessage " ANN " Ann:two\n");
	order(&w, "inject",
	      "{'do':'moved','lid':'100000000000003@lid','pn':'4915110000003@s.whatsapp.net'}");
	await(&w, &w.n_moved, 1);
	hear(&w, "moved 100000000000003@lid 4915110000003@s.whatsapp.net\n");
	order(&w, "wait", "{'what':'idle'}");
	close_world(&w);
}

static void sending(void **state)
{
	struct world w;
	char first[80];

	connect_world(&w, state);
	SAY(&w, .body = "hello *you*");
	assert_true(str_starts(w.heard.p, "sent 1 "));
	str_copy(first, sizeof(first), w.heard.p);
	buf_reset(&w.heard);
	SAY(&w, .body = "hello *you*", .again = true); /* the bridge knows the key */
	hear(&w, first);
	assert_int_equal(stat_of(&w, "repeats"), 1);
	first[strcspn(first, "\n")] = '\0';
	SAY(&w, .id = 2, .key = "a", .kind = OUTBOUND_EDIT, .target = first + 7, .body = "better");
	assert_true(str_starts(w.heard.p, "sent 2 ") && !strchr(w.heard.p, '!'));
	order(&w, "messages", "{'chat':'" ANN "','from':'bot'}");
	assert_non_null(strstr(w.answer.p, "\"better\""));
	buf_reset(&w.heard);
	SAY(&w, .id = 3, .key = "b", .kind = OUTBOUND_REACTION, .target = first + 7, .emoji = "👍");
	assert_true(str_starts(w.heard.p, "sent 3 ") && !strchr(w.heard.p, '!'));
	buf_reset(&w.heard);
	SAY(&w, .id = 4, .key = "c", .chat = "4915119999990@s.whatsapp.net", .body = "x");
	assert_true(str_starts(w.heard.p, "sent 4 !gone\n"));
	close_world(&w);
}

static void what_becomes_of_trouble(void **state)
{
	static const struct {
		const char *fault, *heard;
	} t[] = {
		{"{'method':'send','do':'error','error':'refused'}", "sent 1 !perm\n"},
		{"{'method':'send','do':'error','error':'internal'}", "sent 1 !temp\n"},
		{"{'method':'send','do':'limit','retry_after':1}", "sent 1 !limit\n"},
		{"{'method':'send','do':'drop'}", "sent 1 !temp?\n"},
		{"{'method':'send','do':'lost'}", "sent 1 !temp?\n"},
		{"{'method':'send','do':'torn'}", "sent 1 !temp?\n"},
		{"{'method':'send','do':'garbage'}", "sent 1 !temp?\n"},
		{"{'method':'send','do':'stall'}", "sent 1 !temp?\n"},
	};
	struct world w;
	char key[33];

	connect_world(&w, state);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct err e = ERR_INIT;

		order(&w, "fault", t[i].fault);
		w.w->answer_ms = strstr(t[i].fault, "stall") ? 100 : 10000;
		while (w.w->phase != WA_LIVE)
			order(&w, "wait", "{'what':'ready'}");
		snprintf(key, sizeof(key), "key%zu", i);
		struct outbound o = {.body = "x"};
		memcpy(o.key, key, sizeof(key));
		assert_ok(say(&w, &o, &e), &e);
		await(&w, &w.n_sent, (int)i + 1);
		hear(&w, t[i].heard);
	}
	assert_int_equal(w.n_states, 1); /* breaks are mended and nobody was told */
	close_world(&w);
}

static char *make_file(struct world *w, const char *name, size_t n)
{
	char *path = xasprintf("%s/%s", w->f->dir, name);
	FILE *f = fopen(path, "w");

	for (size_t i = 0; i < n; i++)
		fputc((int)(i * 7 + i / 251), f);
	fclose(f);
	return path;
}

static void files_out(void **state)
{
	struct world w;
	struct out_file f = {.name = "b.bin", .mime = "application/octet-stream", .size = 1000000};
	struct err e = ERR_INIT;
	_cleanup_free_ char *path = NULL, *empty = NULL;

	connect_world(&w, state);
	f.path = path = make_file(&w, "out", 1000000); /* several pieces to hash, six to put */
	SAY(&w, .kind = OUTBOUND_FILE, .file = &f, .body = "look");
	assert_true(str_starts(w.heard.p, "sent 1 ") && !strchr(w.heard.p, '!'));
	order(&w, "messages", "{'chat':'" ANN "','file':'b.bin'}");
	assert_non_null(strstr(w.answer.p, "\"size\": 1000000"));
	/* the same content again: nothing has to be put */
	buf_reset(&w.heard);
	SAY(&w, .id = 2, .key = "z", .kind = OUTBOUND_FILE, .file = &f);
	assert_true(str_starts(w.heard.p, "sent 2 ") && !strchr(w.heard.p, '!'));
	f.path = "/none/such";
	assert_err(say(&w, &(struct outbound){.kind = OUTBOUND_FILE, .file = &f}, &e), &e, E_GONE,
		   "file to send");
	f.path = empty = make_file(&w, "empty", 0);
	assert_err(say(&w, &(struct outbound){.kind = OUTBOUND_FILE, .file = &f}, &e), &e, E_INVAL,
		   "1 byte");
	close_world(&w);
}

static void fetch(struct world *w, const char *ref, int fd, int64_t max)
{
	struct err e = ERR_INIT;

	assert_ok(whatsapp_ops.fetch(
			  &w->c, &(struct fetch){.id = 9, .ref = ref, .fd = fd, .max_bytes = max},
			  &e),
		  &e);
	await(w, &w->n_fetched, w->n_fetched + 1);
}

static void files_in(void **state)
{
	struct world w;
	struct err e = ERR_INIT;
	char ref[65] = "";
	const char *p;
	int fd;

	connect_world(&w, state);
	order(&w, "inject",
	      "{'do':'message','chat':'" ANN "','files':[{'name':'a.txt','mime':'text/plain',"
	      "'size':500000}]}");
	order(&w, "messages", "{'chat':'" ANN "','file':'a.txt'}");
	p = strstr(w.answer.p, "\"sha256\": \"");
	assert_non_null(p);
	memcpy(ref, p + 11, 64);
	fd = open(w.f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	buf_reset(&w.heard);
	fetch(&w, ref, fd, 1 << 20);
	hear(&w, "fetched 9 500000 text/plain ok\n");
	assert_int_equal(lseek(fd, 0, SEEK_END), 500000);
	fetch(&w, ref, fd, 300000);
	hear(&w, "fetched 9 0  limit\n");
	order(&w, "fault", "{'method':'fetch','do':'wrong'}");
	fetch(&w, ref, fd, 1 << 20);
	assert_true(str_starts(w.heard.p, "fetched 9 0 ") && strstr(w.heard.p, "proto"));
	buf_reset(&w.heard);
	memset(ref, 'a', 64);
	fetch(&w, ref, fd, 1 << 20);
	hear(&w, "fetched 9 0  gone\n");
	assert_err(whatsapp_ops.fetch(&w.c, &(struct fetch){.ref = "x"}, &e), &e, E_INVAL,
		   "no such");
	/* given up: no outcome */
	assert_ok(
		whatsapp_ops.fetch(
			&w.c, &(struct fetch){.id = 10, .ref = ref, .fd = fd, .max_bytes = 1}, &e),
		&e);
	whatsapp_ops.fetch_cancel(&w.c, 10);
	SAY(&w, .body = "x");
	assert_int_equal(w.n_fetched, 4);
	close(fd);
	close_world(&w);
}

static void states_that_need_a_person(void **state)
{
	struct world w;

	connect_world(&w, state);
	order(&w, "state", "{'state':'retrying','code':428,'text':'closed','retry_ms':20}");
	await(&w, &w.n_states, 2);
	hear(&w, "down no connection to WhatsApp (closed)\n");
	whatsapp_ops.connect(&w.c); /* asks how it stands */
	await(&w, &w.n_states, 3);
	hear(&w, "down no connection to WhatsApp (closed)\n");
	SAY(&w, .body = "x");
	hear(&w, "sent 1 !temp\n");
	order(&w, "state", "{'state':'logged_out','code':401,'text':'device removed'}");
	await(&w, &w.n_states, 4);
	hear(&w,
	     "stuck WhatsApp has logged us out (device removed); on this machine: chela whatsapp "
	     "link\n");
	order(&w, "state", "{'state':'up'}");
	await(&w, &w.n_states, 5);
	hear(&w, "up \n");
	close_world(&w);
}

static void refusals(void **state)
{
	struct world w;

	open_world(&w, state);
	order(&w, "wire", "{'do':'refuse','code':'bad_token','count':1}");
	whatsapp_ops.connect(&w.c);
	await(&w, &w.n_states, 1);
	assert_true(str_starts(w.heard.p, "stuck the bridge refuses us") &&
		    strstr(w.heard.p, "token_file"));
	buf_reset(&w.heard);
	order(&w, "wire", "{'do':'http','code':503,'count':1}");
	whatsapp_ops.connect(&w.c);
	await(&w, &w.n_states, 2);
	assert_true(str_starts(w.heard.p, "down ") && strstr(w.heard.p, "HTTP 503"));
	buf_reset(&w.heard);
	order(&w, "wire", "{'do':'deaf','count':1}");
	w.w->start_ms = 200;
	whatsapp_ops.connect(&w.c);
	await(&w, &w.n_states, 3);
	hear(&w, "down the bridge does not answer\n");
	w.w->start_ms = 10000;
	whatsapp_ops.connect(&w.c);
	await(&w, &w.n_states, 4);
	hear(&w, "up \n");
	close_world(&w);
}

static void typing_is_said_again(void **state)
{
	struct world w;

	connect_world(&w, state);
	whatsapp_ops.progress(&w.c, ANN, "", PROGRESS_START, "");
	whatsapp_ops.progress(&w.c, ANN, "", PROGRESS_TOOL, "Bash");
	order(&w, "wait",
	      "{'what':'signs','chat':'" ANN "','kind':'typing','text':'on','count':3}");
	assert_true(str_starts(w.answer.p, "{\"ok\": true"));
	whatsapp_ops.progress(&w.c, ANN, "", PROGRESS_END, "");
	order(&w, "wait", "{'what':'signs','chat':'" ANN "','kind':'typing','text':'off'}");
	assert_true(str_starts(w.answer.p, "{\"ok\": true"));
	assert_null(w.w->typing);
	close_world(&w);
}

static void link_line(void *ctx, const char *line)
{
	struct world *w = ctx;

	w->n_lines++;
	buf_putf(&w->heard, "%s\n", line);
}

static void link_over(void *ctx, const struct err *why)
{
	struct world *w = ctx;

	w->n_ends++;
	buf_putf(&w->heard, "end %s\n", why ? why->msg : "linked");
}

static const struct wa_link_events link_events = {link_line, link_over};

static void linking(void **state)
{
	struct world w;
	struct err e = ERR_INIT;

	connect_world(&w, state);
	assert_ok(wa_link_start(&w.c, "", false, &link_events, &w, &e), &e);
	assert_err(wa_link_start(&w.c, "", false, &link_events, &w, &e), &e, E_LIMIT, "somebody");
	await(&w, &w.n_ends, 1);
	assert_non_null(strstr(w.heard.p, "is linked already"));
	order(&w, "state", "{'state':'unlinked'}");
	await(&w, &w.n_states, 2);
	buf_reset(&w.heard);
	assert_err(wa_link_start(&w.c, "+49 151", false, &link_events, &w, &e), &e, E_INVAL,
		   "digits");
	assert_ok(wa_link_start(&w.c, "", false, &link_events, &w, &e), &e);
	await(&w, &w.n_lines, 5); /* the drawing's three, one before and one after */
	assert_non_null(strstr(w.heard.p, "\n█ ▄ █\n"));
	order(&w, "scan", "{}");
	await(&w, &w.n_ends, 2);
	assert_non_null(strstr(w.heard.p, "end linked\n"));
	assert_true(w.c.ready);
	order(&w, "state", "{'state':'logged_out'}");
	buf_reset(&w.heard);
	assert_ok(wa_link_start(&w.c, "4915112345678", false, &link_events, &w, &e), &e);
	await(&w, &w.n_lines, 6);
	assert_non_null(strstr(w.heard.p, "Code: ABCD1234"));
	wa_link_cancel(&w.c);
	order(&w, "state", "{'state':'up'}");
	assert_int_equal(w.n_ends, 2);
	/* it comes to nothing: what the bridge says is what the person is told */
	order(&w, "state", "{'state':'unlinked'}");
	buf_reset(&w.heard);
	assert_ok(wa_link_start(&w.c, "", false, &link_events, &w, &e), &e);
	await(&w, &w.n_lines, 11);
	order(&w, "state", "{'state':'unlinked','text':'no connection to WhatsApp: x'}");
	await(&w, &w.n_ends, 3);
	assert_non_null(strstr(w.heard.p,
			       "end not linked: no connection to WhatsApp: x; try again: "
			       "chela whatsapp link\n"));
	/* while the bridge is away, the connection is made for it; what breaks ends it */
	assert_ok(wa_link_start(&w.c, "", false, &link_events, &w, &e), &e);
	order(&w, "wire", "{'do':'drop'}");
	await(&w, &w.n_ends, 4);
	close_world(&w);
}

static void closing_in_the_middle(void **state)
{
	struct world w;
	struct out_file f = {.name = "b.bin", .mime = "text/plain", .size = 3000000};
	struct err e = ERR_INIT;
	_cleanup_free_ char *path = NULL;

	connect_world(&w, state);
	f.path = path = make_file(&w, "out", 3000000);
	w.hold = true;
	order(&w, "inject", "{'do':'message','chat':'" ANN "','text':'one'}");
	await(&w, &w.n_messages, 1);
	assert_ok(say(&w, &(struct outbound){.kind = OUTBOUND_FILE, .file = &f}, &e), &e);
	assert_ok(say(&w, &(struct outbound){.id = 2, .body = "x", .key = "q"}, &e), &e);
	whatsapp_ops.progress(&w.c, ANN, "", PROGRESS_START, "");
	whatsapp_ops.close(&w.c);
	close_world(&w);
	assert_int_equal(w.n_sent, 0); /* no up-call any more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(acknowledged_once_durable),
		FIX_TEST(not_stored_comes_again),
		FIX_TEST(a_late_commit_of_an_old_connection),
		FIX_TEST(left_out_events_are_asked_for_again),
		FIX_TEST(sending),
		FIX_TEST(what_becomes_of_trouble),
		FIX_TEST(files_out),
		FIX_TEST(files_in),
		FIX_TEST(states_that_need_a_person),
		FIX_TEST(refusals),
		FIX_TEST(typing_is_said_again),
		FIX_TEST(linking),
		FIX_TEST(closing_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
