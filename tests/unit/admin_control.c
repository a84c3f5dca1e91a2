// SPDX-License-Identifier: Apache-2.0
/* The control socket as a program on the same machine uses it, with a real router behind it; and as one that errs or floods uses it. */
#include "router_rig.h"
#include <sys/un.h>
#include "admin/control.h"

#define CLIENTS 60

struct caller {
	struct desk *d;
	int fd;
	struct watch *w;
	struct line_reader in;
	struct buf seen; /* every event, a line each */
	size_t bytes;
	bool gone;
};

struct desk {
	struct house *h;
	struct control *c;
	struct caller callers[CLIENTS];
	int n_callers, n_events, n_gone, n_synced;
};

static void on_event(void *ctx, const char *line, size_t n)
{
	struct caller *c = ctx;
	struct err e = ERR_INIT;
	cJSON *j = json_parse(line, n, 8 << 20, &e);

	if (!j || !json_peek_str(j, "ev"))
		fail_msg("no event: %.200s", line);
	if (streq(json_peek_str(j, "ev"), "synced"))
		c->d->n_synced++;
	cJSON_Delete(j);
	if (n < 2000) {
		buf_put(&c->seen, line, n);
		buf_puts(&c->seen, "\n");
	}
	c->d->n_events++;
}

static void caller_ready(void *ctx, int events)
{
	struct caller *c = ctx;
	static uint8_t chunk[65536];
	bool dead = false;
	ssize_t n = read(c->fd, chunk, sizeof(chunk));

	(void)events;
	if (n > 0) {
		c->bytes += (size_t)n;
		line_feed(&c->in, chunk, (size_t)n, on_event, c, &dead);
	} else if (n == 0 || errno != EAGAIN) {
		c->gone = true;
		watch_set(c->w, 0);
		c->d->n_gone++;
	}
}

static struct caller *call(struct desk *d)
{
	struct caller *c = &d->callers[d->n_callers++];
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	assert_in_range(d->n_callers, 1, CLIENTS);
	control_path(d->h->dir, a.sun_path, sizeof(a.sun_path));
	c->d = d;
	c->in.max = 8 << 20;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->w = watch_new(d->h->l, "caller", c->fd, caller_ready, c);
	watch_set(c->w, WATCH_READ);
	return c;
}

static void ask(struct caller *c, const char *line)
{
	size_t n = strlen(line);

	assert_int_equal(send(c->fd, line, n, MSG_NOSIGNAL), n);
	assert_int_equal(send(c->fd, "\n", 1, MSG_NOSIGNAL), 1);
}

static int desk_setup(void **state)
{
	struct desk *d = xcalloc(1, sizeof(*d));
	struct err e = ERR_INIT;
	struct control_opts o = {.clk = &clock_system};

	house_setup((void **)&d->h);
	house_start(d->h);
	str_copy(d->h->cfg.assistant, sizeof(d->h->cfg.assistant), "Chela");
	o.loop = d->h->l;
	o.store = d->h->st;
	o.router = d->h->router;
	o.cfg = &d->h->cfg;
	d->c = control_new(&o, &e);
	if (!d->c)
		fail_msg("%s", e.msg);
	*state = d;
	return 0;
}

static int desk_teardown(void **state)
{
	struct desk *d = *state;

	control_free(d->c);
	for (int i = 0; i < d->n_callers; i++) {
		struct caller *c = &d->callers[i];

		watch_free(c->w);
		close(c->fd);
		buf_free(&c->in.buf);
		buf_free(&c->seen);
	}
	house_teardown((void **)&d->h);
	free(d);
	return 0;
}

static void wrong_requests_are_answered_in_words(void **state)
{
	static const struct {
		const char *line, *want;
	} table[] = {
		{"no json", "error"},
		{"", "error"},
		{"[]", "op"},
		{"{}", "op"},
		{"{\"op\":5}", "op"},
		{"{\"op\":\"dance\"}", "unknown op \\\"dance\\\""},
		{"{\"op\":\"say\",\"id\":\"a\",\"text\":\"x\"}", "say needs a chat first"},
		{"{\"op\":\"stop\"}", "stop needs a chat first"},
		{"{\"op\":\"history\",\"since\":0}", "history needs a chat first"},
		{"{\"op\":\"chat\"}", "group"},
		{"{\"op\":\"chat\",\"group\":\"absent\"}", "there is no group"},
		{"{\"op\":\"chat\",\"group\":\"main\",\"since\":\"x\"}", "since"},
	};
	struct desk *d = *state;
	struct caller *c = call(d);

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		ask(c, table[i].line);
		await(d->h, &d->n_events, (int)i + 1);
		assert_has(&c->seen, "\"ev\":\"error\"");
		assert_has(&c->seen, table[i].want);
		buf_reset(&c->seen);
	}
	ask(c, "{\"op\":\"chat\",\"group\":\"main\"}"); /* and the connection still works */
	await(d->h, &d->n_synced, 1);
	assert_has(&c->seen, "\"assistant\":\"Chela\"");
	d->n_events = 0;
	ask(c, "{\"op\":\"chat\",\"group\":\"main\"}");
	await(d->h, &d->n_events, 1);
	assert_has(&c->seen, "has a chat already");
	ask(c, "{\"op\":\"say\",\"id\":\"\",\"text\":\"x\"}");
	await(d->h, &d->n_events, 2);
	assert_has(&c->seen, "id must have");
}

