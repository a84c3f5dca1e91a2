// SPDX-License-Identifier: Apache-2.0
/*
 * See people.h. Everything fails closed: who is not known and not let in by a rule is not listened to.
 */
#include "router/people.h"
#include "base/str.h"
#include "base/yaml.h"
#include "router/impl.h"
#include "router/settings.h"

/* The identity as it is known, copied out of the store. */
struct known {
	int64_t person_id;
	bool console;
	char channel[32], name[64], id[128];
};

static void copy_sender(void *ctx, const struct sender_row *s)
{
	struct known *k = ctx;

	k->person_id = s->person_id;
	k->console = streq(s->channel, "console");
	str_one_line(k->channel, sizeof(k->channel), s->channel);
	str_one_line(k->name, sizeof(k->name), s->name);
	/* The parentheses are ours: no name can pass for one with another identity. */
	for (char *p = k->name; *p; p++) {
		if (*p == '(' || *p == ')')
			*p = ' ';
	}
	str_one_line(k->id, sizeof(k->id), s->platform_id);
}

static void say(struct buf *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct buf *why, const char *fmt, ...)
{
	char line[400];
	va_list ap;

	if (!why)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	line[str_utf8_floor(line, strlen(line))] = '\0';
	buf_putf(why, "%s%s", why->len ? "\n" : "", line);
}

static void name_of(const struct known *k, char out[100])
{
	char who[40];

	str_copy(who, sizeof(who), k->name);
	who[str_utf8_floor(who, strlen(who))] = '\0';
	if (who[0])
		snprintf(out, 100, "%.39s (%.12s:%.40s)", who, k->channel, k->id);
	else
		snprintf(out, 100, "%.12s:%.60s", k->channel, k->id);
	out[str_utf8_floor(out, strlen(out))] = '\0';
}

/* An unknown chat: people with a role are no exception, or whoever adds the assistant somewhere would open a door there. */
static void judge_unknown(const struct people_settings *set, struct standing *out, struct buf *why)
{
	switch (set->unknown_chats) {
	case UNKNOWN_IGNORE:
		out->verdict = VERDICT_IGNORE;
		say(why, "The chat belongs to no group, and people.unknown_chats is ignore: not "
			 "listened to. Link it: chela groups add GROUP CHANNEL:CHAT");
		break;
	case UNKNOWN_ASK:
		out->verdict = VERDICT_ASK;
		say(why, "The chat belongs to no group, and people.unknown_chats is ask: what is "
			 "addressed to the assistant is held, and main is asked once.");
		break;
	case UNKNOWN_ALLOW:
		out->verdict = VERDICT_MAKE;
		say(why, "The chat belongs to no group, and people.unknown_chats is allow: it gets "
			 "a group of its own.");
		break;
	}
}

static void judge_stranger(struct router *r, const struct place *p, struct standing *out,
			   struct buf *why)
{
	enum strangers_rule rule = settings_get(r, p->group->id)->strangers;

	if (p->chat && p->chat->direct && p->chat->invited && p->chat->group_id == p->group->id) {
		out->role = ROLE_MEMBER;
		out->invited = true;
		say(why, "No role yet, but this is a chat with that person alone, and nobody has "
			 "written in it since it was linked to the group: the first message gives "
			 "the role member.");
	} else if (rule == STRANGERS_ALLOW && !p->group->is_main) {
		out->role = ROLE_GUEST;
		say(why, "No role: a stranger. The group's setting strangers is allow: a guest.");
	} else if (rule == STRANGERS_IGNORE) {
		out->verdict = VERDICT_IGNORE;
		say(why, "No role: a stranger. The group's setting strangers is ignore: counted, "
			 "not listened to.");
	} else {
		out->verdict = VERDICT_ASK;
		say(why, "No role: a stranger. The group's setting strangers is ask: what is "
			 "addressed to the assistant is held, and main is asked once.");
	}
}

static int find_role(struct router *r, const struct place *p, struct standing *out, struct buf *why,
		     struct err *e)
{
	int64_t group = p->group ? p->group->id : 0;
	enum role here = ROLE_NONE, everywhere;

	if (!out->person_id) {
		say(why, "%s is nobody with a role.", out->who);
		return 0;
	}
	if (store_role_in(r->store, out->person_id, group, &out->role, e) < 0)
		return -1;
	if (!why)
		return 0; /* as for each message */
	if (store_role_row(r->store, out->person_id, 0, &everywhere, e) < 0 ||
	    (group && store_role_row(r->store, out->person_id, group, &here, e) < 0))
		return -1;
	say(why, "%s is person %lld. Role in %s: %s; everywhere: %s; so: %s.", out->who,
	    (long long)out->person_id, p->group ? p->group->name : "no group", role_word(here),
	    role_word(everywhere), role_word(out->role));
	return 0;
}

int people_judge(struct router *r, const struct place *p, struct standing *out, struct buf *why,
		 struct err *e)
{
	struct known k = {0};

	*out = (struct standing){.verdict = VERDICT_TAKE};
	if (p->sender_id && store_sender_get(r->store, p->sender_id, copy_sender, &k, e) < 0)
		return -1;
	if (k.console || (!p->sender_id && !p->unseen)) {
		out->role = ROLE_OWNER;
		str_copy(out->who, sizeof(out->who), "the operator");
		say(why, "The operator, at this machine: may do everything.");
		return 0;
	}
	if (p->group)
		say(why, "The chat belongs to the group %s.", p->group->name);
	if (p->unseen)
		str_one_line(out->who, sizeof(out->who), p->unseen);
	else
		name_of(&k, out->who);
	out->person_id = k.person_id;
	if (find_role(r, p, out, why, e) < 0)
		return -1;
	if (out->role == ROLE_BLOCKED) {
		out->verdict = VERDICT_BLOCKED;
		say(why, "Blocked: never listened to.");
	} else if (!p->group) {
		judge_unknown(&r->people, out, why);
	} else if (out->role == ROLE_NONE) {
		judge_stranger(r, p, out, why);
	}
	if (out->verdict == VERDICT_TAKE)
		say(why, "Listened to, as %s.", role_word(out->role));
	return 0;
}

/* --- people: of the configuration --------------------------------------------------------- */

int people_settings_load(const struct config *cfg, struct people_settings *out, struct err *e)
{
	static const char *const words[] = {"ignore", "ask", "allow", NULL};
	_cleanup_yaml_ struct yaml *y =
		cfg->file[0] ? yaml_load(cfg->file, e) : yaml_parse("{}", 2, "defaults", e);
	struct yaml_node *root, *section;
	int rule;

	*out = (struct people_settings){0};
	if (!y)
		return -1;
	root = yaml_root(y);
	section = yaml_at(root, "people");
	if (yaml_word(root, "people.unknown_chats", words, UNKNOWN_IGNORE, &rule, e) < 0 ||
	    yaml_i64(root, "people.ask_max", 20, 1, 1000, &out->ask_max, e) < 0 ||
	    yaml_i64(root, "people.hold_max", 20, 1, 1000, &out->hold_max, e) < 0 ||
	    (section && yaml_finish_at(section, e) < 0))
		return -1;
	out->unknown_chats = (enum unknown_chats)rule;
	return 0;
}
