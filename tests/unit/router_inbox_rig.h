// SPDX-License-Identifier: Apache-2.0
/*
 * The router's house (router_rig.h) with a platform of chats, threads and files: the test says what comes in and when a file is there.
 */
#ifndef CHELA_TESTS_ROUTER_INBOX_RIG_H
#define CHELA_TESTS_ROUTER_INBOX_RIG_H
#include "router_rig.h"
#include <sys/stat.h>
#include "router/settings.h"

struct fetch_seen {
	int64_t id, max;
	char ref[64];
	int fd;
	bool cancelled;
};

static struct {
	struct house *h;
	struct channel *chan;
	struct buf sent; /* "thread|body\n" each */
	int n_sent;
	struct fetch_seen fetches[64];
	int n_fetches;
	struct buf settled; /* "id " or "id! " (failed) */
	int n_settled;
	/* the last receipt */
	int n_told;
	int64_t id;
	bool dup;
	struct err why;
	bool down; /* connect does not bring it up */
} plat;

static int plat_configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	(void)section;
	(void)home;
	(void)e;
	*priv = &plat;
	return 0;
}

static int plat_open(struct channel *c, struct err *e)
{
	(void)e;
	plat.chan = c;
	return 0;
}

static void plat_connect(struct channel *c)
{
	if (!plat.down)
		channel_on_state(c, CHANNEL_UP, "", 0);
}

static void plat_close(struct channel *c)
{
	(void)c;
	plat.chan = NULL;
}

struct receipt_later {
	int64_t id;
};
static void plat_told(void *ctx)
{
	struct receipt_later *l = ctx;
	char id[40];

	snprintf(id, sizeof(id), "out%lld", (long long)l->id);
	if (plat.chan)
		channel_on_sent(plat.chan, l->id, &(struct sent){.platform_id = id});
	free(l);
}

static int plat_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct receipt_later *l = xcalloc(1, sizeof(*l));

	(void)e;
	l->id = o->id;
	buf_putf(&plat.sent, "%s|%s\n", o->thread, o->body);
	loop_defer(c->loop, "plat sent", plat_told, l);
	seen(plat.h, &plat.n_sent);
	return 0;
}

static void plat_settled(struct channel *c, const char *chat, const char *id, bool failed)
{
	(void)c;
	(void)chat;
	buf_putf(&plat.settled, "%s%s ", id, failed ? "!" : "");
	seen(plat.h, &plat.n_settled);
}

static int plat_fetch(struct channel *c, const struct fetch *f, struct err *e)
{
	struct fetch_seen *s = &plat.fetches[plat.n_fetches];

	(void)c;
	(void)e;
	assert_in_range(plat.n_fetches, 0, 63);
	*s = (struct fetch_seen){.id = f->id, .max = f->max_bytes, .fd = f->fd};
	str_copy(s->ref, sizeof(s->ref), f->ref);
	seen(plat.h, &plat.n_fetches);
	return 0;
}

static void plat_cancel(struct channel *c, int64_t id)
{
	(void)c;
	for (int i = 0; i < plat.n_fetches; i++) {
		if (plat.fetches[i].id == id)
			plat.fetches[i].cancelled = true;
	}
}

static const struct channel_ops plat_ops = {
	.name = "plat",
	.caps = CHAN_THREADS | CHAN_FILES | CHAN_RESEND,
	.max_text = 4000,
	.unit = UNIT_BYTES,
	.format = FORMAT_MARKDOWN,
	.max_file = 1 << 20,
	.configure = plat_configure,
	.open = plat_open,
	.connect = plat_connect,
	.close = plat_close,
	.send = plat_send,
	.settled = plat_settled,
	.fetch = plat_fetch,
	.fetch_cancel = plat_cancel,
};
const struct channel_ops *const channel_registry[] = {&console_ops, &plat_ops, NULL};

/* --- what comes in ------------------------------------------------------------------------ */

