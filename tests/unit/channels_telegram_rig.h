// SPDX-License-Identifier: Apache-2.0
/*
 * A Bot API in the test's own process, and a core that writes down what it is told. Each method is answered by what the test has
 * put in line for it, or in the good default way; a getUpdates that may wait is held until there is something. Tests await counts
 * at the end of loop turns, never time.
 */
#ifndef CHELA_TESTS_TELEGRAM_RIG_H
#define CHELA_TESTS_TELEGRAM_RIG_H
#include "runtime_fix.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/str.h"
#include "channels/telegram/telegram.h"
#include "runtime/conn.h"
#include "runtime/http1.h"

#define TOKEN "123456:AAtesttoken_of-thirty-five-letters0"

enum act {
	ANSWER,
	HANG, /* never */
	CUT,  /* the request was read, the connection breaks */
};
struct planned {
	struct planned *next;
	char method[32];
	enum act act;
	int status;
	char *body;
};
struct asked {
	struct world *w;
	struct http1 *c;
	char method[96];
	struct buf body;
	bool held; /* a poll that waits */
	struct asked *next;
};
struct told {
	stored_fn *fn;
	void *ctx;
};

struct world {
	struct fix *f;
	struct listener *s;
	int port;
	struct http1 *conns[64];
	size_t n_conns;
	struct planned *plan;
	struct asked *waiting; /* requests not answered yet */
	struct buf log;	       /* "METHOD body\n" of each request */
	int n_asked, n_polls, next_id;
	struct channel c;
	struct telegram *t;
	/* what the core was told */
	struct buf heard; /* a line for each up-call */
	int n_messages, n_sent, n_states, n_drafts, n_fetched, n_moved;
	bool hold; /* messages are not stored until the test says so */
	struct told told[64];
	size_t n_told;
	struct turn_hook *hook;
	const int *count;
	int want;
};

/* --- the core ------------------------------------------------------------------------------ */

static void up_message(void *x, struct channel *c maybe_unused, const struct inbound *m,
		       stored_fn *fn, void *ctx)
{
	struct world *w = x;

	w->n_messages++;
	buf_putf(&w->heard, "message %s/%s %s:%s\n", m->chat, m->thread, m->id, m->text);
	w->told[w->n_told++] = (struct told){fn, ctx};
}

static void up_sent(void *x, struct channel *c maybe_unused, int64_t id, const struct sent *s)
{
	struct world *w = x;

	w->n_sent++;
	if (s->platform_id)
		buf_putf(&w->heard, "sent %lld %s\n", (long long)id, s->platform_id);
	else
		buf_putf(&w->heard, "sent %lld !%s%s retry=%lld moved=%s %s\n", (long long)id,
			 err_word(s->why->code), s->unsure ? "?" : "", (long long)s->retry_ms,
			 s->moved_to ? s->moved_to : "-", s->why->msg);
}

