// SPDX-License-Identifier: Apache-2.0
/*
 * The Slack channel on the strict fake (tests/fakes/slack.py, a process of its own), and a core that writes down what it is told. The
 * test gives orders to the fake over its control API and awaits events, never time. Each world ends with the fake's word that no
 * rule of Slack's was broken.
 */
#ifndef CHELA_TESTS_SLACK_RIG_H
#define CHELA_TESTS_SLACK_RIG_H
#include "runtime_fix.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/slack/slack.h"
#include "runtime/proc.h"

#define FAKE	"tests/fakes/slack.py"
#define CONTROL "control-of-this-test"
#define GENERAL "C00GENERAL"
#define ALICE	"D0000ALICE"

struct told {
	stored_fn *fn;
	void *ctx;
};
struct world {
	struct fix *f;
	struct proc *fake;
	int in;
	FILE *out;
	int control;
	struct http_client *http;
	cJSON *answer; /* of the last order */
	bool answered;
	struct channel c;
	struct slack *s;
	/* what the core was told: a line for each up-call */
	struct buf heard;
	int n_messages, n_sent, n_states, n_drafts, n_fetched;
	char sent_id[64], draft_id[64];
	bool retries; /* the core connects again */
	bool hold;    /* messages are not stored until the test says so */
	struct told told[256];
	size_t n_told;
	const char *last_id; /* for back-fill, of GENERAL */
	int64_t last_ms;
	struct turn_hook *hook;
	const int *count;
	int want;
};

#define HAS(buf, text)                                                                             \
	do {                                                                                       \
		if (!(buf).p || !strstr((buf).p, (text)))                                          \
			fail_msg("no \"%s\" in:\n%s", (text), (buf).p ? (buf).p : "");             \
	} while (0)

/* --- the core ------------------------------------------------------------------------------ */

static void up_message(void *x, struct channel *c maybe_unused, const struct inbound *m,
		       stored_fn *fn, void *ctx)
{
	static const char *const kinds[] = {"message", "edit", "delete", "reaction", "press"};
	struct world *w = x;

	w->n_messages++;
	assert_int_equal(strlen(m->text), m->text_len);
	buf_putf(&w->heard, "%s %s(%s)/%s %s>%s %s=%s%s%s: %s", kinds[m->kind], m->chat,
		 m->chat_title, m->thread, m->id, m->target, m->sender, m->sender_name,
		 m->addressed ? " addressed" : "", m->direct ? " direct" : "", m->text);
	for (size_t i = 0; i < m->n_files; i++)
		buf_putf(&w->heard, " [%s %s %lld %s]", m->files[i].name, m->files[i].mime,
			 (long long)m->files[i].size, m->files[i].ref);
	buf_puts(&w->heard, "\n");
	assert_true(w->n_told < ARRAY_LEN(w->told));
	w->told[w->n_told++] = (struct told){fn, ctx};
}

static void up_sent(void *x, struct channel *c maybe_unused, int64_t id, const struct sent *s)
{
	struct world *w = x;

	w->n_sent++;
	if (s->platform_id) {
		str_copy(w->sent_id, sizeof(w->sent_id), s->platform_id);
		buf_putf(&w->heard, "sent %lld ok\n", (long long)id);
	} else {
		buf_putf(&w->heard, "sent %lld !%s%s retry=%lld %s\n", (long long)id,
			 err_word(s->why->code), s->unsure ? "?" : "", (long long)s->retry_ms,
			 s->why->msg);
	}
}

static void connect_again(void *x)
{
	struct world *w = x;

	w->c.ops->connect(&w->c);
}

static void up_state(void *x, struct channel *c maybe_unused, enum channel_state st,
		     const char *reason, int64_t retry_ms maybe_unused)
{
	static const char *const words[] = {"up", "down", "stuck"};
	struct world *w = x;

	w->n_states++;
	buf_putf(&w->heard, "%s %s\n", words[st], reason);
	if (st == CHANNEL_DOWN && w->retries)
		loop_defer(w->f->l, "connect", connect_again, w);
}

static void up_stop(void *x maybe_unused, struct channel *c maybe_unused,
		    const char *chat maybe_unused, const char *thread maybe_unused)
{
	fail_msg("stop");
}

