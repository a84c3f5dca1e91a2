// SPDX-License-Identifier: Apache-2.0
/*
 * The strict fake of the bridge (tests/fakes/whatsapp_wire.py) as a process, orders to it, and a core that writes down what it is told.
 * Tests await counts at the end of loop turns, never time.
 */
#ifndef CHELA_TESTS_WHATSAPP_RIG_H
#define CHELA_TESTS_WHATSAPP_RIG_H
#include "runtime_fix.h"
#include <fcntl.h>
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"
#include "runtime/http.h"

#define FAKE	"tests/fakes/whatsapp_wire.py"
#define CONTROL "control-of-this-test"
#define ANN	"4915110000001@s.whatsapp.net"
#define FAMILY	"120363000000000001@g.us"
#define KEY	"0123456789abcdef0123456789abcdef"

struct told {
	stored_fn *fn;
	void *ctx;
};
struct world {
	struct fix *f;
	struct proc *fake;
	int in, control;
	struct http_client *http;
	struct channel c;
	struct whatsapp *w;
	/* what the core was told */
	struct buf heard; /* a line for each up-call */
	int n_messages, n_sent, n_states, n_fetched, n_moved, n_lines, n_ends;
	bool hold; /* messages are not stored until the test says so */
	struct told told[64];
	size_t n_told;
	struct turn_hook *hook;
	const int *count;
	int want;
	/* the answer to an order */
	struct buf answer;
	int answers;
};

static void up_message(void *x, struct channel *c maybe_unused, const struct inbound *m,
		       stored_fn *fn, void *ctx)
{
	struct world *w = x;

	w->n_messages++;
	buf_putf(&w->heard, "message %s %s:%s\n", m->chat, m->sender_name, m->text);
	assert_true(w->n_told < ARRAY_LEN(w->told));
	w->told[w->n_told++] = (struct told){fn, ctx};
}

static void up_sent(void *x, struct channel *c maybe_unused, int64_t id, const struct sent *s)
{
	struct world *w = x;

	w->n_sent++;
	if (s->platform_id)
		buf_putf(&w->heard, "sent %lld %s\n", (long long)id, s->platform_id);
	else
		buf_putf(&w->heard, "sent %lld !%s%s\n", (long long)id, err_word(s->why->code),
			 s->unsure ? "?" : "");
}

static void up_state(void *x, struct channel *c maybe_unused, enum channel_state st,
		     const char *reason, int64_t retry_ms maybe_unused)
{
	static const char *const words[] = {"up", "down", "stuck"};
	struct world *w = x;

	w->n_states++;
	buf_putf(&w->heard, "%s %s\n", words[st], reason);
}

static void up_fetched(void *x, struct channel *c maybe_unused, int64_t id, int64_t size,
		       const char *mime, const struct err *why)
{
	struct world *w = x;

	w->n_fetched++;
	buf_putf(&w->heard, "fetched %lld %lld %s %s\n", (long long)id, (long long)size, mime,
		 why ? err_word(why->code) : "ok");
}

static void up_moved(void *x, struct channel *c maybe_unused, const char *chat, const char *to)
{
	struct world *w = x;

	w->n_moved++;
	buf_putf(&w->heard, "moved %s %s\n", chat, to);
}

static const struct channel_up ups = {
	.message = up_message,
	.sent = up_sent,
	.state = up_state,
	.fetched = up_fetched,
	.moved = up_moved,
};

/* What a commit does: all that was handed over is told of. */
static void store_all(struct world *w, const struct err *why)
{
	size_t n = w->n_told;

	w->n_told = 0;
	for (size_t i = 0; i < n; i++)
		w->told[i].fn(w->told[i].ctx, 1, false, why);
}

static void on_turn(void *x)
{
	struct world *w = x;

	if (!w->hold)
		store_all(w, NULL);
	if (w->count && *w->count >= w->want)
		loop_stop(w->f->l);
}

static void await(struct world *w, const int *count, int want)
{
	w->count = count;
	w->want = want;
	if (*count < want)
		loop_run(w->f->l);
	w->count = NULL;
}

/* --- the fake -------------------------------------------------------------------------------- */

static void on_answer(void *x, int status, const char *body, size_t n, const struct err *why)
{
	struct world *w = x;

	if (why || status != 200)
		fail_msg("the fake: %d %s", status, why ? why->msg : body);
	buf_reset(&w->answer);
	buf_put(&w->answer, body, n);
	w->answers++;
}