static void up_state(void *x, struct channel *c maybe_unused, enum channel_state st,
		     const char *reason, int64_t retry_ms)
{
	static const char *const words[] = {"up", "down", "stuck"};
	struct world *w = x;

	w->n_states++;
	buf_putf(&w->heard, "%s %s %lld\n", words[st], reason, (long long)retry_ms);
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
	buf_putf(&w->heard, "draft %s/%s %s\n", chat, thread, id);
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

static void up_chats(void *x maybe_unused, struct channel *c maybe_unused,
		     void (*fn)(void *, const char *, const char *, int64_t) maybe_unused,
		     void *ctx maybe_unused)
{
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

/* --- the Bot API --------------------------------------------------------------------------- */

static inline void plan(struct world *w, const char *method, enum act act, int status,
			const char *body)
{
	struct planned *p = xcalloc(1, sizeof(*p)), **q = &w->plan;

	str_copy(p->method, sizeof(p->method), method);
	p->act = act;
	p->status = status;
	p->body = xstrdup(body ? body : "");
	while (*q)
		q = &(*q)->next;
	*q = p;
}

#define NO(code, text, more)                                                                       \
	"{\"ok\":false,\"error_code\":" #code ",\"description\":\"" text "\"" more "}"

static inline void asked_free(struct asked *a)
{
	struct asked **p = &a->w->waiting;

	while (*p && *p != a)
		p = &(*p)->next;
	if (*p)
		*p = a->next;
	buf_free(&a->body);
	free(a);
}

static inline void answer(struct asked *a, int status, const char *body)
{
	struct http1 *c = a->c;

	asked_free(a);
	http1_reply(c, status, "application/json", body, strlen(body));
}

static inline void answer_well(struct asked *a)
{
	struct world *w = a->w;
	char body[160];

	if (streq(a->method, "getMe"))
		answer(a, 200,
		       "{\"ok\":true,\"result\":{\"id\":77,\"is_bot\":true,\"username\":\"chela_bot\","
		       "\"can_read_all_group_messages\":false}}");
	else if (streq(a->method, "getUpdates") && strstr(a->body.p, "\"timeout\":0"))
		answer(a, 200, "{\"ok\":true,\"result\":[]}");
	else if (streq(a->method, "getUpdates"))
		a->held = true;
	else if (str_starts(a->method, "send") && !streq(a->method, "sendChatAction") &&
		 !streq(a->method, "sendMessageDraft")) {
		snprintf(body, sizeof(body), "{\"ok\":true,\"result\":{\"message_id\":%d}}",
			 ++w->next_id);
		answer(a, 200, body);
	} else {
		answer(a, 200, "{\"ok\":true,\"result\":true}");
	}
}

static inline void got_body(void *x, const uint8_t *p, size_t n)
{
	struct asked *a = x;

	buf_put(&a->body, p, n);
	http1_consumed(a->c, n);
}

static inline void got_all(void *x)
{
	struct asked *a = x;
	struct world *w = a->w;
	struct planned **p = &w->plan, *hit;

	buf_put(&a->body, "", 0);
	buf_putf(&w->log, "%s %s\n", a->method, a->body.p);
	w->n_asked++;
	w->n_polls += streq(a->method, "getUpdates");
	while (*p && !streq((*p)->method, a->method))
		p = &(*p)->next;
	hit = *p;
	if (!hit) {
		answer_well(a);
		return;
	}
	*p = hit->next;
	if (hit->act == ANSWER)
		answer(a, hit->status, hit->body);
	else if (hit->act == CUT)
		http1_abort(a->c);
	free(hit->body);
	free(hit);
}

static inline void got_gone(void *x)
{
	asked_free(x);
}

static const struct http1_handler handler = {got_body, got_all, NULL, got_gone};

static inline const struct http1_handler *on_request(void *x, struct http1 *c,
						     const struct http1_req *r, void **ctx)
{
	struct world *w = x;
	struct asked *a = xcalloc(1, sizeof(*a));
	const char *rest = r->path;

	if (str_starts(rest, "/bot" TOKEN "/"))
		rest += strlen("/bot" TOKEN "/");
	else
		assert_true(str_starts(rest, "/file/bot" TOKEN "/"));
	a->w = w;
	a->c = c;
	str_copy(a->method, sizeof(a->method), strrchr(rest, '/') ? "FILE" : rest);
	a->next = w->waiting;
	w->waiting = a;
	*ctx = a;
	return &handler;
}

static inline void on_refused(void *x maybe_unused, const char *what, const char *why)
{
	fail_msg("the request is malformed: %s: %s", what, why);
}

static inline void on_conn_closed(void *x, struct http1 *c)
{
	struct world *w = x;

	for (size_t i = 0; i < w->n_conns; i++)
		if (w->conns[i] == c)
			w->conns[i] = w->conns[--w->n_conns];
}

static const struct http1_events server_events = {on_request, on_refused, on_conn_closed};

static inline void on_accept(void *x, int fd, uid_t uid maybe_unused)
{
	struct world *w = x;

	w->conns[w->n_conns++] = http1_new(conn_new(w->f->l, "bot api", fd), &server_events, w);
}

/* Answers the poll that waits. */
static inline void push(struct world *w, const char *updates)
{
	_cleanup_free_ char *body = xasprintf("{\"ok\":true,\"result\":[%s]}", updates);
	struct asked *a = w->waiting;

	while (a && !a->held)
		a = a->next;
	assert_non_null(a);
	answer(a, 200, body);
}

/* --- one world ----------------------------------------------------------------------------- */

static inline void world_open(struct world *w, void **state)
{
	struct err e = ERR_INIT;
	char path[96];
	FILE *f;

	*w = (struct world){.f = *state, .next_id = 500};
	log_init(&(struct log_opts){.fd = -1, .level = LOG_ERROR});
	w->s = listener_tcp(w->f->l, "bot api", &w->port, on_accept, w, &e);
	assert_non_null(w->s);
	w->hook = loop_on_turn_end(w->f->l, "test", on_turn, w);
	snprintf(path, sizeof(path), "%s/token", w->f->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(TOKEN "\n", f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	w->t = xcalloc(1, sizeof(*w->t));
	TAILQ_INIT(&w->t->jobs);
	str_copy(w->t->token_file, PATH_CAP, path);
	snprintf(w->t->api_url, sizeof(w->t->api_url), "http://127.0.0.1:%d", w->port);
	w->t->poll_s = 50;
	w->t->watchdog_ms = 20000;
	w->t->retry_ms = 1;
	w->t->conflict_stuck_ms = 600000;
	w->t->typing_ms = 4000;
	w->t->group_draft_ms = 0;
	w->c = (struct channel){.ops = &telegram_ops,
				.priv = w->t,
				.loop = w->f->l,
				.clk = &clock_system,
				.up = &ups,
				.up_ctx = w};
	assert_ok(telegram_ops.open(&w->c, &e), &e);
}

/* Connected, with a poll that waits. */
static inline void world_up(struct world *w, void **state)
{
	world_open(w, state);
	telegram_ops.connect(&w->c);
	await(w, &w->n_polls, 2);
	assert_true(w->c.ready);
	buf_reset(&w->log);
	buf_reset(&w->heard);
	w->n_asked = 0;
}

static inline void world_close(struct world *w)
{
	struct planned *p;

	telegram_ops.close(&w->c);
	w->hold = true;
	store_all(w, NULL);
	while (w->n_conns)
		http1_abort(w->conns[0]);
	if (w->s)
		listener_free(w->s);
	turn_hook_free(w->hook);
	assert_null(w->waiting);
	while ((p = w->plan)) {
		w->plan = p->next;
		free(p->body);
		free(p);
	}
	buf_free(&w->log);
	buf_free(&w->heard);
}

#define HAS(buf, text)                                                                             \
	do {                                                                                       \
		if (!(buf).p || !strstr((buf).p, (text)))                                          \
			fail_msg("no \"%s\" in:\n%s", (text), (buf).p ? (buf).p : "");             \
	} while (0)
#define HAS_NOT(buf, text)                                                                         \
	do {                                                                                       \
		if ((buf).p && strstr((buf).p, (text)))                                            \
			fail_msg("\"%s\" in:\n%s", (text), (buf).p);                               \
	} while (0)

static inline void say(struct world *w, const struct outbound *o)
{
	struct outbound full = *o;
	struct err e = ERR_INIT;

	full.thread = o->thread ? o->thread : "";
	full.target = o->target ? o->target : "";
	full.emoji = o->emoji ? o->emoji : "";
	full.body = o->body ? o->body : "";
	full.text = full.body;
	assert_ok(telegram_ops.send(&w->c, &full, &e), &e);
}

static inline char *make_file(struct world *w, const char *name, size_t n)
{
	char *path = xasprintf("%s/%s", w->f->dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < n; i++)
		fputc('a' + (int)(i % 26), f);
	fclose(f);
	return path;
}

#endif
