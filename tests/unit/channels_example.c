// SPDX-License-Identifier: Apache-2.0
/* The smallest legal channel keeps the contract: configured or off, up, a line in, a row out and its outcome later, closed. */
#include "runtime_fix.h"
#include <fcntl.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/str.h"
#include "base/yaml.h"
#include "channels/channel.h"

extern const struct channel_ops example_ops;

struct world {
	struct fix *f;
	struct channel c;
	struct buf heard;
	bool in_send;
};

static void up_message(void *x, struct channel *c maybe_unused, const struct inbound *m,
		       stored_fn *fn, void *ctx)
{
	struct world *w = x;

	buf_putf(&w->heard, "message %s %s: %.*s\n", m->chat, m->sender, (int)m->text_len, m->text);
	fn(ctx, 1, false, NULL);
	loop_stop(w->f->l);
}

static void up_sent(void *x, struct channel *c maybe_unused, int64_t id, const struct sent *s)
{
	struct world *w = x;

	assert_false(w->in_send);
	assert_true((s->platform_id == NULL) != (s->why == NULL));
	buf_putf(&w->heard, "sent %lld %s\n", (long long)id,
		 s->why ? err_word(s->why->code) : "ok");
	loop_stop(w->f->l);
}

static void up_state(void *x, struct channel *c maybe_unused, enum channel_state st,
		     const char *reason maybe_unused, int64_t retry_ms maybe_unused)
{
	struct world *w = x;

	buf_puts(&w->heard, st == CHANNEL_UP ? "up\n" : "not up\n");
}

static const struct channel_up ups = {.message = up_message, .sent = up_sent, .state = up_state};

static void *configured(const char *yaml, const char *home)
{
	struct err e = ERR_INIT;
	struct yaml *y = yaml_parse(yaml, strlen(yaml), "test", &e);
	void *priv = NULL;

	assert_non_null(y);
	assert_ok(example_ops.configure(yaml_root(y), home, &priv, &e), &e);
	assert_ok(yaml_finish(y, &e), &e);
	yaml_free(y);
	return priv;
}

static void is_off_unless_asked_for(void **state maybe_unused)
{
	struct channel c = {.ops = &example_ops};

	assert_null(configured("{}", "/"));
	assert_null(configured("in: x", "/"));
	/* configured, never opened */
	c.priv = configured("{in: x, out: y}", "/");
	assert_non_null(c.priv);
	example_ops.close(&c);
}

static void carries_lines_both_ways(void **state)
{
	static const char said[] = "kitchen is there tea?\n";
	struct world w = {.f = *state};
	_cleanup_free_ char *in = xasprintf("%s/in", w.f->dir);
	_cleanup_free_ char *out = xasprintf("%s/out", w.f->dir);
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	struct outbound o = {
		.id = 7, .chat = "kitchen", .thread = "", .target = "", .body = "Yes."};
	char got[64] = "";

	assert_int_equal(mkfifo(in, 0600), 0);
	w.c = (struct channel){.ops = &example_ops,
			       .priv = configured("{in: in, out: out}", w.f->dir),
			       .loop = w.f->l,
			       .clk = &clock_system,
			       .up = &ups,
			       .up_ctx = &w};
	assert_ok(example_ops.open(&w.c, &e), &e);
	example_ops.connect(&w.c);
	assert_true(w.c.ready);

	fd = open(in, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, said, strlen(said)), strlen(said));
	loop_run(w.f->l);
	w.in_send = true;
	assert_ok(example_ops.send(&w.c, &o, &e), &e);
	w.in_send = false;
	loop_run(w.f->l);
	assert_string_equal(w.heard.p, "up\nmessage kitchen somebody: is there tea?\nsent 7 ok\n");
	close(fd);
	fd = open(out, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, got, sizeof(got) - 1), strlen("kitchen Yes.\n"));
	assert_string_equal(got, "kitchen Yes.\n");
	/* closed with an outcome that nobody will hear */
	assert_ok(example_ops.send(&w.c, &o, &e), &e);
	example_ops.close(&w.c);
	buf_free(&w.heard);
}

static void a_missing_pipe_does_not_start(void **state)
{
	struct world w = {.f = *state};
	struct err e = ERR_INIT;

	w.c = (struct channel){.ops = &example_ops,
			       .priv = configured("{in: none, out: out}", w.f->dir),
			       .loop = w.f->l};
	assert_err(example_ops.open(&w.c, &e), &e, E_GONE, "cannot open the pipe");
	example_ops.close(&w.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIX_TEST(is_off_unless_asked_for),
		FIX_TEST(carries_lines_both_ways),
		FIX_TEST(a_missing_pipe_does_not_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
