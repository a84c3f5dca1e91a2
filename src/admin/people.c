// SPDX-License-Identifier: Apache-2.0
/*
 * `chela people`: who is known, with which role, and why somebody may or may not. Nobody gives more than the own role, nor changes somebody above;
 * the last owner stays.
 */
#include <string.h>

#include "admin/people.h"
#include "base/str.h"
#include "router/gate.h"

#define STRANGERS_MAX 50
#define IDS_MAX	      20

/* --- words for people --------------------------------------------------------------------- */

/* In a group's chat only those of the platform on which it is asked: by which numbers people go elsewhere is not the group's. */
struct id_list {
	struct buf text;
	const char *channel; /* NULL = all */
};

static void put_id(void *ctx, const struct sender_row *s)
{
	struct buf *b = ctx;
	char id[160], alt[160];

	str_one_line(id, sizeof(id), s->platform_id);
	str_one_line(alt, sizeof(alt), s->alt);
	buf_putf(b, "%s%s:%s%s%s%s", b->len ? ", " : "", s->channel, id, alt[0] ? " (also " : "",
		 alt, alt[0] ? ")" : "");
}

static void put_id_here(void *ctx, const struct sender_row *s)
{
	struct id_list *l = ctx;

	if (!l->channel || streq(l->channel, s->channel))
		put_id(&l->text, s);
}

struct note {
	int64_t id;
	enum role role, everywhere;
	char name[120];
};
static void note_person(void *ctx, const struct person_row *p)
{
	struct note *n = ctx;

	n->id = p->id;
	n->role = p->role;
	n->everywhere = p->everywhere;
	str_one_line(n->name, sizeof(n->name), p->name);
}

/* --- list, show, strangers ---------------------------------------------------------------- */

struct people_list {
	struct command *c;
	int64_t n;
	bool group;
	const char *channel;
	struct err *e;
	int rc;
};

static void list_one(void *ctx, const struct person_row *p)
{
	struct people_list *l = ctx;
	struct id_list ids = {.channel = l->channel};
	char name[120];

	if (store_sender_each(l->c->o->store, p->id, IDS_MAX, put_id_here, &ids, l->e) < 0)
		l->rc = -1;
	l->n++;
	str_one_line(name, sizeof(name), p->name);
	if (l->group)
		reply_line(l->c->r, "%lld  %s  %s%s%s  %s", (long long)p->id, name,
			   role_word(p->role), p->everywhere ? ", everywhere " : "",
			   p->everywhere ? role_word(p->everywhere) : "",
			   ids.text.p ? ids.text.p : "-");
	else
		reply_line(l->c->r, "%lld  %s  everywhere %s  %s", (long long)p->id, name,
			   role_word(p->everywhere), ids.text.p ? ids.text.p : "-");
	buf_free(&ids.text);
}

static int list(struct command *c, struct err *e)
{
	struct people_list l = {.c = c, .e = e};
	struct group_row g = {0};
	struct chat_row chat;
	bool all = c->argc == 0 && c->where != CMD_GROUP;

	l.group = !all;
	if (c->where == CMD_GROUP)
		l.channel = chat.channel;
	if ((l.channel && store_chat_get(c->o->store, c->chat_id, &chat, e) < 0) ||
	    (!all && command_group(c, c->argc ? c->argv[0] : NULL, &g, e) < 0) ||
	    store_person_each(c->o->store, g.id, list_one, &l, e) < 0 || l.rc < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, all ? "Nobody has a role yet." : "Nobody has a role there yet.");
	else if (all)
		reply_line(c->r, "Roles in groups: %speople show PERSON, %speople list GROUP.",
			   c->lead, c->lead);
	return 0;
}

static void list_stranger(void *ctx, const struct sender_row *s)
{
	struct listing *l = ctx;
	char name[120], when[24], id[160];

	l->n++;
	clock_minute(s->seen_ms, when);
	str_one_line(name, sizeof(name), s->name);
	str_one_line(id, sizeof(id), s->platform_id);
	reply_line(l->r, "%s:%s  \"%s\"  %lld refused, last %s", s->channel, id, name,
		   (long long)s->refused, when);
}

