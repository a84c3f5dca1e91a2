// SPDX-License-Identifier: Apache-2.0
/* Linking an account for the operator (link.h): one request to the bridge, then its QR codes, pairing code and states until it is done. */
#include "base/str.h"
#include "channels/whatsapp/whatsapp.h"

struct wa_link {
	struct whatsapp *w;
	const struct wa_link_events *ev;
	void *ctx;
	char phone[24];
	bool force;
	bool begun; /* the bridge has said yes */
	struct wa_req *req;
};

static void link_free(struct wa_link *l)
{
	l->w->link = NULL;
	wa_forget(l->req);
	free(l);
}

static void link_end(struct wa_link *l, const struct err *why)
{
	const struct wa_link_events *ev = l->ev;
	void *ctx = l->ctx;

	link_free(l);
	ev->end(ctx, why);
}

static void say(struct wa_link *l, const char *text)
{
	l->ev->line(l->ctx, text);
}

/* A drawing of many lines; the first call may end it all. */
static void say_lines(struct whatsapp *w, const char *text)
{
	while (w->link && *text) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, n);

		say(w->link, line);
		text += n + (text[n] == '\n');
	}
}

/* Judges a state. Until the bridge has taken the request a bad one is only what we want to leave. */
static void look(struct wa_link *l)
{
	const struct wa_state *s = &l->w->state;
	struct err e = ERR_INIT;
	char words[512];

	if (s->session == WA_UP) {
		link_end(l, NULL);
	} else if (!l->begun) {
		return;
	} else if (s->session == WA_UNLINKED) {
		err_set(&e, E_TEMP, "not linked: %s; try again: chela whatsapp link",
			s->text[0] ? s->text : "the bridge does not say why");
		link_end(l, &e);
	} else if (s->session == WA_LOGGED_OUT || s->session == WA_FORBIDDEN) {
		wa_channel_state(s, words, sizeof(words));
		err_set(&e, E_PERM, "%.240s", words);
		link_end(l, &e);
	}
}

static void on_link(void *ctx, const cJSON *reply maybe_unused, const struct wa_fail *fail)
{
	struct wa_link *l = ctx;
	struct err e = ERR_INIT;

	l->req = NULL;
	if (!fail) {
		l->begun = true; /* the rest comes by events, some have come already */
		return;
	}
	e = fail->why;
	if (l->w->state.session == WA_UP && e.code == E_INVAL)
		err_set(&e, E_INVAL,
			"%s is linked already; another account: chela whatsapp link --force",
			l->w->state.me[0] ? l->w->state.me : "an account");
	link_end(l, &e);
}

static int ask(struct wa_link *l, struct err *e)
{
	cJSON *j = cJSON_CreateObject();

	if (l->phone[0])
		cJSON_AddStringToObject(j, "phone", l->phone);
	if (l->force)
		cJSON_AddBoolToObject(j, "force", true);
	l->req = wa_ask(l->w, NULL, "link", j, l->w->answer_ms, on_link, l, e);
	return l->req ? 0 : -1;
}

void wa_link_live(struct whatsapp *w)
{
	struct err e = ERR_INIT;

	if (w->link && !w->link->req && !w->link->begun && ask(w->link, &e) < 0)
		link_end(w->link, &e);
}

void wa_link_lost(struct whatsapp *w, const char *reason)
{
	struct err e = ERR_INIT;

	if (!w->link)
		return;
	err_set(&e, E_TEMP, "%.240s", reason);
	link_end(w->link, &e);
}

void wa_link_event(struct whatsapp *w, const struct wa_event *ev)
{
	if (!w->link)
		return;
	if (ev->kind == WA_QR) {
		say(w->link, "");
		say_lines(w, ev->show);
		if (w->link)
			say(w->link,
			    "On the phone: WhatsApp, Settings, Linked devices, Link a device; "
			    "then scan this. A new code comes every minute or so.");
	} else if (ev->kind == WA_PAIRING) {
		_cleanup_free_ char *line = xasprintf(
			"Code: %s (on the phone: WhatsApp, Settings, Linked devices, Link a device, "
			"Link with phone number instead)",
			ev->show);

		say(w->link, line);
	} else if (ev->kind == WA_STATE) {
		look(w->link);
	}
}

int wa_link_start(struct channel *c, const char *phone, bool force, const struct wa_link_events *ev,
		  void *ctx, struct err *e)
{
	struct whatsapp *w = c->priv;
	struct wa_link *l;

	if (w->link)
		return err_set(e, E_LIMIT, "an account is being linked by somebody else");
	if (strspn(phone, "0123456789") != strlen(phone) ||
	    (*phone && (strlen(phone) < 6 || strlen(phone) > 16)))
		return err_set(e, E_INVAL,
			       "a phone number has 6 to 16 digits, with the country's code and "
			       "without + or blanks: 4915112345678");
	l = xcalloc(1, sizeof(*l));
	*l = (struct wa_link){.w = w, .ev = ev, .ctx = ctx, .force = force};
	str_copy(l->phone, sizeof(l->phone), phone);
	w->link = l;
	if (w->phase == WA_OFF)
		wa_connect(c); /* not to wait for the core's back-off; wa_link_live follows */
	else if (w->phase == WA_LIVE && ask(l, e) < 0) {
		link_free(l);
		return -1;
	}
	return 0;
}

void wa_link_cancel(struct channel *c)
{
	struct whatsapp *w = c->priv;

	if (w->link)
		link_free(w->link);
}

void wa_link_close(struct whatsapp *w)
{
	if (w->link)
		wa_link_lost(w, "the server ends");
}
