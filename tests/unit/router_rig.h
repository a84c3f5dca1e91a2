// SPDX-License-Identifier: Apache-2.0
/*
 * A whole router in one test process: the real store, console channel, gateway, door and warden client, with the
 * test as the warden at the other end of its pair (warden/wire.h) and as the agent behind each door (door_peer.h).
 * Tests await counts at the end of loop turns, never time.
 */
#ifndef CHELA_TESTS_ROUTER_RIG_H
#define CHELA_TESTS_ROUTER_RIG_H
#include "router_rig_warden.h"

/* --- the chat ----------------------------------------------------------------------------- */

static void see_message(void *ctx, int64_t seq, const char *text, bool notice)
{
	struct house *h = ctx;

	assert_true(seq > 0);
	buf_putf(notice ? &h->notices : &h->said, "%s\n", text);
	seen(h, notice ? &h->n_notices : &h->n_said);
}

static void see_progress(void *ctx, enum progress_kind kind, const char *text)
{
	(void)kind;
	assert_non_null(text);
	((struct house *)ctx)->n_progress++;
}

static void see_settled(void *ctx, const char *id, bool failed)
{
	struct house *h = ctx;

	assert_non_null(id);
	seen(h, failed ? &h->n_failed_msgs : &h->n_settled);
}

static const struct console_events seeing = {see_message, see_progress, see_settled};

static void stored(void *ctx, int64_t id, bool dup, const struct err *why)
{
	struct house *h = ctx;

	assert_true(why || id > 0);
	seen(h, why ? &h->n_refused : dup ? &h->n_dups : &h->n_stored);
}

static maybe_unused void say(struct house *h, const char *chat, const char *id, const char *text)
{
	console_say(h->console, chat, id, "operator", text, strlen(text), 1000, stored, h);
}

/* --- the house ---------------------------------------------------------------------------- */

static void house_turn(void *ctx)
{
	struct house *h = ctx;

	if (h->count && *h->count >= h->want) {
		h->count = NULL;
		loop_stop(h->l);
	}
}

static void house_bark(void *ctx)
{
	struct house *h = ctx;

	fail_msg("the test hangs: %d lines, %d said, %d notices (%s), %d boxes, awaited %d of %d",
		 h->n_lines, h->n_said, h->n_notices, h->notices.p ? h->notices.p : "", h->n_boxes,
		 h->count ? *h->count : -1, h->want);
}

/* Runs the loop until the count is reached at the end of a turn. */
static void await_at_least(struct house *h, const int *count, int want)
{
	h->count = count;
	h->want = want;
	timer_start(h->dog, 110000, 0);
	loop_defer(h->l, "await", nothing, h);
	loop_run(h->l);
	assert_null(h->count);
}

/* The same, and no more than that came. */
static void await(struct house *h, const int *count, int want)
{
	await_at_least(h, count, want);
	if (*count != want)
		fail_msg("awaited %d, got %d: notices %s", want, *count,
			 h->notices.p ? h->notices.p : "none");
}

struct pulse {
	struct house *h;
	int n;
};
static void pulse_once(void *ctx)
{
	((struct pulse *)ctx)->n++;
}
/* A few turns more: for what must not happen. Each goes once through the kernel's queue of a zero timer. */
static maybe_unused void settle(struct house *h)
{
	struct pulse p = {h, 0};
	struct timer *t = timer_new(h->l, "pulse", pulse_once, &p);

	timer_start(t, 1, 1);
	await(h, &p.n, 20);
	timer_free(t);
}

static void on_fatal(void *ctx, const struct err *why)
{
	struct house *h = ctx;

	h->fatals++;
	h->fatal_code = why->code;
}

static void house_open_store(struct house *h)
{
	struct err e = ERR_INIT;

	h->st = store_open(h->file, h->clk ? h->clk : &clock_system, &e);
	if (!h->st)
		fail_msg("%s", e.msg);
}

