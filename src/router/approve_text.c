// SPDX-License-Identifier: Apache-2.0
/*
 * What an approval is about, read from the store as it is now, and the words in which main is asked. Names and titles are strangers' own: each stands on
 * one line, without marks, and nothing that they hold chooses a group that is there.
 */
#include <ctype.h>
#include <string.h>
#include "base/str.h"
#include "router/approve.h"
#include "router/markdown.h"
#include "runtime/digest.h"

#define IDS_SHOWN 8
#define SLUG_MAX  40

struct reading {
	struct approval_subject *s;
	cJSON *ids;
	int64_t person_id;
	char name[64];
	int n;
};

static void add_id(struct reading *rd, const char *channel, const char *id)
{
	_cleanup_free_ char *full = xasprintf("%s:%s", channel, id);
	char shown[100];

	cJSON_AddItemToArray(rd->ids, cJSON_CreateString(full));
	if (++rd->n > IDS_SHOWN)
		return;
	str_one_line(shown, sizeof(shown), full);
	buf_putf(&rd->s->ids, "%s%s", rd->s->ids.len ? ", " : "", shown);
}

static void read_identity(void *ctx, const struct sender_row *s)
{
	add_id(ctx, s->channel, s->platform_id);
}

static void read_asker(void *ctx, const struct sender_row *s)
{
	struct reading *rd = ctx;

	rd->person_id = s->person_id;
	str_one_line(rd->name, sizeof(rd->name), s->name);
	if (rd->person_id)
		return; /* all identities are read then */
	add_id(rd, s->channel, s->platform_id);
	if (s->alt[0])
		add_id(rd, s->channel, s->alt);
}

/* "Müller & Co" -> "m-ller-co": a name for a group, never one that is there or was. */
static int propose_group(struct router *r, const char *title, char out[65], struct err *e)
{
	char slug[SLUG_MAX + 1];
	size_t n = 0;

	for (const char *p = title; *p && n < SLUG_MAX; p++) {
		unsigned char c = (unsigned char)*p;

		if (isascii(c) && isalnum(c))
			slug[n++] = (char)tolower(c);
		else if (n && slug[n - 1] != '-')
			slug[n++] = '-';
	}
	while (n && slug[n - 1] == '-')
		n--;
	slug[n] = '\0';
	if (!n)
		str_copy(slug, sizeof(slug), "chat");
	for (int i = 1; i < 10000; i++) {
		bool taken;

		if (i == 1)
			snprintf(out, 65, "%s", slug);
		else
			snprintf(out, 65, "%s-%d", slug, i);
		if (store_group_taken(r->store, out, &taken, e) < 0)
			return -1;
		if (!taken)
			return 0;
	}
	return err_set(e, E_LIMIT, "there are too many groups called %s", slug);
}

static void write_payload(struct reading *rd, enum approval_kind kind)
{
	struct approval_subject *s = rd->s;
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *chat = xasprintf("%s:%s", s->chat.channel, s->chat.platform_id);
	_cleanup_free_ char *text = NULL;
	struct digest *d = digest_new();

	cJSON_AddStringToObject(j, "kind", kind == APPROVAL_CHAT ? "chat" : "person");
	cJSON_AddStringToObject(j, "chat", chat);
	cJSON_AddStringToObject(j, "title", s->title);
	cJSON_AddBoolToObject(j, "direct", s->chat.direct);
	cJSON_AddNumberToObject(j, "person", (double)rd->person_id);
	cJSON_AddStringToObject(j, "name", rd->name);
	cJSON_AddItemToObject(j, "ids", steal_ptr(&rd->ids));
	cJSON_AddStringToObject(j, "group", s->group);
	cJSON_AddStringToObject(j, "role", s->role);
	text = json_print(j);
	buf_puts(&s->payload, text);
	digest_add(d, text, strlen(text));
	digest_hex(d, s->hash);
	digest_free(d);
}

static int read_all(struct router *r, struct reading *rd, enum approval_kind kind,
		    int64_t sender_id, struct err *e)
{
	struct approval_subject *s = rd->s;
	struct group_row g;
	char title[200];

	if (store_sender_get(r->store, sender_id, read_asker, rd, e) < 0 ||
	    (rd->person_id &&
	     store_sender_each(r->store, rd->person_id, 100, read_identity, rd, e) < 0) ||
	    store_chat_title(r->store, s->chat.id, title, sizeof(title), e) < 0)
		return -1;
	str_one_line(s->title, sizeof(s->title), title);
	if (kind == APPROVAL_CHAT)
		return propose_group(r, s->title[0] ? s->title : rd->name, s->group, e);
	if (!s->chat.group_id)
		return err_set(e, E_GONE, "the chat belongs to no group any more");
	if (store_group_at(r->store, s->chat.group_id, &g, e) < 0)
		return -1;
	str_copy(s->group, sizeof(s->group), g.name);
	return 0;
}

int subject_read(struct router *r, enum approval_kind kind, int64_t chat_id, int64_t sender_id,
		 struct approval_subject *out, struct err *e)
{
	struct reading rd = {.s = out};
	struct standing st;
	struct place p = {.sender_id = sender_id};
	int rc;

	*out = (struct approval_subject){0};
	str_copy(out->role, sizeof(out->role), role_word(ROLE_MEMBER));
	if (store_chat_get(r->store, chat_id, &out->chat, e) < 0 ||
	    people_judge(r, &p, &st, NULL, e) < 0)
		return -1;
	str_copy(out->who, sizeof(out->who), st.who);
	rd.ids = cJSON_CreateArray();
	rc = read_all(r, &rd, kind, sender_id, e);
	if (rc == 0)
		write_payload(&rd, kind);
	cJSON_Delete(rd.ids);
	return rc;
}

void subject_free(struct approval_subject *s)
{
	buf_free(&s->ids);
	buf_free(&s->payload);
}

void subject_put(const struct approval_subject *s, enum approval_kind kind, int64_t id,
		 const char *lead, struct buf *out)
{
	char chat[100];

	snprintf(chat, sizeof(chat), "%.20s:%.70s", s->chat.channel, s->chat.platform_id);
	if (kind == APPROVAL_CHAT)
		buf_putf(out, "**Approval %lld:** a chat asks to be taken in.\n", (long long)id);
	else
		buf_putf(out, "**Approval %lld:** a person asks to talk in the group %s.\n",
			 (long long)id, s->group);
	buf_puts(out, "Person: ");
	markdown_put_plain(out, s->who);
	buf_puts(out, "\nKnown as: ");
	markdown_put_plain(out, s->ids.p ? s->ids.p : "");
	buf_puts(out, "\nChat: ");
	markdown_put_plain(out, chat);
	buf_puts(out, s->chat.direct ? " (direct)" : "");
	if (s->title[0]) {
		buf_puts(out, ", called: ");
		markdown_put_plain(out, s->title);
	}
	if (kind == APPROVAL_CHAT)
		buf_putf(out, "\nGives: a new group `%s` with this chat, the person as its %s.\n",
			 s->group, s->role);
	else
		buf_putf(out, "\nGives: the role %s in `%s`.\n", s->role, s->group);
	buf_putf(out, "Check: `%.16s`\n`%sapprove %lld%s` or `%sdeny %lld`", s->hash, lead,
		 (long long)id, kind == APPROVAL_CHAT ? " [GROUP]" : " [ROLE]", lead,
		 (long long)id);
}
