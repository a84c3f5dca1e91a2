// SPDX-License-Identifier: Apache-2.0
/*
 * The router's house (router_rig.h) with a channel of the test's own, whose platform cannot tell a repeat (neither CHAN_RESEND nor
 * CHAN_LOOK): what it was given to send, and what it answers.
 */
#ifndef CHELA_TESTS_ROUTER_DELIVERY_RIG_H
#define CHELA_TESTS_ROUTER_DELIVERY_RIG_H
#include "router_rig.h"
#include <sqlite3.h>
#include "router/impl.h"

struct post {
	int64_t id;
	char text[64], key[33], chat[16];
	bool again;
	int64_t state_on_disk; /* as another program saw it during send */
};

static struct {
	struct channel *chan;
	struct post posts[20];
	int n;
	char file[48];
	bool closed, offline, absent;
	int connects;
	enum err_code refuse; /* the next send fails at once */
} platform;

static int64_t peek(const char *file, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t v;

	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return v;
}

static int fake_configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	(void)section;
	(void)home;
	(void)e;
	*priv = platform.absent ? NULL : &platform;
	return 0;
}

static int fake_open(struct channel *c, struct err *e)
{
	(void)e;
	platform.chan = c;
	return 0;
}

static void fake_connect(struct channel *c)
{
	platform.connects++;
	if (!platform.offline)
		channel_on_state(c, CHANNEL_UP, "", 0);
}

static void fake_close(struct channel *c)
{
	(void)c;
	platform.closed = true;
}

static int fake_send(struct channel *c, const struct outbound *o, struct err *e)
{
	struct post *p = &platform.posts[platform.n++];
	char sql[80];

	assert_in_range(platform.n, 1, 20);
	assert_ptr_equal(c, platform.chan);
	p->id = o->id;
	str_copy(p->text, sizeof(p->text), o->body);
	str_copy(p->key, sizeof(p->key), o->key);
	str_copy(p->chat, sizeof(p->chat), o->chat);
	p->again = o->again;
	snprintf(sql, sizeof(sql), "SELECT state FROM outbox WHERE id = %lld", (long long)o->id);
	p->state_on_disk = peek(platform.file, sql);
	loop_defer(c->loop, "seen", nothing, NULL);
	if (platform.refuse) {
		err_set(e, platform.refuse, "not now");
		platform.refuse = E_NONE;
		return -1;
	}
	return 0;
}

static const struct channel_ops fake = {.name = "fake",
					.max_text = 100,
					.unit = UNIT_CODE_POINTS,
					.format = FORMAT_PLAIN,
					.configure = fake_configure,
					.open = fake_open,
					.connect = fake_connect,
					.close = fake_close,
					.send = fake_send};

/* In place of registry.c's. */
const struct channel_ops *const channel_registry[] = {&console_ops, &fake, NULL};

static int64_t chat_of(struct house *h, const char *name)
{
	struct err e = ERR_INIT;
	struct group_row g;
	struct chat_row c;

	assert_ok(store_group_ensure(h->st, "main", true, &g, &e), &e);
	assert_ok(store_chat_ensure(h->st, "fake", name, "", &c, &e), &e);
	return c.id;
}

static void post(struct house *h, int64_t chat, const char *text)
{
	struct err e = ERR_INIT;
	struct out_new o = {.chat_id = chat, .group_id = 1, .thread = "", .text = text};
	int64_t id, message;

	assert_ok(store_out_add(h->st, &o, &id, &message, &e), &e);
}

static maybe_unused int64_t count(struct house *h, enum out_state s)
{
	struct err e = ERR_INIT;
	int64_t by[6];

	assert_ok(store_out_counts(h->st, by, &e), &e);
	return by[s];
}

static maybe_unused void fail_with(int64_t id, enum err_code code)
{
	struct err why = ERR_INIT;

	err_set(&why, code, "the platform says no");
	channel_on_sent(platform.chan, id, &(struct sent){.why = &why});
}

static maybe_unused void arrived(int post, const char *platform_id)
{
	channel_on_sent(platform.chan, platform.posts[post].id,
			&(struct sent){.platform_id = platform_id});
}

static maybe_unused void lost_reply(int post)
{
	struct err why = ERR_INIT;

	err_set(&why, E_TEMP, "the connection broke");
	channel_on_sent(platform.chan, platform.posts[post].id,
			&(struct sent){.why = &why, .unsure = true});
}

static int delivery_setup(void **state)
{
	struct house *h;

	memset(&platform, 0, sizeof(platform));
	house_setup(state);
	h = *state;
	str_copy(platform.file, sizeof(platform.file), h->file);
	return 0;
}

#endif