static int strangers(struct command *c, struct err *e)
{
	struct listing l = {.r = c->r};

	if (gate_count(c->o->router, e) < 0 ||
	    store_sender_each(c->o->store, 0, STRANGERS_MAX, list_stranger, &l, e) < 0)
		return -1;
	if (!l.n)
		reply_line(c->r, "No stranger was refused in a group.");
	else
		reply_line(c->r,
			   "Let one in: %speople role CHANNEL:ID guest GROUP. Chats that belong to "
			   "no group: %schats.",
			   c->lead, c->lead);
	return 0;
}

static void show_role(void *ctx, int64_t group_id, const char *group, enum role role,
		      const char *by)
{
	char who[120];

	str_one_line(who, sizeof(who), by);
	reply_line(ctx, "  %s: %s, by %s", group_id ? group : "everywhere", role_word(role), who);
}

static int show(struct command *c, struct err *e)
{
	_cleanup_(buf_free) struct buf ids = {0};
	struct note n;
	int64_t id;

	if (people_find_person(c, c->argv[0], false, &id, e) < 0 ||
	    store_person_get(c->o->store, id, note_person, &n, e) < 0 ||
	    store_sender_each(c->o->store, id, IDS_MAX, put_id, &ids, e) < 0)
		return -1;
	reply_line(c->r, "%lld  %s: %s", (long long)id, n.name, ids.p ? ids.p : "no identity");
	return store_role_each(c->o->store, id, show_role, c->r, e);
}

/* --- role, join, forget ------------------------------------------------------------------- */

static void greatest(void *ctx, int64_t group_id maybe_unused, const char *group maybe_unused,
		     enum role role, const char *by maybe_unused)
{
	enum role *most = ctx;

	if (role > *most)
		*most = role;
}

/* group 0: whatever the person is anywhere. */
static int check_above(const struct command *c, int64_t person, int64_t group, struct err *e)
{
	enum role most = ROLE_NONE;

	if (group ? store_role_in(c->o->store, person, group, &most, e) < 0
		  : store_role_each(c->o->store, person, greatest, &most, e) < 0)
		return -1;
	if (most > c->by->role)
		return err_set(e, E_PERM, "that person is %s: above you", role_word(most));
	return 0;
}

/* Without this person nobody could command from a chat. */
static int is_last_owner(const struct command *c, int64_t person, bool *yes, struct err *e)
{
	struct store *st = c->o->store;
	enum role here, everywhere;
	struct group_row g;
	int64_t n;

	if (store_owners(st, &n, e) < 0 || store_group_get(st, "main", &g, e) < 0 ||
	    store_role_row(st, person, 0, &everywhere, e) < 0 ||
	    store_role_row(st, person, g.id, &here, e) < 0)
		return -1;
	*yes = n == 1 && (here == ROLE_OWNER || everywhere == ROLE_OWNER);
	return 0;
}

static int keep_owner(const struct command *c, int64_t person, struct err *e)
{
	bool last;

	if (is_last_owner(c, person, &last, e) < 0)
		return -1;
	return last ? err_set(e, E_PERM, "that is the last owner: make another one first") : 0;
}

static int set_role(const struct command *c, int64_t person, const struct group_row *g,
		    enum role role, struct err *e)
{
	int64_t group = g->id;

	if (role > c->by->role)
		return err_set(e, E_PERM, "you are %s here: that is the most that you can give",
			       role_word(c->by->role));
	if (check_above(c, person, group, e) < 0)
		return -1;
	if (role < ROLE_OWNER && (!group || g->is_main) && keep_owner(c, person, e) < 0)
		return -1;
	return store_role_set(c->o->store, person, group, role, c->by->who, e);
}

/* The group that is named; in main and on the command line none means everywhere. */
static int read_scope(const struct command *c, struct group_row *g, struct err *e)
{
	const char *word = c->argc > 2 ? c->argv[2] : NULL;

	*g = (struct group_row){0};
	if (c->where != CMD_GROUP && (!word || streq(word, "everywhere")))
		return 0;
	return command_group(c, word, g, e);
}

/* Without a role the person is a stranger also in a chat alone with us, which still belongs to the group. */
static void say_chat(const struct command *c, int64_t person, const struct group_row *g)
{
	struct err e = ERR_INIT;
	char chat[170];

	if (c->where == CMD_GROUP || !g->id ||
	    store_person_chat(c->o->store, person, g->id, chat, sizeof(chat), &e) < 0 || !chat[0])
		return;
	reply_line(c->r,
		   "The direct chat %s belongs to %s still, and the person is a stranger there "
		   "now: %sgroups unlink %s ends that too.",
		   chat, g->name, c->lead, chat);
}

