// SPDX-License-Identifier: Apache-2.0
/* `chela whatsapp link`: shows what a phone needs to take Chela as a linked device, until it has done so. */
#include <string.h>
#include "admin/command.h"
#include "base/str.h"
#include "channels/whatsapp/link.h"

static void on_line(void *ctx, const char *line)
{
	reply_line(ctx, "%s", line);
}

static void on_end(void *ctx, const struct err *why)
{
	if (why) {
		reply_fail(ctx, why);
		return;
	}
	reply_line(ctx, "linked");
	reply_end(ctx, 0);
}

static const struct wa_link_events events = {on_line, on_end};

struct search {
	struct channel *found;
};

static void look(void *ctx, const struct channel_status *s)
{
	struct search *f = ctx;

	if (streq(s->name, "whatsapp"))
		f->found = s->channel;
}

static void on_gone(void *ctx)
{
	wa_link_cancel(ctx);
}

static int link_account(struct command *c, const char *phone, bool force, struct err *e)
{
	struct search f = {0};

	router_each_channel(c->o->router, look, &f);
	if (!f.found)
		return err_set(
			e, E_GONE,
			"WhatsApp is off; set channels.whatsapp.bridge: local in the configuration "
			"and restart the server");
	reply_on_gone(c->r, on_gone, f.found);
	if (wa_link_start(f.found, phone, force, &events, c->r, e) == 0)
		return COMMAND_LATER;
	reply_on_gone(c->r, NULL, NULL);
	return -1;
}

static int link_phone(struct command *c, struct err *e)
{
	const char *phone = "";
	bool force = false;

	for (int i = 0; i < c->argc; i++) {
		if (streq(c->argv[i], "--force"))
			force = true;
		else if (streq(c->argv[i], "--phone") && i + 1 < c->argc)
			phone = c->argv[++i];
		else
			return COMMAND_USAGE;
	}
	return link_account(c, phone, force, e);
}

/* Only on the command line: whoever sees the code can link the account. */
const struct command_form commands_whatsapp[] = {
	{"whatsapp link", "[--phone NUMBER] [--force]",
	 "link a phone: QR code, or a code to type there", CMD_CLI, ROLE_OWNER, .max = 3,
	 .run = link_phone},
	{0},
};