/* With the store as it is. */
static void house_start(struct house *h)
{
	struct err e = ERR_INIT;
	struct router_opts o = {.loop = h->l,
				.store = h->st,
				.clk = h->clk ? h->clk : &clock_system,
				.cfg = &h->cfg,
				.fatal = on_fatal,
				.ctx = h};
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd),
			 0);
	h->wfd = fd[1];
	o.warden_fd = fd[0];
	h->w = watch_new(h->l, "fake warden", h->wfd, warden_ready, h);
	watch_set(h->w, WATCH_READ);
	h->router = router_new(&o, &e);
	if (!h->router)
		fail_msg("%s", e.msg);
	h->console = router_channel(h->router, "console");
	assert_non_null(h->console);
}

static maybe_unused void house_join(struct house *h, const char *chat)
{
	h->clients[h->n_clients++] = console_join(h->console, chat, &seeing, h);
}

static void house_stop(struct house *h)
{
	for (int i = 0; i < h->n_clients; i++)
		console_leave(h->console, h->clients[i]);
	h->n_clients = 0;
	router_free(steal_ptr(&h->router));
	watch_free(steal_ptr(&h->w));
	close(h->wfd);
	for (int i = 0; i < h->n_boxes; i++) {
		struct box *b = h->boxes[i];

		if (!b->ended) {
			watch_free(b->r->w);
			close(b->r->fd);
		}
		peer_free(b->r);
		for (int k = 0; k < b->n_lines; k++) {
			free(b->lines[k].text);
			free(b->lines[k].facts);
		}
		buf_free(&b->in.buf);
		free(b->r);
		free(b);
	}
	h->n_boxes = 0;
}

static maybe_unused int house_setup(void **state)
{
	struct house *h = xcalloc(1, sizeof(*h));
	struct err e = ERR_INIT;

	*state = h;
	log_set_level(LOG_ERROR);
	h->l = loop_new(&e);
	assert_non_null(h->l);
	h->dog = timer_new(h->l, "dog", house_bark, h);
	timer_start(h->dog, 60000, 0);
	h->hook = loop_on_turn_end(h->l, "await", house_turn, h);
	snprintf(h->dir, sizeof(h->dir), "%s/router-unit-XXXXXX", unit_tmp());
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->file, sizeof(h->file), "%s/db", h->dir);
	h->cfg = (struct config){
		.idle_stop_ms = 3600000,
		.max_live = 8,
		.turn_ms = 3600000,
		.start_ms = 60000,
		.tries = 3,
		.delayed_notice_ms = 20000,
	};
	str_copy(h->cfg.home, sizeof(h->cfg.home), h->dir);
	house_open_store(h);
	return 0;
}

static int house_rm(const char *path, const struct stat *st maybe_unused, int kind maybe_unused,
		    struct FTW *ftw maybe_unused)
{
	return remove(path);
}

static maybe_unused int house_teardown(void **state)
{
	struct house *h = *state;

	if (h->router)
		house_stop(h);
	store_close(h->st);
	turn_hook_free(h->hook);
	timer_free(h->dog);
	loop_free(h->l);
	buf_free(&h->said);
	buf_free(&h->notices);
	nftw(h->dir, house_rm, 8, FTW_DEPTH | FTW_PHYS);
	free(h);
	return 0;
}

/* With one group, one person in its chat. */
static maybe_unused struct house *house_main(void **state)
{
	struct house *h = *state;

	house_start(h);
	house_join(h, "main");
	return h;
}

static maybe_unused int64_t in_state(struct house *h, enum msg_state s)
{
	struct err e = ERR_INIT;
	int64_t by[5];

	assert_ok(store_message_counts(h->st, 0, by, &e), &e);
	return by[s];
}

#define assert_has(b, text)                                                                        \
	do {                                                                                       \
		if (!(b)->p || !strstr((b)->p, text))                                              \
			fail_msg("no \"%s\" in: %s", text, (b)->p ? (b)->p : "");                  \
	} while (0)

#endif
