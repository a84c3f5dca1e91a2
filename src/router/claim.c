// SPDX-License-Identifier: Apache-2.0
/* See claim.h. */
#include "router/claim.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include "base/log.h"
#include "base/str.h"

#define TRIES	     5	/* wrong ones burn a code */
#define MINUTE_TRIES 20 /* more in a minute are not even looked at */
#define LINE_MAX_LEN 100
#define WELCOME                                                                                    \
	"This chat is main now, and you are its owner. Next:\n"                                    \
	"`%shelp` shows what you can say here.\n"                                                  \
	"`%schats` shows who has written; `%sgroups add NAME CHANNEL:CHAT` takes a chat into a group."

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

static void make_code(struct claim *c)
{
	uint8_t random[CLAIM_LETTERS];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort(); /* no randomness: nothing of this can go on */
	for (size_t i = 0; i < CLAIM_LETTERS; i++)
		c->code[i] = letters[random[i] % 32];
	snprintf(c->shown, sizeof(c->shown), "%.4s-%.4s", c->code, c->code + 4);
	explicit_bzero(random, sizeof(random));
	c->wrong = 0;
}

/* Main's chats on platforms. */
static void count_chat(void *ctx, const struct chat_info *c)
{
	*(int *)ctx += !streq(c->chat.channel, "console");
}

static int is_open(struct router *r, bool *yes, struct err *e)
{
	struct group_row g;
	int n = 0;

	if (store_group_get(r->store, "main", &g, e) < 0 ||
	    store_chat_each(r->store, g.id, count_chat, &n, e) < 0)
		return -1;
	*yes = n == 0;
	return 0;
}

int claim_code(struct router *r, const char **code, struct err *e)
{
	struct claim *c = &r->claim;
	bool open;

	*code = NULL;
	if (is_open(r, &open, e) < 0)
		return -1;
	if (!open) {
		explicit_bzero(c, sizeof(*c));
		return 0;
	}
	if (!c->code[0])
		make_code(c);
	*code = c->shown;
	return 0;
}

int claim_announce(struct router *r, struct err *e)
{
	bool reachable = false;
	const char *code;

	for (size_t i = 0; i < r->n_chans; i++)
		reachable |= !streq(r->chans[i].ops->name, "console");
	if (claim_code(r, &code, e) < 0)
		return -1;
	/* Not by the log: that goes to more places than the operator's eyes. */
	if (code && reachable)
		dprintf(STDERR_FILENO,
			"No chat is main yet. To make one yours, write to the assistant there: "
			"/claim %s\n",
			code);
	return 0;
}

/* --- /claim ------------------------------------------------------------------------------- */

static const char *skip_word(const char *p, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(p, word, n) != 0)
		return NULL;
	if (p[n] == '@') /* "/claim@the_bot" */
		n += strcspn(p + n, " \t\n");
	if (p[n] && !strchr(" \t\n", p[n]))
		return NULL;
	return p + n + strspn(p + n, " \t\n");
}

/* What stands behind "/claim", "chela claim" or "/chela claim", also after a mention of the assistant; NULL when it is none of these. */
static const char *after_claim(const char *p)
{
	const char *rest;

	p += strspn(p, " \t\n");
	if (*p == '@') {
		p += strcspn(p, " \t\n");
		p += strspn(p, " \t\n");
	}
	rest = skip_word(p, "/claim");
	if (rest)
		return rest;
	rest = skip_word(p, "/chela");
	if (!rest)
		rest = skip_word(p, "chela");
	return rest ? skip_word(rest, "claim") : NULL;
}

int claim_is(struct intake *in, bool *yes, struct err *e)
{
	const struct inbound *m = in->m;
	char text[LINE_MAX_LEN];

	*yes = false;
	if (m->kind != INBOUND_MESSAGE || m->forwarded || m->n_files ||
	    m->text_len >= sizeof(text) || streq(in->c->ops->name, "console"))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)m->text_len, m->text);
	return after_claim(text) ? is_open(in->r, yes, e) : 0;
}

