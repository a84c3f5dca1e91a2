// SPDX-License-Identifier: Apache-2.0
/*
 * What wakes the assistant, see trigger.h. Who is allowed to is not asked here (may.h). A pattern is a person's: it has limits (base/pattern.h), and
 * one that hits them does not match.
 */
#include "router/trigger.h"
#include "base/log.h"
#include "base/pattern.h"
#include "base/str.h"

const char *wake_words(enum wake w)
{
	switch (w) {
	case WAKE_NO:
		return "nothing in it wakes the assistant: it is kept as context";
	case WAKE_ADDRESSED:
		return "it is addressed to the assistant";
	case WAKE_ALWAYS:
		return "the group's trigger is always";
	case WAKE_WORD:
		return "the group's trigger matches it";
	case WAKE_STICKY:
		return "the assistant has spoken in this thread";
	}
	return "";
}

static bool matches(struct intake *in)
{
	bool gave_up = false, yes;

	yes = in->set->pattern &&
	      pattern_search(in->set->pattern, in->m->text, in->m->text_len, &gave_up);
	if (gave_up && settings_slow(in->r, in->group.id))
		log_warn("trigger", "the pattern is too much work, so it does not match",
			 "group=%s fix=\"chela groups set %s trigger ...\"", in->group.name,
			 in->group.name);
	return yes;
}

/* Its draft stands there already, though nothing of it is in the history yet. */
static bool answers_there(const struct intake *in)
{
	for (const struct session *s = map_get(&in->r->by_group, in->group.id); s;
	     s = s->next_of_group) {
		if (s->turn_id && s->chat_id == in->chat.id && streq(s->thread, in->m->thread))
			return true;
	}
	return false;
}

int trigger_wakes(struct intake *in, enum wake *out, struct err *e)
{
	const struct inbound *m = in->m;
	bool spoke = false;

	*out = WAKE_NO;
	if (m->addressed || streq(in->c->ops->name, "console"))
		*out = WAKE_ADDRESSED;
	else if (in->set->trigger == TRIGGER_ALWAYS)
		*out = WAKE_ALWAYS;
	else if (matches(in))
		*out = WAKE_WORD;
	/* Who has spoken in a thread is in the conversation there; a topic is a room, not a conversation. */
	if (*out != WAKE_NO || !in->set->sticky || !m->thread[0] || (in->c->ops->caps & CHAN_ROOMS))
		return 0;
	spoke = answers_there(in);
	if (!spoke && store_spoke_in(in->r->store, in->chat.id, m->thread, &spoke, e) < 0)
		return -1;
	*out = spoke ? WAKE_STICKY : WAKE_NO;
	return 0;
}

int inbox_wakes(struct intake *in, bool *yes, struct err *e)
{
	enum wake w;

	if (trigger_wakes(in, &w, e) < 0)
		return -1;
	*yes = w != WAKE_NO;
	return 0;
}
