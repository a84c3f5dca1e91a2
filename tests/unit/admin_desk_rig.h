// SPDX-License-Identifier: Apache-2.0
/* A desk for tests of commands: a router's house with a main group and the group "work", and what is said at the desk. */
#ifndef ADMIN_DESK_RIG_H
#define ADMIN_DESK_RIG_H
#include "router_rig.h"
#include "admin/command_impl.h"
#include "base/str.h"

struct desk {
	struct house *h;
	struct control_opts o;
	struct group_row main, work;
	struct buf said;
	int status, n_ends, restarts;
};

static int desk_setup(void **state)
{
	struct desk *d = xcalloc(1, sizeof(*d));
	struct err e = ERR_INIT;

	house_setup((void **)&d->h);
	house_start(d->h);
	d->o = (struct control_opts){
		.loop = d->h->l,
		.store = d->h->st,
		.router = d->h->router,
		.clk = &clock_system,
		.cfg = &d->h->cfg,
		.commands = commands_new(),
	};
	assert_ok(store_group_get(d->h->st, "main", &d->main, &e), &e);
	assert_ok(store_group_ensure(d->h->st, "work", false, &d->work, &e), &e);
	*state = d;
	return 0;
}

static int desk_teardown(void **state)
{
	struct desk *d = *state;

	commands_free(d->o.commands);
	house_teardown((void **)&d->h);
	buf_free(&d->said);
	free(d);
	return 0;
}

static void on_end(void *ctx, int status)
{
	struct desk *d = ctx;

	d->status = status;
	d->n_ends++;
}

static void on_said(void *ctx, const char *text, int status)
{
	struct desk *d = ctx;

	buf_reset(&d->said);
	buf_puts(&d->said, text);
	on_end(d, status);
}

static int command(struct desk *d, const struct group_row *g, enum role role, const char *line)
{
	struct actor by = {.role = role, .in_main = g->is_main, .who = "Ann (example:1)"};
	const struct command_ask a = {
		.line = line, .by = &by, .group = g, .chat_id = 1, .thread = ""};
	int ends = d->n_ends;

	command_router.run(&d->o, &a, on_said, d);
	assert_int_equal(d->n_ends, ends + 1);
	return d->status;
}

#endif