static void up_draft(void *x, struct channel *c maybe_unused, const char *chat, const char *thread,
		     const char *id)
{
	struct world *w = x;

	w->n_drafts++;
	str_copy(w->draft_id, sizeof(w->draft_id), id);
	buf_putf(&w->heard, "draft %s/%s\n", chat, thread);
}

static void up_fetched(void *x, struct channel *c maybe_unused, int64_t id, int64_t size,
		       const char *mime, const struct err *why)
{
	struct world *w = x;

	w->n_fetched++;
	buf_putf(&w->heard, "fetched %lld %lld %s %s %s\n", (long long)id, (long long)size, mime,
		 why ? err_word(why->code) : "ok", why ? why->msg : "");
}

static void up_moved(void *x maybe_unused, struct channel *c maybe_unused,
		     const char *chat maybe_unused, const char *to maybe_unused)
{
	fail_msg("moved");
}

static void up_chats(void *x, struct channel *c maybe_unused,
		     void (*fn)(void *, const char *, const char *, int64_t), void *ctx)
{
	struct world *w = x;

	if (w->last_id)
		fn(ctx, GENERAL, w->last_id, w->last_ms);
}

static const struct channel_up ups = {up_message, up_sent,    up_state, up_stop,
				      up_draft,	  up_fetched, up_moved, up_chats};

/* What a commit does: all that was handed over is told of. */
static inline void store_all(struct world *w, const struct err *why)
{
	for (size_t i = 0; i < w->n_told; i++)
		w->told[i].fn(w->told[i].ctx, 1, false, why);
	w->n_told = 0;
}

static inline void on_turn(void *x)
{
	struct world *w = x;

	if (!w->hold)
		store_all(w, NULL);
	if (w->count && *w->count >= w->want)
		loop_stop(w->f->l);
}

static inline void await(struct world *w, const int *count, int want)
{
	w->count = count;
	w->want = want;
	if (*count < want)
		loop_run(w->f->l);
	w->count = NULL;
}

/* --- the fake ------------------------------------------------------------------------------ */

static inline void on_answer(void *x, int status, const char *body, size_t n, const struct err *why)
{
	struct world *w = x;
	struct err e = ERR_INIT;

	if (why)
		fail_msg("control: %s", why->msg);
	if (status != 200)
		fail_msg("control: %d %s", status, body);
	w->answer = json_parse(body, n, JSON_MAX_DEFAULT, &e);
	assert_non_null(w->answer);
	w->answered = true;
	loop_stop(w->f->l);
}

/* One order; its answer stands in w->answer until the next. */
static inline void order(struct world *w, const char *name, const char *json)
{
	const struct http_header h[] = {{"x-control-token", CONTROL},
					{"content-type", "application/json"}};
	_cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d/%s", w->control, name);
	const struct http_spec spec = {.method = "POST",
				       .url = url,
				       .headers = h,
				       .n_headers = 2,
				       .body = json,
				       .body_len = strlen(json)};
	struct err e = ERR_INIT;

	cJSON_Delete(w->answer);
	w->answer = NULL;
	w->answered = false;
	assert_non_null(http_fetch(w->http, &spec, JSON_MAX_DEFAULT, on_answer, w, &e));
	while (!w->answered)
		loop_run(w->f->l);
}

#define ORDER(w, name, ...)                                                                        \
	do {                                                                                       \
		_cleanup_free_ char *json_ = xasprintf(__VA_ARGS__);                               \
		order(w, name, json_);                                                             \
	} while (0)
/* Injects one event; the ts is in `ts`. */
#define INJECT(w, ts, ...)                                                                         \
	do {                                                                                       \
		ORDER(w, "inject", __VA_ARGS__);                                                   \
		str_copy(ts, 64, json_peek_str((w)->answer, "ids.0"));                             \
	} while (0)
#define PEEK(w, path) (json_peek_str((w)->answer, path) ? json_peek_str((w)->answer, path) : "")
#define WAIT(w, ...)                                                                               \
	do {                                                                                       \
		ORDER(w, "wait", __VA_ARGS__);                                                     \
		if (!cJSON_IsTrue(json_find((w)->answer, "ok")))                                   \
			fail_msg("waited in vain: %s\nheard:\n%s", json_print((w)->answer),        \
				 (w)->heard.p ? (w)->heard.p : "");                                \
	} while (0)

