// SPDX-License-Identifier: Apache-2.0
/* See held.h. */
#include "router/held.h"
#include <string.h>

#define HELD_MAX ((size_t)64 << 10)

static void put_files(cJSON *j, const struct inbound *m)
{
	cJSON *list = cJSON_AddArrayToObject(j, "files");

	for (size_t i = 0; i < m->n_files && i < HELD_FILES_MAX; i++) {
		const struct inbound_file *f = &m->files[i];
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "name", f->name);
		cJSON_AddStringToObject(o, "mime", f->mime);
		cJSON_AddNumberToObject(o, "size", (double)f->size);
		cJSON_AddStringToObject(o, "ref", f->ref);
		cJSON_AddBoolToObject(o, "voice", f->voice);
		cJSON_AddItemToArray(list, o);
	}
}

char *held_pack(const struct inbound *m, struct err *e)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *text = xstrndup(m->text, m->text_len);
	char *out;

	cJSON_AddNumberToObject(j, "kind", m->kind);
	cJSON_AddStringToObject(j, "title", m->chat_title);
	cJSON_AddBoolToObject(j, "direct", m->direct);
	cJSON_AddStringToObject(j, "thread", m->thread);
	cJSON_AddStringToObject(j, "id", m->id);
	cJSON_AddStringToObject(j, "target", m->target ? m->target : "");
	cJSON_AddStringToObject(j, "quote", m->quote ? m->quote : "");
	cJSON_AddStringToObject(j, "sender", m->sender);
	cJSON_AddStringToObject(j, "name", m->sender_name);
	cJSON_AddStringToObject(j, "alt", m->sender_alt ? m->sender_alt : "");
	cJSON_AddStringToObject(j, "text", text);
	cJSON_AddNumberToObject(j, "sent", (double)m->sent_ms);
	cJSON_AddBoolToObject(j, "addressed", m->addressed);
	cJSON_AddBoolToObject(j, "forwarded", m->forwarded);
	put_files(j, m);
	out = json_print(j);
	if (strlen(out) <= HELD_MAX)
		return out;
	free(out);
	err_set(e, E_LIMIT, "a message over %zu bytes is not held", HELD_MAX);
	return NULL;
}

static int get_file(const cJSON *o, struct inbound_file *f, struct err *e)
{
	if (json_str(o, "name", &f->name, e) < 0 || json_str(o, "mime", &f->mime, e) < 0 ||
	    json_i64(o, "size", &f->size, e) < 0 || json_str(o, "ref", &f->ref, e) < 0)
		return -1;
	return json_bool_opt(o, "voice", false, &f->voice, e);
}

static int get_files(struct held *h, struct err *e)
{
	const cJSON *list, *o;

	if (json_arr(h->json, "files", &list, e) < 0)
		return -1;
	cJSON_ArrayForEach(o, list)
	{
		if (h->m.n_files == HELD_FILES_MAX)
			break;
		if (get_file(o, &h->files[h->m.n_files++], e) < 0)
			return -1;
	}
	h->m.files = h->files;
	return 0;
}

int held_unpack(const char *text, struct held *h, struct err *e)
{
	struct inbound *m = &h->m;
	int64_t kind;

	*h = (struct held){.json = json_parse(text, strlen(text), HELD_MAX, e)};
	if (!h->json || json_i64(h->json, "kind", &kind, e) < 0 ||
	    json_str(h->json, "title", &m->chat_title, e) < 0 ||
	    json_bool_opt(h->json, "direct", false, &m->direct, e) < 0 ||
	    json_str(h->json, "thread", &m->thread, e) < 0 ||
	    json_str(h->json, "id", &m->id, e) < 0 ||
	    json_str(h->json, "target", &m->target, e) < 0 ||
	    json_str(h->json, "quote", &m->quote, e) < 0 ||
	    json_str(h->json, "sender", &m->sender, e) < 0 ||
	    json_str(h->json, "name", &m->sender_name, e) < 0 ||
	    json_str(h->json, "alt", &m->sender_alt, e) < 0 ||
	    json_str(h->json, "text", &m->text, e) < 0 ||
	    json_i64(h->json, "sent", &m->sent_ms, e) < 0 ||
	    json_bool_opt(h->json, "addressed", false, &m->addressed, e) < 0 ||
	    json_bool_opt(h->json, "forwarded", false, &m->forwarded, e) < 0)
		return -1;
	if (kind < INBOUND_MESSAGE || kind > INBOUND_PRESS)
		return err_set(e, E_INVAL, "what was held is of kind %lld", (long long)kind);
	m->kind = (enum inbound_kind)kind;
	m->text_len = strlen(m->text);
	m->chat = "";
	return get_files(h, e);
}

void held_free(struct held *h)
{
	cJSON_Delete(h->json);
	h->json = NULL;
}
