// SPDX-License-Identifier: Apache-2.0
/*
 * WhatsApp through its bridge: the channel's ops, its settings, its life. The work is in the other files of this folder: bridge (the
 * process), wire (the connection), request, parse, intake (what comes), send, fetch, typing, login (linking an account).
 */
#include "channels/whatsapp/whatsapp.h"
#include <errno.h>
#include <fcntl.h>

#include "base/str.h"
#include "base/yaml.h"
#include "policy/config.h"

/* The token goes over it, so it is encrypted wherever it leaves this machine. */
static int check_url(const char *url, struct err *e)
{
	bool tls = str_starts(url, "wss://");
	_cleanup_free_ char *https = xasprintf("https://%s", url + (tls ? 6 : 5));
	_cleanup_free_ char *http = xasprintf("http://%s", url + (tls ? 6 : 5));
	struct err unused = ERR_INIT;

	if (config_check_base_url(https, e) < 0)
		return -1;
	if (!tls && config_check_base_url(http, &unused) < 0)
		return err_set(e, E_INVAL,
			       "plain ws:// would send the bridge's token unencrypted; use wss:// "
			       "(ws:// is only for 127.0.0.1, [::1] and localhost)");
	return 0;
}

static int check_bridge(struct whatsapp *w, struct yaml_node *section, const char *bridge,
			struct err *e)
{
	struct err why = ERR_INIT;

	w->local = streq(bridge, "local");
	if (!w->local && !str_starts(bridge, "ws://") && !str_starts(bridge, "wss://"))
		return yaml_fail(
			yaml_at(section, "bridge"), e,
			"must be \"local\", ws://127.0.0.1:PORT/ or wss://HOST/ (\"\" = off)");
	if (!w->local && check_url(bridge, &why) < 0)
		return yaml_fail(yaml_at(section, "bridge"), e, "%s", why.msg);
	if (w->ca_file[0] && !str_starts(bridge, "wss://"))
		return yaml_fail(yaml_at(section, "ca_file"), e,
				 "has no effect without a wss:// bridge; remove it");
	if (!w->local && !str_copy(w->url, sizeof(w->url), bridge))
		return yaml_fail(yaml_at(section, "bridge"), e, "is too long");
	return 0;
}

static int read_section(struct whatsapp *w, struct yaml_node *section, const char *home,
			bool *wanted, struct err *e)
{
	const char *bridge;

	if (yaml_str(section, "bridge", "", &bridge, e) < 0 ||
	    yaml_path(section, "token_file", "secrets/whatsapp_bridge", home, w->token_file,
		      sizeof(w->token_file), e) < 0 ||
	    yaml_path(section, "ca_file", "", home, w->ca_file, sizeof(w->ca_file), e) < 0 ||
	    yaml_path(section, "auth_dir", "secrets/whatsapp", home, w->auth_dir,
		      sizeof(w->auth_dir), e) < 0 ||
	    yaml_text(section, "node", "node", w->node, sizeof(w->node), e) < 0)
		return -1;
	if (!w->node[0])
		return yaml_fail(yaml_at(section, "node"), e, "must name the Node.js program");
	*wanted = *bridge != '\0';
	return *wanted ? check_bridge(w, section, bridge, e) : 0;
}

static int configure(struct yaml_node *section, const char *home, void **priv, struct err *e)
{
	struct whatsapp *w = xcalloc(1, sizeof(*w));
	bool wanted = false;
	int rc = read_section(w, section, home, &wanted, e);

	if (rc < 0 || !wanted) {
		free(w);
		return rc;
	}
	w->proc_in = w->proc_out = -1;
	w->told = CHANNEL_DOWN;
	w->start_ms = 20000;
	w->answer_ms = 75000; /* the bridge gives up after 60 s */
	w->media_ms = 330000; /* and here after 5 min */
	w->typing_ms = 8000;
	*priv = w;
	return 0;
}

/* Nobody has to think of a token for a bridge that we start ourselves. */
static int make_token(const char *file, struct err *e)
{
	_cleanup_close_ int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char hex[65];

	if (fd < 0)
		return errno == EEXIST ? 0 : err_sys(e, errno, "cannot make %.150s", file);
	str_random_hex(hex, 32);
	return dprintf(fd, "%s\n", hex) == 65 ? 0 : err_sys(e, errno, "cannot write %.150s", file);
}

static bool token_ok(const char *s)
{
	size_t n = strlen(s);

	for (const char *p = s; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			return false;
	return n >= 16 && n <= 256;
}

static int open_channel(struct channel *c, struct err *e)
{
	struct whatsapp *w = c->priv;

	w->c = c;
	if ((w->local && make_token(w->token_file, e) < 0) ||
	    secret_load(&w->token, "whatsapp_bridge", w->token_file, e) < 0)
		return -1;
	if (!token_ok(w->token.value))
		return err_set(e, E_INVAL, "%.150s must hold 16 to 256 printable characters",
			       w->token_file);
	w->taken_end = &w->taken;
	wa_requests_open(w);
	wa_wire_open(w);
	wa_send_open(w);
	wa_typing_open(w);
	w->hook = loop_on_turn_end(c->loop, "whatsapp intake", wa_intake_turn, w);
	return 0;
}

static void close_channel(struct channel *c)
{
	struct whatsapp *w = c->priv;

	c->priv = NULL;
	if (w->hook) { /* opened */
		turn_hook_free(w->hook);
		wa_link_close(w);
		wa_send_close(w);
		download_close(&w->ins);
		wa_typing_close(w);
		wa_wire_close(w);
		wa_bridge_stop(w);
		timer_free(w->patience);
	}
	secret_free(&w->token);
	free(w);
}

static void describe(struct channel *c, void (*fn)(void *ctx, const char *line), void *ctx)
{
	const struct whatsapp *w = c->priv;
	char line[512];

	if (w->phase != WA_LIVE) {
		snprintf(line, sizeof(line), "whatsapp: no connection to the bridge%s",
			 w->local && !w->proc ? " (it does not run)" : "");
		fn(ctx, line);
		return;
	}
	snprintf(line, sizeof(line), "whatsapp: bridge %s%s%s", w->bridge,
		 w->state.me[0] ? ", account " : "", w->state.me);
	fn(ctx, line);
	if (w->skipped) {
		snprintf(
			line, sizeof(line),
			"whatsapp: %lld events could not be read and were passed over (see the log)",
			(long long)w->skipped);
		fn(ctx, line);
	}
}

const struct channel_ops whatsapp_ops = {
	.name = "whatsapp",
	.caps = CHAN_EDITS | CHAN_REACTIONS | CHAN_FILES | CHAN_TYPING | CHAN_RESEND,
	.max_text = 4000, /* it would take 65,536, but nobody reads that in one bubble */
	.unit = UNIT_CODE_POINTS,
	.format = FORMAT_WHATSAPP,
	.max_file = WA_FILE_MAX,
	.configure = configure,
	.open = open_channel,
	.connect = wa_connect,
	.close = close_channel,
	.send = wa_send,
	.progress = wa_progress,
	.fetch = wa_fetch,
	.fetch_cancel = wa_fetch_cancel,
	.describe = describe,
};