static int role(struct command *c, struct err *e)
{
	int role = role_of_word(c->argv[1]);
	struct group_row g;
	struct note n;
	int64_t id;

	if (role < ROLE_BLOCKED)
		return err_set(
			e, E_INVAL,
			"\"%.40s\" is no role: use owner, admin, member, guest, none or blocked",
			c->argv[1]);
	if (read_scope(c, &g, e) < 0 || people_find_person(c, c->argv[0], true, &id, e) < 0 ||
	    set_role(c, id, &g, (enum role)role, e) < 0 ||
	    store_person_get(c->o->store, id, note_person, &n, e) < 0)
		return -1;
	/* Neither a name nor a number that is from elsewhere. */
	if (c->where == CMD_GROUP)
		str_one_line(n.name, sizeof(n.name), c->argv[0]);
	if (role == ROLE_NONE) {
		reply_line(c->r, "%s (person %lld): the role %s%s is taken away.", n.name,
			   (long long)id, g.id ? "in " : "that holds everywhere", g.name);
		say_chat(c, id, &g);
	} else {
		reply_line(c->r, "%s (person %lld) is %s %s%s from now on.", n.name, (long long)id,
			   role_word((enum role)role), g.id ? "in " : "everywhere", g.name);
	}
	return 0;
}

static int join(struct command *c, struct err *e)
{
	struct store *st = c->o->store;
	int64_t id, sender, other = 0;
	char channel[32];
	const char *pid;

	if (!people_split_id(c->argv[1], channel, &pid))
		return err_set(e, E_INVAL, "\"%.60s\" is no CHANNEL:ID of a person", c->argv[1]);
	if (people_find_person(c, c->argv[0], false, &id, e) < 0 || check_above(c, id, 0, e) < 0 ||
	    store_sender_find(st, channel, pid, &sender, e) < 0 ||
	    store_person_of(st, sender, &other, e) < 0 ||
	    (other && other != id &&
	     (check_above(c, other, 0, e) < 0 || keep_owner(c, other, e) < 0)) ||
	    store_person_join(st, id, sender, e) < 0)
		return -1;
	reply_line(c->r, "%.100s is person %lld from now on.", c->argv[1], (long long)id);
	return 0;
}

static int forget(struct command *c, struct err *e)
{
	struct note n;
	int64_t id;

	if (people_find_person(c, c->argv[0], false, &id, e) < 0 ||
	    store_person_get(c->o->store, id, note_person, &n, e) < 0 ||
	    check_above(c, id, 0, e) < 0 || keep_owner(c, id, e) < 0 ||
	    store_person_forget(c->o->store, id, e) < 0)
		return -1;
	reply_line(c->r,
		   "%s (person %lld) is forgotten: a stranger again, also where blocked. What was "
		   "said stays in the history.",
		   n.name, (long long)id);
	return 0;
}

#define MAIN_READS (CMD_CLI | CMD_MAIN | CMD_AGENT)

/* clang-format off */
const struct command_form commands_people[] = {
	{"people list", "[GROUP]", "who has a role, in the group or everywhere", MAIN_READS | CMD_GROUP, ROLE_ADMIN, .max = 1, .run = list},
	{"people strangers", "", "who has no role and was refused in a group, newest first", MAIN_READS, ROLE_ADMIN, .run = strangers},
	{"people show", "PERSON", "a person's identities and roles; PERSON: number, name or CHANNEL:ID", MAIN_READS, ROLE_ADMIN, .min = 1, .max = 1, .run = show},
	{"people role", "PERSON ROLE [GROUP]", "give a role: owner, admin, member, guest, none or blocked", CMD_CLI | CMD_MAIN | CMD_GROUP, ROLE_ADMIN, .min = 2, .max = 3, .run = role},
	{"people join", "PERSON CHANNEL:ID", "this identity is that person too", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 2, .max = 2, .run = join},
	{"people forget", "PERSON", "take a person out, with all roles", CMD_CLI | CMD_MAIN, ROLE_ADMIN, .min = 1, .max = 1, .run = forget},
	{"people why", "CHANNEL:CHAT PERSON", "why somebody is listened to in a chat, or is not, step by step", MAIN_READS, ROLE_ADMIN, .min = 2, .max = 2, .run = people_why},
	{0},
};
/* clang-format on */