static inline void on_fake_exit(void *x maybe_unused, int code maybe_unused, int signo maybe_unused)
{
	fail_msg("the fake died");
}

static inline void put_token(char *path, size_t cap, struct world *w, const char *name,
			     const char *token)
{
	FILE *f;

	snprintf(path, cap, "%s/%s", w->f->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s\n", token);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static inline void fake_start(struct world *w)
{
	int in[2], out[2];
	char line[2048];
	struct err e = ERR_INIT;
	_cleanup_json_ cJSON *hello = NULL;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->fake = proc_spawn(
		w->f->l, "fake",
		&(struct proc_spec){.argv = (const char *const[]){"/usr/bin/python3", FAKE,
								  "--stdin", "--control-token",
								  CONTROL, NULL},
				    .fds = {in[0], out[1], 2}},
		on_fake_exit, w, &e);
	assert_non_null(w->fake);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->out = fdopen(out[0], "r");
	assert_non_null(fgets(line, sizeof(line), w->out));
	hello = json_parse(line, strlen(line), sizeof(line), &e);
	assert_non_null(hello);
	w->control = (int)json_peek_i64(hello, "control", 0);
	str_copy(w->s->api_url, sizeof(w->s->api_url), json_peek_str(hello, "url"));
	put_token(w->s->app_file, PATH_CAP, w, "app", json_peek_str(hello, "app_token"));
	put_token(w->s->bot_file, PATH_CAP, w, "bot", json_peek_str(hello, "bot_token"));
}

/* --- one world ----------------------------------------------------------------------------- */

static inline void world_open(struct world *w, void **state)
{
	struct err e = ERR_INIT;

	*w = (struct world){.f = *state};
	log_init(&(struct log_opts){.fd = 2, .level = LOG_ERROR});
	w->hook = loop_on_turn_end(w->f->l, "test", on_turn, w);
	w->http = http_client_new(w->f->l, &(struct http_client_opts){0});
	w->s = xcalloc(1, sizeof(*w->s));
	fake_start(w);
	w->s->ping_ms = 1000;
	str_copy(w->s->origin, sizeof(w->s->origin), w->s->api_url);
	*strstr(w->s->origin, "/api") = '\0';
	w->c = (struct channel){.ops = &slack_ops,
				.priv = w->s,
				.loop = w->f->l,
				.clk = &clock_system,
				.up = &ups,
				.up_ctx = w};
	assert_ok(slack_ops.open(&w->c, &e), &e);
	/* The rates of the platform are not what these tests are about. */
	ORDER(w, "limits", "{\"speed\":20,\"ack_s\":1,\"retry_s\":[0,2,4]}");
}

/* Up, with both connections. */
static inline void world_up(struct world *w, void **state)
{
	world_open(w, state);
	slack_ops.connect(&w->c);
	await(w, &w->n_states, 1);
	HAS(w->heard, "up");
	WAIT(w, "{\"what\":\"sockets\",\"count\":2}");
	buf_reset(&w->heard);
}

static inline void world_close(struct world *w, bool broken)
{
	_cleanup_free_ char *text = NULL;

	order(w, "violations", "{}");
	text = json_print(w->answer);
	if (!broken && json_find(w->answer, "violations.0"))
		fail_msg("Slack's rules were broken: %s", text);
	slack_ops.close(&w->c);
	store_all(w, NULL);
	http_client_free(w->http);
	cJSON_Delete(w->answer);
	proc_free(w->fake);
	close(w->in);
	fclose(w->out);
	turn_hook_free(w->hook);
	buf_free(&w->heard);
}

static inline int say(struct world *w, const struct outbound *o, struct err *e)
{
	struct outbound full = *o;

	full.id = o->id ? o->id : 1;
	full.chat = o->chat ? o->chat : GENERAL;
	full.thread = o->thread ? o->thread : "";
	full.target = o->target ? o->target : "";
	full.emoji = o->emoji ? o->emoji : "";
	full.body = o->body ? o->body : "";
	full.text = full.body;
	if (!*full.key)
		str_copy(full.key, sizeof(full.key), "0123456789abcdef0123456789abcdef");
	return slack_ops.send(&w->c, &full, e);
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