static void a_say_is_stored_answered_and_settled_and_known_again(void **state)
{
	struct desk *d = *state;
	struct house *h = d->h;
	struct caller *c = call(d);

	ask(c, "{\"op\":\"chat\",\"group\":\"main\"}");
	await(h, &d->n_synced, 1);
	d->n_events = 0;
	ask(c, "{\"op\":\"say\",\"id\":\"u1\",\"text\":\"hello\"}");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "good day");
	while (!c->seen.p || !strstr(c->seen.p, "\"settled\"") || !strstr(c->seen.p, "good day"))
		await_at_least(h, &d->n_events, d->n_events + 1);
	assert_has(&c->seen, "{\"ev\":\"stored\",\"id\":\"u1\",\"seq\":1,\"duplicate\":false}");
	assert_has(&c->seen, "{\"ev\":\"settled\",\"id\":\"u1\",\"failed\":false}");
	buf_reset(&c->seen);
	d->n_events = 0;
	ask(c, "{\"op\":\"say\",\"id\":\"u1\",\"text\":\"hello\"}");
	await(h, &d->n_events, 2);
	assert_has(&c->seen, "\"duplicate\":true");
	assert_has(&c->seen, "{\"ev\":\"settled\",\"id\":\"u1\",\"failed\":false}");
	settle(h);
	assert_int_equal(h->n_lines, 1);
}

static void an_oversized_line_is_skipped(void **state)
{
	struct desk *d = *state;
	struct caller *c = call(d);
	size_t n = (2 << 20) + 10, at = 0;
	char *big = xcalloc(1, n + 1);
	int ticks = 0;

	memset(big, 'x', n);
	big[n] = '\n';
	while (at <= n) {
		ssize_t k = send(c->fd, big + at, n + 1 - at, MSG_NOSIGNAL);

		if (k > 0)
			at += (size_t)k;
		else
			settle(d->h);
		assert_in_range(ticks++, 0, 10000);
	}
	free(big);
	d->n_events = 0;
	ask(c, "{\"op\":\"chat\",\"group\":\"main\"}");
	await(d->h, &d->n_synced, 1);
	assert_int_equal(d->n_gone, 0);
}

static void many_clients_of_one_chat_all_see_it(void **state)
{
	struct desk *d = *state;
	struct house *h = d->h;

	for (int i = 0; i < 50; i++)
		ask(call(d), "{\"op\":\"chat\",\"group\":\"main\"}");
	await_at_least(h, &d->n_synced, 50);
	ask(&d->callers[0], "{\"op\":\"say\",\"id\":\"u1\",\"text\":\"hello\"}");
	await(h, &h->n_lines, 1);
	for (int i = 10; i < 20; i++) /* some leave without a word */
		shutdown(d->callers[i].fd, SHUT_RDWR);
	answer(h->boxes[0], 0, "good day");
	for (int i = 0; i < 50; i++) {
		struct caller *c = &d->callers[i];

		while ((i < 10 || i >= 20) && (!c->seen.p || !strstr(c->seen.p, "good day")))
			await_at_least(h, &d->n_events, d->n_events + 1);
	}
}

static int64_t fill(struct house *h, int n, size_t size)
{
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row chat;
	char *big = xcalloc(1, size + 1), id[16];
	int64_t row = 0;
	bool dup;
	struct msg_new m = {.session = "",
			    .thread = "",
			    .platform_id = id,
			    .text = big,
			    .text_len = size,
			    .state = MSG_CONTEXT};

	memset(big, '"', size);
	assert_ok(store_group_get(h->st, "main", &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "console", "main", "main", &chat, &e), &e);
	m.chat_id = chat.id;
	m.group_id = g.id;
	for (int i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "h%d", i);
		assert_ok(store_message_in(h->st, &m, &row, &dup, &e), &e);
	}
	free(big);
	assert_ok(store_commit(h->st, &e), &e);
	return row;
}

/* Twenty messages of the greatest size are more than may be queued for one client at once. */
static void a_long_history_comes_whole(void **state)
{
	struct desk *d = *state;
	struct caller *c = call(d);
	char want[40];

	snprintf(want, sizeof(want), "\"last\":%lld", (long long)fill(d->h, 20, 256 << 10));
	ask(c, "{\"op\":\"chat\",\"group\":\"main\",\"since\":-20}");
	await(d->h, &d->n_synced, 1);
	assert_int_equal(d->n_gone, 0);
	assert_true(c->bytes > 20 * (512 << 10));
	assert_int_equal(d->n_events, 22);
	assert_has(&c->seen, want);
}