/* Only letters and digits count; a wrong length is a wrong code, at the same cost. */
static bool right(const struct claim *c, const char *said)
{
	char given[CLAIM_LETTERS + 1] = "";
	size_t n = 0;

	for (; *said; said++) {
		if (!isalnum((unsigned char)*said))
			continue;
		if (n < CLAIM_LETTERS)
			given[n] = (char)toupper((unsigned char)*said);
		n++;
	}
	return str_secret_eq(given, n < CLAIM_LETTERS ? n : CLAIM_LETTERS, c->code,
			     CLAIM_LETTERS) &&
	       n == CLAIM_LETTERS;
}

/* An unknown chat is answered from main: there is no other group yet. */
static int answer(struct intake *in, const char *text, struct err *e)
{
	struct group_row g;

	if (store_group_get(in->r->store, "main", &g, e) < 0)
		return -1;
	notice_brief(in->r, in->chat.id, g.id, in->m->thread, text);
	return 0;
}

static bool too_many(struct router *r)
{
	struct claim *c = &r->claim;
	int64_t now = loop_now(r->loop);

	if (now - c->minute_ms >= 60000) {
		c->minute_ms = now;
		c->tries = 0;
	}
	return ++c->tries > MINUTE_TRIES;
}

static int wrong(struct intake *in, struct err *e)
{
	struct router *r = in->r;
	int64_t minute = r->claim.minute_ms;
	char text[200];
	int tries = r->claim.tries;

	log_warn("claim", "a wrong code", "channel=%s chat=\"%s\" tries=%d", in->chat.channel,
		 in->chat.platform_id, r->claim.wrong + 1);
	if (++r->claim.wrong < TRIES) {
		snprintf(text, sizeof(text),
			 "That is not the code. The server prints it when it starts, and `chela "
			 "claim` on its machine shows it again. Then: `%sclaim CODE`",
			 router_lead(in->chat.channel));
		return answer(in, text, e);
	}
	explicit_bzero(&r->claim, sizeof(r->claim));
	r->claim.minute_ms = minute;
	r->claim.tries = tries;
	if (claim_announce(r, e) < 0)
		return -1;
	return answer(
		in,
		"That is not the code, and too many were wrong: there is a new one. `chela claim` on the server's machine shows it.",
		e);
}

static int take_main(struct intake *in, struct err *e)
{
	const char *lead = router_lead(in->chat.channel);
	struct router *r = in->r;
	struct group_row g;
	struct actor by;
	int64_t person;
	/* Without the code; so that a second copy of the message is known. */
	struct row_new row = {
		.platform_id = in->m->id,
		.thread = in->m->thread,
		.session = "",
		.text = "/claim",
		.len = sizeof("/claim") - 1,
		.state = MSG_ANSWERED,
	};

	if (store_group_get(r->store, "main", &g, e) < 0)
		return -1;
	in->group = g;
	if (inbox_put(in, &row, e) < 0 || store_chat_link(r->store, in->chat.id, g.id, e) < 0 ||
	    store_person_make(r->store, in->sender_id, "", &person, e) < 0 ||
	    store_role_set(r->store, person, 0, ROLE_OWNER, "the claim code", e) < 0 ||
	    actor_of(r, &g, in->sender_id, &by, e) < 0 ||
	    store_act_add(r->store, by.who, in->sender_id, g.id, "chat", "claim", true, e) < 0)
		return -1;
	explicit_bzero(&r->claim, sizeof(r->claim));
	log_info("claim", "main is claimed", "channel=%s chat=\"%s\" person=%lld", in->chat.channel,
		 in->chat.platform_id, (long long)person);
	delivery_notice(r, in->chat.id, g.id, in->m->thread, WELCOME, lead, lead, lead);
	return 0;
}

int claim_take(struct intake *in, struct err *e)
{
	char text[LINE_MAX_LEN];
	const char *code;
	int rc;

	if (claim_code(in->r, &code, e) < 0)
		return -1;
	if (too_many(in->r))
		return err_set(e, E_PERM, "too many tries to claim main");
	snprintf(text, sizeof(text), "%.*s", (int)in->m->text_len, in->m->text);
	rc = right(&in->r->claim, after_claim(text)) ? take_main(in, e) : wrong(in, e);
	explicit_bzero(text, sizeof(text));
	return rc;
}