static void plat_stored(void *ctx, int64_t id, bool dup, const struct err *why)
{
	(void)ctx;
	plat.id = id;
	plat.dup = dup;
	plat.why = why ? *why : (struct err)ERR_INIT;
	seen(plat.h, &plat.n_told);
}

static struct inbound from(const char *who, const char *id, const char *text)
{
	return (struct inbound){
		.kind = INBOUND_MESSAGE,
		.chat = "c1",
		.chat_title = "Family",
		.thread = "",
		.id = id,
		.target = "",
		.quote = "",
		.sender = who,
		.sender_name = who,
		.sender_alt = "",
		.text = text,
		.text_len = strlen(text),
		.sent_ms = clock_wall(&clock_system),
	};
}

static maybe_unused struct inbound event(enum inbound_kind kind, const char *id, const char *target,
					 const char *text)
{
	struct inbound m = from("ann", id, text);

	m.kind = kind;
	m.target = target;
	return m;
}

/* Hands it in and awaits the receipt. */
static int64_t take(struct inbound m)
{
	int n = plat.n_told;

	channel_on_message(plat.chan, &m, plat_stored, NULL);
	await(plat.h, &plat.n_told, n + 1);
	return plat.id;
}

static maybe_unused int64_t said(const char *id, const char *text)
{
	return take(from("ann", id, text));
}

static maybe_unused int64_t asked(const char *id, const char *text)
{
	struct inbound m = from("ann", id, text);

	m.addressed = true;
	return take(m);
}

/* --- the house ---------------------------------------------------------------------------- */

static struct group_row plat_group(struct house *h, const char *name)
{
	struct group_row g;
	struct err e = ERR_INIT;

	assert_ok(store_group_ensure(h->st, name, false, &g, &e), &e);
	return g;
}

static maybe_unused void set(struct house *h, const char *group, const char *key, const char *value)
{
	struct group_row g = plat_group(h, group);
	struct err e = ERR_INIT;

	assert_ok(settings_set(h->router, g.id, key, value, &e), &e);
}

/* Whoever talks there is a guest. */
static void plat_link(struct house *h, const char *chat, const char *group)
{
	struct group_row g = plat_group(h, group);
	struct chat_row c;
	struct err e = ERR_INIT;

	assert_ok(store_chat_ensure(h->st, "plat", chat, "", &c, &e), &e);
	assert_ok(store_chat_link(h->st, c.id, g.id, &e), &e);
	set(h, group, "strangers", "allow");
}

/* With the chat c1 in the group "fam". */
static maybe_unused struct house *plat_house(void **state)
{
	struct house *h = *state;

	plat.h = h;
	house_start(h);
	plat_link(h, "c1", "fam");
	return h;
}

static maybe_unused int plat_teardown(void **state)
{
	int rc = house_teardown(state);

	buf_free(&plat.sent);
	buf_free(&plat.settled);
	memset(&plat, 0, sizeof(plat));
	return rc;
}

/* The text of a message as it is stored. */
struct seen_row {
	char text[8000];
	enum msg_state state;
	char thread[64], session[65];
};
static void see_row(void *ctx, const struct msg_row *m)
{
	struct seen_row *s = ctx;

	str_copy(s->text, sizeof(s->text), m->text);
	str_copy(s->thread, sizeof(s->thread), m->thread);
	str_copy(s->session, sizeof(s->session), m->session);
	s->state = m->state;
}
static maybe_unused struct seen_row row(struct house *h, int64_t id)
{
	static struct seen_row s;
	struct err e = ERR_INIT;

	assert_ok(store_message_get(h->st, id, see_row, &s, &e), &e);
	return s;
}

#define assert_text_has(got, want)                                                                 \
	do {                                                                                       \
		if (!strstr((got), (want)))                                                        \
			fail_msg("no \"%s\" in: %s", (want), (got));                               \
	} while (0)
#define assert_text_lacks(got, want)                                                               \
	do {                                                                                       \
		if (strstr((got), (want)))                                                         \
			fail_msg("\"%s\" in: %s", (want), (got));                                  \
	} while (0)

#endif
