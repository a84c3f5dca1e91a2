// SPDX-License-Identifier: Apache-2.0
/* "typing..." while a turn runs: WhatsApp forgets it after some ten seconds, so it is said again. All of it may be lost. */
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

struct wa_typing {
	struct wa_typing *next;
	char chat[WA_JID_CAP];
};

static void say(struct whatsapp *w, const char *chat, bool on)
{
	cJSON *j;
	struct err e = ERR_INIT;

	if (w->phase != WA_LIVE || w->state.session != WA_UP)
		return;
	j = cJSON_CreateObject();
	json_add(j, "chat=%s on=%hhd", chat, on);
	if (!wa_ask(w, NULL, "typing", j, w->answer_ms, NULL, NULL, &e))
		return; /* the next one, perhaps */
}

static void on_timer(void *ctx)
{
	struct whatsapp *w = ctx;

	for (const struct wa_typing *t = w->typing; t; t = t->next)
		say(w, t->chat, true);
	if (w->typing)
		timer_start(w->typing_timer, w->typing_ms, 0);
}

void wa_progress(struct channel *c, const char *chat, const char *thread maybe_unused,
		 enum progress_kind kind, const char *text maybe_unused)
{
	struct whatsapp *w = c->priv;
	struct wa_typing **p = &w->typing, *t;

	while (*p && !streq((*p)->chat, chat))
		p = &(*p)->next;
	t = *p;
	if (kind == PROGRESS_START && !t) {
		t = xcalloc(1, sizeof(*t));
		if (!str_copy(t->chat, sizeof(t->chat), chat)) {
			free(t);
			return;
		}
		t->next = w->typing;
		w->typing = t;
		say(w, chat, true);
		if (!timer_active(w->typing_timer))
			timer_start(w->typing_timer, w->typing_ms, 0);
	} else if (kind == PROGRESS_END && t) {
		*p = t->next;
		free(t);
		say(w, chat, false);
	}
}

void wa_typing_open(struct whatsapp *w)
{
	w->typing_timer = timer_new(w->c->loop, "whatsapp typing", on_timer, w);
}

void wa_typing_close(struct whatsapp *w)
{
	while (w->typing) {
		struct wa_typing *t = w->typing;

		w->typing = t->next;
		free(t);
	}
	timer_free(w->typing_timer);
}