static void one_that_does_not_read_costs_little(void **state)
{
	struct desk *d = *state;
	struct house *h = d->h;
	struct caller *deaf = call(d), *c = call(d);

	fill(h, 40, 256 << 10);
	watch_set(deaf->w, 0);
	ask(deaf, "{\"op\":\"chat\",\"group\":\"main\",\"since\":0}");
	ask(c, "{\"op\":\"chat\",\"group\":\"main\",\"since\":1000}");
	await(h, &d->n_synced, 1);
	ask(c, "{\"op\":\"say\",\"id\":\"u1\",\"text\":\"hello\"}");
	await(h, &h->n_lines, 1);
	answer(h->boxes[0], 0, "good day");
	while (!c->seen.p || !strstr(c->seen.p, "good day"))
		await_at_least(h, &d->n_events, d->n_events + 1);
	assert_int_equal(d->n_gone, 0);
	watch_set(deaf->w, WATCH_READ); /* it reads at last, and has missed nothing */
	while (!deaf->gone && (!deaf->seen.p || !strstr(deaf->seen.p, "good day")))
		await_at_least(h, &d->n_events, d->n_events + 1);
	assert_false(deaf->gone);
}

static void requests_nobody_reads_the_answers_of_end_the_connection(void **state)
{
	struct desk *d = *state;
	struct caller *c = call(d);

	watch_set(c->w, 0);
	for (int i = 0; i < 2000000 && d->n_gone == 0; i++) {
		if (send(c->fd, "{}\n{}\n{}\n{}\n", 12, MSG_NOSIGNAL) > 0)
			continue;
		if (errno != EAGAIN) {
			d->n_gone++; /* the server closed it: its memory was bounded */
			break;
		}
		settle(d->h);
	}
	assert_int_equal(d->n_gone, 1);
}

static void a_say_that_crosses_the_end_of_the_warden_is_nobodys_trouble(void **state)
{
	struct desk *d = *state;
	struct caller *c = call(d);

	ask(c, "{\"op\":\"chat\",\"group\":\"main\"}");
	await(d->h, &d->n_synced, 1);
	ask(c, "{\"op\":\"say\",\"id\":\"u1\",\"text\":\"hello\"}");
	shutdown(d->h->wfd, SHUT_RDWR);
	await(d->h, &d->h->fatals, 1);
	/* desk_teardown ends as front.c does: control, router, store. Nobody that has gone may be called. */
}

/* First to hear of each commit: what was said before it is there to be read. */
struct early {
	struct desk *d;
	int looked;
};
static void look_early(void *ctx)
{
	struct early *x = ctx;
	struct store *st = x->d->h->st;
	struct group_row g;
	struct err e = ERR_INIT;
	char byte;

	if (store_group_get(st, "club", &g, &e) < 0) {
		store_after_commit(st, look_early, x);
		return;
	}
	x->looked++;
	assert_int_equal(recv(x->d->callers[0].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
}

/* Whoever was told "done", and the server was killed: it is done. */
static void a_command_is_answered_when_it_is_durable(void **state)
{
	struct desk *d = *state;
	struct caller *c = call(d);
	struct early x = {.d = d};

	ask(c, "{\"op\":\"command\",\"argv\":[\"version\"]}");
	await_at_least(d->h, &d->n_events, 2);
	store_after_commit(d->h->st, look_early, &x);
	ask(c, "{\"op\":\"command\",\"argv\":[\"groups\",\"add\",\"club\"]}");
	await_at_least(d->h, &d->n_events, 4);
	assert_non_null(strstr(c->seen.p, "There is now a group club"));
	assert_non_null(strstr(c->seen.p, "\"end\""));
	assert_true(x.looked > 0);
	/* Who goes away before the commit is no trouble. */
	ask(c, "{\"op\":\"command\",\"argv\":[\"groups\",\"add\",\"crew\"]}");
	shutdown(c->fd, SHUT_RDWR);
	await_at_least(d->h, &d->n_gone, 1);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, desk_setup, desk_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_command_is_answered_when_it_is_durable),
		TEST(wrong_requests_are_answered_in_words),
		TEST(a_say_is_stored_answered_and_settled_and_known_again),
		TEST(an_oversized_line_is_skipped),
		TEST(many_clients_of_one_chat_all_see_it),
		TEST(a_long_history_comes_whole),
		TEST(one_that_does_not_read_costs_little),
		TEST(requests_nobody_reads_the_answers_of_end_the_connection),
		TEST(a_say_that_crosses_the_end_of_the_warden_is_nobodys_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