/* Gives the fake an order and awaits its answer (w->answer). body: single quotes stand for double ones. */
static void order(struct world *w, const char *name, const char *body)
{
	const struct http_header h[] = {{"x-control-token", CONTROL},
					{"content-type", "application/json"}};
	_cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d/%s", w->control, name);
	_cleanup_free_ char *json = xstrdup(body);
	struct http_spec s = {.method = "POST", .url = url, .headers = h, .n_headers = 2};
	struct err e = ERR_INIT;

	for (char *p = json; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	s.body = json;
	s.body_len = strlen(json);
	if (!http_fetch(w->http, &s, 1 << 20, on_answer, w, &e))
		fail_msg("%s", e.msg);
	await(w, &w->answers, w->answers + 1);
}

static int64_t stat_of(struct world *w, const char *what)
{
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;

	order(w, "stats", "{}");
	j = json_parse(w->answer.p, w->answer.len, 1 << 20, &e);
	assert_non_null(j);
	return json_peek_i64(j, what, -1);
}

static void fake_died(void *x maybe_unused, int code, int signo)
{
	fail_msg("the fake ended (%d, %d)", code, signo);
}

static void fake_start(struct world *w, char *token, size_t cap)
{
	const char *const argv[] = {"/usr/bin/python3", FAKE,	 "--stdin",
				    "--control-token",	CONTROL, NULL};
	_cleanup_json_ cJSON *j = NULL;
	struct err e = ERR_INIT;
	char line[1024];
	int in[2], out[2];
	FILE *lines;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->fake = proc_spawn(w->f->l, "fake",
			     &(struct proc_spec){.argv = argv, .fds = {in[0], out[1], 2}},
			     fake_died, w, &e);
	assert_non_null(w->fake);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	lines = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), lines));
	fclose(lines);
	j = json_parse(line, strlen(line), sizeof(line), &e);
	assert_non_null(j);
	w->control = (int)json_peek_i64(j, "control", 0);
	snprintf(w->w->url, sizeof(w->w->url), "%s", json_peek_str(j, "url"));
	str_copy(token, cap, json_peek_str(j, "token"));
}

/* --- one world ------------------------------------------------------------------------------- */

static void open_world(struct world *w, void **state)
{
	char token[300];
	struct err e = ERR_INIT;
	FILE *f;

	*w = (struct world){.f = *state};
	w->w = xcalloc(1, sizeof(*w->w));
	w->w->proc_in = w->w->proc_out = -1;
	w->w->told = CHANNEL_DOWN;
	w->w->start_ms = w->w->answer_ms = w->w->media_ms = 10000;
	w->w->typing_ms = 50;
	fake_start(w, token, sizeof(token));
	snprintf(w->w->token_file, sizeof(w->w->token_file), "%s/token", w->f->dir);
	f = fopen(w->w->token_file, "w");
	fchmod(fileno(f), 0600);
	fprintf(f, "%s\n", token);
	fclose(f);
	w->http = http_client_new(w->f->l, NULL);
	w->c = (struct channel){.ops = &whatsapp_ops,
				.priv = w->w,
				.loop = w->f->l,
				.clk = &clock_system,
				.up = &ups,
				.up_ctx = w};
	/* the core's commit comes before what the channel does at a turn's end */
	w->hook = loop_on_turn_end(w->f->l, "core", on_turn, w);
	assert_ok(whatsapp_ops.open(&w->c, &e), &e);
}

static void connect_world(struct world *w, void **state)
{
	open_world(w, state);
	whatsapp_ops.connect(&w->c);
	await(w, &w->n_states, 1);
	assert_string_equal(w->heard.p, "up \n");
	buf_reset(&w->heard);
}

static void close_world(struct world *w)
{
	if (w->control) {
		order(w, "violations", "{}");
		assert_string_equal(w->answer.p, "{\"violations\": []}");
	}
	if (w->c.priv)
		whatsapp_ops.close(&w->c);
	store_all(w, NULL); /* a commit that was under way */
	turn_hook_free(w->hook);
	http_client_free(w->http);
	proc_free(w->fake);
	close(w->in);
	buf_free(&w->heard);
	buf_free(&w->answer);
}

static void hear(struct world *w, const char *want)
{
	assert_string_equal(w->heard.p ? w->heard.p : "", want);
	buf_reset(&w->heard);
}

static int say(struct world *w, const struct outbound *o, struct err *e)
{
	struct outbound full = *o;

	full.id = o->id ? o->id : 1;
	full.chat = o->chat ? o->chat : ANN;
	full.thread = "";
	full.target = o->target ? o->target : "";
	full.emoji = o->emoji ? o->emoji : "";
	full.body = o->body ? o->body : "";
	full.text = full.body;
	if (!*full.key)
		str_copy(full.key, sizeof(full.key), KEY);
	return whatsapp_ops.send(&w->c, &full, e);
}

/* Sends and awaits the outcome. */
#define SAY(w, ...)                                                                                \
	do {                                                                                       \
		struct err e_ = ERR_INIT;                                                          \
		int before_ = (w)->n_sent;                                                         \
		assert_ok(say(w, &(struct outbound){__VA_ARGS__}, &e_), &e_);                      \
		assert_int_equal((w)->n_sent, before_); /* never from inside send */               \
		await(w, &(w)->n_sent, before_ + 1);                                               \
	} while (0)

#endif
